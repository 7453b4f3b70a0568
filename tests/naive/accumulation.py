"""R5: usage that accumulates over an attachment, and top-up."""

from datetime import datetime
from fractions import Fraction
from math import ceil

from tests.naive.account import Event
from tests.naive.bands import band_reached
from tests.naive.catalog import Pricing
from tests.naive.exact import ZERO, Quantity
from tests.naive.plan import Segment, Window, all_in_force, belongs_to, windows
from tests.naive.quantity import Span, between, combination, compound_quantity, counting, quantity
from tests.naive.usage import Usage, charge


def accumulated_events(usage: Usage, pricing: Pricing, start: datetime, end: datetime) -> list[Event]:
    """R5.3: a new pricing does not reset: what counts is usage of the segment, whichever of its pricings was in force.

    Only what another segment took at its own time is that one's (R2.4).
    """
    aggregation = usage.catalog.aggregation(pricing.thing.id)
    found = []
    for event in between(counting(aggregation, usage.events), start, end):
        in_force = all_in_force(usage.catalog, usage.plan, pricing.thing, event.time)
        rivals = [pricing, *(each for each in in_force if each.segment != pricing.segment)]
        if belongs_to(rivals, combination(aggregation, event)) == pricing:
            found.append(event)
    return found


def accumulated_combinations(usage: Usage, pricing: Pricing, start: datetime, end: datetime) -> list[Segment | None]:
    """R2.4: each combination of a wildcard that has occurred, unless pooled; everything else is one."""
    if "*" not in pricing.segment or pricing.pool:
        return [None]
    aggregation = usage.catalog.aggregation(pricing.thing.id)
    events = accumulated_events(usage, pricing, start, end)
    return [*sorted({combination(aggregation, event) for event in events})]


def accumulated_quantity(
    usage: Usage, pricing: Pricing, only: Segment | None, start: datetime, end: datetime
) -> Quantity | None:
    """R5.1: Q from the start of the accumulation to an instant."""
    catalog, thing = usage.catalog, pricing.thing
    if thing.kind == "COMPOUND":
        return compound_quantity(catalog, catalog.compound(thing.id), usage.events, Span(start, end, end))
    aggregation = catalog.aggregation(thing.id)
    events = accumulated_events(usage, pricing, start, end)
    events = [event for event in events if only in (None, combination(aggregation, event))]
    return quantity(aggregation, events) if events or only is None else None


def accumulated_units(
    usage: Usage, pricing: Pricing, only: Segment | None, start: datetime, end: datetime
) -> Fraction | None:
    """R5.1: U of an instant; rounded of the cumulative quantity, so that rounding never adds up."""
    result = accumulated_quantity(usage, pricing, only, start, end) if start < end else None
    catalog, thing = usage.catalog, pricing.thing
    counted = catalog.compound(thing.id) if thing.kind == "COMPOUND" else catalog.aggregation(thing.id)
    return result.units(counted.per_unit, counted.rounding) if result else None


def accumulated_charge(
    usage: Usage, window: Window, only: Segment | None, start: datetime, at: datetime
) -> Fraction | None:
    """R5.1: F(U) at an instant; nothing until something has been charged."""
    pricing = window.pricing
    units = accumulated_units(usage, pricing, only, start, at)
    if units is None and only is None:  # R1.4: zero may have been charged, by any pricing of the segment before
        before = windows(usage.catalog, usage.plan, (pricing.thing, pricing.segment), start, at)
        units = ZERO if any(each.pricing.charge_zero for each in before) else None
    if units is None:
        return None
    if pricing.accumulation_mode == "POSITIONAL":
        return positional_charge(usage, window, only, start, at)
    return charge(window, units)


def positional_charge(usage: Usage, window: Window, only: Segment | None, start: datetime, at: datetime) -> Fraction:
    """R5.2: the window's new units at the band that is reached, its fixed price once, when it is first reached."""
    bands = window.pricing.bands
    before = accumulated_units(usage, window.pricing, only, start, window.start)
    units = accumulated_units(usage, window.pricing, only, start, at) or ZERO
    reached = band_reached(bands, units)
    assert bands[reached].block is None
    is_new = units > 0 and (before is None or before <= 0 or band_reached(bands, before) < reached)
    return (units - (before or ZERO)) * bands[reached].unit + (bands[reached].fixed if is_new else ZERO)


def units_owned(pricing: Pricing, units: Fraction) -> Fraction:
    """R5.4: whole blocks of each band entered, the first one even at zero if zero is charged."""
    owned = ZERO
    for index, band in enumerate(pricing.bands):
        upper = pricing.bands[index + 1].lower if index + 1 < len(pricing.bands) else units
        inside = max(ZERO, min(units, upper) - band.lower)
        is_owned_at_zero = index == 0 and units == 0 and pricing.charge_zero
        if band.block is None:
            owned += inside
        else:
            owned += max(ceil(inside / band.block), int(is_owned_at_zero)) * band.block
    return owned
