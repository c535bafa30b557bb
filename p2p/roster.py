"""Who is known: names, certificates, roles, and the TLS contexts that trust exactly them.

No IO. A certificate that cannot be one is left out and logged, not raised: the list comes from
the chain, and one gateway's mistake must not stop everybody's node.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mgsnode.base.errors import ConfigError
from p2p.dial import Link
from p2p.hello import MEMBER, OBSERVER, WIRE_VERSION, Bye, Hello, Role
from p2p.owner import PeerInfo
from p2p.tls import Contexts, check_certificate, make_contexts

_log = logging.getLogger("mgsnode.p2p")


@dataclass(frozen=True)
class Identity:
    """Who we are on the wire: `seed` is the transport key's (32 bytes) and is never printed."""

    name: str
    certificate_der: bytes
    seed: bytes = field(repr=False)
    role: Role = MEMBER


class Change(NamedTuple):
    """What a new list means: whom to part from, whom to begin with."""

    gone: tuple[Link, ...]
    new: tuple[Link, ...]


class Roster:
    """The known peers, us excepted.

    1. Names and certificates are distinct; ours is not among them, so nobody can be us.
    2. `contexts` trust exactly the certificates in `links`.
    """

    def __init__(self, identity: Identity, genesis_hash: bytes) -> None:
        self._identity = identity
        self._genesis_hash = genesis_hash
        self._by_certificate: dict[bytes, Link] = {}
        self.links: dict[str, Link] = {}
        self.contexts: Contexts = self._make_contexts()

    def replace(self, members: Sequence[PeerInfo]) -> Change:
        """Take in a new list. Raises `ConfigError` where it contradicts itself or us."""
        wanted = self._check(members)
        gone = tuple(
            link
            for name, link in self.links.items()
            if name not in wanted or not _is_same_peer(wanted[name], link.info)
        )
        for link in gone:
            del self.links[link.info.name]
        new: list[Link] = []
        for name, info in wanted.items():
            if name in self.links:
                self.links[name].info = info
            else:
                self.links[name] = Link(info)
                new.append(self.links[name])
        self._by_certificate = {link.info.certificate_der: link for link in self.links.values()}
        self.contexts = self._make_contexts()
        return Change(gone, tuple(new))

    def identify(self, certificate: bytes, dialled: PeerInfo | None) -> PeerInfo | None:
        """Whose certificate this is, byte for byte, if it is whom we dialled (if we did)."""
        link = self._by_certificate.get(certificate)
        if link is None or (dialled is not None and dialled.name != link.info.name):
            return None
        return link.info

    def check_hello(self, info: PeerInfo, hello: Hello) -> Bye | None:
        """Why a peer identified as `info` may not come in with `hello`; None if it may."""
        link = self.links.get(info.name)
        if link is None or not _is_same_peer(link.info, info):
            return Bye.REMOVED  # the list changed during the handshake
        if hello.version != WIRE_VERSION:
            return Bye.WRONG_VERSION
        if hello.genesis_hash != self._genesis_hash:
            return Bye.WRONG_CHAIN
        if hello.name != info.name:
            return Bye.WRONG_NAME
        if hello.role == MEMBER and info.role == OBSERVER:
            return Bye.WRONG_ROLE  # less than their due they may claim: a joiner catching up
        return None

    def _check(self, members: Sequence[PeerInfo]) -> dict[str, PeerInfo]:
        own = self._identity
        wanted: dict[str, PeerInfo] = {}
        certificates = {own.certificate_der}
        for info in members:
            if info.name == own.name:
                if info.certificate_der != own.certificate_der:
                    raise ConfigError(f"{own.name}: own transport certificate is not the listed")
                continue
            if info.name in wanted:
                raise ConfigError(f"peer {info.name} is listed twice")
            if info.certificate_der in certificates:
                raise ConfigError(f"peer {info.name} has another's transport certificate")
            if fault := check_certificate(info.certificate_der):
                _log.error("peer %s is left out: %s", info.name, fault)
                continue
            certificates.add(info.certificate_der)
            wanted[info.name] = info
        return wanted

    def _make_contexts(self) -> Contexts:
        trusted = [link.info.certificate_der for link in self.links.values()]
        try:
            return make_contexts(self._identity.certificate_der, self._identity.seed, trusted)
        except ssl.SSLError as broken:
            raise ConfigError("own transport certificate does not fit its key") from broken


def _is_same_peer(one: PeerInfo, other: PeerInfo) -> bool:
    """Same certificate and role; where they listen may change under a living connection."""
    return (one.certificate_der, one.role) == (other.certificate_der, other.role)
