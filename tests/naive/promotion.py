"""R9: promotions and trials, each acting on what is left of its charges, counted by bill period."""

from collections.abc import Sequence
from dataclasses import dataclass, field
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

Key = tuple[str, datetime]
Share = tuple[Charge, Fraction]


@dataclass
class Promoted:
    """What grants took off before: in all, and of each bill period by its start."""

    totals: dict[str, Fraction] = field(default_factory=dict)
    spends: dict[Key, Fraction] = field(default_factory=dict)
    amounts: dict[Key, Fraction] = field(default_factory=dict)

    def add(self, key: Key, spend: Fraction, amount: Fraction) -> None:
        self.totals[key[0]] = self.totals.get(key[0], ZERO) + amount
        self.spends[key] = self.spends.get(key, ZERO) + spend
        self.amounts[key] = self.amounts.get(key, ZERO) + amount


def trial(charges: Sequence[Charge], attachment: Attachment) -> list[Discount]:
    """R9.3: 100 % of the part of the attachment's line items before its end, minimum and standing charge included."""
    end = attachment.trial_end
    if end is None:
        return []
    own = [charge for charge in charges if charge.part and charge.item.attachment == attachment.id]
    found = []
    for (_, start), shares in grouped([(charge, charge.net_inside(LONG_AGO, end)) for charge in own]).items():
        spend = spend_of(shares)
        if spend > 0:
            found.append(take_off("PROMOTION", f"trial {attachment.id} {start}", spend, shares))
    return found


def promotions(charges: Sequence[Charge], grants: Sequence[Grant], promoted: Promoted) -> list[Discount]:
    """R9.2: of pricings, then of plans; by priority, kind, time and id; each on the remainder, never below zero."""
    found = []
    for grant in sorted(grants, key=in_order):
        meant = [(charge, inside(charge, grant)) for charge in charges if is_meant(charge, grant)]
        for (attachment, start), shares in grouped(meant).items():
            amount = taken(grant, (grant.id, start), shares, promoted)
            promoted.add((grant.id, start), spend_of(shares), amount)
            if amount > 0:
                found.append(take_off("PROMOTION", f"{grant.id} {attachment} {start}", amount, shares))
    return found


def grouped(shares: Sequence[Share]) -> dict[tuple[str, datetime], list[Share]]:
    """By attachment and the start of the bill period."""
    found: dict[tuple[str, datetime], list[Share]] = {}
    for charge, share in shares:
        part = charge.part
        if share and part:
            grid = grid_of(part.catalog, part.account, part.attachment)
            start = grid.start(grid.number_at(charge.item.start))
            found.setdefault((charge.item.attachment, start), []).append((charge, share))
    return dict(sorted(found.items(), key=lambda each: (attached(each[1]), each[0])))


def attached(shares: Sequence[Share]) -> datetime:
    part = shares[0][0].part
    assert part
    return part.attachment.start


def spend_of(shares: Sequence[Share]) -> Fraction:
    return sum((share for _, share in shares), ZERO)


def taken(grant: Grant, key: Key, shares: Sequence[Share], promoted: Promoted) -> Fraction:
    """R9.1: what it is worth of all that it acted on in the bill period, less what it took off before."""
    spend, before = spend_of(shares), promoted.amounts.get(key, ZERO)
    item, part = shares[0][0].item, shares[0][0].part
    assert part
    # R11.2: what the promotion says is in the plan's currency.
    rate, rounding = shares[0][0].rate, part.catalog.settings.rounding
    due = worth(grant, promoted.spends.get(key, ZERO) + spend, rate) - before
    amount = min(spend, money(due, item.currency, rounding))
    if grant.max_per_period is not None:
        amount = min(amount, money(grant.max_per_period * rate - before, item.currency, rounding))
    if grant.max_total is not None:
        left = grant.max_total * rate - promoted.totals.get(grant.id, ZERO)
        amount = min(amount, money(left, item.currency, rounding))
    return max(ZERO, amount)


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
    """R9.1: from the grant on, for n bill periods counted from the one that holds it.

    A standing charge for several periods is of the first of them, which may lie before.
    """
    part = charge.part
    assert part
    grid = grid_of(part.catalog, part.account, part.attachment)
    number = grid.number_at(charge.item.start) - grid.number_at(grant.time)
    if grant.periods is not None and number >= grant.periods:
        return ZERO
    return charge.net_inside(grant.time, grant.end)


def worth(grant: Grant, spend: Fraction, rate: Fraction) -> Fraction:
    """R9.1: a percentage, percentages of what is above each limit, or an amount."""
    if grant.kind == "PERCENTAGE":
        return spend * grant.value / 100
    if grant.kind == "FIXED":
        return grant.value * rate
    amount = ZERO
    for index, (above, percent) in enumerate(grant.graduated):
        upper = grant.graduated[index + 1][0] * rate if index + 1 < len(grant.graduated) else spend
        amount += max(ZERO, min(spend, upper) - above * rate) * percent / 100
    return amount
