"""The parts of a document, whichever of them there are: what a check stopped has no score, for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from edgearch.reports import format as fmt

Document = Mapping[str, Any]

# How a figure was obtained. The words are the vocabulary's; the order is from the real thing outwards.
WHERE = {
    "device": "measured on the device itself.",
    "stand-in": "measured on this machine in the device's place, with the same runtime: "
    "outputs count, the speed is this machine's.",
    "emulated": "ran on that kind of processor in an emulator (QEMU for Arm, SwiftShader for a GPU): "
    "outputs count, the speed is the emulator's.",
    "simulated": "ran on this machine through TensorFlow Lite Micro's own kernels: "
    "outputs and arena count, the speed is this machine's.",
    "estimated": "computed from a model of the hardware: nothing was run.",
}


def part(of: Document, name: str) -> Document:
    """Return the mapping called ``name``, or an empty one."""
    value = of.get(name)
    return value if isinstance(value, Mapping) else {}


def parts(of: Document, name: str) -> list[Document]:
    """Return the mappings in the list called ``name``."""
    value = of.get(name)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def texts(of: Document, name: str) -> list[str]:
    """Return the list called ``name`` as lines of text."""
    value = of.get(name)
    return [fmt.line(one) for one in value if one is not None] if isinstance(value, list | tuple) else []


def text(of: Document, name: str) -> str:
    """Return the value called ``name`` as a line of text; an empty one where there is none."""
    value = of.get(name)
    return "" if value is None else fmt.line(value)


def as_number(value: object) -> float | None:
    """Return ``value`` if it is a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def number(of: Document, name: str) -> float | None:
    """Return the number called ``name``, if there is one."""
    return as_number(of.get(name))


def numbers(of: Document, name: str) -> list[float]:
    """Return the list of numbers called ``name``; an empty one where anything in it is not a number."""
    value = of.get(name)
    found = [as_number(one) for one in value] if isinstance(value, list | tuple) else []
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else []


def interval(of: Document, name: str) -> fmt.Interval | None:
    """Return the pair of numbers called ``name``, if there is one."""
    found = numbers(of, name)
    return (found[0], found[1]) if len(found) == 2 else None


def where(document: Document, of: Document) -> str:
    """Return how the figures in ``of`` were obtained: what it says itself, else what the document says."""
    return text(of, "where") or text(document, "where")


def wheres(documents: Iterable[Document], figures: Callable[[Document], Document]) -> str:
    """Return how the ``figures`` of all ``documents`` were obtained: ``stand-in and device`` if not alike."""
    found = (where(one, figures(one)) for one in documents if figures(one))
    return " and ".join(dict.fromkeys(one for one in found if one))


def chosen(document: Document) -> Document:
    """Return the runtime that was chosen, or an empty mapping."""
    runtimes = parts(document, "runtimes")
    return next((one for one in runtimes if one.get("chosen") and not is_set_aside(one)), {})


def is_set_aside(runtime: Document) -> bool:
    """Say whether ``runtime`` crashed, disagreed or could not be had."""
    return runtime.get("set_aside") is not None


def timings(runtime: Document) -> list[tuple[str, Document]]:
    """Return what a runtime timed, each with a name: the model, or each of its roles if it has several.

    A role that is driven in steps is two things: one step, and all of a sequence's.
    """
    named, roles = text(runtime, "name") or fmt.MISSING, part(runtime, "roles")
    several = [
        (f"{named}, {label}", found)
        for role in roles
        for label, found in _role_timings(fmt.line(role), part(roles, role))
    ]
    return several if len(several) > 1 else [(named, runtime)]


def _role_timings(role: str, figures: Document) -> list[tuple[str, Document]]:
    whole = part(figures, "sequence_latency_ms")
    once = [(role, figures)] if part(figures, "latency_ms") else []
    return [*once, (f"{role} × {steps(figures)}", {"latency_ms": whole})] if whole else once


def steps(figures: Document) -> str:
    """Return how many steps the sequences had that were driven in steps; nothing if none were."""
    return fmt.count(number(figures, "steps")) if number(figures, "steps") else ""


def refused(runtime: Document) -> list[tuple[str, str]]:
    """Return each role that a runtime refused though another answered for it, and why."""
    roles = part(runtime, "roles")
    return [
        (
            f"{text(runtime, 'name') or fmt.MISSING}, {fmt.line(role)}",
            f"refused: {text(found, 'refused')}; {text(found, 'instead')} answered in its place",
        )
        for role in roles
        if (found := part(roles, role)).get("refused") is not None
    ]


def metric_name(score: Document) -> str:
    """Return what people call the metric."""
    return text(score, "title") or text(score, "metric").replace("_", " ")


def precision(document: Document) -> str:
    """Return the precision of what was deployed."""
    return next((text(one, "precision") for one in parts(document, "artifacts") if one.get("precision")), "")


def deployed_bytes(document: Document) -> float | None:
    """Return the size of all artifacts together, if every one's is known; bytes."""
    found = [number(one, "bytes") for one in parts(document, "artifacts")]
    known = [one for one in found if one is not None]
    return sum(known) if known and len(known) == len(found) else None


def size_of(document: Document, named: str) -> Document:
    """Return the entry of ``sizes`` for the precision ``named``, or an empty mapping."""
    return next((one for one in parts(document, "sizes") if named and text(one, "precision") == named), {})


def reasons(document: Document) -> list[str]:
    """Return why a deployment failed; nothing if it did not."""
    found = texts(document, "failures")
    if found or part(document, "fit").get("ok") is not False:
        return found
    unsupported = [text(one, "op") for one in parts(part(document, "fit"), "unsupported")]
    return [f"unsupported: {', '.join(unsupported)}" if unsupported else "does not fit the device"]


def name(document: Document) -> str:
    """Return the model's most exact name."""
    return text(document, "variant") or text(document, "model")


def precisions(document: Document) -> list[Document]:
    """Return the deployments of a comparison, each saying how its figures were obtained."""
    shared = {key: document[key] for key in ("where", "model", "variant", "device") if key in document}
    return [{**shared, **one} for one in parts(document, "precisions")]


def precision_name(document: Document) -> str:
    """Return what a comparison calls one of its deployments: two pipelines may end in the same precision."""
    return text(document, "pipeline") or text(document, "precision") or fmt.MISSING


def notes(document: Document) -> list[str]:
    """Return what is to be noted, of a comparison's deployments too, each note once."""
    documents = [document, *parts(document, "precisions")]
    return list(dict.fromkeys(note for one in documents for note in texts(one, "notes")))
