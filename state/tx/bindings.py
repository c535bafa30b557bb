"""Bindings: who works for a shop, on which terms, and which buyer came through whom.

Law: a binding is of one buyer at one shop, to somebody who has joined it; the first that has not
expired stays; it keeps the share and the campaign under which it was made. So nothing that a shop
changes later reaches work already done: a cut of an agreed share and new campaign terms hold only
after a notice, and then for new bindings alone. An agreement keeps the campaign under which it was
signed: a cap would be a cut without the notice agreed. All times here run on the family's own
clock. Part of the referral family; it moves no money.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import CLOCK, Context, Refusal, family_ms, pause_of, time_bounds
from state.draft import Reader
from state.table import Table, bytes_key, pair_key
from state.tx.accounts import HAS_JOINED, RECRUITED, account_of, any_linked
from state.tx.gateways import chain_of
from state.tx.orders import SHOP, terms_now

FAMILY_NUMBER: Final = 5
DAY_MS: Final = 24 * 3_600_000
BINDING_MS: Final = (DAY_MS, 90 * DAY_MS)  # lowest, highest term of a binding
BINDING_MS_DEFAULT: Final = 30 * DAY_MS
NOTICE_MS: Final = (7 * DAY_MS, 90 * DAY_MS)  # lowest, highest notice of an agreement
# Each order asks whether its parties are linked, which reads all recruiters of an account.
RECRUITERS_MAX: Final = 16

NOT_JOINED: Final = (501, "NOT_JOINED")
ALREADY_JOINED: Final = (502, "ALREADY_JOINED")
PARTIES_LINKED: Final = (503, "PARTIES_LINKED")
ALREADY_BOUND: Final = (504, "ALREADY_BOUND")
RECRUITER_NOT_JOINED: Final = (505, "RECRUITER_NOT_JOINED")
TOO_MANY_RECRUITERS: Final = (506, "TOO_MANY_RECRUITERS")
REFER_OUT_OF_BOUNDS: Final = (507, "REFER_OUT_OF_BOUNDS")


class Partner(NamedTuple):
    """A distributor at a shop, under (distributor, shop): since when, then its figures there.

    accrued - reversed = paid - owed, always; each is the sum of the commission rows.
    """

    joined_ms: int  # block time
    recruiter: tuple[bytes, ...]  # () or one, who had joined before: so there are no cycles
    agreed: bool  # there is an agreement
    promised: int  # micro-dollars: commission of its open level-1 sales as they stand, at most
    accrued: int  # of final sales, at both depths
    reversed: int  # by refunds after final
    paid: int
    owed: int  # by the distributor, out of its later commissions at this shop only


class Agreement(NamedTuple):
    """A share of one's own, under (distributor, shop), signed by both."""

    terms: bytes  # hash of the text
    share_bp: int
    notice_ms: int
    next_share_bp: int  # the share from `next_from_ms` on
    next_from_ms: int  # 0: no cut is announced
    campaign: bytes  # in force when it was signed, for all bindings under it; empty: none

    def share_at(self, now_ms: int) -> int:
        """The share of a binding made at this time."""
        is_cut = 0 < self.next_from_ms <= now_ms
        return self.next_share_bp if is_cut else self.share_bp


class Program(NamedTuple):
    """What a shop offers those who join it, under the shop's id; absent: the defaults."""

    distributors: int  # how many ever joined
    campaign: bytes  # id of the campaign in force, empty: none
    next_campaign: bytes  # in force from `next_from_ms` on, empty: none
    next_from_ms: int

    def campaign_at(self, now_ms: int) -> bytes:
        """The campaign of a binding made at this time."""
        is_next = self.next_campaign and self.next_from_ms <= now_ms
        return self.next_campaign if is_next else self.campaign


