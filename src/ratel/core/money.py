"""Exact decimals and the only places where one is rounded: `divide`, `round_units`, `round_amount` (R1.6, R1.7).

Everything else runs in the context `EXACT`, which refuses to round: a digit too many is an error, never a lost cent.
"""

import re
from collections.abc import Callable
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    ROUND_UP,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
    getcontext,
    setcontext,
)
from enum import StrEnum
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from ratel.core.errors import AmountDigits, CurrencyUnknown, DecimalInvalid, DecimalRange
from ratel.core.limits import (
    DECIMAL_DIGITS_MAX,
    DECIMAL_FRACTION_DIGITS_MAX,
    DIVISION_DIGITS,
    EXACT_DIGITS,
)

_P = ParamSpec("_P")
_T = TypeVar("_T")

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)

_NEVER_RIGHT: Final = [InvalidOperation, DivisionByZero, Overflow, FloatOperation]

# One object for all threads and tasks: nothing writes to it but the flags, which nobody reads.
EXACT: Final = Context(prec=EXACT_DIGITS, rounding=ROUND_HALF_EVEN, traps=[Inexact, *_NEVER_RIGHT])
_DIVISION: Final = Context(prec=DIVISION_DIGITS, rounding=ROUND_HALF_EVEN, traps=_NEVER_RIGHT)
_ROUNDING: Final = Context(prec=EXACT_DIGITS, rounding=ROUND_HALF_EVEN, traps=_NEVER_RIGHT)


