"""Pricings: their bands are parallel arrays, one element each."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ratel.core.band import Band, Bands
from ratel.core.errors import ResourceNotFound
from ratel.core.meter import Method
from ratel.core.money import Rounding
from ratel.core.pricing import (
    OWNER_FIELDS,
    PRICED_FIELDS,
    AccumulationMode,
    ApplyAs,
    CounterTerms,
    Owner,
    OwnerKind,
    PricedKind,
    PricedThing,
    Pricing,
    PricingPlace,
    SpendLimits,
)
from ratel.core.segment import segment_key
from ratel.store.period import period_from_row
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row, Stored, create, stored_from_row

INSERT = """
    INSERT INTO pricings (
        id, pool, start_time, end_time, cumulative, lower_limits, unit_prices, fixed_prices, block_sizes, charge_zero,
        minimum_spend, minimum_spend_in_advance, minimum_spend_description, maximum_spend, maximum_spend_description,
        description, apply_as, running_total_in_advance, prorate_running_total, prorate_debit, prorate_credit,
        accumulate, accumulation_mode, overage_lower_limits, overage_unit_prices, plan_id, plan_template_id,
        aggregation_id, compound_aggregation_id, counter_id, segment, segment_key, create_time, update_time
    ) VALUES (
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
        $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $33
    )
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = """
    SELECT pricings.*, coalesce(segment_fields, '{}') AS segment_fields
    FROM pricings LEFT JOIN aggregations ON aggregations.id = aggregation_id
    WHERE pricings.id = $1
"""
PAGE = """
    SELECT pricings.*, coalesce(segment_fields, '{}') AS segment_fields
    FROM pricings LEFT JOIN aggregations ON aggregations.id = aggregation_id
    WHERE ($1 = '' OR plan_id = $1) AND ($2 = '' OR plan_template_id = $2) AND pricings.id > $3
    ORDER BY pricings.id LIMIT $4
"""
UPDATE = """
    UPDATE pricings
    SET pool = $2, start_time = $3, end_time = $4, cumulative = $5, lower_limits = $6, unit_prices = $7,
        fixed_prices = $8, block_sizes = $9, charge_zero = $10, minimum_spend = $11, minimum_spend_in_advance = $12,
        minimum_spend_description = $13, maximum_spend = $14, maximum_spend_description = $15, description = $16,
        apply_as = $17, running_total_in_advance = $18, prorate_running_total = $19, prorate_debit = $20,
        prorate_credit = $21, accumulate = $22, accumulation_mode = $23, overage_lower_limits = $24,
        overage_unit_prices = $25, update_time = $26, etag = nextval('etags')
    WHERE id = $1
"""
DELETE = "DELETE FROM pricings WHERE id = $1"
# A counter is not remembered: a level without a price is no usage.
INSERT_PRICED_THING = """
    INSERT INTO priced_things (plan_id, plan_template_id, aggregation_id, compound_aggregation_id)
    SELECT plan_id, plan_template_id, aggregation_id, compound_aggregation_id FROM pricings
    WHERE id = $1 AND counter_id IS NULL
    ON CONFLICT DO NOTHING
"""
SELECT_OF_OWNERS = """
    SELECT pricings.*, coalesce(segment_fields, '{}') AS segment_fields
    FROM pricings LEFT JOIN aggregations ON aggregations.id = aggregation_id
    WHERE plan_id = any($1::text[]) OR plan_template_id = any($2::text[])
    ORDER BY pricings.id
"""
SELECT_OWNER = """
    SELECT product_id, currency FROM plan_templates
    WHERE id = $2 OR id = (SELECT plan_template_id FROM plans WHERE plans.id = $1)
"""
SELECT_AGGREGATION = """
    SELECT product_id, segment_fields, ARRAY[method] AS methods, quantity_per_unit, rounding
    FROM aggregations JOIN meters ON meters.id = meter_id WHERE aggregations.id = $1
"""
SELECT_COMPOUND = """
    SELECT product_id, '{}'::text[] AS segment_fields, ARRAY(
        SELECT method FROM compound_operands JOIN aggregations ON aggregations.id = aggregation_id
        WHERE compound_aggregation_id = $1
    ) AS methods, quantity_per_unit, rounding
    FROM compound_aggregations WHERE id = $1
"""
SELECT_COUNTER = """
    SELECT product_id, '{}'::text[] AS segment_fields, '{}'::text[] AS methods, 1::numeric AS quantity_per_unit,
        'NONE' AS rounding
    FROM counters WHERE id = $1
"""

SELECT_PRICED = {
    PricedKind.AGGREGATION: ("aggregation", SELECT_AGGREGATION),
    PricedKind.COMPOUND: ("compound_aggregation", SELECT_COMPOUND),
    PricedKind.COUNTER: ("counter", SELECT_COUNTER),
}


