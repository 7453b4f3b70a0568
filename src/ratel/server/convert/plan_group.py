"""Plan groups."""

from decimal import Decimal

from ratel.catalog.v1 import plan_group_pb2
from ratel.core.errors import Mistakes
from ratel.core.money import decimal_from_text
from ratel.core.plan_group import PlanGroup
from ratel.server.convert.value import amount_to_text


def plan_group_from_proto(message: plan_group_pb2.PlanGroup) -> PlanGroup:
    """Return the plan group of a message; whether it fits its plans is not known here.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    amounts: dict[str, Decimal | None] = {"minimum_spend": None, "maximum_spend": None}
    if message.HasField("minimum_spend"):
        with mistakes.under("minimum_spend"):
            amounts["minimum_spend"] = decimal_from_text(message.minimum_spend)
    if message.HasField("maximum_spend"):
        with mistakes.under("maximum_spend"):
            amounts["maximum_spend"] = decimal_from_text(message.maximum_spend)
    mistakes.check()
    return PlanGroup(
        id=message.id,
        name=message.name,
        plan_ids=tuple(message.plan_ids),
        currency=message.currency,
        minimum_spend=amounts["minimum_spend"],
        minimum_spend_description=message.minimum_spend_description,
        maximum_spend=amounts["maximum_spend"],
        maximum_spend_description=message.maximum_spend_description,
    )


def plan_group_to_proto(group: PlanGroup) -> plan_group_pb2.PlanGroup:
    """Return the message of a plan group."""
    return plan_group_pb2.PlanGroup(
        id=group.id,
        name=group.name,
        plan_ids=group.plan_ids,
        currency=group.currency,
        minimum_spend=amount_to_text(group.minimum_spend),
        minimum_spend_description=group.minimum_spend_description,
        maximum_spend=amount_to_text(group.maximum_spend),
        maximum_spend_description=group.maximum_spend_description,
    )
