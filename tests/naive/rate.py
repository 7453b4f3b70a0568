"""R12.1: what service inside a period cost, advance and arrears alike."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from functools import partial

from tests.naive.account import Account, Answer, LineItem
from tests.naive.advance import group_spends, spends
from tests.naive.bill import Book, credited, place
from tests.naive.catalog import Catalog
from tests.naive.charge import Charge
from tests.naive.debts import Debts, Grant
from tests.naive.exact import ZERO, money
from tests.naive.part import Part, overlap, parts
from tests.naive.plan import grid_of
from tests.naive.promotion import Promoted, promotions, trial
from tests.naive.quantity import between, readings
from tests.naive.service import counter_items, is_credit, standing_items, usage_items
from tests.naive.usage import Usage, unpriced


def rate_account(
    catalog: Catalog, account: Account, start: datetime, end: datetime, grants: Sequence[Grant] = ()
) -> Answer:
    """R12.2: usage, counters, standing charges, minimum and maximum spends, credits, promotions, total."""
    promoted = Promoted()
    asked = (start, end)
    before = min([start, *(counted_from(catalog, account, asked, each) for each in grants)])
    if before < start:
        before = whole_from(catalog, account, (before, end))  # other plans' credits take from whole periods too
        promoted_items(catalog, account, service_items(catalog, account, (before, start)), grants, promoted)
    charges = service_items(catalog, account, asked)
    given, credit_items = promoted_items(catalog, account, charges, grants, promoted)
    items = [item for item, _ in charges if not is_credit(catalog, item)] + credit_items
    totals = {item.currency: ZERO for item in items}
    for item in items:
        totals[item.currency] += item.amount
    for _, currency, amount in given:
        totals[currency] += amount
    warnings = []
    events = readings(catalog, account.events)
    for part in parts(catalog, account, events, asked):
        stretch = overlap(part.stretch, asked)
        assert stretch
        warnings += unpriced(Usage(catalog, part.attachment.plan, events), part.attachment.id, *stretch)
    return Answer(
        tuple(items),
        totals,
        tuple(warnings),
        unattached(catalog, account, start, end),
        tuple((name, amount) for name, _, amount in given),
    )


def service_items(catalog: Catalog, account: Account, asked: tuple[datetime, datetime]) -> list[tuple[LineItem, Part]]:
    """All that a stretch of service is charged, with the part that it is of; credits as they are before R6.4."""
    events = readings(catalog, account.events)
    found: list[tuple[LineItem, Part]] = []
    asked_parts = parts(catalog, account, events, asked)
    for part in asked_parts:
        early, late = spends(part)
        found += [(item, part) for item in usage_items(part) + counter_items(part) + early + late]
    for attachment in account.attachments:
        whole = Part(catalog, account, attachment, events, asked, asked, asked)
        found += [(item, whole) for item in standing_items(catalog, account, attachment, asked)]
    found += group_spends(asked_parts)
    return [(converted(catalog, account, item), part) for item, part in found]


def converted(catalog: Catalog, account: Account, item: LineItem) -> LineItem:
    """R11.2: into the account's currency, rounded once more."""
    if account.currency in ("", item.currency):
        return item
    amount = item.amount * rate_of(catalog, account, item.currency)
    rounded = money(amount, account.currency, catalog.settings.rounding)
    return replace(item, currency=account.currency, amount=rounded, exact=amount)


def rate_of(catalog: Catalog, account: Account, currency: str) -> Fraction:
    return Fraction(1) if account.currency in ("", currency) else catalog.settings.rates[currency, account.currency]


def promoted_items(
    catalog: Catalog,
    account: Account,
    items: Sequence[tuple[LineItem, Part]],
    grants: Sequence[Grant],
    promoted: Promoted,
) -> tuple[list[tuple[str, str, Fraction]], list[LineItem]]:
    """R9.2, R9.3: name, currency and amount of what trials and grants take off; and the credits before them."""
    book = Book(catalog, account, Debts(grants=tuple(grants)), (), [])
    charges = [Charge(item, rate_of(catalog, account, part.currency), part, item.amount) for item, part in items]
    charges.sort(key=partial(place, account))
    _, left, credit_items = credited(book, charges)
    attachments = sorted(account.attachments, key=lambda each: (each.start, each.id))
    discounts = [each for attachment in attachments for each in trial(left, attachment)]
    discounts += promotions(left, grants, promoted)
    return [(each.id, each.charges[0].item.currency, each.amount) for each in discounts], credit_items


def counted_from(catalog: Catalog, account: Account, asked: tuple[datetime, datetime], grant: Grant) -> datetime:
    """R9.1: from where on must be known what a grant took off: the bill period of what it is counted from."""
    if grant.end <= asked[0] or grant.time >= asked[1]:
        return asked[0]
    if grant.max_total is not None:
        return min(grant.time, asked[0])
    if grant.kind != "PERCENTAGE" or grant.max_per_period is not None:
        return whole_from(catalog, account, asked)
    return asked[0]


def whole_from(catalog: Catalog, account: Account, asked: tuple[datetime, datetime]) -> datetime:
    """Where the first bill period begins that is cut."""
    found = [asked[0]]
    for attachment in account.attachments:
        inside = overlap((attachment.start, attachment.end), asked)
        if inside:
            grid = grid_of(catalog, account, attachment)
            found.append(max(attachment.start, grid.start(grid.number_at(inside[0]))))
    return min(found)


def unattached(catalog: Catalog, account: Account, start: datetime, end: datetime) -> dict[str, int]:
    """R3.5: events of a product's meters while no attachment puts the account on a plan of that product."""
    found: dict[str, int] = {}
    for event in between(readings(catalog, account.events), start, end):
        product = catalog.meter(event.meter).product
        if not any(
            each.start <= event.time < each.end and catalog.template(each.plan).product == product
            for each in account.attachments
        ):
            found[event.meter] = found.get(event.meter, 0) + 1
    return found
