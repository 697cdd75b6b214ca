"""Records in TOML files: where they are, how they are read; what is wrong is named with file and field."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from edgearch.errors import RequestError, unknown

HERE = Path(__file__).parent
# A word that can be a file stem, a folder and a report column, and never an option of a program.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
T = TypeVar("T", bound=BaseModel)


class Strict(BaseModel):
    """A frozen record that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def matching(pattern: str | re.Pattern[str], expected: str) -> AfterValidator:
    """Return a check that a whole text matches, whose error says ``expected``: a pattern helps nobody."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(expected)
        return value

    return AfterValidator(check)


def read_toml(path: Path, record: type[T], **known: object) -> T:
    """Read ``path`` as a ``record``; ``known`` are fields that the file does not hold itself.

    Raises:
        RequestError: not TOML, or a field is unknown, missing or of another kind than expected.
    """
    try:
        found = tomllib.loads(text_of(path))
    except (ValueError, RecursionError) as error:  # too many digits or brackets are no TOMLDecodeError
        raise RequestError(f"{path}: expected a TOML file, found {error}.") from error
    try:
        return record.model_validate({**found, **known})
    except ValidationError as error:
        raise RequestError(f"{path}: {explain(error, record)}") from error


def text_of(path: Path) -> str:
    """Read a text file.

    Raises:
        RequestError: it cannot be read, or is not UTF-8; the text says which.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{path}: expected text in UTF-8, found the byte {error.object[error.start]:#04x} "
            f"at offset {error.start}. Save it as UTF-8."
        ) from error
    except OSError as error:
        raise RequestError(f"{path}: expected a text file; it cannot be read: {error.strerror}.") from error


def explain(error: ValidationError, record: type[BaseModel]) -> str:
    """Say for each wrong field what was expected and what was found."""
    found = error.errors(include_url=False)
    lists = {one["loc"][:-1] for one in found}  # one that holds a wrong item is no shorter for it
    return " ".join(_explain_one(dict(one), record) for one in found if one["loc"] not in lists)


# Words of pydantic's that "expected" takes the place of, or that say twice what was found.
_PYDANTICS_OWN = re.compile(r"^(Value error, |Input should be |\w+ should have )| after validation, not \d+$")


def _explain_one(one: dict[str, Any], record: type[BaseModel]) -> str:
    field = ".".join(str(part) for part in one["loc"])
    if one["type"] == "extra_forbidden":
        known = ", ".join(sorted(_fields_beside(one["loc"], record)))
        return f"Field {field!r}: unknown; expected one of {known}; found {one['input']!r}."
    if one["type"] == "missing":
        return f"Field {field!r}: expected a value, found none."
    expected = _PYDANTICS_OWN.sub("", one["msg"])
    return f"Field {field!r}: expected {expected}, found {one['input']!r}."


def _fields_beside(location: tuple[int | str, ...], record: type[BaseModel]) -> list[str]:
    for part in location[:-1]:  # a part that is no field is a place in a list, or a key of the user's own
        field = record.model_fields.get(str(part))
        record = (_record_in(field.annotation) if field else None) or record
    return list(record.model_fields)


def _record_in(annotation: Any) -> type[BaseModel] | None:
    """Return the record that an annotation such as ``dict[str, Host]`` or ``Firmware | None`` is about."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_record_in, get_args(annotation))), None)


def data_folders(kind: str) -> list[Path]:
    """Return the folders that hold ``kind`` (``devices``, ``pipelines``): the user's, then ours."""
    installed, checkout = HERE / "_data" / kind, HERE.parent / kind
    ours = installed if installed.is_dir() else checkout
    user = Path.cwd() / kind
    return [user, ours] if user.is_dir() and user.resolve() != ours.resolve() else [ours]


def data_files(kind: str, suffix: str = ".toml") -> dict[str, Path]:
    """Return name → file for every ``kind`` there is; a user's file hides ours of the same name.

    An editor's backup, or a file whose name a shell would read as an option, is none.
    """
    found: dict[str, Path] = {}
    for folder in reversed(data_folders(kind)):
        paths = sorted(folder.glob(f"*{suffix}"))
        found |= {path.stem: path for path in paths if NAME.fullmatch(path.stem)}
    return dict(sorted(found.items()))


def data_file(kind: str, what: str, name: str, suffix: str = ".toml") -> Path:
    """Return the file of the ``what`` called ``name``.

    Raises:
        RequestError: there is none, or it cannot be called so.
    """
    files = data_files(kind, suffix)
    if name in files:
        return files[name]
    missing = unknown(what, name, files)
    if NAME.fullmatch(name):
        raise missing
    raise RequestError(
        f"{missing} A name is letters, digits, . _ and -, the first a letter or a digit: rename the file."
    )
