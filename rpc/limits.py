"""Every bound on what a caller of the JSON-RPC may ask for, with its reason.

A node's configuration may change those in `RpcSettings`; the others are part of the code.
"""

from __future__ import annotations

from typing import NamedTuple

DEPTH_MAX = 32  # nesting of a message; the deepest of ours, order lines in a batch, needs 7
INT_DIGITS_MAX = 78  # a longer number is read as "not a number of ours", at no cost
ID_CHARS_MAX = 256  # an id is echoed in the answer, so it must not be a payload
BATCH_ITEMS_MAX = 1_000  # requests of one batch
BATCH_RAW_MAX = 2_048  # transactions of one tx_submit_batch: a block's worth
BODY_BYTES_MAX = 4 * 1024 * 1024  # 2,048 transfers in hex are 1.1 MB, 16 of the largest 4 MB
RESPONSE_BYTES_MAX = 16 * 1024 * 1024  # the fullest block in JSON is below 12 MB
REQUEST_MS_MAX = 60_000  # after this the rest of a batch is refused
WAIT_MS_MAX = 50_000  # the longest a single method waits; below what proxies cut
LIST_LIMIT = 50  # items of a page unless told
LIST_LIMIT_MAX = 500  # a page is read without yielding: about 10 ms
LIST_SCAN_MAX = 500  # entries looked at for a page, whatever was asked for of them
EVENTS_BLOCKS_MAX = 1_000  # blocks looked through for one page of events
SUBSCRIPTIONS_MAX = 16  # of one connection
INFLIGHT_MAX = 32  # requests that one WebSocket connection may have running

HALF_OPEN_S = 9.0  # a request must be complete, and a kept connection busy again, by then
SWEEP_S = 0.5  # how often deadlines are looked at; HALF_OPEN_S + SWEEP_S stays below 10 s
DRAIN_BYTES_PER_S = 100_000  # a reader slower than this is cut
SEND_S = 10.0  # a WebSocket message must be taken by then
PING_S = 20.0  # a WebSocket that answers no ping is gone

assert HALF_OPEN_S + SWEEP_S < 10
assert LIST_LIMIT_MAX <= LIST_SCAN_MAX  # a page of all is as long as its limit
assert WAIT_MS_MAX < REQUEST_MS_MAX


class RpcSettings(NamedTuple):
    """What a node's configuration says about its JSON-RPC door."""

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one
    hosts: tuple[str, ...] = ()  # names besides loopback that a Host header may carry
    cors_origins: tuple[str, ...] = ()  # origins of web pages that may call
    connections_max: int = 1_024
    connections_per_ip_max: int = 256
    items_per_s: int = 20_000  # of one IP; a submitted transaction is one item
    items_burst: int = 40_000
