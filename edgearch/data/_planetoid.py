"""Read the Planetoid files of citation networks: ``ind.NAME.x``, ``tx``, ``allx``, ``y``, …, ``test.index``.

They are Python pickles, and a pickle can call any function. So it is read by an unpickler that admits what
these files are made of and nothing else: NumPy arrays, SciPy's compressed rows, ``defaultdict(list)``.

Source: Z. Yang, W. Cohen, R. Salakhutdinov, "Revisiting Semi-Supervised Learning with Graph Embeddings",
arXiv:1603.08861, and the ``data`` folder of its repository, kimiyoung/planetoid on GitHub.
"""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgearch.data import Dataset, _graphs
from edgearch.data._keras import digest
from edgearch.errors import RequestError

_PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph")
# The public split: the labelled nodes first, then 500 to validate; test.index names the 1,000 to test.
VALIDATION_NODES, CALIBRATION_NODES = 500, 500


def files(name: str, folder: Path | None) -> list[Path]:
    """Return the eight files of the network called ``name``.

    Raises:
        RequestError: no folder was given, or a file is missing.
    """
    wanted = [f"ind.{name}.{part}" for part in (*_PARTS, "test.index")]
    missing = [one for one in wanted if folder is None or not (folder / one).is_file()]
    if folder is None or missing:
        raise RequestError(
            f"Dataset {name!r} is read from the Planetoid files, which are not in "
            f"{folder or 'this package'}: missing {', '.join(missing)}. Get them from the data folder of "
            "the repository kimiyoung/planetoid on GitHub, put them in one folder and name it with "
            "--data-folder."
        )
    return [folder / one for one in wanted]


def fingerprint(name: str, folder: Path | None) -> str:
    """Return a digest of the files."""
    return digest(files(name, folder))


def load(name: str, folder: Path | None, label_names: tuple[str, ...]) -> Dataset:
    """Read a network with its public split, features scaled to a sum of 1 a node as in arXiv:1609.02907.

    Calibration takes 500 nodes that are in no split of the paper, and no labels of them.

    Raises:
        RequestError: a file is missing, damaged, or holds what these files never do.
    """
    paths = files(name, folder)
    parts = {part: read(path) for part, path in zip(_PARTS, paths, strict=False)}
    order = _index(paths[-1])
    try:
        graph, splits, notes = _assembled(parts, order)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise RequestError(
            f"{paths[0].parent}: the ind.{name} files do not fit together ({error}): damaged, or of "
            "different networks. Fetch all eight again."
        ) from error
    return _graphs.nodes_dataset(name, [graph], splits, label_names, notes)


def _assembled(
    parts: Mapping[str, Any], order: np.ndarray
) -> tuple[_graphs.Graph, dict[str, list[np.ndarray]], list[str]]:
    """Put features, labels and edges in the order of the graph's own node numbers."""
    from scipy import sparse

    known, last = parts["allx"].shape[0], int(order.max())
    total = max(last + 1, known + parts["tx"].shape[0])
    features = sparse.lil_matrix((total, parts["allx"].shape[1]), dtype=np.float32)
    features[:known] = parts["allx"]
    features[order] = parts["tx"]  # the test nodes' rows come in the order of test.index
    labels = np.zeros((total, parts["ally"].shape[1]))
    labels[:known], labels[order] = parts["ally"], parts["ty"]
    pairs = [(node, other) for node, others in parts["graph"].items() for other in others]
    nodes = np.asarray(features.todense(), dtype=np.float32)
    sums = nodes.sum(axis=1, keepdims=True)
    nodes /= np.where(sums == 0, 1, sums)
    unlabelled = labels.sum(axis=1) == 0
    classes = np.where(unlabelled, _graphs.NO_LABEL, labels.argmax(axis=1))
    graph = _graphs.Graph(nodes, _graphs.undirected(np.array(pairs)), classes)
    splits = _splits(total, parts["x"].shape[0], order)
    splits["test"] = [splits["test"][0] & ~unlabelled]
    count = int(unlabelled.sum())
    notes = [f"{count} nodes of the graph have neither features nor label in the files."] if count else []
    return graph, splits, notes


