"""Promotions, and the grants that give them to accounts (R9.1).

What a promotion can be by itself is checked when it is made; whether it fits what it acts on is `fit_promotion`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Final, TypeAlias

from ratel.core.errors import Mistakes
from ratel.core.money import ONE, ZERO, check_amount, exact
from ratel.core.period import Period
from ratel.core.plan import fit_amount
from ratel.core.pricing import WILDCARD, ApplyAs, Pricing

HUNDRED: Final = Decimal(100)
_HUNDREDTH: Final = Decimal("0.01")


# --- What it takes off ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Percentage:
    """So much of the spend, above 0 and at most 100."""

    percentage: Decimal

    def of(self, spend: Decimal) -> Decimal:
        """Return what it takes off a spend, exactly."""
        return spend * self.percentage * _HUNDREDTH

    def at(self, rate: Decimal) -> "Percentage":
        """Return the same in another currency."""
        return self


@dataclass(frozen=True, slots=True)
class FixedAmount:
    """The same amount of every bill period, above 0, whatever the spend."""

    amount: Decimal

    def of(self, spend: Decimal) -> Decimal:
        """Return the amount."""
        return self.amount

    def at(self, rate: Decimal) -> "FixedAmount":
        """Return the same in another currency, unrounded."""
        return self if rate == ONE else FixedAmount(self.amount * rate)


@dataclass(frozen=True, slots=True)
class SpendBand:
    """A percentage, from 0 to 100, of the spend above a limit and up to the next band's."""

    lower_limit: Decimal
    percentage: Decimal


@dataclass(frozen=True, slots=True)
class Graduated:
    """Percentages of stretches of the spend of a bill period.

    Raises:
        Invalid: with all mistakes: no band, the first not at 0, limits that do not rise.
    """

    bands: tuple[SpendBand, ...]

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        if not self.bands or self.bands[0].lower_limit != ZERO:
            mistakes.add("bands", "BAND_START", "must begin with a band at lower_limit 0")
        for index, (below, band) in enumerate(pairwise(self.bands), start=1):
            if band.lower_limit <= below.lower_limit:
                mistakes.add(f"bands[{index}].lower_limit", "BAND_ORDER", "must be above that of the band before it")
        mistakes.check()

    def of(self, spend: Decimal) -> Decimal:
        """Return what the bands take off a spend, exactly."""
        upper_limits = [*(band.lower_limit for band in self.bands[1:]), max(spend, self.bands[-1].lower_limit)]
        return sum(
            (
                max(min(spend, upper_limit) - band.lower_limit, ZERO) * band.percentage * _HUNDREDTH
                for band, upper_limit in zip(self.bands, upper_limits, strict=True)
            ),
            ZERO,
        )

    def at(self, rate: Decimal) -> "Graduated":
        """Return the same in another currency, unrounded."""
        if rate == ONE:
            return self
        return Graduated(tuple(replace(band, lower_limit=band.lower_limit * rate) for band in self.bands))


Worth: TypeAlias = Percentage | FixedAmount | Graduated

WORTHS: Final[tuple[type[Worth], ...]] = (Percentage, Graduated, FixedAmount)
"""In the order in which promotions of one priority act (R9.2)."""


# --- The promotion ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Promotion:
    """Takes off a plan, or off one pricing.

    Attributes:
        name: stands on its line items.
        plan_id: the plan it acts on, or empty.
        pricing_id: the pricing it acts on, or empty; exactly one of the two is set.
        segment: the only combination of the pricing's that it acts on, pairs of field and value; empty for all.
        worth: what it takes off.
        currency: of its amounts; empty until it is fitted.
        bill_period_count: for how many bill periods it lasts; None until the grant ends.
        max_per_period: the most that it takes off in one bill period.
        max_total: the most that one grant of it takes off.

    Raises:
        Invalid: with all mistakes: a percentage outside its range, an amount that is not above 0, limits that have no
            effect, a segment of a plan.
    """

    id: str
    name: str
    worth: Worth
    plan_id: str = ""
    pricing_id: str = ""
    segment: tuple[tuple[str, str], ...] = ()
    currency: str = ""
    bill_period_count: int | None = None
    max_per_period: Decimal | None = None
    max_total: Decimal | None = None

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        _check_worth(mistakes, self.worth)
        for field, amount in (("max_per_period", self.max_per_period), ("max_total", self.max_total)):
            if amount is not None and amount <= ZERO:
                mistakes.add(field, "AMOUNT_NOT_POSITIVE", "must be greater than 0")
        if self.max_per_period is not None and isinstance(self.worth, FixedAmount):
            message = "must not be set: a fixed amount is itself the most of a bill period"
            mistakes.add("max_per_period", "LIMIT_WITHOUT_EFFECT", message)
        elif self.max_per_period is not None and self.max_total is not None and self.max_per_period > self.max_total:
            mistakes.add("max_per_period", "LIMIT_WITHOUT_EFFECT", "must not be above max_total")
        if self.segment and not self.pricing_id:
            mistakes.add("segment", "SEGMENT_UNEXPECTED", "must be empty: only a pricing has segments")
        mistakes.check()

    @property
    def is_counted_by_period(self) -> bool:
        """Whether what it takes off depends on what it took off earlier in the same bill period."""
        return not isinstance(self.worth, Percentage) or self.max_per_period is not None


