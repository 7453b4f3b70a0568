"""R4.3, R6.1, R6.2, R8: the passes that make line items of one attachment, each looking only at those before it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

from tests.naive.account import Account, Attachment, LineItem
from tests.naive.accumulation import accumulated_charge, accumulated_combinations, accumulated_units, units_owned
from tests.naive.catalog import Catalog, Pricing
from tests.naive.exact import ZERO, divide
from tests.naive.grid import days, local_date, start_of_day
from tests.naive.part import Part, Stretch, overlap, segment_shown
from tests.naive.plan import Window, grid_of, terms_of
from tests.naive.usage import Usage, charge, combinations, quantity_until, units_until

# --- Usage ------------------------------------------------------------------------------------------------------------


def usage_items(part: Part) -> list[LineItem]:
    """R4.3: the line items of usage, window by window."""
    found = []
    usage = Usage(part.catalog, part.attachment.plan, part.events)
    for window in part.windows(["AGGREGATION", "COMPOUND"]):
        asked = overlap((window.start, window.end), part.asked)
        if asked and window.pricing.accumulate:
            found += accumulated_items(part, usage, window, asked)
        elif asked:
            found += window_items(part, usage, window, asked)
    return found


def window_items(part: Part, usage: Usage, window: Window, asked: Stretch) -> list[LineItem]:
    """R7.3, R12.1: what the window has come to at the end of what is asked, less what it had at its start."""
    found = []
    for only in combinations(usage, window, asked[1]):
        units = units_until(usage, window, asked[1], only)
        # Nothing has been charged before the window begins, whatever zero or a default would cost.
        is_first = asked[0] == window.start
        before = None if is_first else units_until(usage, window, asked[0], only)
        if units is None and before is None:  # R2.3: no line item
            continue
        now, then = charge(window, units), charge(window, before)
        item = part.item("USAGE", asked, now - then, part.rounded(now) - part.rounded(then))
        item = priced_by(item, window.pricing, segment_shown(window.pricing, only))
        quantity = quantity_until(usage, window, asked[1], only)
        item = replace(item, quantity=quantity.shown if quantity else None, units=units or ZERO)
        found.append(item if is_first else replace(item, units_before=before or ZERO))
    return found


def accumulated_items(part: Part, usage: Usage, window: Window, asked: Stretch) -> list[LineItem]:
    """R5.1: a line item for each window once there has been usage: F(U(b)) - F(U(a)), both rounded."""
    found = []
    pricing, start = window.pricing, part.attachment.accumulation_start or part.attachment.start
    for only in accumulated_combinations(usage, pricing, start, asked[1]):
        now = accumulated_charge(usage, window, only, start, asked[1])
        then = accumulated_charge(usage, window, only, start, asked[0]) or ZERO
        if now is None:
            continue
        item = part.item("USAGE", asked, now - then, part.rounded(now) - part.rounded(then))
        units = accumulated_units(usage, pricing, only, start, asked[1]) or ZERO
        before = accumulated_units(usage, pricing, only, start, asked[0]) or ZERO
        item = priced_by(item, pricing, segment_shown(pricing, only))
        found.append(replace(item, units=units, units_before=before, units_owned=units_owned(pricing, units)))
    return found


def priced_by(item: LineItem, pricing: Pricing, segment: tuple[str, ...] = ()) -> LineItem:
    return replace(item, pricing=pricing.id, thing=pricing.thing, segment=segment)


# --- Counters ---------------------------------------------------------------------------------------------------------


def counter_items(part: Part) -> list[LineItem]:
    """R8.2, R8.3: the running total of each window, or one for the whole part, and the changes inside each window."""
    found = []
    first: dict[str, Window] = {}  # of each counter
    for window in part.windows(["COUNTER"]):
        opening = first.setdefault(window.pricing.thing.id, window)
        has_total = opening.pricing.counter.prorate_total or window == opening
        if has_total:
            found += running_total(part, window, is_prorated=opening.pricing.counter.prorate_total)
        found += adjustments(part, window, has_total=has_total)
    return found


def level_on(account: Account, counter: str, day: date) -> Fraction:
    """R8.1: the newest adjustment up to that day; 0 before the first."""
    known = [each for each in account.adjustments if each.counter == counter and each.date <= day]
    return max(known, key=lambda each: each.date).level if known else ZERO


def running_total(part: Part, window: Window, *, is_prorated: bool) -> list[LineItem]:
    """R8.2: F of the level at the window's start, an adjustment on that day included."""
    pricing = window.pricing
    level = level_on(part.account, pricing.thing.id, local_date(window.start, part.zone))
    if level == 0 and not pricing.charge_zero:
        return []
    asked = overlap((window.start, window.end), part.asked)
    if not is_prorated:  # whole, once for each attachment and period, at the instant at which its first window begins
        asked = (window.start, part.stretch[1]) if asked and asked[0] == window.start else None
    return counter_item(part, window, ("COUNTER_RUNNING_TOTAL", asked, is_prorated), (level, None))


def adjustments(part: Part, window: Window, *, has_total: bool) -> list[LineItem]:
    """R8.3: in date order, each against the level before it, for the days left in its window, its own included.

    One on the window's first day is in the window's running total, if it has one.
    """
    counter, terms = window.pricing.thing.id, window.pricing.counter
    first, last = local_date(window.start, part.zone), local_date(window.end, part.zone)
    found = []
    for each in sorted(part.account.adjustments, key=lambda each: each.date):
        is_later = first < each.date < last or (each.date == first < last and not has_total)
        level = level_on(part.account, counter, each.date - timedelta(days=1))
        if each.counter != counter or not is_later or each.level == level:
            continue
        kind = "COUNTER_ADJUSTMENT_DEBIT" if each.level > level else "COUNTER_ADJUSTMENT_CREDIT"
        is_prorated = terms.prorate_debit if each.level > level else terms.prorate_credit
        left = (max(start_of_day(each.date, part.zone), window.start), window.end)
        asked = overlap(left, part.asked)
        if not is_prorated:  # whole, at the instant from which it holds
            asked = left if asked and asked[0] == left[0] else None
        found += counter_item(part, window, (kind, asked, is_prorated), (each.level, level))
    return found