def _splits(total: int, trained: int, order: np.ndarray) -> dict[str, list[np.ndarray]]:
    ends = np.cumsum([trained, VALIDATION_NODES, CALIBRATION_NODES])
    if ends[-1] > order.min():
        raise ValueError(f"{int(order.min())} nodes before the test nodes, expected at least {ends[-1]}")
    ranges = (range(ends[0]), range(ends[0], ends[1]), range(ends[1], ends[2]), order)
    masks = {}
    for split, index in zip(_graphs.SPLITS, ranges, strict=True):
        mask = np.zeros(total, dtype=bool)
        mask[np.asarray(index)] = True
        masks[split] = [mask]
    return masks


def _index(path: Path) -> np.ndarray:
    try:
        found = np.array([int(line) for line in path.read_text(encoding="ascii").split()], dtype=np.int64)
    except (ValueError, OSError) as error:
        raise RequestError(f"{path}: expected a node number a line, found {error}.") from error
    if not len(found) or found.min() < 0 or len(np.unique(found)) < len(found):
        raise RequestError(f"{path}: expected different node numbers, a line each.")
    return found


def read(path: Path) -> Any:
    """Return the array, sparse matrix or adjacency list that the pickle ``path`` holds.

    Raises:
        RequestError: it is damaged, or holds or asks for anything else.
    """
    try:
        return _checked(_Unpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load())
    except _RefusedError as refused:
        raise RequestError(f"{path}: {refused}") from refused
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to say
        raise RequestError(
            f"{path}: cannot be read as a Planetoid file ({type(error).__name__}: {error}). "
            "It is damaged: fetch it again."
        ) from error


class _RefusedError(Exception):
    """A pickle that asks for what these files never hold."""


class _Rows:
    """Stands in for SciPy's compressed rows while unpickling: takes their state and does nothing with it."""


class _Unpickler(pickle.Unpickler):
    """Admits the names that Planetoid files refer to; Python 2 wrote them with NumPy and SciPy of 2016."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what ``module.name`` stands for, if it is admitted."""
        admitted = _admitted()
        if (module, name) not in admitted:
            raise _RefusedError(
                f"it asks for {module}.{name}, which is no NumPy or SciPy array and may run code of its "
                "author, so it was not read. Get the file from where it was published."
            )
        return admitted[module, name]


def _admitted() -> dict[tuple[str, str], Any]:
    from numpy._core.multiarray import _reconstruct

    return {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("scipy.sparse.csr", "csr_matrix"): _Rows,
        ("scipy.sparse._csr", "csr_matrix"): _Rows,
        ("collections", "defaultdict"): collections.defaultdict,
        ("__builtin__", "list"): list,
        ("builtins", "list"): list,
    }


def _checked(found: Any) -> Any:
    """Return what was unpickled if it is numbers, in one of the three forms; rows become SciPy's own."""
    if isinstance(found, _Rows):
        return _matrix(vars(found))
    if isinstance(found, np.ndarray):
        return _numbers(found)
    if isinstance(found, collections.defaultdict) and all(
        isinstance(value, int) for node, others in found.items() for value in (node, *others)
    ):
        return found
    raise ValueError(f"holds a {type(found).__name__}")


def _numbers(found: Any) -> np.ndarray:
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiub":
        raise ValueError("holds values that are no numbers")
    return found


def _matrix(state: Mapping[str, Any]) -> Any:
    from scipy.sparse import csr_matrix

    parts = tuple(_numbers(state[name]) for name in ("data", "indices", "indptr"))
    rows = csr_matrix(parts, shape=tuple(state["_shape"]))
    rows.check_format(full_check=True)  # an index out of range would read another's memory
    return rows
