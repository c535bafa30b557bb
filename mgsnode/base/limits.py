"""Every bound on what strangers may send, with its reason.

Relations between limits are asserted where they are defined, at import.
"""

from __future__ import annotations

INT_MAX = 2**63 - 1  # fits every language's signed 64-bit integer
INT_MIN = -(2**63)
CODEC_DEPTH_MAX = 8  # the deepest value of ours, an order line in a transaction, needs 5
CODEC_ITEMS_MAX = 16_384  # elements of one array; the longest is a proposal's transaction list

TX_BYTES_MAX = 131_072  # 256 outputs with full memos need 77 kB, 1,024 order lines 100 kB
TX_SIGNATURES_MAX = 16  # a threshold account's keys, a payer's and a co-signer's
MEMO_BYTES_MAX = 256
OUTPUTS_MAX = 256  # payees of one transfer
ORDER_LINES_MAX = 1_024
NAME_BYTES_MAX = 64
LANE_MAX = 255
TX_LIFETIME_MS_MAX = 24 * 3_600_000  # so that txids need to be remembered for a day at most

BLOCK_BYTES_MAX = 1_500_000  # signed transactions of a block; leaves room in a frame
BLOCK_TXS_MAX = 2_048  # about 0.2 s of execution in plain Python: far below a view timeout
BLOCK_CLOCK_AHEAD_MS_MAX = 2_000  # a proposal may be this far ahead of a replica's clock
BLOCK_CLOCK_BEHIND_MS_MAX = 10_000  # a primary must not stop the ledger's clock
IDLE_BLOCK_MS = 30_000  # an empty block after this much idleness keeps time moving

FRAME_BYTES_MAX = 2 * 1024 * 1024  # a NEW-VIEW of 31 members with W=4 needs 190 kB
MEMPOOL_TXS_MAX = 50_000
MEMPOOL_BYTES_MAX = 64 * 1024 * 1024
MEMPOOL_PARTS_MAX = 4_000_000  # values in their fields, some 30 bytes each; 100 MB in memory
MEMPOOL_SENDER_TXS_MAX = 2_048  # one account's share; a shop's day fits into it
VALIDATORS_MAX = 31  # quadratic votes and Python's speed; see docs

EARLY_HEIGHTS = 8  # messages this far above the last decided height are kept
EARLY_MESSAGES_MAX = 64  # for each sender; the newest win
WINDOW = 1  # heights that may be voted on at once (W); rules hold up to 8
CHECKPOINT_HEIGHTS = 100  # K

assert TX_BYTES_MAX < BLOCK_BYTES_MAX < FRAME_BYTES_MAX * 3 // 4
assert BLOCK_TXS_MAX <= CODEC_ITEMS_MAX
assert MEMPOOL_SENDER_TXS_MAX <= MEMPOOL_TXS_MAX
assert WINDOW <= EARLY_HEIGHTS
