"""Datasets: disjoint splits, real files, clear errors."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from edgearch import data
from edgearch.data import Dataset, _idx
from edgearch.errors import RequestError


def rows(dataset: Dataset) -> list[set[bytes]]:
    splits = (dataset.train, dataset.validation, dataset.calibration, dataset.test)
    return [{image.tobytes() for image in split.inputs["image"]} for split in splits]


def test_digits_are_split_in_four_without_overlap() -> None:
    dataset = data.source("digits").load(None)
    sizes = [len(s) for s in (dataset.train, dataset.validation, dataset.calibration, dataset.test)]
    assert sizes == [1077, 180, 180, 360]
    splits = rows(dataset)
    # digits holds no duplicate images, so equal bytes would be the same example
    assert len(set().union(*splits)) == sum(sizes)
    assert dataset.spec.inputs == {"image": (8, 8, 1)}
    assert dataset.spec.classes == 10
    assert np.bincount(dataset.test.labels).min() >= 34


def test_mnist_reads_the_original_files(shared: Path) -> None:
    folder = shared / "data" / "mnist"
    dataset = data.source("mnist").load(folder)
    assert dataset.spec.inputs == {"image": (28, 28, 1)}
    assert [len(dataset.train), len(dataset.test)] == [6500, 2000]
    assert len(set().union(*rows(dataset))) == 10_000
    assert "t10k" in dataset.notes[0]
    raw = _idx.read(folder / "t10k-images-idx3-ubyte.gz")
    assert raw.shape == (10_000, 28, 28)
    assert _idx.read(folder / "t10k-labels-idx1-ubyte.gz")[:5].tolist() == [7, 2, 1, 0, 4]


def test_mnist_keeps_its_own_test_split_when_both_pairs_are_there(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", 6000)
    write_pair(tmp_path, "t10k", 50)
    dataset = data.source("fashion_mnist").load(tmp_path)
    assert [len(dataset.train), len(dataset.validation), len(dataset.calibration)] == [500, 5000, 500]
    assert len(dataset.test) == 50
    assert dataset.notes == ()


def test_fingerprint_follows_the_files(tmp_path: Path) -> None:
    write_pair(tmp_path, "t10k", 50)
    before = data.source("mnist").fingerprint(tmp_path)
    assert data.source("mnist").fingerprint(tmp_path) == before
    write_pair(tmp_path, "t10k", 60)
    assert data.source("mnist").fingerprint(tmp_path) != before


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08\x03", b"not an idx file", struct.pack(">HBBI", 0, 8, 1, 9) + b"12345"]
)
def test_damaged_idx_file_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(RequestError, match="train-images-idx3-ubyte"):
        _idx.read(path)


def test_broken_gzip_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b"\0" * 1000)[:-9])
    with pytest.raises(RequestError, match="cannot be read"):
        _idx.read(path)


def test_folder_without_the_files_says_which_are_expected(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"train-images-idx3-ubyte\.gz"):
        data.source("mnist").load(tmp_path)


def test_cifar10_says_where_its_archive_belongs(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cifar-10-batches-py\.tar\.gz"):
        data.source("cifar10").load(tmp_path)


def write_pair(folder: Path, prefix: str, count: int) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 4, 4), dtype=np.uint8)
    labels = np.arange(count, dtype=np.uint8) % 10
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (folder / f"{prefix}-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))


def test_digits_rows_are_the_digits_row_by_row_in_the_same_splits() -> None:
    images, rows = data.source("digits").load(None), data.source("digits_rows").load(None)
    assert rows.spec.inputs == {"sequence": (8, 8)}
    for name in ("train", "validation", "calibration", "test"):
        image, row = getattr(images, name), getattr(rows, name)
        np.testing.assert_array_equal(row.inputs["sequence"], image.inputs["image"][..., 0])
        np.testing.assert_array_equal(row.labels, image.labels)
