"""An account with several keys, over JSON-RPC as a wallet sees it."""

from __future__ import annotations

from tests.rpc.devnode import ALICE, BOB, CAROL, key_of
from tests.rpc.test_methods import payment
from tests.rpc.wallet import Wallet


async def test_keys_are_replaced_and_the_record_shows_since_when(wallet: Wallet) -> None:
    one, two = key_of(101), key_of(102)
    before = await wallet.call("account_get", wallet.text(ALICE))
    assert (before["keys"], before["threshold"], before["since"]) == ([], 1, None)
    names = [key.public_key.hex() for key in (one, two)]
    await wallet.send(ALICE, "account_set_keys", one, two, keys=names, threshold=2)
    after = await wallet.call("account_get", wallet.text(ALICE))
    assert (after["keys"], after["threshold"]) == (sorted(names), 2)
    assert after["since"] == wallet.node.ledger.head.header.timestamp_ms
    assert after["times_replaced"] == 1


async def test_fees_of_today_count_the_signatures_that_will_be_needed(wallet: Wallet) -> None:
    """`tx_encode` knows that each new key signs: the fee it allows for is enough."""
    some = [key_of(110 + i) for i in range(7)]
    names = [key.public_key.hex() for key in some]
    sent = await wallet.send(ALICE, "account_set_keys", *some, keys=names, threshold=7)
    assert sent["status"] == "committed"
    tx = {"kind": "dollar_transfer", "sender": wallet.text(BOB), "payer": wallet.text(ALICE)}
    sponsored = await wallet.call("tx_encode", tx={**tx, "fields": payment(wallet, CAROL, "1")})
    alone = await wallet.call(
        "tx_encode", tx={**tx, "payer": None, "fields": payment(wallet, CAROL, "1")}
    )
    more = int(sponsored["tx"]["fee_max"]) - int(alone["tx"]["fee_max"])
    assert more > 7 * 98 * 2 * 2  # 98 bytes a signature, 2 micro-dollars a byte, twice today's fee


async def test_a_memo_is_required_and_the_refusal_says_so(wallet: Wallet) -> None:
    await wallet.send(ALICE, "account_set_memo", required=True)
    assert (await wallet.call("account_get", wallet.text(ALICE)))["memo_required"] is True
    bare = {"outputs": [{"to": wallet.text(ALICE), "amount": "1", "memo": ""}]}
    sent = await wallet.send(BOB, "dollar_transfer", **bare)
    assert (sent["status"], sent["reason"]) == ("refused", "MEMO_MISSING")
    sent = await wallet.send(BOB, "dollar_transfer", **payment(wallet, ALICE, "1"))
    assert sent["status"] == "committed"
