"""What a page of ours is served with: files on loopback, and one line to the page for commands and answers.

A message either way is one line of JSON with the arrays' names, dtypes and shapes, and then their raw bytes.
The path begins with a secret, so that no other page or user of this machine can ask or answer.
"""

from __future__ import annotations

import contextlib
import json
import queue
import secrets
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


class Server:
    """Serves ``folders`` (name → folder; a name is the first part of a path) and holds the line to a page."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = {"pages": PAGES, **folders}
        self._secret = secrets.token_urlsafe(16)
        self._commands: queue.Queue[bytes] = queue.Queue()
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True

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
                """Serve a file."""
                path = server._file(self)
                if path is None:
                    self._reply(HTTPStatus.NOT_FOUND, b"", "text/plain")
                else:
                    self._reply(
                        HTTPStatus.OK, path.read_bytes(), _KINDS.get(path.suffix, "application/octet-stream")
                    )

            def do_POST(self) -> None:
                """Take an answer, and wait for the next command to reply with."""
                length = int(self.headers.get("Content-Length", "0"))
                if server._parts(self) != ["line"] or not 0 <= length <= LARGEST_MESSAGE:
                    self.close_connection = True
                    self._reply(HTTPStatus.NOT_FOUND, b"", "text/plain")
                    return
                server._answers.put(self.rfile.read(length))
                self._reply(HTTPStatus.OK, server._commands.get(), "application/octet-stream")

            def _reply(self, status: HTTPStatus, content: bytes, kind: str) -> None:
                self.send_response(status)
                for name, value in {**_HEADERS, "Content-Type": kind}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # the page is gone: whoever waits for it says so
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

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
