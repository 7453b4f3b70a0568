"""All that the catalog says of some plans at one moment: what rating is done by."""

from collections.abc import Mapping
from dataclasses import dataclass

from ratel.core.counter import Counter
from ratel.core.meter import Aggregation, CompoundAggregation, Meter
from ratel.core.plan import Plan, PlanTemplate, Settings
from ratel.core.pricing import Owner, PricedThing, Pricing


@dataclass(frozen=True, slots=True)
class PlanCatalog:
    """Some plans, with everything that they name. Mappings are by id.

    Attributes:
        revision: of the catalog; while it stands, so does everything here.
        plan_templates: those of the plans.
        pricings: the plans' own and their templates', by id; see `core.schedule` for which is in force.
        aggregations: those that are priced, or were, and the operands of the compounds.
        compound_aggregations: those that are priced, or were.
        counters: those that are priced.
        meters: those of the aggregations.
        priced_things: what plan or template ever priced which aggregation or compound, also by a pricing that was
            deleted, and which counter it prices.
        rollup_numbers: for each aggregation, by its id, the rollup that keeps its sums.
        meter_numbers: by which events name their meter.
    """

    revision: int
    settings: Settings
    plans: Mapping[str, Plan]
    plan_templates: Mapping[str, PlanTemplate]
    pricings: tuple[Pricing, ...]
    aggregations: Mapping[str, Aggregation]
    compound_aggregations: Mapping[str, CompoundAggregation]
    counters: Mapping[str, Counter]
    meters: Mapping[str, Meter]
    priced_things: frozenset[tuple[Owner, PricedThing]]
    rollup_numbers: Mapping[str, int]
    meter_numbers: Mapping[str, int]
