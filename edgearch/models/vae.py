"""Variational autoencoders: an image as a few numbers with a known distribution, and back.

A device gets two models. The ``encoder`` says where in the latent space an image lies: a mean and a log
variance for each of its numbers. The ``decoder`` makes an image of such numbers, ``z``. Drawing z stands
between the two and outside both, so no graph holds a random operator, which a microcontroller does not have:
give the decoder the mean and it copies the image, give it normal noise and it makes a new one.

Source: D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", arXiv:1312.6114.
"""

from __future__ import annotations

import math
from typing import Any

from edgearch.errors import RequestError
from edgearch.framework import keras
from edgearch.models import Architecture, Export, Purpose, Recipe, _latent
from edgearch.work import Spec

LATENT = 8
DRAWN = 10  # images that a report shows of each way to make one


def vae(spec: Spec) -> Architecture:
    """Build dense layers of 256 and 128 units around the latent space."""
    shape, size = _latent.image(spec, "vae"), _size(spec)
    image = keras.Input(shape, name="image")
    x = keras.layers.Flatten(name="flatten")(image)
    for index, units in enumerate((256, 128)):
        x = keras.layers.Dense(units, activation="relu", name=f"encode_{index}")(x)
    encoder = _encoder(image, x, size)

    z = keras.Input((size,), name="z")
    x = z
    for index, units in enumerate((128, 256)):
        x = keras.layers.Dense(units, activation="relu", name=f"decode_{index}")(x)
    x = keras.layers.Dense(math.prod(shape), activation="sigmoid", name="pixels")(x)
    decoder = keras.Model(z, keras.layers.Reshape(shape, name="image")(x), name="decoder")
    return _architecture(
        "vae",
        encoder,
        decoder,
        shape,
        size,
        Recipe(epochs=120, batch_size=64, learning_rate=2e-3, weight_decay=0.0, patience=30),
    )


def convolutional(spec: Spec) -> Architecture:
    """Build convolutions that halve the image twice, and transposed ones that double it twice."""
    shape, size = _latent.image(spec, "vae-conv"), _size(spec)
    height, width = _latent.quarters(shape, "vae-conv")
    image = keras.Input(shape, name="image")
    x = image
    for index, filters in enumerate((16, 32)):
        x = keras.layers.Conv2D(filters, 3, 2, padding="same", activation="relu", name=f"encode_{index}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    encoder = _encoder(image, keras.layers.Dense(64, activation="relu", name="encode_2")(x), size)

    z = keras.Input((size,), name="z")
    x = keras.layers.Dense(64, activation="relu", name="decode_0")(z)
    x = keras.layers.Dense(height * width * 32, activation="relu", name="decode_1")(x)
    x = keras.layers.Reshape((height, width, 32), name="map")(x)
    for index, filters in enumerate((16, 16)):
        x = keras.layers.Conv2DTranspose(
            filters, 3, 2, padding="same", activation="relu", name=f"double_{index}"
        )(x)
    x = keras.layers.Conv2D(shape[-1], 3, padding="same", activation="sigmoid", name="image")(x)
    decoder = keras.Model(z, x, name="decoder")
    return _architecture(
        "vae_conv",
        encoder,
        decoder,
        shape,
        size,
        Recipe(epochs=120, batch_size=64, learning_rate=3e-3, weight_decay=0.0, patience=30),
    )


VARIANTS = {"vae": vae, "vae-conv": convolutional}
PURPOSES = dict.fromkeys(VARIANTS, Purpose("reconstruct", "digits"))


def _size(spec: Spec) -> int:
    size, pixels = spec.latent or LATENT, math.prod(spec.inputs["image"])
    if size >= pixels:
        raise RequestError(
            f"A latent size of {size} is no bottleneck for images of {pixels} values: "
            f"choose fewer, with --set train.latent={LATENT} for example."
        )
    return size


def _encoder(image: Any, features: Any, size: int) -> Any:
    outputs = {name: keras.layers.Dense(size, name=name)(features) for name in ("mean", "log_variance")}
    return keras.Model({"image": image}, outputs, name="encoder")


def _architecture(
    name: str, encoder: Any, decoder: Any, shape: tuple[int, ...], size: int, recipe: Recipe
) -> Architecture:
    from edgearch.models._variational import Variational  # its base class is TensorFlow's

    exports = {
        "encoder": Export(
            lambda image: encoder({"image": image}, training=False),
            {"image": (1, *shape)},
            lambda examples: examples.inputs,
        ),
        # The mean of each example, as the device's own encoder gave it, then draws from the prior.
        "decoder": Export(
            lambda z: {"image": decoder(z, training=False)},
            {"z": (1, size)},
            lambda examples: {"z": _latent.draws(examples, DRAWN, size)},
            chained={"z": ("encoder", "mean")},
        ),
    }
    model = Variational(encoder, decoder, name)
    return Architecture(model, exports, recipe, predicts="encoder", parts=("encoder", "decoder"))
