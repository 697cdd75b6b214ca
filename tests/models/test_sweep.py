"""Every variant there is, end to end in small: built, trained a step, saved, exported, converted, run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgearch import data, isolation, models, profiles
from edgearch.data import Dataset
from edgearch.framework import make_repeatable
from edgearch.stages import _bundle, _fitting, _host, convert, quantize, train, validate
from edgearch.tflite import model as tflite
from edgearch.work import Request, Work

VARIANTS = sorted(name for variants in models.families().values() for name in variants)
FEW = 24  # examples of a split: enough for a batch and for a range; graphs are few enough anyway


def small(dataset: Dataset) -> Dataset:
    splits = (dataset.train, dataset.validation, dataset.calibration, dataset.test)
    return Dataset(*(split.first(FEW) for split in splits), dataset.label_names)


def one_step(work: Work, settings: train.Settings) -> Work:
    """Train for one step on one batch, as the stage ``train`` does for many; convert to float32 and int8."""
    load = data.source(work.request.dataset).load
    _fitting.load_dataset = lambda _work: small(load(None))  # type: ignore[assignment]
    trained = train.run(work, settings)
    make_repeatable(work.request.seed)
    model = _fitting.build(trained, _fitting.spec_of(trained)).train
    drawn = model.get_weights()
    model.load_weights(str(trained.files["weights"]))
    assert not all(map(np.array_equal, drawn, model.get_weights())), "the step changed nothing"
    converted = convert.run(trained, convert.Settings())
    return quantize.run(converted, quantize.Settings(precision="int8", compare_sizes=()))


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_goes_through_every_step(name: str, tmp_path: Path) -> None:
    variant, device = models.find(name), profiles.device("mcu")
    rewrites = tuple(one for one in variant.rewrites if one in device.rewrites)
    purpose = variant.purpose
    request = Request(name, name, purpose.dataset, device, purpose.task, rewrites=rewrites)
    work = isolation.run(
        one_step, Work(request, tmp_path), train.Settings(epochs=1, batch_size=FEW),
        what=name, log=tmp_path / "log", remedy="",
    )  # fmt: skip
    inputs, expected = _bundle.stacked(work, "inputs"), _bundle.stacked(work, "expected")
    found = {}
    for precision in ("float32", "int8"):
        models_of = _bundle.models_of(work, precision)
        folder = _bundle.write(tmp_path / precision, models_of, precision, inputs, {}, _bundle.driving(work))
        found[precision] = _host.outputs(folder, "optimized")
        dtypes = {one.dtype for path in models_of.values() for one in tflite.read(path).inputs()}
        assert dtypes == {precision}
    assert expected.keys() <= found["float32"].keys() == found["int8"].keys()
    for output, value in expected.items():
        span = np.ptp(value) or 1.0
        # sums in another order, no more: the limit is the one that every deployment is held to
        np.testing.assert_allclose(found["float32"][output], value, atol=validate.GATE * span, rtol=0)
        assert found["int8"][output].shape == value.shape
        # weights hardly trained make outputs of little range; even so int8 follows them
        assert np.abs(found["int8"][output] - value).mean() < 0.25 * span
