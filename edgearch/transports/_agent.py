"""Talk to the agent: pack it, start it by a constant command, hand it a request, read its answer."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs

import edgearch
from edgearch.errors import DeviceError
from edgearch.work import Progress

# The whole command that reaches a shell on a device. Everything that varies travels in the request.
BOOTSTRAP = (
    "import json,os,runpy,sys;"
    "r=json.loads(sys.stdin.readline());"
    "sys.version_info<(3,9) and sys.exit('needs Python 3.9 or newer, found '+sys.version.split()[0]);"
    "f=os.path.expanduser(r['folder']);os.makedirs(f,exist_ok=True);os.chdir(f);"
    "a=r['agent'];"
    "os.path.isfile(a) and runpy.run_path(os.path.abspath(a),{'REQUEST':r},'__main__') "
    "or print(json.dumps({'missing':a}))"
)
PROGRESS = "edgearch: "
SECONDS_TO_END = 5


@functools.cache
def packed_agent() -> Path:
    """Return the agent as a zipapp named after its content, the same bytes for the same sources."""
    root = Path(edgearch.__file__).parent
    parts = [*(root / "agent").glob("*.py"), *(root / "runtimes").glob("*.py")]
    sources = [root / "__init__.py", *sorted(parts)]
    named = {f"edgearch/{file.relative_to(root)}": file for file in sources}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in {"__main__.py": root / "agent" / "__main__.py", **named}.items():
            archive.writestr(zipfile.ZipInfo(name), file.read_text(encoding="utf-8"))
    digest = hashlib.sha256(content.getvalue()).hexdigest()[:16]
    path = platformdirs.user_cache_path("edgearch", ensure_exists=True) / f"agent-{digest}.pyz"
    if not path.exists():
        write_whole(path, content.getvalue())
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write ``path`` so that nobody ever sees half of it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)


class Answer:
    """What came of one conversation with an agent: its JSON answer, exit status and complaints."""

    def __init__(self, status: int, stdout: str, complaints: list[str]) -> None:
        self.status = status
        self.complaints = complaints
        self.document = _document(stdout)

    @property
    def last_complaint(self) -> str:
        """The last line that was printed on stderr and was not progress."""
        return self.complaints[-1] if self.complaints else f"exit status {self.status}"


def _document(stdout: str) -> dict[str, Any] | None:
    """Return the answer, the last line that looks like one; ``None`` if it was cut in the middle."""
    lines = [line for line in stdout.splitlines() if line.startswith("{")]
    try:
        found: dict[str, Any] | None = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return found


def converse(
    command: list[str],
    request: dict[str, Any],
    progress: Progress,
    give_up: Callable[[subprocess.Popen[str]], object] = subprocess.Popen.kill,
) -> Answer:
    """Run ``command``, hand it ``request`` and return its answer.

    stdin stays open until the answer is there: its end tells the agent that we are gone. If we are
    interrupted and it does not end soon, ``give_up`` is told the process.
    """
    # A session of its own: Ctrl-C reaches us alone, and we end the child by closing its stdin.
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as child:
        if child.stdin is None or child.stdout is None or child.stderr is None:
            raise AssertionError("the pipes were asked for")
        complaints: list[str] = []
        listener = threading.Thread(target=_listen, args=(child.stderr, progress, complaints))
        listener.start()
        try:
            try:
                child.stdin.write(json.dumps(request) + "\n")
                child.stdin.flush()
            except BrokenPipeError:
                pass  # it ended at once; its exit status and complaints say why
            stdout = child.stdout.read()
            status = child.wait()
        except BaseException:
            try:
                with contextlib.suppress(OSError):
                    child.stdin.close()  # not a signal: the agent ends all that it started too
                listener.join(timeout=SECONDS_TO_END)
            finally:
                if listener.is_alive():
                    give_up(child)
            raise
        finally:
            listener.join(timeout=SECONDS_TO_END)
            with contextlib.suppress(OSError):  # what could not be written cannot be flushed either
                child.stdin.close()
    return Answer(status, stdout, complaints)


def _listen(stream: Any, progress: Progress, complaints: list[str]) -> None:
    for line in stream:
        text = line.rstrip()
        if text.startswith(PROGRESS):
            progress(None, text.removeprefix(PROGRESS))
        elif text:
            complaints.append(text)


def result(answer: Answer, place: str) -> dict[str, Any]:
    """Return the agent's document, or raise what it, or its Python, complains of."""
    document = answer.document
    if document is None:
        raise DeviceError(f"{place}: the agent gave no answer: {answer.last_complaint}.")
    if "error" in document:
        raise DeviceError(f"{place}: {document['error']}")
    return document
