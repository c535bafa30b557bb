"""Networks of four real processes for the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mgsnode.localnet import Localnet
from tests.e2e.support import wallet_accounts


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    """A running network of its own for each file of tests."""
    root: Path = tmp_path_factory.mktemp("net")
    made = Localnet.create(root, base_port=None, accounts=wallet_accounts())
    with made:
        made.start()
        yield made
