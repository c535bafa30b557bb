"""`python -m bench NAME`: what the node and its parts cost. Each prints a table or, with `--json`,
one object, and adds a line to `bench/history.jsonl`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

from bench.machine import remember

_PARTS = {  # name -> module and function; each takes `quick`
    "codec": ("bench.parts", "codec"),
    "verify": ("bench.parts", "verify"),
    "execute": ("bench.execute", "run"),
    "trie": ("bench.trie", "run"),
    "commit": ("bench.commit", "run"),
}

_SIDE_BY_SIDE = 8  # records; more of them stand in lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="one object on standard output")
    common.add_argument("--no-history", action="store_true", help="leave history.jsonl alone")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    transfer = names.add_parser(
        "transfer", parents=[common], help="four nodes, transfers at given rates and at the limit"
    )
    transfer.add_argument("--rates", default="50,200,500", help="a second; empty for none")
    transfer.add_argument("--seconds", type=float, default=10.0, help="of each rate")
    transfer.add_argument("--accounts", type=int, default=1_000)
    transfer.add_argument("--workers", type=int, default=0, help="verify.workers of each node")
    transfer.add_argument("--no-saturation", action="store_true", help="the given rates only")
    idle = names.add_parser("idle", parents=[common], help="one transfer at a time")
    idle.add_argument("--count", type=int, default=100)
    profile = names.add_parser("profile", parents=[common], help="where a validator's CPU goes")
    profile.add_argument("--rate", type=int, default=0, help="a second; 0: at the limit")
    profile.add_argument("--seconds", type=float, default=10.0)
    profile.add_argument("--top", type=int, default=25, help="functions to list")
    accounts = names.add_parser("accounts", parents=[common], help="a node with a million accounts")
    accounts.add_argument("--count", type=int, default=1_000_000)
    reads = names.add_parser("reads", parents=[common], help="reads over a million reviews")
    reads.add_argument("--count", type=int, default=1_000_000, help="accounts, and reviews")
    expire = names.add_parser("expire", parents=[common], help="redemptions that expire at once")
    expire.add_argument("--count", type=int, default=10_000)
    audit = names.add_parser("audit", parents=[common], help="a replay, alone and with processes")
    audit.add_argument("--count", type=int, default=8_000, help="transfers")
    audit.add_argument("--workers", type=int, default=2)
    orders = names.add_parser("orders", parents=[common], help="orders through four nodes")
    orders.add_argument("--count", type=int, default=100_000)
    economy = names.add_parser(
        "economy", parents=[common], help="does cheating pay? exit 1 if it does"
    )
    economy.add_argument("--quick", action="store_true", help="some seconds")
    economy.add_argument("--seed", type=int, default=1)
    economy.add_argument("--plots", default="", help="a folder for the plots as SVG")
    for name in _PARTS:
        part = names.add_parser(name, parents=[common], help=f"the {name} alone")
        part.add_argument("--quick", action="store_true", help="fewer rounds")
    return parser


def _work(args: argparse.Namespace) -> Callable[[], dict[str, object]]:
    if args.name in _PARTS:
        module, function = _PARTS[args.name]
        return lambda: getattr(importlib.import_module(module), function)(quick=args.quick)
    run: Callable[..., dict[str, object]]
    run = importlib.import_module(
        "bench.million" if args.name == "accounts" else f"bench.{args.name}"
    ).run
    if args.name == "transfer":
        rates = tuple(int(rate) for rate in args.rates.split(",") if rate)
        return lambda: run(
            rates=rates,
            seconds=args.seconds,
            accounts=args.accounts,
            saturation=not args.no_saturation,
            workers=args.workers,
        )
    if args.name == "profile":
        return lambda: run(rate=args.rate, seconds=args.seconds, top=args.top)
    if args.name == "audit":
        return lambda: run(count=args.count, workers=args.workers)
    if args.name == "economy":
        return lambda: run(quick=args.quick, seed=args.seed, plots=args.plots)
    return lambda: run(count=args.count)


def show(value: Any, indent: int = 0) -> None:
    """A result as lines of text; lists of equal records as a table."""
    pad = " " * indent
    if not isinstance(value, dict):
        print(f"{pad}{value}")
        return
    width = max((len(str(key)) for key in value), default=0)
    for key, item in value.items():
        if isinstance(item, list) and item and isinstance(item[0], dict):
            print(f"{pad}{key}")
            (_table if len(item) <= _SIDE_BY_SIDE else _lines)(item, indent + 2)
        elif isinstance(item, dict):
            print(f"{pad}{key}")
            show(item, indent + 2)
        else:
            print(f"{pad}{key:<{width}}  {item}")


def _table(rows: list[dict[str, Any]], indent: int) -> None:
    """Records side by side: a line for each field, a column for each record."""
    width = max(len(key) for key in rows[0])
    for key in rows[0]:
        cells = [
            " ".join(map(str, v)) if isinstance(v := row.get(key), list) else str(v) for row in rows
        ]
        print(" " * indent + f"{key:<{width}}  " + "  ".join(f"{cell:>19}" for cell in cells))


def _lines(rows: list[dict[str, Any]], indent: int) -> None:
    """Many records: a line for each, a column for each field."""
    names = list(rows[0])
    width = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in names}
    for cells in ({name: name for name in names}, *rows):
        line = "  ".join(
            f"{cells[name]:<{width[name]}}"
            if isinstance(rows[0][name], str)
            else f"{cells[name]:>{width[name]}}"
            for name in names
        )
        print(" " * indent + line.rstrip())


def main() -> None:
    """Run one bench."""
    args = _parser().parse_args()
    result = _work(args)()
    if not args.no_history:
        remember(args.name, result)
    if args.json:
        print(json.dumps(result))
    else:
        show(result)
    sys.exit(1 if result.get("cheats_that_win") else 0)


if __name__ == "__main__":
    main()
