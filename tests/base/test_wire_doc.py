"""docs/wire.md is true: its examples are computed again."""

from __future__ import annotations

import re
from pathlib import Path

from mgsnode.base.address import address_text
from mgsnode.base.block import vote_fields
from mgsnode.base.codec import encode
from mgsnode.base.hashing import address_of, signed_hash_of, txid_of
from mgsnode.base.keys import Signed, SigningKey, statement
from mgsnode.base.transaction import Body, sign_transaction, tx_statement

DOC = (Path(__file__).resolve().parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
KEY = SigningKey(bytes([1]) * 32)
GENESIS = bytes(range(32))


def example(title: str) -> dict[str, str]:
    part = DOC.split(title, 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^    (\w[\w ]*?)\s+([0-9a-z]+)$", part, re.MULTILINE))


def test_the_certificate_example_is_right() -> None:
    fields = vote_fields(0, 2, 5, bytes([0xAB]) * 32, 3)
    signed = statement(Signed.COMMIT, GENESIS, fields)
    assert example("A certificate's signature, worked out") == {
        "public key": KEY.public_key.hex(),
        "fields": fields.hex(),
        "signed": signed.hex(),
        "signature": KEY.sign(signed).hex(),
    }


def test_the_payment_example_is_right() -> None:
    sender = address_of(KEY.public_key)
    fields = (((address_of(bytes(32)), 1_000_000, "rent"),),)
    body = Body(GENESIS, sender, 0, 7, 1_700_000_000_000, 2_000, b"", "dollar_transfer", fields)
    body_bytes = encode(body)
    assert example("A payment, worked out") == {
        "sender": address_text(sender, "tmgs"),
        "body": body_bytes.hex(),
        "txid": txid_of(body_bytes).hex(),
        "signature": KEY.sign(tx_statement(GENESIS, body_bytes)).hex(),
        "signed hash": signed_hash_of(sign_transaction(body, [KEY])).hex(),
    }


def test_the_table_of_types_is_right() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| ([\w-]+) \|", DOC, re.MULTILINE))
    names = {str(int(kind)): kind.name.replace("_", "-").lower() for kind in Signed}
    names["1"] = "transaction"
    assert {number: name.lower() for number, name in rows.items()} == names
