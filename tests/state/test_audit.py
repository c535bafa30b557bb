"""Whatever is changed in a stopped node's store, the audit names it: alone, and in the same words
with two processes that look ahead. Every audit here is done both ways.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mgsnode.auditors import open_auditors
from mgsnode.base.block import (
    Block,
    Certificate,
    encode_block,
    make_certificate,
    open_block,
    open_certificate,
    vote_fields,
)
from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import Corrupt, MgsError
from mgsnode.base.genesis import Genesis
from mgsnode.base.keys import Signed, statement
from mgsnode.base.transaction import open_body
from state import chain
from state.ahead import Workers
from state.audit import AuditResult, audit_source, audit_store
from state.ledger import Ledger
from state.source import StoreSource
from state.store import Store
from state.tx.accounts import ACCOUNT
from tests.state.world import DOLLAR, Person, World, make_genesis, people

HEIGHTS = 4
TXS = 6
ALICE, BOB = people("alice", "bob")
GENESIS = make_genesis(funded=[ALICE, BOB])


def certify(ledger: Ledger, block: Block, block_hash: bytes) -> Certificate:
    era, height = block.header.era, block.header.height
    votes = {
        index: Person(f"vote{index}").key.sign(
            statement(Signed.COMMIT, GENESIS.hash, vote_fields(era, 0, height, block_hash, index))
        )
        for index in range(3)
    }
    return make_certificate(
        era=era,
        view=0,
        height=height,
        block_hash=block_hash,
        votes=votes,
        n=ledger.head.validators.n,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of a few blocks of transfers, closed."""
    path = tmp_path_factory.mktemp("audit") / "store"
    ledger = Ledger.create(path, GENESIS)
    world = World(GENESIS)
    for _ in range(HEIGHTS):
        txs = []
        for i in range(TXS):
            sender, to = (ALICE, BOB) if i % 2 else (BOB, ALICE)
            outputs = ((to.address, (i + 1) * DOLLAR, f"memo {i}"),)
            txs.append(world.tx(sender, "dollar_transfer", outputs, lane=i))
        world.block(*txs)
        made = ledger.build(ledger.head.hash, txs, ledger.head.header.timestamp_ms + 1_000)
        assert len(made.included) == TXS and not made.bugs
        block_hash = chain.hash_header(made.block.header)
        ledger.commit(block_hash, certify(ledger, made.block, block_hash))
    ledger.close()
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "store"
    shutil.copytree(whole, copy)
    return copy


_AUDITORS: list[Workers] = []


@pytest.fixture(scope="module", autouse=True)
def auditors() -> Iterator[None]:
    with open_auditors(2, None) as workers:
        assert workers is not None
        _AUDITORS.append(workers)
        yield
        _AUDITORS.clear()


def audit(path: Path, genesis: Genesis = GENESIS) -> AuditResult:
    alone = _audited(path, genesis, None)
    assert repr(_audited(path, genesis, _AUDITORS[0])) == repr(alone)
    if isinstance(alone, MgsError):
        raise alone
    return alone


