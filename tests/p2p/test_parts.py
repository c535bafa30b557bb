"""The parts without IO: queue, budget, gate, bans, control words, the dialler's rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsnode.base.codec import encode
from mgsnode.base.errors import Malformed
from p2p.budget import Budget
from p2p.dial import Outcome, backoff_s, prefers
from p2p.frames import CHANNELS, Channel
from p2p.gate import Bans, Gate, address_key
from p2p.hello import (
    MEMBER,
    Beat,
    Bye,
    Goodbye,
    Hello,
    Word,
    encode_beat,
    encode_bye,
    encode_hello,
    open_control,
)
from p2p.limits import Bound, Limits
from p2p.queues import SendQueue

LIMITS = Limits()
HELLO = Hello(1, b"g" * 32, "ada", MEMBER, 7, False)


# Queue.


def small_queue(**bounds: Bound) -> SendQueue:
    limits = Limits()
    for name, bound in bounds.items():
        object.__setattr__(limits, f"queue_{name}", bound)
    return SendQueue(limits)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(CHANNELS[1:]), st.integers(1, 40)),
            st.tuples(st.none(), st.integers(1, 100)),
        ),
        max_size=80,
    )
)
def test_a_queue_keeps_its_bounds_and_each_channel_its_order(steps: list[Any]) -> None:
    small = Bound(6, 120)
    queue = small_queue(consensus=small, sync=small, tx=small, all=Bound(10, 200))
    serial = 0
    last: dict[int, int] = {}
    for channel, size in steps:
        if channel is None:
            frames = queue.take(size)
            ranks = [frame[0] for frame in frames]
            assert ranks == sorted(ranks), "consensus first"
            for frame in frames:
                number = int.from_bytes(frame[1:5], "big")
                assert number > last.get(frame[0], -1)
                last[frame[0]] = number
        else:
            queue.put(channel, bytes([channel]) + serial.to_bytes(4, "big") + bytes(size))
            serial += 1
        assert queue.messages <= 10
        assert queue.bytes <= 200
        assert all(queue.waiting(c) <= 6 for c in CHANNELS[1:])
        assert queue.messages == sum(queue.waiting(c) for c in CHANNELS)


def test_case_57_a_full_queue_gives_up_the_oldest_transactions_before_any_vote() -> None:
    queue = small_queue(all=Bound(4, 10_000))
    for number in range(3):
        assert queue.put(Channel.TX, b"tx%d" % number)
    assert queue.put(Channel.CONSENSUS, b"vote0")
    assert queue.put(Channel.CONSENSUS, b"vote1"), "the vote itself was kept"
    assert queue.dropped == [0, 0, 0, 1]
    assert not queue.put(Channel.TX, b"tx3"), "transactions give way to transactions"
    assert queue.take(10_000) == [b"vote0", b"vote1", b"tx2", b"tx3"]


# Budget.


def test_case_57_a_budget_lets_a_burst_pass_and_then_only_the_rate() -> None:
    budget = Budget(LIMITS, 0.0)
    rate = LIMITS.rate_tx
    for _ in range(int(rate.messages_per_s * rate.burst_s)):
        budget.charge(Channel.TX, 100)
    assert budget.debt_s(0.0) == 0.0
    for _ in range(rate.messages_per_s):
        budget.charge(Channel.TX, 100)
    assert budget.debt_s(0.0) == pytest.approx(1.0)
    assert budget.debt_s(0.6) == pytest.approx(0.4)
    assert budget.debt_s(1.01) == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 0.2), st.integers(1, 2_000_000)), max_size=200))
def test_no_pattern_gets_more_than_burst_and_rate(sends: list[tuple[float, int]]) -> None:
    budget = Budget(LIMITS, 0.0)
    rate = LIMITS.rate_tx
    now = passed = 0.0
    for gap, size in sends:
        now += gap
        now += budget.debt_s(now)  # a connection in debt is not read from
        budget.charge(Channel.TX, size)
        passed += size
        assert passed <= rate.bytes_per_s * (rate.burst_s + now) + 2_000_000 + 1


# Gate and bans.


def test_an_offender_s_ban_doubles_is_bounded_and_is_forgiven_in_time() -> None:
    bans = Bans(LIMITS)
    assert [bans.offend("x", 0.0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert bans.left_s("x", 59.0) == pytest.approx(1.0)
    assert bans.left_s("y", 0.0) == 0.0
    assert bans.offend("x", LIMITS.forgive_s + 1) == 1
    for number in range(LIMITS.addresses_max + 10):
        bans.offend(str(number), 1_000.0)
    assert len(bans._records) == LIMITS.addresses_max


def test_case_56_strangers_never_take_the_place_of_a_reserved_address() -> None:
    gate = Gate(LIMITS)
    gate.reserve(["10.0.0.1"])
    admitted, evicted = gate.admit(1, "10.0.0.1", 0.0)
    assert (admitted, evicted) == (True, None)
    for number in range(2, 2_000):
        _, evicted = gate.admit(number, f"192.168.{number % 256}.{number // 256}", number / 100)
        assert evicted != 1
        assert gate.pending <= LIMITS.pending_max
    for number in range(2_000, 2_030):
        admitted, evicted = gate.admit(number, "10.0.0.1", 30.0)
        assert admitted
        assert evicted is not None
        assert evicted != 1


def test_one_address_holds_only_its_share_and_its_oldest_goes_first() -> None:
    gate = Gate(Limits(pending_per_address=2, pending_max=4))
    assert [gate.admit(n, "1.2.3.4", 0.0) for n in range(3)] == [
        (True, None),
        (True, None),
        (True, 0),
    ]
    gate.leave(1)
    assert gate.admit(3, "1.2.3.4", 0.0) == (True, None)


def test_an_address_that_knocks_too_fast_is_turned_away_and_comes_back() -> None:
    gate = Gate(LIMITS)
    taken = 0
    for number in range(1_000):
        admitted, _ = gate.admit(number, "1.2.3.4", 0.0)
        gate.leave(number)
        taken += admitted
    assert taken == LIMITS.attempts_burst
    assert gate.admit(5_000, "1.2.3.4", 1.0)[0]


def test_a_banned_address_is_turned_away_unless_a_member_lives_there() -> None:
    gate = Gate(LIMITS)
    gate.reserve(["10.0.0.1"])
    for address in ("10.0.0.1", "1.2.3.4"):
        gate.offend(address, 0.0)
    assert gate.admit(1, "10.0.0.1", 0.5) == (True, None)
    assert gate.admit(2, "1.2.3.4", 0.5) == (False, None)
    assert gate.admit(3, "1.2.3.4", 1.5) == (True, None)


def test_addresses_are_counted_by_what_one_attacker_owns() -> None:
    assert address_key("2001:db8::1") == address_key("2001:db8::ffff:2")
    assert address_key("2001:db8:0:1::1") != address_key("2001:db8::1")
    assert address_key("::ffff:10.0.0.1") == "10.0.0.1"
    assert address_key("fe80::1%eth0") == address_key("fe80::2")
    assert address_key("unix") == "unix"


# Control words.


def test_control_words_come_back_as_they_were_said() -> None:
    assert open_control(encode_hello(HELLO)) == HELLO
    assert open_control(encode_beat(Word.PONG, 12)) == Beat(Word.PONG, 12)
    assert open_control(encode_bye(Bye.STOPPING)) == Goodbye(Bye.STOPPING)
    assert open_control(encode((4, 12_345))) == Goodbye(Bye.OTHER), "a reason of a later version"


@given(st.binary(max_size=600))
def test_junk_is_malformed_and_nothing_else(junk: bytes) -> None:
    try:
        open_control(junk)
    except Malformed:
        pass


@pytest.mark.parametrize(
    "value",
    [
        (1,),
        (99, 1),
        (2, -1),
        (2, True),
        (True, 1),
        (4, b""),
        (1, *HELLO._replace(genesis_hash=b"short")),
        (1, *HELLO._replace(name="")),
        (1, *HELLO._replace(name="x" * 65)),
        (1, *HELLO._replace(role="king")),
        (1, *HELLO._replace(version=True)),
        (1, *HELLO._replace(elsewhere=1)),
        (1, *HELLO, 1),
        (1, *HELLO[:-1]),
        (2, *HELLO),
    ],
)
def test_a_control_word_with_one_wrong_field_is_malformed(value: tuple[Any, ...]) -> None:
    with pytest.raises(Malformed):
        open_control(encode(value))


# The dialler's rules.


class FakeConnection:
    """What `prefers` looks at."""

    def __init__(
        self, peer: str, ours: bool, instance: int, elsewhere: bool, opened: float
    ) -> None:
        self.info = type("Info", (), {"name": peer})()
        self.dialled = self.info if ours else None
        self.hello = HELLO._replace(instance=instance, elsewhere=elsewhere)
        self.opened_s = opened


@given(st.booleans(), st.booleans(), st.booleans())
def test_two_connections_one_id_both_ends_keep_the_same(
    low_was_first_here: bool, low_was_first_there: bool, elsewhere: bool
) -> None:
    """ada and bob dialled each other at once; whatever the order of arrival, ada's stays."""

    def kept(own: str, peer: str, low_was_first: bool) -> bool:
        by_ada = FakeConnection(peer, own == "ada", 1, elsewhere, 99.0)
        by_bob = FakeConnection(peer, own == "bob", 1, elsewhere, 99.0)
        old, new = (by_ada, by_bob) if low_was_first else (by_bob, by_ada)
        wins: Any = prefers
        new_wins = wins(new, old, own_name=own, now=100.0, settle_s=10.0)
        return (new if new_wins else old) is by_ada

    assert kept("ada", "bob", low_was_first_here)
    assert kept("bob", "ada", low_was_first_there)


