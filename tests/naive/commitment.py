"""R7: commitments and balances, what they pay for, and overage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from tests.naive.account import Account, Attachment
from tests.naive.bands import largest_units, price
from tests.naive.catalog import Catalog, Pricing
from tests.naive.charge import Charge
from tests.naive.debts import Balance, Commitment, Debts
from tests.naive.exact import ZERO, money
from tests.naive.plan import grid_of

# --- Fees -------------------------------------------------------------------------------------------------------------


def commitment_fees(catalog: Catalog, account: Account, of: Commitment) -> list[tuple[datetime, Fraction]]:
    """R7.1: dates with amounts, or every n bill periods of a plan: the first if set, the rest in equal parts."""
    if of.schedule is None:
        return list(of.fees)
    grid = grid_of(catalog, account, Attachment("", of.schedule.plan, of.start))
    number, groups = grid.number_at(of.start), []
    while grid.start(number) < of.end:
        groups.append((grid.start(number), grid.start(number + of.schedule.every)))
        number += of.schedule.every
    amounts = [] if of.schedule.first is None else [of.schedule.first]
    count = len(groups) - len(amounts)
    rest = of.amount - sum(amounts, ZERO)
    while len(amounts) < len(groups) - 1:  # the last takes the remainder
        amounts.append(min(money(rest / count, of.currency), of.amount - sum(amounts, ZERO)))
    amounts = [*amounts[: len(groups) - 1], of.amount - sum(amounts[: len(groups) - 1], ZERO)]
    settings = catalog.settings.commitment_fees_in_advance
    in_advance = settings if of.fees_in_advance is None else of.fees_in_advance
    times = [max(group[0], of.start) if in_advance else group[1] for group in groups]
    return [(time, amount) for time, amount in zip(times, amounts, strict=True) if amount]


# --- Sources ----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Source:
    """What can pay, for service in [start, end); in its own currency, with its rate to the bill's (R11.2)."""

    kind: str
    id: str
    start: datetime
    end: datetime
    of: Commitment | Balance
    consumed: Fraction = ZERO
    before: "Source | None" = None  # of the rollover: the balance itself
    after: "Source | None" = None  # of a balance: its rollover

    def left(self, date: datetime) -> Fraction:
        """R7.1, R7.2: what may still be used on a bill of that date."""
        if isinstance(self.of, Commitment):
            return self.of.amount - self.consumed
        put_in = sum((each.amount for each in self.of.transactions if each.time <= date), ZERO)
        if self.before:  # at most the rollover amount stays usable
            return min(put_in - self.before.consumed, self.of.rollover_amount) - self.consumed
        return put_in - self.consumed - (self.after.consumed if self.after else 0)

    def may_pay(self, charge: Charge) -> bool:
        """R7.1: within its limits, by default all but credits, refunds and fees; and for service inside."""
        item, limits = charge.item, self.of.limits
        is_kind = item.kind in limits.kinds if limits.kinds else item.kind not in NEVER
        is_product = not limits.products or item.product in limits.products
        begins = item.start < self.end and (self.start < item.end or self.start <= item.start)
        return is_kind and is_product and begins


NEVER = ("USAGE_CREDIT", "MINIMUM_SPEND_REFUND", "COMMITMENT_FEE", "BALANCE_FEE", "SETUP_FEE")


def sources(debts: Debts, order: Sequence[str]) -> list[Source]:
    """R7.3: by kind, then earliest end, earliest start and id."""
    found = [Source("COMMITMENT", each.id, each.start, each.end, each) for each in debts.commitments]
    for each in debts.balances:
        balance = Source("BALANCE", each.id, each.start, each.end, each)
        found.append(balance)
        if each.rollover_end:
            balance.after = Source("BALANCE", each.id, each.end, each.rollover_end, each, before=balance)
            found.append(balance.after)
    return sorted(found, key=lambda each: (order.index(each.kind), each.end, each.start, each.id))


@dataclass(eq=False)
class Payment:
    """What a source paid of a charge, in the bill's currency."""

    source: Source
    charge: Charge
    amount: Fraction
    rate: Fraction


