"""The command line: parsing and printing only. Everything else is imported when a verb needs it."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgearch import __version__
from edgearch.errors import EdgearchError, RequestError, ToolError

if TYPE_CHECKING:
    from edgearch.commands import Options
    from edgearch.pipeline import Watcher

EPILOG = """\
examples:
  edgearch deploy cnn --device rpi                      train, quantize, convert, check, measure
  edgearch deploy cnn --device rpi --host pi@10.0.0.7   the same, on a real Raspberry Pi
  edgearch compare cnn --device rpi                     every precision side by side
  edgearch check cnn-mobilenetv1 --device mcu           will it fit? (nothing is trained)
  edgearch run model.tflite --device rpi                an existing TFLite model

exit codes: 0 done; 1 a check failed; 2 the request was wrong; 3 the device could not be
reached; 4 a tool crashed. Every verb takes --json; --debug shows tracebacks.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    _end_in_order()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without − and µ shows ? and goes on
    try:
        code: int = options.act(options)
        sys.stdout.flush()
        return code
    except EdgearchError as error:
        if options.debug:
            raise
        print(f"edgearch: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "edgearch: interrupted. Finished stages are kept; the same command goes on from there.",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:  # the reader of our stdout has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, MemoryError) as error:  # a full disk, a folder that may not be written, a huge model
        if options.debug:
            raise
        print(f"edgearch: {_of_the_system(error)}", file=sys.stderr)
        return RequestError.exit_code
    except Exception as error:  # nobody should have to read a traceback to learn that this is our fault
        if options.debug:
            raise
        print(
            f"edgearch: a fault of edgearch itself: {type(error).__name__}: {error}. "
            "Finished stages are kept. Run it with --debug for the traceback, and report that.",
            file=sys.stderr,
        )
        return ToolError.exit_code


def _end_in_order() -> None:
    """Let a request to end, or a closed terminal, unwind as Ctrl-C does: what we started ends with us."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores the latter
            signal.signal(number, _leave)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _of_the_system(error: OSError | MemoryError) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or 'no file named'}."
    return f"This machine has too little memory for it{f': {error}' if str(error) else ''}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgearch",
        description="Take a neural network to an edge device, and measure it there.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edgearch {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    deploy = _verb(verbs, "deploy", _deploy, "train, compress, convert, check, ship and measure a model")
    deploy.add_argument("model", help="a family (cnn) or a variant (cnn-resnet8); see edgearch models")
    _device_options(deploy)
    deploy.add_argument(
        "--pipeline", metavar="NAME", help="see edgearch pipelines (default: the device's own)"
    )
    _training_options(deploy)

    compare = _verb(verbs, "compare", _compare, "deploy every precision and show them side by side")
    compare.add_argument("model", help="a family or a variant; see edgearch models")
    _device_options(compare)
    _training_options(compare)

    check = _verb(
        verbs,
        "check",
        _check,
        "will a model fit a device, and where do its operators run? Answered before any training",
    )
    check.add_argument("model", help="a family, a variant, or a .tflite file")
    _device_options(check)
    check.add_argument(
        "--pipeline", metavar="NAME", help="what precision to check (default: the device's own)"
    )
    _data_options(check)

    run = _verb(verbs, "run", _run, "run an existing .tflite file on a device")
    run.add_argument("model", metavar="FILE.tflite", help="any TFLite model")
    run.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="arrays named like the inputs (default: random values)",
    )
    _device_options(run)

    trying = _verb(verbs, "try", _try, "serve a page where you draw for a model, which runs in your browser")
    trying.add_argument("model", help="a family or a variant that classifies images; see edgearch models")
    trying.add_argument("--pipeline", metavar="NAME", help="see edgearch pipelines (default: float16)")
    trying.add_argument("--build", type=Path, default=Path("build"), metavar="FOLDER", help="default: build")
    trying.add_argument("--no-open", action="store_true", help="print the address, open no browser")
    _training_options(trying)
    trying.set_defaults(device="browser", host=None)

    regress = _verb(
        verbs, "regress", _regress, "hold the latest measurements against the accepted ones; exit 1 if slower"
    )
    regress.add_argument("model", nargs="?", help="a family or a variant (default: all that were measured)")
    _device_options(regress)
    regress.add_argument(
        "--allow", type=_ratio, default=1.05, metavar="RATIO",
        help="how many times the accepted median is allowed (default: 1.05)",
    )  # fmt: skip
    regress.add_argument("--accept", action="store_true", help="hold later runs against the latest ones")

    for name, act, text in (
        ("models", _models, "list the architectures"),
        ("devices", _devices, "list the device profiles, or show one"),
        ("pipelines", _pipelines, "list the pipelines and their stages"),
        ("datasets", _datasets, "list the datasets"),
        ("doctor", _doctor, "say what this machine can do, and the remedy for what it cannot"),
    ):
        verb = _verb(verbs, name, act, text)
        if name == "devices":
            verb.add_argument("name", nargs="?", help="show this profile")
            verb.add_argument("--probe", action="store_true", help="find what is plugged in or reachable")
    return parser


def _verb(
    verbs: Any, name: str, act: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=text, description=text[:1].upper() + text[1:] + "."
    )
    parser.set_defaults(act=act)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, nothing else")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _ratio(text: str) -> float:
    with contextlib.suppress(ValueError):
        value = float(text)
        if 1 <= value < float("inf"):
            return value
    raise argparse.ArgumentTypeError(f"expected a ratio of at least 1, such as 1.05; found {text!r}")


def _device_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", required=True, metavar="NAME", help="see edgearch devices")
    parser.add_argument(
        "--host",
        metavar="USER@ADDRESS",
        help="the real machine, as ssh would reach it, or an entry of your config file; "
        "without one this machine stands in",
    )
    parser.add_argument("--build", type=Path, default=Path("build"), metavar="FOLDER", help="default: build")


def _data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="see edgearch datasets (default: the variant's own, an embedded one)",
    )
    parser.add_argument(
        "--data-folder",
        type=Path,
        metavar="FOLDER",
        help="where the dataset's own files are, if not in its cache",
    )
    parser.add_argument("--seed", type=int, default=0, help="makes a run repeatable (default: 0)")


def _training_options(parser: argparse.ArgumentParser) -> None:
    _data_options(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STAGE.KEY=VALUE",
        help="change a setting of a stage, such as train.epochs=10; that stage and those after it run again",
    )
    parser.add_argument(
        "--again", action="append", default=[], metavar="STAGE", help="run this stage though it is finished"
    )


def _options(arguments: argparse.Namespace) -> Options:
    from edgearch.commands import Options

    given = vars(arguments)
    names = ("pipeline", "dataset", "data_folder", "seed", "again")
    return Options(
        device=arguments.device,
        host=arguments.host or None,
        build=arguments.build,
        settings=given.get("set", ()),
        **{name: given[name] for name in names if name in given},
    )


def _watched(arguments: argparse.Namespace, act: Callable[[Options, Watcher], int]) -> int:
    from edgearch.reports import progress

    with progress.display() as watcher:
        return act(_options(arguments), watcher)


def _deploy(arguments: argparse.Namespace) -> int:
    from edgearch import commands

    def act(options: Options, watcher: Watcher) -> int:
        result, folder = commands.deploy(arguments.model, options, watcher)
        _show(arguments, result, "deployment", folder)
        return commands.exit_code(result)

    return _watched(arguments, act)


def _try(arguments: argparse.Namespace) -> int:
    import threading
    import webbrowser

    from edgearch import commands, trying
    from edgearch.reports import progress

    options = _options(arguments)
    request = commands.resolve(arguments.model, options)
    trying.refuse(request)
    with progress.display() as watcher:
        bundle = commands.bundled(request, options, watcher)
    with trying.served(request, bundle) as (address, page):
        said = f"Draw at {address} (Ctrl-C ends it). Paste it into a browser if none opens."
        print(json.dumps({"url": address}) if arguments.json else said)
        sys.stdout.flush()
        if not arguments.no_open:
            webbrowser.open(page)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from edgearch import commands

    def act(options: Options, watcher: Watcher) -> int:
        result, folder = commands.compare(arguments.model, options, watcher)
        _show(arguments, result, "comparison", folder)
        return commands.exit_code(result)

    return _watched(arguments, act)


def _check(arguments: argparse.Namespace) -> int:
    from edgearch import commands

    def act(options: Options, watcher: Watcher) -> int:
        result = commands.check(arguments.model, options, watcher)
        _show(arguments, result, "check", None)
        return commands.exit_code(result)

    return _watched(arguments, act)


def _run(arguments: argparse.Namespace) -> int:
    from edgearch import commands

    def act(options: Options, watcher: Watcher) -> int:
        result, folder = commands.run(arguments.model, options, watcher, arguments.inputs)
        _show(arguments, result, "run", folder)
        return commands.exit_code(result)

    return _watched(arguments, act)


def _regress(arguments: argparse.Namespace) -> int:
    from edgearch import commands

    result = commands.regress(arguments.model, _options(arguments), arguments.allow, arguments.accept)
    _show(arguments, result, "regression", None)
    return commands.exit_code(result)


def _show(arguments: argparse.Namespace, document: dict[str, Any], kind: str, folder: Path | None) -> None:
    if arguments.json:
        print(json.dumps(document, indent=1))
        return
    from edgearch.reports import table
    from edgearch.reports.progress import stdout

    console = stdout()
    console.print(getattr(table, kind)(document))
    page = folder / "report.html" if folder else None
    if page and page.exists():
        console.print(f"Report: {page}", soft_wrap=True, highlight=False)
    if document.get("firmware"):
        project = Path(document["firmware"]) / "README.md"
        console.print(f"Firmware project: {project}", soft_wrap=True, highlight=False)


def _listed(arguments: argparse.Namespace, rows: list[dict[str, Any]], columns: Sequence[str]) -> int:
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    widths = [max(len(str(row[column])) for row in rows) for column in columns[:-1]]
    for row in rows:
        cells = [str(row[column]).ljust(width) for column, width in zip(columns, widths, strict=False)]
        print("  ".join([*cells, str(row[columns[-1]])]))
    return 0


def _models(arguments: argparse.Namespace) -> int:
    from edgearch import models

    rows = [
        {
            "model": variant,
            "family": family,
            "task": found.purpose.task,
            "dataset": found.purpose.dataset,
            "also": [name for name, known in models.aliases(family).items() if known == variant],
            "about": found.about,
        }
        for family, variants in models.families().items()
        for variant in variants
        for found in [models.find(variant)]
    ]
    shown = [{**row, "model": ", ".join([str(row["model"]), *row["also"]])} for row in rows]
    return _listed(arguments, rows if arguments.json else shown, ("model", "task", "dataset", "about"))


def _probed(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from edgearch import probing
    from edgearch.transports import _adb

    found = probing.probe()
    if not found and not arguments.json:
        seen = "" if _adb.program() else " (adb is not on PATH, and without it none is seen)"
        print(
            "Nothing found: no Coral stick and no serial port here, no host that ssh reaches in your "
            f"config.toml, and no phone{seen}."
        )
        return 0
    rows = [asdict(one) for one in found]
    said = {True: "ready", False: "not ready"}
    shown = [{**row, "device": row["device"] or "?", "ready": said[bool(row["ready"])]} for row in rows]
    columns = ("kind", "device", "ready", "name", "detail")
    return _listed(arguments, rows if arguments.json else shown, columns)


def _devices(arguments: argparse.Namespace) -> int:
    from edgearch import profiles, records

    if arguments.probe:
        return _probed(arguments)
    if arguments.name:
        profile = profiles.device(arguments.name).model_dump(mode="json")
        if arguments.json:
            print(json.dumps(profile, indent=1))
            return 0
        rows = [{"field": name, "value": value} for name, value in profile.items()]
        return _listed(arguments, rows, ("field", "value"))
    found = [profiles.device(name) for name in records.data_files("devices")]
    rows = [
        {
            "device": one.name,
            "transport": one.transport,
            "pipeline": one.default_pipeline,
            "runtimes": ", ".join(one.runtimes),
            "title": one.title,
        }
        for one in found
    ]
    return _listed(arguments, rows, ("device", "transport", "pipeline", "runtimes", "title"))


def _pipelines(arguments: argparse.Namespace) -> int:
    from edgearch import pipeline, records

    found = [pipeline.read(name) for name in records.data_files("pipelines")]
    rows = [
        {"pipeline": one.name, "stages": " → ".join(step.name for step in one.steps), "about": one.summary}
        for one in found
    ]
    return _listed(arguments, rows, ("pipeline", "stages", "about"))


def _datasets(arguments: argparse.Namespace) -> int:
    from edgearch import data

    rows = [
        {"dataset": name, "tasks": ", ".join(data.source(name).TASKS), "about": data.source(name).SUMMARY}
        for name in data.names()
    ]
    return _listed(arguments, rows, ("dataset", "tasks", "about"))


def _doctor(arguments: argparse.Namespace) -> int:
    from edgearch import doctor

    found = doctor.findings()
    if arguments.json:
        print(json.dumps(found, indent=1))
        return 0
    rows = [
        {
            "name": one["name"],
            "verdict": "OK" if one["ok"] else "no",
            "text": one["found"] + (f". {one['remedy']}" if one["remedy"] else ""),
        }
        for one in found
    ]
    return _listed(arguments, rows, ("name", "verdict", "text"))
