"""Convolutional networks for images, from LeNet-5 to MLPerf Tiny's.

Sizes come from the dataset: a network drawn for larger images keeps its layers and leaves out the strides
that would shrink a feature map below two pixels, so 8×8 digits and 32×32 photographs both work.
Batch normalization stands between convolution and ReLU, where the converter folds it into the convolution.
ConvNeXt alone normalizes each place over its channels, as transformers do: the device computes that.
"""

from __future__ import annotations

import math
from typing import Any

from edgearch.errors import RequestError
from edgearch.framework import keras
from edgearch.models import Architecture, Recipe, _blocks, logits_export
from edgearch.work import Spec

# The usual 0.99 needs thousands of steps to settle; small datasets have hundreds.
MOMENTUM = 0.9


def resnet8(spec: Spec) -> Architecture:
    """Build MLPerf Tiny's image classifier: three residual stacks of 16, 32 and 64 filters.

    Source: C. Banbury et al., "MLPerf Tiny Benchmark", 2021; K. He et al., arXiv:1512.03385.
    """
    image = _image(spec)
    x = _conv(image, 16, 3, name="stem")
    for index, filters in enumerate((16, 32, 64)):
        x = _residual(x, filters, stride=_stride(x, 1 if index == 0 else 2), name=f"stack_{index}")
    return _classifier("cnn_resnet8", image, keras.layers.GlobalAveragePooling2D(name="pool")(x), spec)


