"""R2: from raw events to a quantity, by looking at every event each time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from tests.naive import formula
from tests.naive.account import Event
from tests.naive.catalog import Aggregation, Catalog, Compound, Meter
from tests.naive.exact import ZERO, Quantity

Value = Fraction | str | None


@dataclass(frozen=True)
class Span:
    """What is looked at: a window from its start up to some instant in it."""

    start: datetime
    end: datetime
    window_end: datetime


def readings(catalog: Catalog, events: Sequence[Event]) -> list[Event]:
    """Each event once, whatever the number of times it was sent (R13), with its derived values (R2.1)."""
    once = {event.id: event for event in events}
    return [replace(each, values=derive(catalog.meter(each.meter), each)) for each in once.values()]


def derive(meter: Meter, event: Event) -> dict[str, Fraction | str]:
    """R2.1: a derived field is a formula over the others; over a missing value it is missing. "" is missing too."""
    values = {name: value for name, value in event.values.items() if value != ""}
    for each in meter.fields:
        if each.kind == "DERIVED":
            numbers = {field.name: number(values.get(field.name)) for field in meter.fields}
            result = formula.evaluate(each.formula, numbers)
            if result is not None:
                values[each.name] = result
    return values


def number(value: Value) -> Fraction | None:
    return value if isinstance(value, Fraction) else None


def between(events: Sequence[Event], start: datetime, end: datetime) -> list[Event]:
    """R2.2: an event counts when start <= event_time < end; of a child (R11.1) if it does not pay for itself then."""
    return [event for event in events if start <= event.time < end and not is_apart(event)]


def is_apart(event: Event) -> bool:
    return any(start <= event.time < end for start, end in event.apart)


def counting(aggregation: Aggregation, events: Sequence[Event]) -> list[Event]:
    """R2.2: the events of the meter that the filter keeps and that have a value of the field (R2.1)."""
    kept = [event for event in events if event.meter == aggregation.meter]
    if aggregation.filter:
        field, allowed = aggregation.filter
        kept = [event for event in kept if event.values.get(field, "") in allowed]
    return [event for event in kept if not aggregation.field or aggregation.field in event.values]


def combination(aggregation: Aggregation, event: Event) -> tuple[str, ...]:
    """R2.4: the values of the segment fields, a missing one is written ""."""
    return tuple(str(event.values.get(field, "")) for field in aggregation.segment_fields)


def quantity(aggregation: Aggregation, counted: Sequence[Event]) -> Quantity | None:
    """R2.2, R2.3: of events that count."""
    if not counted:
        return default_of(aggregation)
    if aggregation.method == "COUNT":
        return Quantity(Fraction(len(counted)))
    if aggregation.method == "UNIQUE":
        return Quantity(Fraction(len({event.values[aggregation.field] for event in counted})))
    if aggregation.method == "LATEST":  # greatest event_time, ties by greatest event id
        latest = max(counted, key=lambda event: (event.time, event.id.encode()))
        return Quantity(value_of(latest, aggregation.field))
    numbers = [value_of(event, aggregation.field) for event in counted]
    total = sum(numbers, ZERO)
    if aggregation.method == "MEAN":
        return Quantity(total, Fraction(len(numbers)))
    return Quantity({"SUM": total, "MIN": min(numbers), "MAX": max(numbers)}[aggregation.method])


def default_of(aggregation: Aggregation) -> Quantity | None:
    return None if aggregation.default is None else Quantity(aggregation.default)


def value_of(event: Event, field: str) -> Fraction:
    value = number(event.values[field])
    assert value is not None
    return value


def measured(aggregation: Aggregation, counted: Sequence[Event], span: Span) -> Quantity | None:
    """The quantity of a span, of events that may also lie before: what the level of R2.7 needs."""
    if aggregation.method == "WEIGHTED_SUM":
        changes = [
            (event, *stretch) for event in counted for stretch in event.counted(max(event.time, span.start), span.end)
        ]
        return weighted_sum(aggregation, changes, span) if changes else default_of(aggregation)
    return quantity(aggregation, between(counted, span.start, span.end))


def weighted_sum(aggregation: Aggregation, changes: Sequence[tuple[Event, datetime, datetime]], span: Span) -> Quantity:
    """R2.7: the integral of the level by the length of the window; each change lasts for a stretch of it."""
    integral = ZERO
    for event, start, end in changes:
        integral += value_of(event, aggregation.field) * microseconds(start, end)
    return Quantity(integral, Fraction(microseconds(span.start, span.window_end)))


def microseconds(start: datetime, end: datetime) -> int:
    length = end - start
    return (length.days * 86400 + length.seconds) * 1_000_000 + length.microseconds


def compound_quantity(catalog: Catalog, compound: Compound, events: Sequence[Event], span: Span) -> Quantity | None:
    """R2.5: operands enter raw, with their filter and default; a null one makes it null unless null_as_zero."""
    values: dict[str, Fraction | None] = {}
    for operand in catalog.aggregations:
        if operand.id in formula.TOKEN.findall(compound.formula):
            result = measured(operand, counting(operand, events), span)
            values[operand.id] = result.shown if result else ZERO if compound.null_as_zero else None
    value = formula.evaluate(compound.formula, values)
    return None if value is None else Quantity(value)
