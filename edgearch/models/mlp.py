"""Multilayer perceptron: every input meets every unit.

What a developer brings over: nothing surprises. Dense layers become FULLY_CONNECTED everywhere, the ReLU is
fused into them, and int8 costs no accuracy. What it costs: all weights are used once an inference, so on
small devices it is flash and its bandwidth that bound it, not arithmetic.
"""

from __future__ import annotations

import math
from typing import Any

from edgearch.errors import RequestError
from edgearch.framework import keras
from edgearch.models import Architecture, Export, Purpose, Recipe, _blocks, logits_export
from edgearch.work import Spec


def mlp(spec: Spec) -> Architecture:
    """Build two hidden layers of 128 and 64 ReLU units."""
    inputs, x = _flat(spec)
    for index, units in enumerate((128, 64)):
        x = keras.layers.Dense(units, activation="relu", name=f"hidden_{index}")(x)
        x = keras.layers.Dropout(0.2, name=f"dropout_{index}")(x)
    logits = keras.layers.Dense(spec.classes, name="logits")(x)
    model = keras.Model(inputs, logits, name="mlp")
    return Architecture(model, logits_export(model, spec), Recipe(epochs=60))


def autoencoder(spec: Spec) -> Architecture:
    """Build MLPerf Tiny's anomaly detector: four layers of 128, a bottleneck of 8, and the same mirrored.

    It copies its input, whatever size that has, and copies badly what it was not trained on.
    Source: C. Banbury et al., "MLPerf Tiny Benchmark", 2021, after DCASE 2020's baseline.
    """
    if len(spec.inputs) != 1:
        raise RequestError(f"An autoencoder copies one input; this dataset has {', '.join(spec.inputs)}.")
    ((name, shape),) = spec.inputs.items()
    source = keras.Input(shape, name=name)
    x = keras.layers.Flatten(name="flatten")(source)
    for index, units in enumerate((128, 128, 128, 128, 8, 128, 128, 128, 128)):
        x = keras.layers.Dense(units, use_bias=False, name=f"dense_{index}")(x)
        # The converter folds the normalization into the layer before it. The usual momentum of 0.99 needs
        # thousands of steps to settle; small datasets have hundreds.
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{index}")(x)
        x = keras.layers.ReLU(name=f"relu_{index}")(x)
    x = keras.layers.Dense(math.prod(shape), name="copy")(x)
    model = keras.Model(
        {name: source}, keras.layers.Reshape(shape, name="reshape")(x), name="mlp_autoencoder"
    )

    def function(**inputs: Any) -> dict[str, Any]:
        return {"reconstruction": model(inputs, training=False)}

    export = Export(function, {name: (1, *shape)}, lambda examples: examples.inputs)
    return Architecture(model, {"model": export}, Recipe(epochs=100))


def swiglu(spec: Spec) -> Architecture:
    """Build two residual blocks of 64 features whose 128 hidden units are gated: today's feed-forward layer.

    Source: N. Shazeer, arXiv:2002.05202.
    """
    inputs, x = _flat(spec)
    x = keras.layers.Dense(64, name="embed")(x)
    for index in range(2):
        gated = _blocks.swiglu(_blocks.rms_norm(x, f"norm_{index}"), 128, 64, f"swiglu_{index}")
        gated = keras.layers.Dropout(0.3, name=f"dropout_{index}")(gated)
        x = keras.layers.Add(name=f"add_{index}")([x, gated])
    logits = keras.layers.Dense(spec.classes, name="logits")(_blocks.rms_norm(x, "norm"))
    model = keras.Model(inputs, logits, name="mlp_swiglu")
    return Architecture(model, logits_export(model, spec), Recipe(epochs=60, weight_decay=5e-2, crop=True))


def _flat(spec: Spec) -> tuple[dict[str, Any], Any]:
    """Return the inputs by name, and all their values side by side, (batch, values)."""
    inputs = {name: keras.Input(shape, name=name) for name, shape in spec.inputs.items()}
    flat = [keras.layers.Flatten(name=f"flatten_{name}")(value) for name, value in inputs.items()]
    return inputs, flat[0] if len(flat) == 1 else keras.layers.Concatenate(name="concatenate")(flat)


VARIANTS = {"mlp": mlp, "mlp-swiglu": swiglu, "mlp-autoencoder": autoencoder}
PURPOSES = {"mlp-autoencoder": Purpose("detect_anomalies", "digits_anomaly")}
