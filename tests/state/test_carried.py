"""A new chain begins with the state of an earlier one: everything in it stays, but for who votes.

Case 75. The earlier chain is whatever the scenarios of all families leave behind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mgsnode.base.errors import ConfigError, Malformed
from mgsnode.base.genesis import TOKEN_PURPOSES, Carried, Genesis, GenesisGateway
from state.context import CLOCK, PARAM, ROOT
from state.execute import apply_carried, check_due, check_params
from state.ledger import Ledger
from state.restore import make_snapshot
from state.snapshot import Item
from state.store import LAYOUT_FILE
from state.tx.accounts import ACCOUNT
from state.tx.gateways import (
    ACTIVE,
    CHAIN,
    ERA,
    GATEWAY,
    OPERATOR,
    STANDING,
    SUSPENDED,
    Gateway,
    derive_validators,
)
from state.tx.membership import KEY_USE
from state.tx.proposals import EXPIRED, OPEN, PASSED, PROPOSAL
from state.tx.seats import CHANGE, COUNTS, QUEUE
from state.tx.slashing import EVIDENCE
from state.view import check_laws
from tests.state.scenarios.base import ALICE, BOB, OP0, OP1, SCENARIOS, Scenario, new_world
from tests.state.test_ledger import GENESIS, Wallets, certify
from tests.state.world import Person, World, h

OF_MEMBERSHIP = (GATEWAY, OPERATOR, STANDING, ERA, CHAIN)
OF_GOVERNANCE = (PROPOSAL, QUEUE, EVIDENCE, CHANGE, COUNTS, KEY_USE)
LATER_MS = 5 * 24 * 3_600_000
Change = Callable[[Genesis], Genesis]


def entry(name: str, row: Gateway) -> GenesisGateway:
    """A gateway of the state as a genesis lists it."""
    fields = row._asdict()
    for left in ("place", "status", "seat"):
        del fields[left]
    return GenesisGateway(name=name, attested=0, **fields)


def newcomer(name: str) -> GenesisGateway:
    return GenesisGateway(
        name=name,
        country="SE",
        currencies=("SEK",),
        owner_hash=h(f"owner of {name}"),
        operator=Person(f"operator of {name}").address,
        vote_key=Person(f"vote of {name}").key.public_key,
        transport_certificate=f"certificate of {name}".encode(),
        endpoint="127.0.0.1:4000",
        bond=0,
        cap=0,
        attested=0,
    )


def succession(w: World) -> Genesis:
    """Who can still vote, the first of them with new keys, and a newcomer; the last is left out."""
    rows = sorted(w.draft.items(GATEWAY), key=lambda item: item[1].place)
    active = [entry(name, row) for name, row in rows if row.status == ACTIVE]
    stay = active[:-1] if len(active) > 1 else active
    new_key = Person("a new vote key").key.public_key
    new_certificate = b"a new certificate"
    stay[0] = stay[0]._replace(vote_key=new_key, transport_certificate=new_certificate)
    carried = Carried(w.genesis.hash, w.height, h("block"), h("root"))
    return w.genesis._replace(
        time_ms=w.time_ms + LATER_MS,
        gateways=(*stay, newcomer("late")),
        accounts=(),
        arbiters=(),
        attestors=(),
        carriers=(),
        moderators=(),
        officers=(),
        token=tuple((name, 0) for name in TOKEN_PURPOSES),
        params=(),
        carried=(carried,),
    )


def broken(w: World) -> list[str]:
    core = [check_params(w.registry, w.draft), check_due(w.registry, w.draft)]
    return [*w.broken_laws(), *(why for why in core if why is not None)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: f"{s.family}-{s.name}")
def test_all_laws_hold_in_a_state_that_was_carried_over(scenario: Scenario) -> None:
    w = new_world()
    w.block(scenario.prepare(w))
    before, wrong = w.rows(), broken(w)  # a few scenarios set a record by hand
    genesis = succession(w)
    apply_carried(w.registry, w.draft, genesis)
    assert set(broken(w)) <= set(wrong)
    assert derive_validators(w.draft) == genesis.validators()
    joined = ACCOUNT.state_key(genesis.gateways[-1].operator)  # an account, with nothing in it
    changed = [key for key, value in w.rows().items() if before.get(key) != value]
    touched = {key[:2] for key in changed if key != joined}
    assert touched <= {table.prefix for table in (*OF_MEMBERSHIP, *OF_GOVERNANCE, CLOCK, ROOT)}
    for table in (ROOT, QUEUE, EVIDENCE, CHANGE):
        assert not list(w.draft.items(table)), f"{table}: speaks of the earlier chain's heights"


def test_whoever_is_not_named_is_suspended_and_keeps_what_it_owes() -> None:
    w = new_world()
    before = dict(w.draft.items(GATEWAY))
    apply_carried(w.registry, w.draft, succession(w))
    after = dict(w.draft.items(GATEWAY))
    assert after["g3"] == before["g3"]._replace(status=SUSPENDED, seat=False)
    assert after["g1"] == before["g1"]
    assert (after["late"].status, after["late"].place) == (ACTIVE, 4)
    assert w.draft.get(ERA, 0) is not None and w.draft.get(ERA, 1) is None


def test_open_proposals_expire_and_used_keys_stay_used() -> None:
    w = new_world()
    w.do(OP0, "gov_propose", "set_param", ("order_fee_bps", 77), w.height + 50)
    (asked,) = (key for key, row in w.draft.items(PROPOSAL) if row.status == OPEN)
    old_key = Person("vote0").key.public_key
    apply_carried(w.registry, w.draft, succession(w))
    proposal = w.draft.get(PROPOSAL, asked)
    assert proposal is not None and proposal.status == EXPIRED
    assert not list(w.draft.items(QUEUE))
    use = w.draft.get(KEY_USE, old_key)
    assert use is not None and use.gateway == "g0"
    assert PASSED not in {row.status for _, row in w.draft.items(PROPOSAL)}


def test_the_time_without_a_chain_has_not_passed_for_deadlines() -> None:
    w = new_world()
    before = w.draft.get(CLOCK, b"")
    genesis = succession(w)
    apply_carried(w.registry, w.draft, genesis)
    after = w.draft.get(CLOCK, b"")
    assert before is not None and after is not None
    assert after == before._replace(time_ms=genesis.time_ms)


def _first(**changes: object) -> Change:
    def change(genesis: Genesis) -> Genesis:
        first = genesis.gateways[0]._replace(**changes)
        return genesis._replace(gateways=(first, *genesis.gateways[1:]))

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda g: g._replace(time_ms=1), "time_ms"),
        (lambda g: g._replace(network="test"), "network"),
        (_first(bond=5), r"gateways\[0\] \(g0\).bond"),
        (_first(operator=OP1.address), "operator"),
        (_first(vote_key=Person("vote1").key.public_key), "KEY_USED"),
        (_first(endpoint="no port"), "BAD_ARGUMENT"),
        (lambda g: g._replace(gateways=g.gateways[::-1]), "the validators would be g0, g1, g2"),
        (
            lambda g: g._replace(gateways=(*g.gateways[:3], newcomer("late")._replace(bond=9))),
            "INSUFFICIENT_TOKENS",
        ),
    ],
)
def test_a_genesis_that_does_not_fit_the_state_is_refused(change: Change, why: str) -> None:
    w = new_world()
    with pytest.raises(ConfigError, match=why):
        apply_carried(w.registry, w.draft, change(succession(w)))


# On real stores ------------------------------------------------------------------------------


def items_of(ledger: Ledger, folder: Path) -> dict[Item, bytes]:
    """The snapshot of a ledger's head."""
    items: dict[Item, bytes] = {}
    with ledger.view() as view:
        make_snapshot(view.rows, GENESIS, folder, items.__setitem__)
    return items


