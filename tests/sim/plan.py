"""What a seed stands for: the size, the members of each era, who lies, and what goes wrong.

Every number is drawn whether or not its fault is on, so that switching one fault off
(`without`) leaves all else as it was: that is how a failing seed is made smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

NAMES = "ABCDEFGHIJ"
FAULTS = (
    "delay", "tail", "loss", "duplicate", "partition", "phase", "crash", "pause",
    "slow disk", "slow execution", "clock", "old data", "eras", "liars", "twins", "blackout",
    "full disk", "censorship", "slow link", "kill", "sync error", "bit rot", "core",
)  # fmt: skip
LIES = (
    "equivocate", "double vote", "eager", "withhold", "silent", "mutate", "replay", "hide",
    "huge", "wrong choice", "invalid", "junk", "false blocks", "slow", "status", "old copy",
    "flood",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """One run. Rates are probabilities, times are ms."""

    seed: int
    sets: tuple[str, ...]
    liars: Sequence[str]  # who lies by design
    twins: Sequence[str]  # who runs twice
    rotten: Sequence[str]  # whose disks forget; they count among the f
    lies: frozenset[str]
    on: frozenset[str]  # the faults that are on
    real_keys: bool
    delay_ms: int
    tail_rate: float
    loss_rate: float
    duplicate_rate: float
    partition_every_ms: int
    phase_rate: float
    crash_rate: float
    away_ms: int
    pause_every_ms: int
    disk_ms: int
    execution_ms: int
    link_bytes_s: int  # of slow links
    skew_ms: int
    jump_ms: int
    old_data_rate: float
    blackout_ms: int
    work_every_ms: int
    chaos_ms: int
    heights: int

    def has(self, fault: str) -> bool:
        """Whether a kind of fault is on."""
        return fault in self.on


def draw_plan(seed: int, *, without: frozenset[str] = frozenset(), heights: int = 20) -> Plan:
    """The plan of a seed."""
    random = Random(f"{seed}/plan")
    n = random.randint(4, 10)
    on = {fault for fault in FAULTS if random.random() < 0.45} - without
    sets = _draw_sets(random, n)
    if "eras" not in on:
        sets = sets[:1]
    liars, twins = _draw_liars(random, sets)
    rotten = liars[::2] if "bit rot" in on else ""
    liars = "".join(name for name in liars if name not in rotten)
    lies = frozenset(random.sample(LIES, random.randint(2, 8))) - without
    return Plan(
        seed=seed,
        sets=sets,
        liars=liars if "liars" in on else "",
        twins=twins if "twins" in on else "",
        rotten=rotten,
        lies=lies,
        on=frozenset(on),
        real_keys=seed % 100 == 99,
        delay_ms=random.choice((5, 20, 100, 400)),
        tail_rate=random.choice((0.01, 0.05)),
        loss_rate=random.choice((0.01, 0.1, 0.3)),
        duplicate_rate=random.choice((0.05, 0.5)),
        partition_every_ms=random.choice((500, 2_000, 5_000)),
        phase_rate=random.choice((0.1, 0.3, 0.6)),
        crash_rate=random.choice((0.0003, 0.001, 0.004)),
        away_ms=random.choice((50, 1_000, 10_000, 50_000)),
        pause_every_ms=random.choice((2_000, 8_000)),
        disk_ms=random.choice((5, 50, 300)),
        execution_ms=random.choice((20, 200, 600)),
        link_bytes_s=random.choice((5_000, 20_000, 100_000)),
        skew_ms=random.choice((100, 900, 1_900)),
        jump_ms=random.choice((5_000, 3_600_000)),
        old_data_rate=random.choice((0.2, 0.8)),
        blackout_ms=random.choice((5_000, 30_000)),
        work_every_ms=random.choice((20, 100, 500)),
        chaos_ms=3_000 * heights,
        heights=heights,
    )


def _draw_sets(random: Random, n: int) -> tuple[str, ...]:
    """The members of era 0, then one joins, leaves or changes places each time."""
    sets = [NAMES[:n]]
    for _ in range(random.randint(1, 3)):
        last = sets[-1]
        outside = [name for name in NAMES if name not in last]
        kind = random.choice(("join", "leave", "swap"))
        gone = random.choice(last)
        new = random.choice(outside) if outside else ""
        if kind == "join" and new:
            sets.append(last + new)
        elif kind == "leave" and len(last) > 4:
            sets.append(last.replace(gone, ""))
        elif new:
            sets.append(last.replace(gone, new))
    return tuple(sets)


def _draw_liars(random: Random, sets: tuple[str, ...]) -> tuple[str, str]:
    """(liars, twins): together at most f in every era."""
    most = min((len(members) - 1) // 3 for members in sets)
    chosen = random.sample(sets[0], random.randint(1, most))
    if random.random() < 0.5 and sets[0][0] not in chosen:
        chosen[0] = sets[0][0]  # the first primary: else the lies of primaries are seldom told
    count = random.randint(0, len(chosen))
    return "".join(chosen[count:]), "".join(chosen[:count])
