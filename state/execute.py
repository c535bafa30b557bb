"""Execution of a block on a draft: due work, what takes effect at this height, transactions.

A pure function of the draft, the block's height and time, and the transactions: no clock, no
randomness, no order of sets. A transaction that may not enter a block raises `Rejected` before
anything is written; one that enters pays its fee and uses its nonce, and then either happens
whole or leaves nothing but its code. Here is the one `except Rejected` of execution.

Signatures are not checked here: whoever made the `Transaction` has done it once for the node.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

from mgsnode.base.block import Receipt
from mgsnode.base.codec import encode
from mgsnode.base.errors import ConfigError, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import address_of
from mgsnode.base.limits import TX_LIFETIME_MS_MAX
from mgsnode.base.transaction import (
    BAD_NONCE,
    EXPIRED,
    FAMILY_PAUSED,
    FEE_TOO_HIGH,
    FEE_UNAFFORDABLE,
    NOT_AUTHORISED,
    UNKNOWN_KIND,
    VALID_TOO_LONG,
    Transaction,
)
from state.context import (
    CLOCK,
    DUE,
    PARAM,
    ROOT,
    ROOTS_KEPT,
    Clock,
    Context,
    Param,
    Params,
    Root,
    pause_of,
)
from state.draft import Draft, Reader
from state.registry import Family, Kind, Registry
from state.tx.accounts import (
    ACCOUNT,
    Account,
    account_of,
    check_free,
    fee_of,
    next_nonce,
    nonces_after,
    signing_keys,
)
from state.tx.gateways import chain_of
from state.tx.money import collect_fees, write_totals

Begin: TypeAlias = Callable[[Context], Iterator[bytes]]
LIVE_STEP_MS_MAX: Final = 60_000  # the live clock's share of a longer gap: outages take no time
DUE_ITEMS_MAX: Final = 512  # due work of one block: about 0.05 s, as much as 1,000 transfers
# And no further item after so many writes: an order that names 64 batches takes 72 when it is
# called off, and 512 of those 0.3 s of execution and as much for the trie.
DUE_WRITES_MAX: Final = 16_384
GENESIS_MS_MAX: Final = 2**53  # JSON's exact integers; later times fit into 64 bits


class Outcome(NamedTuple):
    """What executing a block gave, beside the draft.

    `receipts[i]` belongs to the block's transaction i. Those of due work, which was done
    before them, stand after them, each under the id of the object that fell due or took effect.
    """

    receipts: tuple[Receipt, ...]
    encoded: tuple[bytes, ...]  # the same, as bytes
    history: tuple[tuple[bytes, int], ...]  # (address, index of the receipt)
    listed: tuple[tuple[int, bytes, bytes], ...]  # (list number, owner, object id), in order


class _Done(NamedTuple):
    receipt: Receipt
    encoded: bytes
    involved: tuple[bytes, ...]


class BlockRun:
    """One block being executed. Made with the clocks moved and the due work done."""

    def __init__(
        self,
        registry: Registry,
        draft: Draft,
        *,
        height: int,
        time_ms: int,
        parent_root: bytes = b"",
        due: bool = True,
        is_wary: bool = False,
    ) -> None:
        """`parent_root` is the state root after the height below (empty: not recorded).

        `is_wary`: what a transaction leaves is encoded right after it, and a record that has no
        encoding is that transaction's bug. It costs a second encoding and changes nothing else.
        """
        clock = draft.get(CLOCK, b"")
        assert clock is not None, "the genesis sets the clock"
        live_ms = clock.live_ms + min(time_ms - clock.time_ms, LIVE_STEP_MS_MAX)
        self._registry = registry
        self._draft = draft
        self._params = Params(draft, registry.defaults)
        self._ctx = Context(
            draft,
            height=height,
            time_ms=time_ms,
            live_ms=live_ms,
            params=self._params,
            rules=registry.rules,
        )
        self._fees = 0
        self._totals: tuple[int, ...] | None = None  # before the last transaction
        self._is_wary = is_wary
        self._done: list[_Done] = []
        self._due_done: list[_Done] = []
        self._listed: list[tuple[int, bytes, bytes]] = []
        if due:
            self._each(lambda family: family.at_start)
        due_from_ms = self._do_due(clock.due_from_ms) if due else clock.due_from_ms
        draft.put(CLOCK, b"", Clock(time_ms, live_ms, due_from_ms))
        if parent_root:
            draft.put(ROOT, (height - 1) % ROOTS_KEPT, Root(height - 1, parent_root))
        if due:
            self._each(lambda family: family.at_height)

    def _do_due(self, from_ms: int) -> int:
        """Do what has fallen due, in order of live time and id, up to the bound.

        Returns the live time at which the queue begins now. The number of rows read for a block
        is bounded too: each family's queue is walked only as far as all of them go together.
        """
        ctx, draft = self._ctx, self._draft
        walks = (
            self._due_of(family, from_ms)
            for family in self._registry.families
            if family.due is not None
        )
        next_from_ms = ctx.live_ms + 1
        work: list[tuple[int, bytes, int, int]] = []
        for item in heapq.merge(*walks):
            if len(work) == DUE_ITEMS_MAX:
                next_from_ms = item[0]
                break
            work.append(item)
        draft.begin()
        for live_ms, object_id, family, at_ms in work:
            if draft.writes >= DUE_WRITES_MAX:
                return live_ms
            handler = self._registry.family[family].due
            assert handler is not None, "who schedules has a handler"
            key = ((family, at_ms), object_id)
            if draft.get(DUE, key) is None:
                continue  # what came before it in this very block has ended or moved it
            draft.delete(DUE, key)
            ctx.open(object_id, b"")
            handler(ctx, object_id)
            self._record(self._due_done, Receipt(object_id, 0, 0, tuple(ctx.events)))
        return next_from_ms

    def _due_of(self, family: Family, from_ms: int) -> Iterator[tuple[int, bytes, int, int]]:
        """(live time, object id, family, time on its clock) of what has fallen due, in order."""
        ctx, number = self._ctx, family.number
        pause = ctx.pause(number)
        first_ms = max(
            0, (min(from_ms, pause.since_ms) if pause.is_paused else from_ms) - pause.stood_ms
        )
        now_ms = ctx.now(number)
        if first_ms > now_ms:
            return
        prefix = bytes([number])
        start = prefix + first_ms.to_bytes(8, "big")
        for ((_, at_ms), object_id), _ in self._draft.items(DUE, prefix, start=start):
            if at_ms > now_ms:
                return
            yield at_ms + pause.stood_ms, object_id, number, at_ms

    def _each(self, when: Callable[[Family], Begin | None]) -> None:
        """What families do at the start or at this very height, each object with a receipt."""
        ctx = self._ctx
        for family in self._registry.families:
            begin = when(family)
            if begin is None:
                continue
            doing: bytes | None = None
            for object_id in begin(ctx):
                if doing is not None:
                    self._record(self._due_done, Receipt(doing, 0, 0, tuple(ctx.events)))
                ctx.open(object_id, b"")
                doing = object_id
            if doing is not None:
                self._record(self._due_done, Receipt(doing, 0, 0, tuple(ctx.events)))

    def _record(self, done: list[_Done], receipt: Receipt) -> None:
        ctx = self._ctx
        done.append(_Done(receipt, encode(receipt), tuple(ctx.involved)))
        if ctx.listed:
            self._listed.extend(ctx.listed)

    def apply(self, tx: Transaction, *, is_signed: bool = True) -> Receipt:
        """Execute the next transaction. `Rejected` if it may not stand here: nothing is written.

        Whatever else it raises is a bug; `undo` then takes back what it wrote.
        """
        body = tx.body
        ctx, draft = self._ctx, self._draft
        draft.begin()
        self._totals = ctx.totals
        kind, fee, sender = check_envelope(
            self._registry, draft, self._params, tx, time_ms=ctx.time_ms, is_signed=is_signed
        )
        if body.nonce != next_nonce(sender, body.lane):
            raise Rejected(BAD_NONCE)
        ctx.open(tx.txid, body.sender)
        _spend(draft, tx, sender, fee)
        try:
            if not kind.ends:
                self._check_running(body.kind)
            kind.apply(ctx, body.fields)
            receipt = Receipt(tx.txid, 0, fee, tuple(ctx.events))
        except Rejected as refusal:
            self.undo()
            ctx.open(tx.txid, body.sender)
            _spend(draft, tx, sender, fee)
            receipt = Receipt(tx.txid, refusal.code, fee, ())
            self.refusal = refusal
        if self._is_wary:
            draft.check_written()
            encode(ctx.totals or ())
        ctx.involved[body.sender] = None
        if body.payer:
            ctx.involved[body.payer] = None
        self._record(self._done, receipt)
        self._fees += fee
        return receipt

    def _check_running(self, kind: str) -> None:
        """`FAMILY_PAUSED` where governance has paused the family of this kind."""
        number = self._registry.family_of_kind[kind]
        if self._ctx.pause(number).is_paused:
            raise Rejected(FAMILY_PAUSED, family=self._registry.family[number].name)

    refusal: Rejected | None = None  # the last one met by `apply`, with its facts; for simulation

    def undo(self) -> None:
        """Take back what the last transaction wrote and moved."""
        self._draft.rollback()
        self._ctx.totals = self._totals

    def finish(self) -> Outcome:
        """The block's fees into the pool, the totals, and everything that was recorded."""
        if self._fees:
            collect_fees(self._ctx, self._fees)
        write_totals(self._ctx)
        done = [*self._done, *self._due_done]
        return Outcome(
            receipts=tuple(item.receipt for item in done),
            encoded=tuple(item.encoded for item in done),
            history=tuple(
                (address, index) for index, item in enumerate(done) for address in item.involved
            ),
            listed=tuple(self._listed),
        )