def draw_down(
    charge: Charge, of: Sequence[Source], date: datetime, rates: Callable[[str], Fraction], rounding: str
) -> list[Payment]:
    """R7.3: in the order of the bill's line items, never below zero left."""
    found = []
    for source in of:
        if source.may_pay(charge):
            rate, left, currency = rates(source.of.currency), source.left(date), charge.item.currency
            most = left if source.of.currency == currency else money(left * rate, currency, rounding)
            eligible = min(charge.net_inside(source.start, source.end), charge.net - charge.paid)
            amount = min(eligible, most)
            if left > 0 and amount > 0:
                charge.paid += amount
                source.consumed += amount / rate
                found.append(Payment(source, charge, amount, rate))
    return found


# --- Overage ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overage:
    """R7.4: the rest of a usage line item that no source pays."""

    charge: Charge
    amount: Fraction
    surcharge: Fraction
    units: Fraction


def overage(charge: Charge, of: Sequence[Source], payments: Sequence[Payment]) -> Overage | None:
    """Split a usage line item at q*: what the sources paid stays, the rest is overage.

    Where overage costs what usage costs, without bands of its own and without a surcharge, nothing is split: the order
    of promotions before balances would not hold otherwise (case 61).
    """
    able = [source for source in of if source.may_pay(charge)]
    if charge.item.kind != "USAGE" or not able:
        return None
    pricing = pricing_of(charge)
    surcharges = [source.of.surcharge for source in able if source.of.surcharge is not None]
    if not pricing.overage_bands and not surcharges:
        return None
    start = max(charge.item.start, min(source.start for source in able))
    end = min(charge.item.end, max(source.end for source in able))
    eligible, outside = charge.gross_inside(start, end), charge.gross - charge.gross_inside(start, end)
    if charge.net_inside(start, end) <= charge.paid or charge.gross <= 0:
        return None
    (item,) = charge.again((start, end))
    begin, total = item.units_before or ZERO, item.units or ZERO
    spent = price(pricing.bands, begin, cumulative=pricing.cumulative)
    budget = spent + charge.paid * charge.gross / charge.net / charge.rate
    kept_units = largest_units(pricing.bands, total, budget, cumulative=pricing.cumulative)
    kept = min(price(pricing.bands, kept_units, cumulative=pricing.cumulative), budget) - spent
    if pricing.accumulation_mode == "POSITIONAL":  # the band reached prices only new units: the amount is split
        kept = budget - spent
    assert charge.part
    rounding = charge.part.catalog.settings.rounding
    kept = min(converted(charge, kept, item.currency, rounding), eligible)
    rest = eligible - kept
    if pricing.overage_bands and not surcharges:  # a surcharge overrides the bands
        rest = price(pricing.overage_bands, total - kept_units, cumulative=True)
        rest = converted(charge, rest, item.currency, rounding)
    keep(charge, outside, kept, payments)
    surcharge = money(rest * surcharges[0] / 100, charge.item.currency, rounding) if surcharges else ZERO
    return Overage(charge, rest, surcharge, total - kept_units)


def converted(charge: Charge, amount: Fraction, currency: str, rounding: str) -> Fraction:
    """R1.7: rounded in its own currency, and once more in the bill's."""
    own = money(amount, currency, rounding)
    return own if currency == charge.item.currency else money(own * charge.rate, charge.item.currency, rounding)


def pricing_of(charge: Charge) -> Pricing:
    assert charge.part
    return next(each for each in charge.part.catalog.pricings if each.id == charge.item.pricing)


def keep(charge: Charge, outside: Fraction, kept: Fraction, payments: Sequence[Payment]) -> None:
    """Keep so much of a charge; promotions and credits on the rest are taken back, and what was paid too much."""
    gross = outside + kept
    for name, amount in charge.taken.items():
        charge.taken[name] = money(amount * gross / charge.gross, charge.item.currency)
        if name.startswith("maximum"):
            charge.off_overage[name] = amount - charge.taken[name]
    charge.gross = gross
    share = money(outside * charge.net / gross, charge.item.currency) if gross else ZERO  # which nobody paid for
    for payment in reversed([each for each in payments if each.charge is charge]):
        back = min(payment.amount, max(ZERO, charge.paid - (charge.net - share)))
        payment.amount -= back
        payment.source.consumed -= back / payment.rate
        charge.paid -= back
