"""A node over a real ledger and a wallet that talks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rpc.devnode import DevNode
from tests.rpc.wallet import Wallet


@pytest.fixture
async def wallet(tmp_path: Path) -> AsyncIterator[Wallet]:
    node = DevNode(tmp_path / "store")
    yield Wallet(node)
    await asyncio.sleep(0.02)
    node.ledger.close()
