"""Vesting and spending: how what the genesis laid out comes into hands. Of the token family.

What vests is named in the genesis: a holder, an amount, a cliff and an end, both counted from the
genesis on the token's clock. Before the cliff nothing is free; from then on as much as of the whole
time has gone by. The holder releases it. Promotion, foundation and what was not sold are spent by
proposal, which says what for. Team tokens come by vesting alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import ConfigError, Rejected
from mgsnode.base.genesis import TOKEN_PURPOSES, Genesis
from state.context import Action, Context, Fault, Fields
from state.draft import Reader
from state.fields import MICRO_MGS, Address, Amount, Choice, Struct, Text
from state.registry import EventSpec, Kind, Law
from state.table import Table, bytes_key, pair_key, text_key
from state.tx.tokens import PURPOSE, TOKEN_FAMILY, add_token_totals, add_tokens

UNKNOWN_VESTING: Final = (906, "UNKNOWN_VESTING")
NOTHING_VESTED: Final = (907, "NOTHING_VESTED")
PURPOSE_SPENT: Final = (908, "PURPOSE_SPENT")
SPENDABLE: Final = ("foundation", "promotion", "sale")
VESTABLE: Final = TOKEN_PURPOSES[1:]  # mining is earned
WHAT_FOR_BYTES_MAX: Final = 256


class Vesting(NamedTuple):
    """What vests for a holder, under (holder, purpose). Times on the token's clock."""

    amount: int  # micro-MGS
    released: int
    start_ms: int
    cliff_ms: int
    end_ms: int

    def free_at(self, now_ms: int) -> int:
        """What has come free by then, released or not."""
        if now_ms < self.cliff_ms:
            return 0
        if now_ms >= self.end_ms:
            return self.amount
        return self.amount * (now_ms - self.start_ms) // (self.end_ms - self.start_ms)


VESTING: Final[Table[tuple[bytes, str], Vesting]] = Table(
    153, "token/vesting", Vesting, pair_key(bytes_key(), text_key())
)


def plan_vesting(ctx: Context, genesis: Genesis) -> dict[str, int]:
    """Write the genesis' entries; what vests of each purpose."""
    planned = dict.fromkeys(TOKEN_PURPOSES, 0)
    for index, given in enumerate(genesis.vesting):
        where = f"genesis: vesting[{index}]"
        key, start_ms = (given.holder, given.purpose), genesis.time_ms
        if given.purpose not in VESTABLE:
            raise ConfigError(f"{where}.purpose: is one of {', '.join(VESTABLE)}")
        if ctx.draft.get(VESTING, key) is not None:
            raise ConfigError(f"{where}: the holder has an entry for {given.purpose} already")
        ends = start_ms + given.cliff_ms, start_ms + given.end_ms
        ctx.draft.put(VESTING, key, Vesting(given.amount, 0, start_ms, *ends))
        planned[given.purpose] += given.amount
    return planned


def _give(ctx: Context, purpose: str, to: bytes, amount: int, *, vested: int) -> None:
    row = ctx.draft.get(PURPOSE, purpose)
    assert row is not None, "the genesis lays out every purpose"
    changed = row._replace(left=row.left - amount, vesting=row.vesting - vested)
    assert 0 <= changed.vesting <= changed.left, "what vests is not spent"
    ctx.draft.put(PURPOSE, purpose, changed)
    add_tokens(ctx, to, amount)
    add_token_totals(ctx, unvested=-amount, balances=amount)


def apply_release(ctx: Context, fields: Fields) -> None:
    """The holder takes what has come free."""
    (purpose,) = fields
    key = ctx.sender, purpose
    row = ctx.require(VESTING, key, UNKNOWN_VESTING)
    free = row.free_at(ctx.now(TOKEN_FAMILY)) - row.released
    if free == 0:
        raise Rejected(NOTHING_VESTED, cliff_ms=row.cliff_ms, released=str(row.released))
    # From here on nothing can fail.
    ctx.draft.put(VESTING, key, row._replace(released=row.released + free))
    _give(ctx, purpose, ctx.sender, free, vested=free)
    ctx.emit("token_released", ctx.sender, purpose, free)


def _why_not_spend(ctx: Context, args: Fields) -> Fault | None:
    purpose, _, amount, _ = args
    row = ctx.draft.get(PURPOSE, purpose)
    assert row is not None, "the genesis lays out every purpose"
    free = row.left - row.vesting
    return None if amount <= free else (PURPOSE_SPENT, {"left": str(free)})


def _make_spend(ctx: Context, args: Fields, _source: bytes) -> None:
    purpose, to, amount, what_for = args
    _give(ctx, purpose, to, amount, vested=0)
    ctx.emit("token_spent", purpose, to, amount, what_for)


def _check_vesting(reader: Reader) -> str | None:
    """What vests of each purpose is the sum of its entries, and none gives more than it has."""
    open_ = dict.fromkeys(TOKEN_PURPOSES, 0)
    for (holder, purpose), row in reader.items(VESTING):
        if not 0 <= row.released <= row.amount:
            return f"vesting of {holder.hex()} for {purpose} released more than there is"
        open_[purpose] += row.amount - row.released
    for purpose, kept in reader.items(PURPOSE):
        if kept.vesting != open_[purpose] or kept.vesting > kept.left:
            return f"purpose {purpose}: its entries have {open_[purpose]} to come"
    return None


_TOKENS: Final = Amount(MICRO_MGS)
VESTING_KINDS: Final = (
    Kind(
        "token_release", Struct(purpose=Choice(*VESTABLE)), apply_release, 200,
        "Take what has vested.",
    ),
)  # fmt: skip
VESTING_EVENTS: Final = (
    EventSpec(
        "token_released",
        Struct(holder=Address(), purpose=Text(16), amount=_TOKENS),
        "Vested tokens came to their holder.",
    ),
    EventSpec(
        "token_spent",
        Struct(purpose=Text(16), to=Address(), amount=_TOKENS, what_for=Text(WHAT_FOR_BYTES_MAX)),
        "A proposal gave out tokens of a purpose, and says what for.",
    ),
)
VESTING_LAWS: Final = (Law("vesting", _check_vesting),)
VESTING_ACTIONS: Final = {
    "spend": Action(
        Struct(
            purpose=Choice(*SPENDABLE), to=Address(), amount=_TOKENS,
            what_for=Text(WHAT_FOR_BYTES_MAX, lowest=1),
        ),
        _why_not_spend, _make_spend,
    ),
}  # fmt: skip