class Campaign(NamedTuple):
    """Terms of bindings, under the txid that set them; never changed. A cap of 0 is none.

    Caps are of commission in micro-dollars, promised and paid together, net of refunds.
    """

    shop: bytes
    binding_ms: int
    campaign_cap: int  # of all bindings made under it
    person_cap: int  # of each distributor's bindings made under it
    shop_cap: int  # of all the shop's campaigns that have such a cap


class Binding(NamedTuple):
    """Of one buyer at one shop, under (buyer, shop). One that has expired is no binding."""

    distributor: bytes
    share_bp: int
    campaign: bytes
    made_ms: int
    until_ms: int


_TWO: Final = pair_key(bytes_key(), bytes_key())
PARTNER: Final[Table[tuple[bytes, bytes], Partner]] = Table(80, "referral/partner", Partner, _TWO)
AGREEMENT: Final[Table[tuple[bytes, bytes], Agreement]] = Table(
    81, "referral/agreement", Agreement, _TWO
)
PROGRAM: Final[Table[bytes, Program]] = Table(82, "referral/program", Program, bytes_key())
CAMPAIGN: Final[Table[bytes, Campaign]] = Table(83, "referral/campaign", Campaign, bytes_key())
BINDING: Final[Table[tuple[bytes, bytes], Binding]] = Table(84, "referral/binding", Binding, _TWO)
NO_PROGRAM: Final = Program(0, b"", b"", 0)
DEFAULT_CAMPAIGN: Final = Campaign(b"", BINDING_MS_DEFAULT, 0, 0, 0)


def family_now(reader: Reader) -> int:
    """What the family's clock showed at the last block; within due work, the one before."""
    clock = reader.get(CLOCK, b"")
    assert clock is not None, "the genesis sets the clock"
    return family_ms(pause_of(reader, FAMILY_NUMBER), clock.live_ms)


def program_of(reader: Reader, shop_id: bytes) -> Program:
    """What the shop offers."""
    return reader.get(PROGRAM, shop_id) or NO_PROGRAM


def campaign_of(reader: Reader, campaign: bytes) -> Campaign:
    """The campaign under this id; empty: the terms of a shop that has set none."""
    row = reader.get(CAMPAIGN, campaign) if campaign else DEFAULT_CAMPAIGN
    assert row is not None, "a campaign is never removed"
    return row


def has_joined(reader: Reader, distributor: bytes, shop_id: bytes) -> bool:
    """Whether it distributes for the shop; of who has joined none only the account is read."""
    if not account_of(reader, distributor).flags & HAS_JOINED:
        return False
    return reader.get(PARTNER, (distributor, shop_id)) is not None


def _agreement_of(
    reader: Reader, partner: Partner | None, distributor: bytes, shop_id: bytes
) -> Agreement | None:
    if partner is None or not partner.agreed:
        return None
    return reader.get(AGREEMENT, (distributor, shop_id))


def share_of(reader: Reader, distributor: bytes, shop_id: bytes, now_ms: int) -> int:
    """The share in basis points of a binding made now: as agreed, else as the shop's terms say."""
    partner = reader.get(PARTNER, (distributor, shop_id))
    agreement = _agreement_of(reader, partner, distributor, shop_id)
    return agreement.share_at(now_ms) if agreement else _share_at_shop(reader, shop_id)


def _share_at_shop(reader: Reader, shop_id: bytes) -> int:
    shop = reader.get(SHOP, shop_id)
    return terms_now(reader, shop).commission_bp if shop else 0


def binding_of(reader: Reader, buyer: bytes, shop_id: bytes, now_ms: int) -> Binding | None:
    """The buyer's binding at the shop unless it has expired."""
    binding = reader.get(BINDING, (buyer, shop_id))
    return binding if binding is not None and now_ms < binding.until_ms else None


def are_unlinked(reader: Reader, buyer: bytes, owner: bytes, distributor: bytes) -> bool:
    """Whether no two of them are linked: only then a sale earns a commission."""
    return not any_linked(reader, buyer, owner, distributor)


