"""A chain in one file: the genesis, then each height's block and certificate, as they were signed.

Nothing in it is believed: an audit replays it, an import checks and executes each block like one
that came from a peer. It holds no state, no key and nothing of one node, so the archives of two
honest nodes differ in their certificates' signatures only.

The file: a line that names the format, then records, each a length (4 bytes, big-endian) and that
many bytes: the encoded genesis; for each height from 0 the encoded block and the certificate
(empty at height 0).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mgsnode.base.block import open_block, open_certificate
from mgsnode.base.codec import encode
from mgsnode.base.errors import ConfigError, Corrupt, Malformed, MgsError, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.home import Home, load_home_genesis
from state.ledger import Ledger
from state.source import Source

Progress = Callable[[int, int], None]  # (heights done, of)
MAGIC: Final = b"MGS-ARCHIVE/1\n"
_LENGTH_BYTES: Final = 4


def _quiet(_done: int, _of: int) -> None:
    return None


def write_archive(
    out: Path, genesis: Genesis, source: Source, *, progress: Progress = _quiet
) -> int:
    """Write the chain that `source` shows, up to the head it has now; the height of that.

    The file appears whole or not at all; one that is there already is kept. `Corrupt` where the
    source lacks a block.
    """
    if out.exists():
        raise MgsError(f"{out}: exists already")
    head = source.head()
    making = out.with_name(out.name + ".part")
    try:
        with making.open("wb") as file:
            file.write(MAGIC)
            file.write(_record(encode(genesis)))
            for height in range(head + 1):
                block, certificate = source.block(height), source.certificate(height)
                if block is None or (certificate is None and height > 0):
                    raise Corrupt(f"height {height}: the block or its certificate is missing")
                file.write(_record(block) + _record(certificate or b""))
                progress(height, head)
            file.flush()
            os.fsync(file.fileno())
        making.replace(out)
    finally:
        making.unlink(missing_ok=True)
    return head


def _record(raw: bytes) -> bytes:
    return len(raw).to_bytes(_LENGTH_BYTES, "big") + raw


class Archive:
    """An archive to read: a `state.source.Source`. `Corrupt` where the file is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._places = self._index()
        if len(self._places) < 3 or len(self._places) % 2 == 0:
            raise Corrupt(f"{path}: ends before its last certificate")

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def genesis_bytes(self) -> bytes:
        """The encoded genesis."""
        return self._read(0)

    def head(self) -> int:
        """As `Source.head`."""
        return (len(self._places) - 3) // 2

    def block(self, height: int) -> bytes | None:
        """As `Source.block`."""
        return self._read(1 + 2 * height) if 0 <= height <= self.head() else None

    def certificate(self, height: int) -> bytes | None:
        """As `Source.certificate`."""
        return self._read(2 + 2 * height) if 0 < height <= self.head() else None

    def receipts(self, _height: int) -> None:
        """As `Source.receipts`: an archive has none; the replay's are held to the header."""
        return

    def _index(self) -> list[tuple[int, int]]:
        """(place, length) of each record."""
        if self._file.read(len(MAGIC)) != MAGIC:
            raise Corrupt(f"{self._path}: not an archive of a chain (made by: mgsnode export)")
        places: list[tuple[int, int]] = []
        size, at = os.fstat(self._file.fileno()).st_size, len(MAGIC)
        while at < size:
            self._file.seek(at)
            length = int.from_bytes(self._file.read(_LENGTH_BYTES), "big")
            at += _LENGTH_BYTES
            if at + length > size:
                raise Corrupt(f"{self._path}: ends in the middle of a record")
            places.append((at, length))
            at += length
        return places

    def _read(self, number: int) -> bytes:
        place, length = self._places[number]
        self._file.seek(place)
        return self._file.read(length)


def import_archive(home: Path, archive: Archive, *, progress: Progress = _quiet) -> tuple[int, int]:
    """Bring the stopped node at `home` up to an archive's head; (height before, height after).

    Each block is checked and executed like a peer's. `Corrupt` names the first that is wrong; what
    was good before it stays. `ConfigError` for an archive of another chain, `Locked` while a node
    runs on the home.
    """
    genesis = load_home_genesis(home)
    if archive.genesis_bytes() != encode(genesis):
        raise ConfigError("the archive is of another chain than this home")
    ledger = Ledger.open(Home(home).store, genesis)
    try:
        before = ledger.head.header.height
        ours = ledger.stored_block(before)
        if before <= archive.head() and ours is not None and archive.block(before) != ours[1]:
            raise Corrupt(f"height {before}: the archive's block is not the one this home has")
        for height in range(before + 1, archive.head() + 1):
            _apply(ledger, archive, height)
            progress(height, archive.head())
        return before, ledger.head.header.height
    finally:
        ledger.close()


def _apply(ledger: Ledger, archive: Archive, height: int) -> None:
    raw, signed = archive.block(height), archive.certificate(height)
    assert raw is not None and signed is not None, "the index has both"
    try:
        block = open_block(raw)
        txs = [ledger.open_tx(tx) for tx in block.txs]
        ledger.apply_certified(block, txs, open_certificate(signed))
    except Malformed as error:
        raise Corrupt(f"height {height}: {error.why}") from None
    except Rejected as refusal:
        raise Corrupt(f"height {height}: a transaction: {refusal}") from None
