"""A new chain that takes over the state of one that has lost its quorum for good (case 75).

Whoever is left makes a genesis that names the last block they hold and who votes from now on.
Nothing is believed: everyone who still has the earlier chain compares that block with its own,
and whoever makes a home executes the same change of the same state. What the earlier keys
signed counts for nothing on the new chain, because its name is another.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from mgsnode.audit import voted_height
from mgsnode.base.block import hash_header
from mgsnode.base.errors import ConfigError, Corrupt
from mgsnode.base.genesis import Carried, Genesis, GenesisGateway
from mgsnode.genesis import genesis_document, genesis_text, parse_genesis
from mgsnode.guard import JOURNAL_FILE
from mgsnode.home import Home, carried_reader, load_home_genesis
from mgsnode.snapshots import Shelf, verify_folder
from state import chain
from state.draft import StateReader
from state.layout import open_store
from state.ledger import Ledger
from state.registry import standard_registry
from state.tx.gateways import GATEWAY, Gateway
from state.view import check_laws

GENESIS_FILE: Final = "genesis.json"
CARRIED_FOLDER: Final = "carried"
_RENEWED: Final = frozenset({"name", "vote_key", "transport_certificate", "endpoint"})
_MEMBERS_BYTES_MAX: Final = 1_000_000


def carry(home: Path, members: Path, out: Path, *, chain_id: str, time_ms: int) -> Genesis:
    """Make `out`: a genesis with the state at the head of a stopped node, and that state.

    `members` is a JSON list: of a gateway that there is, its name and what is new of its vote
    key, transport certificate and endpoint; of another, everything a genesis says about it.
    Raises `ConfigError`, `Locked` while the node runs, `Corrupt`.
    """
    if out.exists():
        raise ConfigError(f"{out} exists already")
    earlier = load_home_genesis(home)
    shelf = Shelf(Home(home).snapshots, earlier)
    with open_store(Home(home).store, standard_registry()) as store:
        rows = dict(StateReader(store).items(GATEWAY))
        head = shelf.create(store)
    folder = shelf.folder(head.header.height)
    verify_folder(folder, earlier)
    carried = Carried(earlier.hash, head.header.height, head.hash, head.header.state_root)
    document = _document(earlier, carried, time_ms)
    document["chain_id"] = chain_id or earlier.chain_id
    document["gateways"] = [_member(item, earlier, rows) for item in _read_members(members)]
    genesis = parse_genesis(json.dumps(document).encode())
    making = out.with_name(f"{out.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    shutil.copytree(folder, making / CARRIED_FOLDER)
    (making / GENESIS_FILE).write_text(genesis_text(genesis), encoding="utf-8")
    try:
        try_out(genesis, making / CARRIED_FOLDER)
        making.rename(out)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return genesis


def try_out(genesis: Genesis, carried: Path) -> None:
    """Begin the new chain in a folder that is thrown away. `ConfigError`, or `Corrupt`."""
    with TemporaryDirectory(prefix="mgsnode-carry-") as scratch:
        ledger = Ledger.create(Path(scratch) / "store", genesis, carried=carried_reader(carried))
        try:
            with ledger.view() as view:
                broken = [law for law in check_laws(view) if not law.ok]
        finally:
            ledger.close()
    if broken:
        law = broken[0]
        raise Corrupt(f"the state carried over breaks law {law.family}/{law.name}: {law.detail}")


def check_earlier(genesis: Genesis, home: Path) -> int:
    """That the block a genesis takes over from is the last one of the stopped node at `home`.

    Its height. `ConfigError` where this node knows another block, or one after it: then a
    payment that somebody holds for final would be lost.
    """
    if not genesis.carried:
        raise ConfigError("this genesis takes over no state")
    carried = genesis.carried[0]
    earlier = load_home_genesis(home)
    if earlier.hash != carried.genesis_hash:
        raise ConfigError(f"{home} is of another chain than the one that is carried over")
    with open_store(Home(home).store, standard_registry()) as store:
        header = chain.read_header(store, carried.height)
        last = chain.read_head(store)[0].height
    if header is None:
        raise ConfigError(f"{home} ends at height {last}, before {carried.height}: fetch the rest")
    if (hash_header(header), header.state_root) != (carried.block_hash, carried.state_root):
        raise ConfigError(f"height {carried.height} is another block in {home}")
    if last > carried.height:
        raise ConfigError(f"{home} holds certified blocks up to {last}: carry over from there")
    return last


def voted_beyond(home: Path, height: int) -> int | None:
    """The highest height that the node at `home` voted at, if that is above `height`.

    Such a block was under way when the quorum was lost, and may have been final elsewhere.
    """
    voted = voted_height(Home(home).journal / JOURNAL_FILE)
    return voted if voted > height else None


def _document(earlier: Genesis, carried: Carried, time_ms: int) -> dict[str, Any]:
    """The new genesis as it is written, but for its members."""
    bare = earlier._replace(
        time_ms=time_ms,
        gateways=(),
        accounts=(),
        arbiters=(),
        attestors=(),
        carriers=(),
        moderators=(),
        officers=(),
        token=tuple((purpose, 0) for purpose, _ in earlier.token),
        params=(),
        carried=(carried,),
        vesting=(),
    )
    return genesis_document(bare)


def _read_members(path: Path) -> list[dict[str, Any]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        found = json.loads(raw) if len(raw) <= _MEMBERS_BYTES_MAX else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ConfigError(f"{path}: is not a JSON list of gateways")
    return found


def _member(item: dict[str, Any], earlier: Genesis, rows: Mapping[str, Gateway]) -> dict[str, Any]:
    """A gateway's whole entry; what the state knows of it is not said again."""
    row = rows.get(str(item.get("name")))
    if row is None:
        return {**item, "attested": "0"}
    strange = sorted(item.keys() - _RENEWED)
    if strange:
        raise ConfigError(f"{item['name']}: {strange[0]} is that of the earlier chain")
    entry = GenesisGateway(
        name=str(item["name"]),
        country=row.country,
        currencies=row.currencies,
        owner_hash=row.owner_hash,
        operator=row.operator,
        vote_key=row.vote_key,
        transport_certificate=row.transport_certificate,
        endpoint=row.endpoint,
        bond=row.bond,
        cap=row.cap,
        attested=0,
    )
    written: dict[str, Any] = genesis_document(earlier._replace(gateways=(entry,)))["gateways"][0]
    return {**written, **item}
