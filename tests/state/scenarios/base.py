"""What may happen to each kind: a world is prepared, one transaction follows, its code is said.

`python -m tests.state.scenarios` writes them to `tests/vectors/` as plain data (state before,
transaction, code, state after), so that another implementation can run them. Each refusal of
each family stands here at least once (`test_vectors.py` counts them).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mgsnode.base.limits import INT_MAX
from mgsnode.base.transaction import Transaction
from state.draft import Draft
from state.execute import BlockRun
from state.trie import update
from state.tx.accounts import ACCOUNT, account_of
from state.tx.gateways import GATEWAY
from state.tx.tokens import PURPOSE, TOKEN_TOTALS, token_totals_of
from tests.state.world import (
    DAY_MS,
    DOLLAR,
    Person,
    World,
    h,
    make_genesis,
    people,
)  # fmt: skip

VECTORS = Path(__file__).parent.parent.parent / "vectors"
ALICE, BOB, SELLER, ARBITER = people("alice", "bob", "seller", "arbiter")
OP0, OP1, OP2, OP3 = people("op0", "op1", "op2", "op3")
NETWORK_TERMS = (2 * DAY_MS, 30 * DAY_MS, 20 * DAY_MS, 1_000, 0)
# The optional fields of `order_pay`: distributor, demand, led_by, country, currency.
NOTHING: tuple[Any, ...] = ((), (), (), (), ())
LINES = (("mug", 3, 2 * DOLLAR, ()), ("tea", 1, 4 * DOLLAR, ()))  # 10 dollars


class Scenario(NamedTuple):
    family: str
    name: str
    reason: str  # the refusal's name, "" for success
    prepare: Callable[[World], Transaction]


SCENARIOS: list[Scenario] = []


def scenario(family: str, reason: str = "") -> Callable[[Any], Any]:
    def add(prepare: Callable[[World], Transaction]) -> Callable[[World], Transaction]:
        SCENARIOS.append(Scenario(family, prepare.__name__, reason, prepare))
        return prepare

    return add


def new_world() -> World:
    """Alice, Bob, the seller and the operators have 10,000 dollars each, all issued by g0."""
    return World(make_genesis(funded=[ALICE, BOB, SELLER], arbiters=[ARBITER], cap=INT_MAX))


def grant(w: World, person: Person, tokens: int) -> None:
    """Tokens of the genesis' sale for somebody who needs some."""
    account = account_of(w.draft, person.address)
    w.draft.put(ACCOUNT, person.address, account._replace(token=account.token + tokens))
    sale = w.draft.get(PURPOSE, "sale")
    assert sale is not None
    w.draft.put(PURPOSE, "sale", sale._replace(left=sale.left - tokens))
    totals = token_totals_of(w.draft)
    moved = totals._replace(balances=totals.balances + tokens, unvested=totals.unvested - tokens)
    w.draft.put(TOKEN_TOTALS, b"", moved)


def set_bond(w: World, name: str, tokens: int) -> None:
    """A bond for a gateway that has none, out of the genesis' sale."""
    gateway = w.draft.get(GATEWAY, name)
    assert gateway is not None and gateway.bond == 0
    operator = Person(f"op{name[1:]}")
    grant(w, operator, tokens)
    account = account_of(w.draft, operator.address)
    w.draft.put(ACCOUNT, operator.address, account._replace(token=account.token - tokens))
    w.draft.put(GATEWAY, name, gateway._replace(bond=tokens))
    totals = token_totals_of(w.draft)
    moved = totals._replace(balances=totals.balances - tokens, bonded=totals.bonded + tokens)
    w.draft.put(TOKEN_TOTALS, b"", moved)


def fund(w: World, person: Person, dollars: int) -> None:
    """Dollars for somebody who has none."""
    w.do(OP0, "dollar_issue", person.address, dollars * DOLLAR, h(f"fund {person.name}"))


def run(case: Scenario) -> dict[str, Any]:
    """The vector of a scenario."""
    w = new_world()
    base = rows_of(w)
    tx = case.prepare(w)
    before = rows_of(w)
    draft = Draft(w.draft)
    height, time_ms = w.height + 1, w.time_ms + 1
    block = BlockRun(w.registry, draft, height=height, time_ms=time_ms)
    receipt = block.apply(tx)
    block.finish()
    after = dict(before)
    changed = draft.changes()
    for key, value in changed:
        after.pop(key, None)
        if value is not None:
            after[key] = value
    return {
        "about": case.name.replace("_", " "),
        "before": difference(base, before),
        "height": height,
        "time_ms": time_ms,
        "raw": tx.raw.hex(),
        "kind": tx.body.kind,
        "fields": w.registry.kinds[tx.body.kind].fields.to_json(tx.body.fields, "tmgs"),
        "code": receipt.code,
        "reason": w.registry.refusal_name(receipt.code),
        "fee": str(receipt.fee),
        "events": [event.name for event in receipt.events],
        "after": {key.hex(): None if value is None else value.hex() for key, value in changed},
        "state_root": update(lambda _path: None, list(after.items())).root.hex(),
    }


def rows_of(w: World) -> dict[bytes, bytes]:
    return {key: value for key, value in w.draft.changes() if value is not None}


def difference(base: dict[bytes, bytes], rows: dict[bytes, bytes]) -> dict[str, str | None]:
    """What turns `base` into `rows`: hex to hex, null where a row is gone."""
    changed: dict[str, str | None] = {
        key.hex(): value.hex() for key, value in rows.items() if base.get(key) != value
    }
    return {**changed, **{key.hex(): None for key in base if key not in rows}}


def write(folder: Path = VECTORS) -> None:
    base = {key.hex(): value.hex() for key, value in rows_of(new_world()).items()}
    about = {"genesis_hash": new_world().genesis.hash.hex(), "rows": base}
    (folder / "base.json").write_text(json.dumps(about, indent=1) + "\n")
    named = {folder / case.family / f"{case.name}.json" for case in SCENARIOS}
    for path in folder.glob("*/*.json"):
        if path not in named:
            path.unlink()
    for case in SCENARIOS:
        path = folder / case.family / f"{case.name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(run(case), indent=1) + "\n")
