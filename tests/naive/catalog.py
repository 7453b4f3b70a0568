"""What the naive engine is told about the catalog: plain data, nothing checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The end of what has no end."""


@dataclass(frozen=True)
class Settings:
    """R3.7."""

    zone: str = "UTC"
    standing_in_advance: bool = False
    minimum_in_advance: bool = False
    commitment_fees_in_advance: bool = True
    epochs: Mapping[str, date] = field(default_factory=dict)  # by frequency
    rounding: str = "HALF_UP"
    credit_order: tuple[str, ...] = ("COMMITMENT", "BALANCE")
    rates: Mapping[tuple[str, str], Fraction] = field(default_factory=dict)  # (from, to)


@dataclass(frozen=True)
class Field:
    """R2.1."""

    name: str
    kind: str = "MEASURE"
    formula: str = ""


@dataclass(frozen=True)
class Meter:
    """R2.1."""

    id: str
    product: str
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Aggregation:
    """R2.2."""

    id: str
    meter: str
    method: str
    field: str = ""
    default: Fraction | None = None
    per_unit: Fraction = Fraction(1)
    rounding: str = "NONE"
    filter: tuple[str, frozenset[str]] | None = None
    segment_fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compound:
    """R2.5."""

    id: str
    formula: str
    per_unit: Fraction = Fraction(1)
    rounding: str = "NONE"
    null_as_zero: bool = False


@dataclass(frozen=True)
class Terms:
    """R3.1, R6.1, R6.2: None is not set."""

    standing: Fraction | None = None
    standing_in_advance: bool | None = None
    standing_interval: int | None = None
    standing_offset: int | None = None
    minimum: Fraction | None = None
    minimum_in_advance: bool | None = None
    maximum: Fraction | None = None


@dataclass(frozen=True)
class Template:
    """R3.1."""

    id: str
    product: str
    currency: str = "USD"
    frequency: str = "MONTHLY"
    interval: int = 1
    terms: Terms = Terms()


@dataclass(frozen=True)
class Plan:
    """R3.1."""

    id: str
    template: str
    terms: Terms = Terms()
    group: str = ""


@dataclass(frozen=True)
class Band:
    """R1.1."""

    lower: Fraction
    unit: Fraction = Fraction(0)
    fixed: Fraction = Fraction(0)
    block: Fraction | None = None


@dataclass(frozen=True, order=True)
class Thing:
    """What can be priced: AGGREGATION, COMPOUND or COUNTER, and its id."""

    kind: str
    id: str


@dataclass(frozen=True)
class CounterTerms:
    """R8.2, R8.3."""

    in_advance: bool = True
    prorate_total: bool = True
    prorate_debit: bool = True
    prorate_credit: bool = True


@dataclass(frozen=True)
class Pricing:
    """R3.2; owner is (``PLAN`` or ``TEMPLATE``, id)."""

    id: str
    owner: tuple[str, str]
    thing: Thing
    start: datetime
    bands: tuple[Band, ...]
    cumulative: bool = True
    end: datetime = FOREVER
    charge_zero: bool = False
    segment: tuple[str, ...] = ()
    pool: bool = False
    minimum: Fraction | None = None
    minimum_in_advance: bool | None = None
    maximum: Fraction | None = None
    apply_as: str = "DEBIT"
    counter: CounterTerms = CounterTerms()
    accumulate: bool = False
    accumulation_mode: str = ""
    overage_bands: tuple[Band, ...] = ()


@dataclass(frozen=True)
class Catalog:
    """All of it; ``ever_priced`` names what a deleted pricing priced, with its owner (R3.5)."""

    settings: Settings = Settings()
    meters: tuple[Meter, ...] = ()
    aggregations: tuple[Aggregation, ...] = ()
    compounds: tuple[Compound, ...] = ()
    templates: tuple[Template, ...] = ()
    plans: tuple[Plan, ...] = ()
    pricings: tuple[Pricing, ...] = ()
    ever_priced: tuple[tuple[tuple[str, str], Thing], ...] = ()
    group_minimums: Mapping[str, Fraction] = field(default_factory=dict)  # of plan groups, by Plan.group
    group_maximums: Mapping[str, Fraction] = field(default_factory=dict)

    def meter(self, of: str) -> Meter:
        return next(each for each in self.meters if each.id == of)

    def aggregation(self, of: str) -> Aggregation:
        return next(each for each in self.aggregations if each.id == of)

    def compound(self, of: str) -> Compound:
        return next(each for each in self.compounds if each.id == of)

    def plan(self, of: str) -> Plan:
        return next(each for each in self.plans if each.id == of)

    def template(self, of_plan: str) -> Template:
        return next(each for each in self.templates if each.id == self.plan(of_plan).template)
