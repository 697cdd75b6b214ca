"""LiteRT on a GPU: ``CompiledModel`` with the GPU accelerator, which is WebGPU on Vulkan.

Where there is no GPU, SwiftShader computes what one would, on the CPU: the same accelerator and shaders, and
a speed that says nothing of a GPU. Debian's ``chromium`` ships it, with a Vulkan loader.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from edgearch.runtimes._captured import captured

DISTRIBUTION = "ai-edge-litert"
SIGNATURE = "serving_default"
_ADAPTER = re.compile(rb"Selected adapter: (.+?), arch=.*?adapterType=(\w+)")
_REFUSED = re.compile(r"not supported by GPU delegate:\n(.*?)\n\d+ operations will run", re.DOTALL)
_SWIFTSHADER = ("/usr/lib/chromium", "/usr/lib/chromium-browser", "/opt/google/chrome")


class GpuSession:
    """A model compiled for a GPU; inputs and outputs are buffers there."""

    def __init__(self, path: str) -> None:
        from ai_edge_litert import compiled_model
        from ai_edge_litert.hardware_accelerator import HardwareAccelerator

        try:
            with captured() as printed:
                self._model = compiled_model.CompiledModel.from_file(
                    path, hardware_accel=HardwareAccelerator.GPU
                )
        except RuntimeError as error:
            raise RuntimeError(f"failed to compile for the GPU: {_complaint(printed[0], error)}") from error
        self._adapter = _ADAPTER.search(printed[0])
        inputs, outputs = _in_the_files_order(path, self._model)
        self._names, self._outputs = list(inputs), list(outputs.items())
        self._fed = {name: self._model.create_input_buffer_by_name(SIGNATURE, name) for name in inputs}
        self._found = {name: self._model.create_output_buffer_by_name(SIGNATURE, name) for name in outputs}

    def set_input(self, position: int, value: np.ndarray) -> None:
        """Copy ``value`` into an input buffer."""
        self._fed[self._names[position]].write(np.ascontiguousarray(value))

    def invoke(self) -> None:
        """Run the model once, to its end."""
        self._model.run_by_name(SIGNATURE, self._fed, self._found)

    def output(self, position: int) -> np.ndarray:
        """Return a copy of an output buffer."""
        name, tensor = self._outputs[position]
        shape, dtype = tensor["shape"], np.dtype(tensor["dtype"])
        return np.asarray(self._found[name].read(int(np.prod(shape)), dtype)).reshape(shape)

    def reset(self) -> None:
        """Do nothing: a model with variable tensors is refused before it runs."""

    def arena_bytes(self) -> None:
        """Return nothing: buffers of a GPU are not recorded."""
        return

    def undelegated(self) -> None:
        """Return nothing: a model that the accelerator does not take as a whole is refused."""
        return

    def processor(self) -> dict[str, str]:
        """Return the adapter's name, and ``emulated`` where it is software."""
        if self._adapter is None:
            return {"name": "GPU"}
        name, kind = (found.decode(errors="replace") for found in self._adapter.groups())
        return {"name": name, **({"where": "emulated"} if kind == "CPU" else {})}


def open_model(path: str, threads: int, kernels: str = "optimized") -> GpuSession:
    """Load ``path``; threads and kernels are the GPU's own.

    Raises:
        RuntimeError: there is neither a GPU nor SwiftShader, or the accelerator does not take the model.
    """
    del threads, kernels
    if not has_gpu():
        _stand_in()
    return GpuSession(path)


def hardware() -> str:
    """Say whether a GPU is there."""
    return f"gpu {has_gpu()}"


def has_gpu() -> bool:
    """Say whether the system shows a GPU to programs."""
    return any([*Path("/dev").glob("dri/renderD*"), *Path("/dev").glob("nvidia[0-9]*")])


def swiftshader() -> Path | None:
    """Return the folder with SwiftShader and a Vulkan loader, if there is one."""
    return next((Path(one) for one in _SWIFTSHADER if Path(one, "vk_swiftshader_icd.json").exists()), None)


def _stand_in() -> None:
    """Let Vulkan find SwiftShader: its loader must be in this process before the accelerator asks for it."""
    folder = swiftshader()
    if folder is None:
        raise RuntimeError(
            "failed to find a GPU, or SwiftShader in its place (Debian's chromium ships it: "
            "sudo apt install chromium)"
        )
    os.environ["VK_ICD_FILENAMES"] = os.environ["VK_DRIVER_FILES"] = str(folder / "vk_swiftshader_icd.json")
    ctypes.CDLL(str(folder / "libvulkan.so.1"), mode=ctypes.RTLD_GLOBAL)


def _complaint(printed: bytes, error: RuntimeError) -> str:
    """Return the operators that the accelerator does not take, or what else it said, in one line."""
    text = printed.decode(errors="replace")
    refused = _REFUSED.search(text)
    if refused:
        return "; ".join(line.strip().rstrip(":") for line in refused[1].splitlines() if line.strip())
    said = [line.partition("] ")[2] or line for line in text.splitlines() if line.startswith("ERROR")]
    return said[0].strip() if said else str(error).strip().splitlines()[0]


def _in_the_files_order(path: str, model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return name → tensor of inputs and of outputs in the file's order; the compiled model has another."""
    from ai_edge_litert.interpreter import Interpreter

    plain = Interpreter(model_path=path)
    found = []
    for details, wanted in (
        (model.get_input_tensor_details(SIGNATURE), plain.get_input_details()),
        (model.get_output_tensor_details(SIGNATURE), plain.get_output_details()),
    ):
        order = [int(one["index"]) for one in wanted]
        found.append(dict(sorted(details.items(), key=lambda one: order.index(int(one[1]["index"])))))
    return found[0], found[1]
