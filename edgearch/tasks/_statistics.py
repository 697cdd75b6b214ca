"""Two scores on the same examples, compared as such: never two bare numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgearch.tasks import Score

_RESAMPLES = 4999
_SEED = 0
_Z95 = 1.959963984540054


def compare(before: Score, after: Score, examples: int) -> dict[str, Any]:
    """Return ``after`` beside ``before``: the difference, its 95 % interval and a paired p-value.

    Right or wrong answers: the interval of A. Agresti and Y. Min (Statistics in Medicine 24, 2005), which
    stays honest when no example changed sides, and McNemar's exact test. Other values an example: a paired
    bootstrap and a sign-flip permutation test. Metrics of a whole set: resampled by index, both alike, and
    centred on the value.
    """
    delta = after.value - before.value
    if before.per_example is not None and after.per_example is not None:
        interval, p_value = _paired(before.per_example, after.per_example)
        own = [_interval_of(score.per_example) for score in (before, after)]
    else:
        interval, p_value, own = _resampled(before, after, examples)
    return {
        "metric": before.metric,
        "title": before.title or before.metric,
        "higher_is_better": before.higher_is_better,
        "budget": before.budget,
        "baselines": {way: dict(found) for way, found in before.baselines.items()},
        "examples": examples,
        "float": before.value,
        "float_ci95": own[0],
        "deployed": after.value,
        "deployed_ci95": own[1],
        "delta": delta,
        "ci95": interval,
        "p_value": p_value,
    }


def _is_binary(values: np.ndarray) -> bool:
    return bool(np.isin(values, (0, 1)).all())


def _paired(before: np.ndarray, after: np.ndarray) -> tuple[list[float], float]:
    from scipy import stats

    if _is_binary(before) and _is_binary(after):
        gained, lost = int(np.sum(after > before)), int(np.sum(after < before))
        p_value = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
        return _agresti_min(gained, lost, len(before)), float(p_value)
    difference = after - before
    if not difference.any():
        return [0.0, 0.0], 1.0
    flipped = stats.permutation_test(
        (difference,), np.mean, permutation_type="samples", n_resamples=_RESAMPLES, rng=_SEED
    )
    return _bootstrap(difference), float(flipped.pvalue)


def _agresti_min(gained: int, lost: int, examples: int) -> list[float]:
    """Add half an example to each of the four cells of the table, then take the Wald interval."""
    total = examples + 2
    gained_, lost_ = gained + 0.5, lost + 0.5
    centre = (gained_ - lost_) / total
    width = _Z95 * float(np.sqrt(gained_ + lost_ - (gained_ - lost_) ** 2 / total)) / total
    return [max(centre - width, -1.0), min(centre + width, 1.0)]


def _interval_of(values: np.ndarray | None) -> list[float]:
    from scipy import stats

    if values is None:
        raise ValueError("a score without values per example")
    if not _is_binary(values):
        return _bootstrap(values)
    interval = stats.binomtest(int(values.sum()), len(values)).proportion_ci(method="wilson")
    return [float(interval.low), float(interval.high)]


def _bootstrap(values: np.ndarray) -> list[float]:
    from scipy import stats

    found = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=_RESAMPLES, rng=_SEED)
    return [float(found.confidence_interval.low), float(found.confidence_interval.high)]


def _resampled(before: Score, after: Score, examples: int) -> tuple[list[float], float, list[list[float]]]:
    if before.resample is None or after.resample is None:
        raise ValueError(f"metric {before.metric!r} gives neither values per example nor a way to resample")
    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(_SEED)
    indices = [random.integers(0, examples, examples) for _ in range(999)]
    with threadpool_limits(1):  # matrices this small lose more to waiting threads than they gain
        pairs = np.array([(before.resample(index), after.resample(index)) for index in indices])
    differences = _centred(pairs[:, 1] - pairs[:, 0], after.value - before.value)
    side = min(float(np.mean(differences <= 0)), float(np.mean(differences >= 0)))
    own = [_percentiles(_centred(pairs[:, i], score.value)) for i, score in enumerate((before, after))]
    return _percentiles(differences), min(1.0, 2 * side), own


def _centred(values: np.ndarray, value: float) -> np.ndarray:
    """Return resampled ``values`` about ``value``.

    Examples occur twice in a resample, so some metrics are larger there, a Fréchet distance for one: what
    resamples tell is the spread.
    """
    return np.asarray(values - values.mean() + value)


def _percentiles(values: np.ndarray) -> list[float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return [float(low), float(high)]
