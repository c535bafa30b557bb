"""The command line: exit codes, one sentence for each failure, and no secret in sight."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from mgsnode import keystore
from mgsnode.base.errors import ConfigError, Corrupt, Locked, MgsError, Rejected
from mgsnode.base.transaction import EXPIRED
from mgsnode.cli.common import hash_hex, micro
from mgsnode.cli.main import exit_code_of, main, make_app, sentence_of
from mgsnode.cli.query import _params, query
from mgsnode.devnet import dev_genesis, dev_key
from mgsnode.genesis import genesis_text
from rpc.methods import all_methods
from rpc.openrpc import openrpc_bytes

HELP_S_MAX = 0.3


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    monkeypatch.setattr(keystore, "_MEMORY_KIB", 64)
    monkeypatch.setattr(keystore, "_PASSES", 1)
    monkeypatch.setenv("MGSNODE_KEYSTORE", str(tmp_path / "keys"))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, secret: str = "") -> Answer:
        reader, writer = os.pipe()
        os.write(writer, secret.encode())
        os.close(writer)
        monkeypatch.setattr(sys, "stdin", os.fdopen(reader))
        monkeypatch.setattr(
            sys, "argv", ["mgsnode", *(str(a).replace("@FD", str(reader)) for a in arguments)]
        )
        with pytest.raises(SystemExit) as caught:
            main()
        sys.stdin.close()
        out, err = capfd.readouterr()
        assert "Traceback" not in err + out
        return Answer(int(caught.value.code or 0), out, err)

    return call


def test_digits_are_text_where_the_method_takes_text(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    api = json.loads(openrpc_bytes(all_methods()))

    def call(_url: str, method: str, params: object = None) -> dict[str, object]:
        if method == "rpc.discover":
            return api
        asked.append(params)
        return {"height": 7}

    monkeypatch.setattr("mgsnode.client.call_once", call)
    shop = "ab" * 32
    query("order_split", [f"shop={shop}", "total=12500000"], rpc="http://x", json=True)
    query("chain_block", ["height=3"], rpc="http://x", json=True)
    query("offer_list", [f"demand={shop}", "limit=2", "cursor=12"], rpc="http://x", json=True)
    query("gateway_get", ["gateway=007"], rpc="http://x", json=True)
    assert asked == [
        {"shop": shop, "total": "12500000"},
        {"height": 3},
        {"demand": shop, "limit": 2, "cursor": "12"},
        {"gateway": "007"},
    ]


def test_no_command_of_a_list_is_cut_off_in_the_middle() -> None:
    def cut(command: Any, path: str) -> list[str]:
        if not hasattr(command, "commands"):
            return []
        room = 80 - len("  ") * 3 - max(map(len, command.commands))
        return [
            found
            for name, one in command.commands.items()
            for found in [
                *([f"{path} {name}"] if one.get_short_help_str(room).endswith("...") else []),
                *cut(one, f"{path} {name}"),
            ]
        ]

    assert cut(typer.main.get_command(make_app()), "mgsnode") == []


def test_help_answers_within_its_time() -> None:
    best = 9.0  # in CPU seconds: a busy machine says nothing about us
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "mgsnode.cli.main", "--help"], capture_output=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, spent)
    assert best < HELP_S_MAX
    for name in ("init", "start", "status", "localnet", "keys", "genesis", "tx", "pay", "query"):
        assert name in done.stdout.decode()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MgsError("x"), 1), (OSError(2, "No such file", "f"), 1), (ConfigError("x"), 3),
        (Locked("x"), 4), (Corrupt("x"), 5), (Rejected(EXPIRED, at=5), 1),
    ],
)  # fmt: skip
def test_each_failure_has_its_exit_code(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


def test_a_sentence_is_one_line_whatever_is_in_it() -> None:
    assert sentence_of(MgsError("a\nb\x1b[31m")) == "a\\nb\\x1b[31m"
    assert sentence_of(Rejected(EXPIRED, at=5)) == "refused: EXPIRED (5): at 5"
    assert sentence_of(OSError(2, "No such file", "f")) == "f: No such file"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["keys", "new"], ["genesis", "new", "--param", "x=y"],
     ["start"], ["pay", "x", "1.5"], ["pay", "x", "zero", "--dev-key", "anna"],
     ["keys", "import", "x"], ["query", "m", "novalue"], ["start", "--home", "h", "--set", "x"]],
)  # fmt: skip
def test_usage_errors_exit_with_2(run: Any, arguments: list[str]) -> None:
    answer = run(*arguments)
    assert answer.code == 2
    assert "Error:" in answer.err


def test_an_unforeseen_fault_is_a_sentence_and_exit_code_1(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom mgsnode.cli import main, node\n"
        "def broken(json: bool = False) -> None:\n    raise KeyError('x')\n"
        "node.version = broken\nsys.argv = ['mgsnode', 'broken']\nmain.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("mgsnode: a fault of the program itself (KeyError: 'x')")
    assert len(done.stderr.splitlines()) == 1


def test_genesis_new_check_and_hash_agree(run: Any, tmp_path: Path) -> None:
    made = run("genesis", "new", "--out", "g.json", "--gateways", 5, "--json")
    assert made.code == 0
    digest = run("genesis", "hash", "g.json").out.strip()
    assert digest == made.json()["hash"] == dev_genesis(gateways=5).hash.hex()
    checked = run("genesis", "check", "--genesis", "g.json", "--json").json()
    assert (checked["quorum"], checked["gateways"]) == (4, 5)
    assert run("genesis", "new", "--out", "g.json").code == 3
    assert run("genesis", "hash").code == 3
    (tmp_path / "genesis.json").write_text(genesis_text(dev_genesis()))
    assert run("genesis", "hash", "--json").json() == {"hash": dev_genesis().hash.hex()}


def test_a_bad_genesis_exits_with_3_and_names_the_field(run: Any, tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text(genesis_text(dev_genesis()).replace('"cap"', '"cup"', 1))
    answer = run("genesis", "check", "g.json")
    assert answer.code == 3
    assert answer.err == "mgsnode: g.json: gateways[0].cap: field required\n"


def test_a_key_from_words_comes_back_from_the_same_words(run: Any) -> None:
    made = run("keys", "new", "anna", "--passphrase-fd", "@FD", "--json", secret="p\n").json()
    again = run(
        "keys", "import", "again", "--words", "--secret-fd", "@FD", "--passphrase-fd", "@FD",
        "--json", secret=made["words"] + "\nq\n",
    ).json()  # fmt: skip
    assert again["address"] == made["address"]
    listed = run("keys", "list", "--json").json()["items"]
    assert [item["name"] for item in listed] == ["again", "anna"]
    assert run("keys", "new", "anna", "--clear").code == 3
    main_address = run("keys", "show", "anna", "--network", "main", "--json").json()["address"]
    assert main_address.startswith("mgs1")


def test_case_78_wrong_passphrases_exit_with_4_and_nothing_is_echoed(run: Any) -> None:
    seed = dev_key("x").public_key.hex()
    secret = f"{seed}\nright\n"
    options = ("--secret-fd", "@FD", "--passphrase-fd", "@FD")
    answer = run("keys", "import", "k", "--seed", *options, secret=secret)
    assert answer.code == 0
    assert seed not in answer.out + answer.err
    wrong = run("keys", "export", "k", "--seed", "--passphrase-fd", "@FD", secret="hunter2\n")
    assert wrong.code == 4
    assert "hunter2" not in wrong.err
    none = run("keys", "export", "k", "--seed")
    assert none.code == 4
    right = run("keys", "export", "k", "--seed", "--passphrase-fd", "@FD", secret="right\n")
    assert right.out.strip() == seed
    changed = run("keys", "change-password", "k", "--passphrase-fd", "@FD", secret="right\nnew\n")
    assert changed.code == 0
    assert run("keys", "export", "k", "--seed", "--passphrase-fd", "@FD", secret="new\n").code == 0


def test_an_exported_file_can_be_imported_elsewhere(run: Any, tmp_path: Path) -> None:
    run("keys", "new", "a", "--passphrase-fd", "@FD", secret="p\n")
    file = tmp_path / "a.json"
    file.touch(mode=0o600)
    file.write_text(run("keys", "export", "a").out)
    done = run("keys", "import", "b", "--file", file, "--passphrase-fd", "@FD", secret="p\n")
    assert done.code == 0
    addresses = {item["address"] for item in run("keys", "list", "--json").json()["items"]}
    assert len(addresses) == 1


def test_a_transaction_is_built_signed_and_decoded_offline(run: Any, tmp_path: Path) -> None:
    address = next(a.address for a in dev_genesis().accounts if a.name == "bruno")
    from mgsnode.base.address import address_text

    to = address_text(address, "tmgs")
    fields = json.dumps({"outputs": [{"to": to, "amount": "5", "memo": "hi"}]})
    chain = dev_genesis().hash.hex()
    built = run(
        "tx", "build", "dollar_transfer", fields, "--sender", to, "--chain", chain, "--nonce", 3,
        "--valid-until", 10, "--fee-max", 20, "--out", "t.json",
    )  # fmt: skip
    assert built.code == 0
    unsigned = run("tx", "send", "t.json")
    assert (unsigned.code, "nobody has signed" in unsigned.err) == (1, True)
    signed = run("tx", "sign", "t.json", "--dev-key", "bruno", "--json").json()
    read = run("tx", "decode", signed["raw"], "--json").json()
    assert read["tx"] == signed["tx"]
    assert read["txid"] == signed["txid"]
    assert read["tx"]["fields"] == json.loads(fields)
    assert read["signatures"][0]["public_key"] == dev_key("bruno").public_key.hex()
    # What a file says about its bytes does not count.
    signed["tx"]["fields"]["outputs"][0]["amount"] = "1"
    (tmp_path / "s.json").write_text(json.dumps(signed))
    again = run("tx", "decode", "@s.json", "--json").json()
    assert again["tx"]["fields"] == json.loads(fields)


@pytest.mark.parametrize(
    ("kind", "fields", "code", "sentence"),
    [
        ("dollar_transfer", "{}", 1, "BAD_FIELD"),
        ("dollar_transfer", '{"outputs": [], "x": 1}', 1, "BAD_FIELD"),
        ("dollar_nothing", "{}", 1, "UNKNOWN_KIND"),
        ("dollar_transfer", "[", 2, "fields are a JSON object"),
    ],
)
def test_bad_fields_are_said_before_anything_is_signed(
    run: Any, kind: str, fields: str, code: int, sentence: str
) -> None:
    sender = "tmgs14m4dtjtwdkv6rlkprmpfvnre59ppl0d5y34qfh4vz3xuze9fhlhs387l4t"
    answer = run(
        "tx", "build", kind, fields, "--sender", sender, "--chain", "00" * 32, "--nonce", 0,
        "--valid-until", 1, "--fee-max", 1,
    )  # fmt: skip
    assert (answer.code, sentence in answer.err) == (code, True)


@pytest.mark.parametrize("text", ["zz", "00", "c0", "9" * 400])
def test_junk_is_no_transaction(run: Any, text: str) -> None:
    answer = run("tx", "decode", text)
    assert (answer.code, answer.out) == (1, "")


def test_nobody_at_the_address_is_one_sentence(run: Any) -> None:
    answer = run("status", "--rpc", "http://127.0.0.1:1")
    assert answer.code == 1
    assert answer.err.startswith("mgsnode: no node answers at http://127.0.0.1:1/")
    assert len(answer.err.splitlines()) == 1


def test_start_without_a_home_says_how_to_make_one(run: Any, tmp_path: Path) -> None:
    answer = run("start", "--home", tmp_path / "none")
    assert answer.code == 3
    assert "mgsnode init" in answer.err


def test_config_show_takes_the_environment(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGSNODE_RPC__PORT", "1234")
    assert run("config", "show", "--json").json()["rpc"]["port"] == 1234
    monkeypatch.setenv("MGSNODE_RPC__PROT", "1234")
    answer = run("config", "show")
    assert (answer.code, "did you mean rpc.port?" in answer.err) == (3, True)


def test_amounts_and_references_as_people_write_them() -> None:
    assert (micro("12.50"), micro("0.000001"), micro("3")) == ("12500000", "1", "3000000")
    assert hash_hex("ab" * 32) == "ab" * 32
    assert len(hash_hex("invoice 7")) == 64


def test_query_gateways_is_a_table_in_dollars(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        "gateway": "albion", "country": "GB", "status": "active", "position": "-1234567890",
        "room": "0", "strikes": 2, "stops": [{"why": "shortfall", "until_period": None}],
        "vote_key": "ab" * 32,
    }  # fmt: skip
    asked: list[str] = []

    def call(_url: str, method: str, _params: object) -> dict[str, object]:
        asked.append(method)
        return {"height": 7, "items": [dict(row)], "next_cursor": None}

    monkeypatch.setattr("mgsnode.client.call_once", call)
    query("gateways", [], rpc="http://x", json=False)
    shown = capsys.readouterr().out
    assert asked == ["gateway_list"]
    for text in ("albion", "active", "-1,234.56", "0.00", "shortfall", "height"):
        assert text in shown
    assert "ab" * 32 not in shown
    query("gateways", [], rpc="http://x", json=True)
    assert json.loads(capsys.readouterr().out)["items"] == [row]


def test_rows_that_do_not_fit_beside_each_other_stand_below_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = {f"column_{n}": "ab" * 16 for n in range(9)}

    def call(_url: str, _method: str, _params: object) -> dict[str, object]:
        return {"items": [wide, wide], "height": 7}

    monkeypatch.setattr("mgsnode.client.call_once", call)
    query("shop_list", [], rpc="http://x", json=False)
    lines = capsys.readouterr().out.splitlines()
    block = [f"{name}  {value}" for name, value in wide.items()]
    assert lines == [*block, "", *block, "", "height  7"]


def test_query_parameters_read_as_they_are_meant() -> None:
    said = _params(["height=3", "full=true", "address=tmgs1x", 'tx:={"a": "1"}', 'x:="5"'])
    assert said == {"height": 3, "full": True, "address": "tmgs1x", "tx": {"a": "1"}, "x": "5"}
