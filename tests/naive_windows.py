"""A second implementation of rating: plain loops over raw events, days and instants, written from the rules.

Shares no arithmetic, calendar or window with the core: only the nouns that a story is made of. Slow and simple, so that
what both agree on is likely to be right.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import ceil, floor
from zoneinfo import ZoneInfo

from ratel.core.account import Attachment
from ratel.core.meter import Aggregation, Method
from ratel.core.money import Rounding
from ratel.core.period import Frequency, Period
from ratel.core.plan import Plan
from ratel.core.pricing import OwnerKind, PricedKind, PricedThing, Pricing
from tests.story import Story

Values = tuple[str, ...]
CENT = Fraction(1, 100)


@dataclass(frozen=True)
class Item:
    """One line item; the amount in cents."""

    kind: str
    pricing_id: str
    values: Values
    start: datetime
    cents: int
    attachment_id: str
    period: tuple[datetime, datetime]


@dataclass(frozen=True)
class Event:
    """One event, once."""

    id: str
    time: datetime
    values: dict[str, str]


# --- Numbers ----------------------------------------------------------------------------------------------------------


def half_up(value: Fraction) -> int:
    """Round to an integer, half away from zero."""
    whole = floor(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole


def cents(value: Fraction) -> int:
    return half_up(value / CENT)


def units_of(quantity: Fraction, per_unit: Fraction, rounding: Rounding) -> Fraction:
    ratio = quantity / per_unit
    sign = -1 if ratio < 0 else 1
    if rounding is Rounding.UP:
        return Fraction(sign * ceil(abs(ratio)))
    if rounding is Rounding.DOWN:
        return Fraction(sign * floor(abs(ratio)))
    return Fraction(half_up(ratio)) if rounding is Rounding.NEAREST else ratio


def price(pricing: Pricing, units: Fraction) -> Fraction:
    """F(units), band by band."""
    bands = pricing.bands.bands
    if units < 0:
        first = bands[0]
        size = first.block_size
        return Fraction(first.unit_price) * (units if size is None else -floor(-units / Fraction(size)))
    if units == 0 and not pricing.bands.charge_zero:
        return Fraction(0)
    total = Fraction(0)
    for index, band in enumerate(bands):
        lower = Fraction(band.lower_limit)
        upper = Fraction(bands[index + 1].lower_limit) if index + 1 < len(bands) else None
        if units > lower or index == 0:
            inside = units - lower if upper is None or units <= upper else upper - lower
            counted = inside if pricing.bands.cumulative else units
            if band.block_size is not None:
                counted = Fraction(max(ceil(counted / Fraction(band.block_size)), 1))
            charge = Fraction(band.fixed_price) + counted * Fraction(band.unit_price)
            total = total + charge if pricing.bands.cumulative else charge
    return total


# --- Time -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calendar:
    """Local days, and the bill periods of a template."""

    zone: str
    frequency: Frequency
    interval: int
    epoch: date | None

    def midnight(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def day(self, instant: datetime) -> date:
        return instant.astimezone(ZoneInfo(self.zone)).date()

    def days(self, start: datetime, end: datetime) -> int:
        count, day = 0, self.day(start)
        while day < self.day(end):
            day, count = day + timedelta(days=1), count + 1
        return count

    def periods(self) -> list[tuple[datetime, datetime]]:
        return _periods(self)


@lru_cache(maxsize=64)
def _periods(calendar: Calendar) -> list[tuple[datetime, datetime]]:
    """All bill periods that touch the years 2023 to 2025, counted from the epoch."""
    first = calendar.epoch or (date(1969, 12, 29) if calendar.frequency is Frequency.WEEKLY else date(1970, 1, 1))
    found: list[datetime] = []
    steps = 0
    while _later(first, calendar.frequency, steps).year > 2022:
        steps -= calendar.interval
    while _later(first, calendar.frequency, steps + calendar.interval).year < 2023:
        steps += calendar.interval
    while not found or found[-1].year < 2026:
        found.append(calendar.midnight(_later(first, calendar.frequency, steps)))
        steps += calendar.interval
    return list(pairwise(found))


def _later(first: date, frequency: Frequency, steps: int) -> date:
    if frequency in (Frequency.DAILY, Frequency.WEEKLY):
        return first + timedelta(days=steps * (1 if frequency is Frequency.DAILY else 7))
    months = first.month - 1 + steps * (1 if frequency is Frequency.MONTHLY else 12)
    year, month = first.year + months // 12, months % 12 + 1
    for day in range(first.day, 0, -1):
        try:
            return date(year, month, day)
        except ValueError:
            continue
    raise ValueError(first)


# --- Pricings and events ----------------------------------------------------------------------------------------------


class Naive:
    """One story, one asked period."""

    def __init__(self, story: Story, asked: Period) -> None:
        assert asked.end is not None
        self.story = story
        self.start, self.end = asked.start, asked.end
        seen: dict[str, Event] = {}
        for usage in story.usages:
            for event_id in usage.ids:
                seen.setdefault(event_id, Event(event_id, usage.time, dict(usage.values)))
        self.events = list(seen.values())

    def calendar(self, attachment: Attachment) -> Calendar:
        settings, template = self.story.settings, self.story.template
        epoch = attachment.epoch or settings.epoch(template.frequency)
        return Calendar(settings.time_zone, template.frequency, template.interval, epoch)

    def in_force(self, plan: Plan, thing: PricedThing, segment: Values, instant: datetime) -> Pricing | None:
        found = [
            each
            for each in self.story.pricings
            if each.priced == thing
            and each.segment == segment
            and each.period.start <= instant
            and (each.period.end is None or instant < each.period.end)
            and (each.owner.kind is OwnerKind.TEMPLATE or each.owner.id == plan.id)
        ]
        own = [each for each in found if each.owner.kind is OwnerKind.PLAN]
        return next(iter(own or found), None)

    def segments(self, thing: PricedThing) -> list[Values]:
        return sorted({each.segment for each in self.story.pricings if each.priced == thing})

    def takes(self, plan: Plan, thing: PricedThing, values: Values, instant: datetime) -> Pricing | None:
        """The pricing that takes a combination: the one with most literals, then the earlier literal."""
        best: Pricing | None = None
        best_rank: tuple[int, list[bool]] = (0, [])
        for segment in self.segments(thing):
            pricing = self.in_force(plan, thing, segment, instant)
            if pricing and all(w in ("*", v) for w, v in zip(segment, values, strict=True)):
                rank = (sum(w != "*" for w in segment), [w != "*" for w in segment])
                if best is None or rank > best_rank:
                    best, best_rank = pricing, rank
        return best

    def windows(
        self, plan: Plan, thing: PricedThing, segment: Values, start: datetime, end: datetime
    ) -> Iterator[tuple[datetime, datetime, Pricing]]:
        """The stretches of [start, end) in which one pricing is in force."""
        instants = {start, end}
        for each in self.story.pricings:
            instants |= {instant for instant in (each.period.start, each.period.end) if instant}
        inside = sorted(instant for instant in instants if start <= instant <= end)
        runs: list[tuple[datetime, datetime, Pricing | None]] = []
        for left, right in pairwise(inside):
            pricing = self.in_force(plan, thing, segment, left)
            if runs and runs[-1][2] is pricing:
                runs[-1] = (runs[-1][0], right, pricing)
            else:
                runs.append((left, right, pricing))
        for left, right, pricing in runs:
            if pricing and left < self.end and right > self.start:
                yield left, right, pricing

    def quantity(self, thing: PricedThing, events: list[Event], *, has_default: bool) -> Fraction | None:
        if thing.kind is PricedKind.AGGREGATION:
            return self.aggregate(self.story.aggregations[thing.id], events, has_default=has_default)
        compound = self.story.compounds[thing.id]
        names = sorted(compound.formula.names)
        values = [self.aggregate(self.story.aggregations[name], events, has_default=True) for name in names]
        if None in values and not compound.null_as_zero:
            return None
        left, right = (each or Fraction(0) for each in values)
        return left - right  # the only formula in random stories

    def aggregate(self, aggregation: Aggregation, events: list[Event], *, has_default: bool) -> Fraction | None:
        kept = [event for event in events if counts(aggregation, event)]
        field = aggregation.field
        carrying = [event for event in kept if not field or event.values.get(field, "")]
        default = aggregation.default_quantity
        if not carrying:
            return Fraction(default) if default is not None and has_default else None
        if aggregation.method is Method.COUNT:
            return Fraction(len(carrying))
        if aggregation.method is Method.UNIQUE:
            return Fraction(len({event.values[field] for event in carrying}))
        numbers = [Fraction(event.values[field]) for event in carrying]
        latest = max(carrying, key=lambda event: (event.time, event.id))
        return {
            Method.SUM: sum(numbers, Fraction(0)),
            Method.MIN: min(numbers),
            Method.MAX: max(numbers),
            Method.MEAN: sum(numbers, Fraction(0)) / len(numbers),
            Method.LATEST: Fraction(latest.values[field]),
        }[aggregation.method]


def counts(aggregation: Aggregation, event: Event) -> bool:
    kept = aggregation.filter
    return kept is None or event.values.get(kept.field, "") in kept.values
