"""What of the catalog takes part in rating some plans, read in a fixed number of statements."""

from collections.abc import Iterable

from ratel.core.plan_catalog import PlanCatalog
from ratel.core.pricing import Owner, PricedKind, PricedThing, Pricing
from ratel.store.aggregation import aggregation_from_row
from ratel.store.compound import compound_from_row
from ratel.store.counter import counter_from_row
from ratel.store.meter import load_meters
from ratel.store.plan import plan_from_row
from ratel.store.plan_group import groups_of_plans
from ratel.store.plan_template import plan_template_from_row
from ratel.store.pool import Connection
from ratel.store.pricing import owner_from_row, priced_from_row, pricings_of_owners
from ratel.store.resource import get
from ratel.store.settings import SETTINGS

SELECT_PLANS = "SELECT * FROM plans WHERE id = any($1::text[])"
SELECT_TEMPLATES = "SELECT * FROM plan_templates WHERE id = any($1::text[])"
SELECT_PRICED_THINGS = (
    "SELECT * FROM priced_things WHERE plan_id = any($1::text[]) OR plan_template_id = any($2::text[])"
)
SELECT_COMPOUNDS = "SELECT * FROM compound_aggregations WHERE id = any($1::text[])"
SELECT_AGGREGATIONS = "SELECT * FROM aggregations WHERE id = any($1::text[])"
SELECT_COUNTERS = "SELECT * FROM counters WHERE id = any($1::text[])"


async def load_catalog(connection: Connection, plan_ids: Iterable[str]) -> PlanCatalog:
    """Return some plans and all that they name, in a transaction whose statements see the same moment.

    A plan that does not exist is absent.
    """
    plans = [plan_from_row(row) for row in await connection.fetch(SELECT_PLANS, list(plan_ids))]
    own_ids, template_ids = [plan.id for plan in plans], list({plan.plan_template_id for plan in plans})
    templates = [plan_template_from_row(row) for row in await connection.fetch(SELECT_TEMPLATES, template_ids)]
    pricings = [each.value for each in await pricings_of_owners(connection, own_ids, template_ids)]
    rows = await connection.fetch(SELECT_PRICED_THINGS, own_ids, template_ids)
    priced_things = frozenset((owner_from_row(row), priced_from_row(row)) for row in rows)
    ids = _ids_by_kind(pricings, priced_things)
    rows = await connection.fetch(SELECT_COMPOUNDS, list(ids[PricedKind.COMPOUND]))
    compounds = {row["id"]: compound_from_row(row) for row in rows}
    operands = {name for compound in compounds.values() for name in compound.formula.names}
    rows = await connection.fetch(SELECT_AGGREGATIONS, list(ids[PricedKind.AGGREGATION] | operands))
    counters = await connection.fetch(SELECT_COUNTERS, list(ids[PricedKind.COUNTER]))
    meters = await load_meters(connection)
    return PlanCatalog(
        settings=(await get(connection, SETTINGS)).value,
        plans={plan.id: plan for plan in plans},
        plan_templates={template.id: template for template in templates},
        pricings=tuple(pricings),
        priced_things=priced_things,
        aggregations={row["id"]: aggregation_from_row(row) for row in rows},
        compound_aggregations=compounds,
        counters={row["id"]: counter_from_row(row) for row in counters},
        meters={meter_id: meter for meter_id, (_, meter) in meters.items()},
        plan_groups=await groups_of_plans(connection, own_ids),
    )


def _ids_by_kind(
    pricings: Iterable[Pricing], priced_things: Iterable[tuple[Owner, PricedThing]]
) -> dict[PricedKind, set[str]]:
    things = {*(pricing.priced for pricing in pricings), *(thing for _, thing in priced_things)}
    return {kind: {thing.id for thing in things if thing.kind is kind} for kind in PricedKind}
