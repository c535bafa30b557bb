"""What governance steers beside seats: roles, which families rest, which protocol is spoken.

A pause stops a family's transactions except those that end something open (`Kind.ends`), and its
clock stands still, so that nobody's deadline runs out meanwhile; hooks and work already due go on.
A version of the protocol begins at a height of the chain, never at the time somebody installs a
program: a node whose program does not know it stops there, with the last block of the old version
on its disk, and goes on with the new program (case 71).

Governance, gateways and periods cannot be paused: who paused them could not end it. Part of the
governance family.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.limits import NAME_BYTES_MAX
from state.context import (
    VERSION,
    Action,
    Context,
    Fault,
    Fields,
    Pause,
    Version,
    version_of,
)
from state.fields import Address, Bool, Choice, Int, Struct, Text
from state.tx.accounts import is_linked
from state.tx.gateways import ARBITER, ATTESTOR, GATEWAY, ROLE, ROLES, Role, is_listed

ALREADY_SO: Final = (421, "ALREADY_SO")
UNKNOWN_FAMILY: Final = (422, "UNKNOWN_FAMILY")
ROLE_LINKED: Final = (423, "ROLE_LINKED")
NOT_NEXT_VERSION: Final = (424, "NOT_NEXT_VERSION")
VERSION_MAX: Final = 65_535

_NEVER_PAUSED: Final = ("gateways", "governance", "periods")


def _why_not_turn(ctx: Context, name: str, *, pausing: bool) -> Fault | None:
    number = ctx.rules.families.get(name)
    if number is None or name in _NEVER_PAUSED:
        return UNKNOWN_FAMILY, {"family": name}
    if ctx.pause(number).is_paused == pausing:
        return ALREADY_SO, {"family": name}
    return None


def _make_pause(ctx: Context, args: Fields, _source: bytes) -> None:
    number = ctx.rules.families[args[0]]
    ctx.set_pause(number, Pause(True, ctx.live_ms, ctx.pause(number).stood_ms))


def _make_resume(ctx: Context, args: Fields, _source: bytes) -> None:
    number = ctx.rules.families[args[0]]
    before = ctx.pause(number)
    stood_ms = before.stood_ms + ctx.live_ms - before.since_ms
    ctx.set_pause(number, Pause(False, 0, stood_ms))


def _why_not_name(ctx: Context, args: Fields) -> Fault | None:
    role, address, is_named = args
    if is_listed(ctx.draft, role, address) == is_named:
        return ALREADY_SO, {"role": role}
    if is_named and role in (ATTESTOR, ARBITER):
        for name, row in ctx.draft.items(GATEWAY):
            if is_linked(ctx.draft, address, row.operator):
                return ROLE_LINKED, {"gateway": name}
    return None


def _make_name(ctx: Context, args: Fields, _source: bytes) -> None:
    role, address, is_named = args
    key = (ROLES.index(role), address)
    if is_named:
        ctx.draft.put(ROLE, key, Role(ctx.height))
    else:
        ctx.draft.delete(ROLE, key)
    ctx.involve(address)
    ctx.emit("gov_named", role, address, is_named)


def _why_not_schedule(ctx: Context, args: Fields) -> Fault | None:
    """Versions follow one another: none is left out, none comes back."""
    following = version_of(ctx.draft).version + 1
    return None if args[0] == following else (NOT_NEXT_VERSION, {"next": following})


def _make_schedule(ctx: Context, args: Fields, _source: bytes) -> None:
    version = Version(args[0], ctx.height + 1)
    ctx.draft.put(VERSION, b"", version)
    ctx.emit("gov_version", version.version, version.first_height)


_FAMILY: Final = Struct(family=Text(NAME_BYTES_MAX, lowest=1))
CONTROL_ACTIONS: Final[dict[str, Action]] = {
    "pause": Action(_FAMILY, lambda ctx, a: _why_not_turn(ctx, a[0], pausing=True), _make_pause),
    "resume": Action(_FAMILY, lambda ctx, a: _why_not_turn(ctx, a[0], pausing=False), _make_resume),
    "schedule_version": Action(
        Struct(version=Int(2, VERSION_MAX)), _why_not_schedule, _make_schedule
    ),
    "name_role": Action(
        Struct(role=Choice(*ROLES), account=Address(), named=Bool()), _why_not_name, _make_name
    ),
}
