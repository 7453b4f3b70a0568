"""Laws of bills on random catalogs with everything at once: templates, segments, accumulation, commitments (R13)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest

from ratel.core.bill_exchange import exchanges_to_bill
from ratel.core.billing import BillInRow, BillStatus, make_bills
from ratel.core.period import Frequency
from tests.core.test_against_naive import BATCH, PART
from tests.core.test_bills_against_naive import core_context, core_due, last_date
from tests.naive.foreign import foreign_story
from tests.naive.grouped import grouped_story
from tests.naive.stories import story
from tests.naive.told import Story

STORIES: Sequence[Callable[[int], Story]] = (story, grouped_story, foreign_story)


@pytest.mark.parametrize("first", range(0, PART, BATCH))
def test_the_sum_of_all_bills_does_not_depend_on_when_they_were_run(first: int) -> None:
    """One by one with what was known by then, some twice, some not at all: in the end they carry what is due."""
    for seed in range(first, min(first + BATCH, PART)):
        told, chance = STORIES[seed % len(STORIES)](seed), Random(seed)
        for frequency in sorted({Frequency(each.frequency) for each in told.catalog.templates}):
            last = last_date(told)
            row: list[BillInRow] = []
            for days in sorted(chance.sample(range(5, 120), 3)):
                row = run(known_then(told, chance), frequency, row, last - timedelta(days=days))
            row = run(told, frequency, row, last)
            expected = sums((each.item.currency, each.item.amount) for each in core_due(told, frequency, last).items)
            assert sums((line.currency, line.amount) for bill in row for line in bill.lines) == expected, (
                f"story {seed}"
            )
            again = run(told, frequency, row, last)
            assert again == row, f"story {seed}"


def known_then(told: Story, chance: Random) -> Story:
    """What was there when a bill was run: some usage came later, and some adjustments, grants and commitments."""
    account = told.account
    return replace(
        told,
        account=replace(
            account,
            events=tuple(each for each in account.events if chance.random() < 0.7),
            adjustments=tuple(each for each in account.adjustments if chance.random() < 0.7),
        ),
        grants=tuple(each for each in told.grants if chance.random() < 0.8),
        commitments=tuple(each for each in told.commitments if chance.random() < 0.8),
        balances=tuple(each for each in told.balances if chance.random() < 0.8),
    )


def run(told: Story, frequency: Frequency, row: Sequence[BillInRow], day: date) -> list[BillInRow]:
    """The row of bills after a run, as it is read back."""
    bills = {bill.invoice_date: bill for bill in row}
    exchanges = exchanges_to_bill(row, day, "", core_context(told))
    for made in make_bills(core_due(told, frequency, day, exchanges), row, day, exchanges):
        bills[made.invoice_date] = BillInRow(
            made.invoice_date,
            BillStatus.PENDING,
            is_stale=False,
            lines=tuple(line._replace(item=None) for line in made.lines),
            exchange=made.exchange,
        )
    return sorted(bills.values(), key=lambda bill: bill.invoice_date)


def sums(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for currency, amount in amounts:
        found[currency] = found.get(currency, Decimal(0)) + amount
    return {currency: amount for currency, amount in found.items() if amount}
