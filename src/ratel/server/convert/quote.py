"""Quotes: what bands make of a quantity."""

from decimal import Decimal

from ratel.core.band import Bands, Reached, pricing_type
from ratel.core.bill import PricedQuantity
from ratel.core.errors import DecimalInvalid, DecimalRange, Mistakes
from ratel.core.money import (
    ONE,
    SHORT_LENGTH,
    ZERO,
    Rounding,
    decimal_from_text,
    exponent,
    rounded_text,
    text_from_decimal,
)
from ratel.core.rating.quote import average_unit_price, quote, reach_quoted
from ratel.rating.v1 import rating_service_pb2
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
    return _response(quote(quantity, per_unit, rounding, bands), bands, request.currency)


def _response(priced: PricedQuantity, bands: Bands, currency: str) -> rating_service_pb2.QuoteResponse:
    average = average_unit_price(priced.amount, priced.units)
    response = rating_service_pb2.QuoteResponse(
        amount=_amount(priced.amount, currency),
        pricing_type=PRICING_TYPES.to_proto(pricing_type(bands)),
        average_unit_price="" if average is None else text_from_decimal(average),
    )
    fill_priced_quantity(response.priced_quantity, priced, (), [])
    return response


def _amount(exact_amount: Decimal, currency: str) -> str:
    """Return what is to be paid, rounded if there is a currency."""
    return rounded_text(exact_amount, currency) if currency else text_from_decimal(exact_amount)


# --- Made ready -------------------------------------------------------------------------------------------------------


class PreparedQuote:
    """A request for a quote but for its quantity, made ready: what does not depend on that is done once.

    Args:
        request: one of which nothing is wrong, with any quantity.
    """

    def __init__(self, request: rating_service_pb2.QuoteRequest) -> None:
        _, self._per_unit, self._rounding, self._bands = quote_from_proto(request)
        self._currency = request.currency
        self._messages: dict[tuple[int, bool], _QuoteMessage] = {}

    def answer(self, text: bytes) -> bytes | None:
        """Return the serialised answer for a quantity; None where it must be looked at whether that is right."""
        if len(text) > SHORT_LENGTH:
            return None
        try:
            quantity = decimal_from_text(text.decode("ascii"))
        except (DecimalInvalid, UnicodeDecodeError):
            return None
        units, reached = reach_quoted(quantity, self._per_unit, self._rounding, self._bands)
        # Negative units do not pay for entering the first band, which the message says beside what they decide.
        key = (-1, False) if reached is None else (reached.place, units < ZERO)
        found = self._messages.get(key)
        if found is None:
            found = self._messages[key] = _QuoteMessage(self._message(quantity))
        return found.filled(quantity, units, reached, self._currency)

    def _message(self, quantity: Decimal) -> rating_service_pb2.QuoteResponse:
        return _response(quote(quantity, self._per_unit, self._rounding, self._bands), self._bands, self._currency)


class _QuoteMessage:
    """An answer that is written over and over."""

    __slots__ = ("_last", "_message", "_priced")

    def __init__(self, message: rating_service_pb2.QuoteResponse) -> None:
        self._message = message
        self._priced = message.priced_quantity
        self._last = self._priced.band_usages[-1] if self._priced.band_usages else None

    def filled(self, quantity: Decimal, units: Decimal, reached: Reached | None, currency: str) -> bytes:
        """Return it with all that a quantity decides, serialised."""
        message, priced, last = self._message, self._priced, self._last
        exact_amount = ZERO if reached is None else reached.total
        average = average_unit_price(exact_amount, units)
        message.amount = _amount(exact_amount, currency)
        message.average_unit_price = "" if average is None else text_from_decimal(average)
        priced.quantity = quantity_text = text_from_decimal(quantity)
        priced.units = quantity_text if units is quantity else text_from_decimal(units)
        priced.amount = text_from_decimal(exact_amount)
        if last is not None and reached is not None:
            last.units = text_from_decimal(reached.units)
            if reached.block_count is not None:
                last.block_count = text_from_decimal(reached.block_count)
            last.amount = text_from_decimal(reached.amount)
        return message.SerializeToString()
