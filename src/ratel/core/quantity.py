"""From what is kept of events to a quantity: one ratio for each combination of segment values (R2.2 to R2.4)."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from ratel.core.event import Partial
from ratel.core.meter import Aggregation, CompoundAggregation, Method
from ratel.core.money import ONE, ZERO, Rounding, divide, round_units
from ratel.core.period import Period

Values: TypeAlias = tuple[str, ...]
"""A value for each of some string fields; ``""`` for a missing one."""


_SUM: Final = Method.SUM


class Quantity(NamedTuple):
    """A quantity as a ratio, so that its units are decided before anything was cut off (R1.6)."""

    numerator: Decimal
    denominator: Decimal = ONE

    @property
    def value(self) -> Decimal:
        """The quantity, carried to 50 digits if it is a ratio."""
        return self.numerator if self.denominator == ONE else divide(self.numerator, self.denominator)

    def units(self, quantity_per_unit: Decimal, rounding: Rounding) -> Decimal:
        """Return what bands count."""
        return round_units(self.numerator, self.denominator * quantity_per_unit, rounding)


def quantity_of(method: Method, partial: Partial, window: Period) -> Quantity | None:
    """Return the quantity of the events that a partial stands for; None when nothing counts (R2.3).

    Runs inside `money.EXACT`.

    Args:
        method: how values become a quantity.
        partial: of a level its integral, see `integral.with_integrals`.
        window: whose quantity it is, or what it has come to so far (R2.7).
    """
    if not partial.value_count:
        return None
    if method is _SUM:  # most are; to look up a member of an enum takes longer than all of this
        return Quantity(partial.value_sum)
    value = _value(method, partial)
    if value is None:
        return None
    if method is Method.WEIGHTED_SUM:
        return Quantity(value, Decimal(window.microseconds))
    return Quantity(value, Decimal(partial.value_count)) if method is Method.MEAN else Quantity(value)


def _value(method: Method, partial: Partial) -> Decimal | None:
    match method:
        case Method.SUM | Method.MEAN | Method.WEIGHTED_SUM:
            return partial.value_sum
        case Method.MIN:
            return partial.value_min
        case Method.MAX:
            return partial.value_max
        case Method.LATEST:
            return partial.latest_value
        case Method.UNIQUE:
            return Decimal(len(partial.values))
        case Method.COUNT:
            return Decimal(partial.value_count)


def compound_quantity(compound: CompoundAggregation, operands: Mapping[str, Quantity | None]) -> Quantity | None:
    """Return what the formula makes of the plain quantities of its aggregations, by their ids (R2.5).

    Raises:
        FormulaRange: the result has too many digits.
    """
    missing = ZERO if compound.null_as_zero else None
    value = compound.formula.evaluate(
        {name: missing if operand is None else operand.value for name, operand in operands.items()}
    )
    return None if value is None else Quantity(value)


def merge(partials: Iterable[Partial]) -> Partial:
    """Return the partial of the union of disjoint sets of events; their order does not matter."""
    union = Partial()
    for partial in partials:
        union.merge(partial)
    return union


def by_segment(aggregation: Aggregation, by_dimensions: Mapping[Values, Partial]) -> dict[Values, Partial]:
    """Keep what the filter keeps, and merge what differs in other dimensions than the segment fields.

    Args:
        aggregation: whose filter and segment fields are meant.
        by_dimensions: partials by a value for each of ``aggregation.rollup.dimensions``, in their order.

    Returns:
        Partials by a value for each of ``aggregation.segment_fields``, in their order, by value.
    """
    dimensions = aggregation.rollup.dimensions
    places = [dimensions.index(field) for field in aggregation.segment_fields]
    apart: dict[Values, list[Partial]] = {}
    for values, partial in by_dimensions.items():
        if aggregation.filter and values[dimensions.index(aggregation.filter.field)] not in aggregation.filter.values:
            continue
        apart.setdefault(tuple(values[place] for place in places), []).append(partial)
    return {values: merge(partials) for values, partials in sorted(apart.items())}
