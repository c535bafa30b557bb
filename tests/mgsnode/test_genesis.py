"""The genesis document: one meaning, one spelling; everything else is named and refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from mgsnode.base.address import HRP_MAIN, address_text
from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import Genesis
from mgsnode.devnet import (
    DevAccount,
    dev_address,
    dev_genesis,
    dev_key,
    dev_key_file,
    dev_seed,
    gateway_names,
)
from mgsnode.genesis import genesis_document, genesis_text, load_genesis, parse_genesis

REPOSITORY = Path(__file__).parents[2]
Change = Callable[[dict[str, Any]], Any]
SMALL_ORDER = (
    "01" + "00" * 31,
    "00" * 32,
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ff" * 32,
)


@pytest.fixture(scope="module")
def document() -> str:
    return genesis_text(dev_genesis())


def refused(text: str, change: Change) -> str:
    changed = json.loads(text)
    change(changed)
    with pytest.raises(ConfigError) as caught:
        parse_genesis(json.dumps(changed).encode())
    return str(caught.value)


def test_the_repositorys_genesis_is_the_development_network() -> None:
    assert (REPOSITORY / "genesis.json").read_text() == genesis_text(dev_genesis())
    genesis = load_genesis(REPOSITORY / "genesis.json")
    assert genesis == dev_genesis()
    assert [g.name for g in genesis.gateways] == gateway_names(4)
    assert genesis.validators().quorum == 3


@pytest.mark.parametrize("gateways", [1, 4, 7, 31])
def test_a_genesis_reads_back_the_same_with_the_same_hash(gateways: int) -> None:
    genesis = dev_genesis(gateways=gateways, params={"b": 2, "a": 2**63 - 1})
    again = parse_genesis(genesis_text(genesis).encode())
    assert again == genesis
    assert again.hash == genesis.hash
    assert again.params == (("a", 2**63 - 1), ("b", 2))


def test_spaces_and_order_of_keys_do_not_change_the_hash(document: str) -> None:
    shuffled = dict(reversed(json.loads(document).items()))
    assert parse_genesis(json.dumps(shuffled).encode()).hash == dev_genesis().hash


def test_development_keys_fit_the_genesis() -> None:
    genesis = dev_genesis(accounts=[DevAccount("merchant", dollar=5, issuer="danube")])
    for gateway in genesis.gateways:
        transport = dev_key_file(gateway.name, "transport")
        assert gateway.vote_key == dev_key(gateway.name, "vote").public_key
        assert gateway.transport_certificate == transport.certificate
        assert gateway.operator == dev_address(gateway.name)
    accounts = {account.name: account for account in genesis.accounts}
    assert accounts["merchant"].issuer == "danube"
    assert genesis.arbiters == (accounts["arbiter"].address,)
    assert dev_seed("albion", "vote") != dev_seed("albion", "transport")


def drop(*path: Any) -> Change:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return change


def put(*path: Any, value: Any) -> Change:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


def twice(group: str) -> Change:
    return lambda document: document[group].append(document[group][0])


def same(group: str, field: str) -> Change:
    def change(document: Any) -> None:
        document[group][2][field] = document[group][0][field]

    return change


def to_main(gateways: int) -> Change:
    def change(document: Any) -> None:
        genesis = dev_genesis(gateways=gateways)
        document.clear()
        document.update(genesis_document(genesis))
        document["network"] = "main"
        named = ("gateways", "operator"), ("accounts", "address"), ("vesting", "holder")
        for group, field in named:
            for item, value in zip(document[group], getattr(genesis, group), strict=True):
                item[field] = address_text(getattr(value, field), HRP_MAIN)
        for role in ("arbiters", "attestors", "carriers", "moderators", "officers"):
            document[role] = [address_text(a, HRP_MAIN) for a in getattr(genesis, role)]

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (drop("chain_id"), "chain_id: field required"),
        (drop("gateways", 1, "cap"), "gateways[1].cap: field required"),
        (put("chian_id", value="x"), "unknown key chian_id; did you mean chain_id?"),
        (put("gateways", 0, "bound", value="1"), "gateways[0].bound; did you mean bond?"),
        (put("version", value=2), "version: input should be less"),
        (put("version", value=True), "version: input should be a valid int"),
        (put("time_ms", value=1.5), "time_ms"),
        (put("time_ms", value=-1), "time_ms"),
        (put("network", value="prod"), "network: input should be 'main'"),
        (put("gateways", value=[]), "gateways: list should have at least 1"),
        (to_main(3), "a main chain has at least 4"),
        (same("gateways", "name"), "gateways[2]: the same name as gateways[0]"),
        (same("gateways", "vote_key"), "gateways[2]: the same vote_key"),
        (same("gateways", "owner_hash"), "gateways[2]: the same owner_hash"),
        (same("gateways", "transport_certificate"), "the same transport_certificate"),
        (same("gateways", "endpoint"), "the same endpoint"),
        (same("gateways", "operator"), "the same operator"),
        (same("accounts", "address"), "accounts[2]: the same address"),
        (same("accounts", "name"), "accounts[2]: the same name"),
        (put("gateways", 0, "endpoint", value="h:70000"), "a port is at most 65535"),
        (put("gateways", 0, "endpoint", value="h"), "gateways[0].endpoint"),
        (put("gateways", 0, "currencies", value=["EUR", "EUR"]), "one stands twice"),
        (put("gateways", 0, "currencies", value=[]), "gateways[0].currencies"),
        (put("gateways", 0, "country", value="gb"), "gateways[0].country"),
        (put("gateways", 0, "transport_certificate", value="00"), "transport_certificate: not"),
        (put("gateways", 0, "vote_key", value="AB" * 32), "gateways[0].vote_key"),
        (put("gateways", 0, "operator", value="tmgs1qqqq"), "gateways[0].operator: not an address"),
        (put("accounts", 0, "issuer", value="nobody"), "no gateway of the genesis"),
        (put("accounts", 0, "dollar", value="0"), 'is "" where dollar is 0'),
        (put("accounts", 0, "dollar", value=str(2**63)), "accounts[0].dollar: more than"),
        (put("accounts", 0, "dollar", value=str(2**63 - 1)), "its genesis dollars exceed it"),
        (
            put("gateways", 0, "attested", value="1"),
            "gateways (albion).attested: its genesis dollars exceed it",
        ),
        (put("accounts", 0, "token", value=str(2**63 - 1)), "token.sale: accounts and bonds"),
        (put("token", "mining", value=str(2**63 - 1)), "together more than"),
        (put("vesting", 0, "purpose", value="mining"), "vesting[0].purpose: input should be"),
        (put("vesting", 0, "amount", value=str(10**15)), "token.team: what vests of it"),
        (put("vesting", 0, "amount", value="0"), "vesting[0]: amount and end_ms are above 0"),
        (put("vesting", 0, "cliff_ms", value=10**12), "vesting[0]: 0 <= cliff_ms <= end_ms"),
        (put("vesting", 0, "end_ms", value=10**13), "vesting[0]: 0 <= cliff_ms <= end_ms"),
        (twice("vesting"), "vesting[1]: the same holder and purpose as vesting[0]"),
        (put("params", "x", value=1), "params.x: input should be a valid string"),
    ],
)  # fmt: skip
def test_a_bad_genesis_names_the_field(document: str, change: Change, sentence: str) -> None:
    assert sentence in refused(document, change)


@pytest.mark.parametrize(
    "amount", [1, 1.0, True, None, "1.0", "01", "+1", "-1", "1e3", " 1", "", "١"]
)
def test_case_62_an_amount_has_one_spelling(document: str, amount: object) -> None:
    assert "gateways[0].cap" in refused(document, put("gateways", 0, "cap", value=amount))


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_weak_vote_keys_are_refused(document: str, key: str) -> None:
    assert "a weak key" in refused(document, put("gateways", 1, "vote_key", value=key))


def test_an_address_of_another_network_or_in_capitals_is_refused(document: str) -> None:
    other = address_text(dev_address("anna"), HRP_MAIN)
    assert "another network" in refused(document, put("accounts", 0, "address", value=other))
    loud = json.loads(document)["accounts"][0]["address"].upper()
    assert "lower case" in refused(document, put("accounts", 0, "address", value=loud))


def test_one_key_does_not_both_vote_and_carry(document: str) -> None:
    genesis = dev_genesis()
    certificate = x509.load_der_x509_certificate(genesis.gateways[3].transport_certificate)
    der = certificate.public_bytes(Encoding.DER)
    key = dev_key("rhenus", "transport").public_key.hex()
    assert der == genesis.gateways[3].transport_certificate
    assert "for votes and for transport" in refused(
        document, put("gateways", 0, "vote_key", value=key)
    )


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "input should be a valid dictionary"),
        (b"{}", "version: field required"),
        (b'{"version":1,"version":1}', "the key 'version' stands twice"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 5_000, "not JSON"),
    ],
)
def test_junk_is_a_clear_error(raw: bytes, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("(", r"\(")):
        parse_genesis(raw)


def test_a_repeated_key_deep_inside_is_refused(document: str) -> None:
    twice = document.replace('"country": "AT"', '"country": "AT", "country": "AT"')
    with pytest.raises(ConfigError, match="'country' stands twice"):
        parse_genesis(twice.encode())


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_genesis(tmp_path / "none.json")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_flipped_byte_gives_a_genesis_or_a_config_error(data: st.DataObject) -> None:
    raw = bytearray(genesis_text(dev_genesis(gateways=1)).encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        assert isinstance(parse_genesis(bytes(raw)), Genesis)
    except ConfigError:
        pass
