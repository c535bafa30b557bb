"""edwards25519 in a few lines, to make signatures that no honest signer makes. Tests only.

Source of the formulas and constants: RFC 8032 §5.1 and §6.
"""

from __future__ import annotations

from hashlib import sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int]  # affine
IDENTITY: Point = (0, 1)


def add(a: Point, b: Point) -> Point:
    t = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + t, P - 2, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, P - 2, P) % P
    return x, y


def times(k: int, a: Point) -> Point:
    out = IDENTITY
    while k:
        if k & 1:
            out = add(out, a)
        a = add(a, a)
        k >>= 1
    return out


def decode(raw: bytes) -> Point:
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    sign = raw[31] >> 7
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert v * x * x % P == u, "not on the curve"
    return (P - x if x & 1 != sign else x), y % P


def encode(a: Point) -> bytes:
    return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    return int.from_bytes(sha512(r + a + message).digest(), "little") % L


def forge(
    a: int, r: int, message: bytes, *, torsion_a: Point, torsion_r: Point
) -> tuple[bytes, bytes]:
    """(public key, signature) with small-order parts added to A and R."""
    public = encode(add(times(a, BASE), torsion_a))
    commitment = encode(add(times(r, BASE), torsion_r))
    s = (r + challenge(commitment, public, message) * a) % L
    return public, commitment + s.to_bytes(32, "little")
