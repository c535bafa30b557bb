"""What all commands share: the `--json` flag, tables, secrets from descriptors, the node's URL.

Nothing here imports more than the standard library and typer at the top: `mgsnode --help`
loads every command's file and must answer at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from mgsnode.base.keys import SigningKey

RPC_DEFAULT = "http://127.0.0.1:26601"
_SECRET_BYTES_MAX = 4_096
_MICRO_DIGITS = 6
_GAP = 3  # between two columns of a table
_PIPE_WIDTH = 240  # of a table that nobody's terminal folds

JsonFlag: TypeAlias = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
RpcUrl: TypeAlias = Annotated[str, typer.Option("--rpc", help="A node's JSON-RPC address.")]
HomeDir: TypeAlias = Annotated[Path, typer.Option("--home", help="The node's folder.")]
PassphraseFd: TypeAlias = Annotated[
    int | None,
    typer.Option("--passphrase-fd", help="Read the passphrase, one line, from this descriptor."),
]
KeystoreDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--keystore", envvar="MGSNODE_KEYSTORE", help="Folder of account keys (~/.mgs/keys)."
    ),
]
KeyName: TypeAlias = Annotated[
    str, typer.Option("--key", help="Sign with this account of the keystore.")
]
DevKey: TypeAlias = Annotated[
    str, typer.Option("--dev-key", help="Sign with a public development key, such as 'anna'.")
]
SeedFd: TypeAlias = Annotated[
    int | None, typer.Option("--seed-fd", help="Read a hex Ed25519 seed from this descriptor.")
]


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def show(value: Any, *, as_json: bool) -> None:
    """A result as JSON, or as a table for people."""
    if as_json:
        print_json(value)
        return
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    console = Console(soft_wrap=True, highlight=False, markup=False, width=width)
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        _print_rows(console, value["items"])
        rest = {key: item for key, item in value.items() if key != "items" and item is not None}
        if rest:
            _print_pairs(console, rest)
    elif isinstance(value, list):
        _print_rows(console, value)
    elif isinstance(value, dict):
        _print_pairs(console, value)
    else:
        console.print(_cell(value))


def _print_pairs(console: Any, value: Mapping[str, Any]) -> None:
    width = max((len(key) for key in value), default=0)
    for key, item in value.items():
        console.print(f"{key.ljust(width)}  {_cell(item)}")


def _print_rows(console: Any, rows: Sequence[Any]) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    if not rows:
        console.print("(none)")
        return
    if not all(isinstance(row, dict) for row in rows):
        for row in rows:
            console.print(_cell(row))
        return
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if _width_of(rows, columns) > console.width:  # a folded table would be read by nobody
        for row in rows:
            _print_pairs(console, row)
            console.print()
        return
    table = Table(box=SIMPLE, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column, "")) for column in columns))
    console.soft_wrap = False
    console.print(table)


def _width_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """The columns that a table of these rows takes when nothing is folded."""
    from rich.cells import cell_len

    texts = ([column, *(_cell(row.get(column, "")) for row in rows)] for column in columns)
    return sum(max(map(cell_len, each)) + _GAP for each in texts)


def _cell(value: Any) -> str:
    """A value in one line; what a stranger wrote moves no cursor."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def warn(sentence: str) -> None:
    """A remark for people, on standard error."""
    print(sentence, file=sys.stderr, flush=True)


def read_line(descriptor: int) -> bytes:
    """One line from a descriptor, without its end. It reads no further than the line."""
    line = bytearray()
    try:
        while len(line) <= _SECRET_BYTES_MAX:
            byte = os.read(descriptor, 1)
            if byte in (b"", b"\n"):
                return bytes(line)
            line += byte
    except OSError:
        raise typer.BadParameter(f"descriptor {descriptor} cannot be read") from None
    raise typer.BadParameter(f"a secret has at most {_SECRET_BYTES_MAX} bytes")


def read_secret(descriptor: int | None, prompt: str) -> str:
    """A secret from a descriptor, else from the terminal, else from standard input's line."""
    if descriptor is not None:
        raw = read_line(descriptor)
    elif sys.stdin.isatty():
        raw = getpass(f"{prompt}: ").encode()
    else:
        raw = read_line(sys.stdin.fileno())
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise typer.BadParameter("a secret is UTF-8 text") from None


def read_passphrase(descriptor: int | None, prompt: str = "Passphrase") -> bytes | None:
    """A passphrase to open something with; None where nobody can be asked."""
    if descriptor is not None:
        return read_line(descriptor)
    if sys.stdin.isatty():
        return getpass(f"{prompt}: ").encode()
    return None


def new_passphrase(descriptor: int | None, prompt: str = "New passphrase") -> bytes | None:
    """A passphrase to seal something with; None where nobody can be asked."""
    if descriptor is not None:
        passphrase = read_line(descriptor)
        if not passphrase:
            raise typer.BadParameter("the passphrase is empty")
        return passphrase
    if not sys.stdin.isatty():
        return None
    first = getpass(f"{prompt}: ")
    if first != getpass("Once more: "):
        raise typer.BadParameter("the two passphrases differ")
    return first.encode() or None


def keystore_folder(folder: Path | None) -> Path:
    """The keystore to use."""
    return folder if folder is not None else Path.home() / ".mgs" / "keys"


def signing_key(
    *,
    name: str,
    dev: str,
    seed_fd: int | None,
    keystore: Path | None,
    passphrase_fd: int | None,
) -> SigningKey:
    """The key that a command was told to sign with; exactly one way must be given."""
    from mgsnode.base.keys import SEED_BYTES, SigningKey

    if sum((bool(name), bool(dev), seed_fd is not None)) != 1:
        raise typer.BadParameter("say who signs, once: --key NAME, --seed-fd N or --dev-key NAME")
    if dev:
        from mgsnode.devnet import dev_key

        return dev_key(dev)
    if seed_fd is not None:
        text = read_secret(seed_fd, "Seed")
        try:
            seed = bytes.fromhex(text)
        except ValueError:
            seed = b""
        if len(seed) != SEED_BYTES:
            raise typer.BadParameter("a seed is 64 hex digits")
        return SigningKey(seed)
    from mgsnode.keystore import Keystore

    store = Keystore(keystore_folder(keystore))
    passphrase = read_passphrase(passphrase_fd) if store.info(name).is_sealed else None
    return store.load(name, passphrase).key


def micro(text: str) -> str:
    """Dollars as people write them ("12.50") to micro-dollars in decimal."""
    try:
        scaled = Decimal(text).scaleb(_MICRO_DIGITS)
    except InvalidOperation:
        raise typer.BadParameter(f"an amount reads like 12.50, not {text[:40]!r}") from None
    if not scaled.is_finite() or scaled <= 0 or scaled != scaled.to_integral_value():
        raise typer.BadParameter("an amount is above 0, with at most six decimals")
    return str(int(scaled))


def hash_hex(text: str) -> str:
    """64 hex digits as they are; any other text is hashed, so that it stays off the chain."""
    from mgsnode.base.hashing import HASH_BYTES, digest

    is_hash = len(text) == 2 * HASH_BYTES and all(char in "0123456789abcdef" for char in text)
    return text if is_hash else digest(b"mgs/reference", text.encode()).hex()


def read_text(path: Path) -> str:
    """The text of a file, or of standard input for "-"."""
    from mgsnode.base.errors import MgsError

    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise MgsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MgsError(f"{path}: not UTF-8 text") from None
