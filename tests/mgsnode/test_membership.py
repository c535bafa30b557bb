"""Whom a node talks to, from the gateways' rows and its settings."""

from __future__ import annotations

from mgsnode.config import P2P, Observer
from mgsnode.membership import derive_roster, name_of
from p2p.hello import MEMBER, OBSERVER
from p2p.owner import PeerInfo
from state.tx.gateways import Gateway


def row(name: str, place: int, *, status: str = "active", seat: bool = True) -> tuple[str, Gateway]:
    gateway = Gateway(
        place=place,
        country="GB",
        currencies=("GBP",),
        owner_hash=b"",
        operator=b"",
        vote_key=b"",
        transport_certificate=name.encode(),
        endpoint=f"{name}.example:2600{place}",
        bond=0,
        cap=0,
        status=status,
        seat=seat,
    )
    return name, gateway


GATEWAYS = [
    row("a", 0),
    row("b", 1, status="suspended", seat=False),
    row("c", 2, status="leaving", seat=False),
    row("d", 3, status="left", seat=False),
    row("e", 4, status="suspended"),
]


def test_seats_make_members_and_the_rest_observers() -> None:
    roster = derive_roster(GATEWAYS, P2P(), name="a", certificate=b"a")
    assert roster.role == MEMBER
    assert [(peer.name, peer.role) for peer in roster.peers] == [
        ("b", OBSERVER), ("c", OBSERVER), ("e", MEMBER),
    ]  # fmt: skip
    assert roster.peers[2] == PeerInfo("e", b"e", "e.example", 26004, MEMBER)


def test_a_gateway_without_a_seat_or_with_another_certificate_is_an_observer() -> None:
    assert derive_roster(GATEWAYS, P2P(), name="b", certificate=b"b").role == OBSERVER
    assert derive_roster(GATEWAYS, P2P(), name="a", certificate=b"old").role == OBSERVER
    assert name_of(GATEWAYS, b"e") == "e"
    assert name_of(GATEWAYS, b"x") is None


def test_settings_add_observers_and_addresses() -> None:
    settings = P2P(
        observers=(Observer(name="x", certificate="00"), Observer(name="e", certificate="01")),
        endpoints={"e": "[::1]:9"},
    )
    roster = derive_roster(GATEWAYS, settings, name="a", certificate=b"a")
    assert roster.peers[-1] == PeerInfo("x", b"\0", "", 0, OBSERVER)
    assert [peer.name for peer in roster.peers] == ["b", "c", "e", "x"]
    assert (roster.peers[2].host, roster.peers[2].port) == ("::1", 9)


def test_nobody_else_has_our_name_or_certificate_or_that_of_a_member() -> None:
    observers = (
        Observer(name="a", certificate="00"),
        Observer(name="x", certificate=b"a".hex()),
        Observer(name="y", certificate=b"e".hex()),
    )
    roster = derive_roster(GATEWAYS, P2P(observers=observers), name="a", certificate=b"a")
    assert [peer.name for peer in roster.peers] == ["b", "c", "e"]
