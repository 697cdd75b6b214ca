"""The Edge TPU of a Coral device: ``tflite-runtime`` with libedgetpu, for models that its compiler made.

Coral's own libedgetpu 16.0 was built for TensorFlow 2.5 and crashes in ``tflite-runtime`` 2.12 and newer
(google-coral/edgetpu, issue 812); a build for TensorFlow 2.13 or newer works.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

from edgearch.runtimes._lite import LiteSession

DISTRIBUTION = "tflite-runtime"
COMPILED = "_edgetpu"  # what its compiler adds to a model's name
LIBRARY = "libedgetpu.so.1"
OPERATOR = b"edgetpu-custom-op"  # stands in a compiled model for all that the Edge TPU runs
# Coral's stick before and after its first inference; a PCIe card is /dev/apex_0.
_USB, _PCIE = {"1a6e:089a", "18d1:9302"}, "apex_*"


class EdgeTpuSession(LiteSession):
    """A compiled model: one operator stands for all that the Edge TPU runs, the CPU runs the rest."""

    def processor(self) -> dict[str, str]:
        """Return the Edge TPU, which is a real one wherever its library has found it."""
        return {"name": "Edge TPU", "where": "device"}


def open_model(path: str, threads: int, kernels: str = "optimized") -> EdgeTpuSession:
    """Load the compiled model ``path``.

    Raises:
        RuntimeError: libedgetpu is not installed or finds no Edge TPU, or the compiler left it nothing.
    """
    from tflite_runtime import interpreter

    if OPERATOR not in Path(path).read_bytes():
        raise RuntimeError("failed to find anything for the Edge TPU: its compiler left it no operator")

    # Said before, because a crash leaves no time: what the last line says is what the host is told.
    print(f"{LIBRARY} must be one built for TensorFlow 2.13 or newer", file=sys.stderr, flush=True)
    return EdgeTpuSession(interpreter, path, threads, kernels, [_edge_tpu(interpreter)])


def hardware() -> str:
    """Say whether an Edge TPU and its library are there; the Edge TPU itself is not opened."""
    ids = {
        f"{_text(one)}:{_text(one.with_name('idProduct'))}"
        for one in Path("/sys/bus/usb/devices").glob("*/idVendor")
    }
    found = bool(ids & _USB) or any(Path("/dev").glob(_PCIE))
    return f"edgetpu {found}, {LIBRARY} {has_library()}"


def has_library() -> bool:
    """Say whether libedgetpu can be loaded."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # it was just unplugged
        return ""


def _edge_tpu(interpreter: Any) -> Any:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise RuntimeError(
            f"failed to find the Edge TPU's library ({error}): install libedgetpu1-std, built for TensorFlow "
            "2.13 or newer, on the machine that the Edge TPU is plugged into"
        ) from error
    try:
        return interpreter.load_delegate(LIBRARY)
    except ValueError as error:
        raise RuntimeError(
            f"failed to open an Edge TPU ({LIBRARY} finds none): plug it in, and let your user use it "
            "(sudo usermod -aG plugdev $USER, then log in again)"
        ) from error
