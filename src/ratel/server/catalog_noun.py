"""The nouns of the catalog: what may change, and what each must fit that is stored already."""

from typing import Final

from ratel.catalog.v1 import aggregation_pb2, plan_group_pb2, plan_pb2, plan_template_pb2, pricing_pb2, promotion_pb2
from ratel.core.errors import Mistakes
from ratel.core.formula import parse
from ratel.core.meter import Aggregation, CompoundAggregation, check_aggregation, check_fields_extend
from ratel.core.plan import Plan, PlanTemplate, fit_plan
from ratel.core.plan_group import PlanGroup, fit_plan_group
from ratel.core.pricing import Pricing, fit_pricing
from ratel.core.promotion import Promotion, fit_promotion
from ratel.server.convert import meter as of_meter
from ratel.server.convert import plan as of_plan
from ratel.server.convert.plan_group import plan_group_from_proto, plan_group_to_proto
from ratel.server.convert.pricing import pricing_from_proto, pricing_to_proto
from ratel.server.convert.promotion import promotion_from_proto, promotion_to_proto
from ratel.server.convert.purchase import add_on_from_proto, add_on_to_proto
from ratel.server.mask import Mask
from ratel.server.noun import Noun, admitted_by_itself, created_alone
from ratel.store import resource
from ratel.store.add_on import ADD_ONS
from ratel.store.aggregation import AGGREGATIONS, create_aggregation, known_aggregations
from ratel.store.compound import COMPOUNDS, check_name_free, create_compound
from ratel.store.counter import COUNTERS
from ratel.store.meter import METERS, create_meter
from ratel.store.plan import PLANS, plans_of_template
from ratel.store.plan_group import PLAN_GROUPS, plans_to_group
from ratel.store.plan_template import PLAN_TEMPLATES
from ratel.store.pool import Connection
from ratel.store.pricing import PRICINGS, create_pricing, pricing_place
from ratel.store.product import PRODUCTS
from ratel.store.promotion import PROMOTIONS, promotion_place
from ratel.store.settings import SETTINGS

PRODUCT: Final = Noun(
    PRODUCTS,
    of_meter.product_from_proto,
    of_meter.product_to_proto,
    admit=admitted_by_itself(of_meter.product_from_proto),
    create=created_alone(PRODUCTS),
    mutable=("name",),
)
COUNTER: Final = Noun(
    COUNTERS,
    of_meter.counter_from_proto,
    of_meter.counter_to_proto,
    admit=admitted_by_itself(of_meter.counter_from_proto),
    create=created_alone(COUNTERS),
    mutable=("name", "unit"),
)
METER: Final = Noun(
    METERS,
    of_meter.meter_from_proto,
    of_meter.meter_to_proto,
    admit=admitted_by_itself(of_meter.meter_from_proto),
    create=create_meter,
    mutable=("name", "fields"),
    check_change=check_fields_extend,
)


async def _admit_aggregation(connection: Connection, message: aggregation_pb2.Aggregation) -> Aggregation:
    aggregation = of_meter.aggregation_from_proto(message)
    await check_name_free(connection, AGGREGATIONS.name, aggregation.id)
    meter = await resource.get(connection, METERS, aggregation.meter_id)
    check_aggregation(aggregation, meter.value)
    return aggregation


AGGREGATION: Final = Noun(
    AGGREGATIONS,
    of_meter.aggregation_from_proto,
    of_meter.aggregation_to_proto,
    admit=_admit_aggregation,
    create=create_aggregation,
    mutable=("name", "default_quantity", "quantity_per_unit", "rounding", "unit"),
)


async def _admit_compound(connection: Connection, message: aggregation_pb2.CompoundAggregation) -> CompoundAggregation:
    compound = of_meter.compound_from_proto(message)
    await check_name_free(connection, COMPOUNDS.name, compound.id)
    known = await known_aggregations(connection, compound.formula.names)
    mistakes = Mistakes()
    with mistakes.under("formula"):
        parse(compound.formula.text, known)
    mistakes.check()
    return compound


COMPOUND_AGGREGATION: Final = Noun(
    COMPOUNDS,
    of_meter.compound_from_proto,
    of_meter.compound_to_proto,
    admit=_admit_compound,
    create=create_compound,
    mutable=("name", "quantity_per_unit", "rounding", "unit"),
)


