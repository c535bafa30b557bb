"""`mgsnode refer`: each command makes fields that its kind takes; the export counts for itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgsnode import client
from mgsnode.base.address import address_text
from mgsnode.cli import sending
from mgsnode.cli.main import make_app
from state.registry import standard_registry

SHOP = "ab" * 32
WHO = address_text(bytes(32), "tmgs")
OTHER = address_text(bytes([1]) * 32, "tmgs")
KEY = ("--dev-key", "anna")
COMMANDS: list[tuple[str, list[str]]] = [
    ("refer_join", ["join", SHOP]),
    ("refer_join", ["join", SHOP, "--recruiter", WHO, "--with-dev-key", "bruno"]),
    ("refer_bind", ["bind", WHO, SHOP]),
    ("refer_agree", ["agree", SHOP, "--terms", "as talked", "--share-bp", "2000"]),
    ("refer_cut", ["cut", SHOP, WHO, "--share-bp", "0"]),
    ("refer_terms", ["terms", SHOP, "--binding-days", "60", "--person-cap", "12.5"]),
    ("refer_storefront", ["storefront", "Tea time", f"{SHOP}/tea", f"{SHOP}/a/b"]),
    ("refer_storefront", ["storefront", "Tea", f"{SHOP}/tea", "--replace", SHOP]),
]


@pytest.mark.parametrize(("kind", "arguments"), COMMANDS, ids=lambda x: str(x)[:24])
def test_each_command_makes_what_its_kind_takes(
    kind: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, Any]] = []
    monkeypatch.setattr(sending, "_send", lambda name, fields, **_: sent.append((name, fields)))
    done = CliRunner().invoke(make_app(), ["refer", *arguments, *KEY])
    assert done.exit_code == 0, done.output
    ((name, fields),) = sent
    assert name == kind
    standard_registry().kinds[kind].fields.from_json(fields, "tmgs")


def test_a_line_without_a_sku_is_a_usage_error() -> None:
    done = CliRunner().invoke(make_app(), ["refer", "storefront", "Tea", SHOP, *KEY])
    assert done.exit_code == 2


def sale(**over: Any) -> dict[str, Any]:
    linked = {"buyer_owner": False, "buyer_distributor": False}
    fields = {
        "order": "cd" * 32, "buyer": WHO, "owner": OTHER, "distributor": OTHER[:-1],
        "recruiter": None, "depth": 1, "paid": "100", "order_status": "final", "linked": linked,
        **over,
    }  # fmt: skip
    rows = [{"paid": fields["paid"]}]
    return {"rows": rows, "row_count": len(rows), **fields}


def test_the_export_writes_every_page_and_counts_what_rests_on_no_final_sale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [
        {"items": [sale(), sale(depth=2, paid="50")], "next_cursor": "more"},
        {"items": [sale(paid="0", order_status="paid"), sale(order_status="paid"),
                   sale(buyer=OTHER), sale(recruiter=WHO), sale(linked={"recruiter": True}),
                   sale(rows=[{"paid": "99"}])], "next_cursor": None},
    ]  # fmt: skip
    asked: list[Any] = []

    def call(_url: str, method: str, params: Any, **_: Any) -> Any:
        asked.append((method, params.get("cursor"), params.get("shop")))
        return pages[len(asked) - 1]

    monkeypatch.setattr(client, "call_once", call)
    out = tmp_path / "sales.jsonl"
    arguments = ["refer", "export", "--out", str(out), "--shop", SHOP, "--json"]
    done = CliRunner().invoke(make_app(), arguments)
    assert done.exit_code == 0, done.output
    assert asked == [("referral_list", None, SHOP), ("referral_list", "more", SHOP)]
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        *pages[0]["items"], *pages[1]["items"],
    ]  # fmt: skip
    assert json.loads(done.output) == {
        "sales": 8, "final": 6, "paid": "649", "depth_2": 1, "without_final_sale": 3,
        "linked_by_now": 1, "rows_that_differ": 1, "file": str(out),
    }  # fmt: skip
    assert CliRunner().invoke(make_app(), arguments).exit_code == 1, "it overwrites nothing"


def test_the_export_has_all_rows_of_a_sale_that_was_refunded_in_many_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"paid": "100"}, *({"paid": "0"} for _ in range(120))]
    asked: list[Any] = []

    def call(_url: str, method: str, params: Any, **_: Any) -> Any:
        if method == "referral_list":
            return {"items": [sale(rows=rows[:50], row_count=121)], "next_cursor": None}
        first = int(params.get("cursor") or 0)
        asked.append((params["order"], first))
        beyond = first + params["limit"]
        following = str(beyond) if beyond < len(rows) else None
        return {"items": rows[first:beyond], "next_cursor": following}

    monkeypatch.setattr(client, "call_once", call)
    out = tmp_path / "sales.jsonl"
    done = CliRunner().invoke(make_app(), ["refer", "export", "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert asked == [("cd" * 32, 0), ("cd" * 32, 50), ("cd" * 32, 100)]
    (written,) = map(json.loads, out.read_text().splitlines())
    assert (written["rows"], written["row_count"]) == (rows, 121)


def test_split_asks_in_micro_dollars(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        client, "call_once", lambda _url, method, params, **_: asked.append((method, params)) or {}
    )
    done = CliRunner().invoke(make_app(), ["refer", "split", SHOP, "12.5", "--buyer", WHO])
    assert done.exit_code == 0, done.output
    assert asked == [("order_split", {"shop": SHOP, "total": "12500000", "buyer": WHO})]
