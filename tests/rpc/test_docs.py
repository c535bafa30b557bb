"""The program in docs/rpc.md is run as it stands."""

import asyncio
from pathlib import Path
from typing import Any

from mgsnode.base.address import address_text
from rpc.limits import RpcSettings
from rpc.server import RpcServer
from tests.rpc.devnode import ALICE, CAROL, DevNode, address

_DOC = Path(__file__).parents[2] / "docs" / "rpc.md"


async def test_the_wallet_in_the_docs_pays(tmp_path: Path) -> None:
    node = DevNode(tmp_path / "store")
    server = RpcServer(node, RpcSettings())
    await server.start()
    names: dict[str, Any] = {
        "URL": f"http://127.0.0.1:{server.port}",
        "SEED": (3).to_bytes(32, "big").hex(),  # ALICE's
        "PAYEE": address_text(address(CAROL), node.hrp),
    }
    program = _DOC.read_text().partition("```python\n")[2].partition("```")[0]
    await asyncio.to_thread(exec, compile(program, str(_DOC), "exec"), names)
    assert names["sent"]["status"] == "committed"
    assert names["public_key"] == ALICE.public_key.hex()
    with node.view() as view:
        assert view.account(address(CAROL)).dollar == 2_500_000
    await server.stop()
    node.ledger.close()
