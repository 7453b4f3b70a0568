"""What of the catalog takes part in rating some plans, as it stood at one revision."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ratel.core.counter import Counter
from ratel.core.meter import Aggregation, CompoundAggregation, Meter
from ratel.core.plan import Plan, PlanTemplate, Settings
from ratel.core.plan_group import PlanGroup
from ratel.core.pricing import Owner, PricedThing, Pricing


@dataclass(frozen=True, slots=True)
class PlanCatalog:
    """Plans, and all that they refer to, each by its id.

    Attributes:
        plans: the plans asked for; one that does not exist is absent.
        plan_templates: those of the plans.
        plan_groups: those that the plans are in, each by the id of the plan.
        pricings: all pricings of these plans and templates, whatever their schedule.
        priced_things: what each of these plans and templates ever priced, also by a pricing that was deleted;
            counters are not remembered.
        aggregations: all that are priced or were, and the operands of the compounds.
        compound_aggregations: all that are priced or were.
        counters: all that are priced.
        meters: all meters of the catalog: usage of a product without an attachment is reported too.
    """

    settings: Settings = Settings()
    plans: Mapping[str, Plan] = field(default_factory=dict)
    plan_templates: Mapping[str, PlanTemplate] = field(default_factory=dict)
    pricings: tuple[Pricing, ...] = ()
    priced_things: frozenset[tuple[Owner, PricedThing]] = frozenset()
    aggregations: Mapping[str, Aggregation] = field(default_factory=dict)
    compound_aggregations: Mapping[str, CompoundAggregation] = field(default_factory=dict)
    counters: Mapping[str, Counter] = field(default_factory=dict)
    meters: Mapping[str, Meter] = field(default_factory=dict)
    plan_groups: Mapping[str, PlanGroup] = field(default_factory=dict)
