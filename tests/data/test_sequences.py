"""Datasets of sequences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgearch import data
from edgearch.data import Dataset, Examples, control_charts
from edgearch.errors import RequestError
from edgearch.profiles import device
from edgearch.work import Request, Work

SPLITS = ("train", "validation", "calibration", "test")


def test_rows_are_those_of_the_same_digits_in_the_same_splits() -> None:
    images, rows = (data.source(name).load(None) for name in ("digits", "digits_rows"))
    assert rows.spec.inputs == {"sequence": (8, 8)}
    for split in SPLITS:
        of_images, of_rows = getattr(images, split), getattr(rows, split)
        np.testing.assert_array_equal(of_images.inputs["image"][..., 0], of_rows.inputs["sequence"])
        np.testing.assert_array_equal(of_images.labels, of_rows.labels)


def test_charts_are_split_in_four_without_overlap_and_every_time_alike() -> None:
    first, again = (data.source("control_charts").load(None) for _ in range(2))
    assert first.spec.inputs == {"sequence": (60, 1)}
    assert first.spec.classes == 6
    assert [len(getattr(first, split)) for split in SPLITS] == [1080, 180, 180, 360]
    charts = [one.tobytes() for split in SPLITS for one in getattr(first, split).inputs["sequence"]]
    assert len(set(charts)) == 1800
    np.testing.assert_array_equal(first.test.inputs["sequence"], again.test.inputs["sequence"])


def test_charts_do_what_their_class_says() -> None:
    charts = dict(zip(control_charts.LABELS, np.split(control_charts.drawn(), 6), strict=True))
    assert np.abs(charts["normal"] - 30).max() <= 6
    slopes = {name: np.polyfit(np.arange(60), value.T, 1)[0] for name, value in charts.items()}
    # the noise, uniform within ±6, moves a slope over 60 readings by 0.026 (its standard error)
    assert slopes["increasing"].min() > 0.1
    assert slopes["decreasing"].max() < -0.1
    spectrum = np.abs(np.fft.rfft(charts["cyclic"] - charts["cyclic"].mean(axis=1, keepdims=True)))
    assert set(np.argmax(spectrum, axis=1)) <= {4, 5, 6}  # 60 readings, periods of 10 to 15
    moved = {name: charts[name][:, 40:].mean(axis=1) - charts[name][:, :19].mean(axis=1) for name in charts}
    # a shift of 7.5 at least; means of 20 readings are off by 1.1 (standard error of their difference)
    assert moved["upward shift"].min() > 3
    assert moved["downward shift"].max() < -3


def test_charts_are_read_from_the_original_file(tmp_path: Path) -> None:
    write(tmp_path, control_charts.drawn()[::3])
    found = data.source("control_charts").load(tmp_path)
    assert [len(getattr(found, split)) for split in SPLITS] == [360, 60, 60, 120]
    before = data.source("control_charts").fingerprint(tmp_path)
    write(tmp_path, control_charts.drawn()[1::3])
    assert data.source("control_charts").fingerprint(tmp_path) != before


@pytest.mark.parametrize(
    ("charts", "words"),
    [
        (np.zeros((6, 61)), "line 1: a sequence of 61 readings is longer than the model.*fixed length of 60"),
        (np.zeros((6, 59)), "shorter"),
        (np.zeros((7, 60)), "as many charts of each of 6 classes, found 7"),
        (np.full((6, 60), "x"), "numbers only"),
    ],
)
def test_charts_that_do_not_fit_are_a_clear_error(tmp_path: Path, charts: np.ndarray, words: str) -> None:
    write(tmp_path, charts)
    with pytest.raises(RequestError, match=words):
        data.source("control_charts").load(tmp_path)


def test_folder_without_charts_says_which_file_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"synthetic_control\.data"):
        data.source("control_charts").fingerprint(tmp_path)


def test_values_that_are_not_finite_are_refused_before_training(tmp_path: Path) -> None:
    from edgearch.stages import _fitting

    charts = control_charts.drawn()[::3]
    charts[0, 5] = np.nan
    write(tmp_path, charts)
    request = Request("lstm", "rnn-lstm", "control_charts", device("rpi"), "classify", data_folder=tmp_path)
    with pytest.raises(RequestError, match="NaN or infinity in 1 of"):
        _fitting.load_dataset(Work(request, tmp_path))


def test_sequences_longer_than_the_export_are_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgearch.stages import _fitting

    found = data.source("digits_rows").load(None)
    sequences = found.test.inputs["sequence"]
    longer = Examples({"sequence": np.concatenate([sequences, sequences], axis=1)}, found.test.labels)

    def load(_folder: Path | None) -> Dataset:
        return replace(found, test=longer)

    monkeypatch.setattr(data.source("digits_rows"), "load", load)
    request = Request("lstm", "rnn-lstm", "digits_rows", device("rpi"), "classify")
    with pytest.raises(RequestError, match=r"test split.*fixed shape \(8, 8\), found \(16, 8\).*Cut"):
        _fitting.load_dataset(Work(request, tmp_path))


def write(folder: Path, charts: np.ndarray) -> None:
    lines = (" ".join(str(value) for value in chart) for chart in charts)
    (folder / "synthetic_control.data").write_text("\n".join(lines) + "\n")
