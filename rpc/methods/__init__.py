"""The methods, one file for each audience. Each file has `METHODS`; nothing else is public."""

from __future__ import annotations

from rpc.dispatch import Method


def all_methods() -> tuple[Method, ...]:
    """Every method this node answers."""
    from rpc.methods import node

    return (*node.METHODS,)
