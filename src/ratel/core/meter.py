"""Meters declare fields, aggregations turn the events of one meter into one quantity (R2.1, R2.2, R2.5).

Everything here is checked when made, so a wrong meter or aggregation cannot exist.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ratel.core.formula import Formula
from ratel.core.money import Rounding


class FieldKind(StrEnum):
    """Which values a field takes."""

    MEASURE = "MEASURE"
    STRING = "STRING"
    DERIVED = "DERIVED"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a meter; ``formula`` is set for DERIVED fields and only for them."""

    name: str
    kind: FieldKind
    unit: str = ""
    formula: Formula | None = None


@dataclass(frozen=True, slots=True)
class Meter:
    """What is counted. Fields are append-only: events store values by their order."""

    id: str
    product_id: str
    name: str
    fields: tuple[Field, ...] = ()


class Method(StrEnum):
    """How the values of events become a quantity."""

    SUM = "SUM"
    MIN = "MIN"
    MAX = "MAX"
    LATEST = "LATEST"
    MEAN = "MEAN"
    UNIQUE = "UNIQUE"
    COUNT = "COUNT"


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
    """

    meter_id: str
    field: str
    keeps_values: bool
    dimensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Events of one meter in a window -> one quantity for each segment."""

    id: str
    meter_id: str
    name: str
    method: Method
    field: str = ""
    default_quantity: Decimal | None = None
    quantity_per_unit: Decimal = Decimal(1)
    rounding: Rounding = Rounding.NONE
    unit: str = ""
    filter: Filter | None = None
    segment_fields: tuple[str, ...] = ()

    @property
    def rollup(self) -> RollupDefinition:
        """What must be kept of the events for this aggregation."""
        filtered = {self.filter.field} if self.filter else set()
        return RollupDefinition(
            self.meter_id, self.field, self.method is Method.UNIQUE, tuple(sorted(filtered | set(self.segment_fields)))
        )


@dataclass(frozen=True, slots=True)
class CompoundAggregation:
    """A formula over aggregations of the same account and window."""

    id: str
    product_id: str
    name: str
    formula: Formula
    quantity_per_unit: Decimal = Decimal(1)
    rounding: Rounding = Rounding.NONE
    unit: str = ""
    null_as_zero: bool = False
