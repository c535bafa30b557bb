"""The programs in docs/rpc.md are run as they stand."""

import asyncio
import re
from pathlib import Path
from typing import Any

from mgsnode.base.address import address_text
from rpc.limits import RpcSettings
from rpc.server import RpcServer
from tests.rpc.devnode import ALICE, CAROL, DevNode, address

_DOC = Path(__file__).parents[2] / "docs" / "rpc.md"


async def test_the_wallets_in_the_docs_pay(tmp_path: Path) -> None:
    node = DevNode(tmp_path / "store")
    server = RpcServer(node, RpcSettings())
    await server.start()
    names: dict[str, Any] = {
        "URL": f"http://127.0.0.1:{server.port}",
        "SEED": (3).to_bytes(32, "big").hex(),  # ALICE's
        "PAYEE": address_text(address(CAROL), node.hrp),
    }
    for program in re.findall(r"```python\n(.*?)```", _DOC.read_text(), re.DOTALL):
        await asyncio.to_thread(exec, compile(program, str(_DOC), "exec"), names)
    assert names["sent"]["status"] == names["paid"]["status"] == "committed"
    assert names["public_key"] == ALICE.public_key.hex()
    with node.view() as view:
        assert view.account(address(CAROL)).dollar == 2 * 2_500_000
    await server.stop()
    node.ledger.close()
