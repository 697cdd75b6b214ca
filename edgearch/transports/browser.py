"""The user's own Chrome or Chromium, with LiteRT.js: WebAssembly, and WebGPU where there is one.

A browser has no Python: this module is its agent. It answers the same requests with the same documents, and
drives a page by small messages: load, open, run, time.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from edgearch.agent import machine, measuring, worker
from edgearch.agent.driving import Drive
from edgearch.profiles import Device, Host
from edgearch.transports import _browser_program, _litertjs
from edgearch.transports._beside import Beside
from edgearch.transports._browser_program import Running
from edgearch.transports._browser_server import Message, Server
from edgearch.work import Progress, save_arrays

ADDRESS = None
RUNTIME = "litertjs-"  # then the accelerator's name in LiteRT.js
_SECONDS_TO_START = 60
_UNANSWERED = "the browser gave no answer in {:.0f} s"
_UNOPENED = (
    "the browser did not open the page in {:.0f} s (one from a snap cannot read files in /tmp: set TMPDIR to "
    "a folder in your home)"
)
_PRODUCT = re.compile(r"(?:Headless)?(Chrom\w+)/([\d.]+)")


class Page:
    """A page of ours in a running browser."""

    def __init__(self, server: Server, browser: Running, timeout_seconds: float) -> None:
        self._server = server
        self._browser = browser
        self._timeout = timeout_seconds
        self.about, _ = self._whole(self._answer(_SECONDS_TO_START, _UNOPENED))
        self.loaded, _ = self.ask({"do": "load"})

    def ask(self, header: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> Message:
        """Give the page a command and return its answer.

        Raises:
            RuntimeError: the page says what went wrong.
            GoneError: the page or the browser ended, or no answer came.
        """
        self._server.say(header, arrays or {})
        return self._whole(self._answer(self._timeout))

    def _whole(self, message: Message) -> Message:
        header, _ = message
        if "error" in header:
            raise RuntimeError(header["error"].strip().partition("\n")[0])
        return message

    def _answer(self, seconds: float, otherwise: str = _UNANSWERED) -> Message:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            gone = self._server.page_is_gone.is_set()  # asked first: what the page said last is still heard
            message = self._server.hear(seconds=0.2)
            if message:
                return message
            ended = self._browser.end()
            if ended or gone:
                raise GoneError(ended or "the page crashed in the browser: too little memory for the model?")
        raise GoneError(otherwise.format(seconds))


class GoneError(Exception):
    """The browser is no longer there; another role would not be answered either."""


class _Session:
    """One model in the page, as :mod:`edgearch.runtimes` wants it; tensors go there and back by name."""

    def __init__(self, page: Page, export: dict[str, Any]) -> None:
        self._page = page
        self._export = export
        self._inputs: dict[str, np.ndarray] = {}
        self._outputs: dict[str, np.ndarray] = {}
        header, _ = page.ask({"do": "open", "file": export["file"]})
        self.load_ms = float(header["load_ms"])
        self.last_ms = 0.0

    def set_input(self, position: int, value: np.ndarray) -> None:
        tensor = self._export["inputs"][position]
        self._inputs[tensor["name"]] = value.reshape(tensor["shape"])

    def invoke(self) -> None:
        header, self._outputs = self._page.ask({"do": "run"}, self._inputs)
        self.last_ms = float(header["ms"])

    def output(self, position: int) -> np.ndarray:
        return self._outputs[self._export["outputs"][position]["name"]]

    def reset(self) -> None:
        """Do nothing: LiteRT.js refuses a model with variable tensors."""

    def arena_bytes(self) -> int | None:
        """Return nothing: LiteRT.js records none."""
        return None

    def undelegated(self) -> dict[str, int] | None:
        """Return nothing: LiteRT.js does not tell."""
        return None

    def processor(self) -> dict[str, str] | None:
        """Return the GPU that the page found when it loaded LiteRT.js, if the model runs on one."""
        return _processor(self._page.loaded)

    def timed(self, seconds: float, steps: int) -> tuple[list[float], int]:
        """Return the milliseconds of whole examples, each the mean of as many as are timed together."""
        header, _ = self._page.ask(
            {
                "do": "time",
                "seconds": seconds,
                "steps": steps,
                "state": self._export["state"],
                "least": worker.MIN_RUNS,
                "most": worker.MAX_RUNS,
            },
            self._inputs,
        )
        return [float(one) for one in header["ms"]], int(header["together"])


class Browser(Beside):
    """A browser that is started for each runtime, with LiteRT.js; none runs between the calls."""

    def __init__(self, device: Device) -> None:
        self._program = _browser_program.find()
        super().__init__(device.name)

    def measure(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Run every role in a page, in each runtime."""
        folder = self.unpacked(request)
        about: dict[str, Any] = {}
        answers: dict[str, dict[str, np.ndarray]] = {}

        def one(name: str) -> dict[str, Any]:
            progress(None, f"running {name}")
            wanted = _litertjs.version(tuple(request["runtimes"][name]))
            package = _litertjs.folder(wanted, progress)
            try:
                with self._page(name, folder, package, request) as page:
                    about.update(page.about)
                    figures, answers[name] = worker.every_role(folder, _running(page, request["seconds"]))
                    threads = int(page.loaded["threads"])
            except (GoneError, RuntimeError, ValueError) as error:
                return {"name": name, "set_aside": str(error)}
            rest = {"version": wanted, "threads": threads, "peak_rss_bytes": None}
            return measuring.judged(name, {**rest, **figures})

        shared = platformdirs.user_cache_path("edgearch") / "stand-in"
        shared.mkdir(parents=True, exist_ok=True)
        with measuring.alone(shared, lambda text: progress(None, text)):
            before = machine.condition()
            runtimes = [one(name) for name in request["runtimes"]]
            after = machine.condition()
        chosen = measuring.choose(runtimes, request["where"])
        if chosen:
            save_arrays(self.folder / request["keep"], answers[chosen])
        return {
            "machine": {**machine.describe(), "browser": _product(about)},
            "condition": {"before": before, "after": after},
            "runtimes": [{**runtime, "chosen": runtime["name"] == chosen} for runtime in runtimes],
        }

    @contextlib.contextmanager
    def _page(self, runtime: str, folder: Path, package: Path, request: dict[str, Any]) -> Iterator[Page]:
        """Open a page with LiteRT.js loaded."""
        server = Server({"litertjs": package, "bundle": folder})
        accelerator = runtime.removeprefix(RUNTIME)
        url = f"{server.url('measure.html')}?accelerator={accelerator}&threads={request['threads']}"
        with server.running(), _browser_program.started(self._program, url) as browser:
            yield Page(server, browser, request["timeout_seconds"])


