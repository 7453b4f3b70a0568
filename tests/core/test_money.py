"""Exact decimals, their texts, units and currencies (R1.6, R1.7)."""

from decimal import ROUND_FLOOR, Decimal, Inexact, getcontext, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core import money
from ratel.core.errors import AmountDigits, CurrencyUnknown, DecimalInvalid, DecimalRange, RatelError
from ratel.core.money import Rounding, RoundingMode
from tests.core.table import rows

LAW = settings(max_examples=60, deadline=None)
ROUNDINGS = {mode.value: mode for mode in Rounding}

# --- Texts ---

READ = """
    text                                       | written
    0                                          | 0
    -0                                         | 0
    -0.00                                      | 0
    007.50                                     | 7.5
    -12.50                                     | -12.5
    100                                        | 100
    0.000000000000000001                       | 0.000000000000000001
    99999999999999999999999999999999999999     | 99999999999999999999999999999999999999
    99999999999999999999.999999999999999999    | 99999999999999999999.999999999999999999
    000000000000000000000000000000000000000001 | 1
"""


@pytest.mark.parametrize(("text", "written"), rows(READ))
def test_decimal_is_read_and_written_plainly(text: str, written: str) -> None:
    assert money.text_from_decimal(money.decimal_from_text(text)) == written


SHAPELESS = [
    *["", "-", ".", "1.", ".5", "-.5", "+1", "--1", "1e9", "1E-9", "1e999", "NaN", "-nan", "sNaN", "Infinity", "-inf"],
    *["1_000", "1,000", "1.2.3", " 1", "1 ", "1\n", "\t1", "0x10", "\uff11", "٣", "½", "1\x00", "$1", "1%", "\u22121"],
]


@pytest.mark.parametrize("text", SHAPELESS)
def test_other_shapes_are_refused(text: str) -> None:
    with pytest.raises(DecimalInvalid):
        money.decimal_from_text(text)


TOO_LONG = """
    text                                        | why
    999999999999999999999999999999999999999     | 39 significant digits
    -1000000000000000000000000000000000000000   | 40 digits, zeros included
    100000000000000000000.123456789012345678    | 21 + 18 significant digits
    0.1234567890123456789                       | 19 after the point
    1.0000000000000000000                       | 19 after the point, zeros included
"""


@pytest.mark.parametrize(("text", "why"), rows(TOO_LONG))
def test_digits_beyond_the_range_are_refused_not_clipped(text: str, why: str) -> None:
    with pytest.raises(DecimalRange):
        money.decimal_from_text(text)


@LAW
@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**19), max_value=10**19))
def test_text_and_back_is_the_same(value: Decimal) -> None:
    assert money.decimal_from_text(money.text_from_decimal(value)) == value


@pytest.mark.parametrize(("value", "text"), [("1E+3", "1000"), ("-0E-5", "0"), ("1.500E-7", "0.00000015"), ("-0", "0")])
def test_exponents_are_never_written(value: str, text: str) -> None:
    assert money.text_from_decimal(Decimal(value)) == text


# --- Exactness ---


@money.exact
def product(left: Decimal, right: Decimal) -> Decimal:
    return left * right


def test_exact_keeps_every_digit() -> None:
    long = Decimal("1." + "3" * 400)
    assert Fraction(product(long, long)) == Fraction(long) ** 2


def test_exact_refuses_to_round() -> None:
    endless = Decimal("1." + "3" * 600)
    with pytest.raises(Inexact):
        product(endless, endless)


def test_exact_restores_the_context_also_when_nested_and_failing() -> None:
    @money.exact
    def outer() -> Decimal:
        assert getcontext() is money.EXACT
        return product(money.ONE, money.ONE)

    before = getcontext()
    assert outer() == 1
    assert getcontext() is before
    with pytest.raises(Inexact):
        product(Decimal("1." + "3" * 600), Decimal("1." + "3" * 600))
    assert getcontext() is before


QUOTIENTS = """
    numerator | denominator | quotient
    1         | 3           | 0.33333333333333333333333333333333333333333333333333
    2         | 3           | 0.66666666666666666666666666666666666666666666666667
    -2        | 3           | -0.66666666666666666666666666666666666666666666666667
    1         | 8           | 0.125
    48900     | 500         | 97.8
    0         | 7           | 0
"""


@pytest.mark.parametrize(("numerator", "denominator", "quotient"), rows(QUOTIENTS))
def test_quotient_has_50_digits_whatever_the_context(numerator: str, denominator: str, quotient: str) -> None:
    with localcontext(prec=3, rounding=ROUND_FLOOR):
        assert money.divide(Decimal(numerator), Decimal(denominator)) == Decimal(quotient)


# --- Units (R1.6) ---

UNITS = """
    quantity | per unit | rounding | units   | why
    48900    | 500      | UP       | 98      | case 14: 97.8 away from zero
    48900    | 500      | DOWN     | 97      | case 14
    48900    | 500      | NEAREST  | 98      | case 14
    48900    | 500      | NONE     | 97.8    | case 14
    5.1      | 1        | NEAREST  | 5       | case 15
    3.5      | 1        | NEAREST  | 4       | case 15: half away from zero
    2.5      | 1        | NEAREST  | 3       | case 15: half away from zero, not to even
    500      | 500      | NONE     | 1       | case 16
    1000     | 500      | UP       | 2       | case 81: an exact ratio is not rounded up
    1        | 3        | UP       | 1       | case 81
    3        | 0.1      | UP       | 30      | exactly 30, no binary fraction above it
    -2.5     | 1        | NEAREST  | -3      | half away from zero
    -2.1     | 1        | UP       | -3      | away from zero
    -2.9     | 1        | DOWN     | -2      | toward zero
    -0.4     | 1        | NEAREST  | 0       | no -0
    -1       | 3        | DOWN     | 0       | no -0
    1.5      | 3        | NEAREST  | 1       | a half exactly
    1.4999   | 3        | NEAREST  | 0       | just under a half
    0        | 7        | UP       | 0       | nothing stays nothing
"""