def check_envelope(
    registry: Registry,
    reader: Reader,
    params: Params,
    tx: Transaction,
    *,
    time_ms: int,
    ahead_ms: int = 0,
    is_signed: bool = True,
) -> tuple[Kind, int, Account]:
    """(kind, fee, sender) of a transaction that may enter a block of that time but for its nonce.

    `Rejected` otherwise: unknown kind, time, authorisation, fee, a frozen sponsor. Writes nothing.
    """
    body = tx.body
    kind = registry.kinds.get(body.kind)
    if kind is None:
        raise Rejected(UNKNOWN_KIND)
    if body.valid_until < time_ms:
        raise Rejected(EXPIRED, valid_until=body.valid_until)
    latest = time_ms + ahead_ms + TX_LIFETIME_MS_MAX
    if body.valid_until > latest:
        raise Rejected(VALID_TOO_LONG, highest=latest)
    sender = account_of(reader, body.sender)
    if is_signed:
        _check_authorised(reader, kind, tx, sender)
    fee = fee_of(params, registry.weight_param[body.kind], len(tx.raw))
    if fee > body.fee_max:
        raise Rejected(FEE_TOO_HIGH, fee=str(fee), fee_max=str(body.fee_max))
    if body.payer:
        check_free(reader, body.payer)  # its own fees it pays, as a duty may cost one
    balance = (account_of(reader, body.payer) if body.payer else sender).dollar
    if balance < fee:
        raise Rejected(FEE_UNAFFORDABLE, fee=str(fee), balance=str(balance))
    return kind, fee, sender


