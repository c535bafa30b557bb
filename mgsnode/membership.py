"""Whom a node talks to, and as what: derived from the gateways' rows and the settings.

Members are the gateways with a seat in the state at the head; suspended and leaving ones may
follow as observers, and so may those that the settings list (a joiner is one until its seat is
there). One gateway's mistake must not stop anybody's node: what would contradict itself, a name
or a certificate twice or ours, is left out. No IO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mgsnode.config import P2P
from p2p.hello import MEMBER, OBSERVER, Role
from p2p.owner import PeerInfo
from state.tx.gateways import LEFT, Gateway


class Roster(NamedTuple):
    """Our own role and everybody else. Names and certificates are distinct, ours not among them."""

    role: Role
    peers: tuple[PeerInfo, ...]


def name_of(gateways: Sequence[tuple[str, Gateway]], certificate: bytes) -> str | None:
    """Which gateway's node shows this transport certificate, if one's does."""
    for name, row in gateways:
        if row.transport_certificate == certificate:
            return name
    return None


def derive_roster(
    gateways: Sequence[tuple[str, Gateway]], settings: P2P, *, name: str, certificate: bytes
) -> Roster:
    """The roster of the node of gateway `name` (or an observer) with this certificate."""
    seated = [
        name for name, row in gateways if row.seat and row.transport_certificate == certificate
    ]
    found = [
        PeerInfo(
            other,
            row.transport_certificate,
            *_address(settings.endpoints.get(other, row.endpoint)),
            MEMBER if row.seat else OBSERVER,
        )
        for other, row in gateways
        if row.status != LEFT
    ]
    found += [
        PeerInfo(o.name, bytes.fromhex(o.certificate), o.host, o.port, OBSERVER)
        for o in settings.observers
    ]
    names, certificates = {name}, {certificate}
    peers: list[PeerInfo] = []
    for info in found:
        if info.name not in names and info.certificate_der not in certificates:
            names.add(info.name)
            certificates.add(info.certificate_der)
            peers.append(info)
    return Roster(MEMBER if seated else OBSERVER, tuple(peers))


def _address(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), int(port)
