"""Who may knock: bounds for connections that have not said who they are, and growing bans.

No IO; the caller brings the time. Addresses are text as the socket gives them (IPv6 counts by
/64). Addresses of members' endpoints are *reserved*: they are never banned, since a stranger
behind the same address must not lock a member out, and their waiting connections are the last
to be turned away (Marcus, Heilman, Goldberg 2018: eclipse by filling slots before a restart).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from p2p.limits import Limits


@dataclass(slots=True)
class _Record:
    offences: int = 0
    last_s: float = 0.0
    banned_until_s: float = 0.0


class Bans:
    """Offenders by key (an address or a peer's name): each offence doubles the ban."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records: dict[str, _Record] = {}

    def offend(self, key: str, now: float) -> float:
        """Count an offence; the seconds of ban that follow from it."""
        limits = self._limits
        record = self._records.pop(key, None)
        if record is None or now - record.last_s > limits.forgive_s:
            record = _Record()
        self._records[key] = record  # now the youngest
        while len(self._records) > limits.addresses_max:
            del self._records[next(iter(self._records))]
        record.offences += 1
        record.last_s = now
        ban_s = min(limits.ban_first_s * 2.0 ** min(record.offences - 1, 30), limits.ban_max_s)
        record.banned_until_s = now + ban_s
        return ban_s

    def left_s(self, key: str, now: float) -> float:
        """Seconds of ban left; 0.0 if none."""
        record = self._records.get(key)
        return 0.0 if record is None else max(0.0, record.banned_until_s - now)


class Gate:
    """Admits connections before they are authenticated, and says whom to turn away for them.

    1. At most `pending_max` wait, at most `pending_per_address` from one address.
    2. A connection from a reserved address is never turned away for one that is not.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bans = Bans(limits)
        self._reserved: frozenset[str] = frozenset()
        self._pending: dict[int, str] = {}  # connection id -> address, oldest first
        self._attempts: dict[str, tuple[float, float]] = {}  # address -> (tokens, at)

    def reserve(self, addresses: Iterable[str]) -> None:
        """Members' addresses, as IP text."""
        self._reserved = frozenset(map(address_key, addresses))

    def admit(self, connection: int, address: str, now: float) -> tuple[bool, int | None]:
        """(taken in?, id of the waiting connection to end for it, if any)."""
        key = address_key(address)
        reserved = key in self._reserved
        if not reserved and self._bans.left_s(key, now) > 0.0:
            return False, None
        if not self._has_token(key, now):
            return False, None
        evicted: int | None = None
        here = [c for c, other in self._pending.items() if other == key]
        if len(here) >= self._limits.pending_per_address:
            evicted = here[0]
        elif len(self._pending) >= self._limits.pending_max:
            evicted = next((c for c, a in self._pending.items() if a not in self._reserved), None)
            if evicted is None:
                if not reserved:
                    return False, None
                evicted = next(iter(self._pending))
        if evicted is not None:
            del self._pending[evicted]
        self._pending[connection] = key
        return True, evicted

    def leave(self, connection: int) -> None:
        """The connection has said hello, or is gone."""
        self._pending.pop(connection, None)

    def offend(self, address: str, now: float) -> None:
        """Someone at `address` failed to say who they are."""
        self._bans.offend(address_key(address), now)

    @property
    def pending(self) -> int:
        """Connections that wait."""
        return len(self._pending)

    def _has_token(self, key: str, now: float) -> bool:
        limits = self._limits
        tokens, at = self._attempts.pop(key, (limits.attempts_burst, now))
        tokens = min(limits.attempts_burst, tokens + (now - at) * limits.attempts_per_s)
        has = tokens >= 1.0
        self._attempts[key] = (tokens - 1.0 if has else tokens, now)
        while len(self._attempts) > limits.addresses_max:
            del self._attempts[next(iter(self._attempts))]
        return has


def address_key(address: str) -> str:
    """What an address is counted under: IPv4 (mapped too) as it is, IPv6 by its /64."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((ip, 64), strict=False).network_address)
    return str(ip)
