"""What is due on which day agrees with the naive engine's bills, by kind and amount (R9, R12.1, R12.3)."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from typing import TypeAlias

import pytest

from ratel.core.compiled import compile_plan
from ratel.core.currency import Exchanges
from ratel.core.layout import Layout
from ratel.core.period import Frequency
from ratel.core.rating.due import Due, due, survey_due
from ratel.core.rating.scope import RatingContext
from tests.core.naive_rating import partials_of, stored_events
from tests.core.test_against_naive import BATCH, PART
from tests.naive.bill import bills
from tests.naive.debts import Debts
from tests.naive.grid import local_date, start_of_day
from tests.naive.stories import story
from tests.naive.told import Story
from tests.naive.translation import (
    core_account_of,
    core_adjustments,
    core_attachment,
    core_balance,
    core_catalog,
    core_commitment,
    core_granted,
)

Rows: TypeAlias = Counter[tuple[date, str, Fraction]]


@pytest.mark.parametrize("first", range(0, PART, BATCH))
def test_both_engines_agree(first: int) -> None:
    for seed in range(first, min(first + BATCH, PART)):
        told = story(seed)
        if len(told.catalog.templates) == 1:  # else credits reach over plans that are billed apart
            until = last_date(told)
            assert core_rows(told, until) == naive_rows(told, until), f"story {seed}"


def last_date(told: Story) -> date:
    """Some weeks after what is asked, so that several bills are due."""
    return local_date(told.asked[1], told.catalog.settings.zone) + timedelta(days=40)


def naive_rows(told: Story, until: date) -> Rows:
    zone = told.catalog.settings.zone
    debts = Debts(
        told.commitments,
        told.balances,
        told.grants,
        credit_order=told.credit_order,
        currency=told.account.currency or told.catalog.templates[0].currency,
    )
    made = bills(told.catalog, told.account, debts, start_of_day(until, zone))
    return rows((local_date(day, zone), line.kind, line.amount) for day, lines in made for line in lines)


def core_rows(told: Story, until: date) -> Rows:
    (frequency,) = {Frequency(each.frequency) for each in told.catalog.templates}
    found = core_due(told, frequency, until)
    return rows((each.date, each.item.kind.value, Fraction(each.item.amount)) for each in found.items)


def core_due(told: Story, frequency: Frequency, until: date, exchanges: Exchanges | None = None) -> Due:
    """What is due of a story by the core."""
    context = core_context(told)
    scope = survey_due(context, frequency, until)
    layouts = {each.id: Layout(number, each.fields) for number, each in enumerate(context.meters)}
    partials = partials_of(stored_events(told.account, layouts), layouts, scope.reads)
    return due(scope, partials, until, exchanges)


def core_context(told: Story) -> RatingContext:
    """All that bills of a story depend on but usage."""
    known = core_catalog(told.catalog)
    return RatingContext(
        core_account_of(told.account, told.credit_order),
        tuple(core_attachment(told.account, each) for each in told.account.attachments),
        core_adjustments(told.account),
        {plan_id: compile_plan(known, plan_id) for plan_id in known.plans},
        tuple(known.meters.values()),
        granted=tuple(core_granted(told.catalog, told.account, each) for each in told.grants),
        settings=known.settings,
        commitments=tuple(core_commitment(told.account, each) for each in told.commitments),
        balances=tuple(core_balance(told.account, each) for each in told.balances),
    )


def rows(lines: Iterable[tuple[date, str, Fraction]]) -> Rows:
    """All that is not zero; a maximum that takes off less than it says is two lines of the naive engine."""
    maximums: dict[date, Fraction] = {}
    found: Rows = Counter()
    for day, kind, amount in lines:
        if kind == "MAXIMUM_SPEND":
            maximums[day] = maximums.get(day, Fraction(0)) + amount
        elif amount:
            found[day, kind, amount] += 1
    return found + Counter((day, "MAXIMUM_SPEND", amount) for day, amount in maximums.items() if amount)
