"""Signature checks of transactions: once for each node, in batches, off the way of votes.

With spare cores the checks run in worker processes; without, in short slices of the event loop
so that a vote never waits longer than one slice. It remembers nothing: who asks knows what
was checked (the mempool, by signed hash).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread

from mgsnode.base.keys import is_signed_by
from mgsnode.base.transaction import Claim, Transaction

_SLICE_CHECKS = 48  # about 3.5 ms of one core
_CHUNK_CHECKS = 128  # for a worker process: the trip costs as much as a few checks


def are_good(claims: Sequence[Claim]) -> list[bool]:
    """Whether each claim holds, in order."""
    return [is_signed_by(*claim) for claim in claims]


def begin_worker() -> None:
    """A signal to the whole group reaches the workers too: their parent ends them, when it has no
    more questions. If it was killed, they end by themselves.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)


class Verifier:
    """Checks transactions' signatures with `workers` processes, or in slices if 0."""

    def __init__(self, workers: int) -> None:
        self._pool = (
            ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=begin_worker)
            if workers
            else None
        )
        self.checks = 0

    async def check(self, transactions: Sequence[Transaction]) -> list[bool]:
        """Whether every signature of each transaction is good, in order."""
        claims: list[Claim] = []
        ends: list[int] = []  # where each transaction's claims end
        for transaction in transactions:
            claims += transaction.claims()
            ends.append(len(claims))
        self.checks += len(claims)
        answers = await (self._check_here(claims) if self._pool is None else self._send(claims))
        if len(answers) == len(ends):
            return answers  # one signature each: the common case
        starts = [0, *ends]
        return [all(answers[start:end]) for start, end in zip(starts, ends, strict=False)]

    async def _check_here(self, claims: list[Claim]) -> list[bool]:
        answers: list[bool] = []
        for start in range(0, len(claims), _SLICE_CHECKS):
            if start:
                await asyncio.sleep(0)
            answers += are_good(claims[start : start + _SLICE_CHECKS])
        return answers

    async def _send(self, claims: list[Claim]) -> list[bool]:
        assert self._pool is not None
        loop = asyncio.get_running_loop()
        chunks = [
            loop.run_in_executor(self._pool, are_good, claims[start : start + _CHUNK_CHECKS])
            for start in range(0, len(claims), _CHUNK_CHECKS)
        ]
        return [answer for chunk in await asyncio.gather(*chunks) for answer in chunk]

    def close(self) -> None:
        """Ends the workers."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
