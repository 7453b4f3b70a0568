"""A pricing prices one thing for one plan or template during a schedule (R3.2).

What a pricing can be by itself is checked when it is made; whether it fits its plan and thing is `fit_pricing`.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from ratel.core.band import Bands
from ratel.core.errors import Mistakes
from ratel.core.meter import Method
from ratel.core.money import ONE, Rounding
from ratel.core.period import Period
from ratel.core.plan import check_spends, fit_amount

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


class AccumulationMode(StrEnum):
    """What accumulating units cost where the band reached prices all of them (R5.2)."""

    POSITIONAL = "POSITIONAL"
    RETROACTIVE = "RETROACTIVE"


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """Minimum and maximum spend of a pricing for a period (R6.2); an empty description means the default.

    Raises:
        Invalid: the maximum is below the minimum; the paths are those of a pricing.
    """

    minimum: Decimal | None = None
    minimum_in_advance: bool | None = None
    minimum_description: str = ""
    maximum: Decimal | None = None
    maximum_description: str = ""

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        check_spends(mistakes, self.minimum, self.maximum)
        mistakes.check()


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
        segment_fields: the names of those fields, in the same order.
        pool: whether the combinations that a wildcard matches share one line item and one set of bands.
        period: when it is in force.
        counter_terms: how a counter is billed; the default for everything else.
        accumulate: whether usage accumulates over the attachment, so that bands are not reset (R5.1).
        accumulation_mode: set exactly if it does and the bands are not cumulative.
        overage_bands: by which usage is priced once what could pay for it is used up (R7.4); None: by the bands.

    Raises:
        Invalid: with all mistakes: a compound or counter with a segment, a pool without a wildcard, terms of a counter
            for something else, a spend of a pricing that is applied as a credit.
    """

    id: str
    owner: Owner
    priced: PricedThing
    period: Period
    bands: Bands
    segment: tuple[str, ...] = ()
    segment_fields: tuple[str, ...] = ()
    pool: bool = False
    spend: SpendLimits = SpendLimits()
    description: str = ""
    apply_as: ApplyAs = ApplyAs.DEBIT
    counter_terms: CounterTerms = CounterTerms()
    accumulate: bool = False
    accumulation_mode: AccumulationMode | None = None
    overage_bands: Bands | None = None

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        if self.segment and self.priced.kind is not PricedKind.AGGREGATION:
            mistakes.add("segment", "SEGMENT_UNEXPECTED", "must be empty: only aggregations have segments")
        if self.pool and WILDCARD not in self.segment:
            mistakes.add("pool", "POOL_WITHOUT_WILDCARD", "must be false without a wildcard in the segment")
        if self.counter_terms != CounterTerms() and self.priced.kind is not PricedKind.COUNTER:
            mistakes.add("counter_terms", "COUNTER_TERMS_UNEXPECTED", "must not be set: only counters have them")
        if self.apply_as is not ApplyAs.DEBIT:
            for field, amount in (("minimum_spend", self.spend.minimum), ("maximum_spend", self.spend.maximum)):
                if amount is not None:
                    mistakes.add(field, "SPEND_OF_CREDIT", "must not be set for a pricing that is applied as a credit")
        self._check_accumulation(mistakes)
        self._check_overage(mistakes)
        mistakes.check()

    def _check_overage(self, mistakes: Mistakes) -> None:
        if self.overage_bands is None:
            return
        if self.priced.kind is PricedKind.COUNTER or self.apply_as is not ApplyAs.DEBIT:
            message = "must be empty: only usage that is charged can be overage"
            mistakes.add("overage_bands", "OVERAGE_UNEXPECTED", message)
        elif self.accumulate or not self.bands.cumulative:
            message = "must be empty unless cumulative is true and accumulate false"
            mistakes.add("overage_bands", "OVERAGE_UNEXPECTED", message)
        for index, band in enumerate(self.overage_bands.bands):
            if band.fixed_price or band.block_size is not None:
                mistakes.add(f"overage_bands[{index}]", "OVERAGE_BAND", "must have neither fixed price nor blocks")

    def _check_accumulation(self, mistakes: Mistakes) -> None:
        if self.accumulate and self.priced.kind is PricedKind.COUNTER:
            mistakes.add("accumulate", "ACCUMULATION_UNEXPECTED", "must be false for a counter, which holds a level")
        mode, needs_mode = self.accumulation_mode, self.accumulate and not self.bands.cumulative
        if needs_mode and mode is None:
            mistakes.add("accumulation_mode", "REQUIRED", "must be set where one band prices all accumulated units")
        if mode is not None and not needs_mode:
            message = "must not be set: only accumulating pricings that are not cumulative have one"
            mistakes.add("accumulation_mode", "ACCUMULATION_MODE_UNEXPECTED", message)
        has_blocks = any(band.block_size is not None for band in self.bands.bands)
        if mode is AccumulationMode.POSITIONAL and has_blocks:
            message = "must be RETROACTIVE with blocks: one that is bought already cannot be bought at another price"
            mistakes.add("accumulation_mode", "ACCUMULATION_BLOCKS", message)


