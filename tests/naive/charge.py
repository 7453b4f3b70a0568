"""R7.3: a bill's charges while it is made: what is left of them, and what part lies inside a stretch of time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction

from tests.naive.account import LineItem
from tests.naive.exact import ZERO, allocate, divide, money
from tests.naive.grid import days
from tests.naive.part import Part, Stretch, overlap
from tests.naive.service import counter_items, usage_items

ORDER = (  # R12.2
    "USAGE",
    "COUNTER_RUNNING_TOTAL",
    "COUNTER_ADJUSTMENT_DEBIT",
    "COUNTER_ADJUSTMENT_CREDIT",
    "STANDING_CHARGE",
    "MINIMUM_SPEND",
    "MINIMUM_SPEND_REFUND",
    "MAXIMUM_SPEND",
    "PURCHASE",
    "SETUP_FEE",
    "AD_HOC",
    "COMMITMENT_FEE",
    "BALANCE_FEE",
    "USAGE_CREDIT",
    "PROMOTION",
    "COMMITMENT_CONSUMED",
    "BALANCE_CONSUMED",
    "OVERAGE_USAGE",
    "OVERAGE_SURCHARGE",
)


@dataclass(eq=False)
class Charge:
    """One charge in the bill's currency; ``taken`` is what credits and promotions took off it, and ``paid`` sources."""

    item: LineItem
    rate: Fraction
    part: Part | None = None
    gross: Fraction = ZERO
    taken: dict[str, Fraction] = field(default_factory=dict)
    paid: Fraction = ZERO
    off_overage: dict[str, Fraction] = field(default_factory=dict)  # what maximums take off its overage

    @property
    def net(self) -> Fraction:
        return self.gross - sum(self.taken.values(), ZERO)

    def net_inside(self, start: datetime, end: datetime) -> Fraction:
        """The part inside [start, end) of what credits and promotions left of it: between zero and all that is left."""
        part = self.gross_inside(start, end)
        share = money(part * self.net / self.gross, self.item.currency) if self.gross else ZERO
        return max(min(share, max(self.net, ZERO)), min(self.net, ZERO))

    def gross_inside(self, start: datetime, end: datetime) -> Fraction:
        """R7.3: of usage what its window came to meanwhile, of a time charge its days, of a purchase its instant."""
        item = self.item
        if item.start == item.end:
            return self.gross if start <= item.start < end else ZERO
        stretch = overlap((item.start, item.end), (start, end))
        if stretch is None or stretch == (item.start, item.end):
            return self.gross if stretch else ZERO
        if self.part and item.thing and item.kind not in ("MINIMUM_SPEND", "MINIMUM_SPEND_REFUND"):
            again = self.again(stretch)
            amount = sum((each.amount for each in again), ZERO)
            return money(amount * self.rate, item.currency, self.part.catalog.settings.rounding)
        assert self.part
        inside, whole = (days(*each, self.part.zone) for each in (stretch, (item.start, item.end)))
        return money(divide(self.gross * inside, whole), item.currency)

    def again(self, stretch: Stretch) -> list[LineItem]:
        """The same line item for a part of its service."""
        assert self.part
        asked = replace(self.part, asked=stretch)
        made = usage_items(asked) if self.item.kind == "USAGE" else counter_items(asked)
        return [each for each in made if same(each, self.item) and stretch[0] <= each.start < stretch[1]]


def same(one: LineItem, other: LineItem) -> bool:
    names: tuple[str, ...] = ("kind", "attachment", "pricing", "segment")
    if one.kind != "USAGE":  # whose units grow, while the level of a counter is what it is, and what it was
        names = (*names, "units", "units_before")
    return all(getattr(one, each) == getattr(other, each) for each in names)


@dataclass(eq=False)
class Discount:
    """A negative line item, and what it took off each charge."""

    kind: str
    id: str
    charges: Sequence[Charge]

    @property
    def amount(self) -> Fraction:
        taken = (each.taken.get(self.id, ZERO) + each.off_overage.get(self.id, ZERO) for each in self.charges)
        return -sum(taken, ZERO)


def take_off(kind: str, name: str, amount: Fraction, shares: Sequence[tuple[Charge, Fraction]]) -> Discount:
    """Spread an amount over charges by their shares, in the currency's unit."""
    positive = [(charge, share) for charge, share in shares if share > 0]
    currency = shares[0][0].item.currency
    parts = allocate(amount, [share for _, share in positive], currency)
    for (charge, _), part in zip(positive, parts, strict=True):
        charge.taken[name] = charge.taken.get(name, ZERO) + part
    return Discount(kind, name, [charge for charge, _ in positive])
