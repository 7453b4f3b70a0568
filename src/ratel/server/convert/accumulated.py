"""How far usage that accumulates has come, as messages."""

from typing import cast

from ratel.core.bill import Accumulation, LineItem, UsageWorkings
from ratel.core.errors import Invalid
from ratel.core.pricing import PRICED_FIELDS
from ratel.core.rating.accumulated import Accumulating
from ratel.rating.v1 import accumulated_usage_pb2, rating_service_pb2
from ratel.server.convert.rating import accumulation_to_proto
from ratel.server.convert.value import instant_from_proto


def accumulating_from_proto(request: rating_service_pb2.QueryAccumulationsRequest) -> Accumulating:
    """Return what is asked for.

    Raises:
        Invalid: the instant is none, at ``time``.
    """
    try:
        instant = instant_from_proto(request.time)
    except Invalid as error:
        raise error.under("time") from None
    return Accumulating(instant, request.product_id, request.pricing_id)


def accumulated_usage_to_proto(item: LineItem) -> accumulated_usage_pb2.AccumulatedUsage:
    """Return the message of a line item of usage that accumulates."""
    workings = cast(UsageWorkings, item.workings)
    message = accumulated_usage_pb2.AccumulatedUsage(
        product_id=item.origin.product_id,
        plan_id=item.origin.plan_id,
        attachment_id=item.origin.attachment_id,
        pricing_id=item.pricing_id,
        segment=dict(item.segment),
        unit=workings.unit,
        accumulation=accumulation_to_proto(cast(Accumulation, workings.accumulation)),
    )
    if item.priced is not None:
        setattr(message, PRICED_FIELDS[item.priced.kind], item.priced.id)
    return message
