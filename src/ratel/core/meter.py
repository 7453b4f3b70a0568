"""Meters declare fields, aggregations turn the events of one meter into one quantity (R2.1, R2.2, R2.5).

Everything here is checked when made, so a wrong meter or aggregation cannot exist by itself; whether an aggregation
fits its meter is `check_aggregation`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from ratel.core.errors import FieldsFixed, Mistakes
from ratel.core.formula import Formula, parse
from ratel.core.money import ONE, ZERO, Rounding

# --- Meters -----------------------------------------------------------------------------------------------------------


class FieldKind(StrEnum):
    """Which values a field takes."""

    MEASURE = "MEASURE"
    STRING = "STRING"
    DERIVED = "DERIVED"


_NUMBERS: Final = (FieldKind.MEASURE, FieldKind.DERIVED)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a meter; ``formula`` is set for DERIVED fields and only for them."""

    name: str
    kind: FieldKind
    unit: str = ""
    formula: Formula | None = None


@dataclass(frozen=True, slots=True)
class Meter:
    """What is counted. Fields are append-only: events store values by their order.

    Raises:
        Invalid: with all mistakes of the fields, at paths such as ``fields[2].name``.
    """

    id: str
    product_id: str
    name: str
    fields: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        _check_names(mistakes, [field.name for field in self.fields])
        known = {field.name for field in self.fields if field.kind is FieldKind.MEASURE}
        for index, field in enumerate(self.fields):
            path = f"fields[{index}].formula"
            if (field.formula is not None) is not (field.kind is FieldKind.DERIVED):
                _add_formula_mistake(mistakes, path, field.kind)
            if field.formula is not None and not field.formula.names <= known:
                unknown = ", ".join(sorted(field.formula.names - known))
                mistakes.add(path, "FORMULA_INVALID", f"must use measures and derived fields before it, not {unknown}")
            if field.kind is FieldKind.DERIVED:
                known.add(field.name)
        mistakes.check()

    def field(self, name: str) -> Field | None:
        """Return the field of that name, if there is one."""
        return next((field for field in self.fields if field.name == name), None)


def read_fields(declared: Sequence[tuple[str, FieldKind, str, str]]) -> tuple[Field, ...]:
    """Return the fields for name, kind, unit and formula as text (empty for none).

    Raises:
        Invalid: with all mistakes of names and formulas, at paths such as ``fields[2].formula``.
    """
    mistakes = Mistakes()
    _check_names(mistakes, [name for name, *_ in declared])
    known = {name for name, kind, *_ in declared if kind is FieldKind.MEASURE}
    fields = []
    for index, (name, kind, unit, text) in enumerate(declared):
        formula = None
        if bool(text) is not (kind is FieldKind.DERIVED):
            _add_formula_mistake(mistakes, f"fields[{index}].formula", kind)
        elif text:
            with mistakes.under(f"fields[{index}].formula"):
                formula = parse(text, known)
            known.add(name)
        fields.append(Field(name, kind, unit, formula))
    mistakes.check()
    return tuple(fields)


