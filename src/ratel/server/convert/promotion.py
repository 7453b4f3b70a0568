"""Promotions, and how they came about."""

from typing import Any

from ratel.catalog.v1 import promotion_pb2
from ratel.core.bill import PromotionWorkings
from ratel.core.money import amount_text, text_from_decimal
from ratel.core.promotion import FixedAmount, Graduated, Percentage, Worth
from ratel.rating.v1 import line_item_pb2


def promotion_workings_to_proto(workings: PromotionWorkings, currency: str) -> line_item_pb2.PromotionWorkings:
    """Return the message of a promotion's or trial's workings."""
    return line_item_pb2.PromotionWorkings(
        spend=amount_text(workings.spend, currency),
        earlier_spend=amount_text(workings.earlier_spend, currency),
        earlier_amount=amount_text(workings.earlier_amount, currency),
        left="" if workings.left is None else amount_text(workings.left, currency),
        **({} if workings.worth is None else _worth_to_proto(workings.worth)),
    )


def _worth_to_proto(worth: Worth) -> dict[str, Any]:
    """Return what a promotion takes off by the name of its field."""
    match worth:
        case Percentage(percentage):
            return {"percentage": text_from_decimal(percentage)}
        case FixedAmount(amount):
            return {"fixed_amount": format(amount, "f")}
        case Graduated(bands):
            return {
                "graduated": promotion_pb2.GraduatedDiscount(
                    bands=(
                        promotion_pb2.SpendBand(
                            lower_limit=format(band.lower_limit, "f"),
                            percentage=text_from_decimal(band.percentage),
                        )
                        for band in bands
                    )
                )
            }
