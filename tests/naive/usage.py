"""R1.6, R2.4, R3.5: what a window's usage has come to at an instant, and usage that no window takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from tests.naive.account import Event, Unpriced
from tests.naive.bands import price
from tests.naive.catalog import Aggregation, Catalog, Thing
from tests.naive.exact import ZERO, Quantity
from tests.naive.formula import TOKEN
from tests.naive.plan import Segment, Window, all_in_force, belongs_to, owners, pieces, pricings_of
from tests.naive.quantity import (
    Span,
    between,
    combination,
    compound_quantity,
    counting,
    default_of,
    measured,
    quantity,
    weighted_sum,
)


@dataclass(frozen=True)
class Usage:
    """What the usage of one attachment is read from: its plan and the account's events, each once."""

    catalog: Catalog
    plan: str
    events: Sequence[Event]


def belonging(usage: Usage, window: Window, end: datetime) -> list[Event]:
    """R2.4: the events from the window's start on whose segment, at their own time, its pricing prices."""
    catalog, pricing = usage.catalog, window.pricing
    aggregation = catalog.aggregation(pricing.thing.id)
    found = []
    for event in between(counting(aggregation, usage.events), window.start, end):
        rivals = all_in_force(catalog, usage.plan, pricing.thing, event.time)
        if belongs_to(rivals, combination(aggregation, event)) == pricing:
            found.append(event)
    return found


def levels(usage: Usage, window: Window, end: datetime) -> list[tuple[Event, datetime, datetime]]:
    """R2.7: each change, however old, with each stretch of the window in which its segment is the pricing's."""
    catalog, pricing = usage.catalog, window.pricing
    aggregation = catalog.aggregation(pricing.thing.id)
    return [
        (event, *stretch)
        for start, stop in pieces(pricings_of(catalog, usage.plan), window.start, end)
        for event in counting(aggregation, usage.events)
        for stretch in event.counted(max(event.time, start), stop)
        if belongs_to(all_in_force(catalog, usage.plan, pricing.thing, start), combination(aggregation, event))
        == pricing
    ]


def combinations(usage: Usage, window: Window, end: datetime) -> Sequence[Segment | None]:
    """R2.4: a wildcard prices each combination that it matches by itself, unless pooled; everything else is one."""
    pricing = window.pricing
    if "*" not in pricing.segment or pricing.pool:
        return [None]
    aggregation = usage.catalog.aggregation(pricing.thing.id)
    events = belonging(usage, window, end)
    if aggregation.method == "WEIGHTED_SUM":
        events = [event for event, _, _ in levels(usage, window, end)]
    return sorted({combination(aggregation, event) for event in events})


def quantity_until(usage: Usage, window: Window, end: datetime, only: Segment | None) -> Quantity | None:
    """What the window has come to at an instant, of one combination or (None) of all that the pricing takes.

    A combination of which nothing has come yet has no quantity, not the default: there is no end of those (R2.3).
    """
    catalog, thing = usage.catalog, window.pricing.thing
    span = Span(window.start, end, window.end)
    if thing.kind == "COMPOUND":
        return compound_quantity(catalog, catalog.compound(thing.id), usage.events, span)
    aggregation = catalog.aggregation(thing.id)
    default = default_of(aggregation) if only is None else None
    if aggregation.method == "WEIGHTED_SUM":
        changes = [each for each in levels(usage, window, end) if only in (None, combination(aggregation, each[0]))]
        return weighted_sum(aggregation, changes, span) if changes else default
    events = [event for event in belonging(usage, window, end) if only in (None, combination(aggregation, event))]
    return quantity(aggregation, events) if events else default


def units_until(usage: Usage, window: Window, end: datetime, only: Segment | None) -> Fraction | None:
    """R1.6; R1.4: with charge_zero null counts as 0, but not for the combinations of a wildcard."""
    result = quantity_until(usage, window, end, only)
    if result is None:
        return ZERO if window.pricing.charge_zero and only is None else None
    catalog, thing = usage.catalog, window.pricing.thing
    counted = catalog.compound(thing.id) if thing.kind == "COMPOUND" else catalog.aggregation(thing.id)
    return result.units(counted.per_unit, counted.rounding)


