"""What a plan charges for over time: its own pricings over those it inherits (R3.2, R3.3).

Own pricings of one thing and segment never overlap each other, nor do a template's; everything here rests on that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ratel.core.period import Period
from ratel.core.pricing import PricedThing, Pricing

Segment = tuple[str, ...]


def pricings_in_force(own: Sequence[Pricing], inherited: Sequence[Pricing]) -> tuple[tuple[Period, Pricing], ...]:
    """Return when which pricing of one thing and segment is in force for a plan.

    Args:
        own: the plan's pricings of that thing and segment.
        inherited: its template's.

    Returns:
        By time, disjoint: own pricings for their whole schedule, inherited ones where no own pricing is. An inherited
        pricing may occur several times. Stretches may touch; those of one pricing never do.
    """
    taken = [pricing.period for pricing in own]
    left = [(period, pricing) for pricing in inherited for period in _outside(pricing.period, taken)]
    return tuple(sorted([*((pricing.period, pricing) for pricing in own), *left], key=_start_of))


def _outside(period: Period, taken: Iterable[Period]) -> list[Period]:
    """Return the stretches of a period that none of the others holds, by time."""
    outside = []
    start: datetime = period.start
    for other in sorted(taken, key=lambda each: each.start):
        if not other.overlaps(period):
            continue
        if start < other.start:
            outside.append(Period(start, other.start))
        if other.end is None:
            return outside
        start = other.end
    if period.end is None or start < period.end:
        outside.append(Period(start, period.end))
    return outside


def _start_of(stretch: tuple[Period, Pricing]) -> datetime:
    return stretch[0].start


def by_thing(pricings: Iterable[Pricing]) -> dict[tuple[PricedThing, Segment], list[Pricing]]:
    """Sort pricings apart by what they price, in the order of kind, id and segment."""
    apart: dict[tuple[PricedThing, Segment], list[Pricing]] = {}
    for pricing in sorted(pricings, key=lambda each: (each.priced, each.segment, each.period.start)):
        apart.setdefault((pricing.priced, pricing.segment), []).append(pricing)
    return apart


# --- The view ---------------------------------------------------------------------------------------------------------


class ScheduleState(StrEnum):
    """Where a schedule stands relative to an instant: ended at it or before, holds it, or starts after it."""

    HISTORIC = "HISTORIC"
    ACTIVE = "ACTIVE"
    FUTURE = "FUTURE"


class PricingOrigin(StrEnum):
    """Where a plan has a pricing from; OVERRIDDEN is inherited, but not in force for its whole schedule."""

    OWN = "OWN"
    INHERITED = "INHERITED"
    OVERRIDDEN = "OVERRIDDEN"


@dataclass(frozen=True, slots=True)
class ScheduledPricing:
    """One pricing as a plan sees it; the periods in force are disjoint and by time, perhaps none."""

    pricing: Pricing
    state: ScheduleState
    origin: PricingOrigin
    periods_in_force: tuple[Period, ...]


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """The pricings of one priced thing and segment, by start; the plan's own first where two start together."""

    priced: PricedThing
    segment: Segment
    pricings: tuple[ScheduledPricing, ...]


def schedule_entries(
    own: Sequence[Pricing], inherited: Sequence[Pricing], view_time: datetime
) -> tuple[ScheduleEntry, ...]:
    """Return all that a plan charges for, seen from an instant; by kind of thing, id and segment."""
    mine, others = by_thing(own), by_thing(inherited)
    return tuple(
        ScheduleEntry(*key, _scheduled(mine.get(key, []), others.get(key, []), view_time))
        for key in sorted(mine.keys() | others.keys())
    )


def _scheduled(
    own: Sequence[Pricing], inherited: Sequence[Pricing], view_time: datetime
) -> tuple[ScheduledPricing, ...]:
    stretches = pricings_in_force(own, inherited)
    found = []
    for pricing in sorted([*own, *inherited], key=lambda each: each.period.start):  # stable: own ones first
        periods = tuple(period for period, other in stretches if other is pricing)
        if pricing in own:
            origin = PricingOrigin.OWN
        else:
            origin = PricingOrigin.INHERITED if periods == (pricing.period,) else PricingOrigin.OVERRIDDEN
        found.append(ScheduledPricing(pricing, _state(pricing.period, view_time), origin, periods))
    return tuple(found)


def _state(period: Period, view_time: datetime) -> ScheduleState:
    if period.contains(view_time):
        return ScheduleState.ACTIVE
    return ScheduleState.FUTURE if view_time < period.start else ScheduleState.HISTORIC


def cut_times(pricing: Pricing, own: Sequence[Pricing]) -> tuple[datetime, ...]:
    """Return the instants, of the pricing's start and end, at which a plan's pricing in force changes because of it.

    Args:
        pricing: the plan's own, or its template's.
        own: the plan's own pricings of the same thing and segment; those that hide an inherited pricing.
    """
    others = () if pricing in own else own
    periods = [period for period, found in pricings_in_force(others, [pricing]) if found is pricing]
    bounds = [bound for period in periods for bound in (period.start, period.end)]
    return tuple(bound for bound in (pricing.period.start, pricing.period.end) if bound is not None and bound in bounds)


@dataclass(frozen=True, slots=True)
class PeriodCut:
    """A bill period of an attached account, and the instant inside it at which another pricing takes over (R4.3)."""

    account_id: str
    attachment_id: str
    period: Period
    time: datetime
