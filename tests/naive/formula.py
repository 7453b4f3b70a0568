"""R2.6: formulas, by a parser of its own that computes while it reads; None is null."""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil, floor

from tests.naive.exact import divide, round_to_integer

Value = Fraction | None

TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|[A-Za-z_]\w*|<=|>=|==|!=|[-+*/%^<>(),])")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def evaluate(text: str, values: Mapping[str, Value]) -> Value:
    reader = Reader(TOKEN.findall(text), values)
    result = reader.either()
    assert not reader.tokens, f"{reader.tokens} left of {text!r}"
    return result


class Reader:
    """One method for each strength of binding, the weakest first; every branch is computed, null where it cannot be."""

    def __init__(self, tokens: list[str], values: Mapping[str, Value]) -> None:
        self.tokens = tokens
        self.values = values

    def takes(self, *expected: str) -> str:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in expected else ""

    def either(self) -> Value:
        left = self.both()
        while self.takes("or"):
            right = self.both()
            left = None if left is None or right is None else truth(left != 0 or right != 0)
        return left

    def both(self) -> Value:
        left = self.negation()
        while self.takes("and"):
            right = self.negation()
            left = None if left is None or right is None else truth(left != 0 and right != 0)
        return left

    def negation(self) -> Value:
        if self.takes("not"):
            value = self.negation()
            return None if value is None else truth(value == 0)
        return self.comparison()

    def comparison(self) -> Value:
        left = self.sum()
        if sign := self.takes(*COMPARISONS):
            right = self.sum()
            return None if left is None or right is None else compare(sign, left, right)
        return left

    def sum(self) -> Value:
        left = self.product()
        while sign := self.takes("+", "-"):
            right = self.product()
            left = None if left is None or right is None else left + right if sign == "+" else left - right
        return left

    def product(self) -> Value:
        left = self.negative()
        while sign := self.takes("*", "/", "%"):
            right = self.negative()
            left = None if left is None or right is None else multiply(sign, left, right)
        return left

    def negative(self) -> Value:
        if self.takes("-"):
            value = self.negative()
            return None if value is None else -value
        return self.power()

    def power(self) -> Value:  # binds tighter than the minus before it, and to the right
        left = self.atom()
        if self.takes("^"):
            right = self.negative()
            if left is None or right is None:
                return None
            assert right.denominator == 1, "only integer exponents"
            assert 0 <= right <= 64, "exponents up to 64"
            return left ** int(right)
        return left

    def atom(self) -> Value:
        token = self.tokens.pop(0)
        if token == "(":
            value = self.either()
            assert self.takes(")")
            return value
        if self.takes("("):
            arguments = [self.either()]
            while self.takes(","):
                arguments.append(self.either())
            assert self.takes(")")
            return call(token, arguments)
        return Fraction(token) if token[0].isdigit() else self.values[token]


def truth(holds: bool) -> Fraction:
    return Fraction(int(holds))


def compare(sign: str, left: Fraction, right: Fraction) -> Fraction:
    results = (left < right, left <= right, left > right, left >= right, left == right, left != right)
    return truth(results[COMPARISONS.index(sign)])


def multiply(sign: str, left: Fraction, right: Fraction) -> Value:
    if sign == "*":
        return left * right
    if right == 0:  # R2.5: division by zero is null
        return None
    if sign == "/":
        return divide(left, right)
    return left - right * round_to_integer(left / right, "DOWN")  # the dividend's sign


def call(name: str, arguments: list[Value]) -> Value:
    if name == "coalesce":
        return next((each for each in arguments if each is not None), None)
    if name == "if":
        condition, yes, no = arguments
        return None if condition is None else yes if condition != 0 else no
    known = [each for each in arguments if each is not None]
    return FUNCTIONS[name](*known) if len(known) == len(arguments) else None  # null spreads


def rounded(value: Fraction, digits: Fraction = Fraction(0)) -> Fraction:
    step = Fraction(10) ** -int(digits)
    return round_to_integer(value / step, "NEAREST") * step


FUNCTIONS: dict[str, Callable[..., Fraction]] = {
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
    "abs": abs,
    "floor": lambda value: Fraction(floor(value)),
    "ceil": lambda value: Fraction(ceil(value)),
    "round": rounded,
}
