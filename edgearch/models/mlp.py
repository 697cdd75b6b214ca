"""Multilayer perceptron: every input meets every unit.

What a developer brings over: nothing surprises. Dense layers become FULLY_CONNECTED everywhere, the ReLU is
fused into them, and int8 costs no accuracy. What it costs: all weights are used once an inference, so on
small devices it is flash and its bandwidth that bound it, not arithmetic.
"""

from __future__ import annotations

from edgearch.framework import keras
from edgearch.models import Architecture, Recipe, logits_export
from edgearch.work import Spec

SUMMARY = "fully connected layers"


def mlp(spec: Spec) -> Architecture:
    """Build two hidden layers of 128 and 64 ReLU units."""
    inputs = {name: keras.Input(shape, name=name) for name, shape in spec.inputs.items()}
    flat = [keras.layers.Flatten(name=f"flatten_{name}")(value) for name, value in inputs.items()]
    x = flat[0] if len(flat) == 1 else keras.layers.Concatenate(name="concatenate")(flat)
    for index, units in enumerate((128, 64)):
        x = keras.layers.Dense(units, activation="relu", name=f"hidden_{index}")(x)
        x = keras.layers.Dropout(0.2, name=f"dropout_{index}")(x)
    logits = keras.layers.Dense(spec.classes, name="logits")(x)
    model = keras.Model(inputs, logits, name="mlp")
    return Architecture(model, logits_export(model, spec), Recipe(epochs=60))


VARIANTS = {"mlp": mlp}
