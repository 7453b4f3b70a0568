"""What a pricing means for plans and accounts: the plans that inherit it, and the bill periods that it cuts (R3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from ratel.core.plan import Plan
from ratel.core.pricing import OwnerKind, Pricing
from ratel.core.schedule import PeriodCut, cut_times, pricings_in_force
from ratel.store.attachment import BillCalendar, periods_cut_at
from ratel.store.plan import PLANS, plans_of_template
from ratel.store.plan_template import PLAN_TEMPLATES
from ratel.store.pool import Connection
from ratel.store.pricing import pricings_of_owners
from ratel.store.resource import get
from ratel.store.settings import SETTINGS

PERIOD_CUTS_MAX = 100
"""Period cuts that are told one by one: enough to see whom it concerns, where an answer may concern all accounts."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a pricing means.

    Attributes:
        plan_ids: the plans that inherit it and in which it is in force at some time, by id.
        period_cuts: the first of the bill periods that it cuts.
        period_cut_count: how many it cuts in all.
    """

    plan_ids: tuple[str, ...]
    period_cuts: tuple[PeriodCut, ...]
    period_cut_count: int


async def load_effect(connection: Connection, pricing: Pricing) -> Effect:
    """Return what a pricing that is stored means."""
    plans, template_id = await _plans_of(connection, pricing)
    own = await _own_pricings(connection, plans, pricing)
    calendar = BillCalendar(
        (await get(connection, PLAN_TEMPLATES, template_id)).value, (await get(connection, SETTINGS)).value
    )
    cuts: list[PeriodCut] = []
    count = 0
    for time in sorted({time for plan in plans for time in cut_times(pricing, own[plan.id])}):
        cut_plans = [plan.id for plan in plans if time in cut_times(pricing, own[plan.id])]
        found, found_count = await periods_cut_at(connection, cut_plans, calendar, time, PERIOD_CUTS_MAX - len(cuts))
        cuts += found
        count += found_count
    return Effect(affected_plans(pricing, own), tuple(cuts), count)


async def load_affected_plans(connection: Connection, pricing: Pricing) -> tuple[str, ...]:
    """Return the plans that inherit a pricing and in which it is in force at some time, by id."""
    plans, _ = await _plans_of(connection, pricing)
    return affected_plans(pricing, await _own_pricings(connection, plans, pricing))


def affected_plans(pricing: Pricing, own: dict[str, list[Pricing]]) -> tuple[str, ...]:
    """Return the plans that inherit a pricing and do not override it wholly; none for a plan's own pricing."""
    if pricing.owner.kind is OwnerKind.PLAN:
        return ()
    return tuple(
        plan_id
        for plan_id, theirs in own.items()
        if any(found is pricing for _, found in pricings_in_force(theirs, [pricing]))
    )


async def _plans_of(connection: Connection, pricing: Pricing) -> tuple[Sequence[Plan], str]:
    """Return the plans that have or inherit a pricing, by id, and their template."""
    if pricing.owner.kind is OwnerKind.TEMPLATE:
        return await plans_of_template(connection, pricing.owner.id), pricing.owner.id
    plan = (await get(connection, PLANS, pricing.owner.id)).value
    return [plan], plan.plan_template_id


async def _own_pricings(connection: Connection, plans: Sequence[Plan], pricing: Pricing) -> dict[str, list[Pricing]]:
    """Return each plan's own pricings of the same thing and segment, by plan."""
    own: dict[str, list[Pricing]] = {plan.id: [] for plan in plans}
    for stored in await pricings_of_owners(connection, list(own)):
        other = stored.value
        if (other.priced, other.segment) == (pricing.priced, pricing.segment):
            own[other.owner.id].append(other)
    return own
