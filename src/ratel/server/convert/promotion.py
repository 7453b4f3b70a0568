"""Promotions and grants, and how line items of promotions came about."""

from decimal import Decimal
from typing import Any

from ratel.account.v1 import grant_pb2
from ratel.catalog.v1 import promotion_pb2
from ratel.core.bill import PromotionWorkings
from ratel.core.errors import FieldRequired, Mistakes
from ratel.core.money import amount_text, decimal_from_text, text_from_decimal
from ratel.core.promotion import FixedAmount, Graduated, Grant, Percentage, Promotion, SpendBand, Worth
from ratel.rating.v1 import line_item_pb2
from ratel.server.convert.value import (
    amount_to_text,
    instant_to_proto,
    optional_instant_to_proto,
    period_from_proto,
)

# --- Promotions -------------------------------------------------------------------------------------------------------


def promotion_from_proto(message: promotion_pb2.Promotion) -> Promotion:
    """Return the promotion of a message, its segment by name; what it must fit is not known here.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    with mistakes.under():
        worth = _worth_from_proto(message)
    limits: dict[str, Decimal | None] = {}
    for field in ("max_per_period", "max_total"):
        with mistakes.under(field):
            limits[field] = decimal_from_text(getattr(message, field)) if message.HasField(field) else None
    mistakes.check()
    return Promotion(
        id=message.id,
        name=message.name,
        worth=worth,
        plan_id=message.plan_id,
        pricing_id=message.pricing_id,
        segment=tuple(sorted(message.segment.items())),
        currency=message.currency,
        bill_period_count=message.bill_period_count if message.HasField("bill_period_count") else None,
        **limits,
    )


def promotion_to_proto(promotion: Promotion) -> promotion_pb2.Promotion:
    """Return the message of a promotion."""
    message = promotion_pb2.Promotion(
        id=promotion.id,
        name=promotion.name,
        segment=dict(promotion.segment),
        currency=promotion.currency,
        bill_period_count=promotion.bill_period_count,
        max_per_period=amount_to_text(promotion.max_per_period),
        max_total=amount_to_text(promotion.max_total),
        **_worth_to_proto(promotion.worth),
    )
    if promotion.plan_id:
        message.plan_id = promotion.plan_id
    else:
        message.pricing_id = promotion.pricing_id
    return message


def _worth_from_proto(message: promotion_pb2.Promotion) -> Worth:
    mistakes = Mistakes()
    match message.WhichOneof("discount"):
        case "percentage":
            with mistakes.under("percentage"):
                return Percentage(decimal_from_text(message.percentage))
        case "fixed_amount":
            with mistakes.under("fixed_amount"):
                return FixedAmount(decimal_from_text(message.fixed_amount))
        case "graduated":
            with mistakes.under("graduated"):
                return _graduated_from_proto(message.graduated)
    mistakes.check()
    raise FieldRequired("must be a percentage, a fixed amount or graduated percentages", "discount")


def _graduated_from_proto(message: promotion_pb2.GraduatedDiscount) -> Graduated:
    mistakes = Mistakes()
    bands = []
    for index, band in enumerate(message.bands):
        with mistakes.under(f"bands[{index}]"):
            bands.append(_band_from_proto(band))
    mistakes.check()
    return Graduated(tuple(bands))


def _band_from_proto(message: promotion_pb2.SpendBand) -> SpendBand:
    mistakes = Mistakes()
    with mistakes.under("lower_limit"):
        lower_limit = decimal_from_text(message.lower_limit)
    with mistakes.under("percentage"):
        percentage = decimal_from_text(message.percentage)
    mistakes.check()
    return SpendBand(lower_limit, percentage)


def _worth_to_proto(worth: Worth) -> dict[str, Any]:
    """Return what a promotion takes off by the name of its field."""
    match worth:
        case Percentage(percentage):
            return {"percentage": text_from_decimal(percentage)}
        case FixedAmount(amount):
            return {"fixed_amount": amount_to_text(amount)}
        case Graduated(bands):
            return {"graduated": promotion_pb2.GraduatedDiscount(bands=map(_band_to_proto, bands))}


def _band_to_proto(band: SpendBand) -> promotion_pb2.SpendBand:
    limit, percentage = format(band.lower_limit, "f"), text_from_decimal(band.percentage)
    return promotion_pb2.SpendBand(lower_limit=limit, percentage=percentage)


# --- Grants -----------------------------------------------------------------------------------------------------------


def grant_from_proto(message: grant_pb2.Grant) -> Grant:
    """Return the grant of a message.

    Raises:
        Invalid: with all mistakes.
    """
    return Grant(message.id, message.account_id, message.promotion_id, period_from_proto(message), message.priority)


def grant_to_proto(grant: Grant) -> grant_pb2.Grant:
    """Return the message of a grant."""
    return grant_pb2.Grant(
        id=grant.id,
        account_id=grant.account_id,
        promotion_id=grant.promotion_id,
        start_time=instant_to_proto(grant.period.start),
        end_time=optional_instant_to_proto(grant.period.end),
        priority=grant.priority,
    )


# --- Workings ---------------------------------------------------------------------------------------------------------


def promotion_workings_to_proto(workings: PromotionWorkings, currency: str) -> line_item_pb2.PromotionWorkings:
    """Return the message of a promotion's or trial's workings."""
    return line_item_pb2.PromotionWorkings(
        spend=amount_text(workings.spend, currency),
        earlier_spend=amount_text(workings.earlier_spend, currency),
        earlier_amount=amount_text(workings.earlier_amount, currency),
        left="" if workings.left is None else amount_text(workings.left, currency),
        **({} if workings.worth is None else _worth_to_proto(workings.worth)),
    )
