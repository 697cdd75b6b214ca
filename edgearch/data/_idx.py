"""Read IDX files, the format of the MNIST family.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "File formats".
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from edgearch.data import Dataset, Examples, _splits
from edgearch.errors import RequestError

_UNSIGNED_BYTES = 8


def read(path: Path) -> np.ndarray:
    """Return the array in ``path`` (gzipped or not), uint8.

    Raises:
        RequestError: not an IDX file of unsigned bytes, or its size is not what its header says.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        zeros, kind, dimensions = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise RequestError(f"{path}: cannot be read as an IDX file: {error}.") from error
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions)
    if zeros or kind != _UNSIGNED_BYTES or len(values) != math.prod(shape):
        raise RequestError(
            f"{path}: expected an IDX file of unsigned bytes with {math.prod(shape)} values, "
            f"found type {kind:#x} and {len(values)} values."
        )
    return values.reshape(shape)


def pair(folder: Path, prefix: str) -> tuple[Path, Path] | None:
    """Return the image and label files of the split that starts with ``prefix``, if both are there."""
    for suffix in (".gz", ""):
        files = (
            folder / f"{prefix}-images-idx3-ubyte{suffix}",
            folder / f"{prefix}-labels-idx1-ubyte{suffix}",
        )
        if all(file.is_file() for file in files):
            return files
    return None


def files(folder: Path) -> list[Path]:
    """Return the IDX files of ``folder`` that make a dataset.

    Raises:
        RequestError: there is no complete pair.
    """
    found = [file for prefix in ("train", "t10k") for file in pair(folder, prefix) or ()]
    if not found:
        raise RequestError(
            f"{folder}: expected train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz with their t10k "
            "twins (or the t10k pair alone), found neither pair. They are the original files of the dataset."
        )
    return found


def load(folder: Path, label_names: tuple[str, ...]) -> Dataset:
    """Read the splits in ``folder``; if only one of the two pairs is there, all splits are cut from it."""
    files(folder)
    splits = {prefix: _examples(*found) for prefix in ("train", "t10k") if (found := pair(folder, prefix))}
    if len(splits) == 2:
        return _splits.with_own_test(splits["train"], splits["t10k"], label_names)
    ((prefix, examples),) = splits.items()
    size = len(examples)
    train, test, validation, calibration = _splits.cut(
        examples, (size // 5, size // 10, min(500, size // 10))
    )
    note = f"Only the {prefix} files are in {folder}: all four splits were cut from their {size} examples."
    return Dataset(train, validation, calibration, test, label_names, (note,))


def _examples(image_file: Path, label_file: Path) -> Examples:
    images, labels = read(image_file), read(label_file)
    if len(images) != len(labels):
        raise RequestError(f"{image_file} holds {len(images)} images, {label_file} {len(labels)} labels.")
    return _splits.images(images, labels, 255)
