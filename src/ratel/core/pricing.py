"""A pricing prices one thing for one plan or template during a schedule (R3.2)."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ratel.core.band import Bands
from ratel.core.period import Period

WILDCARD = "*"


class PricedKind(StrEnum):
    """What kind of thing a pricing prices."""

    AGGREGATION = "AGGREGATION"
    COMPOUND = "COMPOUND"
    COUNTER = "COUNTER"


@dataclass(frozen=True, slots=True, order=True)
class PricedThing:
    """What a pricing prices: orders line items by kind, then id."""

    kind: PricedKind
    id: str


class OwnerKind(StrEnum):
    """What a pricing belongs to."""

    PLAN = "PLAN"
    TEMPLATE = "TEMPLATE"


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """The plan or template that a pricing belongs to."""

    kind: OwnerKind
    id: str


class ApplyAs(StrEnum):
    """Whether a pricing charges or credits (R6.4)."""

    DEBIT = "DEBIT"
    PRODUCT_CREDIT = "PRODUCT_CREDIT"
    GLOBAL_CREDIT = "GLOBAL_CREDIT"


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """Minimum and maximum spend of a pricing for a period (R6.2); an empty description means the default."""

    minimum: Decimal | None = None
    minimum_in_advance: bool | None = None
    minimum_description: str = ""
    maximum: Decimal | None = None
    maximum_description: str = ""


@dataclass(frozen=True, slots=True)
class CounterTerms:
    """How a counter's level is billed over a period (R8)."""

    running_total_in_advance: bool = True
    prorate_running_total: bool = True
    prorate_debit: bool = True
    prorate_credit: bool = True


@dataclass(frozen=True, slots=True)
class Pricing:
    """One pricing.

    Attributes:
        segment: a value for each of the aggregation's segment fields, in their order; `WILDCARD` matches any.
        pool: whether the combinations that a wildcard matches share one line item and one set of bands.
        period: when it is in force.
    """

    id: str
    owner: Owner
    priced: PricedThing
    period: Period
    bands: Bands
    segment: tuple[str, ...] = ()
    pool: bool = False
    spend: SpendLimits = SpendLimits()
    description: str = ""
    apply_as: ApplyAs = ApplyAs.DEBIT
    counter_terms: CounterTerms = CounterTerms()