def _check_authorised(reader: Reader, kind: Kind, tx: Transaction, sender: Account) -> None:
    """Everyone who has to sign did, and nobody else: a stranger's signature costs everyone."""
    body = tx.body
    signatures = tx.signatures
    asks_others = kind.cosigners is not None or kind.cosigning_keys is not None
    if len(signatures) == 1 and not (body.payer or asks_others or sender.keys):
        if address_of(signatures[0][0]) != body.sender:
            raise Rejected(NOT_AUTHORISED, who="sender")
        return
    needed = [("sender", body.sender)]
    if body.payer:
        needed.append(("payer", body.payer))
    if kind.cosigners is not None:
        needed += [("cosigner", address) for address in kind.cosigners(reader, body.fields)]
    signers = [key for key, _ in signatures]
    known: dict[bytes, None] = {}
    for who, address in needed:
        account = account_of(reader, address)
        keys = signing_keys(account, address, signers)
        if len(keys) < account.threshold:
            raise Rejected(NOT_AUTHORISED, who=who)
        known.update(dict.fromkeys(keys))
    if kind.cosigning_keys is not None:
        for key in kind.cosigning_keys(reader, body.sender, body.fields):
            if key not in signers:
                raise Rejected(NOT_AUTHORISED, who="key")
            known[key] = None
    if len(known) != len(signers):
        raise Rejected(NOT_AUTHORISED, who="stranger")


