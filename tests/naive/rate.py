"""R12.1: what service inside a period cost, advance and arrears alike."""

from datetime import datetime

from tests.naive.account import Account, Answer, LineItem
from tests.naive.catalog import Catalog
from tests.naive.exact import ZERO
from tests.naive.part import overlap, parts
from tests.naive.quantity import between, readings
from tests.naive.service import counter_items, spend_items, standing_items, usage_items, with_credits
from tests.naive.usage import Usage, unpriced


def rate_account(catalog: Catalog, account: Account, start: datetime, end: datetime) -> Answer:
    """R12.2: usage, counters, standing charges, minimum and maximum spends, credits, total."""
    asked, events = (start, end), readings(catalog, account.events)
    items: list[LineItem] = []
    warnings = []
    for part in parts(catalog, account, events, asked):
        charges = usage_items(part) + counter_items(part)
        items += charges + spend_items(part, charges)
        stretch = overlap(part.stretch, asked)
        assert stretch
        warnings += unpriced(Usage(catalog, part.attachment.plan, events), part.attachment.id, *stretch)
    for attachment in account.attachments:
        items += standing_items(catalog, account, attachment, asked)
    items = with_credits(catalog, account, items)
    totals = {item.currency: ZERO for item in items}
    for item in items:
        totals[item.currency] += item.amount
    return Answer(tuple(items), totals, tuple(warnings), unattached(catalog, account, start, end))


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