def _check_names(mistakes: Mistakes, names: Sequence[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            mistakes.add(f"fields[{index}].name", "FIELD_REPEATED", f"must differ: field {name!r} is declared before")


def _add_formula_mistake(mistakes: Mistakes, path: str, kind: FieldKind) -> None:
    if kind is FieldKind.DERIVED:
        mistakes.add(path, "FIELD_REQUIRED", "must be set for a DERIVED field")
    else:
        mistakes.add(path, "FORMULA_UNEXPECTED", f"must be empty for a {kind} field")


def check_fields_extend(old: Meter, new: Meter) -> None:
    """Check that the new fields begin with the old ones; only units may differ (R2.1).

    Raises:
        FieldsFixed: a field was changed, removed or moved.
    """
    kept = new.fields[: len(old.fields)]
    if [_fixed(field) for field in kept] != [_fixed(field) for field in old.fields]:
        raise FieldsFixed(old.id)


def _fixed(field: Field) -> tuple[str, FieldKind, str]:
    return field.name, field.kind, field.formula.text if field.formula else ""


# --- Aggregations -----------------------------------------------------------------------------------------------------


class Method(StrEnum):
    """How the values of events become a quantity."""

    SUM = "SUM"
    MIN = "MIN"
    MAX = "MAX"
    LATEST = "LATEST"
    MEAN = "MEAN"
    UNIQUE = "UNIQUE"
    COUNT = "COUNT"
    WEIGHTED_SUM = "WEIGHTED_SUM"


@dataclass(frozen=True, slots=True)
class Filter:
    """Keeps the events whose string field has one of the values; ``""`` stands for a missing one."""

    field: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class RollupDefinition:
    """What must be kept of a meter's events for an aggregation; aggregations that need the same share one.

    Attributes:
        field: whose values are summed up; empty: only the events are counted.
        keeps_values: whether distinct values are kept (UNIQUE).
        dimensions: string fields by whose values everything is kept apart, sorted by name.
        keeps_moment: whether it is kept when the values were, as the sum of value times instant (WEIGHTED_SUM).
    """

    meter_id: str
    field: str
    keeps_values: bool
    dimensions: tuple[str, ...]
    keeps_moment: bool = False


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Events of one meter in a window -> one quantity for each segment.

    Raises:
        Invalid: with all mistakes.
    """

    id: str
    meter_id: str
    name: str
    method: Method
    field: str = ""
    default_quantity: Decimal | None = None
    quantity_per_unit: Decimal = ONE
    rounding: Rounding = Rounding.NONE
    unit: str = ""
    filter: Filter | None = None
    segment_fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        _check_quantity_per_unit(mistakes, self.quantity_per_unit)
        if not self.field and self.method is not Method.COUNT:
            mistakes.add("field", "FIELD_REQUIRED", f"must be set for {self.method}")
        mistakes.check()

    @property
    def rollup(self) -> RollupDefinition:
        """What must be kept of the events for this aggregation."""
        filtered = {self.filter.field} if self.filter else set()
        return RollupDefinition(
            self.meter_id,
            self.field,
            self.method is Method.UNIQUE,
            tuple(sorted(filtered | set(self.segment_fields))),
            self.method is Method.WEIGHTED_SUM,
        )


def counting_rollup(meter_id: str) -> RollupDefinition:
    """Return the rollup that every meter has from its creation on: how many events there are."""
    return RollupDefinition(meter_id, "", keeps_values=False, dimensions=())


def check_aggregation(aggregation: Aggregation, meter: Meter) -> None:
    """Check that an aggregation's fields are the meter's, and of the kind that they must be (R2.2).

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    if aggregation.field:
        _check_kind(mistakes, "field", meter.field(aggregation.field), _kinds(aggregation.method))
    if aggregation.filter:
        _check_kind(mistakes, "filter.field", meter.field(aggregation.filter.field), (FieldKind.STRING,))
    for index, name in enumerate(aggregation.segment_fields):
        _check_kind(mistakes, f"segment_fields[{index}]", meter.field(name), (FieldKind.STRING,))
    mistakes.check()


def _kinds(method: Method) -> Sequence[FieldKind]:
    if method is Method.COUNT:
        return tuple(FieldKind)
    return (FieldKind.STRING,) if method is Method.UNIQUE else _NUMBERS


def _check_kind(mistakes: Mistakes, path: str, field: Field | None, kinds: Iterable[FieldKind]) -> None:
    if field is None:
        mistakes.add(path, "FIELD_UNKNOWN", "must be a field of the meter")
    elif field.kind not in kinds:
        mistakes.add(path, "FIELD_KIND", f"must be a field of kind {' or '.join(kinds)}, not {field.kind}")


# --- Compounds --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CompoundAggregation:
    """A formula over aggregations of the same account and window.

    Raises:
        Invalid: with all mistakes.
    """

    id: str
    product_id: str
    name: str
    formula: Formula
    quantity_per_unit: Decimal = ONE
    rounding: Rounding = Rounding.NONE
    unit: str = ""
    null_as_zero: bool = False

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        _check_quantity_per_unit(mistakes, self.quantity_per_unit)
        mistakes.check()


_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_formula(text: str) -> Formula:
    """Read a formula whose names are not known yet; which of them are aggregations is for the catalog to say.

    Raises:
        FormulaInvalid: it cannot be read.
    """
    return parse(text, frozenset(_NAME.findall(text)))


def _check_quantity_per_unit(mistakes: Mistakes, value: Decimal) -> None:
    if value <= ZERO:
        mistakes.add("quantity_per_unit", "DECIMAL_RANGE", "must be greater than 0")
