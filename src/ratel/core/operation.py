"""The operations of formulas as closures over decimals, exact or refused (R2.6).

Each takes what its operands evaluate to; null (None) among them gives null, but for `if_` and `coalesce`. Results
stay within `FORMULA_DIGITS_MAX`, so that evaluating a formula takes a bounded time.
"""

import operator
from collections.abc import Callable, Mapping
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
)
from typing import Final

from ratel.core.errors import FormulaRange
from ratel.core.limits import (
    DECIMAL_FRACTION_DIGITS_MAX,
    EXACT_DIGITS,
    FORMULA_DIGITS_MAX,
    FORMULA_EXPONENT_MAX,
    FORMULA_INTEGER_DIGITS_MAX,
    FORMULA_LENGTH_MAX,
)
from ratel.core.money import ONE, ZERO, divide

Values = Mapping[str, Decimal | None]
Evaluate = Callable[[Values], Decimal | None]

# With a least exponent of 0, the finest digit is the 499th after the point: the bound holds on both sides of it.
_BOUNDED: Final = Context(
    prec=FORMULA_DIGITS_MAX,
    Emin=0,
    Emax=FORMULA_INTEGER_DIGITS_MAX - 1,
    traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, FloatOperation],
)
_ROUNDING: Final = Context(prec=EXACT_DIGITS, rounding=ROUND_HALF_UP, traps=[InvalidOperation, FloatOperation])

bounded: Final = _BOUNDED.plus
"""Returns the value itself, -0 as 0; raises `decimal.DecimalException` if it has too many digits."""


def constant(value: Decimal | None) -> Evaluate:
    """Return what evaluates to the value."""
    return lambda values: value


def name(text: str) -> Evaluate:
    """Return what evaluates to the value of a name; null where there is none."""
    return lambda values: values.get(text)


# --- Operators --------------------------------------------------------------------------------------------------------


def _over(left: Decimal, right: Decimal) -> Decimal | None:
    return bounded(divide(left, right)) if right else None


def _modulo(left: Decimal, right: Decimal) -> Decimal | None:
    return _BOUNDED.remainder(left, right) if right else None


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    if not (0 <= exponent <= FORMULA_EXPONENT_MAX and exponent == exponent.to_integral_value()):
        raise FormulaRange(f"the exponent of ^ must be a whole number from 0 to {FORMULA_EXPONENT_MAX}")
    # From the highest bit on: no intermediate result has more digits than the last.
    power = ONE
    for bit in format(int(exponent), "b"):
        power = _BOUNDED.multiply(power, power)
        power = _BOUNDED.multiply(power, base) if bit == "1" else power
    return power


def _truth(compare: Callable[[Decimal, Decimal], bool]) -> Callable[[Decimal, Decimal], Decimal]:
    return lambda left, right: ONE if compare(left, right) else ZERO


Binary = Callable[[Decimal, Decimal], Decimal | None]

BINARY: Final[dict[str, Binary]] = {
    "+": _BOUNDED.add,
    "-": _BOUNDED.subtract,
    "*": _BOUNDED.multiply,
    "/": _over,
    "%": _modulo,
    "^": _power,
    "<": _truth(operator.lt),
    "<=": _truth(operator.le),
    ">": _truth(operator.gt),
    ">=": _truth(operator.ge),
    "=": _truth(operator.eq),
    "==": _truth(operator.eq),
    "!=": _truth(operator.ne),
    "<>": _truth(operator.ne),
    "and": _truth(lambda left, right: bool(left and right)),
    "or": _truth(lambda left, right: bool(left or right)),
}


def binary(symbol: str, left: Evaluate, right: Evaluate) -> Evaluate:
    """Return what applies one of `BINARY`."""
    operate = BINARY[symbol]

    def evaluate(values: Values) -> Decimal | None:
        a = left(values)
        b = right(values)
        return None if a is None or b is None else operate(a, b)

    return evaluate


def chain(first: Evaluate, steps: tuple[tuple[str, Evaluate], ...]) -> Evaluate:
    """Return what applies operators from left to right, without a nested call for each."""
    if len(steps) == 1:
        return binary(steps[0][0], first, steps[0][1])
    operations = [(BINARY[symbol], operand) for symbol, operand in steps]

    def evaluate(values: Values) -> Decimal | None:
        result = first(values)
        for operate, operand in operations:
            right = operand(values)
            if result is None or right is None:
                return None
            result = operate(result, right)
        return result

    return evaluate


# --- Functions --------------------------------------------------------------------------------------------------------


def _round(value: Decimal, digits: Decimal = ZERO) -> Decimal:
    if abs(digits) > DECIMAL_FRACTION_DIGITS_MAX or digits != digits.to_integral_value():
        limit = DECIMAL_FRACTION_DIGITS_MAX
        raise FormulaRange(f"the digits of round must be a whole number from -{limit} to {limit}")
    return value.quantize(Decimal((0, (1,), -int(digits))), ROUND_HALF_UP, _ROUNDING)


def _strict(operate: Callable[..., Decimal]) -> Callable[..., Evaluate]:
    """Make a function of decimals one of operands: null if any of them is."""

    def build(*operands: Evaluate) -> Evaluate:
        def evaluate(values: Values) -> Decimal | None:
            arguments = [operand(values) for operand in operands]
            return None if None in arguments else operate(*arguments)

        return evaluate

    return build


def _if(condition: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    def evaluate(values: Values) -> Decimal | None:
        holds = condition(values)
        if holds is None:
            return None
        return then(values) if holds else otherwise(values)

    return evaluate


def _coalesce(*operands: Evaluate) -> Evaluate:
    def evaluate(values: Values) -> Decimal | None:
        for operand in operands:
            value = operand(values)
            if value is not None:
                return value
        return None

    return evaluate


FUNCTIONS: Final[dict[str, tuple[int, int, Callable[..., Evaluate]]]] = {
    "if": (3, 3, _if),
    "min": (1, FORMULA_LENGTH_MAX, _strict(lambda *values: min(values))),
    "max": (1, FORMULA_LENGTH_MAX, _strict(lambda *values: max(values))),
    "abs": (1, 1, _strict(Decimal.copy_abs)),
    "floor": (1, 1, _strict(lambda value: value.to_integral_value(ROUND_FLOOR))),
    "ceil": (1, 1, _strict(lambda value: value.to_integral_value(ROUND_CEILING))),
    "round": (1, 2, _strict(_round)),
    "coalesce": (1, FORMULA_LENGTH_MAX, _coalesce),
}
"""By name: the least and the greatest number of arguments (any: as many as fit a formula), and what compiles a call."""

UNARY: Final[dict[str, Callable[..., Evaluate]]] = {
    "-": _strict(_BOUNDED.minus),
    "not": _strict(lambda value: ZERO if value else ONE),
}
