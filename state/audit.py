"""The audit: the chain executed again from its genesis, by nobody's word.

For each block: its bytes open, its certificate holds every signature of a quorum that the state
before it names, it follows from its parent, every transaction opens and is signed, executing
them gives its roots and the stored receipts. At the end the laws; and for a whole store, every
row against what the replay wrote (`state/compare.py`). The first thing that is wrong is named.

What needs no state (`state/looked.py`) may be looked at ahead by others (`state/ahead.py`). They
say which hash and which signature; it is judged here all the same, in the same order and words.

The replay has a ledger of its own in a folder that the caller gives and throws away. Memory does
not grow with the chain. It knows no command line, network or clock.

A store that began with a snapshot can vouch from that height on: its replay begins with the same
snapshot, whose certificate the genesis set reaches, and `since` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mgsnode.base.block import (
    Block,
    Certificate,
    Header,
    check_certificate,
    open_certificate,
)
from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import Corrupt, Malformed, MgsError, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.transaction import Transaction
from state import chain
from state.ahead import Ahead, Workers
from state.blame import body_field, header_field
from state.compare import compare_rows, receipt_difference
from state.ledger import Ledger
from state.looked import Checks, Here, open_header_bytes, open_parts
from state.restore import Read, restore
from state.source import Source, StoreSource
from state.store import Rows
from state.view import View

Inspect = Callable[[View], None]
Progress = Callable[[str, int, int], None]  # ("replay" or "rows", done, of how many or 0)


class AuditResult(NamedTuple):
    """`fault` is None if all is well; the counts are of what was found good before it."""

    ok: bool
    height: int
    root: bytes  # the state root after `height`
    certificates: int
    transactions: int
    fault: str | None
    since: int = 0  # the height of the snapshot that the replay began with; 0: the genesis


class _Fault(Exception):
    """Found something; the text names it."""


def audit_store(
    rows: Rows,
    genesis: Genesis,
    scratch: Path,
    *,
    progress: Progress = lambda _what, _done, _of: None,
    workers: Workers | None = None,
    base: Read | None = None,
    carried: Read | None = None,
    inspect: Inspect = lambda _view: None,
) -> AuditResult:
    """Replay the chain in `rows` and compare every row with the replay's.

    `scratch` is a folder that does not exist yet or is empty; it grows as large as the chain.
    `base` gives the items of the snapshot that the store began with, if it did; `Malformed`
    where one of them does not hold; `carried` those of the one that the genesis takes over.
    `workers` look ahead; without, this process looks at everything itself. `MgsError` where one
    of them does not answer. `inspect` is shown the replayed state at the end, if nothing was wrong
    with it.
    """
    if base is None:
        ledger = Ledger.create(scratch, genesis, carried=carried)
    else:
        restore(scratch, genesis, base)
        ledger = Ledger.open(scratch, genesis)
    return _audit(ledger, StoreSource(rows), rows, progress, workers, inspect)


def audit_source(
    source: Source,
    genesis: Genesis,
    scratch: Path,
    *,
    progress: Progress = lambda _what, _done, _of: None,
    workers: Workers | None = None,
    inspect: Inspect = lambda _view: None,
) -> AuditResult:
    """Replay the chain that `source` shows. `scratch` and the rest as in `audit_store`."""
    ledger = Ledger.create(scratch, genesis)
    return _audit(ledger, source, None, progress, workers, inspect)


def _audit(
    ledger: Ledger,
    source: Source,
    rows: Rows | None,
    progress: Progress,
    workers: Workers | None,
    inspect: Inspect,
) -> AuditResult:
    """Replay from the head of `ledger`, which is the genesis or a snapshot. Closes it."""
    replay = _Replay(ledger, source)
    since = ledger.head.header.height
    fault = None
    try:
        head = source.head()
        if workers is not None:
            replay.look_ahead(workers, head)
        for height in range(since, head + 1):
            replay.block(height)
            progress("replay", height, head)
        with ledger.view() as view:
            for law in ledger.laws(view):
                if not law.ok:
                    raise _Fault(f"height {head}: law {law.family}/{law.name}: {law.detail}")
            if rows is not None:
                fault = compare_rows(
                    rows,
                    view.rows,
                    ledger.registry,
                    ledger.hrp,
                    progress=lambda done: progress("rows", done, 0),
                )
            if fault is None:
                inspect(view)
    except (_Fault, Corrupt, Malformed) as error:
        fault = str(error)
    finally:
        ledger.close()
    head_header = ledger.head.header
    return AuditResult(
        ok=fault is None,
        height=head_header.height,
        root=head_header.state_root,
        certificates=replay.certificates,
        transactions=replay.transactions,
        fault=fault,
        since=since,
    )


class _Replay:
    """One replay: blocks in order, from the ledger's head."""

    def __init__(self, ledger: Ledger, source: Source) -> None:
        here = Here()
        self.ledger = ledger
        self.source = source
        self.checks_of: Callable[[int], Checks] = lambda _height: here
        self.since = ledger.head.header.height
        self.certificates = 0
        self.transactions = 0

    def look_ahead(self, workers: Workers, head: int) -> None:
        """Have the blocks up to `head` looked at before their turn."""
        ahead = Ahead(
            self.source,
            workers,
            heights=range(self.since, head + 1),
            genesis_hash=self.ledger.genesis_hash,
            members=lambda: self.ledger.head.validators,
        )
        self.source, self.checks_of = ahead, ahead.checks

    def block(self, height: int) -> None:
        """Execute the block at `height`, or raise `_Fault` or `Corrupt`."""
        where = f"height {height}"
        raw = self.source.block(height)
        if raw is None:
            raise _Fault(f"{where}: block is missing")
        try:
            header_bytes, txs = open_parts(raw)
        except MgsError as error:
            raise _Fault(f"{where}: block: {error}") from None
        if height == self.since:
            ours = self.ledger.stored_block(height)
            assert ours is not None
            if raw != ours[1]:
                field = header_field(header_bytes, self.ledger.head.hash)
                giver = "snapshot" if height else "genesis"
                raise _Fault(f"{where}: {_header(field)}: is not what the {giver} gives")
            return
        certificate = self._open_certificate(height)
        checks = self.checks_of(height)
        header = self._open_header(header_bytes, certificate, checks, where)
        self._check_link(header, height)
        members = self.ledger.head.validators
        why = check_certificate(certificate, header, members, verify=checks.verify(members))
        if why is not None:
            raise _Fault(f"{where}: certificate: {why}")
        receipts = self.source.receipts(height)
        opened = [self._open_tx(tx, i, receipts, where) for i, tx in enumerate(txs)]
        self._check_signatures(opened, checks, receipts, where)
        if checks.txs_root(txs) != header.txs_root:
            raise _Fault(f"{where}: transactions: not those of txs_root (changed, moved, missing)")
        self._execute(Block(header, txs), opened, certificate, receipts)
        self.certificates += 1
        self.transactions += len(txs)

    def _open_certificate(self, height: int) -> Certificate:
        raw = self.source.certificate(height)
        if raw is None:
            raise _Fault(f"height {height}: certificate is missing")
        try:
            return open_certificate(raw)
        except Malformed as error:
            raise _Fault(f"height {height}: certificate: {error.why}") from None

    def _open_header(
        self, raw: bytes, certificate: Certificate, checks: Checks, where: str
    ) -> Header:
        """The header, blaming the field where the certificate is of another."""
        try:
            header = open_header_bytes(raw)
        except Malformed as error:
            field = header_field(raw, certificate.hash)
            raise _Fault(f"{where}: {_header(field)}: {error.why}") from None
        if checks.header_hash(header) != certificate.hash:
            field = header_field(raw, certificate.hash)
            if field is None:
                raise _Fault(f"{where}: certificate: is of another block (or the header changed)")
            raise _Fault(f"{where}: {_header(field)}: is not what was certified")
        return header

    def _check_link(self, header: Header, height: int) -> None:
        head = self.ledger.head
        for name, found, expected in (
            ("height", header.height, height),
            ("parent_hash", header.parent_hash, head.hash),
            ("valset_hash", header.valset_hash, head.validators.hash),
        ):
            if found != expected:
                raise _Fault(f"height {height}: header {name}: does not follow from its parent")

    def _open_tx(
        self, raw: bytes, index: int, receipts: tuple[bytes, ...] | None, where: str
    ) -> Transaction:
        try:
            return self.ledger.open_tx(raw)
        except Malformed as error:
            why = error.why
        except Rejected as refusal:
            field = refusal.facts.get("field")
            why = refusal.name + (f" field {field}" if field else "")
        blamed = self._blame(_body_bytes(raw), index, receipts)
        raise _Fault(f"{where}: transaction {index}: {blamed or 'not a transaction'}: {why}")

    def _check_signatures(
        self,
        txs: Sequence[Transaction],
        checks: Checks,
        receipts: tuple[bytes, ...] | None,
        where: str,
    ) -> None:
        claims = [(index, claim) for index, tx in enumerate(txs) for claim in tx.claims()]
        bad = checks.bad_claims([claim for _, claim in claims])
        for place, (index, claim) in enumerate(claims):
            if place in bad:
                blamed = self._blame(txs[index].body_bytes, index, receipts) or "signature"
                raise _Fault(
                    f"{where}: transaction {index}: {blamed}: "
                    f"the signature of {claim.public_key.hex()} does not fit"
                )

    def _blame(
        self, body_bytes: bytes, index: int, receipts: tuple[bytes, ...] | None
    ) -> str | None:
        """The field of the body that was changed, if its receipt still names the true one."""
        if receipts is None or index >= len(receipts):
            return None
        try:
            txid = chain.open_stored_receipt(receipts[index]).txid
        except (Malformed, Corrupt):
            return None
        field = body_field(body_bytes, txid, self.ledger.registry)
        return None if field is None else f"field {field}"

    def _execute(
        self,
        block: Block,
        txs: Sequence[Transaction],
        certificate: Certificate,
        receipts: tuple[bytes, ...] | None,
    ) -> None:
        height = block.header.height
        why = self.ledger.check(block, txs)
        if why is not None:
            raise _Fault(f"height {height}: {why.strip().splitlines()[-1]}")
        done = self.ledger.commit(certificate.hash, certificate)
        if receipts is not None:
            ours = tuple(encode(receipt) for receipt in done.receipts)
            if receipts != ours:
                where = receipt_difference(encode(receipts), encode(ours)) or ": receipts"
                raise _Fault(f"height {height}{where}: is not what the replay gives")


def _header(field: str | None) -> str:
    return "header" if field is None else f"header field {field}"


def _body_bytes(raw: bytes) -> bytes:
    """The body's bytes of a transaction that does not open, empty if they cannot be told."""
    try:
        value = decode(raw, bytes_max=len(raw))
    except Malformed:
        return b""
    match value:
        case (bytes() as body, _):
            return body
    return b""
