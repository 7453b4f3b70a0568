"""R12.1, R6.1, R6.3: what of service is due on an invoice date.

Arrears of the grid period that ends there, and items in advance for the one that starts there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from tests.naive.account import Account, Attachment, Event, LineItem
from tests.naive.catalog import Catalog, Pricing, Terms
from tests.naive.exact import ZERO
from tests.naive.grid import Grid
from tests.naive.part import Part, Stretch, overlap
from tests.naive.plan import grid_of, terms_of
from tests.naive.service import (
    charged_by,
    compare,
    counter_items,
    covered_by_pricing,
    debited,
    priced_by,
    standing_items,
    usage_items,
)

Due = tuple[LineItem, Part]


def due_items(catalog: Catalog, account: Account, events: Sequence[Event], date: datetime) -> list[Due]:
    """All of an account's plans for which the date is the border of two bill periods."""
    found: list[Due] = []
    for attachment in account.attachments:
        grid = grid_of(catalog, account, attachment)
        number = grid.number_at(date)
        if grid.start(number) == date:
            whole = Part(catalog, account, attachment, events, grid.period(number), grid.period(number), (date, date))
            for ended in part_of(whole, number_before(grid, date)):
                found += [(item, ended) for item in arrears(ended)]
                # An attachment that begins inside a period is billed at its end, what is in advance too.
                found += [(item, ended) for item in advance(ended) if ended.stretch[0] != ended.period[0]]
            for started in part_of(whole, number):
                found += [(item, started) for item in advance(started) if started.stretch[0] == date]
            found += [(item, whole) for item in standing_due(catalog, account, attachment, date)]
    return found + group_items(catalog, account, events, date)


def number_before(grid: Grid, date: datetime) -> int:
    """The bill period that ends as another one begins."""
    number = grid.number_at(date) - 1
    while grid.start(number) == date:  # a day that the zone skipped
        number -= 1
    return number


def part_of(part: Part, number: int) -> Iterator[Part]:
    """The attachment's part of a bill period, if it has one."""
    period = grid_of(part.catalog, part.account, part.attachment).period(number)
    stretch = overlap(period, (part.attachment.start, part.attachment.end))
    if stretch:
        yield replace(part, period=period, stretch=stretch, asked=period)


def arrears(part: Part) -> list[LineItem]:
    """Usage, changes of counters, and what else is not in advance."""
    charges = usage_items(part) + counter_items(part)
    return [item for item in charges if not is_in_advance(part, item)] + spends(part)[1]


def advance(part: Part) -> list[LineItem]:
    return [item for item in counter_items(part) if is_in_advance(part, item)] + spends(part)[0]


def is_in_advance(part: Part, item: LineItem) -> bool:
    """R8.2, R8.3: the running total is in advance or in arrears, its changes always in arrears."""
    pricing = next(each for each in part.catalog.pricings if each.id == item.pricing)
    return item.kind == "COUNTER_RUNNING_TOTAL" and pricing.counter.in_advance


def spends(part: Part) -> tuple[list[LineItem], list[LineItem]]:
    """R6.2, R6.3: minimum and maximum spends in advance and in arrears."""
    early: list[LineItem] = []
    late: list[LineItem] = []
    charges = usage_items(part) + counter_items(part)
    for pricing, covered in covered_by_pricing(part):
        charged = charged_by(charges, pricing)
        switch = pricing.minimum_in_advance
        in_advance = part.catalog.settings.minimum_in_advance if switch is None else switch
        for items, made in zip((early, late), spend(part, (pricing, in_advance), covered, charged), strict=True):
            items += [priced_by(item, pricing, pricing.segment) for item in made]
    terms = terms_of(part.catalog, part.attachment.plan)
    charged = debited(part.catalog, [*charges, *early, *late])
    stay = overlap(part.stretch, part.asked)
    assert stay
    own = spend(part, (terms, bool(terms.minimum_in_advance)), [stay], charged)
    return early + own[0], late + own[1]


def spend(
    part: Part, of: tuple[Pricing | Terms, bool], covered: Sequence[Stretch], charged: Fraction
) -> tuple[list[LineItem], list[LineItem]]:
    """R6.3: in advance the minimum is billed at the start, and at the end what was charged of it is credited."""
    limits, in_advance = of
    if not in_advance:
        return [], compare(part, (limits.minimum, limits.maximum), covered, charged)
    early = compare(part, (limits.minimum, None), covered, ZERO)
    refunds = [min(item.amount, max(ZERO, charged)) for item in early]
    refunded = [
        replace(item, kind="MINIMUM_SPEND_REFUND", amount=-refund, exact=-refund)
        for item, refund in zip(early, refunds, strict=True)
        if refund
    ]
    return early, refunded + compare(part, (None, limits.maximum), covered, charged)


def standing_due(catalog: Catalog, account: Account, attachment: Attachment, date: datetime) -> list[LineItem]:
    """R6.1: of each group of periods, as the attachment's part of it begins in advance, as it ends in arrears."""
    terms, grid = terms_of(catalog, attachment.plan), grid_of(catalog, account, attachment)
    assert terms.standing_interval is not None
    assert terms.standing_offset is not None
    number = grid.number_at(attachment.start) + terms.standing_offset
    found = []
    while grid.start(number) <= date:
        group = grid.start(number), grid.start(number + terms.standing_interval)
        stretch = overlap(group, (attachment.start, attachment.end))
        if stretch and border_from(grid, stretch[0] if terms.standing_in_advance else stretch[1]) == date:
            found += standing_items(catalog, account, attachment, group)
        number += terms.standing_interval
    return found


def border_from(grid: Grid, instant: datetime) -> datetime:
    """The first border of two bill periods that is no earlier."""
    number = grid.number_at(instant)
    return instant if grid.start(number) == instant else grid.start(number + 1)


def group_items(catalog: Catalog, account: Account, events: Sequence[Event], date: datetime) -> list[Due]:
    """R6.2: what is due of plan groups, in arrears."""
    ended: list[Part] = []
    for attachment in account.attachments:
        grid = grid_of(catalog, account, attachment)
        whole = Part(catalog, account, attachment, events, (date, date), (date, date), (date, date))
        if grid.start(grid.number_at(date)) == date:
            ended += part_of(whole, number_before(grid, date))
    return group_spends(ended)


def group_spends(parts: Sequence[Part]) -> list[Due]:
    """R6.2: a group of plans compares its plans in the same period, their minimums and maximums included."""
    members: dict[tuple[str, Stretch], list[Part]] = {}
    for part in parts:
        group = part.catalog.plan(part.attachment.plan).group
        if group:
            members.setdefault((group, part.period), []).append(part)
    found: list[Due] = []
    for (group, period), own in members.items():
        catalog, charged, covered = own[0].catalog, ZERO, []
        for part in own:
            early, late = spends(part)
            charged += debited(catalog, [*usage_items(part), *counter_items(part), *early, *late])
            stretch = overlap(part.stretch, part.asked)
            assert stretch
            covered.append(stretch)
        limits = catalog.group_minimums.get(group), catalog.group_maximums.get(group)
        of = replace(own[0], period=period)
        made = compare(of, limits, union(covered), charged)
        found += [(replace(item, attachment="", plan=group, product=""), of) for item in made]
    return found


def union(stretches: Sequence[Stretch]) -> list[Stretch]:
    """The same time without overlaps."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
