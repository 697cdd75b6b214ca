"""PubMed: 19,717 papers on diabetes and who cites whom, from the Planetoid files.

A node is a paper, its features the words that it uses; the public split has 20 labelled papers a class.
Source: P. Sen et al., "Collective Classification in Network Data", AI Magazine 29(3), 2008; the split of
arXiv:1603.08861.
"""

from __future__ import annotations

from pathlib import Path

from edgearch.data import Dataset, _planetoid

SUMMARY = "19,717 papers on diabetes and who cites whom (a folder with the Planetoid files)"
TASKS = ("label_nodes",)
LABELS = ("experimental", "type 1", "type 2")


def fingerprint(folder: Path | None) -> str:
    """Return a digest of the files."""
    return _planetoid.fingerprint("pubmed", folder)


def load(folder: Path | None) -> Dataset:
    """Read the network in ``folder``."""
    return _planetoid.load("pubmed", folder, LABELS)
