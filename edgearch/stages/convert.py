"""Convert the Keras model to float32 TFLite, the reference that every other precision is compared with."""

from __future__ import annotations

from edgearch.records import Strict
from edgearch.stages import _conversion
from edgearch.work import Work

AFTER = ("train",)
DEPENDS = ("variant", "seed", "rewrites")
PACKAGES = ("tensorflow", "tf-keras", "numpy")
NEEDS_TENSORFLOW = True


class Settings(Strict):
    """Conversion to float32 has no settings."""


def run(work: Work, _settings: Settings) -> Work:
    """Write a float32 file, test inputs and Keras's outputs for each role."""
    work.progress(None, "converting to float32")
    source, examples = _conversion.source_of(work), (work.files["test"], work.files["validation"])
    found = _conversion.to_float32(source, *examples, work.folder)
    kinds = {
        "float32": "float32.tflite",
        "inputs": "inputs.npz",
        "validation": "validation.npz",
        "expected": "expected.npz",
        "float": "float.npz",
    }
    files = {
        f"{role}.{kind}": work.folder / f"{role}.{name}"
        for role in found.roles
        for kind, name in kinds.items()
    }
    by_role = {
        kind: {role: fact[kind] for role, fact in found.roles.items()}
        for kind in ("activations", "state", "instead", "chained")
    }
    return work.plus(
        files,
        roles=list(found.roles),
        precision="float32",
        predicts=found.predicts,
        rewrites=found.rewrites,
        **by_role,
    )
