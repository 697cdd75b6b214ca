"""Scores of anomaly detection, reconstruction and generation, on predictors whose score is known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from edgearch import data, tasks
from edgearch.data import Dataset, Examples
from edgearch.tasks import Score, _pca, detect_anomalies, generate, reconstruct
from edgearch.work import Arrays, Predictor


@cache
def digits() -> Dataset:
    return data.source("digits").load(None)


def answering(**outputs: np.ndarray) -> Predictor:
    return lambda _role, _inputs: outputs


def test_auc_is_that_of_scikit_learn_ties_included() -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    labels, errors = random.integers(0, 2, 200), random.integers(0, 20, 200).astype(float)
    assert detect_anomalies.auc(labels, errors) == pytest.approx(roc_auc_score(labels, errors))


def test_detector_that_copies_normal_examples_only_has_an_auc_of_1() -> None:
    dataset = data.source("digits_anomaly").load(None)
    examples, task = dataset.test, tasks.task("detect_anomalies")
    anomalies = examples.labels[:, None, None, None]
    prepared = tasks.prepare("detect_anomalies", dataset)
    perfect = answering(reconstruction=examples.inputs["image"] * (1 - anomalies))
    score = tasks.score("detect_anomalies", perfect, examples, prepared)
    assert (score.metric, score.value, score.higher_is_better) == ("auc", 1.0, True)
    (linear,) = score.baselines.values()
    assert 0.9 < linear["auc"] < 1
    assert task.targets(examples)[1] is examples.inputs["image"]


def test_auc_has_an_interval_by_resampling() -> None:
    dataset = data.source("digits_anomaly").load(None)
    prepared = tasks.prepare("detect_anomalies", dataset)
    copies = _pca.reconstruct(prepared, dataset.test.inputs["image"], 4)
    score = tasks.score("detect_anomalies", answering(reconstruction=copies), dataset.test, prepared)
    found = tasks.compare(score, score, len(dataset.test))
    assert (found["delta"], found["ci95"], found["p_value"]) == (0, [0, 0], 1)
    low, high = found["float_ci95"]
    assert low < score.value < high


def test_pca_is_that_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    train, test = (split.inputs["image"].reshape(len(split), -1) for split in (digits().train, digits().test))
    expected = PCA(8).fit(train.astype(np.float64))
    found = _pca.reconstruct(_pca.fit(train), test, 8)
    np.testing.assert_allclose(found, expected.inverse_transform(expected.transform(test)), atol=1e-6)


def linear(prepared: Arrays, images: np.ndarray, size: int) -> Predictor:
    """Return probabilistic PCA as an encoder and a decoder."""
    flat = images.reshape(len(images), -1) - prepared["pca_mean"]
    components, variances = prepared["pca_components"][:size], prepared["pca_variances"][:size]
    weights = np.sqrt(variances - reconstruct.SIGMA**2)
    mean = flat @ components.T * weights / variances
    told = {"mean": mean, "log_variance": np.tile(np.log(reconstruct.SIGMA**2 / variances), (len(mean), 1))}
    made = {"image": (mean * weights @ components + prepared["pca_mean"]).reshape(images.shape)}
    return lambda role, _inputs: told if role == "encoder" else made


def test_probabilistic_pca_as_a_predictor_scores_what_its_baseline_says() -> None:
    prepared, test = tasks.prepare("reconstruct", digits()), digits().test
    score = tasks.score("reconstruct", linear(prepared, test.inputs["image"], 6), test, prepared)
    assert score.baselines["PCA with 6 components"]["negative_elbo"] == pytest.approx(score.value)
    assert score.per_example is not None
    assert score.per_example.mean() == pytest.approx(score.value)
    assert not score.higher_is_better
    assert score.per_example.min() >= 0


def test_more_components_bound_the_likelihood_better() -> None:
    prepared, test = tasks.prepare("reconstruct", digits()), digits().test
    values = [
        tasks.score("reconstruct", linear(prepared, test.inputs["image"], size), test, prepared).value
        for size in (2, 8, 16)
    ]
    assert values == sorted(values, reverse=True)


def test_divergence_is_the_integral_it_stands_for() -> None:
    from scipy import integrate, stats

    inside, prior = stats.norm(0.7, np.exp(-0.4)), stats.norm(0, 1)
    expected, _ = integrate.quad(lambda z: inside.pdf(z) * (inside.logpdf(z) - prior.logpdf(z)), -8, 8)
    found = reconstruct.divergence(np.array([[0.7, 0.0]]), np.array([[-0.8, 0.0]]))
    assert found == pytest.approx([expected], rel=1e-6)


def test_images_made_of_noise_are_shown_and_not_scored() -> None:
    prepared, test = tasks.prepare("reconstruct", digits()), digits().test
    copying = linear(prepared, test.inputs["image"], 6)

    def longer(role: str, inputs: Arrays) -> Arrays:
        found = copying(role, inputs)
        return (
            {"image": np.concatenate([found["image"], found["image"][:3] * 0])}
            if role == "decoder"
            else found
        )

    plain, more = (tasks.score("reconstruct", one, test, prepared) for one in (copying, longer))
    assert plain.value == more.value
    assert [len(score.details["images"]) for score in (plain, more)] == [1, 2]
    assert more.details["images"][1]["images"]["shape"] == [3, 8, 8, 1]


@cache
def classifier() -> Arrays:
    return tasks.prepare("generate", digits())


def generated(images: np.ndarray) -> Score:
    return tasks.score("generate", answering(image=images), digits().test, classifier())


def test_classifier_behind_the_frechet_distance_knows_the_digits() -> None:
    _, probabilities = generate.understood(classifier(), digits().test.inputs["image"])
    assert np.mean(probabilities.argmax(axis=1) == digits().test.labels) > 0.94
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_real_images_are_at_the_distance_of_the_baseline_and_cover_every_mode() -> None:
    score = generated(digits().train.inputs["image"][:360])
    (baseline,) = score.baselines.values()
    assert score.value == pytest.approx(baseline["frechet_distance"])
    assert score.details["figures"]["modes covered, of 10"] == 10
    assert not score.higher_is_better


def test_generator_that_repeats_one_digit_is_far_off_and_covers_one_mode() -> None:
    score = generated(np.repeat(digits().train.inputs["image"][:1], 360, axis=0))
    (baseline,) = score.baselines.values()
    assert score.value > 10 * baseline["frechet_distance"]
    assert score.details["figures"]["modes covered, of 10"] == 1


def test_grey_noise_is_recognized_as_nothing_less_often_than_digits() -> None:
    noise = np.random.default_rng(0).random((360, 8, 8, 1))
    score = generated(noise)
    real = generated(digits().train.inputs["image"][:360])
    assert score.details["figures"]["images recognized"] < real.details["figures"]["images recognized"]
    assert score.value > real.value


def test_frechet_distance_of_known_distributions() -> None:
    values = np.random.default_rng(0).standard_normal((500, 4))
    assert generate.frechet(values, values) == pytest.approx(0, abs=1e-9)
    assert generate.frechet(values, values + 3) == pytest.approx(4 * 9)
    # N(0, C) and N(0, 4 C): tr(C + 4 C - 2 · 2 C) = tr(C)
    centred = values - values.mean(axis=0)
    assert generate.frechet(centred, 2 * centred) == pytest.approx(np.trace(np.cov(values, rowvar=False)))


def test_interval_of_a_frechet_distance_holds_its_value_though_resamples_are_larger() -> None:
    score = generated(digits().train.inputs["image"][:360])
    assert score.resample is not None
    assert score.resample(np.random.default_rng(0).integers(0, 360, 360)) > score.value
    low, high = tasks.compare(score, score, 360)["float_ci95"]
    assert low < score.value < high


def test_anomalies_are_in_the_test_split_only() -> None:
    found, source = data.source("digits_anomaly").load(None), digits()
    for split in (found.train, found.validation, found.calibration):
        assert len(split) > 50
        assert not split.labels.any()
    assert 0.6 < found.test.labels.mean() < 0.8
    np.testing.assert_array_equal(found.test.inputs["image"], source.test.inputs["image"])
    assert found.test.labels[np.isin(source.test.labels, (0, 4, 7))].sum() == 0


def test_a_task_without_preparation_scores_without_it() -> None:
    assert tasks.prepare("classify", digits()) == {}
    examples = Examples({"image": np.zeros((2, 1), np.float32)}, np.array([0, 1]))
    score = tasks.score("classify", answering(logits=np.eye(2)), examples, {})
    assert score.value == 1
