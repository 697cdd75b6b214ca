"""A bundle: the models of one precision with inputs, expected outputs and a manifest, for an agent."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgearch.tflite import model as tflite
from edgearch.work import Arrays, Work, load_arrays, save_arrays

SCHEMA = "edgearch/bundle@1"
# Role → input → the role and output that it comes from; as an agent reads it.


def write(
    folder: Path,
    models: Mapping[str, Path],
    precision: str,
    inputs: Arrays,
    expected: Arrays,
    driving: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Write a bundle into ``folder``; ``inputs`` and ``expected`` are named ``<role>/<tensor>``.

    ``driving`` is what :func:`driving` returns; without it every role runs once an example.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for role, path in models.items():
        shutil.copyfile(path, folder / f"{role}.tflite")
    save_arrays(folder / "inputs.npz", inputs)
    if expected:
        save_arrays(folder / "expected.npz", expected)
    manifest = {
        "schema": SCHEMA,
        "roles": {
            role: {**describe(folder / f"{role}.tflite", precision), **(driving or {}).get(role, {})}
            for role in models
        },
        "sha256": {
            file.name: digest(file) for file in sorted(folder.iterdir()) if file.name != "manifest.json"
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return folder


def describe(path: Path, precision: str) -> dict[str, Any]:
    """Return what an agent must know of the model: its tensors in the file's order, each with its scale."""
    model = tflite.read(path)
    return {
        "file": path.name,
        "driven": "once",
        "state": {},
        "instead": None,
        "precision": precision,
        "inputs": [_tensor(*pair) for pair in zip(model.input_names, model.inputs(), strict=True)],
        "outputs": [_tensor(*pair) for pair in zip(model.output_names, model.outputs(), strict=True)],
    }


def _tensor(name: str, tensor: tflite.Tensor) -> dict[str, Any]:
    return {
        "name": name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }


def driving(work: Work) -> dict[str, dict[str, Any]]:
    """Return how an agent drives each role: ``once`` an example, or in ``steps`` with its state fed back."""
    return {
        role: {
            "driven": "steps" if state else "once",
            "state": state,
            "instead": work.facts["instead"][role],
            "chained": work.facts["chained"][role],
        }
        for role, state in work.facts.get("state", {}).items()
    }


def without(work: Work, role: str, reason: str) -> Work:
    """Leave ``role`` out, as ``reason`` says, for the role that answers in its place; the report notes it."""
    instead = work.facts["instead"][role]
    roles = [one for one in work.facts["roles"] if one != role]
    note = f"{role} is left out: {reason.rstrip('.')}. {instead} answers in its place."
    predicts = instead if work.facts["predicts"] == role else work.facts["predicts"]
    return work.plus(roles=roles, predicts=predicts, notes=[*work.facts.get("notes", []), note])


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stacked(work: Work, kind: str) -> dict[str, np.ndarray]:
    """Return the arrays of ``kind`` (``inputs``, ``expected``) of all roles, named ``<role>/<tensor>``."""
    return {
        f"{role}/{name}": value
        for role in work.facts["roles"]
        for name, value in load_arrays(work.files[f"{role}.{kind}"]).items()
    }


def models_of(work: Work, precision: str) -> dict[str, Path]:
    """Return role → file of one precision."""
    return {role: work.files[f"{role}.{precision}"] for role in work.facts["roles"]}
