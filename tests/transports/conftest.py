"""A device to reach over ssh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sshd import Sshd, running_sshd


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A real sshd, started for one test."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    with running_sshd(folder) as running:
        yield running
