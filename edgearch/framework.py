"""The one place that chooses the framework: Keras 2 on TensorFlow, imported on first use.

Listing models, reading a finished run and everything on a device must not pay the seconds that
TensorFlow takes to import, so ``tf``, ``keras`` and ``tfmot`` stand in for the modules until an
attribute of one is asked for. Why Keras 2: docs/decisions/0001-keras-2.md.
"""

from __future__ import annotations

import importlib
import os
from typing import Any


class _Lazy:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # tf.keras and tfmot follow tf_keras
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same sums in the same order everywhere
        return getattr(importlib.import_module(self._name), attribute)


tf: Any = _Lazy("tensorflow")
keras: Any = _Lazy("tf_keras")
tfmot: Any = _Lazy("tensorflow_model_optimization")
spektral_layers: Any = _Lazy("spektral.layers")


def make_repeatable(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and make every TensorFlow op deterministic."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def trained_on() -> str:
    """Return what TensorFlow computes on: each GPU's name, or the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    return ", ".join(names) or "CPU"
