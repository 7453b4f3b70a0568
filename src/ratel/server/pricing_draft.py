"""Pricings that are not stored: what is wrong with them, and what they would charge."""

from collections.abc import Iterable

from ratel.catalog.v1 import catalog_service_pb2 as pb
from ratel.core.errors import FieldRequired, Invalid, PricingOverlap, ResourceNotFound
from ratel.core.money import amount_text, decimal_from_text, exact, round_amount, text_from_decimal
from ratel.core.pricing import OwnerKind, Pricing, PricingPlace, fit_pricing
from ratel.core.quantity import Quantity
from ratel.core.rating.quote import price_quantity
from ratel.core.remark import Remark, rate_remark, remarks
from ratel.server.convert.pricing import pricing_from_proto
from ratel.server.request import check_whole
from ratel.store import resource
from ratel.store.account import currency_on_plans
from ratel.store.constraint import pricing_in_the_way
from ratel.store.plan import PLANS
from ratel.store.pool import Connection
from ratel.store.pricing import pricing_place, pricings_of_owners
from ratel.store.settings import SETTINGS


async def validate_pricing(connection: Connection, request: pb.ValidatePricingRequest) -> pb.ValidatePricingResponse:
    """Return what is to be said of the pricing of a request.

    Raises:
        Invalid: the request has none, or quantities that cannot be.
    """
    if not request.HasField("pricing"):
        raise FieldRequired("must be set", "pricing")
    try:
        check_whole(request.pricing, pricing_from_proto)
        pricing = pricing_from_proto(request.pricing)
        place = await pricing_place(connection, pricing.owner, pricing.priced)
        pricing = fit_pricing(pricing, place)
    except Invalid as error:
        violations = error.violations
        problems = [pb.PricingRemark(field=each.field, reason=each.reason, message=each.message) for each in violations]
        return pb.ValidatePricingResponse(problems=problems)
    except ResourceNotFound as error:
        problem = pb.PricingRemark(reason=error.reason, message=error.message)
        return pb.ValidatePricingResponse(problems=[problem])
    return await _judged(connection, pricing, place, request.quantities)


async def _judged(
    connection: Connection, pricing: Pricing, place: PricingPlace, quantities: Iterable[str]
) -> pb.ValidatePricingResponse:
    in_the_way = await pricing_in_the_way(connection, pricing)
    if in_the_way is not None:
        overlap = PricingOverlap(in_the_way)
        problem = pb.PricingRemark(field="start_time", reason=overlap.reason, message=overlap.message)
        return pb.ValidatePricingResponse(problems=[problem])
    owner = pricing.owner
    plan_ids = [owner.id] if owner.kind is OwnerKind.PLAN else []
    template_id = (await resource.get(connection, PLANS, owner.id)).value.plan_template_id if plan_ids else owner.id
    others = [stored.value for stored in await pricings_of_owners(connection, plan_ids, [template_id])]
    found = [*remarks(pricing, others), *await _rate_remarks(connection, pricing, place.currency)]
    warnings = (pb.PricingRemark(field=each.field, reason=each.reason, message=each.message) for each in found)
    return pb.ValidatePricingResponse(warnings=warnings, points=[_point(pricing, place, text) for text in quantities])


async def _rate_remarks(connection: Connection, pricing: Pricing, currency: str) -> list[Remark]:
    settings = (await resource.get(connection, SETTINGS)).value
    known = [each.to_currency for each in settings.currency_rates if each.from_currency == currency]
    missing = await currency_on_plans(connection, pricing.owner, [currency, *known])
    return [] if missing is None else [rate_remark(currency, missing)]


@exact
def _point(pricing: Pricing, place: PricingPlace, text: str) -> pb.PricedPoint:
    quantity = Quantity(decimal_from_text(text))
    priced = price_quantity(quantity, place.quantity_per_unit, place.rounding, pricing.bands)
    amount = amount_text(round_amount(priced.amount, place.currency), place.currency)
    return pb.PricedPoint(quantity=text, units=text_from_decimal(priced.units), amount=amount)
