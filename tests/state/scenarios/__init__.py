"""Scenarios: one file for each family, found by themselves; `base` holds what they share."""

from importlib import import_module
from pkgutil import iter_modules

for _found in sorted(module.name for module in iter_modules(__path__)):
    if _found != "__main__":
        import_module(f"{__name__}.{_found}")
