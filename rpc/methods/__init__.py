"""The methods, one file for each audience. Each file has `METHODS`; nothing else is public."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from rpc.dispatch import Method


def all_methods() -> tuple[Method, ...]:
    """Every method this node answers."""
    names = sorted(module.name for module in iter_modules(__path__))
    files = [import_module(f"{__name__}.{name}") for name in names]
    return tuple(method for file in files for method in file.METHODS)
