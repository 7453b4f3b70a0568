"""Bands, wherever a message has them: beside ``cumulative``, ``pricing_type`` and ``charge_zero``."""

from collections.abc import Iterable
from typing import Any, Protocol

from ratel.catalog.v1 import pricing_pb2
from ratel.core.band import Band, Bands, PricingType, check_pricing_type
from ratel.core.errors import Mistakes
from ratel.core.money import ZERO, decimal_from_text, text_from_decimal
from ratel.server.convert.value import EnumPair, optional_decimal_from_text

PRICING_TYPES = EnumPair(PricingType, pricing_pb2.PricingType.Name, pricing_pb2.PricingType.Value, "PRICING_TYPE_")


class Banded(Protocol):
    """A message with bands."""

    cumulative: bool
    pricing_type: pricing_pb2.PricingType.ValueType
    charge_zero: bool

    @property
    def bands(self) -> Iterable[pricing_pb2.Band]: ...

    def HasField(self, field_name: Any) -> bool: ...


def bands_from_proto(message: Banded) -> Bands:
    """Return the bands of a message; a pricing type stands for ``cumulative``, and is checked.

    Raises:
        Invalid: with all mistakes, at ``cumulative``, ``pricing_type`` and paths such as ``bands[1].lower_limit``.
    """
    mistakes = Mistakes()
    bands = []
    for index, band in enumerate(message.bands):
        with mistakes.under(f"bands[{index}]"):
            bands.append(band_from_proto(band))
    # What follows would speak of bands that are not what the caller wrote.
    is_readable = not mistakes
    cumulative = message.cumulative if message.HasField("cumulative") else None
    if message.pricing_type and is_readable:
        with mistakes.under():
            pricing_type = PRICING_TYPES.from_proto(message.pricing_type)
            cumulative = check_pricing_type(pricing_type, bands, cumulative)
    elif cumulative is None and not message.pricing_type:
        mistakes.add("cumulative", "FIELD_REQUIRED", "must be set where pricing_type does not say it")
    if is_readable:
        with mistakes.under():
            checked = Bands(bool(cumulative), tuple(bands), message.charge_zero)
    mistakes.check()
    return checked


def band_from_proto(message: pricing_pb2.Band) -> Band:
    """Return the band of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    with mistakes.under("lower_limit"):
        lower_limit = decimal_from_text(message.lower_limit)
    with mistakes.under("unit_price"):
        unit_price = optional_decimal_from_text(message.unit_price) or ZERO
    with mistakes.under("fixed_price"):
        fixed_price = optional_decimal_from_text(message.fixed_price) or ZERO
    with mistakes.under("block_size"):
        block_size = optional_decimal_from_text(message.block_size)
    mistakes.check()
    return Band(lower_limit, unit_price, fixed_price, block_size)


def band_to_proto(band: Band) -> pricing_pb2.Band:
    """Return the message of a band."""
    return pricing_pb2.Band(
        lower_limit=text_from_decimal(band.lower_limit),
        unit_price=text_from_decimal(band.unit_price),
        fixed_price=text_from_decimal(band.fixed_price),
        block_size="" if band.block_size is None else text_from_decimal(band.block_size),
    )
