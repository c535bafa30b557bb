"""Who looks ahead for an audit: processes of this machine, or the workers of a dask cluster.

What they answer is believed like this process's own memory: a cluster's workers must be one's own
machines with this version of mgsnode, and whoever reaches its scheduler can run code on them. One
that dies is an error that says so; only what was answered is judged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Final

from mgsnode.base.errors import MgsError
from mgsnode.verifier import begin_worker
from state.ahead import Workers
from state.looked import Looked, Work, look_at

_BATCHES_A_WORKER: Final = 4  # one is looked at, the others wait: no worker waits for the audit
_ANSWER_S_MAX: Final = 120  # a batch is 15 ms of work; the largest block of transfers 0.4 s
_CONNECT_S: Final = 10
_INSTALL: Final = "pip install --require-hashes -r requirements-cluster.lock"


@contextmanager
def open_auditors(workers: int, cluster: str | None) -> Iterator[Workers | None]:
    """`workers` processes, or all workers of the scheduler at `cluster`; None for 0 and no cluster.

    `MgsError` where the cluster cannot be used. They end with the block.
    """
    if cluster is not None:
        with _cluster(cluster) as found:
            yield found
    elif workers > 0:
        with _processes(workers) as started:
            yield started
    else:
        yield None


@contextmanager
def _processes(count: int) -> Iterator[Workers]:
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=begin_worker)
    try:
        yield _workers(pool, count)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _cluster(address: str) -> Iterator[Workers]:
    try:
        from distributed import Client
    except ImportError:
        raise MgsError(f"--cluster needs dask.distributed, an extra: {_INSTALL}") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a failure is one sentence
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise MgsError(f"no dask scheduler answers at {address}: {error}") from None
    with client:
        threads = sum(client.nthreads().values())
        if threads == 0:
            raise MgsError(f"the dask scheduler at {address} has no workers")
        yield _workers(client.get_executor(pure=False), threads)


def _workers(pool: Executor, count: int) -> Workers:
    def ask(work: Work) -> partial[Sequence[Looked]]:
        try:
            future = pool.submit(partial(look_at, work))
        except BrokenExecutor:
            raise _died() from None
        return partial(_answer, future)

    return Workers(ask, _BATCHES_A_WORKER * count)


def _answer(future: Future[list[Looked]]) -> Sequence[Looked]:
    try:
        failure = future.exception(_ANSWER_S_MAX)
    except CancelledError:
        raise _died() from None
    except TimeoutError:
        raise MgsError(
            f"the audit is not finished: no worker answered within {_ANSWER_S_MAX} s"
        ) from None
    if isinstance(failure, BrokenExecutor):
        raise _died()
    if failure is not None:
        raise MgsError(
            f"the audit is not finished: a worker failed: {type(failure).__name__}: {failure}"
        ) from failure
    return future.result()


def _died() -> MgsError:
    return MgsError("the audit is not finished: a worker died before it answered")
