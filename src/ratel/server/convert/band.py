"""Bands, wherever a message has them: beside ``cumulative``, ``pricing_type`` and ``charge_zero``."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

from ratel.catalog.v1 import pricing_pb2
from ratel.core.band import Band, Bands, PricingType, check_pricing_type
from ratel.core.errors import Invalid, Mistakes
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
    cumulative = message.cumulative if message.HasField("cumulative") else None
    texts = tuple((each.lower_limit, each.unit_price, each.fixed_price, each.block_size) for each in message.bands)
    return _bands_from_texts(cumulative, message.pricing_type, message.charge_zero, texts)


_Texts: TypeAlias = tuple[str, str, str, str]
"""What a band's message holds: lower limit, unit price, fixed price, block size."""


@lru_cache(maxsize=256)  # whoever asks for quotes asks for the same bands again and again; they never change
def _bands_from_texts(
    cumulative: bool | None, number: pricing_pb2.PricingType.ValueType, charge_zero: bool, texts: tuple[_Texts, ...]
) -> Bands:
    mistakes = Mistakes()
    bands = []
    for index, each in enumerate(texts):
        with mistakes.under(f"bands[{index}]"):
            bands.append(_band_from_texts(*each))
    # What follows would speak of bands that are not what the caller wrote.
    is_readable = not mistakes
    if number and is_readable:
        with mistakes.under():
            cumulative = check_pricing_type(PRICING_TYPES.from_proto(number), bands, cumulative)
    elif cumulative is None and not number:
        mistakes.add("cumulative", "FIELD_REQUIRED", "must be set where pricing_type does not say it")
    if is_readable:
        with mistakes.under():
            checked = Bands(bool(cumulative), tuple(bands), charge_zero)
    mistakes.check()
    return checked


def overage_bands_from_proto(messages: Iterable[pricing_pb2.Band]) -> Bands | None:
    """Return bands for overage, None for none.

    Raises:
        Invalid: with all mistakes, at paths such as ``overage_bands[1].lower_limit``.
    """
    mistakes = Mistakes()
    bands = []
    for index, message in enumerate(messages):
        with mistakes.under(f"overage_bands[{index}]"):
            bands.append(band_from_proto(message))
    mistakes.check()
    if not bands:
        return None
    try:
        return Bands(cumulative=True, bands=tuple(bands))
    except Invalid as error:
        raise Invalid(replace(each, field=f"overage_{each.field}") for each in error.violations) from None


def band_from_proto(message: pricing_pb2.Band) -> Band:
    """Return the band of a message.

    Raises:
        Invalid: with all mistakes.
    """
    return _band_from_texts(message.lower_limit, message.unit_price, message.fixed_price, message.block_size)


def _band_from_texts(lower_limit: str, unit_price: str, fixed_price: str, block_size: str) -> Band:
    mistakes = Mistakes()
    with mistakes.under("lower_limit"):
        lower = decimal_from_text(lower_limit)
    with mistakes.under("unit_price"):
        unit = optional_decimal_from_text(unit_price) or ZERO
    with mistakes.under("fixed_price"):
        fixed = optional_decimal_from_text(fixed_price) or ZERO
    with mistakes.under("block_size"):
        size = optional_decimal_from_text(block_size)
    mistakes.check()
    return Band(lower, unit, fixed, size)


def band_to_proto(band: Band) -> pricing_pb2.Band:
    """Return the message of a band."""
    return pricing_pb2.Band(
        lower_limit=text_from_decimal(band.lower_limit),
        unit_price=text_from_decimal(band.unit_price),
        fixed_price=text_from_decimal(band.fixed_price),
        block_size="" if band.block_size is None else text_from_decimal(band.block_size),
    )
