"""A row of the state with its path to the state root of a block, and that block's certificate."""

from __future__ import annotations

from typing import Any, TypeVar

from rpc.present import certificate_json, header_json
from rpc.read import certificate_at
from state.proof import proof_json
from state.table import Table
from state.view import View

K = TypeVar("K")


def proof_of(view: View, table: Table[K, Any], key: K) -> dict[str, object]:
    """The proof of presence or absence of a row, as `rpc.results.STATE_PROOF` describes it."""
    state_key, row, proof = view.prove(table, key)
    certificate, members = certificate_at(view, view.height)
    return {
        "key": state_key.hex(),
        "value": None if row is None else row.hex(),
        **proof_json(proof),
        "header": header_json(view.header),
        "certificate": certificate_json(certificate, members),
    }
