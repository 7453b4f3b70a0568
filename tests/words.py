"""What the words of a story say by themselves (see `tests.story`)."""

from decimal import Decimal

from ratel.core.band import Band
from ratel.core.currency import CurrencyRate
from ratel.core.promotion import FixedAmount, Graduated, Percentage, SpendBand, Worth


def options_of(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Tell plain words from ``key=value``."""
    plain = [word for word in words if "=" not in word]
    return plain, dict(word.split("=", 1) for word in words if "=" in word)


def bands_from_text(texts: list[str]) -> tuple[Band, ...]:
    """Read ``lower:unit`` and ``lower:fixed+unit``, each perhaps with ``/block_size``."""
    return tuple(map(_band, texts))


def _band(text: str) -> Band:
    lower, price = text.split(":")
    price, _, block = price.partition("/")
    fixed, _, unit = price.rpartition("+")
    return Band(Decimal(lower), Decimal(unit), Decimal(fixed or 0), Decimal(block) if block else None)


def worth_from_words(words: list[str]) -> Worth:
    """Read a percentage, an amount, or ``limit:percentage`` of each band."""
    if ":" in words[0]:
        pairs = (word.rstrip("%").split(":") for word in words)
        return Graduated(tuple(SpendBand(Decimal(limit), Decimal(percentage)) for limit, percentage in pairs))
    if words[0].endswith("%"):
        return Percentage(Decimal(words[0].rstrip("%")))
    return FixedAmount(Decimal(words[0]))


def rates_from_text(text: str) -> tuple[CurrencyRate, ...]:
    """Read ``USD:GBP:0.8``, one after the other with commas between."""
    rates = (each.split(":") for each in text.split(",") if each)
    return tuple(CurrencyRate(source, target, Decimal(rate)) for source, target, rate in rates)
