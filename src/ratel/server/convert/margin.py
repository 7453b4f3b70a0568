"""What usage costs at the margin, as messages."""

from collections.abc import Collection

from ratel.core.compiled import CompiledPlan
from ratel.core.currency import Exchange
from ratel.core.money import ZERO, amount_text
from ratel.core.rating.margin import Amounts, Touched
from ratel.rating.v1 import margin_pb2 as pb
from ratel.server.convert.value import instant_to_proto, optional_instant_to_proto


def touched_to_proto(touched: Touched, plan: CompiledPlan, exchange: Exchange) -> pb.AccountMargin:
    """Return the message of a bill period without its amounts, which are brought into a currency."""
    return pb.AccountMargin(
        account_id=touched.attachment.account_id,
        attachment_id=touched.attachment.id,
        plan_id=plan.plan.id,
        start_time=instant_to_proto(touched.period.start),
        end_time=optional_instant_to_proto(touched.period.end),
        currency=exchange.target(plan.template.currency),
    )


def add_amounts(message: pb.AccountMargin, before: Amounts, after: Amounts, taking: Collection[str]) -> None:
    """Add the amounts of a bill period, and of the pricings that take usage or whose amount changes."""
    currency = message.currency
    message.amount_before = amount_text(before.total, currency)
    message.amount_after = amount_text(after.total, currency)
    for pricing_id in sorted({*taking, *before.by_pricing, *after.by_pricing}):
        old, new = before.by_pricing.get(pricing_id, ZERO), after.by_pricing.get(pricing_id, ZERO)
        if pricing_id in taking or old != new:
            message.pricing_margins.add(
                pricing_id=pricing_id,
                amount_before=amount_text(old, currency),
                amount_after=amount_text(new, currency),
            )
