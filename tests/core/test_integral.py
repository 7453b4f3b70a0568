"""Levels over time against a plain reference that looks at every change (R2.7)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ratel.core.event import Partial
from ratel.core.instant import microseconds_from_instant
from ratel.core.integral import Partials, changes_read, with_integrals
from ratel.core.meter import Method, RollupDefinition
from ratel.core.money import ZERO, exact
from ratel.core.period import Period
from ratel.core.quantity import merge, quantity_of
from ratel.core.window import Read

START = datetime(2024, 2, 27, tzinfo=UTC)
LEVELS = RollupDefinition("m", "size", keeps_values=False, dimensions=(), keeps_moment=True)
SUMS = RollupDefinition("m", "size", keeps_values=False, dimensions=())

Change = tuple[datetime, Decimal]

instants = st.timedeltas(timedelta(), timedelta(days=4)).map(START.__add__)
changes = st.lists(st.tuples(instants, st.decimals(-1000, 1000, places=3)), max_size=8)
cuts = st.lists(instants, min_size=2, max_size=6, unique=True).map(sorted)


def kept_of(read: Read, found: list[Change]) -> dict[tuple[str, ...], Partial]:
    inside = [
        Partial(1, 1, value, value_moment=value * microseconds_from_instant(time))
        for time, value in found
        if read.period.contains(time)
    ]
    return {(): merge(inside)} if inside else {}


def read_all(wanted: list[Read], found: list[Change]) -> Partials:
    return with_integrals(wanted, {read: kept_of(read, found) for read in changes_read(wanted)})


def mean_level(found: list[Change], period: Period) -> Decimal | None:
    """Let each change last from its instant, or from the start of the period, to the end of the period."""
    assert period.end is not None
    before = [(max(time, period.start), value) for time, value in found if time < period.end]
    if not before:
        return None
    lasting = [value * ((period.end - time) // timedelta.resolution) for time, value in before]
    return sum(lasting, ZERO)


@given(changes, cuts)
@exact
def test_stretches_have_the_integral_of_their_level(found: list[Change], bounds: list[datetime]) -> None:
    whole = Period(bounds[0], bounds[-1])
    pieces = [Period(*piece) for piece in pairwise(bounds)]
    wanted = [Read(LEVELS, period) for period in (*pieces, whole)]
    known = read_all(wanted, found)
    for read in wanted:
        quantity = quantity_of(Method.WEIGHTED_SUM, known[read].get((), Partial()), read.period)
        expected = mean_level(found, read.period)
        assert (quantity and quantity.numerator) == expected
        assert quantity is None or quantity.denominator == read.period.microseconds
    together = merge(known[read].get((), Partial()) for read in wanted[:-1])
    assert together.value_sum == known[wanted[-1]].get((), Partial()).value_sum


@given(changes, cuts)
def test_the_order_of_events_never_matters(found: list[Change], bounds: list[datetime]) -> None:
    """R13."""
    wanted = [Read(LEVELS, Period(*piece)) for piece in pairwise(bounds)]
    assert read_all(wanted, found) == read_all(wanted, found[::-1])


def test_all_time_is_read_once_and_nothing_more_than_asked_of_what_is_no_level() -> None:
    periods = [Period(START, START + timedelta(days=2)), Period(START + timedelta(days=1), START + timedelta(days=3))]
    reads = changes_read([Read(rollup, period) for rollup in (LEVELS, SUMS) for period in (*periods, *periods)])
    assert [read.period for read in reads if read.rollup is SUMS] == periods
    pieces = [read.period for read in reads if read.rollup is LEVELS]
    assert [piece.start for piece in pieces] == [
        datetime(1, 1, 1, tzinfo=UTC),
        *(START + timedelta(days=day) for day in range(3)),
    ]
    assert all(first.end == second.start for first, second in pairwise(pieces))