def exact(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Make a plain function calculate in `EXACT`, so that ``+ - * // %`` on decimals are exact or raise.

    For entry points of pure arithmetic; what they call is inside already. Not for generators and coroutines, whose
    bodies run later.
    """

    @wraps(function)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        before = getcontext()
        if before is EXACT:
            return function(*args, **kwargs)
        setcontext(EXACT)
        try:
            return function(*args, **kwargs)
        finally:
            setcontext(before)

    return inside


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return the quotient to 50 significant digits, half even; multiply first, divide last.

    Raises:
        decimal.DivisionByZero: the denominator is zero.
        decimal.InvalidOperation: both are zero.
    """
    return _DIVISION.divide(numerator, denominator)


# --- Texts ------------------------------------------------------------------------------------------------------------

_PLAIN: Final = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")

SHORT_LENGTH: Final = DECIMAL_FRACTION_DIGITS_MAX + 1
"""A text this short is inside both limits on digits, whatever it says."""


def decimal_from_text(text: str) -> Decimal:
    """Read a plain decimal: ASCII digits, at most one point between digits, at most a minus before; -0 is 0.

    The number of digits after the point is kept (``1.50`` stays ``1.50``), leading zeros are not significant.

    Raises:
        DecimalInvalid: not of that shape, such as ``NaN``, ``1e9``, ``1_000``, ``+1``, ``.5``, blanks.
        DecimalRange: more than 38 significant digits, or more than 18 after the point.
    """
    match = _PLAIN.fullmatch(text)
    if match is None:
        raise DecimalInvalid("must be a plain decimal such as -12.50")
    if len(text) > SHORT_LENGTH:
        _check_digits(match[1], match[2] or "")
    value = Decimal(text)
    return value or value.copy_abs()


def scaled_from_text(text: str) -> tuple[int, int]:
    """Read a plain decimal as `decimal_from_text` does, as an integer and the number of its digits after the point.

    Raises:
        DecimalInvalid, DecimalRange: as there.
    """
    match = _PLAIN.fullmatch(text)
    if match is None:
        raise DecimalInvalid("must be a plain decimal such as -12.50")
    fraction = match[2]
    if len(text) > SHORT_LENGTH:
        _check_digits(match[1], fraction or "")
    return (int(text), 0) if fraction is None else (int(text.replace(".", "", 1)), len(fraction))


def _check_digits(integer: str, fraction: str) -> None:
    if len(fraction) > DECIMAL_FRACTION_DIGITS_MAX:
        raise DecimalRange(f"must have at most {DECIMAL_FRACTION_DIGITS_MAX} digits after the point")
    if len((integer + fraction).lstrip("0")) > DECIMAL_DIGITS_MAX:
        raise DecimalRange(f"must have at most {DECIMAL_DIGITS_MAX} significant digits")


def text_from_decimal(value: Decimal) -> str:
    """Write a decimal plainly: no exponent, no zeros at the end of a fraction, no -0."""
    text = str(value)  # three times as fast as a format, and the same but for an exponent
    if "E" in text:
        text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


# --- Units (R1.6) -----------------------------------------------------------------------------------------------------


class Rounding(StrEnum):
    """How a quantity becomes whole units: not at all, away from zero, toward zero, to the nearest (half away)."""

    NONE = "NONE"
    UP = "UP"
    DOWN = "DOWN"
    NEAREST = "NEAREST"


_INTEGER_ROUNDING: Final = {Rounding.UP: ROUND_UP, Rounding.DOWN: ROUND_DOWN, Rounding.NEAREST: ROUND_HALF_UP}


def round_units(numerator: Decimal, denominator: Decimal, rounding: Rounding) -> Decimal:
    """Return ``numerator / denominator`` as units; decided on the exact ratio, so no quotient is rounded twice.

    Args:
        numerator: the quantity, or its part above the line.
        denominator: above zero: quantity per unit, times the quantity's own denominator.
        rounding: `Rounding.NONE` carries the quotient to 50 digits; the others give an integer.
    """
    if rounding is Rounding.NONE:
        return numerator if denominator == ONE else divide(numerator, denominator)
    if denominator == ONE:
        units = numerator.to_integral_value(_INTEGER_ROUNDING[rounding])
    else:
        units = _round_ratio(numerator, denominator, rounding)
    return units or ZERO


@exact
def _round_ratio(numerator: Decimal, denominator: Decimal, rounding: Rounding) -> Decimal:
    whole, rest = divmod(numerator, denominator)  # toward zero, the rest with the numerator's sign
    outward = 2 * abs(rest) >= denominator if rounding is Rounding.NEAREST else rounding is Rounding.UP
    return whole + ONE.copy_sign(rest) if rest and outward else whole


# --- Currencies -------------------------------------------------------------------------------------------------------


class RoundingMode(StrEnum):
    """How an amount is rounded to its currency's digits; `HALF_UP` is half away from zero, the default."""

    HALF_UP = "HALF_UP"
    HALF_EVEN = "HALF_EVEN"
    DOWN = "DOWN"


_DECIMAL_ROUNDING: Final = {
    RoundingMode.HALF_UP: ROUND_HALF_UP,
    RoundingMode.HALF_EVEN: ROUND_HALF_EVEN,
    RoundingMode.DOWN: ROUND_DOWN,
}

# ISO 4217 as of January 2026, without the codes that have no minor unit (metals, funds' units, testing).
_CODES_BY_EXPONENT: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
        CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
        MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
        SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG
        YER ZAR ZMW ZWG
        """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
# Withdrawn since 2023: bills of their time can still be rated.
_WITHDRAWN: Final = {2: "ANG BGN CUC HRK SLL ZWL"}

_EXPONENTS: Final = {
    code: digits
    for table in (_CODES_BY_EXPONENT, _WITHDRAWN)
    for digits, codes in table.items()
    for code in codes.split()
}
_STEPS: Final = {code: Decimal((0, (1,), -digits)) for code, digits in _EXPONENTS.items()}


def exponent(currency: str) -> int:
    """Return how many digits after the point the currency has: 2 for USD, 0 for JPY, 3 for KWD, 4 for CLF.

    Raises:
        CurrencyUnknown: no ISO 4217 code in capitals, or one without a minor unit, such as XAU.
    """
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise CurrencyUnknown("must be an ISO 4217 currency code such as USD") from None


def round_amount(amount: Decimal, currency: str, mode: RoundingMode = RoundingMode.HALF_UP) -> Decimal:
    """Round an exact amount to exactly the digits of its currency; -0.00 is 0.00.

    Raises:
        CurrencyUnknown: see `exponent`.
    """
    exponent(currency)
    # The usual mode is not looked up: to hash a member of an enum takes longer than to round.
    rounding = ROUND_HALF_UP if mode is RoundingMode.HALF_UP else _DECIMAL_ROUNDING[mode]
    rounded = amount.quantize(_STEPS[currency], rounding, _ROUNDING)
    return rounded or rounded.copy_abs()


def rounded_text(amount: Decimal, currency: str) -> str:
    """Round an exact amount, half away from zero, and write it with exactly the digits of its currency.

    Raises:
        CurrencyUnknown: see `exponent`.
    """
    return str(round_amount(amount, currency))  # three times as fast as a format: these have no exponent


def check_amount(amount: Decimal, currency: str) -> Decimal:
    """Return a fixed amount with exactly the digits of its currency, unrounded (R1.7).

    Raises:
        AmountDigits: it has more digits after the point than the currency, trailing zeros not counted.
        CurrencyUnknown: see `exponent`.
    """
    rounded = round_amount(amount, currency)
    if rounded != amount:
        raise AmountDigits(f"must have at most {exponent(currency)} digits after the point in {currency}")
    return rounded


def amount_text(amount: Decimal, currency: str) -> str:
    """Write a rounded amount with exactly the digits of its currency.

    Raises:
        AmountDigits: the amount was not rounded.
        CurrencyUnknown: see `exponent`.
    """
    return format(check_amount(amount, currency), "f")
