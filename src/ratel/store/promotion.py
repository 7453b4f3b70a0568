"""Promotions: the bands of a graduated one are parallel arrays, one element each."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ratel.core.errors import ResourceNotFound
from ratel.core.promotion import FixedAmount, Graduated, Percentage, Promotion, PromotionPlace, SpendBand, Worth
from ratel.store.pool import Connection
from ratel.store.pricing import PRICINGS
from ratel.store.resource import Resource, Row, get

INSERT = """
    INSERT INTO promotions (
        id, name, percentage, fixed_amount, lower_limits, percentages, bill_period_count, max_per_period, max_total,
        plan_id, pricing_id, segment_fields, segment_values, currency, create_time, update_time
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = "SELECT * FROM promotions WHERE id = $1"
PAGE = "SELECT * FROM promotions WHERE ($1 = '' OR plan_id = $1) AND id > $2 ORDER BY id LIMIT $3"
UPDATE = """
    UPDATE promotions
    SET name = $2, percentage = $3, fixed_amount = $4, lower_limits = $5, percentages = $6, bill_period_count = $7,
        max_per_period = $8, max_total = $9, update_time = $10, etag = nextval('etags')
    WHERE id = $1
"""
DELETE = "DELETE FROM promotions WHERE id = $1"
SELECT_CURRENCY_OF_PLAN = """
    SELECT currency FROM plans JOIN plan_templates ON plan_templates.id = plan_template_id WHERE plans.id = $1
"""
SELECT_CURRENCY_OF_PRICING = """
    SELECT currency FROM pricings LEFT JOIN plans ON plans.id = pricings.plan_id
        JOIN plan_templates ON plan_templates.id = coalesce(plans.plan_template_id, pricings.plan_template_id)
    WHERE pricings.id = $1
"""


def _to_changes(promotion: Promotion) -> tuple[object, ...]:
    return (
        promotion.id,
        promotion.name,
        *_worth_to_row(promotion.worth),
        promotion.bill_period_count,
        promotion.max_per_period,
        promotion.max_total,
    )


def _worth_to_row(worth: Worth) -> tuple[Decimal | None, Decimal | None, list[Decimal] | None, list[Decimal] | None]:
    match worth:
        case Percentage(percentage):
            return percentage, None, None, None
        case FixedAmount(amount):
            return None, amount, None, None
        case Graduated(bands):
            return None, None, [band.lower_limit for band in bands], [band.percentage for band in bands]


def _to_row(promotion: Promotion) -> tuple[object, ...]:
    return (
        *_to_changes(promotion),
        promotion.plan_id or None,
        promotion.pricing_id or None,
        [field for field, _ in promotion.segment],
        [value for _, value in promotion.segment],
        promotion.currency,
    )


def promotion_from_row(row: Row | Mapping[str, Any]) -> Promotion:
    """Return the promotion of a row."""
    return Promotion(
        id=row["id"],
        name=row["name"],
        worth=_worth_from_row(row),
        plan_id=row["plan_id"] or "",
        pricing_id=row["pricing_id"] or "",
        segment=tuple(zip(row["segment_fields"], row["segment_values"], strict=True)),
        currency=row["currency"],
        bill_period_count=row["bill_period_count"],
        max_per_period=row["max_per_period"],
        max_total=row["max_total"],
    )


def _worth_from_row(row: Row | Mapping[str, Any]) -> Worth:
    if row["percentage"] is not None:
        return Percentage(row["percentage"])
    if row["fixed_amount"] is not None:
        return FixedAmount(row["fixed_amount"])
    return Graduated(tuple(map(SpendBand, row["lower_limits"], row["percentages"])))


PROMOTIONS = Resource("promotion", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, promotion_from_row)


async def promotion_place(connection: Connection, promotion: Promotion) -> PromotionPlace:
    """Return what a promotion must fit.

    Raises:
        ResourceNotFound: the plan or the pricing does not exist.
    """
    if promotion.pricing_id:
        pricing = (await get(connection, PRICINGS, promotion.pricing_id)).value
        return PromotionPlace(await connection.fetchval(SELECT_CURRENCY_OF_PRICING, pricing.id), pricing)
    currency = await connection.fetchval(SELECT_CURRENCY_OF_PLAN, promotion.plan_id)
    if currency is None:
        raise ResourceNotFound("plan", promotion.plan_id)
    return PromotionPlace(currency)
