"""A family that int8 ruins: one value of 1,000 beside pixels of 0 to 1 leaves them a quarter of a step."""

from __future__ import annotations

from typing import Any

from edgearch.framework import keras, tf
from edgearch.models import Architecture, Export
from edgearch.work import Spec


def fragile(spec: Spec) -> Architecture:
    (shape,) = spec.inputs.values()
    image = keras.Input(shape, name="image")
    logits = keras.layers.Dense(spec.classes, name="logits")
    flat = keras.layers.Flatten(name="flat")
    model = keras.Model({"image": image}, logits(flat(image)), name="fragile")

    def function(image: Any) -> dict[str, Any]:
        pixels = flat(image)
        outlier = tf.reduce_max(pixels, axis=1, keepdims=True) * 1000.0
        together = tf.concat([pixels, outlier], axis=1)
        return {"logits": logits(together[:, : pixels.shape[1]])}

    export = Export(function, {"image": (1, *shape)}, lambda examples: examples.inputs)
    return Architecture(model, {"model": export})


VARIANTS = {"fragile": fragile}
