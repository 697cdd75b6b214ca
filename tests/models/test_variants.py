"""One contract, every variant for images, on every shape of image it may meet."""

from __future__ import annotations

import pytest

from edgearch import models
from edgearch.errors import RequestError
from edgearch.work import Spec

SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3)]
ALL = sorted(variant for variants in models.families().values() for variant in variants)
VARIANTS = [variant for variant in ALL if models.find(variant).purpose == models.Purpose()]
SEQUENCES = [variant for variant in ALL if models.find(variant).family == "transformer"]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_variant_builds_for_every_size_and_its_export_computes(
    variant: str, shape: tuple[int, int, int]
) -> None:
    from edgearch.framework import tf

    architecture = models.find(variant).builder(Spec({"image": shape}, 10))
    export = architecture.exports["model"]
    assert export.inputs == {"image": (1, *shape)}
    outputs = export.function(image=tf.zeros((1, *shape)))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {"logits": (1, 10)}


@pytest.mark.parametrize("variant", SEQUENCES)
@pytest.mark.parametrize("shape", [(8, 8), (28, 5), (1, 3)], ids=str)
def test_variant_for_sequences_builds_for_every_length_and_its_export_computes(
    variant: str, shape: tuple[int, int]
) -> None:
    from edgearch.framework import tf

    architecture = models.find(variant).builder(Spec({"sequence": shape}, 10))
    outputs = architecture.exports["model"].function(sequence=tf.zeros((1, *shape)))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {"logits": (1, 10)}


def test_family_name_is_its_default_variant() -> None:
    assert models.find("cnn").name == "cnn-resnet8"
    assert models.find("mlp").name == "mlp"
    assert models.find("cnn-dscnn").family == "cnn"


def test_resnet8_has_the_benchmarks_parameters_on_its_own_input() -> None:
    # MLPerf Tiny's reference has 78,666 with biases in its convolutions, which batch normalization replaces
    model = models.find("cnn-resnet8").builder(Spec({"image": (32, 32, 3)}, 10)).train
    assert model.count_params() == pytest.approx(78_666, rel=0.02)


def test_cnn_refuses_inputs_that_are_no_image() -> None:
    with pytest.raises(RequestError, match="image"):
        models.find("cnn").builder(Spec({"sequence": (8, 8)}, 10))


def test_vit_refuses_images_that_have_no_cut_into_square_patches() -> None:
    with pytest.raises(RequestError, match="31×31 pixels have no such cut"):
        models.find("vit").builder(Spec({"image": (31, 31, 1)}, 10))
    with pytest.raises(RequestError, match="image"):
        models.find("vit").builder(Spec({"sequence": (8, 8)}, 10))


def test_transformer_refuses_inputs_that_are_no_sequence() -> None:
    with pytest.raises(RequestError, match=r"sequence \(steps, features\)"):
        models.find("transformer").builder(Spec({"image": (8, 8, 1)}, 10))
