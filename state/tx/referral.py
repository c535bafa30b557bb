"""Referral: who brings buyers to shops, and what that earns from real sales.

Laws: no commission is paid without a final order between unlinked parties; a distributor's rows
add up to what it was paid and owes; depth is at most what the parameter said when the sale was
made; the growth figures are the sums of the sales; no binding is of somebody who never joined.

The family stands in five files: the kinds here; who is bound to whom, on which terms, in
`bindings.py`; promise, payment and debt in `commissions.py`; figures and levels in `growth.py`;
what always holds in `referral_laws.py`. A hook never refuses: where a rule says no, there is no
binding, no sale or no commission, and the order goes on without.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX, NAME_BYTES_MAX
from state.context import Context, Fields, ParamSpec
from state.draft import Reader
from state.fields import Address, Amount, Hash32, Int, ListOf, Optional, Struct, Text
from state.registry import EventSpec, Family, Kind
from state.table import Table, bytes_key
from state.tx.accounts import HAS_JOINED, is_linked, note_recruited, set_flag
from state.tx.bindings import (
    AGREEMENT,
    ALREADY_BOUND,
    ALREADY_JOINED,
    BINDING,
    BINDING_MS,
    CAMPAIGN,
    DAY_MS,
    FAMILY_NUMBER,
    NOT_JOINED,
    NOTICE_MS,
    PARTIES_LINKED,
    PARTNER,
    PROGRAM,
    RECRUITER_NOT_JOINED,
    REFER_OUT_OF_BOUNDS,
    TOO_MANY_RECRUITERS,
    Agreement,
    Campaign,
    Partner,
    are_unlinked,
    bind,
    binding_of,
    check_recruiter,
    check_time,
    foresee,
    has_joined,
    program_of,
    share_of,
)
from state.tx.commissions import (
    DEPTHS,
    ROW,
    SALE,
    USED,
    do_due,
    on_final,
    on_paid,
    on_refunded,
)
from state.tx.growth import GROWTH, REGULAR
from state.tx.orders import COMMISSION_BP_MAX, NOT_SHOP, SHOP, UNKNOWN_SHOP, Shop
from state.tx.referral_laws import LAWS

NO_AGREEMENT: Final = (508, "NO_AGREEMENT")
NOT_A_CUT: Final = (509, "NOT_A_CUT")
UNKNOWN_STOREFRONT: Final = (510, "UNKNOWN_STOREFRONT")
NOT_STOREFRONT_OWNER: Final = (511, "NOT_STOREFRONT_OWNER")
TOO_MANY_SHOPS: Final = (512, "TOO_MANY_SHOPS")
DUPLICATE_ITEM: Final = (513, "DUPLICATE_ITEM")

# Lists: shops that somebody joined, who joined a shop, recruits, storefronts of somebody, all.
JOINED_BY, JOINED_AT, RECRUITS_OF, FRONTS_OF, ALL_FRONTS = 85, 86, 87, 88, 89
STOREFRONT_ITEMS_MAX: Final = 256
STOREFRONT_SHOPS_MAX: Final = 16  # each shop named costs a look at who has joined it


class Storefront(NamedTuple):
    """Lines of several shops in one place, under the txid that opened it; never removed."""

    owner: bytes
    name: str
    items: tuple[tuple[bytes, str], ...]  # (shop, sku)
    opened_ms: int
    version: int  # 1, and one more with each change


STOREFRONT: Final[Table[bytes, Storefront]] = Table(
    91, "referral/storefront", Storefront, bytes_key()
)


def _own_shop(ctx: Context, shop_id: bytes) -> Shop:
    shop = ctx.require(SHOP, shop_id, UNKNOWN_SHOP)
    if shop.owner != ctx.sender:
        raise Rejected(NOT_SHOP)
    return shop


def apply_join(ctx: Context, fields: Fields) -> None:
    """Work for a shop from now on; free, for ever. A recruiter is linked to the recruit."""
    shop_id, named = fields
    shop = ctx.require(SHOP, shop_id, UNKNOWN_SHOP)
    if has_joined(ctx.draft, ctx.sender, shop_id):
        raise Rejected(ALREADY_JOINED)
    if is_linked(ctx.draft, ctx.sender, shop.owner):
        raise Rejected(PARTIES_LINKED)
    for recruiter in named:
        check_recruiter(ctx.draft, ctx.sender, recruiter, shop_id)
    # From here on nothing can fail.
    partner = Partner(ctx.time_ms, named, False, 0, 0, 0, 0, 0)
    ctx.draft.put(PARTNER, (ctx.sender, shop_id), partner)
    set_flag(ctx, ctx.sender, HAS_JOINED)
    program = program_of(ctx.draft, shop_id)
    ctx.draft.put(PROGRAM, shop_id, program._replace(distributors=program.distributors + 1))
    ctx.list_under(JOINED_BY, ctx.sender, shop_id)
    ctx.list_under(JOINED_AT, shop_id, ctx.sender)
    for recruiter in named:
        note_recruited(ctx, ctx.sender, recruiter)
        ctx.list_under(RECRUITS_OF, recruiter, ctx.sender)
        ctx.involve(recruiter)
    ctx.emit("distributor_joined", ctx.sender, shop_id, named)


def apply_terms(ctx: Context, fields: Fields) -> None:
    """A campaign: the terms of bindings made from then on, after a notice to who has joined."""
    shop_id, binding_ms, campaign_cap, person_cap, shop_cap = fields
    _own_shop(ctx, shop_id)
    check_time(ctx.draft, "binding_ms", binding_ms, BINDING_MS, REFER_OUT_OF_BOUNDS)
    # From here on nothing can fail.
    caps = [sum(cap) for cap in (campaign_cap, person_cap, shop_cap)]
    ctx.draft.put(CAMPAIGN, ctx.object_id, Campaign(shop_id, binding_ms, *caps))
    program = program_of(ctx.draft, shop_id)
    now_ms = ctx.now(FAMILY_NUMBER)
    from_ms = now_ms + (ctx.params["refer_notice_ms"] if program.distributors else 0)
    after = program._replace(
        campaign=program.campaign_at(now_ms), next_campaign=ctx.object_id, next_from_ms=from_ms
    )
    ctx.draft.put(PROGRAM, shop_id, after)
    ctx.emit("campaign_set", shop_id, ctx.object_id, from_ms)


def apply_agree(ctx: Context, fields: Fields) -> None:
    """A share of the distributor's own, which the shop signs too; less only after the notice."""
    shop_id, terms, share_bp, notice_ms = fields
    ctx.require(SHOP, shop_id, UNKNOWN_SHOP)
    partner = ctx.require(PARTNER, (ctx.sender, shop_id), NOT_JOINED)
    check_time(ctx.draft, "notice_ms", notice_ms, NOTICE_MS, REFER_OUT_OF_BOUNDS)
    # From here on nothing can fail.
    now_ms = ctx.now(FAMILY_NUMBER)
    before_bp = share_of(ctx.draft, ctx.sender, shop_id, now_ms)
    known = ctx.draft.get(AGREEMENT, (ctx.sender, shop_id))
    is_cut = known is not None and share_bp < before_bp
    from_ms = now_ms + known.notice_ms if is_cut and known else 0
    now_bp = before_bp if is_cut else share_bp
    campaign = program_of(ctx.draft, shop_id).campaign_at(now_ms)
    agreement = Agreement(terms, now_bp, notice_ms, share_bp, from_ms, campaign)
    ctx.draft.put(AGREEMENT, (ctx.sender, shop_id), agreement)
    ctx.draft.put(PARTNER, (ctx.sender, shop_id), partner._replace(agreed=True))
    ctx.emit("share_agreed", ctx.sender, shop_id, terms, share_bp, notice_ms, from_ms)


