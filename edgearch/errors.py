"""What can go wrong, each with the exit code a shell sees.

A message is one paragraph: what was wrong, what was expected, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable


class EdgearchError(Exception):
    """An error a user can act on; printed without a traceback."""

    exit_code = 1


class CheckError(EdgearchError):
    """The model was built, and does not do what was asked of it."""

    exit_code = 1


class RequestError(EdgearchError):
    """The request was wrong: an unknown name, a bad file, a bad field."""

    exit_code = 2


class DeviceError(EdgearchError):
    """The device could not be reached, or could not do its part."""

    exit_code = 3


class ToolError(EdgearchError):
    """A tool crashed or gave a wrong result: the converter, a compiler."""

    exit_code = 4


def unknown(kind: str, name: str, available: Iterable[str]) -> RequestError:
    """Say that ``name`` is no ``kind``, and what there is."""
    return RequestError(f"No {kind} {name!r}. Available: {', '.join(sorted(available))}.")
