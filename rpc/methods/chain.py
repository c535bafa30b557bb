"""For auditors and light clients: blocks, their certificates, and who certifies."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from mgsnode.base.block import Block, hash_header
from mgsnode.base.codec import encode
from mgsnode.base.transaction import Transaction
from rpc.dispatch import Context, Method
from rpc.errors import invalid_params, not_found
from rpc.present import certificate_json, header_json, members_json, receipt_json, tx_json
from rpc.read import Executed, block_at, certificate_at, executed_at, header_at, members_at
from rpc.results import (
    CERTIFICATE,
    HASH,
    HEADER,
    HEIGHT,
    HEX,
    INT,
    RECEIPT,
    TEXT,
    TX,
    array,
    nullable,
    obj,
)
from rpc.schema import Count, Hash32, NoParams, Params
from state import chain
from state.view import View


class _BlockParams(Params):
    height: Count | None = None
    full: bool = False
    hash: Hash32 | None = None
    positions: ClassVar[tuple[str, ...]] = ("height", "full")


class _HeightParams(Params):
    height: Count


def _height_of(view: View, params: _BlockParams) -> int:
    if (params.height is None) == (params.hash is None):
        raise invalid_params("one of height and hash")
    if params.height is not None:
        return params.height
    assert params.hash is not None
    height = chain.read_height_of(view.rows, params.hash)
    if height is None:
        raise not_found("block")
    return height


async def _block(ctx: Context, params: _BlockParams) -> object:
    if params.full:  # a full block is megabytes of JSON
        return await asyncio.to_thread(_read_block, ctx, params)
    return _read_block(ctx, params)


def _read_block(ctx: Context, params: _BlockParams) -> object:
    with ctx.api.view() as view:
        height = _height_of(view, params)
        certificate, members = certificate_at(view, height)
        if params.full:
            executed = executed_at(view, height)
            block, txs = executed.block, _full_txs(ctx, executed)
        else:
            block = block_at(view, height)
            txs = list(_txids(block, view))
        return {
            "height": height,
            "head": view.height,
            "header": header_json(block.header),
            "hash": hash_header(block.header).hex(),
            "certificate": certificate_json(certificate, members),
            "txs": txs,
        }


def _txids(block: Block, view: View) -> list[object]:
    receipts = chain.read_receipts(view.rows, block.header.height) or ()
    return [receipt.txid.hex() for receipt in receipts[: len(block.txs)]]


def _full_txs(ctx: Context, executed: Executed) -> list[object]:
    registry, hrp = ctx.api.registry, ctx.api.hrp
    found: list[object] = []
    for index, raw in enumerate(executed.block.txs):
        tx = executed.transaction(index)
        assert isinstance(tx, Transaction)
        found.append(
            {
                "txid": tx.txid.hex(),
                "tx": tx_json(tx, registry, hrp),
                "raw": raw.hex(),
                "receipt": receipt_json(executed.receipts[index], registry, hrp),
            }
        )
    return found


async def _genesis(ctx: Context, _params: NoParams) -> object:
    with ctx.api.view() as view:
        genesis = view.genesis
        return {
            "height": view.height,
            "hash": genesis.hash.hex(),
            "encoded": encode(genesis).hex(),
        }


async def _head(ctx: Context, _params: NoParams) -> object:
    with ctx.api.view() as view:
        return {**header_json(view.header), "hash": view.hash.hex()}


async def _certificate(ctx: Context, params: _HeightParams) -> object:
    with ctx.api.view() as view:
        certificate, members = certificate_at(view, params.height)
        if certificate is None:
            raise not_found("certificate")
        return certificate_json(certificate, members)


async def _validators(ctx: Context, params: _HeightParams) -> object:
    with ctx.api.view() as view:
        if params.height != view.height + 1:
            header_at(view, params.height)
        era, members = members_at(view, params.height)
        return {
            "height": params.height,
            "head": view.height,
            "era": era,
            "quorum": members.quorum,
            "items": members_json(members),
        }


_FULL_TX: Final = obj(txid=HASH, tx=TX, raw=HEX, receipt=RECEIPT)

METHODS: Final = (
    Method(
        name="chain_block",
        summary="A block by height or hash, with its certificate; `full` adds its transactions.",
        params=_BlockParams,
        result=obj(
            height=INT, head=HEIGHT, header=HEADER, hash=HASH, certificate=nullable(CERTIFICATE),
            txs={"anyOf": [array(HASH), array(_FULL_TX)]},
        ),
        run=_block,
        cost=lambda params: 50 if params.full else 2,
    ),
    Method(
        name="chain_genesis",
        summary="The genesis in its canonical bytes, whose hash names the chain.",
        params=NoParams,
        result=obj(height=HEIGHT, hash=HASH, encoded=HEX),
        run=_genesis,
        cost=20,
    ),
    Method(
        name="chain_head",
        summary="The header of the last final block, and its hash.",
        params=NoParams,
        result={**HEADER, "properties": {**HEADER["properties"], "hash": HASH}},
        run=_head,
    ),
    Method(
        name="chain_certificate",
        summary="The certificate of a final block; the genesis block has none.",
        params=_HeightParams,
        result=CERTIFICATE,
        run=_certificate,
    ),
    Method(
        name="chain_validators",
        summary="Who certifies a height, up to the one above the head.",
        params=_HeightParams,
        result=obj(
            height=INT, head=HEIGHT, era=INT, quorum=INT,
            items=array(obj(gateway=TEXT, index=INT, public_key=HASH)),
        ),
        run=_validators,
    ),
)  # fmt: skip