def _check_worth(mistakes: Mistakes, worth: Worth) -> None:
    match worth:
        case Percentage(percentage):
            if not ZERO < percentage <= HUNDRED:
                mistakes.add("percentage", "PERCENTAGE_RANGE", "must be above 0 and at most 100")
        case FixedAmount(amount):
            if amount <= ZERO:
                mistakes.add("fixed_amount", "AMOUNT_NOT_POSITIVE", "must be greater than 0")
        case Graduated(bands):
            for index, band in enumerate(bands):
                if not ZERO <= band.percentage <= HUNDRED:
                    field = f"graduated.bands[{index}].percentage"
                    mistakes.add(field, "PERCENTAGE_RANGE", "must be from 0 to 100")


@dataclass(frozen=True, slots=True)
class PromotionPlace:
    """What a promotion must fit.

    Attributes:
        currency: of the plan, or of what the pricing belongs to.
        pricing: the pricing that it acts on; None for a plan.
    """

    currency: str
    pricing: Pricing | None = None


@exact
def fit_promotion(promotion: Promotion, place: PromotionPlace) -> Promotion:
    """Return the promotion with its amounts in the currency of what it acts on, and its segment in that order.

    Raises:
        Invalid: with all mistakes: another currency, amounts with too many digits, a pricing that is a credit, a
            segment that the pricing does not keep apart.
    """
    mistakes = Mistakes()
    if promotion.currency not in ("", place.currency):
        message = f"must be that of what the promotion acts on, {place.currency}"
        mistakes.add("currency", "CURRENCY_DIFFERENT", message)
    if place.pricing is not None:
        _check_pricing(mistakes, promotion, place.pricing)
    fitted = replace(
        promotion,
        currency=place.currency,
        worth=_fit_worth(mistakes, promotion.worth, place.currency),
        max_per_period=fit_amount(mistakes, "max_per_period", promotion.max_per_period, place.currency),
        max_total=fit_amount(mistakes, "max_total", promotion.max_total, place.currency),
    )
    mistakes.check()
    if promotion.segment and place.pricing is not None:
        values = dict(promotion.segment)
        return replace(fitted, segment=tuple((field, values[field]) for field in place.pricing.segment_fields))
    return fitted


def _fit_worth(mistakes: Mistakes, worth: Worth, currency: str) -> Worth:
    match worth:
        case FixedAmount(amount):
            return FixedAmount(fit_amount(mistakes, "fixed_amount", amount, currency) or amount)
        case Graduated(bands):
            return Graduated(tuple(_fit_band(mistakes, index, band, currency) for index, band in enumerate(bands)))
    return worth


def _fit_band(mistakes: Mistakes, index: int, band: SpendBand, currency: str) -> SpendBand:
    with mistakes.under(f"graduated.bands[{index}].lower_limit"):
        return replace(band, lower_limit=check_amount(band.lower_limit, currency))
    return band


def _check_pricing(mistakes: Mistakes, promotion: Promotion, pricing: Pricing) -> None:
    if pricing.apply_as is not ApplyAs.DEBIT:
        mistakes.add("pricing_id", "PRICING_IS_CREDIT", "must charge: nothing is taken off a credit")
    if not promotion.segment:
        return
    values = dict(promotion.segment)
    if set(values) != set(pricing.segment_fields):
        listed = ", ".join(pricing.segment_fields) or "no field"
        mistakes.add("segment", "SEGMENT_FIELDS", f"must have a value for exactly the segment fields: {listed}")
    elif WILDCARD not in pricing.segment or pricing.pool:
        mistakes.add("segment", "SEGMENT_UNEXPECTED", "must be empty: the pricing has one line item for all it takes")
    elif not _matches(pricing, values):
        mistakes.add("segment", "SEGMENT_OUTSIDE", "must be a combination that the pricing's segment matches")


def _matches(pricing: Pricing, values: dict[str, str]) -> bool:
    wanted = zip(pricing.segment_fields, pricing.segment, strict=True)
    return all(value in (WILDCARD, values[field]) for field, value in wanted)


# --- Grants -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grant:
    """Gives a promotion to an account for a time; a lower priority acts first."""

    id: str
    account_id: str
    promotion_id: str
    period: Period
    priority: int = 0


@dataclass(frozen=True, slots=True)
class GrantedPromotion:
    """A grant with its promotion."""

    grant: Grant
    promotion: Promotion


def in_order(granted: Iterable[GrantedPromotion]) -> list[GrantedPromotion]:
    """Return promotions in the order in which they act (R9.2)."""
    return sorted(granted, key=_precedence)


def _precedence(granted: GrantedPromotion) -> tuple[object, ...]:
    grant, promotion = granted.grant, granted.promotion
    return (
        promotion.plan_id != "",
        grant.priority,
        WORTHS.index(type(promotion.worth)),
        grant.period.start,
        grant.id,
    )
