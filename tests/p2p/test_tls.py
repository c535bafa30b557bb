"""Certificates and contexts: same bytes for ever, and nobody but the known gets through."""

from __future__ import annotations

import os
import ssl
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from mgsnode.base.errors import ConfigError
from p2p.owner import PeerInfo
from p2p.roster import Identity, Roster
from p2p.tls import Contexts, TlsPipe, check_certificate, make_certificate, make_contexts
from tests.p2p.conftest import certificate_of, seed_of

ADA, BOB = certificate_of("ada"), certificate_of("bob")


def contexts_of(name: str, *trusted: bytes) -> Contexts:
    return make_contexts(certificate_of(name), seed_of(name), trusted)


def shake(server: Contexts, client: Contexts) -> tuple[TlsPipe, TlsPipe]:
    """Carry a handshake through, or raise what one side raises."""
    a = TlsPipe(server.server, server_side=True)
    b = TlsPipe(client.client, server_side=False)
    for _ in range(4):
        for one, other in ((b, a), (a, b)):
            if not one.ready:
                one.shake()
            other.receive(one.outgoing())
    return a, b


def test_a_certificate_is_a_function_of_name_and_seed() -> None:
    assert make_certificate("ada", seed_of("ada")) == ADA
    assert sha256(ADA).hexdigest() == (
        "53499ada9b2121d4695376d477863f9db4a27af1838ea8c722fd7cf2095eed9a"
    ), "genesis files hold these bytes: they must not change"
    assert check_certificate(ADA) is None
    name = x509.load_der_x509_certificate(ADA).subject.rfc4514_string()
    assert name == "CN=ada"


def test_case_55_two_known_peers_meet_by_tls_1_3_and_see_each_other_s_certificate() -> None:
    server, client = shake(contexts_of("ada", BOB), contexts_of("bob", ADA))
    assert server.peer_certificate == BOB
    assert client.peer_certificate == ADA
    assert server.description.startswith("TLSv1.3")
    client.write(b"x" * 100_000)
    server.receive(client.outgoing())
    got = b""
    while piece := server.read():
        got += piece
    assert got == b"x" * 100_000


@pytest.mark.parametrize("side", ["server", "client"])
def test_a_stranger_and_a_namesake_with_another_key_are_refused(side: str) -> None:
    seed = b"z" * 32
    for name in ("eve", "bob"):
        other = make_contexts(make_certificate(name, seed), seed, [ADA])
        own = contexts_of("ada", BOB)
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            shake(*((own, other) if side == "server" else (other, own)))


def test_a_certificate_signed_by_a_known_key_is_not_a_known_certificate() -> None:
    """bob signs eve's key under his own name: only the comparison of bytes can refuse that."""
    bob = ed25519.Ed25519PrivateKey.from_private_bytes(seed_of("bob"))
    eve = ed25519.Ed25519PrivateKey.from_private_bytes(b"e" * 32)
    parent = x509.load_der_x509_certificate(BOB)
    signed = (
        x509.CertificateBuilder()
        .subject_name(parent.subject)
        .issuer_name(parent.subject)
        .public_key(eve.public_key())
        .serial_number(2)
        .not_valid_before(parent.not_valid_before_utc)
        .not_valid_after(parent.not_valid_after_utc)
        .sign(bob, None)
        .public_bytes(Encoding.DER)
    )
    roster = Roster(Identity("ada", ADA, seed_of("ada")), b"g" * 32)
    roster.replace([PeerInfo("bob", BOB, "", 0)])
    assert roster.identify(signed, None) is None
    assert roster.identify(BOB, None) == PeerInfo("bob", BOB, "", 0)
    assert roster.identify(BOB, PeerInfo("cyd", b"", "", 0)) is None, "not whom we called"


def test_older_tls_is_refused() -> None:
    old = contexts_of("bob", ADA)
    old.client.minimum_version = ssl.TLSVersion.TLSv1_2
    old.client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shake(contexts_of("ada", BOB), old)


def test_a_client_without_a_certificate_is_refused() -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(cadata=ADA)
    with pytest.raises(ssl.SSLError):
        shake(contexts_of("ada", BOB), Contexts(bare, bare))


def test_the_private_key_leaves_no_file_and_no_descriptor(tmp_path: Path) -> None:
    os.environ["TMPDIR"] = str(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    contexts_of("ada", BOB)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not list(tmp_path.iterdir())
    del os.environ["TMPDIR"]
    assert seed_of("ada").hex() not in repr(Identity("ada", ADA, seed_of("ada")))
    assert "seed" not in repr(Identity("ada", ADA, seed_of("ada")))


def test_without_memory_files_the_key_passes_through_a_file_that_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server, _ = shake(contexts_of("ada", BOB), contexts_of("bob", ADA))
    assert server.ready
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.binary(max_size=300), st.integers(0, 10**6), st.integers(0, 255))
def test_check_certificate_answers_for_any_bytes(junk: bytes, at: int, byte: int) -> None:
    assert check_certificate(junk) is not None
    changed = bytearray(ADA)
    changed[at % len(ADA)] = byte
    verdict = check_certificate(bytes(changed))
    assert verdict is None or isinstance(verdict, str)
    assert check_certificate(ADA + b"\x00") is not None
    assert check_certificate(ADA + BOB) is not None


def test_a_certificate_of_another_algorithm_cannot_be_a_peer_s() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    parent = x509.load_der_x509_certificate(ADA)
    other = (
        x509.CertificateBuilder()
        .subject_name(parent.subject)
        .issuer_name(parent.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(parent.not_valid_before_utc)
        .not_valid_after(parent.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    assert check_certificate(other.public_bytes(Encoding.DER)) is not None


def test_a_list_that_contradicts_itself_or_us_is_a_configuration_error() -> None:
    roster = Roster(Identity("ada", ADA, seed_of("ada")), b"g" * 32)
    bob = PeerInfo("bob", BOB, "h", 1)
    for members in (
        [bob, bob],
        [bob, PeerInfo("cyd", BOB, "h", 2)],
        [PeerInfo("bob", ADA, "h", 1)],
        [PeerInfo("ada", BOB, "h", 1)],
    ):
        with pytest.raises(ConfigError):
            roster.replace(members)
    with pytest.raises(ConfigError):
        Roster(Identity("ada", BOB, seed_of("ada")), b"g" * 32)
    change = roster.replace([bob, PeerInfo("cyd", b"junk", "h", 2)])
    assert [link.info.name for link in change.new] == ["bob"], "the unusable one is left out"