def charge(window: Window, units: Fraction | None) -> Fraction:
    """F of the units; nothing for null (R2.3)."""
    pricing = window.pricing
    if units is None:
        return ZERO
    return price(pricing.bands, units, cumulative=pricing.cumulative, charge_zero=pricing.charge_zero)


# --- Usage that no pricing takes --------------------------------------------------------------------------------------


def unpriced(usage: Usage, attachment: str, start: datetime, end: datetime) -> list[Unpriced]:
    """R3.5: usage of whatever the plan or its template has ever priced, and that no pricing takes."""
    catalog = usage.catalog
    things = {pricing.thing for pricing in pricings_of(catalog, usage.plan)}
    things |= {thing for owner, thing in catalog.ever_priced if owner in owners(catalog, usage.plan)}
    found = []
    for thing in sorted(things):
        for values, events in used(usage, thing, start, end):
            for gap in gaps(usage, thing, values, (start, end)):
                result = quantity_of(usage, thing, lasting(usage, thing, events, gap), gap)
                if result is not None:
                    found.append(Unpriced(attachment, thing, values, *gap, result.shown))
    return found


def used(usage: Usage, thing: Thing, start: datetime, end: datetime) -> list[tuple[Segment, list[Event]]]:
    """The events that count for a thing, by the combination of their segment fields; of levels also earlier ones."""
    catalog, events = usage.catalog, lasting(usage, thing, usage.events, (start, end))
    if thing.kind == "COUNTER":
        return []
    if thing.kind == "COMPOUND":
        operands = operands_of(usage, thing)
        return [((), [event for event in events if any(counting(each, [event]) for each in operands)])]
    aggregation = catalog.aggregation(thing.id)
    found: dict[Segment, list[Event]] = {}
    for event in counting(aggregation, events):
        found.setdefault(combination(aggregation, event), []).append(event)
    return sorted(found.items())


def lasting(usage: Usage, thing: Thing, events: Sequence[Event], stretch: tuple[datetime, datetime]) -> Sequence[Event]:
    """The events of a stretch, and before it those that changed a level which goes on in it (R2.7)."""
    if thing.kind == "COUNTER":
        return []
    levels = [each for each in operands_of(usage, thing) if each.method == "WEIGHTED_SUM"]
    start, end = stretch
    return [
        event
        for event in events
        if between([event], start, end)
        or (event.counted(max(event.time, start), end) and any(counting(each, [event]) for each in levels))
    ]


def operands_of(usage: Usage, thing: Thing) -> Sequence[Aggregation]:
    if thing.kind == "AGGREGATION":
        return [usage.catalog.aggregation(thing.id)]
    names = TOKEN.findall(usage.catalog.compound(thing.id).formula)
    return [each for each in usage.catalog.aggregations if each.id in names]


def gaps(
    usage: Usage, thing: Thing, values: Segment, stretch: tuple[datetime, datetime]
) -> list[tuple[datetime, datetime]]:
    """The longest stretches in which no pricing takes this combination."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in pieces(pricings_of(usage.catalog, usage.plan), *stretch):
        if not belongs_to(all_in_force(usage.catalog, usage.plan, thing, start), values):
            if found and found[-1][1] == start:
                start = found.pop()[0]  # noqa: PLW2901
            found.append((start, end))
    return found


def quantity_of(
    usage: Usage, thing: Thing, events: Sequence[Event], stretch: tuple[datetime, datetime]
) -> Quantity | None:
    """The quantity of these events, if there are any."""
    if not events:
        return None
    span = Span(*stretch, stretch[1])
    if thing.kind == "COMPOUND":
        return compound_quantity(usage.catalog, usage.catalog.compound(thing.id), events, span)
    aggregation = usage.catalog.aggregation(thing.id)
    result = measured(aggregation, events, span)
    is_over = aggregation.method == "WEIGHTED_SUM" and result is not None and not result.numerator
    return None if is_over else result
