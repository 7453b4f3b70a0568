"""Commitments pay on the bills of every frequency, and what one took the others find gone (R7.1)."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ratel.core.account import Attachment
from ratel.core.compiled import compile_plan
from ratel.core.money import amount_text
from ratel.core.period import Frequency, Period
from ratel.core.plan import Plan, Terms
from ratel.core.rating.due import due, survey_due
from ratel.core.rating.scope import RatingContext
from tests.core.rating.rated import catalog_of, context_of
from tests.story import read_story
from tests.told import ACCOUNT

STORY = """
    template frequency=ANNUALLY standing_charge=40
    aggregation calls SUM n
    {prepaid}
    attach 2024-01-01
"""
COMMITMENT = "commitment year 50 2024-01-01 2026-01-01"
BALANCE = "balance extra 2024-01-01 2026-01-01 put=2024-01-01:50"


@pytest.mark.parametrize(("prepaid", "kind"), [(COMMITMENT, "COMMITMENT_CONSUMED"), (BALANCE, "BALANCE_CONSUMED")])
def test_of_one_day_months_pay_before_years(prepaid: str, kind: str) -> None:
    context = with_a_monthly_plan(prepaid)
    assert owed(context, Frequency.MONTHLY) == [("STANDING_CHARGE", "30.00"), (kind, "-30.00")]
    assert owed(context, Frequency.ANNUALLY) == [("STANDING_CHARGE", "40.00"), (kind, "-20.00")]


def with_a_monthly_plan(prepaid: str) -> RatingContext:
    story = read_story(STORY.format(prepaid=prepaid))
    catalog = catalog_of(story)
    monthly = replace(story.template, id="month", frequency=Frequency.MONTHLY, terms=Terms())
    plan = Plan("monthly", "month", "Monthly", terms=Terms(standing_charge=Decimal("30.00")))
    catalog = replace(
        catalog,
        plans={**catalog.plans, plan.id: plan},
        plan_templates={**catalog.plan_templates, monthly.id: monthly},
    )
    december = Period(datetime(2024, 12, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
    context = context_of(story, {plan_id: compile_plan(catalog, plan_id) for plan_id in catalog.plans})
    attached = (*context.attachments, Attachment("december", ACCOUNT.id, plan.id, december))
    return replace(context, attachments=attached)


def owed(context: RatingContext, frequency: Frequency) -> list[tuple[str, str]]:
    day = date(2025, 1, 1)
    found = due(survey_due(context, frequency, day), {}, day)
    return [(each.item.kind.value, amount_text(each.item.amount, each.item.currency)) for each in found.items]