def test_a_restarted_process_and_a_repeated_call_replace_what_was_before() -> None:
    wins: Any = prefers
    old = FakeConnection("bob", True, 1, True, 0.0)
    for new, expected in (
        (FakeConnection("bob", False, 2, True, 1.0), True),  # restarted
        (FakeConnection("bob", True, 1, True, 1.0), True),  # our own dial again
        (FakeConnection("bob", False, 1, True, 1.0), False),  # the higher name's duplicate
        (FakeConnection("bob", False, 1, False, 1.0), False),  # crossed on the wire
    ):
        assert wins(new, old, own_name="ada", now=1.0, settle_s=10.0) is expected
    late = FakeConnection("bob", False, 1, False, 11.0)
    assert wins(late, old, own_name="ada", now=11.0, settle_s=10.0), "theirs died unseen"


@given(st.integers(0, 10_000), st.floats(0.0, 1.0, exclude_max=True))
def test_the_backoff_is_jittered_and_bounded(failures: int, draw: float) -> None:
    silent = backoff_s(failures, Outcome.SILENT, LIMITS, draw)
    refused = backoff_s(failures, Outcome.REFUSED, LIMITS, draw)
    assert LIMITS.dial_first_s / 2 <= silent <= LIMITS.dial_max_s
    assert silent <= refused <= LIMITS.refused_max_s
