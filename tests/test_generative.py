"""Generative networks from end to end: roles that feed one another on the device, reports with images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgearch.agent import driving
from edgearch.work import load_arrays
from tests.conftest import Deployed, Done, run_edgearch

# Weights need not be good here, only what follows from them right.
QUICK = ("--set", "train.epochs=2", "--set", "validate.max_relative_drop=1")


@pytest.fixture(scope="session")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A hardly trained variational autoencoder on a Raspberry Pi's stand-in."""
    folder = tmp_path_factory.mktemp("vae")
    return Deployed(folder, run_edgearch("deploy", "vae", "--device", "rpi", "--json", *QUICK, cwd=folder))


@pytest.fixture(scope="session")
def gan(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A hardly trained and pruned generator on a microcontroller's kernels."""
    folder = tmp_path_factory.mktemp("gan")
    arguments = ("deploy", "gan", "--device", "mcu", "--pipeline", "prune-int8", "--json", *QUICK)
    return Deployed(folder, run_edgearch(*arguments, "--set", "prune.epochs=1", cwd=folder))


def bundle_of(deployed: Deployed) -> Path:
    return deployed.folder / deployed.done.document["bundle"]


def test_encoder_and_decoder_are_deployed_with_z_between_them(vae: Deployed) -> None:
    assert vae.done.code == 0, vae.done.stderr
    document = vae.done.document
    assert [artifact["role"] for artifact in document["artifacts"]] == ["encoder", "decoder"]
    manifest = json.loads((bundle_of(vae) / "manifest.json").read_text())
    assert manifest["roles"]["encoder"]["chained"] == {}
    assert manifest["roles"]["decoder"]["chained"] == {"z": ["encoder", "mean"]}
    assert document["gate"]["kernels"]["reference"].keys() == {
        "encoder/mean", "encoder/log_variance", "decoder/image",
    }  # fmt: skip


def test_decoder_on_the_device_copies_what_the_devices_encoder_said(vae: Deployed) -> None:
    inputs, expected = (load_arrays(bundle_of(vae) / f"{name}.npz") for name in ("inputs", "expected"))
    assert inputs["encoder/image"].shape == (360, 8, 8, 1)
    # Of z only the draws travel; the rest is made there.
    assert inputs["decoder/z"].shape == (10, 8)
    assert expected["decoder/image"].shape == (370, 8, 8, 1)


def test_negative_elbo_is_scored_as_a_share_beside_a_pca(vae: Deployed) -> None:
    score = vae.done.document["score"]
    assert (score["metric"], score["title"], score["budget"]) == (
        "negative_elbo",
        "negative ELBO",
        "relative",
    )
    assert not score["higher_is_better"]
    low, high = score["ci95"]
    assert low <= score["delta"] <= high
    assert score["baselines"]["PCA with 8 components"]["negative_elbo"] > 0
    assert score["details"]["figures"]["deployed"]["squared error of a pixel"] > 0
    assert vae.done.document["parity"]["agreement"] is None, "images have no class to agree on"


def test_report_shows_originals_float_and_deployed_images(vae: Deployed) -> None:
    page = (bundle_of(vae).parent / "report.html").read_text()
    for words in (
        ">original<",
        ">float<",
        ">deployed, stand-in<",
        ">copied<",
        ">made of noise<",
        "image/png",
    ):
        assert words in page


def test_generator_runs_on_a_microcontroller_half_of_it_pruned(gan: Deployed) -> None:
    assert gan.done.code == 0, gan.done.stderr
    document = gan.done.document
    (artifact,) = document["artifacts"]
    assert artifact["role"] == "generator"
    assert artifact["ops"]["TRANSPOSE_CONV"] == 2
    assert not [op for op in artifact["ops"] if "RANDOM" in op or op == "SHAPE"]
    # int8 rounds a few more weights to zero; biases, not pruned, are not counted
    assert 0.5 <= artifact["sparsity"] <= 0.6
    assert document["where"] == "simulated"
    assert document["score"]["metric"] == "frechet_distance"


def test_generated_images_do_not_depend_on_the_run(gan: Deployed) -> None:
    z = load_arrays(bundle_of(gan) / "inputs.npz")["generator/z"]
    assert z.shape == (360, 16)
    done = gan.again(
        "deploy", "gan", "--device", "mcu", "--pipeline", "prune-int8", "--json", "--again", "measure",
        *QUICK, "--set", "prune.epochs=1",
    )  # fmt: skip
    first, second = (
        one["score"]["details"]["images"]["deployed"] for one in (gan.done.document, done.document)
    )
    assert first == second


def test_anomaly_detector_is_one_model_of_dense_layers(tmp_path: Path) -> None:
    done = run_edgearch("check", "mlp-autoencoder", "--device", "mcu", "--json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    (artifact,) = done.document["artifacts"]
    # 4 + 1 + 4 + 1 layers, their normalization folded into them
    assert artifact["ops"]["FULLY_CONNECTED"] == 10
    assert set(artifact["ops"]) == {"FULLY_CONNECTED", "RESHAPE"}
    assert done.document["fit"]["ok"]


@pytest.mark.parametrize(
    ("model", "setting", "words"),
    [
        ("vae", "train.latent=0", ["'latent'", "greater than or equal to 1"]),
        ("vae", "train.latent=64", ["latent size of 64 is no bottleneck", "64 values"]),
        ("gan", "train.latent=-3", ["'latent'"]),
        ("mlp", "train.latent=4", ["mlp has no latent space", "gan, vae"]),
    ],
)
def test_latent_size_that_cannot_be_is_refused_before_training(
    edgearch: Callable[..., Done], tmp_path: Path, model: str, setting: str, words: list[str]
) -> None:
    done = edgearch("deploy", model, "--device", "rpi", "--set", setting)
    assert done.code == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not list(tmp_path.glob("build/stages/train-*/model.weights.h5"))


@pytest.mark.parametrize(("model", "dataset"), [("vae", "cifar10"), ("mlp-autoencoder", "digits")])
def test_dataset_that_does_not_fit_is_refused(
    edgearch: Callable[..., Done], tmp_path: Path, model: str, dataset: str
) -> None:
    done = edgearch("deploy", model, "--device", "rpi", "--dataset", dataset)
    assert done.code == 2
    assert f"Dataset '{dataset}' does not fit {model}" in done.stderr
    assert not (tmp_path / "build").exists()


def test_chained_input_is_what_an_earlier_role_answered_and_rows_of_its_own_come_after() -> None:
    earlier = {"encoder/mean": np.array([[1.0], [2.0]])}
    chained = {"z": ("encoder", "mean")}
    assert driving.with_chained({}, chained, earlier)["z"].tolist() == [[1], [2]]
    assert driving.with_chained({"z": np.array([[9.0]])}, chained, earlier)["z"].tolist() == [[1], [2], [9]]
    assert driving.with_chained({"x": np.array([[3.0]])}, {}, earlier) == {"x": np.array([[3.0]])}