def _spend(draft: Draft, tx: Transaction, sender: Account, fee: int) -> None:
    """Use the nonce and take the fee: what a refused transaction costs too."""
    body = tx.body
    nonces = nonces_after(sender, body.lane, body.nonce)
    dollar, token, _, keys, threshold, flags = sender
    if not body.payer:
        dollar -= fee
    draft.put(ACCOUNT, body.sender, Account(dollar, token, nonces, keys, threshold, flags))
    if body.payer:
        payer = account_of(draft, body.payer)
        draft.put(ACCOUNT, body.payer, payer._replace(dollar=payer.dollar - fee))


def apply_genesis(registry: Registry, draft: Draft, genesis: Genesis) -> None:
    """Write the state of height 0. `ConfigError` names the field that cannot be."""
    if not 0 <= genesis.time_ms <= GENESIS_MS_MAX:
        raise ConfigError(f"genesis: time_ms is from 0 to {GENESIS_MS_MAX}")
    values = dict(registry.defaults)
    for name, value in genesis.params:
        if name not in registry.params:
            raise ConfigError(f"genesis: params.{name} is not a parameter")
        lowest, highest = registry.params[name].bounds(genesis.network)
        if type(value) is not int or not lowest <= value <= highest:
            raise ConfigError(f"genesis: params.{name} is outside {lowest} to {highest}")
        values[name] = value
    for name in sorted(values):
        draft.put(PARAM, name, Param(values[name]))
    time_ms = genesis.time_ms
    draft.put(CLOCK, b"", Clock(time_ms, time_ms, time_ms + 1))
    ctx = Context(
        draft,
        height=0,
        time_ms=time_ms,
        live_ms=time_ms,
        params=Params(draft, registry.defaults),
        rules=registry.rules,
    )
    for family in registry.families:
        if family.genesis is not None:
            family.genesis(ctx, genesis)
    write_totals(ctx)


def apply_carried(registry: Registry, draft: Draft, genesis: Genesis) -> None:
    """Make the state of an earlier chain's last height that of this one's height 0 (case 75).

    What is open stays open: balances, orders and deadlines are the same, and the time in which
    there was no chain has not passed for them. Heights begin anew, so the last roots are gone.
    `ConfigError` names the field that does not fit the state.
    """
    clock = draft.get(CLOCK, b"")
    assert clock is not None, "the earlier genesis set it"
    if not clock.time_ms < genesis.time_ms <= GENESIS_MS_MAX:
        raise ConfigError(f"genesis: time_ms is from {clock.time_ms + 1} to {GENESIS_MS_MAX}")
    draft.put(CLOCK, b"", clock._replace(time_ms=genesis.time_ms))
    for number, _ in list(draft.items(ROOT)):
        draft.delete(ROOT, number)
    ctx = Context(
        draft,
        height=0,
        time_ms=genesis.time_ms,
        live_ms=clock.live_ms,
        params=Params(draft, registry.defaults),
        rules=registry.rules,
    )
    for family in registry.families:
        if family.carry is not None:
            family.carry(ctx, genesis)
    write_totals(ctx)


def check_params(registry: Registry, reader: Reader) -> str | None:
    """The core's law on parameters: each stands within the bounds of the code."""
    network = chain_of(reader).network
    for name, row in reader.items(PARAM):
        if name not in registry.params:
            return f"parameter {name} is not one"
        lowest, highest = registry.params[name].bounds(network)
        if not lowest <= row.value <= highest:
            return f"parameter {name} = {row.value} is outside {lowest} to {highest}"
    return None


def check_due(registry: Registry, reader: Reader) -> str | None:
    """The core's law on the due queue: nothing stands before where it begins."""
    clock = reader.get(CLOCK, b"")
    assert clock is not None
    for ((number, at_ms), object_id), _ in reader.items(DUE):
        family = registry.family.get(number)
        if family is None or family.due is None:
            return f"due item {object_id.hex()} belongs to no family"
        pause = pause_of(reader, number)
        if not pause.is_paused and at_ms + pause.stood_ms < clock.due_from_ms:
            return f"due item {object_id.hex()} at {at_ms} was passed over"
    return None
