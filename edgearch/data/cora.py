"""Cora: 2,708 papers on machine learning and who cites whom, from the Planetoid files.

A node is a paper, its features the words that it uses; the public split has 20 labelled papers a class.
Source: P. Sen et al., "Collective Classification in Network Data", AI Magazine 29(3), 2008; the split of
arXiv:1603.08861.
"""

from __future__ import annotations

from pathlib import Path

from edgearch.data import Dataset, _planetoid

SUMMARY = "2,708 papers on machine learning and who cites whom (a folder with the Planetoid files)"
TASKS = ("label_nodes",)
LABELS = (
    "theory",
    "reinforcement learning",
    "genetic algorithms",
    "neural networks",
    "probabilistic methods",
    "case based",
    "rule learning",
)


def fingerprint(folder: Path | None) -> str:
    """Return a digest of the files."""
    return _planetoid.fingerprint("cora", folder)


def load(folder: Path | None) -> Dataset:
    """Read the network in ``folder``."""
    return _planetoid.load("cora", folder, LABELS)
