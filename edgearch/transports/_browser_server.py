"""What a page of ours is served with: files on loopback, and one line to the page for commands and answers.

A message either way is one line of JSON with the arrays' names, dtypes and shapes, and then their raw bytes.
The path begins with a secret, so that no other page or user of this machine can ask or answer. A browser is
told it by a file: what stands in its command line is there for every user to read.
"""

from __future__ import annotations

import contextlib
import html
import json
import queue
import secrets
import tempfile
import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

PAGES = Path(__file__).parent / "pages"
LARGEST_MESSAGE = 2**31
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
_HEADERS = {
    # Isolated from other pages: what gives a page a fine clock, and threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Message = tuple[dict[str, Any], dict[str, np.ndarray]]


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return a message: ``header`` and named arrays."""
    listed = [
        {"name": name, "dtype": value.dtype.name, "shape": list(value.shape)}
        for name, value in arrays.items()
    ]
    line = json.dumps({**header, "arrays": listed}).encode() + b"\n"
    return line + b"".join(np.ascontiguousarray(value).tobytes() for value in arrays.values())


def unpack(message: bytes) -> Message:
    """Return the header and the arrays of a message."""
    line, _, raw = message.partition(b"\n")
    header: dict[str, Any] = json.loads(line)
    arrays, start = {}, 0
    for one in header.pop("arrays"):
        dtype, count = np.dtype(str(one["dtype"])), int(np.prod(one["shape"], dtype=int))
        arrays[str(one["name"])] = np.frombuffer(raw, dtype, count, start).reshape(one["shape"])
        start += count * dtype.itemsize
    return header, arrays


@contextlib.contextmanager
def redirect(address: str) -> Iterator[str]:
    """Write a file that sends a browser on to ``address``; yield the file's own, which may be told to all."""
    link = html.escape(address)
    with tempfile.TemporaryDirectory(prefix="edgearch-open-") as folder:
        file = Path(folder) / "open.html"
        file.touch(mode=0o600)
        text = f'<meta http-equiv="refresh" content="0; url={link}"><a href="{link}">edgearch</a>'
        file.write_text(f"<!doctype html>{text}\n", encoding="utf-8")
        yield file.as_uri()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: who waits for a page that is gone says so, and other senders are nobody's concern."""


class Server:
    """Serves ``folders`` (name → folder; a name is the first part of a path) and holds the line to a page."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = {"pages": PAGES, **folders}
        self._secret = secrets.token_urlsafe(16)
        self._commands: queue.Queue[bytes | None] = queue.Queue()  # None: there will be no more
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._http = _Http(("127.0.0.1", 0), self._handler())
        self.page_is_gone = threading.Event()

    def url(self, page: str) -> str:
        """Return the address of a file of ours under ``pages``."""
        return f"http://127.0.0.1:{self._http.server_port}/{self._secret}/pages/{page}"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the end."""
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._commands.put(None)
            self._http.shutdown()
            self._http.server_close()

    def say(self, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Give the page a command."""
        self._commands.put(pack(header, arrays))

    def hear(self, seconds: float) -> Message | None:
        """Return the page's next answer; ``None`` if none came in ``seconds``."""
        with contextlib.suppress(queue.Empty):
            return unpack(self._answers.get(timeout=seconds))
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body leave together and at once: a message takes a millisecond, not forty.
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                """Serve a file, or stay with a page until it is gone."""
                if server._parts(self) == ["alive"]:
                    self._stay()
                    return
                path = server._file(self)
                if path is None:
                    self._reply(HTTPStatus.NOT_FOUND, b"", "text/plain")
                else:
                    self._reply(
                        HTTPStatus.OK, path.read_bytes(), _KINDS.get(path.suffix, "application/octet-stream")
                    )

            def do_POST(self) -> None:
                """Take an answer, and wait for the next command to reply with."""
                length = self.headers.get("Content-Length", "0")
                if server._parts(self) != ["line"] or not _is_length(length):
                    self.close_connection = True
                    self._reply(HTTPStatus.NOT_FOUND, b"", "text/plain")
                    return
                server._answers.put(self.rfile.read(int(length)))
                command = server._next()
                if command is None:
                    self.close_connection = True
                else:
                    self._reply(HTTPStatus.OK, command, "application/octet-stream")

            def _stay(self) -> None:
                # One byte is promised and never sent: the connection lasts as long as the page, whatever
                # that computes meanwhile, and ends even if the page crashes.
                self._head(HTTPStatus.OK, "text/plain", length=1)
                self.wfile.flush()
                self.close_connection = True
                try:
                    self.rfile.read(1)
                finally:
                    server.page_is_gone.set()

            def _reply(self, status: HTTPStatus, content: bytes, kind: str) -> None:
                self._head(status, kind, len(content))
                self.wfile.write(content)

            def _head(self, status: HTTPStatus, kind: str, length: int) -> None:
                self.send_response(status)
                for name, value in {**_HEADERS, "Content-Type": kind}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(length))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _next(self) -> bytes | None:
        """Wait for the next command; ``None`` at the end, to every page that waits."""
        command = self._commands.get()
        if command is None:
            self._commands.put(None)
        return command

    def _parts(self, request: BaseHTTPRequestHandler) -> list[str] | None:
        """Return the path after the secret, in parts; ``None`` where secret or Host is wrong."""
        first, *parts = request.path.partition("?")[0].strip("/").split("/")
        host = f"127.0.0.1:{self._http.server_port}"
        known = secrets.compare_digest(first.encode(), self._secret.encode())
        return parts if known and request.headers.get("Host") == host else None

    def _file(self, request: BaseHTTPRequestHandler) -> Path | None:
        parts = self._parts(request) or []
        folder = self._folders.get(parts[0]) if parts else None
        if folder is None:
            return None
        path = folder.joinpath(*parts[1:]).resolve()
        return path if path.is_relative_to(folder.resolve()) and path.is_file() else None


def _is_length(text: str) -> bool:
    return text.isdecimal() and int(text) <= LARGEST_MESSAGE
