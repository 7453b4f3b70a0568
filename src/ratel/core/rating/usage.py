"""USAGE: each window is priced by itself, and what is asked of it is what it adds (R4.3, R12.1)."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Final

from ratel.core.bill import LineItem, LineItemKind, PricedQuantity, UsageWorkings
from ratel.core.compiled import CompiledThing
from ratel.core.money import ZERO
from ratel.core.period import Period
from ratel.core.pricing import AccumulationMode, ApplyAs
from ratel.core.quantity import Quantity, Values
from ratel.core.rating.accumulation import accumulation_of, is_zero_charged, price_new_units
from ratel.core.rating.draft import (
    Draft,
    ThingUsage,
    description_of,
    is_split,
    merged,
    origin_of,
    quantity_of_thing,
    rounded,
    segment_of,
)
from ratel.core.rating.quote import average_unit_price, price_quantity
from ratel.core.rating.taken import Taken
from ratel.core.window import Window, end_of

_NOTHING: Final = PricedQuantity(None, ZERO, ZERO, ())


def usage(draft: Draft) -> Iterator[LineItem]:
    """Yield what usage is charged; credits have a pass of their own."""
    yield from draft.in_order(
        item
        for thing_usage in draft.thing_usages
        for window in thing_usage.thing_part.windows
        if window.pricing.apply_as is ApplyAs.DEBIT
        for item in usage_of_window(thing_usage, window)
    )


def usage_of_window(thing_usage: ThingUsage, window: Window) -> Iterator[LineItem]:
    """Yield what a window of usage charges: one line item, or one for each combination under a wildcard (R2.4)."""
    taken = [
        each
        for each in thing_usage.taken_by(window.pricing)
        if window.origin <= each.slice.period.start < end_of(window.asked)
    ]
    if not thing_usage.thing_part.thing.aggregations:
        return
    apart = {window.pricing.segment: taken}
    if is_split(window.pricing):
        apart = {values: list(found) for values, found in groupby(sorted(taken, key=_values), key=_values)}
    for values, found in apart.items():
        item = _line_item(thing_usage, window, values, found)
        if item is not None:
            yield item


def _values(taken: Taken) -> Values:
    return taken.values


def _line_item(thing_usage: ThingUsage, window: Window, values: Values, taken: Sequence[Taken]) -> LineItem | None:
    thing_part, pricing = thing_usage.thing_part, window.pricing
    through = _priced(thing_usage, window, taken, end_of(window.asked))
    before = None
    if window.origin < window.asked.start:
        before = _priced(thing_usage, window, taken, window.asked.start)
        before = before or (through and _NOTHING)
        through = through or (before and _NOTHING)
    if through is None:
        return None
    service = thing_part.part.service
    exact_amount = through.amount - (before.amount if before else ZERO)
    # Each end is rounded by itself, so that the parts of a window add up to the whole.
    amount = rounded(service, through.amount) - (rounded(service, before.amount) if before else ZERO)
    return LineItem(
        kind=LineItemKind.USAGE,
        description=description_of(thing_part, pricing, values),
        origin=origin_of(service),
        pricing_id=pricing.id,
        priced=thing_part.thing.priced,
        segment=segment_of(thing_part, values),
        bill_period=thing_part.part.bill_period,
        service=window.asked,
        currency=service.plan.template.currency,
        amount=amount,
        exact_amount=exact_amount,
        workings=_workings(thing_usage, window, through, before),
    )


def _priced(thing_usage: ThingUsage, window: Window, taken: Sequence[Taken], until: datetime) -> PricedQuantity | None:
    """Return what the bands make of usage until an instant; None where nothing counts and nothing is charged for it."""
    thing, pricing = thing_usage.thing_part.thing, window.pricing
    is_alone = not is_split(pricing)
    quantity = _quantity_until(thing, taken, window.period, until, has_default=is_alone)
    if quantity is None:
        is_charged = is_zero_charged(thing, window, until) if pricing.accumulate else pricing.bands.charge_zero
        if not (is_charged and is_alone):
            return None
    if pricing.accumulation_mode is AccumulationMode.POSITIONAL:
        paid = None
        if window.origin < window.period.start:
            paid = _quantity_until(thing, taken, window.period, window.period.start, has_default=is_alone)
        return price_new_units(quantity, _units(thing, quantity), _units(thing, paid), pricing.bands)
    return price_quantity(quantity, thing.quantity_per_unit, thing.rounding, pricing.bands)


def _quantity_until(
    thing: CompiledThing, taken: Sequence[Taken], window: Period, until: datetime, *, has_default: bool
) -> Quantity | None:
    sources = merged(thing, (each for each in taken if each.slice.period.start < until))
    return quantity_of_thing(thing, sources, window, has_default=has_default)


def _units(thing: CompiledThing, quantity: Quantity | None) -> Decimal:
    return ZERO if quantity is None else quantity.units(thing.quantity_per_unit, thing.rounding)


def _workings(
    thing_usage: ThingUsage, window: Window, through: PricedQuantity, before: PricedQuantity | None
) -> UsageWorkings:
    thing = thing_usage.thing_part.thing
    exact_amount = through.amount - (before.amount if before else ZERO)
    units = through.units - (before.units if before else ZERO)
    return UsageWorkings(
        window=window.period,
        through=through,
        before=before,
        quantity_per_unit=thing.quantity_per_unit,
        rounding=thing.rounding,
        unit=thing.unit,
        cumulative=window.pricing.bands.cumulative,
        average_unit_price=average_unit_price(exact_amount, units),
        accumulation=accumulation_of(window, through.units) if window.pricing.accumulate else None,
    )
