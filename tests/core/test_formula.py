"""Formulas: values, null, errors with their place, bounds (R2.6)."""

import pickle
import time
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core.errors import FormulaInvalid, FormulaRange
from ratel.core.formula import parse
from tests.core.table import rows

LAW = settings(max_examples=60, deadline=None)
VALUES = {"a": Decimal(7), "b": Decimal("2.5"), "z": Decimal(0), "android": Decimal(3), "n": None}

RESULTS = """
    formula                        | result | why
    1 + 2 * 3                      | 7      | products before sums
    (1 + 2) * 3                    | 9      | parentheses
    10 - 4 - 3                     | 3      | from left to right
    24 / 4 / 2                     | 3      | from left to right
    a % 4                          | 3      |
    -a % 4                         | -3     | the dividend's sign
    a % -4                         | 3      | the dividend's sign
    -7.5 % 2                       | -1.5   | the dividend's sign
    -2 ^ 2                         | -4     | ^ before unary minus
    2 ^ 3 ^ 2                      | 512    | ^ to the right
    2 ^ -z                         | 1      | a signed exponent
    z ^ 0                          | 1      |
    1.5 ^ 2                        | 2.25   | exact
    a - -b                         | 9.5    |
    --a                            | 7      |
    0.1 + 0.2                      | 0.3    | no binary fractions
    1 / 3                          | 0.33333333333333333333333333333333333333333333333333 | 50 digits
    1 / 8                          | 0.125  |
    a / 0                          | null   | division by zero
    a % z                          | null   | division by zero
    a > b                          | 1      |
    a < b                          | 0      |
    a >= 7 and a <= 7              | 1      |
    a = 7.0                        | 1      | equal in value
    a == 7                         | 1      |
    a != 7                         | 0      |
    a <> b                         | 1      |
    (a > b) * 10                   | 10     | a truth is 1 or 0
    not a                          | 0      | what is not 0 is true
    not z                          | 1      |
    not a = b                      | 1      | not (a = b)
    1 or 0 and 0                   | 1      | and before or
    a and b                        | 1      | a truth, not an operand
    z or z                         | 0      |
    if(a > b, a, b)                | 7      |
    if(z, a, b)                    | 2.5    |
    if(a > b, a, n)                | 7      | the branch not taken may be null
    if(a > b, a, 1 / z)            | 7      | the branch not taken may be null
    if(a < b, a, n)                | null   | the branch taken
    if(n, 1, 2)                    | null   | a null condition
    min(a, b, 3)                   | 2.5    |
    max(a)                         | 7      |
    abs(-b)                        | 2.5    |
    floor(b)                       | 2      |
    floor(-b)                      | -3     |
    ceil(b)                        | 3      |
    ceil(-0.5)                     | 0      | no -0
    round(b)                       | 3      | half away from zero
    round(-b)                      | -3     | half away from zero
    round(2.345, 2)                | 2.35   |
    round(1250, -2)                | 1300   |
    coalesce(n, z, a)              | 0      | the first that is not null
    coalesce(n, n)                 | null   |
    n + 1                          | null   | null spreads
    1 + n + a                      | null   |
    -n                             | null   |
    n = n                          | null   |
    not n                          | null   |
    n and 0                        | null   |
    1 or n                         | null   |
    min(a, n)                      | null   |
    round(a, n)                    | null   |
    n * 0 + 1                      | null   |
    android + 1                    | 4      | a name may begin like an operator
    max (a, b)                     | 7      | blanks are free
    a                              | 7      |
"""


@pytest.mark.parametrize(("text", "result", "why"), rows(RESULTS))
def test_result(text: str, result: str, why: str) -> None:
    expected = None if result == "null" else Decimal(result)
    assert parse(text, VALUES).evaluate(VALUES) == expected


MISTAKES = """
    formula              | line | column | message
                         | 1    | 1      | ends too early
    a +                  | 1    | 4      | ends too early
    (a                   | 1    | 3      | ends too early
    a b                  | 1    | 3      | unexpected 'b'
    a ) + 1              | 1    | 3      | unexpected ')'
    1e5                  | 1    | 2      | unexpected 'e5'
    .5                   | 1    | 1      | unexpected '.'
    1_000                | 1    | 2      | unexpected '_000'
    a $ b                | 1    | 3      | unexpected '$'
    '1'                  | 1    | 1      | unexpected "'"
    a < b < 3            | 1    | 7      | unexpected '<'
    and                  | 1    | 1      | unexpected 'and'
    a.b                  | 1    | 2      | unexpected '.'
    ٣                    | 1    | 1      | unexpected
    1 + x * y - x        | 1    | 5      | unknown names: x, y
    sqrt(a)              | 1    | 1      | unknown function: sqrt
    1 + if(a, b)         | 1    | 5      | if takes 3 arguments, not 2
    abs()                | 1    | 1      | abs takes 1 argument, not 0
    round(a, 1, 2)       | 1    | 1      | round takes 1 or 2 arguments, not 3
    coalesce()           | 1    | 1      | coalesce takes at least 1 argument, not 0
    a + 2 ^ 65           | 1    | 7      | whole number from 0 to 64
    2 ^ -1               | 1    | 3      | whole number from 0 to 64
    2 ^ 0.5              | 1    | 3      | whole number from 0 to 64
    round(1, 19)         | 1    | 1      | whole number from -18 to 18
    (10 ^ 60) ^ 2        | 1    | 11     | more digits than can be kept
"""


