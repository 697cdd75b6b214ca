"""Recurrent networks: one small network, met again at every time step, with a state that remembers.

What goes to a device is chosen here, by what converts (docs/rnn.md):

- ``sequence``: the whole sequence in one inference. An LSTM becomes one fused operator that keeps its state
  in variable tensors; GRU and SimpleRNN become a WHILE loop that crashes the converter's int8 calibration,
  so they have no such export.
- ``step``: one time step, its state a plain input and output that whoever drives it feeds back. It has the
  same cost in memory for a sequence of any length. A network that reads backwards has no such export.

Both are made of the very layers that were trained: there are no weights to copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgearch.data import Examples
from edgearch.errors import RequestError
from edgearch.framework import keras, tf
from edgearch.models import Architecture, Export, Purpose, Recipe
from edgearch.work import Spec

SEQUENCE, STEP = "sequence", "step"
UNITS = 64


def lstm(spec: Spec) -> Architecture:
    """Build a long short-term memory of 64 units: as a fused sequence, and as a step.

    Source: S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", 1997.
    """
    layer = keras.layers.LSTM(UNITS, name="lstm")
    model, head = _classifier("rnn_lstm", [layer], spec)
    exports = {SEQUENCE: _sequence(model, spec, instead=STEP), STEP: _step(model, layer, head, spec)}
    return Architecture(model, exports, RECIPE, predicts=SEQUENCE)


def gru(spec: Spec) -> Architecture:
    """Build a gated recurrent unit network of 64 units, as a step.

    Source: K. Cho et al., arXiv:1406.1078; the reset gate after the product, as in cuDNN.
    """
    layer = keras.layers.GRU(UNITS, name="gru")
    model, head = _classifier("rnn_gru", [layer], spec)
    return Architecture(model, {STEP: _step(model, layer, head, spec)}, RECIPE, predicts=STEP)


def simple(spec: Spec) -> Architecture:
    """Build the plain recurrence tanh(W x + U h + b) of 64 units, as a step.

    Source: J. Elman, "Finding Structure in Time", 1990.
    """
    layer = keras.layers.SimpleRNN(UNITS, name="simple")
    model, head = _classifier("rnn_simple", [layer], spec)
    return Architecture(model, {STEP: _step(model, layer, head, spec)}, RECIPE, predicts=STEP)


def bilstm(spec: Spec) -> Architecture:
    """Build two LSTMs of 32 units, one of which reads the sequence backwards, side by side.

    Two plain layers rather than Keras's ``Bidirectional``, which is the same and cannot be pruned.
    Source: A. Graves, J. Schmidhuber, "Framewise Phoneme Classification with Bidirectional LSTM", 2005.
    """
    layers = [
        keras.layers.LSTM(UNITS // 2, name="forward"),
        keras.layers.LSTM(UNITS // 2, go_backwards=True, name="backward"),
    ]
    model, _head = _classifier("rnn_bilstm", layers, spec)
    return Architecture(model, {SEQUENCE: _sequence(model, spec)}, RECIPE, predicts=SEQUENCE)


VARIANTS = {"rnn-lstm": lstm, "rnn-gru": gru, "rnn-simple": simple, "rnn-bilstm": bilstm}
ALIASES = {"lstm": "rnn-lstm", "gru": "rnn-gru"}
PURPOSES = dict.fromkeys(VARIANTS, Purpose("classify", "digits_rows"))
RECIPE = Recipe(epochs=80, batch_size=32, learning_rate=4e-3, weight_decay=5e-2)


def _classifier(name: str, layers: list[Any], spec: Spec) -> tuple[Any, Any]:
    """Return a model from ``sequence`` through ``layers`` side by side to logits, and its last layer."""
    sequence = keras.Input(_shape(spec), name="sequence")
    # A thousand sequences are soon known by heart; blurred at each sight, they are not.
    noisy = keras.layers.GaussianNoise(0.1, name="noise")(sequence)
    read = [layer(noisy) for layer in layers]
    x = read[0] if len(read) == 1 else keras.layers.Concatenate(name="both")(read)
    head = keras.layers.Dense(spec.classes, name="logits")
    logits = head(keras.layers.Dropout(0.3, name="dropout")(x))
    return keras.Model({"sequence": sequence}, logits, name=name), head


def _shape(spec: Spec) -> tuple[int, ...]:
    if list(spec.inputs) != ["sequence"] or len(spec.inputs["sequence"]) != 2:
        raise RequestError(
            f"An rnn takes one input, sequence (steps, features); this dataset has {dict(spec.inputs)}. "
            "Choose one with sequences, such as digits_rows or control_charts."
        )
    return spec.inputs["sequence"]


def _sequence(model: Any, spec: Spec, instead: str | None = None) -> Export:
    def function(sequence: Any) -> dict[str, Any]:
        return {"logits": model({"sequence": sequence}, training=False)}

    return Export(
        function, {"sequence": (1, *_shape(spec))}, lambda examples: examples.inputs, instead=instead
    )


def _step(model: Any, layer: Any, head: Any, spec: Spec) -> Export:
    """Return one time step of ``layer``: features and state in, logits and the next state out."""
    sizes = np.atleast_1d(layer.cell.state_size)
    states = dict(zip(("hidden", "cell"), sizes, strict=False))  # an LSTM's own order

    def function(features: Any, **state: Any) -> dict[str, Any]:
        output, found = layer.cell(features, [state[name] for name in states], training=False)
        nexts = zip(states, tf.nest.flatten(found), strict=True)
        return {"logits": head(output), **{f"next_{name}": value for name, value in nexts}}

    def whole(examples: Examples) -> dict[str, np.ndarray]:
        return {"logits": np.asarray(model.predict(dict(examples.inputs), verbose=0))}

    shapes = {name: (1, int(size)) for name, size in states.items()}
    return Export(
        function,
        {"features": (1, _shape(spec)[1]), **shapes},
        lambda examples: {"features": examples.inputs["sequence"]},
        state={f"next_{name}": name for name in states},
        whole=whole,
    )
