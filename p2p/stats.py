"""What can be seen of a peer from outside, at one moment."""

from __future__ import annotations

from typing import NamedTuple

from p2p.dial import Link
from p2p.frames import CHANNELS
from p2p.hello import Role


class PeerStats(NamedTuple):
    """One known peer. Counts are of the present connection where there is one, else 0."""

    name: str
    role: Role
    connected: bool
    dialled: bool  # by us
    address: str  # IP of the present connection, else ""
    connected_s: float
    rtt_ms: float | None  # of the last ping answered
    frames_in: int
    bytes_in: int
    frames_out: int
    bytes_out: int
    waiting_messages: int
    waiting_bytes: int
    dropped: dict[str, int]  # frames given up for want of room, by channel
    throttled: int  # times it was not read from for its pace
    connects: int  # since start
    offences: int  # since start
    banned_s: float  # left


def stats_of(link: Link, *, now: float, ban_s: float) -> PeerStats:
    """The figures of `link`."""
    connection = link.open_connection()
    if connection is None:
        return PeerStats(
            name=link.info.name,
            role=link.info.role,
            connected=False,
            dialled=False,
            address="",
            connected_s=0.0,
            rtt_ms=None,
            frames_in=0,
            bytes_in=0,
            frames_out=0,
            bytes_out=0,
            waiting_messages=0,
            waiting_bytes=0,
            dropped={},
            throttled=0,
            connects=link.connects,
            offences=link.offences,
            banned_s=ban_s,
        )
    queue = connection.queue
    return PeerStats(
        name=link.info.name,
        role=connection.role or link.info.role,
        connected=True,
        dialled=connection.dialled is not None,
        address=connection.address,
        connected_s=now - connection.opened_s,
        rtt_ms=None if connection.rtt_s is None else connection.rtt_s * 1_000,
        frames_in=connection.frames_in,
        bytes_in=connection.bytes_in,
        frames_out=connection.frames_out,
        bytes_out=connection.bytes_out,
        waiting_messages=queue.messages,
        waiting_bytes=queue.bytes,
        dropped={channel.name.lower(): queue.dropped[channel] for channel in CHANNELS},
        throttled=connection.throttled,
        connects=link.connects,
        offences=link.offences,
        banned_s=ban_s,
    )
