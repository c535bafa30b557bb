"""For holders and earners: where the tokens are, what vests, who earned what and why."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from mgsnode.base.address import address_text
from rpc.dispatch import Context, Method
from rpc.errors import invalid_params, not_found
from rpc.lists import read_page
from rpc.results import (
    ADDRESS,
    AMOUNT,
    BOOL,
    HASH,
    HEIGHT,
    INT,
    TEXT,
    TIME_MS,
    TOKENS,
    amount,
    array,
    enum,
    mapping,
    nullable,
    obj,
    page,
)
from rpc.schema import (
    Address,
    Count,
    Hash32,
    ListParams,
    Name,
    PageParams,
    Params,
    make_cursor,
    open_cursor,
)
from state.context import live_at
from state.draft import Reader
from state.tx.claims import KAPPA_IN
from state.tx.gateways import GATEWAY
from state.tx.mining import REWARDED, parts_of_order, rewarded_by
from state.tx.periods import CLOSED, period_of
from state.tx.rewards import (
    EARNED,
    MINED,
    MINING,
    Mining,
    claimable,
    debt_of,
    earned_of,
    entitled,
    parts_of,
    rates_of,
    token_now,
)
from state.tx.sales import ORDER
from state.tx.tokens import (
    PURPOSE,
    TOKEN_FAMILY,
    UNBONDING,
    liable_bond,
    token_totals_of,
    unbonding_id,
)
from state.tx.vesting import VESTING
from state.tx.voice import voice_of
from state.view import View

ROLES: Final = ("buyer", "shop", "distributor", "reviewer", "leader")


class _InfoParams(Params):
    period: Count | None = None


class _HolderParams(Params):
    holder: Address


class _RewardParams(ListParams):
    account: Address
    period: Count | None = None
    positions: ClassVar[tuple[str, ...]] = ("account", "period", "cursor", "limit")


class _RewardsParams(PageParams):
    account: Address
    positions: ClassVar[tuple[str, ...]] = ("account", "cursor", "limit")


class _OrderParams(Params):
    order: Hash32


class _GatewayParams(Params):
    gateway: Name


def _live(reader: Reader, at_ms: int) -> int | None:
    """A time on the token's clock as live time, None for none."""
    return live_at(reader, TOKEN_FAMILY, at_ms) if at_ms else None


def _period_json(reader: Reader, number: int, rates: Mining) -> dict[str, object]:
    closed = reader.get(CLOSED, number)
    return {
        "period": number,
        "ends_ms": closed.end_ms if closed else period_of(reader).end_ms,
        "closed": closed is not None,
        "fees": str(rates.fees),
        "offer": str(rates.offer),
        "kappa": str(rates.kappa),
        "claims": str(rates.claims),
        "reviews": str(rates.reviews),
        "claimed": str(rates.claimed),
        "review_until_live_ms": _live(reader, rates.review_until_ms),
        "claim_until_live_ms": _live(reader, rates.claim_until_ms),
    }


async def _info(ctx: Context, params: _InfoParams) -> object:
    with ctx.api.view() as view:
        reader = view.reader
        running = period_of(reader).number
        number = running if params.period is None else params.period
        if number > running:
            raise not_found("period")
        rates = rates_of(reader, number) if number == running else reader.get(MINING, number)
        totals = token_totals_of(reader)
        return {
            "height": view.height,
            **{name: str(value) for name, value in totals._asdict().items()},
            "purposes": {
                name: {key: str(value) for key, value in row._asdict().items()}
                for name, row in reader.items(PURPOSE)
            },
            "mining": None if rates is None else _period_json(reader, number, rates),
        }


