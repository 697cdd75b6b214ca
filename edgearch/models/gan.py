"""Generative adversarial networks: images from noise, learnt by deceiving a critic.

A device gets the ``generator`` alone, with a static batch of 1; the critic is for training. Noise is an
input: it is drawn outside the graph, so the same vectors give the same images on every device.

Source: A. Radford et al., arXiv:1511.06434 (DCGAN).
"""

from __future__ import annotations

from typing import Any

from edgearch.framework import keras
from edgearch.models import Architecture, Export, Purpose, Recipe, _latent
from edgearch.work import Spec

LATENT = 16


def dcgan(spec: Spec) -> Architecture:
    """Build DCGAN: transposed convolutions with batch normalization, against strided convolutions."""
    from edgearch.models._adversarial import Adversarial  # its base class is TensorFlow's

    shape = _latent.image(spec, "gan")
    model = Adversarial(_generator(spec, "gan"), _critic(shape, dropout=0.3, sees_batch=True), "gan")
    return _architecture(
        model,
        Recipe(epochs=120, batch_size=32, learning_rate=1e-3, weight_decay=0.0, monitor=None, beta_1=0.5),
    )


def wasserstein(spec: Spec) -> Architecture:
    """Build the same two networks; the critic without what its gradient penalty, an image's own, excludes."""
    from edgearch.models._adversarial import Wasserstein

    shape = _latent.image(spec, "gan-wgan-gp")
    model = Wasserstein(
        _generator(spec, "gan-wgan-gp"), _critic(shape, dropout=0.0, sees_batch=False), "gan_wgan_gp"
    )
    return _architecture(
        model,
        Recipe(epochs=80, batch_size=64, learning_rate=1e-3, weight_decay=0.0, monitor=None, beta_1=0.5),
    )


VARIANTS = {"gan": dcgan, "gan-wgan-gp": wasserstein}
PURPOSES = dict.fromkeys(VARIANTS, Purpose("generate", "digits"))


def _generator(spec: Spec, name: str) -> Any:
    shape = spec.inputs["image"]
    height, width = _latent.quarters(shape, name)
    z = keras.Input((spec.latent or LATENT,), name="z")
    x = keras.layers.Dense(height * width * 64, use_bias=False, name="project")(z)
    x = keras.layers.Reshape((height, width, 64), name="map")(x)
    x = _normalized(x, "project")
    for index, filters in enumerate((32, 32)):
        x = keras.layers.Conv2DTranspose(
            filters, 4, 2, padding="same", use_bias=False, name=f"double_{index}"
        )(x)
        x = _normalized(x, f"double_{index}")
    x = keras.layers.Conv2D(shape[-1], 3, padding="same", activation="sigmoid", name="image")(x)
    return keras.Model(z, x, name="generator")


def _normalized(x: Any, name: str) -> Any:
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _critic(shape: tuple[int, ...], dropout: float, sees_batch: bool) -> Any:
    """Return what tells images from real ones, by strided convolutions.

    It ``sees_batch`` where it is also told how alike the images of a batch are.
    """
    from edgearch.models._adversarial import Spread

    image = keras.Input(shape, name="image")
    x = image
    for index, filters in enumerate((32, 64)):
        x = keras.layers.Conv2D(filters, 4, 2, padding="same", name=f"look_{index}")(x)
        x = keras.layers.LeakyReLU(0.2, name=f"look_{index}_relu")(x)
        x = keras.layers.Dropout(dropout, name=f"look_{index}_dropout")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(64, name="features")(x)
    x = keras.layers.LeakyReLU(0.2, name="features_relu")(x)
    x = Spread(name="spread")(x) if sees_batch else x
    x = keras.layers.Dense(64, name="judge")(x)
    x = keras.layers.LeakyReLU(0.2, name="judge_relu")(x)
    return keras.Model(image, keras.layers.Dense(1, name="real")(x), name="critic")


def _architecture(model: Any, recipe: Recipe) -> Architecture:
    generator = model.generator
    (size,) = generator.input_shape[1:]
    export = Export(
        lambda z: {"image": generator(z, training=False)},
        {"z": (1, size)},
        lambda examples: {"z": _latent.draws(examples, len(examples), size)},
    )
    return Architecture(model, {"generator": export}, recipe, predicts="generator", parts=("generator",))
