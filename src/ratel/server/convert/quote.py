"""Quotes: what bands make of a quantity."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from ratel.catalog.v1 import pricing_pb2
from ratel.core.band import Bands, pricing_type
from ratel.core.errors import DecimalRange, Mistakes
from ratel.core.money import (
    ONE,
    ZERO,
    Rounding,
    amount_text,
    decimal_from_text,
    exponent,
    round_amount,
    text_from_decimal,
)
from ratel.core.rating.quote import average_unit_price, quote
from ratel.rating.v1 import line_item_pb2, rating_service_pb2
from ratel.server.convert.band import PRICING_TYPES, bands_from_proto
from ratel.server.convert.meter import ROUNDINGS
from ratel.server.convert.rating import fill_priced_quantity
from ratel.server.convert.value import one_or_decimal


def quote_from_proto(request: rating_service_pb2.QuoteRequest) -> tuple[Decimal, Decimal, Rounding, Bands]:
    """Return what is to be priced: the arguments of `quote`.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    quantity, per_unit, rounding = ZERO, ONE, Rounding.NONE
    with mistakes.under("quantity"):
        quantity = decimal_from_text(request.quantity)
    with mistakes.under("quantity_per_unit"):
        per_unit = _positive(one_or_decimal(request.quantity_per_unit))
    with mistakes.under("rounding"):
        rounding = ROUNDINGS.from_proto(request.rounding, Rounding.NONE)
    with mistakes.under("currency"):
        if request.currency:
            exponent(request.currency)
    with mistakes.under():
        bands = bands_from_proto(request)
    mistakes.check()
    return quantity, per_unit, rounding, bands


def _positive(value: Decimal) -> Decimal:
    if value <= ZERO:
        raise DecimalRange("must be greater than 0")
    return value


def quote_to_proto(request: rating_service_pb2.QuoteRequest) -> rating_service_pb2.QuoteResponse:
    """Return what a request for a quote comes to; only reckons, so it needs no more than the request.

    Raises:
        Invalid: with all mistakes.
    """
    quantity, per_unit, rounding, bands = quote_from_proto(request)
    priced = quote(quantity, per_unit, rounding, bands)
    known = _known_of(bands)
    amount = text_from_decimal(priced.amount)
    average = average_unit_price(priced.amount, priced.units)
    response = rating_service_pb2.QuoteResponse(
        amount=amount,
        pricing_type=known.pricing_type,
        average_unit_price="" if average is None else text_from_decimal(average),
    )
    if request.currency:
        response.amount = amount_text(round_amount(priced.amount, request.currency), request.currency)
    fill_priced_quantity(response.priced_quantity, priced, (), known.passed)
    return response


@dataclass(frozen=True, slots=True)
class _KnownBands:
    """What every quote by the same bands says: kept with them, since they are known by identity."""

    bands: Bands
    pricing_type: pricing_pb2.PricingType.ValueType
    passed: list[line_item_pb2.BandUsage] = field(default_factory=list)


_KNOWN_MAX: Final = 256
_known: Final[dict[int, _KnownBands]] = {}


def _known_of(bands: Bands) -> _KnownBands:
    """Return what is known of bands: equal ones that were read from messages are mostly the same object."""
    known = _known.get(id(bands))
    if known is None or known.bands is not bands:
        if len(_known) >= _KNOWN_MAX:
            _known.clear()
        known = _known[id(bands)] = _KnownBands(bands, PRICING_TYPES.to_proto(pricing_type(bands)))
    return known
