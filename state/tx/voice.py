"""Voice: what buyers may direct to those whose words helped them. Part of the token family.

A tenth of what a final order can earn is its buyer's *voice*: granted when the order's period
closes, reserved for `voice_ms` (90 days) and then back in the pool. A helpful vote directs at most
a tenth of the voice granted in that time to the author; an order that names who led to it directs
a tenth of its own as well, which the author has when the order's period closes. Never to oneself,
to a linked account, or by who sells. It is linear: many accounts with the fees of one weigh as much
as the one.

Grants are good until the next whole ninth of `voice_ms` after their 90 days, so that an account
has at most ten of them at once and its voice is one short row; the reserves of all accounts for one
such end are one row, which goes back to the pool in one piece. A grant enters the account's row
when the account is next looked at; at most one period waits for that, because a purchase in a later
period takes the earlier one in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key, int_key
from state.tx.accounts import is_linked
from state.tx.rewards import (
    MINING,
    VOICE_BPS,
    VOICE_PART,
    Earned,
    Mining,
    change_earned,
    earned_of,
    led_part_of,
    mining_of,
    part_of,
    running,
    token_now,
)
from state.tx.tokens import TOKEN_FAMILY, add_token_totals

_SLICES: Final = 9  # of `voice_ms`; a grant ends with one


class Voice(NamedTuple):
    """An account's voice. Amounts are micro-MGS."""

    waiting: int  # 1 + the period whose grant is still to be taken in; 0: none
    # (until when on the token's clock, granted, used), rising. `used` can be above `granted` after
    # a refund; nothing is left of such a grant.
    grants: tuple[tuple[int, int, int], ...]

    @property
    def left(self) -> int:
        """What can still be directed."""
        return sum(max(0, granted - used) for _, granted, used in self.grants)

    @property
    def granted(self) -> int:
        """All that was granted, used or not."""
        return sum(granted for _, granted, _ in self.grants)

    @property
    def weight(self) -> int:
        """What one direction is worth (economics.md, vote weight)."""
        return min(self.left, self.granted // VOICE_PART)


class VoiceReserve(NamedTuple):
    """What is reserved for all grants that end at one time; never 0."""

    left: int


VOICE: Final[Table[bytes, Voice]] = Table(151, "token/voice", Voice, bytes_key())
VOICE_RESERVE: Final[Table[int, VoiceReserve]] = Table(
    152, "token/voice_reserve", VoiceReserve, int_key()
)
SILENT: Final = Voice(0, ())


def voice_of(reader: Reader, holder: bytes, now_ms: int) -> Voice:
    """The holder's voice with the grant that waited taken in and what is over left out."""
    voice = reader.get(VOICE, holder) or SILENT
    grants = {until: (granted, used) for until, granted, used in voice.grants if until > now_ms}
    waiting = voice.waiting
    mining = mining_of(reader, waiting - 1) if waiting else None
    if mining is not None and mining.is_closed:
        until_ms = mining.voice_until_ms
        granted, used = grant_of(mining, earned_of(reader, holder, waiting - 1))
        if (granted or used) and until_ms > now_ms:  # what `regrant` may change later stands here
            known = grants.get(until_ms, (0, 0))
            grants[until_ms] = (known[0] + granted, known[1] + used)
        waiting = 0
    return Voice(waiting, tuple((until, *grants[until]) for until in sorted(grants)))


def grant_of(mining: Mining, earned: Earned) -> tuple[int, int]:
    """(granted, used by its own orders for who led to them), rounded so that reserves suffice."""
    used = led_part_of(mining, earned.led_out) + 1 if earned.led_out else 0
    return part_of(mining, earned.buyer, VOICE_BPS), used


def voice_left(reader: Reader, holder: bytes, now_ms: int | None = None) -> int:
    """What the holder can still direct, in micro-MGS; `now_ms` on the token's clock."""
    return voice_of(reader, holder, token_now(reader) if now_ms is None else now_ms).left


def granted_90(reader: Reader, holder: bytes, now_ms: int | None = None) -> int:
    """What was granted to the holder and is not over, used or not, in micro-MGS."""
    return voice_of(reader, holder, token_now(reader) if now_ms is None else now_ms).granted


def may_direct(reader: Reader, giver: bytes, to: bytes, seller: bytes) -> bool:
    """Whether voice may pass: between strangers, and not from who sells (b"": nobody does)."""
    return not is_linked(reader, giver, to) and not (seller and is_linked(reader, giver, seller))


def direct(ctx: Context, giver: bytes, to: bytes, source: bytes, *, seller: bytes = b"") -> int:
    """Direct a tenth of the giver's voice to an author; what it was, in micro-MGS.

    `source` is the review, post or order because of which; `seller` the owner of the shop of which
    is spoken. 0 where the rules say no or nothing is left. The author claims it with what else it
    earned in the running period.
    """
    if not may_direct(ctx.draft, giver, to, seller):
        return 0
    amount = _draw(ctx, giver)
    if amount == 0:
        return 0
    period = running(ctx)
    change_earned(ctx, to, period, voice=amount)
    mining = mining_of(ctx.draft, period)
    ctx.draft.put(MINING, period, mining._replace(claims=mining.claims + amount))
    ctx.involve(to)
    ctx.emit("voice_directed", giver, to, source, amount)
    ctx.fire("voice_directed", giver, to, source, amount)
    return amount


def spend(ctx: Context, giver: bytes, to: bytes, *, seller: bytes = b"") -> int:
    """Use up what `direct` would have directed, against an author: it goes back to the pool."""
    amount = _draw(ctx, giver) if may_direct(ctx.draft, giver, to, seller) else 0
    if amount:
        add_token_totals(ctx, reserved=-amount, pool=amount)
        ctx.emit("voice_spent", giver, amount)
    return amount


def _draw(ctx: Context, giver: bytes) -> int:
    """Take a tenth of the giver's voice out of its reserves; what it was, in micro-MGS."""
    voice = voice_of(ctx.draft, giver, ctx.now(TOKEN_FAMILY))
    amount = voice.weight
    if amount == 0:
        return 0
    grants: list[tuple[int, int, int]] = []
    needed = amount
    for until_ms, granted, used in voice.grants:  # what ends soonest goes first
        part = min(needed, max(0, granted - used))
        if part:
            _take(ctx, until_ms, part)
        grants.append((until_ms, granted, used + part))
        needed -= part
    ctx.draft.put(VOICE, giver, Voice(voice.waiting, tuple(grants)))
    return amount


def _take(ctx: Context, until_ms: int, amount: int) -> None:
    reserve = ctx.draft.get(VOICE_RESERVE, until_ms)
    assert reserve is not None and reserve.left >= amount, "grants are reserved for"
    if reserve.left == amount:
        ctx.unschedule(until_ms, reserve_id(until_ms), TOKEN_FAMILY)
        ctx.draft.delete(VOICE_RESERVE, until_ms)
    else:
        ctx.draft.put(VOICE_RESERVE, until_ms, VoiceReserve(reserve.left - amount))


# What mining calls ----------------------------------------------------------------------------


def note_purchase(ctx: Context, buyer: bytes, period: int) -> None:
    """An order of the buyer counts in the running period: its grant comes when that closes."""
    before = ctx.draft.get(VOICE, buyer) or SILENT
    if before.waiting != period + 1:
        voice = voice_of(ctx.draft, buyer, ctx.now(TOKEN_FAMILY))
        assert voice.waiting == 0, "an earlier period is closed"
        ctx.draft.put(VOICE, buyer, Voice(period + 1, voice.grants))


def reserve_voice(ctx: Context, amount: int) -> int:
    """Reserve a period's voice (the caller moves the totals); until when on the token's clock."""
    lasts_ms = ctx.params["voice_ms"]
    slice_ms = max(1, lasts_ms // _SLICES)
    until_ms = -(-(ctx.now(TOKEN_FAMILY) + lasts_ms) // slice_ms) * slice_ms
    if amount:
        before = ctx.draft.get(VOICE_RESERVE, until_ms)
        if before is None:
            ctx.schedule(until_ms, reserve_id(until_ms), TOKEN_FAMILY)
        left = (before.left if before else 0) + amount
        ctx.draft.put(VOICE_RESERVE, until_ms, VoiceReserve(left))
    return until_ms


def regrant(ctx: Context, holder: bytes, period: int, before: Earned, after: Earned) -> None:
    """A refund changed what a closed period grants; what was directed stays directed.

    A grant that is still to be taken in is reckoned then.
    """
    voice = ctx.draft.get(VOICE, holder)
    assert voice is not None, "who bought has a row"
    if voice.waiting == period + 1:
        return
    mining = mining_of(ctx.draft, period)
    was, now = grant_of(mining, before), grant_of(mining, after)
    grants = tuple(
        (until, granted + now[0] - was[0], used + now[1] - was[1])
        if until == mining.voice_until_ms
        else (until, granted, used)
        for until, granted, used in voice.grants
    )
    if grants != voice.grants:
        ctx.draft.put(VOICE, holder, Voice(voice.waiting, grants))


def do_voice(ctx: Context, until_ms: int) -> None:
    """What nobody directed goes back to the pool."""
    reserve = ctx.draft.get(VOICE_RESERVE, until_ms)
    assert reserve is not None, "a reserve is scheduled as long as it stands"
    ctx.draft.delete(VOICE_RESERVE, until_ms)
    add_token_totals(ctx, reserved=-reserve.left, pool=reserve.left)
    ctx.emit("rewards_returned", "voice", until_ms, reserve.left)


def reserve_id(until_ms: int) -> bytes:
    """Under which a reserve of voice falls due."""
    return numbered_id(b"voice", until_ms)


def numbered_id(what: bytes, number: int) -> bytes:
    """The id of a thing that the chain itself numbers: its name in 24 bytes, its number in 8."""
    return what.ljust(24, b"\0") + number.to_bytes(8, "big")


def check_voice(reader: Reader, holders: Sequence[tuple[bytes, Voice]]) -> str | None:
    """The law: each reserve covers what all accounts can still direct of it, and nobody has used
    less than nothing of a grant.
    """
    now_ms = token_now(reader)
    left: dict[int, int] = {}
    for holder, voice in holders:
        if any(min(granted, used) < 0 for _, granted, used in voice.grants):
            return f"voice of {holder.hex()} has a grant below nothing"
        for until_ms, granted, used in voice_of(reader, holder, now_ms).grants:
            left[until_ms] = left.get(until_ms, 0) + max(0, granted - used)
    for until_ms, amount in left.items():
        reserve = reader.get(VOICE_RESERVE, until_ms)
        if amount > (reserve.left if reserve else 0):
            return f"voice until {until_ms}: {amount} can be directed, less is reserved"
    return None
