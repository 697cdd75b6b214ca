"""A page where a person tries a deployed model: draws a digit, sees what the model makes of it."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgearch import data, profiles
from edgearch.errors import RequestError
from edgearch.transports import _browser_server, _litertjs
from edgearch.work import Request, silent

RUNTIME = "litertjs-wasm"
_INK = 0.05  # of the examples: a row that holds ink in fewer of them is margin


def refuse(request: Request) -> None:
    """Raise a RequestError if there is nothing to draw for this model: it does not classify grey images."""
    if request.task != "classify":
        what = f"does not classify: its task is to {request.task.replace('_', ' ')}"
    else:
        shapes = data.source(request.dataset).load(request.data_folder).spec.inputs
        if [shape[2:] for shape in shapes.values()] == [(1,)]:  # one image, (rows, columns, 1 channel)
            return
        taken = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        what = f"takes no image with one channel: on {request.dataset} it takes {taken}"
    raise RequestError(
        f"Nothing can be drawn for {request.variant}, which {what}. Try cnn, mlp or vit on digits or mnist."
    )


@contextlib.contextmanager
def served(request: Request, bundle: Path) -> Iterator[tuple[str, str]]:
    """Serve the page and the model of ``bundle`` on loopback.

    Yields:
        The page's address, for people; and that of a file which leads there, for a browser's command line,
        which every user of the machine can read: the address has a secret in it.

    Raises:
        DeviceError: LiteRT.js cannot be fetched.
    """
    described = describe(request, bundle)
    wanted = _litertjs.version(profiles.requirements(RUNTIME))
    package = _litertjs.folder(wanted, silent)
    with tempfile.TemporaryDirectory(prefix="edgearch-try-") as folder:
        (Path(folder) / "try.json").write_text(json.dumps(described), encoding="utf-8")
        server = _browser_server.Server({"litertjs": package, "bundle": bundle, "facts": Path(folder)})
        address = server.url("try.html")
        with server.running(), _browser_server.redirect(address) as file:
            yield address, file


def describe(request: Request, bundle: Path) -> dict[str, Any]:
    """Return what the page must know: the model's file, its input, what its answers are called."""
    dataset = data.source(request.dataset).load(request.data_folder)
    ((_, images),) = dataset.test.inputs.items()
    roles = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["roles"]
    export = next(iter(roles.values()))
    return {
        "title": f"{request.variant} on {request.dataset}, {export['precision']}",
        "file": export["file"],
        "input": export["inputs"][0]["name"],
        "shape": export["inputs"][0]["shape"],
        "sides": images.shape[1:3],
        "output": export["outputs"][0]["name"],
        "labels": list(dataset.label_names),
        "margin": margin(images[..., 0]),
    }


def margin(images: np.ndarray) -> int:
    """Return how many rows at the top of ``images``, (examples, rows, columns), are empty in nearly all."""
    inked = (images > 0).any(axis=2).mean(axis=0)
    return int(np.argmax(inked >= _INK))
