"""A family whose float32 conversion is wrong: relu(A @ H) of two 2-D operands loses its RELU."""

from __future__ import annotations

from typing import Any

from edgearch.framework import keras, tf
from edgearch.models import Architecture, Export
from edgearch.work import Spec


def dropped(spec: Spec) -> Architecture:
    (shape,) = spec.inputs.values()
    image = keras.Input(shape, name="image")
    hidden = keras.layers.Dense(8, name="hidden")
    logits = keras.layers.Dense(spec.classes, name="logits")
    flat = keras.layers.Reshape(shape[:2], name="rows")
    rows = flat(image)
    model = keras.Model({"image": image}, logits(keras.layers.Flatten()(hidden(rows))), name="dropped")

    def function(image: Any) -> dict[str, Any]:
        square = tf.reshape(image, shape[:2])
        both = tf.nn.relu(tf.matmul(square, hidden(square)))
        return {"logits": logits(tf.reshape(both, (1, -1)))}

    export = Export(function, {"image": (1, *shape)}, lambda examples: examples.inputs)
    return Architecture(model, {"model": export})


VARIANTS = {"dropped": dropped}