def earlier(tmp_path: Path) -> tuple[Ledger, dict[Item, bytes], Genesis]:
    """A chain of two blocks, the snapshot of its head, and the genesis that takes it over."""
    wallets = Wallets()
    ledger = Ledger.create(tmp_path / "earlier", GENESIS)
    for at in (1, 2):
        head = ledger.head
        txs = [wallets.pay(ALICE, BOB)]
        built = ledger.build(head.hash, txs, head.header.timestamp_ms + 1_000 * at)
        ledger.apply_certified(built.block, txs, certify(built.block.header))
    head = ledger.head
    wallets.world.time_ms = head.header.timestamp_ms
    carried = Carried(GENESIS.hash, 2, head.hash, head.header.state_root)
    genesis = succession(wallets.world)._replace(carried=(carried,))
    return ledger, items_of(ledger, tmp_path / "sorting"), genesis


def test_the_new_chain_goes_on_with_balances_and_nonces(tmp_path: Path) -> None:
    old, items, genesis = earlier(tmp_path)
    new = Ledger.create(tmp_path / "new", genesis, carried=items.__getitem__)
    again = Ledger.create(tmp_path / "again", genesis, carried=items.__getitem__)
    assert again.head == new.head and new.head.header.height == 0
    marks = {(tmp_path / one / LAYOUT_FILE).read_text() for one in ("earlier", "new")}
    assert len(marks) == 1
    assert new.head.validators == genesis.validators()
    with old.view() as before, new.view() as view:
        assert all(law.ok for law in check_laws(view))
        for person in (ALICE, BOB):
            assert view.account(person.address) == before.account(person.address)
        assert list(view.reader.items(PARAM)) == list(before.reader.items(PARAM))
    with old.view() as before:
        nonce = old.next_nonce(ALICE.address, 0)
    assert nonce == new.next_nonce(ALICE.address, 0) == 2
    wallets = Wallets()
    wallets.world.genesis = genesis
    wallets.world.time_ms = genesis.time_ms
    tx = wallets.pay(ALICE, BOB, nonce=nonce)
    built = new.build(new.head.hash, [tx], genesis.time_ms + 1)
    assert built.included == (tx,)
    for ledger in (old, new, again):
        ledger.close()


def test_another_snapshot_than_the_one_named_is_refused(tmp_path: Path) -> None:
    old, items, genesis = earlier(tmp_path)
    old.close()
    other = genesis.carried[0]._replace(height=1)
    cases = {
        "not the snapshot": (genesis._replace(carried=(other,)), items),
        "rows": (genesis, {**items, **spoiled(items)}),
    }
    for number, (why, (named, given)) in enumerate(cases.items()):
        with pytest.raises(Malformed, match=why):
            Ledger.create(tmp_path / str(number), named, carried=given.__getitem__)
    with pytest.raises(ConfigError, match="snapshot is needed"):
        Ledger.create(tmp_path / "none", genesis)


def spoiled(items: dict[Item, bytes]) -> dict[Item, bytes]:
    """A chunk in which somebody has a micro-dollar more."""
    prefix = next(item for item in items if isinstance(item, bytes))
    raw = bytearray(items[prefix])
    raw[-1] ^= 1
    return {prefix: bytes(raw)}
