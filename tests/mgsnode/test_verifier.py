"""Signature checks: the same answers in slices and in worker processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from mgsnode import verifier as module
from mgsnode.base.hashing import ZERO_HASH
from mgsnode.base.keys import SigningKey
from mgsnode.base.transaction import Body, Transaction, open_transaction, sign_transaction
from mgsnode.verifier import Verifier
from tests.mgsnode.test_intake import forged, signed
from tests.mgsnode.txs import sender_of


def opened(raw: bytes) -> Transaction:
    return open_transaction(raw, ZERO_HASH)


def two_keys(*, bad: int | None = None) -> Transaction:
    """Signed by two; one of the signatures may be bad."""
    body = Body(ZERO_HASH, sender_of("a"), 0, 0, 2**60, 1, b"", "dollar_transfer", ())
    tx = opened(sign_transaction(body, [SigningKey(bytes(32)), SigningKey(b"\x01" * 32)]))
    if bad is None:
        return tx
    pairs = list(tx.signatures)
    pairs[bad] = (pairs[bad][0], bytes(64))
    return tx._replace(signatures=tuple(pairs))


@pytest.mark.parametrize("workers", [0, 1])
async def test_each_transaction_is_good_if_all_its_signatures_are(workers: int) -> None:
    verifier = Verifier(workers)
    try:
        assert await verifier.check([]) == []
        txs = [opened(signed()), opened(forged(signed())), two_keys(), two_keys(bad=0)]
        txs += [two_keys(bad=1), opened(signed("b"))]
        assert await verifier.check(txs) == [True, False, True, False, False, True]
        assert verifier.checks == 9
        many = [opened(signed("m", n) if n % 7 else forged(signed("m", n))) for n in range(300)]
        assert await verifier.check(many) == [bool(n % 7) for n in range(300)]
        assert (
            await asyncio.gather(*(verifier.check(txs[:2]) for _ in range(5)))
            == [[True, False]] * 5
        )
    finally:
        verifier.close()


async def test_a_long_check_yields_to_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "are_good", lambda claims: [True] * len(claims))
    verifier = Verifier(0)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    await verifier.check([opened(signed())] * 1_000)
    counting.cancel()
    assert turns >= 1_000 // module._SLICE_CHECKS - 1  # case 76


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_the_whole_group_does_not_break_the_workers(number: int) -> None:
    """Ctrl-C in a terminal, or a service manager: the node would end as if it were broken."""
    verifier = Verifier(1)
    try:
        assert await verifier.check([opened(signed())]) == [True]
        assert verifier._pool is not None
        for pid in verifier._pool._processes:
            os.kill(pid, number)
        assert await verifier.check([opened(signed("b"))]) == [True]
    finally:
        verifier.close()


def is_gone(pid: int) -> bool:
    """Whether this process has ended; nobody may have taken note yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return True
    return state.rpartition(") ")[2].startswith("Z")


_PARENT = """
import asyncio, time
from mgsnode.verifier import Verifier
from tests.mgsnode.test_verifier import opened, signed

if __name__ == "__main__":
    verifier = Verifier(1)
    asyncio.run(verifier.check([opened(signed())]))
    print(*verifier._pool._processes, flush=True)
    time.sleep(60)
"""


async def test_workers_do_not_outlive_a_killed_node(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(_PARENT, encoding="utf-8")
    parent = await asyncio.create_subprocess_exec(
        sys.executable, str(program), stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert parent.stdout is not None
    worker = int(await asyncio.wait_for(parent.stdout.readline(), 20))
    parent.kill()
    await parent.wait()
    for _ in range(500):
        if is_gone(worker):
            return
        await asyncio.sleep(0.01)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError("a worker outlived the node")