def counter_item(
    part: Part,
    window: Window,
    what: tuple[str, Stretch | None, bool],
    levels: tuple[Fraction, Fraction | None],
) -> list[LineItem]:
    """The price of a level, or of its change, for some days of the period; none without a day."""
    kind, stretch, is_prorated = what
    exact = charge(window, levels[0]) - charge(window, levels[1])
    if stretch is None or (is_prorated and days(*stretch, part.zone) == 0):
        return []
    item = priced_by(part.item(kind, stretch, part.prorated(exact, stretch) if is_prorated else exact), window.pricing)
    return [replace(item, units=levels[0], units_before=levels[1])]


# --- Standing charges -------------------------------------------------------------------------------------------------


def standing_items(catalog: Catalog, account: Account, attachment: Attachment, asked: Stretch) -> list[LineItem]:
    """R6.1: an amount for every m periods from the one of the attachment's start on, first at an offset; by days."""
    terms, zone = terms_of(catalog, attachment.plan), catalog.settings.zone
    inside = overlap((attachment.start, attachment.end), asked)
    if not terms.standing or not inside:
        return []
    assert terms.standing_interval is not None
    assert terms.standing_offset is not None
    grid = grid_of(catalog, account, attachment)
    first = grid.number_at(attachment.start) + terms.standing_offset
    found = []
    while grid.start(first) < inside[1]:
        group = (grid.start(first), grid.start(first + terms.standing_interval))
        stretch = overlap(group, inside)
        if stretch and days(*stretch, zone):
            exact = divide(terms.standing * days(*stretch, zone), days(*group, zone))
            part = Part(catalog, account, attachment, (), group, stretch, asked)
            found.append(part.item("STANDING_CHARGE", stretch, exact))
        first += terms.standing_interval
    return found


# --- Minimum and maximum spend ----------------------------------------------------------------------------------------


def covered_by_pricing(part: Part) -> list[tuple[Pricing, list[Stretch]]]:
    """What of the part is asked for of each pricing, in all its windows; credits are left out."""
    found: dict[str, tuple[Pricing, list[Stretch]]] = {}
    for window in part.windows(["AGGREGATION", "COMPOUND", "COUNTER"]):
        stretch = overlap((window.start, window.end), part.asked)
        if stretch and window.pricing.apply_as == "DEBIT":
            found.setdefault(window.pricing.id, (window.pricing, []))[1].append(stretch)
    return list(found.values())


def charged_by(items: Sequence[LineItem], pricing: Pricing) -> Fraction:
    return sum((item.amount for item in items if item.pricing == pricing.id), ZERO)


def debited(catalog: Catalog, items: Sequence[LineItem]) -> Fraction:
    """The sum of all that is no credit."""
    return sum((item.amount for item in items if not is_credit(catalog, item)), ZERO)


def compare(
    part: Part, spends: tuple[Fraction | None, Fraction | None], covered: Sequence[Stretch], charged: Fraction
) -> list[LineItem]:
    """The line item that brings a charge up to the prorated minimum, or down to the prorated maximum.

    Where not a single day is covered, there is neither.
    """
    minimum, maximum = (None if spend is None else part.prorated(spend, *covered) for spend in spends)
    if not any(days(*stretch, part.zone) for stretch in covered):
        return []
    stretch = (covered[0][0], covered[-1][1])
    found = []
    if minimum is not None and charged < part.rounded(minimum):
        found.append(part.item("MINIMUM_SPEND", stretch, minimum - charged, part.rounded(minimum) - charged))
    if maximum is not None and charged > part.rounded(maximum):
        found.append(part.item("MAXIMUM_SPEND", stretch, maximum - charged, part.rounded(maximum) - charged))
    return found


def is_credit(catalog: Catalog, item: LineItem) -> bool:
    return any(each.id == item.pricing and each.apply_as != "DEBIT" for each in catalog.pricings)


# --- Credits ----------------------------------------------------------------------------------------------------------


def with_credits(catalog: Catalog, account: Account, items: Sequence[LineItem]) -> list[LineItem]:
    """R6.4: turn the charges of credit pricings round, product credits first, then global, each by pricing id.

    Those of one pricing by attachment, segment and time: where one of them is positive, the order decides.
    """
    starts = {each.id: each.start for each in account.attachments}
    bill = [item for item in items if not is_credit(catalog, item)]
    raw = [item for item in items if is_credit(catalog, item)]
    apply_as = {each.id: each.apply_as for each in catalog.pricings}
    for sort in ("PRODUCT_CREDIT", "GLOBAL_CREDIT"):
        own = [item for item in raw if apply_as[item.pricing] == sort]
        for item in sorted(own, key=lambda item: (item.pricing, starts[item.attachment], item.segment, item.start)):
            before = [each for each in bill if each.currency == item.currency]
            if sort == "PRODUCT_CREDIT":
                before = [each for each in before if each.product == item.product]
            net = max(ZERO, sum((each.amount for each in before), ZERO))
            amount = -item.amount if item.amount < 0 else -min(item.amount, net)
            bill.append(replace(item, kind="USAGE_CREDIT", exact=-item.exact, amount=amount))
    return bill
