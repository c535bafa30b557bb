"""Account keys: a folder of sealed files, made from words or seeds.

Secrets come from the terminal, a descriptor or standard input, never from arguments.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgsnode.cli.common import (
    JsonFlag,
    KeystoreDir,
    PassphraseFd,
    keystore_folder,
    new_passphrase,
    print_json,
    read_passphrase,
    read_secret,
    show,
    warn,
)

if TYPE_CHECKING:
    from mgsnode.keystore import KeyFile, KeyInfo, Keystore

Name = Annotated[str, typer.Argument(help="The key's name in the keystore.")]
Network = Annotated[str, typer.Option(help="Write addresses for main, test or dev.")]
Clear = Annotated[bool, typer.Option("--clear", help="Leave the key in the clear (mode 0600).")]
Index = Annotated[int, typer.Option(help="Which account of these words, from 0.", min=0)]
NewPassphraseFd = Annotated[
    int | None, typer.Option(help="Read the new passphrase from this descriptor.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    keys = typer.Typer(
        help="Account keys: new, list, show, import, export, change-password.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    keys.command()(new)
    keys.command("list")(list_)
    keys.command("show")(show_)
    keys.command("import")(import_)
    keys.command()(export)
    keys.command("change-password")(change_password)
    app.add_typer(keys, name="keys")


def new(
    name: Name,
    index: Index = 0,
    network: Network = "test",
    clear: Clear = False,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    json: JsonFlag = False,
) -> None:
    """Make a key from 24 fresh words and show the words once."""
    from mgsnode.hdkeys import default_path, derive_seed, new_words, seed_of_words
    from mgsnode.keystore import KeyFile

    store = _store(keystore)
    words, path = new_words(), default_path(index)
    key = KeyFile(name, "account", derive_seed(seed_of_words(words), path), path)
    store.add(key, _passphrase_to_seal(passphrase_fd, clear=clear))
    if not json:
        warn("Write these words down; whoever has them has the account. They are not kept:")
    show({**_public(store.info(name), network), "words": words}, as_json=json)


def list_(network: Network = "test", keystore: KeystoreDir = None, json: JsonFlag = False) -> None:
    """The keys of the keystore."""
    rows = [_public(info, network) for info in _store(keystore)]
    show({"items": rows}, as_json=json)


def show_(
    name: Name, network: Network = "test", keystore: KeystoreDir = None, json: JsonFlag = False
) -> None:
    """What one key's file says; needs no passphrase."""
    show(_public(_store(keystore).info(name), network), as_json=json)


def import_(
    name: Name,
    words: Annotated[bool, typer.Option("--words", help="From BIP-39 words.")] = False,
    seed: Annotated[bool, typer.Option("--seed", help="From a hex Ed25519 seed.")] = False,
    file: Annotated[Path | None, typer.Option(help="From an exported key file.")] = None,
    secret_fd: Annotated[
        int | None, typer.Option(help="Read words or seed, one line, from this descriptor.")
    ] = None,
    index: Index = 0,
    path: Annotated[str, typer.Option(help="SLIP-0010 path instead of the index.")] = "",
    network: Network = "test",
    clear: Clear = False,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    json: JsonFlag = False,
) -> None:
    """Bring a key in. Words or seed come from the terminal, --secret-fd or standard input."""
    from mgsnode.hdkeys import default_path, derive_seed, seed_of_words
    from mgsnode.keystore import KeyFile, read_key_file, read_key_info

    if sum((words, seed, file is not None)) != 1:
        raise typer.BadParameter("say what to import: --words, --seed or --file")
    store = _store(keystore)
    store.path_of(name)
    if file is not None:
        sealed = read_key_info(file).is_sealed
        passphrase = read_passphrase(passphrase_fd) if sealed else None
        key = read_key_file(file, passphrase)._replace(name=name)
        if not sealed:
            passphrase = _passphrase_to_seal(passphrase_fd, clear=clear)
    else:
        secret = read_secret(secret_fd, "Words" if words else "Seed")
        if words:
            path = path or default_path(index)
            key = KeyFile(name, "account", derive_seed(seed_of_words(secret), path), path)
        else:
            key = KeyFile(name, "account", _seed_of_hex(secret))
        passphrase = _passphrase_to_seal(passphrase_fd, clear=clear)
    store.add(key, passphrase)
    show(_public(store.info(name), network), as_json=json)


def export(
    name: Name,
    seed: Annotated[
        bool, typer.Option("--seed", help="The bare seed in hex instead of the sealed file.")
    ] = False,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    json: JsonFlag = False,
) -> None:
    """Write the key's file, still sealed, to standard output."""
    store = _store(keystore)
    if not seed:
        store.info(name)  # refuses what is damaged or open to others
        print(store.path_of(name).read_text(encoding="utf-8"), end="")
        return
    key = _load(store, name, passphrase_fd)
    if json:
        print_json({"name": name, "seed": key.seed.hex()})
    else:
        print(key.seed.hex())


def change_password(
    name: Name,
    passphrase_fd: PassphraseFd = None,
    new_passphrase_fd: NewPassphraseFd = None,
    keystore: KeystoreDir = None,
    json: JsonFlag = False,
) -> None:
    """Seal the key anew. Both descriptors may be the same: old line, new line."""
    store = _store(keystore)
    old = read_passphrase(passphrase_fd, "Old passphrase") if store.info(name).is_sealed else None
    store.load(name, old)  # a wrong one is said before the new one is asked for
    fresh = new_passphrase(passphrase_fd if new_passphrase_fd is None else new_passphrase_fd)
    if fresh is None:
        raise typer.BadParameter("the new passphrase is empty")
    store.change_passphrase(name, old, fresh)
    show({"name": name, "changed": True}, as_json=json)


def _store(folder: Path | None) -> Keystore:
    from mgsnode.keystore import Keystore, forbid_core_dumps

    forbid_core_dumps()
    return Keystore(keystore_folder(folder))


def _load(store: Keystore, name: str, passphrase_fd: int | None) -> KeyFile:
    passphrase = read_passphrase(passphrase_fd) if store.info(name).is_sealed else None
    return store.load(name, passphrase)


def _passphrase_to_seal(passphrase_fd: int | None, *, clear: bool) -> bytes | None:
    if clear:
        return None
    passphrase = new_passphrase(passphrase_fd)
    if passphrase is None:
        raise typer.BadParameter("give a passphrase (--passphrase-fd N), or say --clear")
    return passphrase


def _seed_of_hex(text: str) -> bytes:
    from mgsnode.base.keys import SEED_BYTES

    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise typer.BadParameter("a seed is 64 hex digits")
    return seed


def _public(info: KeyInfo, network: str) -> dict[str, Any]:
    from mgsnode.base.address import HRP_MAIN, HRP_TEST, address_text
    from mgsnode.base.hashing import address_of

    if network not in ("main", "test", "dev"):
        raise typer.BadParameter("a network is main, test or dev")
    hrp = HRP_MAIN if network == "main" else HRP_TEST
    return {
        "name": info.name,
        "address": address_text(address_of(info.public_key), hrp),
        "public_key": info.public_key.hex(),
        "path": info.path,
        "sealed": info.is_sealed,
    }