def apply_cut(ctx: Context, fields: Fields) -> None:
    """The shop announces a lower share; it holds after the notice, for bindings made then."""
    shop_id, distributor, share_bp = fields
    _own_shop(ctx, shop_id)
    known = ctx.require(AGREEMENT, (distributor, shop_id), NO_AGREEMENT)
    now_ms = ctx.now(FAMILY_NUMBER)
    before_bp = known.share_at(now_ms)
    if share_bp >= before_bp:
        raise Rejected(NOT_A_CUT, share_bp=before_bp)
    # From here on nothing can fail.
    from_ms = now_ms + known.notice_ms
    agreement = known._replace(share_bp=before_bp, next_share_bp=share_bp, next_from_ms=from_ms)
    ctx.draft.put(AGREEMENT, (distributor, shop_id), agreement)
    ctx.involve(distributor)
    ctx.emit("share_cut", distributor, shop_id, share_bp, from_ms)


def apply_bind(ctx: Context, fields: Fields) -> None:
    """The buyer says who brought it to a shop, before it orders."""
    distributor, shop_id = fields
    shop = ctx.require(SHOP, shop_id, UNKNOWN_SHOP)
    ctx.require(PARTNER, (distributor, shop_id), NOT_JOINED)
    if not are_unlinked(ctx.draft, ctx.sender, shop.owner, distributor):
        raise Rejected(PARTIES_LINKED)
    now_ms = ctx.now(FAMILY_NUMBER)
    binding = binding_of(ctx.draft, ctx.sender, shop_id, now_ms)
    if binding is not None:
        raise Rejected(ALREADY_BOUND, until_ms=binding.until_ms)
    # From here on nothing can fail.
    bind(ctx, ctx.sender, shop_id, foresee(ctx.draft, distributor, shop_id, now_ms))


