"""What each verb of the command line does: names in, one document out. No parsing, no printing."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgearch import data, existing, history, models, pipeline, profiles, transports
from edgearch.errors import CheckError, EdgearchError, RequestError, ToolError, unknown
from edgearch.firmware import emulator
from edgearch.pipeline import Pipeline, Watcher
from edgearch.reports import document, files
from edgearch.store import Store
from edgearch.tflite import model as tflite
from edgearch.work import Arrays, Request, Work, save_arrays

TFLITE = ".tflite"


@dataclass(frozen=True)
class Options:
    """What a user may say beside the model; ``settings`` are ``STAGE.KEY=VALUE``."""

    device: str
    pipeline: str | None = None
    dataset: str | None = None
    data_folder: Path | None = None
    seed: int = 0
    host: str | None = None
    build: Path = Path("build")
    again: Sequence[str] = ()
    settings: Sequence[str] = ()


def deploy(model: str, options: Options, watcher: Watcher) -> tuple[dict[str, Any], Path]:
    """Take ``model`` through a pipeline to a device; return the document and the folder of its reports."""
    request = _plugged_in(resolve(model, options))
    return _deploy(request, _chosen(request, options), options, watcher)


def bundled(request: Request, options: Options, watcher: Watcher) -> Path:
    """Take a model as far as its bundle and return the folder; nothing is measured.

    Raises:
        CheckError: the device does not run it, or a check failed.
    """
    chosen = _chosen(request, options).requiring("package")
    upto = chosen.only(*(step.name for step in chosen.steps if step.name != "measure"))
    work, _ = pipeline.run(upto, request, _store(options), watcher, options.again)
    if work.failures:
        raise CheckError(" ".join(work.failures))
    return work.files["bundle/manifest.json"].parent


def compare(model: str, options: Options, watcher: Watcher) -> tuple[dict[str, Any], Path]:
    """Deploy every pipeline of the ladder; one that fails is a row with its reason."""
    request = _plugged_in(resolve(model, options))
    ladder = pipeline.ladder()
    _check_again(options.again, ladder)
    ladder = _each_with_settings(ladder, options.settings)
    documents = []
    for one in ladder:
        watcher.opened(one.name)
        reason = refusal(one, request)
        if reason:
            documents.append(document.refused(one, request, reason))
            continue
        try:
            documents.append(_deploy(request, one, options, watcher)[0])
        except (CheckError, ToolError) as error:
            documents.append(document.refused(one, request, str(error)))
    result = document.comparison(request, documents)
    folder = options.build / "comparisons" / f"{request.variant}-{request.dataset}-{request.device.name}"
    files.write(folder, result, "comparison", {})
    return result, folder


def check(model: str, options: Options, watcher: Watcher) -> dict[str, Any]:
    """Say whether a model or a ``.tflite`` file will fit a device; nothing is trained, nothing is kept."""
    if _is_file(model):
        _refuse_unused(model, options)
        with tempfile.TemporaryDirectory(prefix="edgearch-") as folder:
            work = existing.checked(*_file(model, options), Path(folder), watcher.started("check"))
            found = _file_document(document.CHECK, work)
            return {**found, "where": work.facts["fit"]["where"], "notes": work.facts.get("notes", [])}
    request = resolve(model, options)
    chosen = pipeline.read(options.pipeline or request.device.default_pipeline).requiring("check")
    untrained = chosen.only("train", "convert", "quantize", "check").having("train", epochs=0)
    work, _ = pipeline.run(untrained, request, _store(options), watcher)
    return document.check(chosen, work)


def run(model: str, options: Options, watcher: Watcher, inputs: Path | None) -> tuple[dict[str, Any], Path]:
    """Run an existing ``.tflite`` file on a device; return the document and the folder with its outputs."""
    if not _is_file(model):
        raise RequestError(
            f"{model!r} is not a {TFLITE} file. To train and deploy a model of ours: "
            f"edgearch deploy {model} --device {options.device}."
        )
    path, device, host = _file(model, options)
    host = host or transports.find(device)
    parsed = tflite.read(path)
    fed = (
        existing.read_inputs(inputs, parsed)
        if inputs
        else existing.random_inputs(parsed, existing.RANDOM_EXAMPLES)
    )
    with tempfile.TemporaryDirectory(prefix="edgearch-") as scratch:
        work = existing.checked(path, device, host, Path(scratch), watcher.started("check"))
        outputs: Arrays = {}
        if not work.failures:
            work, outputs = existing.ran(replace(work, progress=watcher.started("measure")), fed, seconds=1.5)
    folder = options.build / "runs" / f"{path.stem}-{device.name}"
    result = _file_document(document.RUN, work)
    result["inputs"] = str(inputs) if inputs else f"{existing.RANDOM_EXAMPLES} random examples"
    if outputs:
        folder.mkdir(parents=True, exist_ok=True)
        result["outputs"] = str(save_arrays(folder / "outputs.npz", outputs))
        result["output_shapes"] = {name: list(value.shape) for name, value in outputs.items()}
    return result, folder


def _is_file(model: str) -> bool:
    return model.lower().endswith(TFLITE)


def _refuse_unused(model: str, options: Options) -> None:
    """Raise a RequestError for options that say how a model is made: a file is made already."""
    for name in ("pipeline", "dataset", "data_folder"):
        if getattr(options, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise RequestError(f"{option} is for models of ours; {model} is a finished file.")


def regress(model: str | None, options: Options, allowed: float, accept: bool) -> dict[str, Any]:
    """Hold the latest measurements on a device against the last accepted ones.

    A regression is one whose ratio is over ``allowed`` with its whole 95 % interval. ``accept`` makes the
    latest ones those that later runs are held against.
    """
    device = _device(options.device)
    host = _host(device, options) if options.host else None
    variant = models.find(model).name if model else None
    latest = history.latest(options.build, device.name, variant, host.address if host else None)
    result = document.regression(device.name, latest, history.changes(options.build, latest), allowed)
    if accept:
        history.accept(options.build, latest)
    return {**result, "accepted": accept, "failures": [] if accept else result["failures"]}


def resolve(model: str, options: Options) -> Request:
    """Look every name up before anything starts."""
    if _is_file(model):
        raise RequestError(
            f"{model!r} is a finished file, and this verb trains a model. Use edgearch run or edgearch check."
        )
    variant = models.find(model)
    purpose = variant.purpose
    dataset = options.dataset or purpose.dataset
    if purpose.task not in data.source(dataset).TASKS:
        raise RequestError(
            f"Dataset {dataset!r} does not fit {variant.name}, whose task is to "
            f"{purpose.task.replace('_', ' ')}. Datasets that do: {', '.join(data.fitting(purpose.task))}."
        )
    device = _device(options.device)
    if options.data_folder and not options.data_folder.is_dir():
        raise RequestError(f"--data-folder {options.data_folder}: no such folder.")
    if purpose.whole_graph:
        _refuse_large_graph(variant.name, dataset, options.data_folder, device)
    return Request(
        model=model,
        variant=variant.name,
        dataset=dataset,
        device=device,
        task=purpose.task,
        data_folder=options.data_folder.absolute() if options.data_folder else None,
        seed=options.seed,
        host=_host(device, options),
        rewrites=tuple(name for name in variant.rewrites if name in device.rewrites),
    )


def _plugged_in(request: Request) -> Request:
    """Return the request with the host that is plugged in, where the user named none.

    Raises:
        RequestError: there is more than one; or there is none, and the emulator asked for is not there.
        DeviceError: it cannot be used yet.
    """
    found = request.host or transports.find(request.device)
    if found is None:
        emulator.check(request.device)
    return replace(request, host=found)


def _refuse_large_graph(variant: str, dataset: str, folder: Path | None, device: profiles.Device) -> None:
    """Read the graph and raise a RequestError if it has more nodes than the device takes at once."""
    if device.max_nodes is None:
        return
    nodes, *_ = data.source(dataset).load(folder).spec.inputs.get("nodes", (0,))
    if nodes > device.max_nodes:
        raise RequestError(
            f"The graphs of {dataset!r} have up to {nodes:,} nodes; {device.name} takes {device.max_nodes:,} "
            f"at once (max_nodes of its profile), because {variant} takes the whole graph as one matrix. "
            "Use gnn-sage, which takes a node and a sample of its neighbours, a smaller graph, or a larger "
            "device."
        )


def refusal(chosen: Pipeline, request: Request) -> str | None:
    """Say why the device cannot run what the pipeline makes, known before any training."""
    refused = request.device.refusal(chosen.precision)
    return ". ".join(refused) if refused else None


def _chosen(request: Request, options: Options) -> Pipeline:
    """Return the pipeline with the user's settings, if the device runs what it makes."""
    chosen = _with_settings(
        pipeline.read(options.pipeline or request.device.default_pipeline), options.settings
    )
    _check_again(options.again, [chosen])
    reason = refusal(chosen, request)
    if reason:
        raise CheckError(reason)
    return chosen


