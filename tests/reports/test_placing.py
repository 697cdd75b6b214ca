"""Where each operator runs, in every kind of report."""

from __future__ import annotations

import re
from pathlib import Path

from edgearch import pipeline, profiles
from edgearch.reports import document, html, markdown, table
from edgearch.work import Request, Work
from tests.reports import samples
from tests.reports.test_table import line_with, printed


def test_placement_says_where_why_and_what_to_do() -> None:
    text = printed(table.check, samples.placed(), width=200)
    assert line_with(text, "Placement").split() == ["Placement", "estimated"]
    assert re.search(r"CONV_2D +7 +edgetpu", text)
    assert re.search(r"GELU +1 +cpu +is not among them +Use RELU.", text)
    assert re.search(r"✗ CUSTOM:mine +1 +none +no such op", text)


def test_accelerator_says_how_much_it_takes_and_what_is_streamed() -> None:
    text = printed(table.deployment, samples.placed(), width=200)
    assert "7 of 11 operators run on edgetpu." in text
    assert "9.00 MB of its 8.00 MB of memory. 1.00 MB of them come from the host at each inference." in text


def test_deployment_to_a_device_without_accelerator_has_no_placement_on_the_terminal() -> None:
    document = samples.lacking(samples.placed(), "accelerator")
    assert "Placement" not in printed(table.deployment, document)
    assert "Placement" in printed(table.check, document)


def test_documents_for_readers_have_a_placement_too() -> None:
    text = markdown.deployment(samples.placed())
    assert "## Placement (estimated)" in text
    assert "| GELU | 1 | cpu | is not among them | Use RELU. |" in text
    assert "Placement" in html.deployment(samples.placed())
    assert "Placement" not in markdown.deployment(samples.deployment())


def test_lines_that_are_not_said_take_no_room() -> None:
    lines = printed(table.check, samples.placed(), width=60).splitlines()
    place = next(number for number, line in enumerate(lines) if "edgetpu" in line)
    assert [bool(line.strip()) for line in lines[place + 1 : place + 3]] == [False, True]


def test_deployment_says_that_nothing_ran_on_the_accelerator() -> None:
    facts = {name: samples.placed()[name] for name in ("placement", "accelerator", "runtimes")}
    request = Request("cnn", "cnn-resnet8", "digits", profiles.device("coral"), "classify")
    work = Work(request, Path(), {}, facts)
    found = document.deployment(pipeline.read("int8"), work, [], None)
    assert found["where"] == "stand-in"
    assert found["accelerator"]["where"] == "estimated"
    assert found["placement"] == facts["placement"]
    assert "Nothing ran on the accelerator of coral" in found["notes"][0]
    assert "--host" not in " ".join(found["notes"])


def test_device_that_a_host_stands_for_names_the_option() -> None:
    request = Request("cnn", "cnn-resnet8", "digits", profiles.device("rpi"), "classify")
    assert "--host" in document.stand_in(Work(request, Path()))[0]
