"""Vision transformer: an image becomes a sequence of patches, and every patch looks at every other.

What a developer brings over: the blocks of any transformer, images from any pipeline. What does not: without
convolution nothing tells the network that neighbours matter, so on a small dataset it learns less than a
small cnn of the same cost.

Source: A. Dosovitskiy et al., arXiv:2010.11929.
"""

from __future__ import annotations

from typing import Any

from edgearch.errors import RequestError
from edgearch.framework import keras
from edgearch.models import Architecture, Recipe, _blocks, logits_export
from edgearch.work import Spec

WIDTH, HEADS, BLOCKS, HIDDEN, DROPOUT = 48, 4, 4, 96, 0.2
PATCHES = 8  # a side at most: attention costs the fourth power of it


def vit(spec: Spec) -> Architecture:
    """Build four pre-norm blocks of 48 features; the mean over patches is classified, no class token."""
    image = _image(spec)
    x = _patches(image)
    for index in range(BLOCKS):
        x = _block(x, spec, name=f"block_{index}")
    x = _blocks.layer_norm(x, spec, name="norm")
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    logits = keras.layers.Dense(spec.classes, name="logits")(x)
    model = keras.Model({"image": image}, logits, name="vit")
    recipe = Recipe(epochs=60, weight_decay=0.3, patience=25)
    return Architecture(model, logits_export(model, spec), recipe)


def _patches(image: Any) -> Any:
    """Return (batch, patches, width): a convolution as wide as its stride, and where each patch was."""
    from edgearch.models import _layers

    size = next(size for size in range(2, max(image.shape[1:3]) + 1) if _fits(image, size))
    x = keras.layers.Conv2D(WIDTH, size, strides=size, name="patches")(image)
    x = keras.layers.Reshape((-1, WIDTH), name="sequence")(x)
    return _layers.Positions(name="positions")(x)


def _fits(image: Any, size: int) -> bool:
    return all(side % size == 0 and 2 <= side // size <= PATCHES for side in image.shape[1:3])


def _block(x: Any, spec: Spec, name: str) -> Any:
    """Look at the other patches, then think about what was seen; each adds to what was there before."""
    seen = _blocks.attention(_blocks.layer_norm(x, spec, f"{name}_norm_1"), HEADS, spec, f"{name}_attention")
    seen = keras.layers.Dropout(DROPOUT, name=f"{name}_dropout_1")(seen)
    x = keras.layers.Add(name=f"{name}_add_1")([x, seen])
    thought = _blocks.layer_norm(x, spec, f"{name}_norm_2")
    thought = keras.layers.Dense(HIDDEN, name=f"{name}_hidden")(thought)
    thought = _blocks.gelu(thought, spec, f"{name}_gelu")
    thought = keras.layers.Dense(WIDTH, name=f"{name}_project")(thought)
    thought = keras.layers.Dropout(DROPOUT, name=f"{name}_dropout_2")(thought)
    return keras.layers.Add(name=f"{name}_add_2")([x, thought])


def _image(spec: Spec) -> Any:
    shape = spec.inputs.get("image", ())
    if list(spec.inputs) != ["image"] or len(shape) != 3:
        raise RequestError(
            f"A vit takes one input, image (height, width, channels); this dataset has {dict(spec.inputs)}."
        )
    image = keras.Input(shape, name="image")
    if not any(_fits(image, size) for size in range(2, min(shape[:2]) + 1)):
        raise RequestError(
            f"A vit cuts an image into equal square patches, 2 to {PATCHES} a side; "
            f"{shape[0]}×{shape[1]} pixels have no such cut. Crop or scale the images, to 32×32 for example."
        )
    return image


VARIANTS = {"vit": vit}
REWRITES = {"vit": (_blocks.LAYER_NORM, _blocks.GELU, _blocks.ATTENTION)}
