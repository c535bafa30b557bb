"""Several real nodes on one machine: separate processes with their own homes, keys and ports.

It starts them, says where they are and ends them; it never restarts one that died. Each child
watches a pipe whose other end only this process holds, so that none outlives it, however it
ends. A node that somebody starts by hand from its home has no such pipe and lives on its own.
All methods block; from a running event loop call them through `asyncio.to_thread`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from mgsnode.base.address import address_text
from mgsnode.base.errors import ConfigError, MgsError
from mgsnode.base.genesis import Genesis
from mgsnode.base.limits import VALIDATORS_MAX
from mgsnode.client import Unreachable, call_once
from mgsnode.config import BASE_PORT, ENV_DELIMITER, ENV_PREFIX, load_settings
from mgsnode.devnet import dev_address, dev_genesis, dev_key_file, dev_seed
from mgsnode.home import Home, create_home, create_keys, load_home_genesis
from mgsnode.ports import busy_ports, free_base_port

LOCALNET_FILE = "localnet.json"
LOG_FILE = "node.log"
VIEW_TIMEOUT_MS = 1_000  # one machine: no wide-area delays to wait out
READY_S = 60.0
STOP_S = 15.0  # a node closes its store within this or is killed
_POLL_S = 0.05
_ASK_S = 2.0
_LOG_TAIL_LINES = 5


class Node(NamedTuple):
    """One node of the network, as `localnet.json` lists it."""

    place: int  # in the genesis, from 0
    name: str
    gateway: str
    home: Path
    host: str
    p2p_port: int
    rpc_port: int

    @property
    def rpc(self) -> str:
        """Its JSON-RPC address."""
        return f"http://{self.host}:{self.rpc_port}"

    @property
    def ws(self) -> str:
        """Its WebSocket address."""
        return f"ws://{self.host}:{self.rpc_port}/ws"


class Localnet:
    """A local network. Make it with `create` or `open`, then `start` and `stop` it."""

    def __init__(self, root: Path, genesis: Genesis, nodes: list[Node]) -> None:
        self.root = root
        self.genesis = genesis
        self.nodes = nodes
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._life: tuple[int, int] | None = None  # a pipe: what reads, what keeps it open

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        gateways: int = 4,
        base_port: int | None = BASE_PORT,
        settings: Mapping[str, str] | None = None,
        **genesis: Any,
    ) -> Self:
        """Make the homes of a new network below `root`.

        `base_port` None finds free ports. `settings` ("section.key" -> text) go to every node;
        `genesis` goes to `dev_genesis` (time_ms: now, unless given).
        """
        if base_port is None:
            base_port = free_base_port(2 * gateways)
        if not 1 <= base_port <= 65_536 - 2 * max(1, min(gateways, VALIDATORS_MAX)):
            raise ConfigError(f"no {2 * gateways} ports follow base port {base_port}")
        genesis.setdefault("time_ms", time.time_ns() // 1_000_000)
        value = dev_genesis(gateways=gateways, base_port=base_port, **genesis)
        for index, gateway in enumerate(value.gateways):
            home = root / gateway.name
            flags = {
                "p2p.port": str(base_port + 2 * index),
                "rpc.port": str(base_port + 2 * index + 1),
                "consensus.view_timeout_ms": str(VIEW_TIMEOUT_MS),
                **(settings or {}),
            }
            create_keys(
                home,
                transport=dev_key_file(gateway.name, "transport"),
                vote=dev_key_file(gateway.name, "vote"),
                passphrase=None,
            )
            create_home(home, genesis=value, settings=load_settings(None, flags=flags, environ={}))
        return cls.open(root)

    @classmethod
    def open(cls, root: Path) -> Self:
        """The network that was made below `root`, else `ConfigError`."""
        homes = sorted(path.parent.parent for path in root.glob("*/config/genesis.json"))
        if not homes:
            raise ConfigError(f"{root} holds no local network")
        genesis = load_home_genesis(homes[0])
        nodes: list[Node] = []
        for index, gateway in enumerate(genesis.gateways):
            home = root / gateway.name
            if not Home(home).store.exists():
                raise ConfigError(f"{home} is missing or half made; begin with an empty folder")
            loaded = load_settings(home, environ={})
            node = Node(
                place=index,
                name=gateway.name,
                gateway=gateway.name,
                home=home,
                host=loaded.rpc.host,
                p2p_port=loaded.p2p.port,
                rpc_port=loaded.rpc.port,
            )
            nodes.append(node)
        return cls(root, genesis, nodes)

    @staticmethod
    def exists(root: Path) -> bool:
        """Whether a network was made below `root`."""
        return any(root.glob("*/config/genesis.json"))

    def start(self, *, ready_s: float = READY_S) -> None:
        """Start all nodes, wait until each answers, write `localnet.json`.

        Raises `MgsError` with the end of its log where a node dies first; the others are ended.
        """
        for node in self.nodes:
            for port in (node.p2p_port, node.rpc_port):
                if busy_ports(port, 1):
                    raise MgsError(f"port {port} is in use; {node.name} needs it")
        (self.root / LOCALNET_FILE).unlink(missing_ok=True)
        with ExitStack() as undo:
            undo.callback(self.stop)
            for node in self.nodes:
                self.start_node(node.place)
            for node in self.nodes:
                self.wait_ready(node.place, ready_s=ready_s)
            undo.pop_all()
        self.write_file()

    def start_node(self, index: int) -> None:
        """Start one node that is not running; it dies with this process."""
        node = self.nodes[index]
        assert not self.is_alive(index), f"{node.name} runs already"
        if self._life is None:
            self._life = os.pipe()  # the writing end is never inherited
        life_fd = self._life[0]
        with (node.home / LOG_FILE).open("ab") as log:
            self._children[index] = subprocess.Popen(  # noqa: S603  # our own program
                self.command(node, life_fd),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(life_fd,),
                start_new_session=True,  # Ctrl-C reaches us alone; we end them in order
                env=_child_environ(),
            )

    def command(self, node: Node, life_fd: int) -> list[str]:
        """What runs a node of this network."""
        program = [sys.executable, "-m", "mgsnode.cli.main", "start"]
        return [*program, "--home", str(node.home), "--life-fd", str(life_fd)]

    def wait_ready(self, index: int, *, ready_s: float = READY_S) -> None:
        """Wait until our process of this node answers; `MgsError` if it ends or takes too long."""
        node, child = self.nodes[index], self._children[index]
        deadline = time.monotonic() + ready_s
        while not self.answers(index):
            code = child.poll()
            if code is not None:
                raise MgsError(
                    f"{node.name} ended with {code} before it answered: {self.log_tail(index)}"
                )
            if time.monotonic() > deadline:
                raise MgsError(f"{node.name} did not answer within {ready_s:.0f} s")
            time.sleep(_POLL_S)

    def answers(self, index: int) -> bool:
        """Whether the node answers as a node of this chain."""
        try:
            status = _ask(self.nodes[index].rpc)
        except Unreachable:
            return False
        if status.get("chain") != self.genesis.hash.hex():
            raise MgsError(f"a node of another chain answers at {self.nodes[index].rpc}")
        return True

    def is_alive(self, index: int) -> bool:
        """Whether our process of this node runs."""
        child = self._children.get(index)
        return child is not None and child.poll() is None

    def pid(self, index: int) -> int | None:
        """The process id of the node as we last started it."""
        child = self._children.get(index)
        return child.pid if child is not None else None

    def kill(self, index: int) -> None:
        """`kill -9` one node and wait until it is gone."""
        child = self._children[index]
        child.kill()
        child.wait()

    def stop_node(self, index: int) -> int:
        """End one node as an operator would (SIGTERM); its exit code."""
        child = self._children[index]
        child.terminate()
        return child.wait(timeout=STOP_S)

    def restart(self, index: int, *, ready_s: float = READY_S) -> None:
        """Start a node that was killed and wait until it answers; write its new pid."""
        self.start_node(index)
        self.wait_ready(index, ready_s=ready_s)
        self.write_file()

    def stop(self) -> None:
        """End every node of ours: SIGTERM, then SIGKILL for those that do not go."""
        alive = [child for child in self._children.values() if child.poll() is None]
        for child in alive:
            child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for child in alive:
            try:
                child.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log_tail(self, index: int) -> str:
        """The last lines that the node wrote."""
        path = self.nodes[index].home / LOG_FILE
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return " | ".join(text.splitlines()[-_LOG_TAIL_LINES:]) or "no log"

    def accounts(self) -> list[dict[str, str]]:
        """The funded development accounts with their public seeds."""
        return [
            {
                "name": account.name,
                "address": address_text(account.address, self.genesis.hrp),
                "seed": dev_seed(account.name).hex(),
            }
            for account in self.genesis.accounts
            if account.address == dev_address(account.name)
        ]

    def document(self) -> dict[str, Any]:
        """What `localnet.json` holds."""
        return {
            "chain": self.genesis.hash.hex(),
            "nodes": [
                {
                    "name": node.name,
                    "gateway": node.gateway,
                    "home": str(node.home.resolve()),
                    "rpc": node.rpc,
                    "ws": node.ws,
                    "p2p": f"{node.host}:{node.p2p_port}",
                    "pid": self.pid(node.place),
                }
                for node in self.nodes
            ],
            "accounts": self.accounts(),
        }

    def write_file(self) -> None:
        """Write `localnet.json` whole: a reader never sees half of it."""
        path = self.root / LOCALNET_FILE
        fresh = path.with_name(f".{LOCALNET_FILE}.{os.getpid()}")
        fresh.write_text(json.dumps(self.document(), indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)


def _child_environ() -> dict[str, str]:
    """Our environment without settings: one node's port is not every node's."""
    return {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith(ENV_PREFIX) and ENV_DELIMITER in name)
    }


def _ask(url: str) -> dict[str, Any]:
    status = call_once(url, "node_status", timeout_s=_ASK_S)
    return status if isinstance(status, dict) else {}