def _to_changes(pricing: Pricing) -> tuple[object, ...]:
    bands, spend, terms = pricing.bands.bands, pricing.spend, pricing.counter_terms
    overage = pricing.overage_bands.bands if pricing.overage_bands else ()
    return (
        pricing.id,
        pricing.pool,
        pricing.period.start,
        pricing.period.end,
        pricing.bands.cumulative,
        [band.lower_limit for band in bands],
        [band.unit_price for band in bands],
        [band.fixed_price for band in bands],
        [band.block_size for band in bands],
        pricing.bands.charge_zero,
        spend.minimum,
        spend.minimum_in_advance,
        spend.minimum_description,
        spend.maximum,
        spend.maximum_description,
        pricing.description,
        pricing.apply_as.value,
        terms.running_total_in_advance,
        terms.prorate_running_total,
        terms.prorate_debit,
        terms.prorate_credit,
        pricing.accumulate,
        pricing.accumulation_mode and pricing.accumulation_mode.value,
        [band.lower_limit for band in overage],
        [band.unit_price for band in overage],
    )


def _to_row(pricing: Pricing) -> tuple[object, ...]:
    return (
        *_to_changes(pricing),
        *(pricing.owner.id if pricing.owner.kind is kind else None for kind in OWNER_FIELDS),
        *(pricing.priced.id if pricing.priced.kind is kind else None for kind in PRICED_FIELDS),
        list(pricing.segment),
        UUID(bytes=segment_key(pricing.segment)),
    )


def pricing_from_row(row: Row) -> Pricing:
    """Return the pricing of a row, which has its aggregation's segment fields beside."""
    return Pricing(
        id=row["id"],
        owner=owner_from_row(row),
        priced=priced_from_row(row),
        period=period_from_row(row),
        bands=_bands_from_row(row),
        segment=tuple(row["segment"]),
        segment_fields=tuple(row["segment_fields"]),
        pool=row["pool"],
        spend=SpendLimits(
            row["minimum_spend"],
            row["minimum_spend_in_advance"],
            row["minimum_spend_description"],
            row["maximum_spend"],
            row["maximum_spend_description"],
        ),
        description=row["description"],
        apply_as=ApplyAs(row["apply_as"]),
        counter_terms=CounterTerms(
            row["running_total_in_advance"], row["prorate_running_total"], row["prorate_debit"], row["prorate_credit"]
        ),
        accumulate=row["accumulate"],
        accumulation_mode=row["accumulation_mode"] and AccumulationMode(row["accumulation_mode"]),
        overage_bands=_overage_bands_from_row(row),
    )


def _bands_from_row(row: Row) -> Bands:
    columns = (row[name] for name in ("lower_limits", "unit_prices", "fixed_prices", "block_sizes"))
    return Bands(row["cumulative"], tuple(Band(*band) for band in zip(*columns, strict=True)), row["charge_zero"])


def _overage_bands_from_row(row: Row) -> Bands | None:
    bands = tuple(map(Band, row["overage_lower_limits"], row["overage_unit_prices"]))
    return Bands(cumulative=True, bands=bands) if bands else None


def owner_from_row(row: Row) -> Owner:
    """Return the plan or template that a row names."""
    return next(Owner(kind, row[name]) for kind, name in OWNER_FIELDS.items() if row[name] is not None)


def priced_from_row(row: Row) -> PricedThing:
    """Return the thing that a row prices."""
    columns = ((kind, name) for kind, name in PRICED_FIELDS.items() if row.get(name) is not None)
    return next(PricedThing(kind, row[name]) for kind, name in columns)


PRICINGS = Resource("pricing", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, pricing_from_row)


async def create_pricing(connection: Connection, pricing: Pricing, now: datetime) -> Stored[Pricing]:
    """Store a pricing, see `resource.create`, and remember what it prices (R3.5)."""
    stored = await create(connection, PRICINGS, pricing, now)
    await connection.execute(INSERT_PRICED_THING, pricing.id)
    return stored


async def pricing_place(connection: Connection, owner: Owner, priced: PricedThing) -> PricingPlace:
    """Return what a pricing of this owner and thing must fit.

    Raises:
        ResourceNotFound: there is no such plan, template or thing.
    """
    is_plan = owner.kind is OwnerKind.PLAN
    owning = await connection.fetchrow(SELECT_OWNER, *((owner.id, "") if is_plan else ("", owner.id)))
    if owning is None:
        raise ResourceNotFound("plan" if is_plan else "plan_template", owner.id)
    resource, statement = SELECT_PRICED[priced.kind]
    thing = await connection.fetchrow(statement, priced.id)
    if thing is None:
        raise ResourceNotFound(resource, priced.id)
    return PricingPlace(
        currency=owning["currency"],
        owner_product_id=owning["product_id"],
        priced_product_id=thing["product_id"],
        segment_fields=tuple(thing["segment_fields"]),
        methods=frozenset(map(Method, thing["methods"])),
        quantity_per_unit=thing["quantity_per_unit"],
        rounding=Rounding(thing["rounding"]),
    )


async def pricings_of_owners(
    connection: Connection, plan_ids: Sequence[str], template_ids: Sequence[str] = ()
) -> list[Stored[Pricing]]:
    """Return the pricings that belong to some plans or templates, by id."""
    rows = await connection.fetch(SELECT_OF_OWNERS, plan_ids, template_ids)
    return [stored_from_row(PRICINGS, row) for row in rows]