@pytest.mark.parametrize(("quantity", "per_unit", "rounding", "units", "why"), rows(UNITS))
def test_units_of_a_quantity(quantity: str, per_unit: str, rounding: str, units: str, why: str) -> None:
    rounded = money.round_units(Decimal(quantity), Decimal(per_unit), ROUNDINGS[rounding])
    assert str(rounded) == units


def test_units_are_decided_on_the_exact_ratio() -> None:
    """A quotient of 50 digits would already be 2, and a half: the true one lies below both."""
    tiny = Decimal(10) ** -60
    for quantity, rounding, units in [("2", Rounding.DOWN, 1), ("2.5", Rounding.NEAREST, 2), ("2", Rounding.UP, 2)]:
        with localcontext(prec=200):
            numerator = Decimal(quantity) * 3 - tiny
        assert money.divide(numerator, Decimal(3)) == Decimal(quantity)
        assert money.round_units(numerator, Decimal(3), rounding) == units


numbers = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9)
positive = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=Decimal("0.000001"), max_value=10**6)


@LAW
@given(numbers, positive)
def test_units_agree_with_fractions(quantity: Decimal, per_unit: Decimal) -> None:
    ratio = Fraction(quantity) / Fraction(per_unit)
    sign, size = (-1 if ratio < 0 else 1), abs(ratio)
    down, nearest, up = size // 1, (size + Fraction(1, 2)) // 1, -(-size // 1)
    assert money.round_units(quantity, per_unit, Rounding.DOWN) == sign * down
    assert money.round_units(quantity, per_unit, Rounding.NEAREST) == sign * nearest
    assert money.round_units(quantity, per_unit, Rounding.UP) == sign * up


# --- Currencies (R1.7) ---

AMOUNTS = """
    amount      | currency | mode      | rounded     | why
    0.335       | USD      | HALF_UP   | 0.34        | case 82
    0.345       | USD      | HALF_EVEN | 0.34        | half to even
    0.335       | USD      | HALF_EVEN | 0.34        | half to even
    0.349       | USD      | DOWN      | 0.34        | toward zero
    -0.335      | USD      | HALF_UP   | -0.34       | half away from zero
    -0.004      | USD      | HALF_UP   | 0.00        | -0.00 is 0
    187         | USD      | HALF_UP   | 187.00      | exactly the currency's digits
    14376.35    | JPY      | HALF_UP   | 14376       | case 92: 95 x 151.33, no minor unit
    0.5         | JPY      | HALF_UP   | 1           | half away from zero
    1.2345      | KWD      | HALF_UP   | 1.235       | three digits
    1.23445     | CLF      | HALF_UP   | 1.2345      | four digits
    1E+3        | EUR      | HALF_UP   | 1000.00     | no exponent
"""
MODES = {mode.value: mode for mode in RoundingMode}


@pytest.mark.parametrize(("amount", "currency", "mode", "rounded", "why"), rows(AMOUNTS))
def test_amount_is_rounded_to_its_currency(amount: str, currency: str, mode: str, rounded: str, why: str) -> None:
    result = money.round_amount(Decimal(amount), currency, MODES[mode])
    assert str(result) == rounded
    assert money.amount_text(result, currency) == rounded


@LAW
@given(numbers, st.sampled_from(["JPY", "USD", "KWD", "CLF"]))
def test_rounding_moves_an_amount_by_at_most_half_a_step(amount: Decimal, currency: str) -> None:
    rounded = money.round_amount(amount, currency)
    step = Fraction(1, 10 ** money.exponent(currency))
    assert abs(Fraction(rounded) - Fraction(amount)) <= step / 2
    assert Fraction(rounded) % step == 0


@pytest.mark.parametrize(
    ("currency", "digits"), [("USD", 2), ("JPY", 0), ("ISK", 0), ("KWD", 3), ("CLF", 4), ("UYW", 4), ("BGN", 2)]
)
def test_exponent_of_a_currency(currency: str, digits: int) -> None:
    assert money.exponent(currency) == digits


@pytest.mark.parametrize("currency", ["", "usd", "XAU", "XXX", "EURO", "\uff35SD"])
def test_other_codes_are_refused(currency: str) -> None:
    for refuse in (lambda: money.exponent(currency), lambda: money.round_amount(Decimal(1), currency)):
        with pytest.raises(CurrencyUnknown):
            refuse()


def test_fixed_amounts_are_never_rounded() -> None:
    assert str(money.check_amount(Decimal("20"), "USD")) == "20.00"
    assert str(money.check_amount(Decimal("20.500"), "USD")) == "20.50"
    refused: list[tuple[str, str]] = [("20.005", "USD"), ("20.5", "JPY")]
    for amount, currency in refused:
        with pytest.raises(AmountDigits) as caught:
            money.check_amount(Decimal(amount), currency)
        assert isinstance(caught.value, RatelError)
