"""The parts of the engine that stand alone agree with the naive one: formulas and bill periods (R2.6, R4.2, R4.4)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from random import Random

import pytest

from ratel.core import formula
from ratel.core.errors import FormulaRange
from ratel.core.money import exact
from ratel.core.period import Frequency, days
from ratel.core.period import Grid as CoreGrid
from tests.naive.formula import evaluate
from tests.naive.grid import Grid
from tests.naive.grid import days as naive_days
from tests.naive.stories import PLACES
from tests.naive.translation import decimal_or_none, plain

NAMES = ("a", "b", "c")
BINARY = ("+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "and", "or")


def expression(chance: Random, depth: int) -> str:
    """A formula in which the readers must know for themselves what binds tighter."""
    if depth == 0 or chance.random() < Fraction(1, 5):
        return chance.choice((*NAMES, "2", "0.5", "10.25"))
    inner = [expression(chance, depth - 1) for _ in range(3)]
    shape = chance.randrange(8)
    if shape < 3:
        # Comparisons do not chain, so what stands beside one is put in brackets.
        return f"({inner[0]}) {chance.choice(BINARY[:5])} {inner[1]}" if shape else f"{inner[0]} * -{inner[1]}"
    return {
        3: f"(({inner[0]}) {chance.choice(BINARY)} ({inner[1]}))",
        4: f"if(({inner[0]}) > 1, {inner[1]}, {inner[2]})",
        5: f"{chance.choice(('min', 'max', 'coalesce'))}({', '.join(inner)})",
        6: f"({chance.choice(('abs', 'floor', 'ceil', 'round', 'not '))}({inner[0]}))",
        7: f"-({inner[0]}) ^ 2 ^ {chance.randrange(3)}",
    }[shape]


@exact
def core_value(text: str, values: Mapping[str, Fraction | None]) -> Fraction | None:
    known = {name: decimal_or_none(value) for name, value in values.items()}
    return plain(formula.parse(text, frozenset(NAMES)).evaluate(known))


@pytest.mark.parametrize("seed", range(300))
def test_formulas_agree(seed: int) -> None:
    chance = Random(seed)
    text = expression(chance, 4)
    for _ in range(4):
        values = {name: chance.choice((None, *map(Fraction, ("0", "1", "-2.5", "7", "3.333")))) for name in NAMES}
        try:
            value = core_value(text, values)
        except FormulaRange:
            continue
        assert value == evaluate(text, values), f"{text} of {values}"


@pytest.mark.parametrize("seed", range(100))
def test_bill_periods_agree(seed: int) -> None:
    chance = Random(seed)
    zone, near = chance.choice(PLACES)
    epoch = chance.choice((None, near, date(2024, 1, 31), date(2024, 2, 29), date(1999, 12, 31)))
    frequency, interval = chance.choice(tuple(Frequency)), chance.randint(1, 13)
    naive, core = Grid(frequency.value, interval, epoch, zone), CoreGrid(frequency, interval, epoch, zone)
    for _ in range(10):
        hours = chance.randrange(-1000, 1000)
        instant = datetime(near.year, near.month, near.day, tzinfo=UTC) + timedelta(hours=hours)
        period = core.period_at(instant)
        assert (period.start, period.end) == naive.period(naive.number_at(instant))
        later = instant + timedelta(hours=chance.randrange(2000))
        assert days(instant, later, zone) == naive_days(instant, later, zone)
