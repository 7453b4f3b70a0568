"""What is left of line items: what maximums, credits and promotions took off each of them (R6.2, R6.4, R9.2).

The line items themselves never change, and amounts never depend on this: it only says which of the charges that stand
together bears what of a negative line item. It is spread by what is left of each, in the currency's smallest unit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from ratel.core.allocation import allocate
from ratel.core.bill import LineItem, LineItemKind
from ratel.core.money import ZERO
from ratel.core.pricing import ApplyAs


@dataclass(slots=True, eq=False)
class Discount:
    """A negative line item that took off others."""

    item: LineItem


@dataclass(slots=True, eq=False)
class Charge:
    """A line item that others may act on.

    Attributes:
        gross: its amount; of a maximum that found too little, what it could not take off.
        discounts: what each took off it, above zero, in their order.
    """

    item: LineItem
    gross: Decimal
    discounts: dict[Discount, Decimal] = field(default_factory=dict)

    @property
    def net(self) -> Decimal:
        """What is left of it: never below zero where the gross is not."""
        return self.gross - sum(self.discounts.values(), ZERO)


@dataclass(slots=True)
class Remainder:
    """The charges that stand together, in the order of their line items."""

    charges: list[Charge] = field(default_factory=list)

    def add(self, item: LineItem) -> None:
        """Add a line item that takes off no other."""
        self.charges.append(Charge(item, item.amount))

    def take_off(self, item: LineItem, shares: Iterable[tuple[Charge, Decimal]]) -> None:
        """Spread a negative line item over charges by their shares; those that are not above zero bear nothing.

        Args:
            item: what takes off.
            shares: each at most what is left of its charge. What is above their sum stays a negative charge by itself.
        """
        bearing = [(charge, share) for charge, share in shares if share > ZERO]
        amount = min(-item.amount, sum((share for _, share in bearing), ZERO))
        parts = zip(bearing, allocate(amount, [share for _, share in bearing], item.currency), strict=True)
        discount = Discount(item)
        for (charge, _), part in parts:
            if part:
                charge.discounts[discount] = part
        if item.amount + amount:
            self.charges.append(Charge(item, item.amount + amount))


_TAKING: Final = (LineItemKind.MAXIMUM_SPEND, LineItemKind.USAGE_CREDIT)


def remainder_of(line_items: Sequence[LineItem], apply_as: Mapping[str, ApplyAs]) -> Remainder:
    """Return what maximums and credits leave of line items.

    Args:
        line_items: those that stand together, in the order of computation; runs inside `money.EXACT`.
        apply_as: how the pricings of credits are applied, by pricing id.
    """
    found = Remainder()
    for item in line_items:
        if item.kind not in _TAKING:
            found.add(item)
    for item in line_items:
        if item.kind is LineItemKind.MAXIMUM_SPEND:
            found.take_off(item, [(each, each.net) for each in found.charges if _is_capped(each.item, item)])
    for item in line_items:
        if item.kind is LineItemKind.USAGE_CREDIT and item.amount > ZERO:
            found.add(item)
        elif item.kind is LineItemKind.USAGE_CREDIT:
            is_product = apply_as[item.pricing_id] is ApplyAs.PRODUCT_CREDIT
            shares = [(each, each.net) for each in found.charges if _is_credited(each.item, item, is_product)]
            found.take_off(item, shares)
    return found


def _is_capped(item: LineItem, maximum: LineItem) -> bool:
    """Tell whether a line item was compared with a maximum: of its pricing, of the plan, or of the plan group."""
    if item.kind is LineItemKind.STANDING_CHARGE or item.bill_period != maximum.bill_period:
        return False
    if not maximum.origin.plan_id:
        is_same_account = item.account_id == maximum.account_id
        return is_same_account and item.origin.plan_group_id == maximum.origin.plan_group_id
    return item.origin == maximum.origin and maximum.pricing_id in ("", item.pricing_id)


def _is_credited(item: LineItem, credit: LineItem, is_product: bool) -> bool:
    is_of_product = item.origin.product_id == credit.origin.product_id
    return item.currency == credit.currency and (is_of_product or not is_product)