async def _admit_template(connection: Connection, message: plan_template_pb2.PlanTemplate) -> PlanTemplate:
    stored = await resource.find(connection, PLAN_TEMPLATES, message.id)
    settings = await resource.get(connection, SETTINGS)
    # A repeat must mean the same, though the settings have changed.
    default = stored.value.currency if stored else settings.value.default_currency
    template = of_plan.plan_template_from_proto(message, default)
    mistakes = Mistakes()
    for plan in await plans_of_template(connection, template.id):
        own = Mistakes()
        with own.under():
            fit_plan(plan, template)
        if own:
            message_text = f"must not leave plan {plan.id!r} with a maximum spend below its minimum spend"
            mistakes.add("terms", "MAXIMUM_BELOW_MINIMUM", message_text)
    mistakes.check()
    return template


PLAN_TEMPLATE: Final = Noun(
    PLAN_TEMPLATES,
    of_plan.plan_template_from_proto,
    of_plan.plan_template_to_proto,
    admit=_admit_template,
    create=created_alone(PLAN_TEMPLATES),
    mutable=("name", "terms"),
)


async def _admit_plan(connection: Connection, message: plan_pb2.Plan) -> Plan:
    plan = of_plan.plan_from_proto(message)
    template = await resource.get(connection, PLAN_TEMPLATES, plan.plan_template_id)
    return fit_plan(plan, template.value)


PLAN: Final = Noun(
    PLANS,
    of_plan.plan_from_proto,
    of_plan.plan_to_proto,
    admit=_admit_plan,
    create=created_alone(PLANS),
    mutable=("name", "terms"),
)


async def _admit_pricing(connection: Connection, message: pricing_pb2.Pricing) -> Pricing:
    pricing = pricing_from_proto(message)
    return fit_pricing(pricing, await pricing_place(connection, pricing.owner, pricing.priced))


def _prepare_pricing(message: pricing_pb2.Pricing, mask: Mask) -> None:
    """Let the derived name of the stored bands not speak against bands that are new."""
    if not mask.names("pricing_type"):
        message.ClearField("pricing_type")
    elif message.pricing_type and not mask.names("cumulative"):
        message.ClearField("cumulative")


PRICING: Final = Noun(
    PRICINGS,
    pricing_from_proto,
    pricing_to_proto,
    admit=_admit_pricing,
    create=create_pricing,
    mutable=(
        "pool",
        "start_time",
        "end_time",
        "cumulative",
        "pricing_type",
        "bands",
        "charge_zero",
        "minimum_spend",
        "minimum_spend_in_advance",
        "minimum_spend_description",
        "maximum_spend",
        "maximum_spend_description",
        "description",
        "apply_as",
        "accumulate",
        "accumulation_mode",
        "overage_bands",
        "counter_terms",
    ),
    prepare=_prepare_pricing,
)


async def _admit_promotion(connection: Connection, message: promotion_pb2.Promotion) -> Promotion:
    promotion = promotion_from_proto(message)
    return fit_promotion(promotion, await promotion_place(connection, promotion))


PROMOTION: Final = Noun(
    PROMOTIONS,
    promotion_from_proto,
    promotion_to_proto,
    admit=_admit_promotion,
    create=created_alone(PROMOTIONS),
    mutable=(
        "name",
        "percentage",
        "fixed_amount",
        "graduated",
        "bill_period_count",
        "max_per_period",
        "max_total",
    ),
)


async def _admit_plan_group(connection: Connection, message: plan_group_pb2.PlanGroup) -> PlanGroup:
    group = plan_group_from_proto(message)
    return fit_plan_group(group, await plans_to_group(connection, group.plan_ids))


PLAN_GROUP: Final = Noun(
    PLAN_GROUPS,
    plan_group_from_proto,
    plan_group_to_proto,
    admit=_admit_plan_group,
    create=created_alone(PLAN_GROUPS),
    mutable=(
        "name",
        "plan_ids",
        "minimum_spend",
        "minimum_spend_description",
        "maximum_spend",
        "maximum_spend_description",
    ),
)
ADD_ON: Final = Noun(
    ADD_ONS,
    add_on_from_proto,
    add_on_to_proto,
    admit=admitted_by_itself(add_on_from_proto),
    create=created_alone(ADD_ONS),
    mutable=("name", "flat_price", "setup_fee", "rates", "trial_days", "grace_days"),
)
SETTINGS_NOUN: Final = Noun(
    SETTINGS,
    of_plan.settings_from_proto,
    of_plan.settings_to_proto,
    admit=admitted_by_itself(of_plan.settings_from_proto),
    create=created_alone(SETTINGS),
    mutable=(
        "time_zone",
        "default_currency",
        "standing_charge_in_advance",
        "minimum_spend_in_advance",
        "day_epoch",
        "week_epoch",
        "month_epoch",
        "year_epoch",
        "rounding_mode",
        "currency_rates",
        "commitment_fee_in_advance",
        "credit_application_order",
    ),
)
