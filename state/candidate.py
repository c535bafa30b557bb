"""A candidate: a block executed on its parent and not final, whether built here or checked.

The same transactions on the same parent at the same time give the same candidate on every
replica. It knows the parent as it is given, with its state and trie: neither the store nor which
block is the head, nor a clock. Nothing is written; a candidate that is dropped leaves no trace.

A bug met while executing becomes an answer in `_guarded` and nowhere else (failures.md, 69).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from mgsnode.base.block import (
    PROTOCOL_VERSION,
    Block,
    Header,
    hash_header,
    receipts_root,
    txs_root,
)
from mgsnode.base.errors import MgsError, Rejected
from mgsnode.base.limits import BLOCK_BYTES_MAX, BLOCK_TXS_MAX
from mgsnode.base.transaction import Transaction
from mgsnode.base.validators import ValidatorSet
from state.draft import Changes, Draft, Reader
from state.execute import BlockRun, Outcome
from state.registry import Registry
from state.trie import NodeReader, Nodes, update
from state.tx.gateways import GATEWAY, close_era

T = TypeVar("T")
_TX_OVERHEAD: Final = 5  # msgpack's header of a transaction's bytes
_BLOCK_OVERHEAD: Final = 600  # a header and the headers around it


class Head(NamedTuple):
    """The last block of a branch: the last final one, or a candidate that the next stands on."""

    header: Header
    hash: bytes
    validators: ValidatorSet  # who certify the next height


class Parent(NamedTuple):
    """What a candidate is executed on."""

    head: Head
    reader: Reader  # the records after it
    nodes: NodeReader  # the trie after it


class Candidate(NamedTuple):
    """An executed block that is not final, and all that making it final would write."""

    block: Block
    hash: bytes
    draft: Draft
    changes: Changes
    nodes: Nodes
    outcome: Outcome
    txids: tuple[bytes, ...]
    validators: ValidatorSet  # of the next height


class Skipped(NamedTuple):
    """A transaction that `build` left out. No refusal: it broke the ledger; see `Built.bugs`."""

    txid: bytes
    refusal: Rejected | None


class Built(NamedTuple):
    """A block of ours, executed and kept."""

    block: Block
    included: tuple[Transaction, ...]
    skipped: tuple[Skipped, ...]
    bugs: tuple[str, ...]  # tracebacks, for the log


class _Bug(NamedTuple):
    """An exception that no rule explains."""

    text: str


def _guarded(work: Callable[[], T]) -> T | _Bug:
    """`work()`, or the bug it met. What has a name, and what means a broken machine, goes on."""
    try:
        return work()
    except (MgsError, OSError, MemoryError, RecursionError):
        raise
    except Exception:  # the one place (case 69)
        return _Bug(traceback.format_exc())


def era_after(header: Header) -> int:
    """The era of the next height: a barrier block ends its own."""
    return header.era + (header.valset_hash != header.next_valset_hash)


# Building -------------------------------------------------------------------------------------


def build_candidate(
    registry: Registry, parent: Parent, txs: Iterable[Transaction], timestamp_ms: int
) -> tuple[Candidate, Built]:
    """A block on `parent` from as many of `txs` as fit, in order; what was left out and why.

    `ValueError` unless its time is later than the parent's.
    """
    if timestamp_ms <= parent.head.header.timestamp_ms:
        raise ValueError("a block is later than its parent")
    offered = list(txs)
    made = _guarded(lambda: _build(registry, parent, offered, timestamp_ms))
    if isinstance(made, _Bug):  # in what they left together: asked of each, it has a culprit
        return _build(registry, parent, offered, timestamp_ms, is_wary=True)
    return made


def _build(
    registry: Registry,
    parent: Parent,
    txs: Sequence[Transaction],
    timestamp_ms: int,
    *,
    is_wary: bool = False,
) -> tuple[Candidate, Built]:
    """`is_wary`: a transaction that leaves what cannot be written is left out as a bug is."""
    draft = Draft(parent.reader)
    before = parent.head.header
    run = BlockRun(
        registry,
        draft,
        height=before.height + 1,
        time_ms=timestamp_ms,
        parent_root=before.state_root,
        is_wary=is_wary,
    )
    included: list[Transaction] = []
    skipped: list[Skipped] = []
    bugs: list[str] = []
    size = _BLOCK_OVERHEAD
    for tx in txs:
        if len(included) == BLOCK_TXS_MAX:
            break
        if size + len(tx.raw) + _TX_OVERHEAD > BLOCK_BYTES_MAX:
            break
        try:
            receipt = _guarded(lambda tx=tx: run.apply(tx))  # type: ignore[misc]
        except Rejected as refusal:
            skipped.append(Skipped(tx.txid, refusal))
            continue
        if isinstance(receipt, _Bug):
            run.undo()
            skipped.append(Skipped(tx.txid, None))
            bugs.append(receipt.text)
            continue
        size += len(tx.raw) + _TX_OVERHEAD
        included.append(tx)
    body_root = txs_root([tx.signed_hash for tx in included])
    made = _close(parent, draft, run.finish(), included, timestamp_ms, body_root)
    return made, Built(made.block, tuple(included), tuple(skipped), tuple(bugs))


# Checking -------------------------------------------------------------------------------------


def check_candidate(
    registry: Registry, parent: Parent, block: Block, txs: Sequence[Transaction]
) -> Candidate | str:
    """The executed block, or why it does not follow from `parent` by the rules.

    `txs` are its transactions, opened.
    """
    header = block.header
    why = check_header(header, parent.head) or check_body(block, txs)
    if why is not None:
        return why
    made = _guarded(lambda: _execute(registry, parent, header, txs))
    if isinstance(made, _Bug):
        return "it breaks the ledger: " + made.text
    if isinstance(made, str):
        return made
    for name, ours, theirs in zip(Header._fields, made.block.header, header, strict=True):
        if ours != theirs:
            return f"its {name} is not what execution gives"
    return made


def check_header(header: Header, parent: Head) -> str | None:
    """Why a header cannot follow `parent`, whatever execution gives; None if it can."""
    before = parent.header
    expected = (
        ("version", header.version, PROTOCOL_VERSION),
        ("genesis_hash", header.genesis_hash, before.genesis_hash),
        ("height", header.height, before.height + 1),
        ("era", header.era, era_after(before)),
        ("valset_hash", header.valset_hash, parent.validators.hash),
    )
    for name, given, wanted in expected:
        if given != wanted:
            return f"its {name} does not follow from its parent"
    if header.timestamp_ms <= before.timestamp_ms:
        return "its timestamp_ms is not later than its parent's"
    return None


def check_body(block: Block, txs: Sequence[Transaction]) -> str | None:
    """Why `txs` cannot be the body that the block's header names; None if they are."""
    if len(txs) > BLOCK_TXS_MAX:
        return "it has too many transactions"
    if sum(len(tx.raw) + _TX_OVERHEAD for tx in txs) + _BLOCK_OVERHEAD > BLOCK_BYTES_MAX:
        return "it has too many bytes"
    if txs_root([tx.signed_hash for tx in txs]) != block.header.txs_root:
        return "its transactions do not fit its txs_root"
    if tuple(tx.raw for tx in txs) != block.txs:
        return "its transactions are not those it was opened with"
    return None


