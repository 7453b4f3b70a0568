"""Plan groups: plans that have a minimum or maximum spend together (R6.2)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from ratel.core.errors import Mistakes, PlanGrouped
from ratel.core.period import Frequency
from ratel.core.plan import check_spends, fit_amount


@dataclass(frozen=True, slots=True)
class PlanGroup:
    """What an account spends on some plans together, at the least and at the most.

    Attributes:
        plan_ids: by id.
        currency: of the amounts; empty until it is fitted.
        minimum_spend: of a whole bill period; None for no minimum, and so is the maximum.

    Raises:
        Invalid: the maximum is below the minimum.
    """

    id: str
    name: str
    plan_ids: tuple[str, ...]
    currency: str = ""
    minimum_spend: Decimal | None = None
    minimum_spend_description: str = ""
    maximum_spend: Decimal | None = None
    maximum_spend_description: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan_ids", tuple(sorted(self.plan_ids)))
        mistakes = Mistakes()
        check_spends(mistakes, self.minimum_spend, self.maximum_spend)
        mistakes.check()


@dataclass(frozen=True, slots=True)
class GroupedPlan:
    """What decides whether a plan can be in a group.

    Attributes:
        plan_group_id: of the group that it is in; empty for none.
    """

    id: str
    currency: str
    frequency: Frequency
    interval: int
    plan_group_id: str


def fit_plan_group(group: PlanGroup, plans: Iterable[GroupedPlan]) -> PlanGroup:
    """Return the group with its amounts in the currency of its plans.

    Args:
        group: as it is to be.
        plans: all of its plans, at least one.

    Raises:
        Invalid: with all mistakes: plans of several currencies or bill periods, amounts with too many digits.
        PlanGrouped: a plan is in another group.
    """
    ordered = sorted(plans, key=lambda each: each.id)
    first, mistakes = ordered[0], Mistakes()
    currency = group.currency or first.currency
    for each in ordered:
        if each.currency != currency:
            message = f"must all be in {currency}, but plan {each.id!r} is in {each.currency}"
            mistakes.add("plan_ids", "CURRENCY_DIFFERENT", message)
        if (each.frequency, each.interval) != (first.frequency, first.interval):
            message = f"must all have the bill periods of plan {first.id!r}, but plan {each.id!r} has others"
            mistakes.add("plan_ids", "FREQUENCY_DIFFERENT", message)
    fitted = replace(
        group,
        currency=currency,
        minimum_spend=fit_amount(mistakes, "minimum_spend", group.minimum_spend, first.currency),
        maximum_spend=fit_amount(mistakes, "maximum_spend", group.maximum_spend, first.currency),
    )
    mistakes.check()
    for each in ordered:
        if each.plan_group_id not in ("", group.id):
            raise PlanGrouped(each.id, each.plan_group_id)
    return fitted
