"""For gateways and those who watch them: proposals and what became of them."""

from __future__ import annotations

from typing import Any, Final

from rpc.dispatch import Context, Method
from rpc.errors import not_found
from rpc.lists import read_page
from rpc.results import ANY, BOOL, HASH, HEIGHT, INT, TEXT, array, enum, nullable, obj, page
from rpc.schema import Hash32, ListParams, Params
from state.registry import standard_registry
from state.tx.proposals import (
    DONE,
    EXPIRED,
    FAILED,
    OPEN,
    PASSED,
    PROPOSALS,
    Proposal,
    needed,
    proposal_of,
)  # fmt: skip
from state.tx.seats import active_of
from state.view import View


class _ProposalParams(Params):
    proposal: Hash32


def _json(proposal_id: bytes, row: Proposal, hrp: str) -> dict[str, object]:
    return {
        "proposal": proposal_id.hex(),
        "gateway": row.gateway,
        "action": row.action,
        "args": standard_registry().actions[row.action].args.to_json(row.args, hrp),
        "effective_height": row.effective_height,
        "proposed_height": row.proposed_height,
        "status": row.status,
        "votes": [{"gateway": name, "yes": yes} for name, yes in row.votes],
        "closed_height": row.closed_height or None,
        "reason": row.reason,
    }


async def _proposal(ctx: Context, params: _ProposalParams) -> object:
    with ctx.api.view() as view:
        row = proposal_of(view.reader, params.proposal)
        if row is None:
            raise not_found("proposal")
        return {
            "height": view.height,
            **_json(params.proposal, row, ctx.api.hrp),
            "needed": needed(len(active_of(view.reader))),
        }


async def _proposals(ctx: Context, params: ListParams) -> object:
    def show(view: View, proposal_id: bytes) -> dict[str, object]:
        row = proposal_of(view.reader, proposal_id)
        assert row is not None, "what is listed is never removed"
        return _json(proposal_id, row, ctx.api.hrp)

    return await read_page(ctx.api, PROPOSALS, b"", params, show)


_PROPOSAL: Final[dict[str, Any]] = {
    "proposal": HASH, "gateway": TEXT, "action": enum(*standard_registry().actions), "args": ANY,
    "effective_height": INT, "proposed_height": INT,
    "status": enum(OPEN, PASSED, DONE, FAILED, EXPIRED),
    "votes": array(obj(gateway=TEXT, yes=BOOL)), "closed_height": nullable(INT), "reason": TEXT,
}  # fmt: skip

METHODS: Final = (
    Method(
        name="proposal_get",
        summary="A proposal by the txid that made it; `needed` yes votes would pass it today.",
        params=_ProposalParams,
        result=obj(height=HEIGHT, **_PROPOSAL, needed=INT),
        run=_proposal,
    ),
    Method(
        name="proposal_list",
        summary="All proposals, oldest first.",
        params=ListParams,
        result=page(obj(**_PROPOSAL)),
        run=_proposals,
        cost=10,
    ),
)