async def _vesting(ctx: Context, params: _HolderParams) -> object:
    with ctx.api.view() as view:
        now_ms = token_now(view.reader)
        items = [
            {
                "purpose": purpose,
                "amount": str(row.amount),
                "released": str(row.released),
                "free": str(row.free_at(now_ms) - row.released),
                "cliff_live_ms": _live(view.reader, row.cliff_ms),
                "end_live_ms": _live(view.reader, row.end_ms),
            }
            for (_, purpose), row in view.reader.items(VESTING, params.holder)
        ]
        return {"height": view.height, "items": items}


async def _bond(ctx: Context, params: _GatewayParams) -> object:
    with ctx.api.view() as view:
        gateway = view.reader.get(GATEWAY, params.gateway)
        if gateway is None:
            raise not_found("gateway")
        row = view.reader.get(UNBONDING, unbonding_id(params.gateway))
        return {
            "height": view.height,
            "bond": str(gateway.bond),
            "liable": str(liable_bond(view.reader, params.gateway)),
            "unbonding": [
                {"amount": str(amount), "due_live_ms": _live(view.reader, due_ms)}
                for due_ms, amount in (row.parts if row else ())
            ],
        }


def _sums(reader: Reader, account: bytes, number: int) -> dict[str, object]:
    """What an account earned in a period, by role."""
    rates, earned = rates_of(reader, number), earned_of(reader, account, number)
    is_open = rates.is_closed and token_now(reader) < rates.claim_until_ms
    return {
        "period": number,
        "closed": rates.is_closed,
        "parts": {name: str(amount) for name, amount in parts_of(rates, earned).items()},
        "earned": str(entitled(rates, earned)),
        "claimed": str(earned.claimed),
        "claimable": str(claimable(rates, earned) if is_open else 0),
        "claim_until_live_ms": _live(reader, rates.claim_until_ms),
    }


async def _reward(ctx: Context, params: _RewardParams) -> object:
    account, hrp = params.account, ctx.api.hrp
    with ctx.api.view() as view:
        running = period_of(view.reader).number
    number = running if params.period is None else params.period
    if number > running:
        raise not_found("period")

    def show(view: View, order_id: bytes) -> dict[str, object]:
        return _order_json(view.reader, order_id, hrp, of=account)

    def sums(view: View) -> dict[str, object]:
        reader = view.reader
        voice = voice_of(reader, account, token_now(reader))
        return {
            "account": address_text(account, hrp),
            **_sums(reader, account, number),
            "debt": str(debt_of(reader, account)),
            "voice": {"granted": str(voice.granted), "left": str(voice.left)},
        }

    owner = rewarded_by(account, number)
    return await read_page(ctx.api, REWARDED, owner, params, show, sums)


async def _rewards(ctx: Context, params: _RewardsParams) -> object:
    """The periods in which an account has something, from the first on."""
    after = -1
    if params.cursor is not None:
        made_for, after = open_cursor("rewards", params.cursor, bytes, int)
        if made_for != params.account:
            raise invalid_params("must be a cursor that this list gave", field="cursor")
    start = params.account + min(after + 1, 2**63 - 1).to_bytes(8, "big")
    with ctx.api.view() as view:
        items: list[dict[str, object]] = []
        following = None
        for (account, number), _ in view.reader.items(EARNED, params.account, start=start):
            if len(items) == params.limit:
                following = make_cursor("rewards", account, after)
                break
            items.append(_sums(view.reader, account, number))
            after = number
        return {"height": view.height, "items": items, "next_cursor": following}


def _order_json(
    reader: Reader, order_id: bytes, hrp: str, *, of: bytes | None = None
) -> dict[str, object]:
    """What hangs on an order, and for whom; of one account, where `of` is given."""
    mined, order = reader.get(MINED, order_id), reader.get(ORDER, order_id)
    assert mined is not None and order is not None, "what counts is never removed"
    rates = rates_of(reader, mined.period)
    return {
        "order": order_id.hex(),
        "period": mined.period,
        "fee": str(mined.fee),
        "parts": [
            {"role": role, "account": address_text(account, hrp), "amount": str(amount)}
            for role, account, amount in parts_of_order(reader, order_id, mined, rates)
            if of in (None, account)
        ],
    }