def _deploy(
    request: Request, chosen: Pipeline, options: Options, watcher: Watcher
) -> tuple[dict[str, Any], Path]:
    work, timings = pipeline.run(chosen, request, _store(options), watcher, options.again)
    folder = (
        options.build
        / "deployments"
        / "-".join((request.variant, request.dataset, request.device.name, chosen.name))
    )
    bundle, firmware = (_under(name, work) for name in ("bundle", "firmware"))
    result = document.deployment(
        chosen,
        work,
        timings,
        folder / "bundle" if bundle else None,
        folder / "firmware" if firmware else None,
    )
    files.write(folder, result, "deployment", bundle, firmware)
    history.append(options.build, result)
    return result, folder


def _under(folder: str, work: Work) -> dict[str, Path]:
    """Return the files that stand in a folder of the deployment, by their path in it."""
    prefix = f"{folder}/"
    return {name.removeprefix(prefix): path for name, path in work.files.items() if name.startswith(prefix)}


def _device(name: str) -> profiles.Device:
    """Read a profile and look up the names in it, before anything starts."""
    device = profiles.device(name)
    pipeline.read(device.default_pipeline)
    return device


def _host(device: profiles.Device, options: Options) -> profiles.Host | None:
    host = profiles.host_for(device.name, options.host)
    if host:
        transports.check(device, host)
    return host