def foresee(reader: Reader, distributor: bytes, shop_id: bytes, now_ms: int) -> Binding:
    """The binding that a buyer would make now; the distributor has joined."""
    partner = reader.get(PARTNER, (distributor, shop_id))
    return _foresee(reader, partner, distributor, shop_id, now_ms)


def _foresee(
    reader: Reader, partner: Partner | None, distributor: bytes, shop_id: bytes, now_ms: int
) -> Binding:
    agreement = _agreement_of(reader, partner, distributor, shop_id)
    if agreement is not None:
        campaign, share_bp = agreement.campaign, agreement.share_at(now_ms)
    else:
        campaign = program_of(reader, shop_id).campaign_at(now_ms)
        share_bp = _share_at_shop(reader, shop_id)
    until_ms = now_ms + campaign_of(reader, campaign).binding_ms
    return Binding(distributor, share_bp, campaign, now_ms, until_ms)


def foresee_for_order(
    reader: Reader,
    buyer: bytes,
    owner: bytes,
    shop_id: bytes,
    named: tuple[bytes, ...],
    now_ms: int,
) -> Binding | None:
    """What applies to an order paid now: the binding there is, else one with who is named.

    None where nobody brought the buyer, or where two of the parties are linked.
    """
    binding = binding_of(reader, buyer, shop_id, now_ms)
    applying = _applying(reader, binding, buyer, owner, shop_id, named, now_ms)
    return applying[0] if applying else None


def _applying(
    reader: Reader,
    binding: Binding | None,
    buyer: bytes,
    owner: bytes,
    shop_id: bytes,
    named: tuple[bytes, ...],
    now_ms: int,
) -> tuple[Binding, Partner] | None:
    distributor = binding.distributor if binding else b"".join(named)
    partner = reader.get(PARTNER, (distributor, shop_id)) if distributor else None
    if partner is None or not are_unlinked(reader, buyer, owner, distributor):
        return None
    return binding or _foresee(reader, partner, distributor, shop_id, now_ms), partner


def bind(ctx: Context, buyer: bytes, shop_id: bytes, binding: Binding) -> None:
    """Bind the buyer, who is free."""
    ctx.draft.put(BINDING, (buyer, shop_id), binding)
    ctx.involve(binding.distributor)
    ctx.emit("buyer_bound", buyer, shop_id, binding.distributor, binding.share_bp, binding.until_ms)


def binding_for_order(
    ctx: Context, buyer: bytes, owner: bytes, shop_id: bytes, named: tuple[bytes, ...]
) -> tuple[Binding, Partner] | None:
    """As `foresee_for_order`, with who is bound to; what was not there yet is made."""
    now_ms = ctx.now(FAMILY_NUMBER)
    before = binding_of(ctx.draft, buyer, shop_id, now_ms)
    applying = _applying(ctx.draft, before, buyer, owner, shop_id, named, now_ms)
    if applying is not None and before is None:
        bind(ctx, buyer, shop_id, applying[0])
    return applying


def check_recruiter(reader: Reader, address: bytes, recruiter: bytes, shop_id: bytes) -> None:
    """Whoever recruits has joined the shop before, and nobody has too many recruiters."""
    if not has_joined(reader, recruiter, shop_id):
        raise Rejected(RECRUITER_NOT_JOINED)
    known = reader.get(RECRUITED, address)
    if known and recruiter not in known.by and len(known.by) >= RECRUITERS_MAX:
        raise Rejected(TOO_MANY_RECRUITERS, highest=RECRUITERS_MAX)


def check_time(
    reader: Reader, term: str, value_ms: int, bounds: tuple[int, int], refusal: Refusal
) -> None:
    """A time within its bounds on this network."""
    lowest, highest = time_bounds(chain_of(reader).network, *bounds)
    if not lowest <= value_ms <= highest:
        raise Rejected(refusal, term=term, lowest=lowest, highest=highest)
