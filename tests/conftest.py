"""What all tests share: the long mode, and hypothesis without deadlines of its own."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Speed is measured in bench/, never asserted with a clock in a test: machines are noisy.
settings.register_profile("mgs", deadline=None, print_blob=True)
settings.load_profile("mgs")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also what is marked `long`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests only when asked for; real processes last, when the quick ones have passed."""
    if not config.getoption("--long"):
        skip = pytest.mark.skip(reason="long mode: --long")
        for item in items:
            if "long" in item.keywords:
                item.add_marker(skip)
    items.sort(key=lambda item: "e2e" in item.keywords)