def _file(model: str, options: Options) -> tuple[Path, profiles.Device, profiles.Host | None]:
    device = _device(options.device)
    return Path(model), device, _host(device, options)


def _file_document(schema: str, work: Work) -> dict[str, Any]:
    request, facts = work.request, work.facts
    kept = ("artifacts", "fit", "placement", "accelerator", "runtimes", "machine", "condition")
    notes = [*facts.get("notes", []), *document.stand_in(work)]
    return {
        "schema": schema,
        "model": request.model,
        "device": request.device.name,
        "device_title": request.device.title,
        "where": facts.get("where", request.where),
        "precision": facts["precision"],
        **{name: facts[name] for name in kept if name in facts},
        "failures": work.failures,
        "notes": notes,
    }


def _store(options: Options) -> Store:
    return Store(options.build / "stages")


def _check_again(again: Iterable[str], pipelines: Iterable[Pipeline]) -> None:
    known = {step.name for one in pipelines for step in one.steps}
    for name in again:
        if name not in known:
            raise RequestError(f"No stage {name!r} to run again. Available: {', '.join(sorted(known))}.")


def _with_settings(chosen: Pipeline, settings: Sequence[str]) -> Pipeline:
    for stage, key, value in map(_setting, settings):
        chosen = chosen.having(stage, **{key: value})
    return chosen


def _each_with_settings(pipelines: Sequence[Pipeline], settings: Sequence[str]) -> list[Pipeline]:
    """Change each setting where there is its stage; one that no pipeline has is refused."""
    stages = [{step.name for step in one.steps} for one in pipelines]
    for stage, _, _ in map(_setting, settings):
        if stage not in set().union(*stages):
            raise unknown("stage", stage, sorted(set().union(*stages)))
    return [
        _with_settings(one, [text for text in settings if _setting(text)[0] in has])
        for one, has in zip(pipelines, stages, strict=True)
    ]


def _setting(text: str) -> tuple[str, str, object]:
    """Return the stage, key and value of ``STAGE.KEY=VALUE``."""
    target, equals, value = text.partition("=")
    stage, dot, key = target.partition(".")
    if not (equals and dot and key):
        raise RequestError(f"--set {text}: expected STAGE.KEY=VALUE, such as train.epochs=10.")
    return stage, key, _value(value)


def _value(text: str) -> object:
    """Read ``text`` as TOML does; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def exit_code(result: dict[str, Any]) -> int:
    """Return what a shell sees: 1 where a check failed; a comparison fails when every row of it does."""
    rows = result.get("precisions")
    if rows is not None:
        return EdgearchError.exit_code if all(row["failures"] for row in rows) else 0
    return EdgearchError.exit_code if result["failures"] else 0
