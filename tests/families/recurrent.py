"""A family whose operator has no int16 kernel: the converter names it."""

from __future__ import annotations

from edgearch.framework import keras
from edgearch.models import Architecture, Purpose, logits_export
from edgearch.work import Spec


def recurrent(spec: Spec) -> Architecture:
    sequence = keras.Input(spec.inputs["sequence"], name="sequence")
    logits = keras.layers.Dense(spec.classes, name="logits")(keras.layers.LSTM(4, name="lstm")(sequence))
    model = keras.Model({"sequence": sequence}, logits, name="recurrent")
    return Architecture(model, logits_export(model, spec))


VARIANTS = {"recurrent": recurrent}
PURPOSES = {"recurrent": Purpose(dataset="digits_rows")}
