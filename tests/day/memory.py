"""The day's chain in memory: a `World`, the laws asked at each height."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence

from mgsnode.base.block import Receipt
from mgsnode.base.transaction import Transaction
from state.context import Params
from state.tx.accounts import account_of, next_nonce
from state.tx.gateways import GATEWAY, standing_of
from state.tx.issuing import ISSUE
from state.tx.money import REDEMPTIONS, totals_of
from state.tx.obligations import OBLIGATION, open_of
from state.tx.payouts import REDEMPTION, deadline_of, status_of
from state.tx.periods import period_of
from state.tx.positions import position_of
from state.tx.room import room_of
from tests.day.port import Act, Ask, Bonded, Done, Someone
from tests.day.verdict import Asked, Issued, Owed, Told
from tests.state.world import World, reason


class MemoryPort:
    """Blocks 5 to 55 s apart; all laws are asked after each."""

    def __init__(self, w: World, holders: Sequence[Someone], seed: int) -> None:
        self.w = w
        self.holders = holders
        self.names = {who.address: who.name for who in holders}
        self.rng = random.Random(seed)
        self.heights = 0
        self.codes: Counter[str] = Counter()
        self.events: Counter[str] = Counter()

    def act(self, acts: Sequence[Act]) -> None:
        used: Counter[bytes] = Counter()
        txs = []
        for act in acts:
            sender = act.who.address
            nonce = next_nonce(account_of(self.w.draft, sender), 0) + used[sender]
            used[sender] += 1
            tx = self.w.tx(act.who, act.kind, *act.fields, also=act.also, nonce=nonce)  # type: ignore[arg-type]
            txs.append(tx)
        receipts = self._block(*txs, after_ms=self.rng.randrange(5_000, 55_000))
        for act, receipt in zip(acts, receipts, strict=False):
            why = reason(self.w, receipt)
            self.codes[why] += 1
            act.then(Done(receipt.txid, why, receipt.fee))

    def stand_still(self, ms: int) -> None:
        """Nobody decides anything for so long; then an empty block."""
        self._block(after_ms=ms)

    def _block(self, *txs: Transaction, after_ms: int) -> list[Receipt]:
        receipts = self.w.block(*txs, after_ms=after_ms)
        self.heights += 1
        assert self.w.broken_laws() == []
        for receipt in receipts:
            self.events.update(event.name for event in receipt.events)
        return receipts

    def now_ms(self) -> int:
        return self.w.time_ms

    def dollars(self, who: Someone) -> int:
        return account_of(self.w.draft, who.address).dollar

    def asks(self, rids: Iterable[bytes]) -> dict[bytes, Ask]:
        draft, now = self.w.draft, self.w.now(REDEMPTIONS)
        found = {}
        for rid in rids:
            row = draft.get(REDEMPTION, rid)
            assert row is not None
            left_ms = deadline_of(draft, row, now) - now
            found[rid] = Ask(row.holder, status_of(draft, row), left_ms)
        return found

    def issues(self, ids: Iterable[bytes]) -> dict[bytes, Issued]:
        rows = {iid: self.w.draft.get(ISSUE, iid) for iid in ids}
        return {
            iid: Issued(row.gateway, row.amount, row.reference, row.status)
            for iid, row in rows.items()
            if row is not None
        }

    def obligations(self) -> dict[bytes, Owed]:
        return {
            oid: Owed(row.debtor, row.creditor, row.amount, row.fiat, row.status)
            for oid, row in self.w.draft.items(OBLIGATION)
        }

    def gateway(self, name: str) -> Bonded:
        draft = self.w.draft
        row = draft.get(GATEWAY, name)
        assert row is not None
        params = Params(draft, self.w.registry.defaults)
        return Bonded(
            status=row.status,
            position=position_of(draft, name).position,
            owed=open_of(draft, name).owed,
            room=room_of(draft, params, name, self.w.time_ms).room,
            stops=tuple(why for why, _ in standing_of(draft, name).stops),
        )

    def instant_ms(self) -> int:
        return period_of(self.w.draft).start_ms

    def effective_height(self) -> int:
        return self.w.height + 3

    def told(self) -> Told:
        draft = self.w.draft
        return Told(
            supply=totals_of(draft).supply,
            positions={name: position_of(draft, name).position for name, _ in draft.items(GATEWAY)},
            dollars={who.name: self.dollars(who) for who in self.holders},
            issued={
                iid: Issued(row.gateway, row.amount, row.reference, row.status)
                for iid, row in draft.items(ISSUE)
                if row.to  # the genesis' own: the bank begins with their fiat
            },
            asked={
                rid: Asked(self.names[row.holder], row.gateway, row.amount, status_of(draft, row))
                for rid, row in draft.items(REDEMPTION)
            },
            owed=self.obligations(),
        )
