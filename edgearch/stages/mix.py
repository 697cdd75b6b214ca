"""Keep in float32, or in int16, the operators that int8 harms: only where the score needs it.

int8 and float32 are scored on the validation split, so that the test split stays untouched by the choice.
Where int8 is worse than the limits allow, operators are kept in float32, the most harmful first, twice as
many at every attempt, until it is not. A role with a state has all of its activations in int16 instead: its
error is fed back and adds up, whichever operator made it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from pydantic import Field

from edgearch import isolation, tasks
from edgearch.errors import ToolError
from edgearch.records import Strict
from edgearch.stages import _bundle, _conversion, _fitting, _host, _selective, validate
from edgearch.tasks import Score
from edgearch.work import Work, load_arrays

AFTER = ("train", "convert", "quantize")
DEPENDS = ("device", "variant", "task", "seed", "rewrites")
PACKAGES = ("ai-edge-quantizer", "ai-edge-litert", "tensorflow", "tf-keras", "numpy")
NEEDS_TENSORFLOW = False
FLOAT, PLAIN, WIDE = "float32", "int8", "int16x8"


class Settings(Strict):
    """How much worse than float32 int8 may be on the validation split; units are those of ``validate``."""

    max_drop: float = Field(default=0.01, ge=0)
    max_relative_drop: float = Field(default=0.05, ge=0)


@dataclass(frozen=True)
class Attempt:
    """Files that take the place of plain int8, by role; what they keep, and in which precision."""

    files: dict[str, Path]
    precision: str
    kept: tuple[_selective.Harm, ...] = ()


def run(work: Work, settings: Settings) -> Work:
    """Replace the int8 files that lose too much, and note what was kept, why, and what that gave."""
    if work.facts["precision"] != PLAIN:
        return work
    for role in _answering(work):
        work.progress(None, "int8 beside float32 on the validation split")
        before, after = (_score(work, _bundle.models_of(work, kind), role) for kind in (FLOAT, PLAIN))
        if _is_worse(before, after, settings):
            work = _mixed(work, settings, role)
    return work


def _mixed(work: Work, settings: Settings, role: str) -> Work:
    try:
        return isolation.run(
            partial(search, answering=role),
            work,
            settings,
            what=f"{work.request.variant}, stage mix",
            log=work.folder / "mix.log",
            remedy="So int8 stays as it is.",
        )
    except ToolError as error:  # plain int8 is a result too, whatever became of the quantizer
        return _noted(work, str(error))


def search(work: Work, settings: Settings, answering: str) -> Work:
    """Make attempts until the score of the role ``answering`` is within ``settings``, and take the last."""
    before, plain = (_score(work, _bundle.models_of(work, kind), answering) for kind in (FLOAT, PLAIN))
    lost = f"int8 throughout comes to {_said(plain)} on the validation split, float32 to {before.value:.4f}"
    roles = _involved(work, answering)
    has_state = any(work.facts["state"][role] for role in roles)
    wanted = WIDE if has_state else FLOAT
    if wanted not in work.request.device.precisions:
        return _noted(work, f"{lost}; {work.request.device.name} runs no {wanted} that could be mixed in.")
    for attempt in (_wide if has_state else _partly_float)(work, roles):
        work.progress(None, f"scoring {attempt.precision}")
        models = {**_bundle.models_of(work, PLAIN), **attempt.files}
        after = _score(work, models, answering)
        if not _is_worse(before, after, settings):
            figures = {"float": before.value, "int8": plain.value, "mixed": after.value}
            return _taken(work, attempt, f"{lost}. {_account(attempt)}: {after.value:.4f}.", figures)
    return _noted(work, f"{lost}, and {_tried(wanted)} does not mend it.")


def _answering(work: Work) -> list[str]:
    """Return the role that is asked, and the one that answers where a device refuses it."""
    asked = work.facts["predicts"]
    instead = work.facts["instead"].get(asked)
    return [asked, *([instead] if instead in work.facts["roles"] else [])]


def _involved(work: Work, answering: str) -> list[str]:
    """Return the roles that an answer of ``answering`` takes: all but those that it stands in for."""
    others = {*_answering(work)} - {answering}
    return [role for role in work.facts["roles"] if role not in others]


def _score(work: Work, models: dict[str, Path], answering: str) -> Score:
    inputs = _bundle.stacked(work, "validation")
    with tempfile.TemporaryDirectory() as folder:
        _bundle.write(Path(folder), models, PLAIN, inputs, {}, _bundle.driving(work))
        outputs = _host.outputs(Path(folder), "optimized")
    examples = _fitting.load_examples(work.files["validation"])
    predictor = validate.recorded(work.plus(predicts=answering), outputs)
    return tasks.score(work.request.task, predictor, examples, load_arrays(work.files["prepared"]))


def _is_worse(before: Score, after: Score, settings: Settings) -> bool:
    """Say whether ``after`` is; a metric that the split cannot tell (not a number) is not."""
    drop = (before.value - after.value) * (1 if before.higher_is_better else -1)
    relative = before.budget == "relative"
    return drop > (settings.max_relative_drop * abs(before.value) if relative else settings.max_drop)


def _wide(work: Work, roles: list[str]) -> Iterator[Attempt]:
    """Yield one attempt: int16 activations in every role that has a state, if the converter knows how."""
    stateful = [role for role in roles if work.facts["state"][role]]
    source = _conversion.source_of(work)
    refused = _conversion.quantize(source, work.files["calibration"], stateful, [WIDE], work.folder)
    if not refused.roles and not refused.operators:
        yield Attempt({role: work.folder / f"{role}.{WIDE}.tflite" for role in stateful}, WIDE)


def _partly_float(work: Work, roles: list[str]) -> Iterator[Attempt]:
    """Yield attempts that keep 1, 2, 4, … harmful operators in float32, and at last half of all operators."""
    work.progress(None, "what int8 does to each operator")
    models = [_selective_of(work, role) for role in roles]
    harms = _selective.ranked(models)
    most = min(max(1, sum(model.operators for model in models) // 2), len(harms))
    for count in sorted({*(2**power for power in range(most.bit_length())), most} - {0}):
        kept = tuple(harms[:count])
        contents = {
            model.role: model.int8_but(own)
            for model in models
            if (own := [harm for harm in kept if harm.role == model.role])  # the others stay as they are
        }
        yield Attempt(_written(work, contents), f"{PLAIN} + {FLOAT}", kept)


def _selective_of(work: Work, role: str) -> _selective.Selective:
    return _selective.Selective(
        role, work.files[f"{role}.{FLOAT}"], load_arrays(work.files[f"{role}.calibration"])
    )


def _written(work: Work, contents: dict[str, bytes]) -> dict[str, Path]:
    paths = {role: work.folder / f"{role}.mixed.tflite" for role in contents}
    for role, content in contents.items():
        paths[role].write_bytes(content)
    return paths


def _taken(work: Work, attempt: Attempt, note: str, figures: dict[str, float]) -> Work:
    mixed = {
        role: {
            "precision": attempt.precision,
            "kept": [asdict(harm) for harm in attempt.kept if harm.role == role],
            **figures,
        }
        for role in attempt.files
    }
    files = {f"{role}.{PLAIN}": path for role, path in attempt.files.items()}
    return _noted(work.plus(files, mixed={**work.facts.get("mixed", {}), **mixed}), note)


def _account(attempt: Attempt) -> str:
    if not attempt.kept:
        return (
            f"Its error is fed back with the state at every step, so {' and '.join(attempt.files)} is {WIDE}"
        )
    named = ", ".join(f"{harm.op} (one step of int8 is {harm.step:.2g} there)" for harm in attempt.kept)
    return f"Kept in {FLOAT}: {named}"


def _tried(wanted: str) -> str:
    return "a state in int16" if wanted == WIDE else "half of the operators in float32"


def _said(score: Score) -> str:
    return f"{score.value:.4f} {score.title or score.metric}"


def _noted(work: Work, note: str) -> Work:
    return work.plus(notes=[*work.facts.get("notes", []), note])
