"""One connection: TLS, hello, frames both ways. It judges form and pace; its owner judges whom.

Everything runs in the event loop's callbacks, in the order of the bytes; there is no task for
each connection. Frames to send wait in a `SendQueue` until the owner calls `flush` (once for all
that was said in one turn of the loop), so a batch of votes is one TLS record. What comes in is
charged to a `Budget`, and a connection in debt is not read from.

What always holds:
1. No frame is decoded before the far end's certificate was matched with a known one; no frame
   is delivered before its hello was accepted.
2. After `end` nothing is delivered any more, and `owner.on_closed` is called exactly once.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from mgsnode.base.errors import Malformed
from p2p.budget import Budget
from p2p.frames import (
    CHANNELS,
    MEMBER_CHANNELS,
    OBSERVER_CHANNELS,
    Channel,
    FrameDecoder,
    encode_frame,
)
from p2p.hello import (
    MEMBER,
    Beat,
    Bye,
    Hello,
    Role,
    Word,
    encode_beat,
    encode_bye,
    encode_hello,
    open_control,
)
from p2p.limits import (
    BARREN_BYTES_MAX,
    HANDSHAKE_BYTES_MAX,
    WRITE_AHEAD_BYTES,
    WRITE_BATCH_BYTES,
)
from p2p.owner import Fault, Owner, PeerInfo, Stage
from p2p.queues import SendQueue
from p2p.tls import TlsPipe

_LINGER_S = 1.0  # for a goodbye to leave


class Connection(asyncio.Protocol):
    """See the module's law."""

    def __init__(
        self, owner: Owner, context: ssl.SSLContext, *, number: int, dialled: PeerInfo | None
    ) -> None:
        """`number` is the owner's name for it; `dialled` whom we called, None if they called."""
        self.number = number
        self.dialled = dialled
        self.info: PeerInfo | None = None
        self.hello: Hello | None = None
        self.stage = Stage.SHAKING
        self.role: Role | None = None  # the lesser of what they are and what they claim
        self.claimed: str = ""  # what we told them that we are
        self.address = ""
        self.opened_s = 0.0
        self.why: Bye | None = None  # the goodbye, ours or theirs
        self.fault: Fault | None = None  # their offence, if it ended for one
        self.failure: BaseException | None = None  # ours: it must not pass unseen
        self.rtt_s: float | None = None
        self.frames_in = self.bytes_in = self.frames_out = self.bytes_out = 0
        self.throttled = 0  # times it was not read from for its pace
        self.queue = SendQueue(owner.limits)
        self.settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._owner = owner
        self._tls = TlsPipe(context, server_side=dialled is None)
        self._decoder = FrameDecoder(MEMBER_CHANNELS)
        self._budget = Budget(owner.limits, owner.now())
        self._transport: asyncio.Transport | None = None
        self._barren = 0  # bytes since the last complete frame
        self._delivering = False
        self._paused = False  # reading, for its pace
        self._can_write = True
        self._rest = memoryview(b"")  # of the batch that is being written
        self._silent = self._idle = self._stalled = self._unfinished = 0  # ticks
        self._deadline = asyncio.get_running_loop().call_later(
            owner.limits.handshake_s, self._on_deadline
        )

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES)
        peername = transport.get_extra_info("peername")
        self.address = str(peername[0]) if peername else ""
        if self.ended:
            self._transport.abort()
        elif self.dialled is not None:
            self._shake()

    def data_received(self, data: bytes) -> None:
        """Ciphertext. An exception of the owner's goes through to `connection_lost`."""
        if self.ended:
            return
        self._silent = 0
        self._barren += len(data)
        self.bytes_in += len(data)
        self._tls.receive(data)
        if self.stage is Stage.SHAKING:
            self._shake()
        if self._tls.ready and not self._paused:
            self._read_records()

    def pause_writing(self) -> None:
        """The socket has enough to send."""
        self._can_write = False

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._can_write = True
        self._stalled = 0
        self._owner.want_flush(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone. An error while delivering is ours, whatever its type."""
        if exc is not None and (self._delivering or not isinstance(exc, OSError)):
            self.failure = exc
        self._finish()

    # What the owner calls.

    @property
    def ended(self) -> bool:
        """Nothing more is delivered or sent."""
        return self.stage is Stage.ENDED

    def send(self, channel: int, frame: bytes) -> bool:
        """Queue an encoded frame; False if it is not open or something had to go for it."""
        if self.stage is not Stage.OPEN:
            return False
        if channel == Channel.CONSENSUS and not self.role == self.claimed == MEMBER:
            return False
        self._owner.want_flush(self)
        return self.queue.put(channel, frame)

    def flush(self) -> None:
        """Give the socket what waits, as far as it takes it."""
        if self._transport is None or self.stage in (Stage.SHAKING, Stage.ENDED):
            return
        while self._can_write and (self._rest or self._take_batch()):
            piece, self._rest = self._rest[:WRITE_BATCH_BYTES], self._rest[WRITE_BATCH_BYTES:]
            try:
                self._tls.write(piece)
            except ssl.SSLError as broken:
                self._on_broken(broken)
                return
            self.bytes_out += len(piece)
            self._idle = 0
            self._transport.write(self._tls.outgoing())

    def read_on(self) -> None:
        """Take up reading after a pause."""
        if self._paused and not self.ended and self._transport is not None:
            self._paused = False
            self._read_records()
            if not self._paused and not self.ended:
                self._transport.resume_reading()

    def tick(self) -> None:
        """One beat of the keepalive: ping if idle, end what is silent, stalled or dribbling."""
        limits = self._owner.limits
        if self.stage is not Stage.OPEN:
            return
        self._idle += 1
        self._silent += not self._paused
        self._stalled = 0 if self._can_write else self._stalled + 1
        self._unfinished = self._unfinished + 1 if self._decoder.held else 0
        if self._silent >= limits.silent_ticks or self._stalled >= limits.stall_ticks:
            self.end(Bye.SILENT)
        elif self._unfinished >= limits.frame_ticks:
            self._refuse(Fault("frame never completed"))
        elif self._idle >= limits.ping_ticks:
            self._say(encode_beat(Word.PING, int(self._owner.now() * 1e6)))

    def end(self, why: Bye | None) -> None:
        """Say `why`, send what waits as far as the socket takes it, and close."""
        if self.ended:
            return
        if self.why is None:
            self.why = why
        if self._transport is None or not self._can_write:
            self.drop()
            return
        if self.stage is not Stage.SHAKING:
            if why is not None:
                self._say(encode_bye(why))
                self.flush()
            self._tls.close()
        self.stage = Stage.ENDED
        self._deadline.cancel()
        self._transport.write(self._tls.outgoing())
        self._transport.close()
        if self._transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(_LINGER_S, self._transport.abort)

    def drop(self) -> None:
        """Close at once."""
        self.stage = Stage.ENDED
        self._deadline.cancel()
        if self._transport is not None:  # else `connection_made` closes it, should it come
            self._transport.abort()

    # Inside.

    def _take_batch(self) -> bool:
        """Whether something waited that is now in `_rest`."""
        frames = self.queue.take(WRITE_BATCH_BYTES)
        self.frames_out += len(frames)
        self._rest = memoryview(frames[0] if len(frames) == 1 else b"".join(frames))
        return bool(frames)

    def _shake(self) -> None:
        try:
            done = self._tls.shake()
        except ssl.SSLError as broken:
            self._on_broken(broken)
            return
        assert self._transport is not None
        if flight := self._tls.outgoing():
            self._transport.write(flight)
        if not done:
            if self._barren > HANDSHAKE_BYTES_MAX:
                self._refuse(Fault("handshake", "too long"))
            return
        info = self._owner.identify(self, self._tls.peer_certificate)
        if info is None:
            self._refuse(Fault("stranger"))
            return
        self.info = info
        self.stage = Stage.KNOWN
        self._barren = 0
        if info.role != MEMBER:
            self._decoder = FrameDecoder(OBSERVER_CHANNELS)
        own = self._owner.hello_for(info.name)
        self.claimed = own.role
        self._say(encode_hello(own))
        self.flush()

    def _read_records(self) -> None:
        while not self.ended:
            try:
                data = self._tls.read()
            except ssl.SSLZeroReturnError:
                self.end(None)
                return
            except ssl.SSLError as broken:
                self._on_broken(broken)
                return
            if not data:
                if self._barren > BARREN_BYTES_MAX:
                    self._refuse(Fault("frame never completed"))
                return
            self._take(data)
            if wait_s := self._budget.debt_s(self._owner.now()):
                self._pause(wait_s)
                return

    def _take(self, data: bytes) -> None:
        """Deliver the frames that `data` completes, in order, then see to a fault."""
        frames = self._decoder.feed(data)
        if frames:
            self._barren = self._unfinished = 0
        for channel, payload in frames:
            self._budget.charge(channel, len(payload))
            self.frames_in += 1
            if channel == Channel.CONTROL:
                self._on_control(payload)
            elif self.stage is Stage.OPEN and self.info is not None:
                self._delivering = True  # stays set if it raises: see `connection_lost`
                self._owner.deliver(self.info.name, CHANNELS[channel], payload)
                self._delivering = False
            else:
                self._refuse(Fault("no hello"))
            if self.ended:
                return
        if self._decoder.fault is not None:
            self._refuse(Fault(self._decoder.fault))

    def _on_control(self, payload: bytes) -> None:
        try:
            word = open_control(payload)
        except Malformed as bad:
            self._refuse(Fault("control", bad.why))
            return
        if isinstance(word, Hello):
            self._on_hello(word)
        elif isinstance(word, Beat):
            if word.word is Word.PING:
                self._say(encode_beat(Word.PONG, word.token))
            else:
                self.rtt_s = max(0.0, self._owner.now() - word.token / 1e6)
        else:
            self.why = word.why
            self.end(None)

    def _on_hello(self, hello: Hello) -> None:
        if self.stage is not Stage.KNOWN:
            self._refuse(Fault("second hello"))
            return
        assert self.info is not None
        self.hello = hello
        self.role = MEMBER if self.info.role == hello.role == MEMBER else "observer"
        self._deadline.cancel()
        self.opened_s = self._owner.now()
        self.stage = Stage.OPEN
        self._delivering = True  # the owner tells the node
        refusal = self._owner.on_hello(self, hello)
        self._delivering = False
        if refusal is not None:
            self.end(refusal)
        elif not self.settled.done():
            self.settled.set_result(True)

    def _say(self, payload: bytes) -> None:
        self.queue.put(Channel.CONTROL, encode_frame(Channel.CONTROL, payload))
        self._owner.want_flush(self)

    def _pause(self, wait_s: float) -> None:
        assert self._transport is not None
        self._paused = True
        self.throttled += 1
        self._transport.pause_reading()
        self._owner.want_read(self, wait_s)

    def _on_broken(self, broken: ssl.SSLError) -> None:
        """TLS failed. An alert says that they refuse us, which is no offence of theirs."""
        reason = broken.reason or "tls"
        if "ALERT" in reason and (self.dialled is not None or self.stage is not Stage.SHAKING):
            self.why = Bye.OTHER
            self.end(None)
        else:
            self._refuse(Fault("handshake" if self.stage is Stage.SHAKING else "tls", reason))

    def _refuse(self, fault: Fault) -> None:
        """End it for an offence of the far end's."""
        if self.ended:
            return
        self.fault = fault
        self.queue.clear()
        self.end(Bye.MISBEHAVED)

    def _on_deadline(self) -> None:
        """The handshake took too long. Our own dial's silence is nobody's offence."""
        self.fault = None if self.dialled is not None else Fault("handshake", "deadline")
        self.drop()

    def _finish(self) -> None:
        self.stage = Stage.ENDED
        self._deadline.cancel()
        self.queue.clear()
        if not self.settled.done():
            self.settled.set_result(False)
        self._owner.on_closed(self)