OWNER_FIELDS: Final = {OwnerKind.PLAN: "plan_id", OwnerKind.TEMPLATE: "plan_template_id"}
"""The field of a pricing that names an owner of each kind."""

PRICED_FIELDS: Final = {
    PricedKind.AGGREGATION: "aggregation_id",
    PricedKind.COMPOUND: "compound_aggregation_id",
    PricedKind.COUNTER: "counter_id",
}
"""The field of a pricing that names a thing of each kind."""


@dataclass(frozen=True, slots=True)
class PricingPlace:
    """What a pricing must fit.

    Attributes:
        currency: of the owner.
        owner_product_id: the product of the plan or template.
        priced_product_id: the product of the thing.
        segment_fields: of the aggregation; none for other things.
        methods: of the aggregation, or of the operands of a compound; none for a counter.
        quantity_per_unit: of the thing.
        rounding: of its units.
    """

    currency: str
    owner_product_id: str
    priced_product_id: str
    segment_fields: tuple[str, ...] = ()
    methods: frozenset[Method] = frozenset()
    quantity_per_unit: Decimal = ONE
    rounding: Rounding = Rounding.NONE


_ACCUMULATING: Final = {
    PricedKind.AGGREGATION: {Method.SUM, Method.COUNT, Method.MAX, Method.UNIQUE},
    PricedKind.COMPOUND: {Method.SUM, Method.COUNT},
    PricedKind.COUNTER: set(Method),
}
"""The methods whose quantities can accumulate over windows (R5.1)."""


def fit_pricing(pricing: Pricing, place: PricingPlace) -> Pricing:
    """Return the pricing with its segment in the aggregation's order and its amounts in the owner's currency.

    Raises:
        Invalid: with all mistakes: a thing of another product, a segment that does not have exactly the aggregation's
            segment fields, amounts with too many digits, accumulation of what cannot accumulate.
    """
    mistakes = Mistakes()
    if place.owner_product_id != place.priced_product_id:
        field = PRICED_FIELDS[pricing.priced.kind]
        mistakes.add(field, "PRODUCT_DIFFERENT", "must be of the same product as what the pricing belongs to")
    if set(pricing.segment_fields) != set(place.segment_fields):
        listed = ", ".join(place.segment_fields) or "no field"
        mistakes.add("segment", "SEGMENT_FIELDS", f"must have a value for exactly the segment fields: {listed}")
    allowed = _ACCUMULATING[pricing.priced.kind]
    if pricing.accumulate and not place.methods <= allowed:
        listed = ", ".join(sorted(allowed))
        mistakes.add("accumulate", "ACCUMULATION_METHOD", f"must be false: only these methods accumulate: {listed}")
    spend = replace(
        pricing.spend,
        minimum=fit_amount(mistakes, "minimum_spend", pricing.spend.minimum, place.currency),
        maximum=fit_amount(mistakes, "maximum_spend", pricing.spend.maximum, place.currency),
    )
    mistakes.check()
    values = dict(zip(pricing.segment_fields, pricing.segment, strict=True))
    segment = tuple(values[field] for field in place.segment_fields)
    return replace(pricing, segment=segment, segment_fields=place.segment_fields, spend=spend)
