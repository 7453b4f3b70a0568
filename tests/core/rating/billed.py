"""Bills a story with the core alone."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from ratel.core.bill_exchange import exchanges_to_bill
from ratel.core.billing import BillInRow, BillStatus, make_bills
from ratel.core.compiled import compile_plan
from ratel.core.currency import Exchanges
from ratel.core.money import ZERO, amount_text
from ratel.core.rating.due import Due, due, survey_due
from ratel.core.rating.scope import RatingContext
from tests.core.rating.rated import catalog_of, context_of, partials_of
from tests.told import Story


def due_of(story: Story, invoice_date: str, exchanges: Exchanges | None = None) -> Due:
    """Return what is due in a story up to an invoice date."""
    day = date.fromisoformat(invoice_date)
    scope = survey_due(billed_context(story), story.template.frequency, day)
    return due(scope, partials_of(story.meter, story.usages, scope.reads), day, exchanges)


def billed_context(story: Story) -> RatingContext:
    """Return the story's account with all that is its own."""
    catalog = catalog_of(story)
    plans = {plan_id: compile_plan(catalog, plan_id) for plan_id in catalog.plans}
    return context_of(story, plans)


def run(story: Story, row: Iterable[BillInRow], invoice_date: str, currency: str = "") -> list[BillInRow]:
    """Run billing for an invoice date: the row of bills as it is stored afterwards."""
    before = {bill.invoice_date: bill for bill in row}
    day = date.fromisoformat(invoice_date)
    exchanges = exchanges_to_bill(list(before.values()), day, currency, billed_context(story))
    for each in make_bills(due_of(story, invoice_date, exchanges), list(before.values()), day, exchanges):
        before[each.invoice_date] = BillInRow(
            each.invoice_date, BillStatus.PENDING, is_stale=False, lines=each.lines, exchange=each.exchange
        )
    after = [bill for bill in before.values() if bill.invoice_date > day]
    for bill in after:
        before[bill.invoice_date] = replace(bill, is_stale=True)
    return sorted(before.values(), key=lambda bill: bill.invoice_date)


def shown(bill: BillInRow) -> list[tuple[str, str, bool]]:
    """Return kind, amount and whether it is a correction, of each line."""
    return [
        (line.kind.value, amount_text(line.printed.amount, line.printed.currency), bool(line.correction))
        for line in bill.lines
    ]


def total(row: Sequence[BillInRow]) -> str:
    """Return the sum of all bills, in the one currency."""
    return amount_text(sum((line.amount for bill in row for line in bill.lines), ZERO), "USD")