def apply_storefront(ctx: Context, fields: Fields) -> None:
    """Open a storefront, or give one's own other items; it stands for ever."""
    name, items, named = fields
    if len(dict.fromkeys(items)) != len(items):
        raise Rejected(DUPLICATE_ITEM)
    before: Storefront | None = None
    for front_id in named:
        before = ctx.require(STOREFRONT, front_id, UNKNOWN_STOREFRONT)
        if before.owner != ctx.sender:
            raise Rejected(NOT_STOREFRONT_OWNER)
    shops = dict.fromkeys(shop_id for shop_id, _ in items)
    if len(shops) > STOREFRONT_SHOPS_MAX:
        raise Rejected(TOO_MANY_SHOPS, highest=STOREFRONT_SHOPS_MAX)
    for shop_id in shops:
        ctx.require(PARTNER, (ctx.sender, shop_id), NOT_JOINED)
    # From here on nothing can fail.
    front_id = b"".join(named) or ctx.object_id
    opened_ms = before.opened_ms if before else ctx.time_ms
    version = before.version + 1 if before else 1
    ctx.draft.put(STOREFRONT, front_id, Storefront(ctx.sender, name, items, opened_ms, version))
    if before is None:
        ctx.list_under(FRONTS_OF, ctx.sender, front_id)
        ctx.list_under(ALL_FRONTS, b"", front_id)
    ctx.emit("storefront_set", front_id, ctx.sender, version)


def _recruiter_signs(_reader: Reader, fields: Fields) -> tuple[bytes, ...]:
    return tuple(fields[1])


def _owner_signs(reader: Reader, fields: Fields) -> tuple[bytes, ...]:
    shop = reader.get(SHOP, fields[0])
    return () if shop is None else (shop.owner,)


_ID: Final = Hash32()
_SUM: Final = Amount(lowest=0)
_COUNT: Final = Int(0, INT_MAX)
_SHARE: Final = Int(0, COMMISSION_BP_MAX)
_TIME: Final = Int(1, 366 * DAY_MS)
_NAME: Final = Text(NAME_BYTES_MAX, lowest=1)
_ITEM: Final = Struct(shop=_ID, sku=_NAME)
_CAP: Final = Optional(Amount())
_DEPTH: Final = Int(1, 2)


def _kind(
    name: str,
    apply: Any,
    weight: int,
    doc: str,
    /,
    *,
    cosigners: Any = None,
    **fields: Any,
) -> Kind:
    return Kind(name, Struct(**fields), apply, weight, doc, cosigners=cosigners)


KINDS: Final = (
    _kind(
        "refer_join", apply_join, 200,
        "Join a shop as a distributor: no purchase, no charge; a recruiter signs too.",
        cosigners=_recruiter_signs, shop=_ID, recruiter=Optional(Address()),
    ),
    _kind(
        "refer_bind", apply_bind, 150, "Say who brought you to a shop, before you order.",
        distributor=Address(), shop=_ID,
    ),
    _kind(
        "refer_agree", apply_agree, 200,
        "Agree on a share of one's own; the shop's owner signs too.",
        cosigners=_owner_signs, shop=_ID, terms=_ID, share_bp=_SHARE, notice_ms=_TIME,
    ),
    _kind(
        "refer_cut", apply_cut, 150,
        "Announce a lower share; it holds after the agreed notice, for bindings made then.",
        shop=_ID, distributor=Address(), share_bp=_SHARE,
    ),
    _kind(
        "refer_terms", apply_terms, 200,
        "Begin a campaign: how long bindings last, and what commission may come to.",
        shop=_ID, binding_ms=_TIME, campaign_cap=_CAP, person_cap=_CAP, shop_cap=_CAP,
    ),
    _kind(
        "refer_storefront", apply_storefront, 300,
        "Keep a storefront of lines of several shops; name it again to change its items.",
        name=_NAME, items=ListOf(_ITEM, 1, STOREFRONT_ITEMS_MAX), storefront=Optional(_ID),
    ),
)  # fmt: skip

