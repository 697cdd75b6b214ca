"""Check and run a ``.tflite`` file that somebody else made: no training, no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgearch import transports
from edgearch.agent import driving
from edgearch.errors import DeviceError, RequestError, ToolError
from edgearch.profiles import Device, Host
from edgearch.stages import _bundle, _compiling, _device, _host, check, measure, package
from edgearch.tflite import costs
from edgearch.tflite import model as tflite
from edgearch.work import Arrays, Progress, Request, Work, load_arrays, save_arrays

ROLE = "model"
RANDOM_EXAMPLES = 20


def checked(path: Path, device: Device, host: Host | None, folder: Path, progress: Progress) -> Work:
    """Hold the file against a device; ``folder`` is scratch space."""
    model = tflite.read(path)
    precision = costs.precision(model)
    request = Request(str(path), path.stem, "", device, "", host=host)
    files = {f"{ROLE}.{precision}": path}
    if device.arena_runtime and costs.arena_bytes(model) <= device.memory.ram_bytes:  # it is run once
        files[f"{ROLE}.inputs"] = save_arrays(folder / f"{ROLE}.inputs.npz", random_inputs(model, 1))
    work = Work(request, folder, files, {"roles": [ROLE], "precision": precision}, progress)
    return check.run(work, check.Settings())


def ran(work: Work, inputs: Arrays, seconds: float) -> tuple[Work, dict[str, np.ndarray]]:
    """Run a checked file on its device in every runtime; return the figures and the chosen one's outputs.

    Raises:
        RequestError: the device runs no other models than those of its firmware.
    """
    request, precision = work.request, work.facts["precision"]
    _refuse_firmware(request)
    stacked = {f"{ROLE}/{name}": value for name, value in inputs.items()}
    folder = work.folder / "bundle"
    models = _bundle.models_of(work, precision)
    work = package.with_compiled(work, folder)
    notes = [*work.facts.get("notes", [])]
    _bundle.write(folder, models, precision, stacked, {})
    try:
        expected = _host.outputs(folder, "reference")
        _bundle.write(folder, models, precision, stacked, expected)
    except ToolError as error:
        notes.append(f"Outputs could not be compared with reference kernels on this machine: {error}")
    connection = transports.connect(request.device, request.host)
    try:
        archive = package.pack(folder, work.folder / "bundle.zip")
        answer, outputs = _device.measure(connection, work, archive, request.device.runtimes, seconds)
    finally:
        connection.close()
    runtimes = measure.labelled(answer["runtimes"], request.where)
    try:
        measure.refuse_if_none(request.device, runtimes)
    except DeviceError as error:
        advice = _compiling.advice(request.device, models[ROLE])
        raise DeviceError(f"{error} {advice}".strip()) from error
    facts: dict[str, Any] = {name: answer[name] for name in ("machine", "condition")}
    facts["where"] = measure.chosen(runtimes)["where"]
    measured = work.plus(runtimes=runtimes, notes=notes, **facts)
    return measure.over_budget(measured, runtimes), driving.of_role(outputs, ROLE)


def _refuse_firmware(request: Request) -> None:
    if request.host and request.device.firmware:
        raise RequestError(
            f"{request.host.address}: {request.device.name} runs the models that were built into its "
            "firmware, and no firmware is made of a file. Make one with edgearch deploy MODEL --device "
            f"{request.device.name}; without a host, TensorFlow Lite Micro's kernels here run the file."
        )


def random_inputs(model: tflite.Model, examples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random inputs, (examples, *shape without the batch): 0 to 1, or small non-negative integers.

    Raises:
        RequestError: an input has no fixed shape.
    """
    random = np.random.default_rng(seed)
    found = {}
    for name, tensor in zip(model.input_names, model.inputs(), strict=True):
        shape = (examples, *_example_shape(tensor))
        if tensor.scale or tensor.dtype.startswith("float"):
            found[name] = random.random(shape, dtype=np.float32)
        else:
            found[name] = random.integers(0, 2, shape).astype(_dtype(name, tensor))
    return found


def read_inputs(path: Path, model: tflite.Model) -> dict[str, np.ndarray]:
    """Read a user's ``.npz`` and hold names and shapes against the model's inputs.

    Arrays are (examples, *shape without the batch) or one example with the tensor's own shape.

    Raises:
        RequestError: not an ``.npz``, an input is missing, unknown, of another shape, or not finite.
    """
    try:
        arrays = load_arrays(path)
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise RequestError(
            f"{path}: expected an .npz of plain arrays (numpy.savez), found {error}."
        ) from error
    except Exception as error:  # zipfile and zlib have classes of their own
        raise RequestError(f"{path}: expected an .npz of plain arrays (numpy.savez): {error}.") from error
    if set(arrays) != set(model.input_names):
        raise RequestError(
            f"{path}: expected arrays named {', '.join(sorted(model.input_names))}; "
            f"found {', '.join(sorted(arrays)) or 'none'}."
        )
    tensors = zip(model.input_names, model.inputs(), strict=True)
    found = {name: _fitted(path, name, arrays[name], tensor) for name, tensor in tensors}
    if len({len(value) for value in found.values()}) > 1:
        counts = ", ".join(f"{name} {len(value)}" for name, value in found.items())
        raise RequestError(f"{path}: expected as many examples of each input, found {counts}.")
    return found


def _fitted(path: Path, name: str, value: np.ndarray, tensor: tflite.Tensor) -> np.ndarray:
    shape = _example_shape(tensor)
    if value.shape[1:] != shape and value.shape == shape:
        value = value[None]
    if value.shape[1:] != shape or not len(value):
        raise RequestError(
            f"{path}: input {name!r}: expected shape (examples, {', '.join(map(str, shape))}), "
            f"found {value.shape}."
        )
    if value.dtype.kind not in "fiub" or not np.isfinite(value).all():
        raise RequestError(
            f"{path}: input {name!r}: expected finite numbers, found {value.dtype} with NaN or text."
        )
    return value.astype(np.float32) if value.dtype.kind == "f" else value


def _example_shape(tensor: tflite.Tensor) -> tuple[int, ...]:
    return tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape


def _dtype(name: str, tensor: tflite.Tensor) -> np.dtype[Any]:
    try:
        return np.dtype(tensor.dtype)
    except TypeError as error:
        raise RequestError(
            f"Input {name!r} is of type {tensor.dtype}, which cannot be filled here."
        ) from error
