"""Counters: the level at the start of a window, and its changes inside (R8).

Money is prorated by days, never the level: bands always look at the whole of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from ratel.core.bill import CounterWorkings, LineItem, LineItemKind
from ratel.core.counter import Adjustment
from ratel.core.family import pooled_adjustments
from ratel.core.level import Levels, levels_by_counter
from ratel.core.money import ZERO, divide
from ratel.core.period import Period, local_date, start_of_day
from ratel.core.pricing import ApplyAs, PricedKind
from ratel.core.rating.draft import Draft, description_of, origin_of, rounded
from ratel.core.rating.scope import Scope
from ratel.core.window import Part, ThingPart, Window, end_of

_UNTOUCHED: Final = Levels()
_COUNTER: Final = PricedKind.COUNTER


def levels_of(scope: Scope) -> dict[tuple[str, str], Levels]:
    """Return the levels that are charged, by account and counter: of a parent those of its children added (R11.1)."""
    context = scope.context
    adjustments = {child.account.id: list(child.adjustments) for child in context.children}
    adjustments[context.account.id] = list(context.adjustments)
    if context.children:
        adjustments[context.account.id] = list(_pooled(scope))
    return {
        (account_id, counter_id): levels
        for account_id, found in adjustments.items()
        for counter_id, levels in levels_by_counter(found).items()
    }


def _pooled(scope: Scope) -> Iterator[Adjustment]:
    context = scope.context
    products: dict[str, str] = {}
    zones: dict[str, str] = {}
    for service in scope.services:
        product_id = service.plan.template.product_id
        zones[product_id] = service.grid.zone
        products |= {each.priced.id: product_id for each in service.plan.things if each.priced.kind is _COUNTER}
    for product_id, zone in zones.items():
        for each in pooled_adjustments(context.adjustments, context.children, product_id, zone):
            if products.get(each.counter_id) == product_id:
                yield each


def counters(draft: Draft) -> Iterator[LineItem]:
    """Yield what counters are charged; credits have a pass of their own."""
    for thing_part in draft.scope.thing_parts:
        for window in thing_part.windows:
            if window.pricing.apply_as is ApplyAs.DEBIT:
                yield from counter_in_window(draft, thing_part, window)


def counter_in_window(draft: Draft, thing_part: ThingPart, window: Window) -> Iterator[LineItem]:
    """Yield what the level of a counter charges in a window; nothing for other things."""
    if thing_part.thing.priced.kind is not PricedKind.COUNTER:
        return
    account_id = thing_part.part.service.attachment.account_id
    levels = draft.levels.get((account_id, thing_part.thing.priced.id), _UNTOUCHED)
    first, is_prorated = _first_window(thing_part)
    has_total = is_prorated or window.period.start == first.start
    if has_total:
        yield from _running_total(thing_part, window, levels, is_prorated=is_prorated)
    yield from _adjustments(thing_part, window, levels, has_total=has_total)


def _first_window(thing_part: ThingPart) -> tuple[Period, bool]:
    """Return the first window of the part, asked for or not, and whether its pricing prorates running totals."""
    for stretch, pricing in thing_part.thing.stretches:  # a counter has no segments, so these are by time
        first = stretch.intersect(thing_part.part.covered)
        if first:
            return first, pricing.counter_terms.prorate_running_total
    raise ValueError("the part has no window")


# --- Line items -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Change:
    """What is charged: the level and what it was before, for a time."""

    kind: LineItemKind
    level: Decimal
    previous_level: Decimal | None
    service: Period
    is_prorated: bool
    day: date | None = None
    in_advance: bool = False


def _running_total(thing_part: ThingPart, window: Window, levels: Levels, *, is_prorated: bool) -> Iterator[LineItem]:
    part = thing_part.part
    level = levels.on(local_date(window.period.start, part.service.grid.zone))
    if not level and not window.pricing.bands.charge_zero:
        return
    service: Period | None = window.asked
    if not is_prorated:  # once, for the whole of the part, at the instant at which its first window begins
        is_asked = window.asked.start == window.period.start
        service = Period(window.period.start, part.covered.end) if is_asked else None
    if service:
        in_advance = window.pricing.counter_terms.running_total_in_advance
        kind = LineItemKind.COUNTER_RUNNING_TOTAL
        change = _Change(kind, level, None, service, is_prorated, in_advance=in_advance)
        yield from _line_item(thing_part, window, change)


def _adjustments(thing_part: ThingPart, window: Window, levels: Levels, *, has_total: bool) -> Iterator[LineItem]:
    zone = thing_part.part.service.grid.zone
    first, end = local_date(window.period.start, zone), local_date(end_of(window.period), zone)
    terms = window.pricing.counter_terms
    for day, previous_level, level in levels.changes(first, end):
        if day == first and has_total:
            continue  # the running total has it already
        rises = level > previous_level
        is_prorated = terms.prorate_debit if rises else terms.prorate_credit
        kind = LineItemKind.COUNTER_ADJUSTMENT_DEBIT if rises else LineItemKind.COUNTER_ADJUSTMENT_CREDIT
        service = _service_from(day, window, zone)
        if not is_prorated and service and not window.asked.contains(service.start):
            service = None
        if is_prorated and service:
            service = service.intersect(window.asked)
        if service:
            yield from _line_item(thing_part, window, _Change(kind, level, previous_level, service, is_prorated, day))


def _service_from(day: date, window: Window, zone: str) -> Period | None:
    start = max(start_of_day(day, zone), window.period.start)
    return Period(start, window.period.end) if start < end_of(window.period) else None


def _line_item(thing_part: ThingPart, window: Window, change: _Change) -> Iterator[LineItem]:
    workings = _workings(thing_part.part, window, change)
    if not workings.days:
        return  # less than a day of it is asked for
    service = thing_part.part.service
    exact_amount = workings.period_amount
    if workings.days != workings.period_days:
        exact_amount = divide(exact_amount * workings.days, Decimal(workings.period_days))
    yield LineItem(
        kind=change.kind,
        description=description_of(thing_part, window.pricing, ()),
        origin=origin_of(service),
        pricing_id=window.pricing.id,
        priced=thing_part.thing.priced,
        segment=(),
        bill_period=thing_part.part.bill_period,
        service=change.service,
        currency=service.plan.template.currency,
        amount=rounded(service, exact_amount),
        exact_amount=exact_amount,
        workings=workings,
        in_advance=change.in_advance,
    )


def _workings(part: Part, window: Window, change: _Change) -> CounterWorkings:
    charge = window.pricing.bands.price(change.level)
    previous = None if change.previous_level is None else window.pricing.bands.price(change.previous_level)
    period_days = part.service.days(part.bill_period)
    return CounterWorkings(
        level=change.level,
        previous_level=change.previous_level,
        band_usages=charge.band_usages,
        previous_band_usages=previous.band_usages if previous else (),
        period_amount=charge.amount - (previous.amount if previous else ZERO),
        prorated=change.is_prorated,
        days=part.service.days(change.service) if change.is_prorated else period_days,
        period_days=period_days,
        day=change.day,
    )
