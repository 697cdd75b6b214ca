"""Print the figures of docs/*.md again: run the command above each and put what it says in its place.

A place looks like this, and everything between its two lines is replaced:

    <!-- edgearch compare gru --device rpi -->
    <!-- end -->

Run: python scripts/docs.py [PAGE …] [--data-folder FOLDER], or make docs [DATA_FOLDER=FOLDER]. Without the
folder, figures of datasets that need one stay as they are.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgearch.reports import comparing, figures, markdown, rewriting, verdict
from edgearch.reports import recommending as fastest
from edgearch.reports.facts import Facts

ROOT = Path(__file__).parent.parent
PLACE = re.compile(r"<!-- edgearch (?P<arguments>.+?) -->\n.*?<!-- end -->", re.DOTALL)
LEFT_OUT = {"p-value", "gzip", "p99", "RAM", "version"}  # a page is narrower than a report
NEED_A_FOLDER = ("cora", "citeseer", "pubmed")


def main(arguments: list[str]) -> int:
    """Rewrite the pages in place; 1 if a command failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path, default=sorted((ROOT / "docs").glob("*.md")))
    parser.add_argument("--data-folder", type=Path, help="where ind.cora.* and the like are")
    options = parser.parse_args(arguments)
    failed = 0
    for page in options.pages:
        text = page.read_text(encoding="utf-8")
        for place in PLACE.finditer(text):
            printed = _printed(place["arguments"], options.data_folder)
            if printed is None:
                failed += 1
                continue
            page.write_text(page.read_text(encoding="utf-8").replace(place[0], printed), encoding="utf-8")
    return int(failed > 0)


def _printed(command: str, folder: Path | None) -> str | None:
    """Return the place with what ``command`` says, ``None`` where it failed or was not run."""
    words = shlex.split(command)
    if any(word in NEED_A_FOLDER for word in words):
        if folder is None:
            print(f"left as it is, it needs --data-folder: edgearch {command}")
            return None
        words += ["--data-folder", str(folder)]
    print(f"edgearch {command}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "edgearch", *words, "--json", "--build", str(ROOT / "build")],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=False,
    )
    if done.returncode not in (0, 1) or not done.stdout:
        return None
    shown = "\n\n".join(_excerpt(json.loads(done.stdout)))
    return f"<!-- edgearch {command} -->\n{shown}\n<!-- end -->"


def _excerpt(document: dict[str, Any]) -> Iterator[str]:
    if document["schema"].startswith("edgearch/comparison"):
        yield from _table(comparing.comparison(document))
        yield fastest.statement(document)
        return
    yield markdown.escaped(verdict.deployment(document))
    yield from _table(figures.score(document))
    yield from _table(figures.beside(document))
    yield from _table(figures.latency(document))
    yield from _table(figures.memory(document))
    yield from _table(rewriting.rewrites(document))
    yield from _table(rewriting.kept(document))


def _table(facts: Facts | None) -> Iterator[str]:
    if facts is not None:
        wide = [index for index, column in enumerate(facts.columns) if column.title in LEFT_OUT]
        yield markdown.table(facts.without(wide))
        yield from (markdown.escaped(note) for note in facts.notes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