def _execute(
    registry: Registry, parent: Parent, header: Header, txs: Sequence[Transaction]
) -> Candidate | str:
    draft = Draft(parent.reader)
    run = BlockRun(
        registry,
        draft,
        height=header.height,
        time_ms=header.timestamp_ms,
        parent_root=parent.head.header.state_root,
    )
    for index, tx in enumerate(txs):
        try:
            run.apply(tx)
        except Rejected as refusal:
            return f"its transaction {index} may not enter a block: {refusal.name}"
    outcome = run.finish()
    # `check_body` has compared the header's txs_root with the transactions.
    return _close(parent, draft, outcome, txs, header.timestamp_ms, header.txs_root)


# Both -----------------------------------------------------------------------------------------


def _close(
    parent: Parent,
    draft: Draft,
    outcome: Outcome,
    txs: Sequence[Transaction],
    timestamp_ms: int,
    body_root: bytes,
) -> Candidate:
    """An executed block with its validators, roots and header; `body_root` is its txs_root."""
    head = parent.head
    before = head.header
    era, height = era_after(before), before.height + 1
    changes = draft.changes()
    validators = head.validators
    if any(key.startswith(GATEWAY.prefix) for key, _ in changes):
        validators = close_era(draft, head.validators, era=era, height=height)
        changes = draft.changes()
    root, nodes = update(parent.nodes, changes)
    header = Header(
        version=PROTOCOL_VERSION,
        genesis_hash=before.genesis_hash,
        era=era,
        height=height,
        parent_hash=head.hash,
        timestamp_ms=timestamp_ms,
        txs_root=body_root,
        receipts_root=receipts_root(outcome.encoded),
        state_root=root,
        valset_hash=head.validators.hash,
        next_valset_hash=validators.hash,
    )
    return Candidate(
        block=Block(header, tuple(tx.raw for tx in txs)),
        hash=hash_header(header),
        draft=draft,
        changes=changes,
        nodes=nodes,
        outcome=outcome,
        txids=tuple(tx.txid for tx in txs),
        validators=validators,
    )
