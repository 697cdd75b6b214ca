"""The folder is the list: finding a file is registering it."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from edgearch.errors import unknown


def names(package: ModuleType) -> list[str]:
    """Return the public modules of ``package``, sorted; ``_helpers`` are not listed."""
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def load(package: ModuleType, kind: str, name: str) -> ModuleType:
    """Import the module of ``package`` called ``name``.

    Raises:
        RequestError: there is none; the message lists what there is.
    """
    if name not in names(package):
        raise unknown(kind, name, names(package))
    return importlib.import_module(f"{package.__name__}.{name}")
