"""Bills a story with the core alone."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from ratel.core.billing import BillInRow, BillStatus, make_bills
from ratel.core.compiled import compile_plan
from ratel.core.money import ZERO, amount_text
from ratel.core.rating.due import Due, due, survey_due
from tests.core.rating.rated import catalog_of, context_of, partials_of
from tests.story import Story


def due_of(story: Story, invoice_date: str) -> Due:
    """Return what is due in a story up to an invoice date."""
    catalog = catalog_of(story)
    plans = {plan_id: compile_plan(catalog, plan_id) for plan_id in catalog.plans}
    context = context_of(story, plans)
    day = date.fromisoformat(invoice_date)
    scope = survey_due(context, story.template.frequency, day)
    return due(scope, partials_of(story.meter, story.usages, scope.reads), day)


def run(story: Story, row: Iterable[BillInRow], invoice_date: str) -> list[BillInRow]:
    """Run billing for an invoice date: the row of bills as it is stored afterwards."""
    before = {bill.invoice_date: bill for bill in row}
    day = date.fromisoformat(invoice_date)
    made = {each.invoice_date: each for each in make_bills(due_of(story, invoice_date), list(before.values()), day)}
    for each in made.values():
        before[each.invoice_date] = BillInRow(each.invoice_date, BillStatus.PENDING, is_stale=False, lines=each.lines)
    after = [bill for bill in before.values() if bill.invoice_date > day]
    for bill in after:
        before[bill.invoice_date] = replace(bill, is_stale=True)
    return sorted(before.values(), key=lambda bill: bill.invoice_date)


def shown(bill: BillInRow) -> list[tuple[str, str, bool]]:
    """Return kind, amount and whether it is a correction, of each line."""
    return [(line.kind.value, amount_text(line.amount, line.currency), bool(line.correction)) for line in bill.lines]


def total(row: Sequence[BillInRow]) -> str:
    """Return the sum of all bills, in the one currency."""
    return amount_text(sum((line.amount for bill in row for line in bill.lines), ZERO), "USD")
