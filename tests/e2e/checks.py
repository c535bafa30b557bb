"""What a network is held to after its faults, and what is asked of it while they last.

`check_books` is the bank's closing of the day: one chain, each payment once, the laws of every
family at each height, and every home replays to the same root. It ends the nodes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from consensus.journal import Voted, read_journal
from mgsnode.audit import audit_home
from mgsnode.base.block import open_block
from mgsnode.config import config_path
from mgsnode.guard import JOURNAL_FILE
from mgsnode.home import Home, carried_reader
from mgsnode.localnet import VIEW_TIMEOUT_MS, Localnet, Node
from state.ledger import Ledger
from tests.e2e.support import Bank, call, check_one_chain, height, settle, until


def mgsnode(*arguments: object) -> Any:
    """What the program prints with `--json`; it must end with 0."""
    program = [sys.executable, "-m", "mgsnode.cli.main", *map(str, arguments), "--json"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check_books(net: Localnet, bank: Bank) -> int:
    """See the module. The height to which every home was replayed."""
    bank.stop()
    last = settle(net)
    check_one_chain(net, last)
    bank.check()
    for node in net.nodes:
        assert net.stop_node(node.place) == 0, net.log_tail(node.place)
    check_audits([node.home for node in net.nodes])
    laws = check_laws_at_each_height(net.nodes[0].home, last, net)
    print(f"{bank.count()} payments once each; {laws} laws held over {last} heights")
    return last


def check_audits(homes: Sequence[Path]) -> None:
    """`mgsnode audit` of every stopped home: all replay to one height and root."""
    said = [audit_home(home) for home in homes]
    assert all(result.ok for result in said), said
    assert len({(result.height, result.root) for result in said}) == 1, said


def check_laws_at_each_height(home: Path, last: int, net: Localnet) -> int:
    """Execute the chain of a stopped home once more and ask every law after each block."""
    asked = 0
    chain = Ledger.open(Home(home).store, net.genesis)
    with TemporaryDirectory(prefix="laws-") as scratch:
        carried = carried_reader(Home(home).carried) if net.genesis.carried else None
        again = Ledger.create(Path(scratch) / "store", net.genesis, carried=carried)
        for at in range(1, last + 1):
            stored = chain.stored_block(at)
            assert stored is not None, f"height {at} is missing"
            header, raw, certificate = stored
            block = open_block(raw)
            assert certificate is not None
            again.apply_certified(block, [again.open_tx(tx) for tx in block.txs], certificate)
            with again.view() as view:
                laws = again.laws(view)
            assert laws, "nobody asks anything"
            assert all(law.ok for law in laws), f"height {at}: {[x for x in laws if not x.ok]}"
            assert again.head.header == header
            asked += len(laws)
        again.close()
    chain.close()
    return asked


class Failover(NamedTuple):
    """The way from one primary to the next."""

    seconds: float  # from the moment that `next_block` was called to the next block
    views: int  # how many views further that was

    def __str__(self) -> str:
        timeouts = self.seconds / (VIEW_TIMEOUT_MS / 1_000)
        return f"next block after {timeouts:.2f} view timeouts, {self.views} view(s) on"


def next_block(net: Localnet, alive: Sequence[int], view: int, *, seconds: float) -> Failover:
    """Wait for the first block that is decided after the living have left `view`.

    A block that was under way when the primary failed does not count.
    """
    start = time.monotonic()
    seen: dict[str, int] = {}

    def is_on() -> bool:
        told = [call(net.nodes[place].rpc, "node_status", timeout_s=5) for place in alive]
        seen["view"] = max(status["view"] for status in told)
        highest = max(status["height"] for status in told)
        if seen["view"] == view:
            seen["last"] = highest
        return highest > seen.get("last", -1) if seen["view"] > view else False

    first = max(height(net, place) for place in alive)
    seen["last"] = first
    until("a block of the next view", is_on, seconds=seconds)
    return Failover(time.monotonic() - start, seen["view"] - view)


def view_of(net: Localnet, alive: Sequence[int]) -> int:
    """The highest view that a living node is in."""
    return max(int(call(net.nodes[place].rpc, "node_status")["view"]) for place in alive)


def caught_up(net: Localnet, place: int, others: Sequence[int]) -> bool:
    """Whether the node stands where the slowest of the `others` does."""
    return height(net, place) >= min(height(net, other) for other in others)


def signs(net: Localnet, name: str, *, asked: int = 1) -> bool:
    """Whether one of the last five blocks, as node `asked` has them, is signed by `name`."""
    last = height(net, asked)
    return any(name in signers(net, at, asked=asked) for at in range(max(1, last - 4), last + 1))


def signers(net: Localnet, at: int, *, asked: int = 1) -> set[str]:
    """Whose signatures the certificate of a height carries, as node `asked` has it."""
    certificate = call(net.nodes[asked].rpc, "chain_certificate", [at])
    return {item["gateway"] for item in certificate["signatures"]}


def not_ready(node: Node) -> str:
    """What `/readyz` says against it; "" if it is ready."""
    try:
        with urllib.request.urlopen(f"{node.rpc}/readyz", timeout=5):
            return ""
    except urllib.error.HTTPError as error:
        assert error.code == 503
        return error.read().decode() or "no reason"


def check_of(node: Node, name: str) -> tuple[bool, str]:
    """(ok, detail) of one of the checks of `node_health`."""
    checks = call(node.rpc, "node_health")["checks"]
    return next((check["ok"], check["detail"]) for check in checks if check["name"] == name)


def check_no_evidence(net: Localnet, *, but: Sequence[int] = ()) -> None:
    """No running node has met two contradicting statements of anybody."""
    for node in net.nodes:
        if node.place not in but:
            assert check_of(node, "evidence")[0], f"{node.name} holds evidence"
            assert not (node.home / "data" / "evidence.jsonl").exists()


def votes_of(home: Path) -> list[Voted]:
    """What the journal of a stopped node says that it voted."""
    raw = (Home(home).journal / JOURNAL_FILE).read_bytes()
    return [record for record in read_journal(raw).records if isinstance(record, Voted)]


def check_no_contradiction(home: Path) -> None:
    """Its journal, from its first record on, never holds two votes for one place."""
    said: dict[tuple[int, int, int, int], bytes] = {}
    votes = votes_of(home)
    assert votes
    for vote in votes:
        place = (vote.kind, vote.era, vote.view, vote.height)
        assert said.setdefault(place, vote.hash) == vote.hash, f"two votes at {place}"


def configure(node: Node, before: str, after: str) -> None:
    """Change a line of a stopped node's `config.toml`; `before` has to stand there."""
    path = config_path(node.home)
    text = path.read_text(encoding="utf-8")
    assert f"\n{before}\n" in text, f"{before!r} is not in {path}"
    path.write_text(text.replace(f"\n{before}\n", f"\n{after}\n"), encoding="utf-8")
