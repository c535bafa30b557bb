"""Private keys at rest: one JSON file for each, mode 0600, sealed or plainly in the clear.

A sealed key costs Argon2id (RFC 9106) for each guess of its passphrase and is bound by
ChaCha20-Poly1305 (RFC 8439) to what the file says about it: name, use, public key, path and
the cost itself. A looser mode is refused rather than mended. A secret comes from a file
descriptor or a terminal; never from arguments or the environment.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mgsnode.base.errors import ConfigError, Locked
from mgsnode.base.keys import SEED_BYTES, SigningKey

Use: TypeAlias = Literal["account", "transport", "vote"]
KEY_FILE_MODE = 0o600
FOLDER_MODE = 0o700
FILE_VERSION = 1
PASSPHRASE_BYTES_MAX = 1_024
NAME_CHARS_MAX = 64
_FILE_BYTES_MAX = 16_384
_SALT_BYTES = 16
_NONCE_BYTES = 12
# RFC 9106 §4, second recommended choice: 3 passes over 64 MiB (about 0.1 s here).
_PASSES, _MEMORY_KIB, _LANES = 3, 64 * 1024, 4
_MEMORY_KIB_MAX = 1024 * 1024  # a file may not make us allocate more than 1 GiB
_PASSES_MAX, _LANES_MAX = 64, 64
_USES = ("account", "transport", "vote")


class KeyFile(NamedTuple):
    """A private key with what its file says about it."""

    name: str
    use: Use
    seed: bytes  # 32
    path: str = ""  # SLIP-0010 path below its words; "" for a key made alone
    certificate: bytes = b""  # DER, for a transport key

    @property
    def key(self) -> SigningKey:
        """The signing key."""
        return SigningKey(self.seed)

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        return self.key.public_key

    def __repr__(self) -> str:
        return f"KeyFile(name={self.name!r}, use={self.use!r})"


class KeyInfo(NamedTuple):
    """What a key file says without its passphrase."""

    name: str
    use: Use
    public_key: bytes
    path: str
    certificate: bytes
    is_sealed: bool


def write_key_file(
    path: Path, key: KeyFile, passphrase: bytes | None, *, replace: bool = False
) -> None:
    """Write `key` to `path` with mode 0600; None leaves it in the clear.

    An existing file is refused unless `replace`, which swaps it whole.
    """
    if not replace and path.exists():
        raise ConfigError(f"{path} exists already; a key is never overwritten")
    document = _public_part(key)
    if passphrase is None:
        document["secret"] = {"seed": key.seed.hex()}
    else:
        document["secret"] = _seal(document, key.seed, passphrase)
    text = json.dumps(document, indent=2) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_FILE_MODE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # a key that was announced must not vanish with the power
    finally:
        os.close(folder)


def read_key_info(path: Path) -> KeyInfo:
    """What the key file says about itself, else `ConfigError`. Needs no passphrase."""
    document = _read_document(path)
    try:
        info = KeyInfo(
            name=_text(document, "name"),
            use=document["use"],
            public_key=bytes.fromhex(_text(document, "public_key")),
            path=_text(document, "path"),
            certificate=bytes.fromhex(_text(document, "certificate")),
            is_sealed="seed" not in document["secret"],
        )
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{path}: not a key file") from None
    if info.use not in _USES:
        raise ConfigError(f"{path}: not a key file")
    return info


def read_key_file(path: Path, passphrase: bytes | None) -> KeyFile:
    """The key at `path`.

    `ConfigError`: missing, loose mode, damaged. `Locked`: sealed and the passphrase is
    missing or wrong.
    """
    info = read_key_info(path)
    document = _read_document(path)
    secret = document.pop("secret")
    try:
        if not info.is_sealed:
            seed = bytes.fromhex(_text(secret, "seed"))
        elif passphrase is None:
            raise Locked(f"{path} is sealed: give its passphrase with --passphrase-fd")
        else:
            seed = _unseal(document, secret, passphrase, path)
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{path}: its secret part is damaged") from None
    if len(seed) != SEED_BYTES or SigningKey(seed).public_key != info.public_key:
        raise ConfigError(f"{path}: its secret does not fit its public key")
    return KeyFile(info.name, info.use, seed, info.path, info.certificate)


def _public_part(key: KeyFile) -> dict[str, Any]:
    return {
        "version": FILE_VERSION,
        "use": key.use,
        "name": key.name,
        "public_key": key.public_key.hex(),
        "path": key.path,
        "certificate": key.certificate.hex(),
    }


def _seal(public: Mapping[str, Any], seed: bytes, passphrase: bytes) -> dict[str, Any]:
    secret: dict[str, Any] = {
        "kdf": "argon2id",
        "passes": _PASSES,
        "memory_kib": _MEMORY_KIB,
        "lanes": _LANES,
        "salt": secrets.token_hex(_SALT_BYTES),
        "cipher": "chacha20-poly1305",
        "nonce": secrets.token_hex(_NONCE_BYTES),
    }
    key = _stretch(secret, passphrase)
    sealed = ChaCha20Poly1305(key).encrypt(
        bytes.fromhex(secret["nonce"]), seed, _bound(public, secret)
    )
    return {**secret, "ciphertext": sealed.hex()}


def _unseal(
    public: Mapping[str, Any], secret: Mapping[str, Any], passphrase: bytes, path: Path
) -> bytes:
    if (secret["kdf"], secret["cipher"]) != ("argon2id", "chacha20-poly1305"):
        raise ConfigError(f"{path}: sealed in a way that this version does not know")
    unsealed = {name: value for name, value in secret.items() if name != "ciphertext"}
    key = _stretch(secret, passphrase)
    try:
        return ChaCha20Poly1305(key).decrypt(
            bytes.fromhex(secret["nonce"]),
            bytes.fromhex(secret["ciphertext"]),
            _bound(public, unsealed),
        )
    except InvalidTag:
        raise Locked(f"{path}: wrong passphrase, or the file was changed") from None


def _stretch(secret: Mapping[str, Any], passphrase: bytes) -> bytes:
    passes, memory, lanes = secret["passes"], secret["memory_kib"], secret["lanes"]
    if (
        not 1 <= passes <= _PASSES_MAX
        or not 1 <= lanes <= _LANES_MAX
        or not 8 * lanes <= memory <= _MEMORY_KIB_MAX
    ):
        raise ValueError("cost out of bounds")
    return hash_secret_raw(
        secret=passphrase,
        salt=bytes.fromhex(secret["salt"]),
        time_cost=passes,
        memory_cost=memory,
        parallelism=lanes,
        hash_len=32,
        type=Type.ID,
    )


def _bound(public: Mapping[str, Any], secret: Mapping[str, Any]) -> bytes:
    return json.dumps([public, secret], sort_keys=True, separators=(",", ":")).encode()


def _read_document(path: Path) -> dict[str, Any]:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & ~KEY_FILE_MODE:
            raise ConfigError(
                f"{path} has mode {mode:04o}: others may read a private key; "
                f"make it 0600 (chmod 600) and ask who has seen it"
            )
        try:
            raw = file.read(_FILE_BYTES_MAX + 1)
            document = json.loads(raw)
        except (ValueError, RecursionError):
            raise ConfigError(f"{path}: not a key file (damaged or cut short)") from None
    if (
        len(raw) > _FILE_BYTES_MAX
        or not isinstance(document, dict)
        or not isinstance(document.get("secret"), dict)
    ):
        raise ConfigError(f"{path}: not a key file")
    if document.get("version") != FILE_VERSION:
        raise ConfigError(f"{path}: key file version {document.get('version')!r} is not known")
    return document


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


class Keystore:
    """A folder of account keys, one sealed file for each name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, name: str) -> Path:
        """Where the key of this name stands; `ConfigError` for a name that is no file name."""
        plain = name.replace("-", "").replace("_", "").replace(".", "")
        if not plain.isalnum() or not plain.isascii() or len(name) > NAME_CHARS_MAX:
            raise ConfigError("a key's name has letters, digits, '-', '_' and '.' only")
        if name.startswith("."):
            raise ConfigError("a key's name does not begin with '.'")
        return self.folder / f"{name}.json"

    def add(self, key: KeyFile, passphrase: bytes | None) -> Path:
        """Write a new key and return its path."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        path = self.path_of(key.name)
        write_key_file(path, key, passphrase)
        return path

    def info(self, name: str) -> KeyInfo:
        """What the file of this name says without its passphrase."""
        return read_key_info(self.path_of(name))

    def load(self, name: str, passphrase: bytes | None) -> KeyFile:
        """The key of this name."""
        return read_key_file(self.path_of(name), passphrase)

    def change_passphrase(self, name: str, old: bytes | None, new: bytes | None) -> None:
        """Seal the key of this name anew."""
        key = self.load(name, old)
        write_key_file(self.path_of(name), key, new, replace=True)

    def __iter__(self) -> Iterator[KeyInfo]:
        for path in sorted(self.folder.glob("*.json")):
            yield read_key_info(path)


def new_seed() -> bytes:
    """A fresh 32-byte seed from the system's randomness."""
    return secrets.token_bytes(SEED_BYTES)


def forbid_core_dumps() -> None:
    """Keep this process's memory, keys included, out of core files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
