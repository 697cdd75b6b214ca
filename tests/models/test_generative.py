"""Networks that copy and make images: static graphs without random operators, and how they are fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgearch import data, models, profiles, tasks
from edgearch.data import Examples
from edgearch.errors import RequestError
from edgearch.models import Architecture, _latent
from edgearch.tflite import model as tflite
from edgearch.work import Arrays, Spec

VARIANTS = ["gan", "gan-wgan-gp", "mlp-autoencoder", "vae", "vae-conv"]
SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3)]


def built(variant: str, shape: tuple[int, ...] = (8, 8, 1), latent: int | None = None) -> Architecture:
    return models.find(variant).builder(Spec({"image": shape}, 10, latent=latent))


def images(count: int, shape: tuple[int, ...] = (8, 8, 1)) -> Examples:
    pixels = np.random.default_rng(0).random((count, *shape), dtype=np.float32)
    return Examples({"image": pixels}, np.zeros(count, np.int64))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_variant_makes_images_of_every_size_and_its_roles_fit_together(
    variant: str, shape: tuple[int, ...]
) -> None:
    from edgearch.framework import tf

    exports = built(variant, shape).exports
    made: dict[str, tuple[int, ...]] = {}
    for role, export in exports.items():
        for name, source in export.chained.items():
            assert made["/".join(source)] == export.inputs[name]
        given = {name: tf.zeros(shape) for name, shape in export.inputs.items()}
        outputs = export.function(**given)
        made |= {f"{role}/{name}": tuple(value.shape) for name, value in outputs.items()}
    assert (1, *shape) in made.values()
    fed = next(iter(exports.values())).feed(images(3, shape))
    assert all(value.shape[0] == 3 for value in fed.values())


@pytest.mark.parametrize("variant", VARIANTS)
def test_graph_that_goes_to_a_device_holds_no_random_and_no_dynamic_operator(variant: str) -> None:

    for role, export in built(variant).exports.items():
        nodes = {node.op for node in export.concrete().graph.as_graph_def().node}
        assert not [op for op in nodes if "Random" in op], role
        outputs = export.concrete().structured_outputs
        assert all(value.shape.is_fully_defined() for value in outputs.values()), role


def test_latent_size_is_the_users_and_no_larger_than_an_image() -> None:
    assert built("vae", latent=3).exports["decoder"].inputs == {"z": (1, 3)}
    assert built("gan", latent=5).exports["generator"].inputs == {"z": (1, 5)}
    with pytest.raises(RequestError, match=r"latent size of 64 is no bottleneck for images of 64 values"):
        built("vae", latent=64)


@pytest.mark.parametrize("variant", ["vae-conv", "gan", "gan-wgan-gp"])
def test_image_that_cannot_be_halved_twice_is_refused(variant: str) -> None:
    with pytest.raises(RequestError, match="multiples of 4, found 10 and 8"):
        built(variant, (10, 8, 1))


@pytest.mark.parametrize("variant", ["vae", "vae-conv", "gan", "gan-wgan-gp"])
def test_examples_that_are_no_images_are_refused(variant: str) -> None:
    with pytest.raises(RequestError, match=f"{variant} takes one input, image"):
        models.find(variant).builder(Spec({"sequence": (8, 8)}, 10))


def test_noise_is_the_same_for_the_same_split_and_another_for_another() -> None:
    found = data.source("digits").load(None)
    first, again, other = (
        _latent.draws(split, 50, 8) for split in (found.test, found.test, found.calibration)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first, other).any()
    assert abs(first.mean()) < 0.2 and 0.8 < first.std() < 1.2  # 400 standard normal numbers


def test_validation_loss_of_a_vae_is_the_metric_itself() -> None:
    architecture, examples = built("vae"), data.source("digits").load(None).validation
    task = tasks.task("reconstruct")
    architecture.train.compile("sgd", **task.compile_options())
    x, y = task.targets(examples)
    losses = architecture.train.evaluate(x, y, batch_size=len(examples), verbose=0, return_dict=True)

    def predictor(role: str, inputs: Arrays) -> Any:
        found = getattr(architecture.train, role)(inputs if role == "encoder" else inputs["z"])
        return (
            {"image": found.numpy()}
            if role == "decoder"
            else {name: one.numpy() for name, one in found.items()}
        )

    prepared = tasks.prepare("reconstruct", data.source("digits").load(None))
    score = tasks.score("reconstruct", predictor, examples, prepared)
    assert losses["loss"] == pytest.approx(score.value, rel=1e-5)  # float32 sums against float64 ones


@pytest.mark.parametrize("variant", ["gan", "gan-wgan-gp"])
def test_one_step_moves_generator_and_critic(variant: str) -> None:
    from edgearch.framework import keras

    architecture, task = built(variant), tasks.task("generate")
    model = architecture.train
    model.compile(keras.optimizers.Adam(1e-3), **task.compile_options())
    before = {name: getattr(model, name).get_weights() for name in ("generator", "critic")}
    x, y = task.targets(images(8))
    losses = model.train_on_batch(x, y, return_dict=True)
    assert all(np.isfinite(value) for value in losses.values())
    for name, weights in before.items():
        moved = zip(weights, getattr(model, name).get_weights(), strict=True)
        assert any(not np.array_equal(one, other) for one, other in moved), name


def test_critic_sees_a_generator_that_repeats_itself() -> None:
    from edgearch.framework import tf
    from edgearch.models._adversarial import Spread

    alike, different = (Spread()(tf.constant(rows))[:, -1] for rows in ([[1.0], [1.0]], [[1.0], [3.0]]))
    np.testing.assert_allclose(alike, 0, atol=1e-3)
    np.testing.assert_allclose(different, 1, atol=1e-3)


def test_critic_that_takes_more_steps_rests_no_sooner_than_the_generator() -> None:
    from edgearch.framework import keras

    model = built("gan-wgan-gp").train
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 100)))
    rates = [
        float(optimizer.get_config()["learning_rate"]["config"]["decay_steps"]) / steps
        for optimizer, steps in ((model.optimizer, 1), (model.critic_optimizer, model.critic_steps))
    ]
    assert model.critic_steps > 1
    assert rates == [100, 100]


def test_what_a_sampling_layer_and_an_open_batch_would_leave_in_a_graph(tmp_path: Path) -> None:
    from edgearch.framework import tf

    generator = built("gan").train.generator

    def operators(batch: int | None, noise: bool) -> set[str]:
        def made(z: Any) -> Any:
            return generator(z + tf.random.normal((1, 16)) if noise else z, training=False)

        concrete = tf.function(made).get_concrete_function(tf.TensorSpec((batch, 16), tf.float32))
        file = tmp_path / "made.tflite"
        file.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], generator).convert())
        return set(tflite.read(file).ops())

    static = operators(1, noise=False)
    assert operators(None, noise=False) - static == {"SHAPE", "STRIDED_SLICE", "PACK"}
    assert operators(1, noise=True) - static == {"RANDOM_STANDARD_NORMAL", "ADD"}
    known = profiles.device("mcu").operators
    assert known is not None
    assert static <= set(known) and "RANDOM_STANDARD_NORMAL" not in known