async def _order(ctx: Context, params: _OrderParams) -> object:
    with ctx.api.view() as view:
        mined = view.reader.get(MINED, params.order)
        if mined is None:
            order = view.reader.get(ORDER, params.order)
            if order is None:
                raise not_found("order")
            raise not_found(
                "reward", why=f"the order is {order.status}: nobody earned on it so far"
            )
        rates = rates_of(view.reader, mined.period)
        return {
            "height": view.height,
            **_order_json(view.reader, params.order, ctx.api.hrp),
            "closed": rates.is_closed,
        }


_PERIOD: Final[dict[str, Any]] = obj(
    period=INT, ends_ms=TIME_MS, closed=BOOL, fees=AMOUNT, offer=TOKENS,
    kappa=amount(KAPPA_IN),
    claims=TOKENS, reviews=TOKENS, claimed=TOKENS, review_until_live_ms=nullable(TIME_MS),
    claim_until_live_ms=nullable(TIME_MS),
)  # fmt: skip
_SUMS: Final[dict[str, Any]] = {
    "period": INT, "closed": BOOL, "parts": mapping(TOKENS), "earned": TOKENS, "claimed": TOKENS,
    "claimable": TOKENS, "claim_until_live_ms": nullable(TIME_MS),
}  # fmt: skip
_ORDER: Final[dict[str, Any]] = {
    "order": HASH, "period": INT, "fee": AMOUNT,
    "parts": array(obj(role=enum(*ROLES), account=ADDRESS, amount=TOKENS)),
}  # fmt: skip

METHODS: Final = (
    Method(
        name="token_info",
        summary="Where the tokens are; what a period of mining offers, by default the running one.",
        params=_InfoParams,
        result=obj(
            height=HEIGHT, supply=TOKENS, pool=TOKENS, reserved=TOKENS, unvested=TOKENS,
            balances=TOKENS, bonded=TOKENS, unbonding=TOKENS,
            purposes=mapping(obj(total=TOKENS, left=TOKENS, vesting=TOKENS)),
            mining=nullable(_PERIOD),
        ),
        run=_info,
    ),
    Method(
        name="vesting_get",
        summary="What comes free for a holder, and when on the token's clock.",
        params=_HolderParams,
        result=obj(
            height=HEIGHT,
            items=array(
                obj(
                    purpose=TEXT, amount=TOKENS, released=TOKENS, free=TOKENS,
                    cliff_live_ms=TIME_MS, end_live_ms=TIME_MS,
                )
            ),
        ),
        run=_vesting,
    ),
    Method(
        name="bond_get",
        summary="A gateway's bond, and what of it is on its way back.",
        params=_GatewayParams,
        result=obj(
            height=HEIGHT, bond=TOKENS, liable=TOKENS,
            unbonding=array(obj(amount=TOKENS, due_live_ms=TIME_MS)),
        ),
        run=_bond,
    ),
    Method(
        name="reward_get",
        summary="What an account earned in a period, by role and order; by default the running "
        "one, as if it ended now.",
        params=_RewardParams,
        result=page(
            obj(**_ORDER), account=ADDRESS, **_SUMS, debt=TOKENS,
            voice=obj(granted=TOKENS, left=TOKENS),
        ),
        run=_reward,
        cost=10,
    ),
    Method(
        name="reward_list",
        summary="The periods in which an account earned something, oldest first.",
        params=_RewardsParams,
        result=page(obj(**_SUMS)),
        run=_rewards,
        cost=10,
    ),
    Method(
        name="reward_order",
        summary="Who earns what on a final order; in a period that still runs, as if it ended now.",
        params=_OrderParams,
        result=obj(height=HEIGHT, **_ORDER, closed=BOOL),
        run=_order,
    ),
)  # fmt: skip