_WHO: Final = Address()
EVENTS: Final = (
    EventSpec(
        "distributor_joined",
        Struct(distributor=_WHO, shop=_ID, recruiter=Optional(_WHO)),
        "Somebody works for a shop now; a recruiter is linked to it for ever.",
    ),
    EventSpec(
        "campaign_set",
        Struct(shop=_ID, campaign=_ID, from_ms=_COUNT),
        "New terms for bindings made from then on (the family's clock).",
    ),
    EventSpec(
        "share_agreed",
        Struct(distributor=_WHO, shop=_ID, terms=_ID, share_bp=_SHARE, notice_ms=_TIME,
               cut_from_ms=_COUNT),
        "Shop and distributor agreed on a share; one lower than before holds from that time.",
    ),
    EventSpec(
        "share_cut",
        Struct(distributor=_WHO, shop=_ID, share_bp=_SHARE, from_ms=_COUNT),
        "The shop announced a lower share for bindings made from then on.",
    ),
    EventSpec(
        "buyer_bound",
        Struct(buyer=_WHO, shop=_ID, distributor=_WHO, share_bp=_SHARE, until_ms=_COUNT),
        "A buyer said who brought it; until then nobody else can say so.",
    ),
    EventSpec(
        "sale_referred",
        Struct(order=_ID, distributor=_WHO, share_bp=_SHARE),
        "A distributor has a claim on an order.",
    ),
    EventSpec(
        "commission_accrued",
        Struct(order=_ID, distributor=_WHO, depth=_DEPTH, amount=Amount(), paid=_SUM),
        "A final sale earned a commission; what was not paid was owed at this shop.",
    ),
    EventSpec(
        "commission_reversed",
        Struct(order=_ID, distributor=_WHO, depth=_DEPTH, amount=Amount(), owed=_SUM),
        "A refund after final: the distributor owes its part at this shop.",
    ),
    EventSpec(
        "commission_void",
        Struct(order=_ID, distributor=_WHO),
        "A sale became final between parties who are linked by now: it earns nothing.",
    ),
    EventSpec(
        "storefront_set",
        Struct(storefront=_ID, owner=_WHO, version=Int(1, INT_MAX)),
        "A storefront opened or has other items.",
    ),
)  # fmt: skip


FAMILY: Final = Family(
    number=FAMILY_NUMBER,
    name="referral",
    kinds=KINDS,
    tables=(
        PARTNER, AGREEMENT, PROGRAM, CAMPAIGN, BINDING, GROWTH, REGULAR, SALE, ROW, USED, DEPTHS,
        STOREFRONT,
    ),
    refusals=(
        NOT_JOINED, ALREADY_JOINED, PARTIES_LINKED, ALREADY_BOUND, RECRUITER_NOT_JOINED,
        TOO_MANY_RECRUITERS, REFER_OUT_OF_BOUNDS, NO_AGREEMENT, NOT_A_CUT, UNKNOWN_STOREFRONT,
        NOT_STOREFRONT_OWNER, TOO_MANY_SHOPS, DUPLICATE_ITEM,
    ),
    params=(
        ParamSpec("refer_depth", 1, 1, 2, "how many levels of distributors a sale can pay"),
        ParamSpec("refer_second_bps", 1_000, 0, 5_000, "level 2's part of the commission"),
        ParamSpec(
            "refer_notice_ms", 7 * DAY_MS, 7 * DAY_MS, 90 * DAY_MS,
            "how long a shop's new campaign waits for bindings to be made under it", is_time=True,
        ),
    ),
    events=EVENTS,
    laws=LAWS,
    due=do_due,
    hooks={"paid": on_paid, "refunded": on_refunded, "final": on_final},
)  # fmt: skip
