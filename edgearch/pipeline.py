"""Read a pipeline, run its stages in order, keep what is finished and find it again.

A stage's result is named by a hash of all that it depends on: its settings, its code and the code it
imports, the packages it computes with, the fields of the request it reads, the data, and the stage before
it. So a changed setting runs that stage and those after it, and nothing else.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from edgearch import data, isolation, models, records, stages
from edgearch.errors import RequestError, unknown
from edgearch.records import Strict
from edgearch.store import Kept, Store
from edgearch.work import Progress, Request, Work, silent

REMEDY = (
    "Try another variant or pipeline (edgearch compare shows which work), "
    "or rewrite the layer that its output names."
)


class _Step(BaseModel):
    model_config = {"extra": "allow", "frozen": True}
    name: str


class _File(Strict):
    summary: str
    ladder: int | None = None
    stages: tuple[_Step, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Step:
    """A stage with its settings."""

    name: str
    settings: BaseModel


@dataclass(frozen=True)
class Pipeline:
    """An ordered list of stages. ``ladder`` is its place in a comparison, if it has one."""

    name: str
    summary: str
    ladder: int | None
    steps: tuple[Step, ...]

    @property
    def precision(self) -> str:
        """What it deploys."""
        found = [str(getattr(step.settings, "precision", "")) for step in self.steps]
        return next(filter(None, found), "float32")

    def only(self, *names: str) -> Pipeline:
        """Return this pipeline with just the stages called ``names``."""
        return replace(self, steps=tuple(step for step in self.steps if step.name in names))

    def requiring(self, stage: str) -> Pipeline:
        """Return this pipeline, which has to have ``stage``.

        Raises:
            RequestError: it has no such stage.
        """
        names = [step.name for step in self.steps]
        if stage not in names:
            raise unknown(f"stage of pipeline {self.name!r}", stage, names)
        return self

    def having(self, stage: str, **settings: object) -> Pipeline:
        """Return this pipeline with other settings for one stage.

        Raises:
            RequestError: it has no such stage, or the stage no such setting.
        """
        self.requiring(stage)
        where = f"Setting of stage {stage!r}"
        changed = [
            replace(step, settings=_settings(stage, {**step.settings.model_dump(), **settings}, where))
            if step.name == stage
            else step
            for step in self.steps
        ]
        return replace(self, steps=tuple(changed))


@dataclass(frozen=True)
class Timing:
    """How long a stage took, in seconds, when it really ran."""

    name: str
    seconds: float
    cached: bool


def read(name: str) -> Pipeline:
    """Read the pipeline called ``name``.

    Raises:
        RequestError: there is none, a stage or a setting of it is not known, or a stage lacks what it takes.
    """
    path = records.data_file("pipelines", "pipeline", name)
    found = records.read_toml(path, _File)
    steps: list[Step] = []
    for index, step in enumerate(found.stages):
        where = f"{path}: stages.{index} ({step.name})"
        if step.name not in stages.names():
            raise RequestError(f"{where}: {unknown('stage', step.name, stages.names())}")
        settings = _settings(step.name, dict(step.model_extra or {}), where)
        _refuse_without(step.name, [one.name for one in steps], where)
        steps.append(Step(step.name, settings))
    return Pipeline(name, found.summary, found.ladder, tuple(steps))


def _refuse_without(stage: str, before: Sequence[str], where: str) -> None:
    """Raise a RequestError if ``stage`` takes what a stage makes that does not stand ``before`` it."""
    wanted = getattr(stages.stage(stage), "AFTER", ())
    missing = [one for one in wanted if one not in before]
    if missing:
        raise RequestError(
            f"{where}: expected {', '.join(wanted)} before it, found {', '.join(before) or 'no stage'}. "
            f"Put {', '.join(missing)} there: {stage} takes what they make."
        )


def ladder() -> list[Pipeline]:
    """Return the pipelines that a comparison shows, in order."""
    found = [read(name) for name in records.data_files("pipelines")]
    return sorted((one for one in found if one.ladder is not None), key=lambda one: one.ladder or 0)


def _settings(stage: str, found: dict[str, Any], where: str) -> BaseModel:
    record = stages.stage(stage).Settings
    try:
        return record.model_validate(found)
    except ValidationError as error:
        raise RequestError(f"{where}: {records.explain(error, record)}") from error


@dataclass(frozen=True)
class Watcher:
    """Who is told what happens.

    ``started`` hears of each stage that really runs and returns whom it tells its progress; ``finished``
    hears each stage's time; ``opened`` the name of each pipeline of a comparison.
    """

    started: Callable[[str], Progress] = field(default=lambda _stage: silent)
    finished: Callable[[Timing], None] = field(default=lambda _timing: None)
    opened: Callable[[str], None] = field(default=lambda _name: None)


def run(
    pipeline: Pipeline, request: Request, store: Store, watcher: Watcher, again: Sequence[str] = ()
) -> tuple[Work, list[Timing]]:
    """Run the stages that are not finished yet; end early, with a report, where a check fails.

    Args:
        pipeline: What to run.
        request: What for.
        store: Where finished stages are kept.
        watcher: Who is told.
        again: Stages to run though they are finished.
    """
    work, timings = Work(request, store.path("")), []
    upstream = data.source(request.dataset).fingerprint(request.data_folder)
    for step in pipeline.steps:
        upstream = _key(step, request, upstream)
        key = f"{step.name}-{upstream[:16]}"
        kept = None if step.name in again else store.find(key)
        if kept is None:
            kept, cached = _make(step, work, store, key, watcher, anew=step.name in again)
        else:
            cached = True
        work = work.plus(kept.files, **kept.facts)
        timings.append(Timing(step.name, kept.seconds, cached))
        watcher.finished(timings[-1])
        if work.failures:
            break
    return work, timings


def _make(step: Step, work: Work, store: Store, key: str, watcher: Watcher, anew: bool) -> tuple[Kept, bool]:
    """Run a stage and keep its result; say also whether another deployment had just finished it."""
    with store.lock(key):
        kept = None if anew else store.find(key)
        if kept:
            return kept, True
        scratch = store.scratch(key)
        start = time.perf_counter()
        try:
            result = _execute(step, replace(work, folder=scratch, progress=watcher.started(step.name)))
            files = {name: path for name, path in result.files.items() if work.files.get(name) != path}
            facts = {name: value for name, value in result.facts.items() if work.facts.get(name) != value}
            return store.keep(key, scratch, files, facts, time.perf_counter() - start), False
        except BaseException:
            _remove_all_but_logs(scratch)
            raise


def _execute(step: Step, work: Work) -> Work:
    stage = stages.stage(step.name)
    if not stage.NEEDS_TENSORFLOW:
        return stage.run(work, step.settings)
    return isolation.run(
        stage.run,
        work,
        step.settings,
        what=f"{work.request.variant}, stage {step.name}",
        log=work.folder / f"{step.name}.log",
        remedy=REMEDY,
    )


def _remove_all_but_logs(scratch: Path) -> None:
    """Leave the log that an error points to; the next run of this stage removes it."""
    for path in scratch.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix != ".log":
            path.unlink(missing_ok=True)
    if not any(scratch.iterdir()):
        scratch.rmdir()


def _key(step: Step, request: Request, upstream: str) -> str:
    stage = stages.stage(step.name)
    parts = {
        "upstream": upstream,
        "stage": step.name,
        "settings": step.settings.model_dump(mode="json"),
        "request": {name: _plain(getattr(request, name)) for name in stage.DEPENDS},
        "code": _code(_modules_of(step, request, stage.DEPENDS)),
        "packages": {name: importlib.metadata.version(name) for name in stage.PACKAGES},
        "machine": getattr(stage, "machine", lambda _request: None)(request),
        "files": [hashlib.sha256(path.read_bytes()).hexdigest() for path in getattr(stage, "FILES", ())],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return None if value is None else value if isinstance(value, int | str) else str(value)


def _modules_of(step: Step, request: Request, depends: Sequence[str]) -> tuple[str, ...]:
    chosen = {
        "variant": f"edgearch.models.{models.find(request.variant).family}",
        "dataset": f"edgearch.data.{request.dataset}",
        "task": f"edgearch.tasks.{request.task}",
    }
    return (f"edgearch.stages.{step.name}", *(module for field, module in chosen.items() if field in depends))


@functools.cache
def _code(modules: tuple[str, ...]) -> str:
    """Return a digest of the sources of ``modules`` and of all of ours that they import."""
    sources: dict[str, bytes] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name] = _source(name)
            waiting += _imported(sources[name])
    return hashlib.sha256(b"\0".join(sources[name] for name in sorted(sources))).hexdigest()


@functools.cache
def _source(module: str) -> bytes:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).read_bytes() if spec and spec.origin else b""


def _imported(source: bytes) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == "edgearch" and _is_module(name)]


@functools.cache
def _is_module(name: str) -> bool:
    """Say whether ``name`` is a module, and not a name inside one; only packages are imported to tell."""
    parent = name.rpartition(".")[0]
    return (not parent or _is_package(parent)) and importlib.util.find_spec(name) is not None


@functools.cache
def _is_package(name: str) -> bool:
    spec = importlib.util.find_spec(name) if _is_module(name) else None
    return spec is not None and spec.submodule_search_locations is not None


def as_json(timings: Sequence[Timing]) -> list[Mapping[str, Any]]:
    """Return the ``stages`` part of a deployment."""
    return [{**asdict(timing), "seconds": round(timing.seconds, 3)} for timing in timings]
