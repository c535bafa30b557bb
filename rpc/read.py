"""Reading blocks and their members from a view, for several methods. Blocking, but short.

It refuses with -32001 what is not there; it knows no JSON.
"""

from __future__ import annotations

from typing import NamedTuple

from mgsnode.base.block import Block, Certificate, Header, Receipt
from mgsnode.base.errors import Corrupt
from mgsnode.base.transaction import Transaction, open_transaction
from mgsnode.base.validators import ValidatorSet
from rpc.errors import not_found
from state import chain
from state.tx.gateways import era_validators
from state.view import View


def header_at(view: View, height: int) -> Header:
    """The header of a decided height, else -32001."""
    header = chain.read_header(view.rows, height) if height <= view.height else None
    if header is None:
        raise not_found("block")
    return header


def block_at(view: View, height: int) -> Block:
    """The block of a decided height, else -32001."""
    block = chain.read_block(view.rows, height) if height <= view.height else None
    if block is None:
        raise not_found("block")
    return block


def members_at(view: View, height: int) -> tuple[int, ValidatorSet]:
    """(era, members) of those who certify `height`: up to the one above the view's."""
    if height == view.height + 1:
        before = view.header
        era = before.era + (before.valset_hash != before.next_valset_hash)
        wanted = before.next_valset_hash
    else:
        header = header_at(view, height)
        era, wanted = header.era, header.valset_hash
    members = era_validators(view.reader, era)
    if members is None or members.hash != wanted:
        raise Corrupt(f"height {height}: the validators of era {era}")
    return era, members


def certificate_at(view: View, height: int) -> tuple[Certificate | None, ValidatorSet]:
    """The certificate of a decided height (None at 0) and who made it, else -32001."""
    _, members = members_at(view, header_at(view, height).height)
    return chain.read_certificate(view.rows, height), members


class Executed(NamedTuple):
    """A block with what became of it. `receipts` of due work stand after the transactions'."""

    block: Block
    receipts: tuple[Receipt, ...]

    def transaction(self, index: int) -> Transaction | None:
        """The transaction at `index`, None for due work."""
        if index >= len(self.block.txs):
            return None
        return open_transaction(self.block.txs[index], self.block.header.genesis_hash)


def executed_at(view: View, height: int) -> Executed:
    """A decided block with its receipts, else -32001."""
    block = block_at(view, height)
    receipts = chain.read_receipts(view.rows, height)
    if receipts is None or len(receipts) < len(block.txs):
        raise Corrupt(f"height {height}: receipts are missing")
    return Executed(block, receipts)
