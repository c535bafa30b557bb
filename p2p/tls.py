"""TLS 1.3 between known certificates: contexts, self-signed Ed25519 certificates, and a pipe.

A certificate is trusted by being known byte for byte, never by who signed it: OpenSSL's trust
store holds exactly the known ones, and whoever uses a `TlsPipe` compares `peer_certificate`
afterwards (a known key could sign another certificate; that comparison refuses it).
No session tickets: every connection proves its key afresh. On Linux the private key goes to
OpenSSL through an anonymous memory file and never touches a disk; elsewhere through a 0600
file in the system's temporary folder that is removed at once (`load_cert_chain` takes paths only).
Sources: RFC 8446 (TLS 1.3), RFC 8410 (Ed25519 in X.509), RFC 5280 §4.1.2.5 (the date of no end).
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from p2p.limits import RECORD_BYTES

CERTIFICATE_BYTES_MAX = 1_024  # ours has 235 with a one-letter name
# Dates that no clock contradicts: whom to trust is said by the member list, not by a calendar.
_NOT_BEFORE = datetime(1970, 1, 1)  # UTC, as X.509 says
_NOT_AFTER = datetime(9999, 12, 31, 23, 59, 59)
_SERIAL = 1


def make_certificate(name: str, seed: bytes) -> bytes:
    """The self-signed certificate (DER) of `name` with the Ed25519 key of `seed` (32 bytes).

    The same arguments give the same bytes. `name` has 1 to 64 characters (X.520's bound).
    """
    key = Ed25519PrivateKey.from_private_bytes(seed)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(_SERIAL)
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, None)
    )
    return certificate.public_bytes(Encoding.DER)


def check_certificate(der: bytes) -> str | None:
    """Why `der` cannot be a peer's certificate; None if it can. Never raises on any bytes."""
    if len(der) > CERTIFICATE_BYTES_MAX:
        return f"a certificate has at most {CERTIFICATE_BYTES_MAX} bytes"
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        if certificate.public_bytes(Encoding.DER) != der:
            return "not one certificate in DER"
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, ssl.SSLError):
        return "not an X.509 certificate in DER"
    if not isinstance(key, Ed25519PublicKey):
        return "a peer's certificate has an Ed25519 key"
    return None


class Contexts(NamedTuple):
    """The two sides of this node's TLS, trusting the same certificates."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def make_contexts(certificate: bytes, seed: bytes, trusted: Sequence[bytes]) -> Contexts:
    """Contexts that show `certificate` (DER, of the key `seed`) and take only `trusted` (DER).

    Raises `ssl.SSLError` if a certificate is none or does not fit the key.
    """
    private = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    chain = private + ssl.DER_cert_to_PEM_cert(certificate).encode()
    with _as_file(chain) as path:
        server = _context(ssl.PROTOCOL_TLS_SERVER, path, trusted)
        client = _context(ssl.PROTOCOL_TLS_CLIENT, path, trusted)
    server.num_tickets = 0
    return Contexts(server, client)


def _context(protocol: int, chain: Path, trusted: Sequence[bytes]) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False  # names come from the member list, by the certificate's bytes
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a leaf may be its own anchor
    context.load_cert_chain(chain)
    if trusted:
        context.load_verify_locations(cadata=b"".join(trusted))
    return context


@contextmanager
def _as_file(secret: bytes) -> Iterator[Path]:
    """A path under which OpenSSL reads `secret` for as long as the block lasts."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("mgsnode-transport", os.MFD_CLOEXEC)
        try:
            os.write(fd, secret)
            yield Path(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        return
    fd, name = tempfile.mkstemp(prefix="mgsnode-")  # made with mode 0600
    try:
        os.write(fd, secret)
        os.close(fd)
        yield Path(name)
    finally:
        Path(name).unlink()


class TlsPipe:
    """One TLS connection without a socket: ciphertext in and out, plaintext in and out.

    Every method may raise `ssl.SSLError`; the connection is then over, but what `outgoing`
    holds (an alert that tells the far end why) is still worth sending.
    """

    __slots__ = ("_in", "_out", "_tls", "ready")

    def __init__(self, context: ssl.SSLContext, *, server_side: bool) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side)
        self.ready = False  # the handshake is done

    def receive(self, data: bytes) -> None:
        """Ciphertext has come."""
        self._in.write(data)

    def shake(self) -> bool:
        """Carry the handshake on; whether it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.ready = True
        return True

    def read(self) -> bytes:
        """The plaintext of the next whole record; empty if there is none yet.

        Raises `ssl.SSLZeroReturnError` when the far end has closed.
        """
        if not self._in.pending and not self._tls.pending():
            return b""  # cheaper than the exception
        try:
            return self._tls.read(RECORD_BYTES)
        except ssl.SSLWantReadError:
            return b""

    def write(self, data: bytes | memoryview) -> None:
        """Encrypt `data` into `outgoing`."""
        sent = self._tls.write(data)
        while sent < len(data):
            data = data[sent:]
            sent = self._tls.write(data)

    def outgoing(self) -> bytes:
        """Ciphertext to send; empty if there is none."""
        return self._out.read() if self._out.pending else b""

    def close(self) -> None:
        """Put a close_notify into `outgoing`."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            return  # it wants the far end's answer, which we do not wait for

    @property
    def peer_certificate(self) -> bytes:
        """The far end's certificate (DER) once `ready`; empty if it showed none."""
        return self._tls.getpeercert(binary_form=True) or b""

    @property
    def description(self) -> str:
        """Protocol and cipher, for people."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()} {cipher[0] if cipher else '?'}"
