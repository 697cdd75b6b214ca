"""The steps of a deployment, one a file, named by its verb.

A stage module gives ``Settings`` (what a pipeline file may say), ``DEPENDS`` (the fields of the request
that its result depends on), ``PACKAGES`` (the distributions it computes with), ``NEEDS_TENSORFLOW`` (then it
runs in a child process) and ``run(work, settings)``, values in, values out. It may give ``AFTER``: the stages
that stand somewhere before it in every pipeline, because it takes what they make; ``machine(request)``: what
of this machine its result depends on, such as where a program is; and ``FILES``: those of ours that it reads
and that are not code. It knows nothing of what comes after it.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from pydantic import BaseModel

import edgearch.stages
from edgearch import registry
from edgearch.work import Work


class Stage(Protocol):
    """What a stage module gives."""

    Settings: type[BaseModel]
    DEPENDS: tuple[str, ...]
    PACKAGES: tuple[str, ...]
    NEEDS_TENSORFLOW: bool

    def run(self, work: Work, settings: Any) -> Work:
        """Do the step: write into ``work.folder``, return the work with more files and facts."""


def names() -> list[str]:
    """Return the stages there are."""
    return registry.names(edgearch.stages)


def stage(name: str) -> Stage:
    """Return the stage module called ``name``."""
    return cast(Stage, registry.load(edgearch.stages, "stage", name))
