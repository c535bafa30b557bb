"""One seed from beginning to verdict: held, broken (a rule), or unknown (it did not go on)."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from mgsnode.guard import Refused
from tests.sim.checks import Broken
from tests.sim.liars import Liar
from tests.sim.network import Network
from tests.sim.node import ROTTEN, SimNode
from tests.sim.plan import Plan, draw_plan
from tests.sim.swarm import Swarm
from tests.sim.world import World

T0_MS = 1_000
# Four full timeouts and twenty small ones: consensus.md §12.
LIVE_MS = 4 * 60_000 + 20 * T0_MS
MORE_HEIGHTS = 3
STILL_MS = 5_000
SETTLED_MS = 21_000  # the latest message from before healing, and then the life of a complaint
_STILL_EVERY = 4  # of the seeds with a core: it takes long


@dataclass
class Outcome:
    """What became of a seed, and what it exercised."""

    seed: int
    n: int
    verdict: str
    why: str = ""
    heights: int = 0
    virtual_ms: int = 0
    recovery_ms: int = 0
    events: int = 0
    trace: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    touched: Counter[tuple[str, str]] = field(default_factory=Counter)  # (fault, phase)


def run_seed(
    seed: int, *, without: frozenset[str] = frozenset(), heights: int = 20, plan: Plan | None = None
) -> Outcome:
    """Runs a seed's plan."""
    plan = plan or draw_plan(seed, without=without, heights=heights)
    world = World(seed)
    swarm = Swarm(world, plan)
    network = Network(
        world,
        sets=plan.sets,
        twins=plan.twins,
        liars=plan.liars,
        rotten=plan.rotten,
        real_keys=plan.real_keys,
        view_timeout_ms=T0_MS,
        faults=swarm,
        make_node=Liar,
    )
    outcome = Outcome(seed, len(plan.sets[0]), "held")

    def work() -> None:
        network.keep_busy(plan.work_every_ms)
        for era in range(1, len(plan.sets)):
            _change_era(network, era, 2_000 * era)

    judge(network, swarm, outcome, work)
    return outcome


def judge(network: Network, swarm: Swarm, outcome: Outcome, work: Callable[[], None]) -> None:
    """Lives a whole run, and fills in what became of it; `work` begins the workload."""
    try:
        _live(network, swarm, outcome, work)
    except (Broken, Refused) as error:
        outcome.verdict, outcome.why = "broken", f"{type(error).__name__}: {error}"
    except Exception:
        # A replica, guard or ledger that raises has stopped its process: as bad as a fork.
        outcome.verdict, outcome.why = "broken", traceback.format_exc(limit=-6)
    _fill(outcome, network, swarm)


def _live(network: Network, swarm: Swarm, outcome: Outcome, work: Callable[[], None]) -> None:
    plan = swarm.plan
    network.start()
    swarm.begin(network)
    work()
    network.run(plan.chaos_ms, lambda: network.high() >= plan.heights)
    swarm.end()
    calm_at = network.world.now_ms
    goal = network.high() + MORE_HEIGHTS
    honest = [node for node in network.nodes if node.honest and node.halted is None]
    network.run(LIVE_MS, lambda: all(n.up and n.ledger.height >= goal for n in honest))
    outcome.recovery_ms = network.world.now_ms - calm_at
    if not all(node.up and node.ledger.height >= goal for node in honest):
        outcome.verdict = "unknown"
        outcome.why = f"no {MORE_HEIGHTS} heights on every honest node after healing: " + str(
            [
                (n.name, n.up, n.ledger.height, n.replica.era, n.replica.view, n.replica.active)
                for n in network.nodes
                if n.life and hasattr(n, "replica")
            ]
        )
    elif plan.has("core") and plan.seed % _STILL_EVERY == 0:
        network.run(calm_at + SETTLED_MS - network.world.now_ms)
        _stand_still(network, honest, outcome)


def _stand_still(network: Network, honest: list[SimNode], outcome: Outcome) -> None:
    """Nobody lies and nothing goes wrong any more: the view that decides is kept."""
    before = _top_view(honest)
    network.run(STILL_MS)
    after = _top_view(honest)
    if before[0] == after[0] and before != after:
        outcome.verdict, outcome.why = "unknown", f"views go on: {before}, {after}"


def _top_view(nodes: list[SimNode]) -> tuple[int, int]:
    return max((node.replica.era, node.replica.view) for node in nodes)


def _change_era(network: Network, era: int, every_ms: int) -> None:
    """The change is asked for until it is there."""
    if all(node.ledger.era < era for node in network.nodes if node.up):
        network.submit(b"era:%d" % era)
        network.world.after(every_ms, _change_era, network, era, every_ms)


def _fill(outcome: Outcome, network: Network, swarm: Swarm) -> None:
    outcome.heights = len(network.checks.blocks)
    outcome.virtual_ms = network.world.now_ms
    outcome.events = network.world.events
    outcome.counts["seeds with liars"] = bool(network.liars)
    outcome.counts["seeds with twins"] = len(network.nodes) > len(network.names)
    outcome.trace = network.world.trace
    outcome.counts += network.checks.seen + swarm.counts
    outcome.touched = swarm.touched
    for node in network.nodes:
        outcome.counts["torn writes"] += node.disk.torn
        outcome.counts["journal rewrites"] += node.disk.rewrites
        outcome.counts["dropped messages"] += sum(
            count for word, count in node.counts.items() if word.startswith("Dropped")
        )
        outcome.counts["false blocks refused"] += node.counts.get("false block", 0)
        outcome.counts["bit rot seen"] += node.halted == ROTTEN
        if isinstance(node, Liar):
            outcome.counts += node.told
            outcome.touched += node.touched
    outcome.counts["max view"] = max(
        (n.replica.view for n in network.nodes if hasattr(n, "replica")), default=0
    )