@pytest.mark.parametrize(("text", "line", "column", "message"), rows(MISTAKES))
def test_mistake_is_shown_where_it_is(text: str, line: str, column: str, message: str) -> None:
    with pytest.raises(FormulaInvalid) as caught:
        parse(text, VALUES)
    assert message in str(caught.value)
    assert caught.value.metadata == {"line": line, "column": column}


def test_mistake_in_a_later_line() -> None:
    with pytest.raises(FormulaInvalid, match="line 3, column 4: unexpected"):
        parse("a\n+ b\n  +* 2", VALUES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9" * 39, "38 significant digits"),
        ("0." + "1" * 19, "18 digits after the point"),
        ("a" + " " * 2_000, "at most 2000 characters"),
        ("-" * 65 + "a", "more than 64 operations"),
        ("abs(" * 65 + "a" + ")" * 65, "more than 64 operations"),
        ("^".join(["a"] * 66), "more than 64 operations"),
    ],
)
def test_size_is_bounded(text: str, message: str) -> None:
    with pytest.raises(FormulaInvalid, match=message):
        parse(text, VALUES)


def test_long_and_deep_formulas_within_the_bounds_work() -> None:
    assert parse("+".join(["a"] * 1_000), VALUES).evaluate(VALUES) == 7_000
    assert parse("-" * 64 + "a", VALUES).evaluate(VALUES) == 7
    assert parse("(" * 999 + "a" + ")" * 999, VALUES).evaluate(VALUES) == 7
    assert parse("z or " * 399 + "a", VALUES).evaluate(VALUES) == 1
    assert parse(f"max({','.join(['a'] * 900)})", VALUES).evaluate(VALUES) == 7


BEYOND = """
    formula        | a                    | why
    a ^ 64         | 100                  | 10^128 has more than 100 digits before the point
    a ^ 64         | 0.000000000000000001 | 10^-1152 has more than 499 after it
    a ^ 64         | 123456789.123456789  | more than 500 digits in all
    2 ^ a          | 65                   | exponent
    2 ^ a          | -1                   | exponent
    2 ^ a          | 1.5                  | exponent
    round(1, a)    | 19                   | digits
    round(1, a)    | 0.5                  | digits
    a              | 1E+100               | also a value that only passes through
"""


@pytest.mark.parametrize(("text", "a", "why"), rows(BEYOND))
def test_results_out_of_bounds_are_errors_never_rounded(text: str, a: str, why: str) -> None:
    with pytest.raises(FormulaRange):
        parse(text, ["a"]).evaluate({"a": Decimal(a)})


def test_work_is_bounded() -> None:
    """The dearest formula of its length: long products of the longest numbers, exact to the last digit."""
    formula = parse("*".join(["(a/b)"] * 9) + "+a*b^12%b" * 100, ["a", "b"])
    start = time.perf_counter()
    with pytest.raises(FormulaRange):
        formula.evaluate({"a": Decimal("9" * 20 + "." + "7" * 18), "b": Decimal("3" * 20 + "." + "1" * 18)})
    assert time.perf_counter() - start < 1


def test_names_that_are_used() -> None:
    formula = parse("a + coalesce(n, a) * 2", VALUES)
    assert formula.names == {"a", "n"}
    assert formula.text == "a + coalesce(n, a) * 2"


def test_name_without_a_value_is_null() -> None:
    assert parse("a + b", ["a", "b"]).evaluate({"a": Decimal(1)}) is None


def test_formula_is_a_value() -> None:
    formula = parse("a * 2", VALUES)
    twin = pickle.loads(pickle.dumps(formula))
    assert twin == formula
    assert twin.evaluate(VALUES) == 14


def test_context_of_the_caller_does_not_matter() -> None:
    formula = parse("a * a - 1", ["a"])
    with localcontext(prec=2):
        assert formula.evaluate({"a": Decimal("123.45")}) == Decimal("15238.9025")


numbers = st.integers(-(10**8), 10**8).map(lambda digits: Decimal(digits).scaleb(-4))


@LAW
@given(numbers, numbers, numbers)
def test_arithmetic_agrees_with_fractions(a: Decimal, b: Decimal, c: Decimal) -> None:
    result = parse("(a + b) * c - a * a * b ^ 3 + -c", ["a", "b", "c"]).evaluate({"a": a, "b": b, "c": c})
    x, y, z = Fraction(a), Fraction(b), Fraction(c)
    assert result is not None
    assert Fraction(result) == (x + y) * z - x * x * y**3 + -z


@LAW
@given(st.text(alphabet="ab1.+-*/%^()<>=!, \nandorifm", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        formula = parse(text, VALUES)
        formula.evaluate(VALUES)
    except (FormulaInvalid, FormulaRange):
        return
