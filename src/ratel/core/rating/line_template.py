"""Line items of usage but for what usage decides."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeAlias, cast

from ratel.core.band import Bands, Reached
from ratel.core.bill import LineItem, PricedQuantity, Segment, UsageWorkings
from ratel.core.money import ZERO
from ratel.core.quantity import Quantity
from ratel.core.rating.draft import rounded
from ratel.core.rating.quote import average_unit_price, price_quantity
from ratel.core.window import ThingPart

LineKey: TypeAlias = tuple[int, str, str, Segment, datetime]
"""Orders line items as a rating does: by attachment, priced thing, segment and time."""


@dataclass(slots=True, eq=False)
class LineTemplate:
    """A line item of usage but for what usage decides; one object for each, to be known by identity.

    Attributes:
        item: the line item of some usage.
        key: see there.
        thing_part: says what bands count, and how amounts are rounded.
        bands: of its pricing.
    """

    item: LineItem
    key: LineKey
    thing_part: ThingPart
    bands: Bands
    _last: tuple[Quantity | None, "PricedLine"] | None = None

    def fill(self, priced: PricedQuantity, amount: Decimal) -> LineItem:
        """Return the line item of some usage."""
        workings = cast(UsageWorkings, self.item.workings)
        average = average_unit_price(priced.amount, priced.units)
        return replace(
            self.item,
            amount=amount,
            exact_amount=priced.amount,
            workings=replace(workings, through=priced, average_unit_price=average),
        )

    def priced(self, quantity: Quantity | None) -> "PricedLine":
        """Return what the line is with a quantity: the same object as long as that is the same."""
        if self._last is not None and self._last[0] == quantity:
            return self._last[1]
        thing = self.thing_part.thing
        priced = price_quantity(quantity, thing.quantity_per_unit, thing.rounding, self.bands)
        line = PricedLine(self, priced, rounded(self.thing_part.part.service, priced.amount))
        self._last = quantity, line
        return line

    def reach(self, quantity: Quantity | None) -> "ReachedLine":
        """Return the same as `priced`, as far as it depends on the quantity; runs inside `money.EXACT`."""
        thing = self.thing_part.thing
        units = ZERO if quantity is None else quantity.units(thing.quantity_per_unit, thing.rounding)
        reached = self.bands.reach(units)
        exact_amount = ZERO if reached is None else reached.total
        return ReachedLine(quantity, units, reached, rounded(self.thing_part.part.service, exact_amount), exact_amount)


class PricedLine(NamedTuple):
    """What makes a template a line item; the same object as long as the quantity is the same."""

    template: LineTemplate
    priced: PricedQuantity
    amount: Decimal


class ReachedLine(NamedTuple):
    """A quantity, where in the bands its units end, and what is charged.

    Attributes:
        reached: None where nothing is charged.
    """

    quantity: Quantity | None
    units: Decimal
    reached: Reached | None
    amount: Decimal
    exact_amount: Decimal
