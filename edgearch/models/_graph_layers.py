"""Spektral's layers, told to tfmot what of them can be pruned; made on first use, for they need TensorFlow."""

from __future__ import annotations

import functools
from typing import Any

from edgearch.framework import spektral_layers, tfmot


@functools.cache
def gcn() -> Any:
    """Return spektral's graph convolution, its kernel prunable."""
    return _prunable(spektral_layers.GCNConv)


def _prunable(layer: Any) -> Any:
    """Return a subclass of ``layer`` that names its kernel to tfmot, which knows Keras's own layers only."""

    def kernels(self: Any) -> list[Any]:
        return [self.kernel]

    bases = (layer, tfmot.sparsity.keras.PrunableLayer)
    return type(layer.__name__, bases, {"get_prunable_weights": kernels})
