"""What one far end may cost us: bounds on time, memory and rate, each with its reason.

Relations between them are asserted here. Times are seconds of the event loop's clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from mgsnode.base.limits import FRAME_BYTES_MAX

CONTROL_BYTES_MAX = 512  # the longest, a hello with a 64-byte name, needs 150
HANDSHAKE_BYTES_MAX = 16 * 1024  # a TLS 1.3 handshake with our certificates needs 1.5 kB
BARREN_BYTES_MAX = 2 * FRAME_BYTES_MAX  # received without completing a frame: one frame + TLS
WRITE_BATCH_BYTES = 64 * 1024  # joined into one TLS write; larger gains nothing
WRITE_AHEAD_BYTES = 256 * 1024  # handed to the socket; beyond it a late vote can still overtake
RECORD_BYTES = 16 * 1024  # a TLS record's plaintext: the grain in which budgets are looked at


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket's size: so much a second, and `burst_s` seconds of it at once."""

    messages_per_s: int
    bytes_per_s: int
    burst_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Bound:
    """The most one queue holds."""

    messages: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of the peer layer. Tests shrink them; a node takes them as they are."""

    handshake_s: float = 10.0  # from accept or dial to hello (case: stalls at each byte)
    tick_s: float = 1.0  # keepalive's grain
    ping_ticks: int = 2  # idle peers hear from us this often
    silent_ticks: int = 8  # nothing heard: gone. Counted in ticks, so our own pause harms nobody
    frame_ticks: int = 30  # a 2 MiB frame over 1 Mbit/s needs 17 s; slower is a dribble
    stall_ticks: int = 30  # takes nothing of what we send for so long: gone

    dial_first_s: float = 0.1  # backoff doubles from here
    dial_max_s: float = 1.0  # nobody answered: a SYN a second is cheap, and it may be back
    refused_max_s: float = 5.0  # somebody answered and refused: it will take a person
    yield_s: float = 0.2  # the higher name lets the lower dial first, so that both rarely do
    lived_s: float = 5.0  # a connection that lasted this long resets the backoff
    humble_s: float = 5.0  # we claim less than we are for so long, then ask anew

    pending_max: int = 128  # connections that have not said hello, over all addresses
    pending_per_address: int = 64  # 31 nodes behind one address may all start at once
    attempts_per_s: float = 32.0  # handshakes from one address; each costs us 1 ms
    attempts_burst: float = 64.0
    addresses_max: int = 4_096  # remembered for bans; the oldest is forgotten

    ban_first_s: float = 1.0  # doubles with each offence
    ban_max_s: float = 60.0  # a member that was merely buggy is back within a minute
    forgive_s: float = 600.0  # so long without offence, and the count starts again

    # A peer's waiting frames, by channel and over all: 31 peers cost 500 MB at the very worst.
    queue_consensus: Bound = Bound(4_096, 8 * 1024 * 1024)  # two NEW-VIEWs and all votes
    queue_sync: Bound = Bound(512, 8 * 1024 * 1024)  # four full blocks
    queue_tx: Bound = Bound(1_024, 4 * 1024 * 1024)  # some seconds of gossip at full load
    queue_all: Bound = Bound(4_608, 16 * 1024 * 1024)

    # What a peer may send us: several times what an honest one needs at full load.
    rate_control: Rate = Rate(50, 25_000)
    rate_consensus: Rate = Rate(4_000, 8 * 1024 * 1024)
    rate_sync: Rate = Rate(2_000, 32 * 1024 * 1024)
    rate_tx: Rate = Rate(2_000, 8 * 1024 * 1024)

    def __post_init__(self) -> None:
        assert self.ping_ticks * 2 < self.silent_ticks
        assert self.pending_per_address <= self.pending_max
        for bound in (self.queue_consensus, self.queue_sync, self.queue_tx):
            assert bound.bytes >= 2 * FRAME_BYTES_MAX  # the largest frame always fits
            assert bound.bytes <= self.queue_all.bytes
        for rate in (self.rate_consensus, self.rate_sync, self.rate_tx):
            assert rate.bytes_per_s * rate.burst_s >= FRAME_BYTES_MAX


assert CONTROL_BYTES_MAX < RECORD_BYTES < FRAME_BYTES_MAX