def _running(
    page: Page, seconds: float
) -> Callable[[dict[str, Any], worker.Arrays], tuple[dict[str, Any], worker.Arrays]]:
    """Return what runs one role in ``page``: its figures, and its outputs for every example."""

    def run(export: dict[str, Any], inputs: worker.Arrays) -> tuple[dict[str, Any], worker.Arrays]:
        _refuse_dtypes(export)
        session = _Session(page, export)
        drive = Drive(session, export, inputs)
        drive.begin(0)
        session.invoke()
        first_ms = session.last_ms
        outputs = drive.outputs()
        drive.begin(0)
        whole, together = session.timed(seconds, drive.steps)
        single = summarize([one / drive.steps for one in whole], together * drive.steps)
        figures: dict[str, Any] = {
            "load_ms": session.load_ms,
            "latency_ms": {"first": first_ms, **single},
            "arena_bytes": session.arena_bytes(),
            "undelegated": session.undelegated(),
        }
        processor = session.processor()
        if processor:
            figures["processor"] = processor
        if drive.in_steps:
            figures |= {"steps": drive.steps, "sequence_latency_ms": summarize(whole, together)}
        return figures, outputs

    return run


def summarize(means: list[float], together: int) -> dict[str, Any]:
    """Return :func:`worker.summarize` of times that are each the mean of as many as are timed ``together``.

    Means hide the slow ones: of several, no percentile beyond the median is known, and no distribution.
    """
    unknown = ("p90", "p99", "histogram") if together > 1 else ()
    found = {name: value for name, value in worker.summarize(means).items() if name not in unknown}
    return {**found, "timed_together": together}


def _refuse_dtypes(export: dict[str, Any]) -> None:
    """Raise a RuntimeError for tensors that LiteRT.js has no type for."""
    for tensor in (*export["inputs"], *export["outputs"]):
        if tensor["dtype"] not in ("float32", "int32", "uint8"):
            raise RuntimeError(
                f"LiteRT.js has no {tensor['dtype']} tensors ({tensor['name']}): use float32, float16 or "
                "dynamic"
            )


def _processor(found: dict[str, Any]) -> dict[str, str] | None:
    if "adapter" not in found:
        return None
    return {"name": found["adapter"], **({"where": "emulated"} if found["software"] else {})}


def _product(about: dict[str, Any]) -> str | None:
    found = _PRODUCT.search(str(about.get("browser", "")))
    return f"{found[1]} {found[2]}" if found else None


def connect(device: Device, host: Host | None) -> Browser:
    """Return the browser on this machine; it needs no ``host``.

    Raises:
        DeviceError: there is no Chrome or Chromium.
    """
    del host
    return Browser(device)