def _audited(path: Path, genesis: Genesis, workers: Workers | None) -> AuditResult | MgsError:
    scratch = path.with_name("scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with Store.open(path) as store:
            return audit_store(store, genesis, scratch, workers=workers)
    except MgsError as error:
        return error


def edit(path: Path, key: bytes, change: Callable[[bytes], bytes | None]) -> None:
    """Change a row through the store, as somebody with LevelDB at hand would."""
    with Store.open(path) as store:
        raw = store.get(key)
        assert raw is not None
        changed = change(raw)
        assert changed != raw
        with store.batch() as batch:
            if changed is None:
                batch.delete(key)
            else:
                batch.put(key, changed)


def flip(place: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


def fault(path: Path) -> str:
    result = audit(path)
    assert not result.ok and result.fault is not None
    return result.fault


def test_an_untouched_store_is_found_good(path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with Store.open(path) as store:
        header, _ = chain.read_head(store)
        result = audit_store(
            store, GENESIS, path.with_name("s"), progress=lambda *what: told.append(what)
        )
    assert result == AuditResult(True, HEIGHTS, header.state_root, HEIGHTS, HEIGHTS * TXS, None)
    assert told == [("replay", height, HEIGHTS) for height in range(HEIGHTS + 1)]


def test_a_chain_can_be_audited_without_its_state(path: Path) -> None:
    with Store.open(path) as store:
        assert audit_source(StoreSource(store), GENESIS, path.with_name("s")).ok


def block_with(change: Callable[[Block], Block]) -> Callable[[bytes], bytes]:
    return lambda raw: encode_block(change(open_block(raw)))


@pytest.mark.parametrize(
    "field", ["version", "genesis_hash", "era", "height", "parent_hash", "timestamp_ms", "txs_root",
              "receipts_root", "state_root", "valset_hash", "next_valset_hash"],
)  # fmt: skip
def test_a_changed_header_field_is_named(path: Path, field: str) -> None:
    def change(raw: bytes) -> bytes:
        _, txs = decode(raw, bytes_max=10**6)  # type: ignore[misc]
        opened = chain.header_of(raw)
        value = getattr(opened, field)
        new = value ^ 1 if isinstance(value, int) else flip(7)(value)
        return encode((encode(opened._replace(**{field: new})), txs))

    edit(path, chain.height_key(chain.BLOCK, 2), change)
    assert fault(path) == f"height 2: header field {field}: is not what was certified"


@pytest.mark.parametrize(
    ("what", "named"),
    [
        (lambda body: body._replace(nonce=body.nonce + 1), "field nonce"),
        (lambda body: body._replace(fee_max=body.fee_max ^ 1), "field fee_max"),
        (lambda body: body._replace(sender=flip(3)(body.sender)), "field sender"),
        (
            lambda body: body._replace(
                fields=(((body.fields[0][0][0], body.fields[0][0][1] ^ 1, body.fields[0][0][2]),),)
            ),
            "field fields.outputs.0.amount",
        ),
    ],
)
def test_a_changed_transaction_field_is_named(
    path: Path, what: Callable[..., object], named: str
) -> None:
    def change(raw: bytes) -> bytes:
        header, txs = decode(raw, bytes_max=10**6)  # type: ignore[misc]
        body, signatures = decode(txs[3], bytes_max=10**6)  # type: ignore[misc]
        opened = open_body(body)
        changed = encode((encode(what(opened)), signatures))  # type: ignore[arg-type]
        return encode((header, (*txs[:3], changed, *txs[4:])))

    edit(path, chain.height_key(chain.BLOCK, 3), change)
    text = fault(path)
    assert text.startswith(f"height 3: transaction 3: {named}: the signature of ")


def test_a_changed_signature_is_named(path: Path) -> None:
    def change(raw: bytes) -> bytes:
        header, txs = decode(raw, bytes_max=10**6)  # type: ignore[misc]
        return encode((header, (flip(len(txs[0]) - 9)(txs[0]), *txs[1:])))

    edit(path, chain.height_key(chain.BLOCK, 1), change)
    assert fault(path).startswith("height 1: transaction 0: signature: the signature of ")


@pytest.mark.parametrize(
    "change",
    [
        lambda txs: txs[::-1],
        lambda txs: txs[:-1],
        lambda txs: (*txs, txs[0]),
    ],
)
def test_transactions_that_were_moved_dropped_or_doubled_are_found(
    path: Path, change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
) -> None:
    edit(
        path,
        chain.height_key(chain.BLOCK, 2),
        lambda raw: encode((lambda v: (v[0], change(v[1])))(decode(raw, bytes_max=10**6))),
    )
    assert fault(path).startswith("height 2: transactions: not those of txs_root")


def test_every_changed_byte_of_a_stored_block_is_found_and_placed(path: Path) -> None:
    with Store.open(path) as store:
        raw = store.get(chain.height_key(chain.BLOCK, 2))
    assert raw is not None
    for place in range(0, len(raw), max(1, len(raw) // 40)):
        edit(path, chain.height_key(chain.BLOCK, 2), lambda raw, at=place: flip(at)(raw))  # type: ignore[misc]
        assert fault(path).startswith("height 2: "), place
        edit(path, chain.height_key(chain.BLOCK, 2), lambda raw, at=place: flip(at)(raw))  # type: ignore[misc]
    assert audit(path).ok


def test_a_changed_certificate_is_named(path: Path) -> None:
    key = chain.height_key(chain.CERTIFICATE, 2)

    def with_certificate(change: Callable[[Certificate], Certificate]) -> str:
        shutil.copytree(path, path.with_name("backup"))
        edit(path, key, lambda raw: encode(change(open_certificate(raw))))
        text = fault(path)
        shutil.rmtree(path)
        path.with_name("backup").rename(path)
        return text

    s = "height 2: certificate: "
    assert (
        with_certificate(
            lambda c: c._replace(signatures=(flip(0)(c.signatures[0]), *c.signatures[1:]))
        )
        == s + "certificate signature of member 0 is bad"
    )
    assert with_certificate(lambda c: c._replace(hash=flip(0)(c.hash))).startswith(
        s + "is of another"
    )
    assert with_certificate(lambda c: c._replace(view=1)).endswith("is bad")
    assert with_certificate(
        lambda c: c._replace(bitmap=b"\3", signatures=c.signatures[:2])
    ).startswith(s + "certificate has 2 signatures")
    edit(path, key, lambda raw: raw[:-1])
    assert fault(path).startswith(s)
    edit(path, key, lambda _raw: None)
    assert fault(path) == "height 2: certificate is missing"


def test_a_changed_receipt_is_named(path: Path) -> None:
    def change(raw: bytes) -> bytes:
        receipts = decode(raw, bytes_max=10**6)
        txid, code, fee, events = decode(receipts[4], bytes_max=10**6)  # type: ignore[index,misc,arg-type]
        changed = encode((txid, code, fee + 1, events))
        return encode((*receipts[:4], changed, *receipts[5:]))  # type: ignore[index,misc]

    edit(path, chain.height_key(chain.RECEIPTS, 3), change)
    assert fault(path) == "height 3: receipt 4: field fee: is not what the replay gives"


def test_a_changed_balance_is_named(path: Path) -> None:
    def change(raw: bytes) -> bytes:
        account = ACCOUNT.decode_record(raw)
        return ACCOUNT.encode_record(account._replace(dollar=account.dollar + 1))

    edit(path, ACCOUNT.state_key(ALICE.address), change)
    text = fault(path)
    assert text.startswith("state row dollar/account tmgs1")
    assert text.endswith(": field dollar: is not what the replay gives")


def test_rows_that_are_missing_or_too_many_are_named(path: Path) -> None:
    edit(path, ACCOUNT.state_key(BOB.address), lambda _raw: None)
    assert fault(path).endswith(": is missing")
    with Store.open(path) as store, store.batch() as batch:
        batch.put(b"i\x01odd", b"x")
    assert fault(path) == "list row 016f6464: should not be there"
    with Store.open(path) as store, store.batch() as batch:
        batch.put(chain.height_key(chain.BLOCK, HEIGHTS + 1), b"x")
    assert fault(path) == f"height {HEIGHTS + 1}: block: should not be there"


@pytest.mark.parametrize("prefix", [b"h", b"r", b"t", b"x", b"y"])
def test_a_changed_key_of_any_index_is_found(path: Path, prefix: bytes) -> None:
    with Store.open(path) as store:
        key, value = list(store.iterate(prefix=prefix))[-1]
        with store.batch() as batch:
            batch.delete(key)
            batch.put(flip(len(key) - 1)(key), value)
    assert fault(path)


def test_another_genesis_is_not_this_chain(path: Path) -> None:
    other = GENESIS._replace(chain_id="other")
    assert (audit(path, other).fault or "").startswith("height 0: ")


def test_a_missing_block_is_named(path: Path) -> None:
    edit(path, chain.height_key(chain.BLOCK, 2), lambda _raw: None)
    assert fault(path) == "height 2: block is missing"


def test_case_9_flipped_bytes_in_table_files_are_corruption_never_a_traceback(path: Path) -> None:
    with Store.open(path) as store:
        store.compact()
    victim = max(path.glob("*.ldb"), key=lambda file: file.stat().st_size)
    raw = victim.read_bytes()
    found = 0
    for place in range(50, len(raw), len(raw) // 25):
        victim.write_bytes(flip(place)(raw))
        copy = path.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy)
        try:
            found += not audit(copy).ok
        except Corrupt:
            found += 1
    assert found >= 22  # the rest are bits of a filter that say nothing
