"""The passes of the naive implementation, one after the other over all that came before."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from ratel.core.account import Attachment
from ratel.core.period import Period
from ratel.core.plan import Plan
from ratel.core.pricing import ApplyAs, PricedKind, PricedThing, Pricing
from tests.naive_windows import Calendar, Event, Item, Naive, Values, cents, price, units_of
from tests.story import Story

CHARGES = ("USAGE", "COUNTER_RUNNING_TOTAL", "COUNTER_ADJUSTMENT_DEBIT", "COUNTER_ADJUSTMENT_CREDIT")


def naive_items(story: Story, asked: Period) -> list[Item]:
    """Rate a story."""
    naive = Naive(story, asked)
    charged = [item for part in parts(naive) for item in part_items(naive, part)]
    credit_ids = {each.id for each in story.pricings if each.apply_as is not ApplyAs.DEBIT}
    items = [item for item in charged if item.pricing_id not in credit_ids]
    items += standing(naive)
    items += [item for part in parts(naive) for item in pricing_spends(naive, part, items)]
    items += [item for part in parts(naive) for item in plan_spends(naive, part, items)]
    return items + given_credits(naive, items, [item for item in charged if item.pricing_id in credit_ids])


def naive_unpriced(story: Story, asked: Period) -> dict[tuple[str, Values], int]:
    """Count the events with a value that no pricing takes, by aggregation and combination."""
    naive = Naive(story, asked)
    found: dict[tuple[str, Values], int] = {}
    for attachment in story.attachments:
        plan = plan_of(story, attachment)
        for thing in things(story, plan):
            if thing.kind is not PricedKind.AGGREGATION:
                continue
            aggregation = story.aggregations[thing.id]
            for event in naive.events:
                inside = attachment.period.contains(event.time) and naive.start <= event.time < naive.end
                values = tuple(event.values.get(name, "") for name in aggregation.segment_fields)
                has_value = naive.aggregate(aggregation, [event], has_default=False) is not None
                if inside and has_value and naive.takes(plan, thing, values, event.time) is None:
                    found[thing.id, values] = found.get((thing.id, values), 0) + 1
    return found


class Part:
    """One bill period of one attachment."""

    def __init__(self, attachment: Attachment, plan: Plan, calendar: Calendar, period: tuple[datetime, datetime]):
        self.attachment, self.plan, self.calendar, self.period = attachment, plan, calendar, period
        end = attachment.period.end or period[1]
        self.start, self.end = max(period[0], attachment.period.start), min(period[1], end)

    @property
    def period_days(self) -> int:
        return self.calendar.days(*self.period)


def plan_of(story: Story, attachment: Attachment) -> Plan:
    return next(plan for plan in story.plans if plan.id == attachment.plan_id)


def parts(naive: Naive) -> Iterator[Part]:
    for attachment in naive.story.attachments:
        calendar = naive.calendar(attachment)
        for period in calendar.periods():
            if period[1] <= naive.start or naive.end <= period[0]:
                continue
            part = Part(attachment, plan_of(naive.story, attachment), calendar, period)
            if part.start < part.end and part.start < naive.end and part.end > naive.start:
                yield part


def things(story: Story, plan: Plan) -> list[PricedThing]:
    return sorted({each.priced for each in story.pricings if each.owner.id in (plan.id, story.template.id)})


def part_items(naive: Naive, part: Part) -> Iterator[Item]:
    for thing in things(naive.story, part.plan):
        for segment in naive.segments(thing):
            for start, end, pricing in naive.windows(part.plan, thing, segment, part.start, part.end):
                if thing.kind is PricedKind.COUNTER:
                    yield from counter_items(naive, part, pricing, (start, end))
                else:
                    yield from usage_items(naive, part, pricing, (start, end))


# --- Usage ------------------------------------------------------------------------------------------------------------


def usage_items(naive: Naive, part: Part, pricing: Pricing, window: tuple[datetime, datetime]) -> Iterator[Item]:
    thing = pricing.priced
    start, end = max(window[0], naive.start), min(window[1], naive.end)
    by_values: dict[Values, list[Event]] = {}
    is_split = "*" in pricing.segment and not pricing.pool
    if not is_split:
        by_values[pricing.segment] = []
    fields = naive.story.aggregations[thing.id].segment_fields if thing.kind is PricedKind.AGGREGATION else ()
    for event in naive.events:
        if window[0] <= event.time < end:
            values = tuple(event.values.get(name, "") for name in fields)
            if naive.takes(part.plan, thing, values, event.time) is pricing:
                by_values.setdefault(values if is_split else pricing.segment, []).append(event)
    for values, events in sorted(by_values.items()):
        through = amount(naive, pricing, events, is_split)
        before = None
        if window[0] < start:
            before = amount(naive, pricing, [event for event in events if event.time < start], is_split)
        if through is None and before is None:
            continue
        difference = cents(through or Fraction(0)) - cents(before or Fraction(0))
        yield Item("USAGE", pricing.id, values, start, difference, part.attachment.id, part.period)


def amount(naive: Naive, pricing: Pricing, events: list[Event], is_split: bool) -> Fraction | None:
    thing = pricing.priced
    quantity = naive.quantity(thing, events, has_default=not is_split)
    if quantity is None:
        return price(pricing, Fraction(0)) if pricing.bands.charge_zero and not is_split else None
    counted = (naive.story.aggregations if thing.kind is PricedKind.AGGREGATION else naive.story.compounds)[thing.id]
    return price(pricing, units_of(quantity, Fraction(counted.quantity_per_unit), counted.rounding))


# --- Counters ---------------------------------------------------------------------------------------------------------


class Window:
    """One window of a counter, and what of it is asked for."""

    def __init__(self, naive: Naive, part: Part, pricing: Pricing, window: tuple[datetime, datetime]):
        self.naive, self.part, self.pricing = naive, part, pricing
        self.start, self.end = window

    def level_on(self, day: date) -> Fraction:
        own = [each for each in self.naive.story.adjustments if each.counter_id == self.pricing.priced.id]
        known = [each for each in own if each.date <= day]
        return Fraction(max(known, key=lambda each: each.date).level) if known else Fraction(0)

    def charge(self, kind: str, start: datetime, money: Fraction, *, prorates: bool) -> Iterator[Item]:
        left, right = max(start, self.naive.start), min(self.end, self.naive.end)
        days = self.part.calendar.days(left, right) if left < right else 0
        if not prorates:
            days = self.part.period_days if self.naive.start <= start < self.naive.end else 0
        if days:
            share = cents(money * days / self.part.period_days)
            yield Item(kind, self.pricing.id, (), left, share, self.part.attachment.id, self.part.period)


def counter_items(naive: Naive, part: Part, pricing: Pricing, period: tuple[datetime, datetime]) -> Iterator[Item]:
    window, terms, calendar = Window(naive, part, pricing, period), pricing.counter_terms, part.calendar
    day, end_day = calendar.day(window.start), calendar.day(window.end)
    begins, prorates = first_window(naive, part, pricing)
    level = window.level_on(day)
    has_total = prorates or window.start == begins
    if has_total and (level or pricing.bands.charge_zero):
        money = price(pricing, level)
        yield from window.charge("COUNTER_RUNNING_TOTAL", window.start, money, prorates=prorates)
    if has_total:
        day += timedelta(days=1)
    while day < end_day:
        old, new = window.level_on(day - timedelta(days=1)), window.level_on(day)
        if old != new:
            kind = "COUNTER_ADJUSTMENT_DEBIT" if new > old else "COUNTER_ADJUSTMENT_CREDIT"
            does = terms.prorate_debit if new > old else terms.prorate_credit
            money = price(pricing, new) - price(pricing, old)
            yield from window.charge(kind, max(calendar.midnight(day), window.start), money, prorates=does)
        day += timedelta(days=1)


def first_window(naive: Naive, part: Part, pricing: Pricing) -> tuple[datetime, bool]:
    """Where the first window of the part begins, asked for or not, and whether its totals are prorated."""
    whole = Naive(naive.story, Period(part.start, part.end))
    begins, _, first = next(whole.windows(part.plan, pricing.priced, (), part.start, part.end))
    return begins, first.counter_terms.prorate_running_total


# --- What the plan charges --------------------------------------------------------------------------------------------


def standing(naive: Naive) -> Iterator[Item]:
    for attachment in naive.story.attachments:
        plan, calendar = plan_of(naive.story, attachment), naive.calendar(attachment)
        charge = term(naive.story, plan, "standing_charge")
        interval = term(naive.story, plan, "standing_charge_interval") or 1
        offset = term(naive.story, plan, "standing_charge_offset") or 0
        periods = [each for each in calendar.periods() if each[1] > attachment.period.start][int(offset) :]
        for index in range(0, len(periods) - int(interval) + 1, int(interval)):
            start, end = periods[index][0], periods[index + int(interval) - 1][1]
            left = max(start, attachment.period.start, naive.start)
            right = min(end, naive.end, attachment.period.end or end)
            days = calendar.days(left, right) if left < right else 0
            if charge and days:
                money = cents(Fraction(charge) * days / calendar.days(start, end))
                first = next(each for each in periods if each[0] <= left < each[1])
                yield Item("STANDING_CHARGE", "", (), left, money, attachment.id, first)


def term(story: Story, plan: Plan, name: str) -> Decimal | int | None:
    own: Decimal | int | None = getattr(plan.terms, name)
    given: Decimal | int | None = getattr(story.template.terms, name)
    return given if own is None else own


def spend_items(
    part: Part, limits: tuple[Decimal | int | None, Decimal | int | None], days: int, spend: int
) -> Iterator[tuple[str, int]]:
    minimum, maximum = (None if limit is None else cents(Fraction(limit) * days / part.period_days) for limit in limits)
    if days and minimum is not None and spend < minimum:
        yield "MINIMUM_SPEND", minimum - spend
    if days and maximum is not None and spend > maximum:
        yield "MAXIMUM_SPEND", maximum - spend


def pricing_spends(naive: Naive, part: Part, items: list[Item]) -> Iterator[Item]:
    for thing in things(naive.story, part.plan):
        for segment in naive.segments(thing):
            windows: dict[str, list[tuple[datetime, datetime, Pricing]]] = {}
            for window in naive.windows(part.plan, thing, segment, part.start, part.end):
                windows.setdefault(window[2].id, []).append(window)
            for pricing_id, own in windows.items():
                pricing = own[0][2]
                asked = [(max(start, naive.start), min(end, naive.end)) for start, end, _ in own]
                days = sum(part.calendar.days(*each) for each in asked)
                spend = sum(
                    item.cents
                    for item in items
                    if item.kind in CHARGES
                    and (item.pricing_id, item.attachment_id, item.period)
                    == (pricing_id, part.attachment.id, part.period)
                )
                limits = (pricing.spend.minimum, pricing.spend.maximum)
                if pricing.apply_as is ApplyAs.DEBIT:
                    for kind, money in spend_items(part, limits, days, spend):
                        where = (asked[0][0], money, part.attachment.id, part.period)
                        yield Item(kind, pricing_id, segment, *where)


def plan_spends(naive: Naive, part: Part, items: list[Item]) -> Iterator[Item]:
    compared = (*CHARGES, "MINIMUM_SPEND", "MAXIMUM_SPEND")
    spend = sum(
        item.cents
        for item in items
        if item.kind in compared and (item.attachment_id, item.period) == (part.attachment.id, part.period)
    )
    start, end = max(part.start, naive.start), min(part.end, naive.end)
    limits = (term(naive.story, part.plan, "minimum_spend"), term(naive.story, part.plan, "maximum_spend"))
    for kind, money in spend_items(part, limits, part.calendar.days(start, end), spend):
        yield Item(kind, "", (), start, money, part.attachment.id, part.period)


def given_credits(naive: Naive, items: list[Item], charged: list[Item]) -> list[Item]:
    """Give credits while something is left; all stories have one product and one currency."""
    order = {each.id: place for place, each in enumerate(sorted(naive.story.attachments, key=_by_start))}
    by_id = {each.id: each for each in naive.story.pricings}
    left = sum(item.cents for item in items)
    given: list[Item] = []
    for apply_as in (ApplyAs.PRODUCT_CREDIT, ApplyAs.GLOBAL_CREDIT):
        mine = [item for item in charged if by_id[item.pricing_id].apply_as is apply_as]
        for item in sorted(
            mine, key=lambda each: (each.pricing_id, order[each.attachment_id], each.values, each.start)
        ):
            money = -item.cents if item.cents < 0 else -min(item.cents, max(left, 0))
            left += money
            where = (item.start, money, item.attachment_id, item.period)
            given.append(Item("USAGE_CREDIT", item.pricing_id, item.values, *where))
    return given


def _by_start(attachment: Attachment) -> tuple[datetime, str]:
    return attachment.period.start, attachment.id
