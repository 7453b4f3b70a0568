"""What the words of a story say by themselves (see `tests.story`)."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from ratel.core.band import Band, Bands
from ratel.core.currency import CurrencyRate
from ratel.core.money import decimal_from_text
from ratel.core.plan import Terms
from ratel.core.promotion import FixedAmount, Graduated, Percentage, SpendBand, Worth


def options_of(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Tell plain words from ``key=value``."""
    plain = [word for word in words if "=" not in word]
    return plain, dict(word.split("=", 1) for word in words if "=" in word)


def bands_from_text(texts: list[str]) -> tuple[Band, ...]:
    """Read ``lower:unit`` and ``lower:fixed+unit``, each perhaps with ``/block_size``."""
    return tuple(map(_band, texts))


def overage_from_options(options: Mapping[str, str]) -> Bands | None:
    """Read ``overage=0:0.7,100:0.6``."""
    bands = bands_from_text(options["overage"].split(",")) if "overage" in options else ()
    return Bands(cumulative=True, bands=bands) if bands else None


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


def terms_from_options(options: Mapping[str, str]) -> Terms:
    """Read what templates and plans set."""
    readers: dict[str, Callable[[str], object]] = {
        "charge": decimal_from_text,
        "spend": decimal_from_text,
        "advance": lambda text: text == "yes",
        "interval": int,
        "offset": int,
        "description": str,
    }
    found = {key: readers[key.rpartition("_")[2]](text) for key, text in options.items() if key.count("_")}
    return Terms(**found)  # type: ignore[arg-type]  # a wrong one fails in its constructor
