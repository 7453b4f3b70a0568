"""R9: promotions and trials, each acting on what is left of its charges."""

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction

from tests.naive.account import Attachment
from tests.naive.charge import Charge, Discount, take_off
from tests.naive.debts import Grant
from tests.naive.exact import ZERO, money
from tests.naive.plan import grid_of

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
KINDS = ("PERCENTAGE", "GRADUATED", "FIXED")
NOT_PROMOTED = ("MINIMUM_SPEND", "MINIMUM_SPEND_REFUND", "USAGE_CREDIT")


def trial(charges: Sequence[Charge], attachment: Attachment) -> list[Discount]:
    """R9.3: 100 % of the part of the attachment's line items before its end, minimum and standing charge included."""
    if attachment.trial_end is None:
        return []
    own = [charge for charge in charges if charge.item.attachment == attachment.id]
    shares = [(charge, charge.net_inside(LONG_AGO, attachment.trial_end)) for charge in own if charge.net > 0]
    amount = sum((share for _, share in shares), ZERO)
    return [take_off("PROMOTION", f"trial {attachment.id}", amount, shares)] if amount > 0 else []


def promotions(charges: Sequence[Charge], grants: Sequence[Grant], used: dict[str, Fraction]) -> list[Discount]:
    """R9.2: of pricings, then of plans; by priority, kind, time and id; each on the remainder, never below zero."""
    found = []
    for grant in sorted(grants, key=in_order):
        shares = [(charge, inside(charge, grant)) for charge in charges if is_meant(charge, grant)]
        spend = sum((share for _, share in shares), ZERO)
        if spend > 0:
            amount = min(spend, worth(grant, spend))
            if grant.max_per_period is not None:
                amount = min(amount, grant.max_per_period)
            if grant.max_total is not None:
                amount = min(amount, grant.max_total - used.get(grant.id, ZERO))
            discount = take_off("PROMOTION", grant.id, money(amount, shares[0][0].item.currency), shares)
            found.append(discount)
    return found


def in_order(grant: Grant) -> tuple[bool, int, int, datetime, str]:
    return grant.plan != "", grant.priority, KINDS.index(grant.kind), grant.time, grant.id


def is_meant(charge: Charge, grant: Grant) -> bool:
    """R9.1: every line item that names the plan, or the pricing and perhaps the segment; minimums and fees not."""
    item = charge.item
    if item.kind in NOT_PROMOTED or charge.part is None:
        return False
    if grant.plan:
        return item.plan == grant.plan
    return item.pricing == grant.pricing and grant.segment in (None, item.segment)


def inside(charge: Charge, grant: Grant) -> Fraction:
    """R9.1: from the grant on, for n bill periods counted from the one that holds it."""
    part = charge.part
    assert part
    grid = grid_of(part.catalog, part.account, part.attachment)
    number = grid.number_at(charge.item.start) - grid.number_at(grant.time)
    if number < 0 or (grant.periods is not None and number >= grant.periods):
        return ZERO
    return charge.net_inside(grant.time, grant.end)


def worth(grant: Grant, spend: Fraction) -> Fraction:
    """R9.1: a percentage, percentages of what is above each limit, or an amount."""
    if grant.kind == "PERCENTAGE":
        return spend * grant.value / 100
    if grant.kind == "FIXED":
        return grant.value
    amount = ZERO
    for index, (above, percent) in enumerate(grant.graduated):
        upper = grant.graduated[index + 1][0] if index + 1 < len(grant.graduated) else spend
        amount += max(ZERO, min(spend, upper) - above) * percent / 100
    return amount
