"""The methods, one file for each audience. Each file has `METHODS`; nothing else is public."""

from __future__ import annotations

from rpc.dispatch import Method
from rpc.methods import account, audit, chain, dollar, events, governance, node, orders, submit, tx


def all_methods() -> tuple[Method, ...]:
    """Every method this node answers."""
    files = (node, chain, tx, submit, account, dollar, orders, governance, audit, events)
    return tuple(method for file in files for method in file.METHODS)
