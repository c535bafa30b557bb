"""Seats in the validator set: who has one, what changed them, and who is to lose one.

Law: the set changes only by what is logged here with its reason, and whoever is suspended, by a
vote, a proven lie or a debt that lapsed, loses its seat in the next block (within the changes that
one block may make), unless too few would be left: then it keeps the seat, and only that, until
somebody comes in (consensus.md, 8). Part of the governance family.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key, int_key, pair_key
from state.tx.gateways import (
    ACTIVE,
    GATEWAY,
    LEAVING,
    LEFT,
    SUSPENDED,
    Gateway,
    chain_of,
    note_active,
)

SEATS_MIN_MAIN: Final = 4  # below, not one fault is borne
SEATS_MIN_TEST: Final = 1


class Counts(NamedTuple):
    """The one row of governance's counters."""

    proposals: int  # and whatever else was put into the queue
    changes: int
    queue_from: int  # no row of the queue stands below this height


class Queued(NamedTuple):
    """Something that takes effect at a height."""

    source: bytes  # a proposal; or the evidence or the obligation for which somebody was suspended
    gateway: str  # who proposed it, or whose seat is to go
    vacates: bool  # no proposal: the seat goes


class Change(NamedTuple):
    """A change of the validator set, in the order in which they were made."""

    height: int  # of the barrier: it counts from the next one on
    source: bytes  # the proposal, evidence or lapsed obligation that it follows from
    gateway: str
    vote_key: bytes  # of its seat; empty: it has none any more


COUNTS: Final[Table[bytes, Counts]] = Table(64, "governance/counts", Counts, bytes_key(0))
# Key: (height, how many were queued before): the order of asking.
QUEUE: Final[Table[tuple[int, int], Queued]] = Table(
    66, "governance/queue", Queued, pair_key(int_key(), int_key())
)
CHANGE: Final[Table[int, Change]] = Table(68, "governance/change", Change, int_key())


def counts_of(reader: Reader) -> Counts:
    """The counters."""
    counts = reader.get(COUNTS, b"")
    assert counts is not None, "the genesis writes them"
    return counts


def seats_of(reader: Reader) -> list[str]:
    """Who is in the validator set of the next height, in the order of names."""
    return [name for name, row in reader.items(GATEWAY) if row.seat]


def active_of(reader: Reader) -> list[str]:
    """Who may propose and vote, in the order of names."""
    return [name for name, row in reader.items(GATEWAY) if row.status == ACTIVE]


def others_active(reader: Reader, name: str) -> bool:
    """Whether another gateway than this one may propose and vote."""
    return any(row.status == ACTIVE and other != name for other, row in reader.items(GATEWAY))


def seats_min(reader: Reader) -> int:
    """The fewest members that a validator set of this network has."""
    return SEATS_MIN_MAIN if chain_of(reader).network == "main" else SEATS_MIN_TEST


def enqueue(ctx: Context, height: int, queued: Queued) -> None:
    """At the start of that block, after what was queued for it before."""
    counts = counts_of(ctx.draft)
    ctx.draft.put(QUEUE, (height, counts.proposals), queued)
    changed = counts._replace(
        proposals=counts.proposals + 1, queue_from=min(counts.queue_from, height)
    )
    ctx.draft.put(COUNTS, b"", changed)


def put_gateway(ctx: Context, name: str, row: Gateway, source: bytes) -> None:
    """Write a gateway; a change of its seat, or of the key on it, into the log of changes."""
    before = ctx.draft.get(GATEWAY, name)
    had = before.vote_key if before is not None and before.seat else b""
    has = row.vote_key if row.seat else b""
    ctx.draft.put(GATEWAY, name, row)
    if had != has:
        counts = counts_of(ctx.draft)
        ctx.draft.put(CHANGE, counts.changes, Change(ctx.height, source, name, has))
        ctx.draft.put(COUNTS, b"", counts._replace(changes=counts.changes + 1))
        ctx.emit("gateway_seat", name, row.seat)
    if before is None or before.status != row.status:
        ctx.emit("gateway_status", name, row.status)
        if row.status == ACTIVE:
            note_active(ctx, name)
    ctx.involve(row.operator)


def suspend_now(ctx: Context, name: str, row: Gateway, source: bytes) -> None:
    """No more issuing, no vote in governance, at once; the seat goes in the next block."""
    if row.status != ACTIVE:
        return
    put_gateway(ctx, name, row._replace(status=SUSPENDED), source)
    if row.seat:
        enqueue(ctx, ctx.height + 1, Queued(source, name, vacates=True))


def vacate(ctx: Context, name: str, source: bytes) -> None:
    """Take a suspended gateway's seat, unless too few would be left: then it keeps only that."""
    row = ctx.draft.get(GATEWAY, name)
    if row is None or row.status == ACTIVE or not row.seat:
        return
    if len(seats_of(ctx.draft)) > seats_min(ctx.draft):
        put_gateway(ctx, name, row._replace(seat=False), source)


def finish_leaving(ctx: Context, name: str, source: bytes) -> None:
    """A leaving gateway has left: `leaving.py` knows that nothing of it is open."""
    row = ctx.draft.get(GATEWAY, name)
    assert row is not None and row.status == LEAVING
    put_gateway(ctx, name, row._replace(status=LEFT), source)


def take_kept_seat(ctx: Context, source: bytes) -> None:
    """Who came in takes the seat of one that kept it only because too few would have been left."""
    kept = [(r.place, n) for n, r in ctx.draft.items(GATEWAY) if r.seat and r.status != ACTIVE]
    if kept:
        vacate(ctx, min(kept)[1], source)