def lenet5(spec: Spec) -> Architecture:
    """Build LeNet-5 with ReLU and max pooling; images below 28 pixels are convolved with padding.

    Source: Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998.
    """
    image = _image(spec)
    padding = "valid" if min(image.shape[1:3]) >= 28 else "same"
    x = image
    for index, filters in enumerate((6, 16)):
        x = keras.layers.Conv2D(filters, 5, padding=padding, activation="relu", name=f"conv_{index}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool_{index}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for index, units in enumerate((120, 84)):
        x = keras.layers.Dense(units, activation="relu", name=f"dense_{index}")(x)
    x = keras.layers.Dropout(0.3, name="dropout")(x)  # a thousand digits are soon known by heart
    recipe = Recipe(epochs=100, learning_rate=3e-3, patience=100, crop=True)
    return _classifier("cnn_lenet5", image, x, spec, recipe)


def mobilenetv1(spec: Spec) -> Architecture:
    """Build MobileNetV1 with a quarter of the filters, MLPerf Tiny's visual wake words network.

    Source: A. Howard et al., arXiv:1704.04861.
    """
    image = _image(spec)
    filters = (8, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)
    strides = _fitting_strides(image, (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1))
    x = _conv(image, filters[0], 3, stride=strides[0], name="stem")
    for index in range(13):
        x = _separable(x, filters[index + 1], strides[index + 1], name=f"block_{index}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    recipe = Recipe(epochs=40, learning_rate=2e-2, patience=40, crop=True)
    return _classifier("cnn_mobilenetv1", image, x, spec, recipe)


def dscnn(spec: Spec) -> Architecture:
    """Build DS-CNN, MLPerf Tiny's keyword spotter: a convolution and four depthwise-separable blocks of 64.

    Source: Y. Zhang et al., "Hello Edge", arXiv:1711.07128.
    """
    image = _image(spec)
    x = _conv(image, 64, 3, stride=_stride(image, 2, 16), name="stem")
    for index in range(4):
        x = _separable(x, 64, stride=1, name=f"block_{index}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return _classifier("cnn_dscnn", image, x, spec, Recipe(epochs=40, learning_rate=3e-3, crop=True))


def convnext(spec: Spec) -> Architecture:
    """Build a small ConvNeXt: two stages of two blocks with 24 and 48 channels.

    Source: Z. Liu et al., arXiv:2201.03545.
    """
    image = _image(spec)
    stride = _stride(image, 4, 32)
    x = keras.layers.Conv2D(24, max(stride, 3), stride, padding="same", name="stem")(image)
    x = _blocks.layer_norm(x, spec, "stem_norm")
    for stage, channels in enumerate((24, 48)):
        if stage:
            x = _blocks.layer_norm(x, spec, f"down_{stage}_norm")
            x = keras.layers.Conv2D(channels, 2, _stride(x, 2), padding="same", name=f"down_{stage}")(x)
        for block in range(2):
            x = _convnext_block(x, spec, name=f"block_{stage}_{block}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = _blocks.layer_norm(x, spec, "norm")
    recipe = Recipe(epochs=40, learning_rate=3e-3, weight_decay=5e-2, crop=True)
    return _classifier("cnn_convnext", image, x, spec, recipe)


VARIANTS = {
    "cnn-resnet8": resnet8,
    "cnn-lenet5": lenet5,
    "cnn-mobilenetv1": mobilenetv1,
    "cnn-dscnn": dscnn,
    "cnn-convnext": convnext,
}
REWRITES = {"cnn-convnext": (_blocks.LAYER_NORM, _blocks.GELU)}


def _image(spec: Spec) -> Any:
    if list(spec.inputs) != ["image"] or len(spec.inputs["image"]) != 3:
        raise RequestError(
            f"A cnn takes one input, image (height, width, channels); this dataset has {dict(spec.inputs)}."
        )
    return keras.Input(spec.inputs["image"], name="image")


def _stride(x: Any, wanted: int, smallest: int = 4) -> int:
    """Return ``wanted`` unless the feature map, (batch, height, width, channels), is below ``smallest``."""
    return wanted if min(x.shape[1:3]) >= smallest else 1


def _fitting_strides(image: Any, strides: tuple[int, ...]) -> list[int]:
    """Return ``strides`` without the earliest ones that would leave less than two pixels at the end."""
    halvings = max(0, int(math.log2(min(image.shape[1:3]) / 2)))
    kept = [index for index, stride in enumerate(strides) if stride == 2][-halvings:] if halvings else []
    return [2 if index in kept else 1 for index in range(len(strides))]


def _conv(x: Any, filters: int, size: int, name: str, stride: int = 1, relu: bool = True) -> Any:
    x = keras.layers.Conv2D(filters, size, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _residual(x: Any, filters: int, stride: int, name: str) -> Any:
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        shortcut = _conv(x, filters, 1, f"{name}_shortcut", stride, relu=False)
    x = _conv(x, filters, 3, f"{name}_first", stride)
    x = _conv(x, filters, 3, f"{name}_second", relu=False)
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _separable(x: Any, filters: int, stride: int, name: str) -> Any:
    x = keras.layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_depthwise_norm")(x)
    x = keras.layers.ReLU(name=f"{name}_depthwise_relu")(x)
    return _conv(x, filters, 1, f"{name}_pointwise")


def _convnext_block(x: Any, spec: Spec, name: str) -> Any:
    """Mix places in each channel, then channels in each place, four times as wide inside."""
    channels = x.shape[-1]
    mixed = keras.layers.DepthwiseConv2D(5, padding="same", name=f"{name}_depthwise")(x)
    mixed = _blocks.layer_norm(mixed, spec, f"{name}_norm")
    mixed = keras.layers.Conv2D(4 * channels, 1, name=f"{name}_expand")(mixed)
    mixed = _blocks.gelu(mixed, spec, f"{name}_gelu")
    mixed = keras.layers.Conv2D(channels, 1, name=f"{name}_project")(mixed)
    return keras.layers.Add(name=f"{name}_add")([x, mixed])


def _classifier(
    name: str, image: Any, features: Any, spec: Spec, recipe: Recipe | None = None
) -> Architecture:
    logits = keras.layers.Dense(spec.classes, name="logits")(features)
    model = keras.Model({"image": image}, logits, name=name)
    return Architecture(model, logits_export(model, spec), recipe or Recipe(epochs=40, crop=True))
