"""The emulated microcontroller in every kind of report."""

from __future__ import annotations

import re

from edgearch.reports import html, markdown, table
from tests.reports import samples
from tests.reports.test_table import line_with, printed


def test_emulation_says_instructions_and_what_is_equal() -> None:
    text = printed(table.deployment, samples.emulated(), width=160)
    assert line_with(text, "Emulated processor").split() == ["Emulated", "processor", "emulated"]
    assert re.search(r"encoder +1,234,560 +8 +79 of 80 +1", text)
    assert re.search(r"step +40,000 +80 +80 of 80 +0", text)
    assert "no timing model" in text


def test_documents_for_readers_have_the_emulation_too() -> None:
    assert "## Emulated processor (emulated)" in markdown.deployment(samples.emulated())
    assert "1,234,560" in html.deployment(samples.emulated())
    assert "Emulated processor" not in markdown.deployment(samples.deployment())
