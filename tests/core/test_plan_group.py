"""What plans can be in a group together (R6.2)."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ratel.core.errors import Invalid, PlanGrouped
from ratel.core.period import Frequency
from ratel.core.plan_group import GroupedPlan, PlanGroup, fit_plan_group

GROUP = PlanGroup("all", "All", ("gold", "alum"), minimum_spend=Decimal(5), maximum_spend=Decimal("7.5"))
GOLD = GroupedPlan("gold", "USD", Frequency.MONTHLY, 1, "")
ALUM = replace(GOLD, id="alum")


def violations(group: PlanGroup, *plans: GroupedPlan) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        fit_plan_group(group, plans)
    return [(each.field, each.reason) for each in caught.value.violations]


def test_amounts_get_the_digits_of_the_currency() -> None:
    fitted = fit_plan_group(GROUP, [GOLD, replace(ALUM, plan_group_id="all")])
    assert (fitted.plan_ids, fitted.currency) == (("alum", "gold"), "USD")
    assert (str(fitted.minimum_spend), str(fitted.maximum_spend)) == ("5.00", "7.50")
    assert fit_plan_group(fitted, [GOLD, ALUM]) == fitted
    assert fit_plan_group(PlanGroup("one", "One", ("gold",)), [GOLD]).minimum_spend is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (replace(ALUM, currency="EUR"), "CURRENCY_DIFFERENT"),
        (replace(ALUM, frequency=Frequency.WEEKLY), "FREQUENCY_DIFFERENT"),
        (replace(ALUM, interval=2), "FREQUENCY_DIFFERENT"),
    ],
)
def test_plans_have_one_currency_and_one_grid(other: GroupedPlan, reason: str) -> None:
    assert violations(GROUP, GOLD, other) == [("plan_ids", reason)]


def test_what_does_not_fit_is_told_at_once() -> None:
    given = replace(GROUP, currency="EUR", minimum_spend=Decimal("0.001"), maximum_spend=Decimal("9.999"))
    assert sorted(violations(given, GOLD, replace(ALUM, interval=2))) == [
        ("maximum_spend", "AMOUNT_DIGITS"),
        ("minimum_spend", "AMOUNT_DIGITS"),
        ("plan_ids", "CURRENCY_DIFFERENT"),
        ("plan_ids", "CURRENCY_DIFFERENT"),
        ("plan_ids", "FREQUENCY_DIFFERENT"),
    ]
    with pytest.raises(Invalid):
        replace(GROUP, maximum_spend=Decimal("4.99"))


def test_a_plan_is_in_one_group() -> None:
    with pytest.raises(PlanGrouped) as caught:
        fit_plan_group(GROUP, [ALUM, replace(GOLD, plan_group_id="other")])
    assert caught.value.metadata == {"plan_id": "gold", "plan_group_id": "other"}
