"""Plan templates, plans, and what a plan inherits (R3.1, R3.4, R3.7).

Amounts have exactly the digits of the currency once they are in a template, or in a plan that `fit_plan` returned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from ratel.core.currency import CurrencyRate, Exchange, check_rates
from ratel.core.errors import Mistakes
from ratel.core.money import RoundingMode, check_amount, exponent
from ratel.core.period import Frequency, Grid, check_zone

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a template sets and a plan may override, field by field: a value that is set wins, 0 included.

    Raises:
        Invalid: the maximum is below the minimum.
    """

    standing_charge: Decimal | None = None
    standing_charge_in_advance: bool | None = None
    standing_charge_interval: int | None = None
    standing_charge_offset: int | None = None
    standing_charge_description: str | None = None
    minimum_spend: Decimal | None = None
    minimum_spend_in_advance: bool | None = None
    minimum_spend_description: str | None = None
    maximum_spend: Decimal | None = None
    maximum_spend_description: str | None = None

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        check_spends(mistakes, self.minimum_spend, self.maximum_spend)
        mistakes.check()

    def in_currency(self, currency: str) -> "Terms":
        """Return the same terms with amounts of exactly the currency's digits.

        Raises:
            Invalid: with all amounts that have more digits than the currency, or the currency is unknown.
        """
        mistakes = Mistakes()
        fitted = replace(
            self,
            standing_charge=fit_amount(mistakes, "standing_charge", self.standing_charge, currency),
            minimum_spend=fit_amount(mistakes, "minimum_spend", self.minimum_spend, currency),
            maximum_spend=fit_amount(mistakes, "maximum_spend", self.maximum_spend, currency),
        )
        mistakes.check()
        return fitted


def fit_amount(mistakes: Mistakes, path: str, amount: Decimal | None, currency: str) -> Decimal | None:
    """Return an amount with exactly the currency's digits, noting it if it has more (R1.7); None stays None."""
    if amount is not None:
        with mistakes.under(path):
            return check_amount(amount, currency)
    return amount


def check_spends(mistakes: Mistakes, minimum: Decimal | None, maximum: Decimal | None) -> None:
    """Note a maximum spend below the minimum spend (R6.2)."""
    if minimum is not None and maximum is not None and maximum < minimum:
        mistakes.add("maximum_spend", "MAXIMUM_BELOW_MINIMUM", "must not be below the minimum spend")


@dataclass(frozen=True, slots=True)
class PlanTemplate:
    """What plans are made from.

    Raises:
        Invalid: with all mistakes: the currency is unknown, the interval out of range, amounts have too many digits.
    """

    id: str
    product_id: str
    name: str
    currency: str
    frequency: Frequency
    interval: int = 1
    terms: Terms = Terms()

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        with mistakes.under("currency"):
            exponent(self.currency)
        if not mistakes:
            with mistakes.under("terms"):
                object.__setattr__(self, "terms", self.terms.in_currency(self.currency))
        mistakes.check()


@dataclass(frozen=True, slots=True)
class Plan:
    """What accounts are put on; ``account_id`` names the one account of a custom plan, else it is empty."""

    id: str
    plan_template_id: str
    name: str
    account_id: str = ""
    terms: Terms = Terms()


def fit_plan(plan: Plan, template: PlanTemplate) -> Plan:
    """Return the plan with its amounts in the template's currency.

    Raises:
        Invalid: with all mistakes: amounts have too many digits, or the maximum that is in effect is below the minimum.
    """
    mistakes = Mistakes()
    with mistakes.under("terms"):
        plan = replace(plan, terms=plan.terms.in_currency(template.currency))
    own, given = plan.terms, template.terms
    with mistakes.under("terms"):
        spends = Mistakes()
        minimum, maximum = (
            _first(own.minimum_spend, given.minimum_spend),
            _first(own.maximum_spend, given.maximum_spend),
        )
        check_spends(spends, minimum, maximum)
        spends.check()
    mistakes.check()
    return plan


# --- What pays --------------------------------------------------------------------------------------------------------


class CreditKind(StrEnum):
    """What can pay for charges; in the order in which they do unless it is said (R7.3)."""

    COMMITMENT = "COMMITMENT"
    BALANCE = "BALANCE"


def check_credit_order(order: Sequence[CreditKind]) -> None:
    """Check that an order names each kind at most once; those it does not name come after.

    Raises:
        Invalid: it names one twice.
    """
    mistakes = Mistakes()
    if len(set(order)) < len(order):
        mistakes.add("credit_application_order", "DUPLICATE", "must not name one twice")
    mistakes.check()


# --- What is in effect ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for the whole deployment (R3.7).

    Raises:
        Invalid: with all mistakes: the time zone or a currency is unknown, a rate is not above 0 or there twice, the
            order names something twice.
    """

    time_zone: str = "UTC"
    default_currency: str = "USD"
    standing_charge_in_advance: bool = False
    minimum_spend_in_advance: bool = False
    day_epoch: date | None = None
    week_epoch: date | None = None
    month_epoch: date | None = None
    year_epoch: date | None = None
    rounding_mode: RoundingMode = RoundingMode.HALF_UP
    currency_rates: tuple[CurrencyRate, ...] = ()
    commitment_fee_in_advance: bool = False
    credit_application_order: tuple[CreditKind, ...] = ()

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        with mistakes.under():
            check_credit_order(self.credit_application_order)
        with mistakes.under("time_zone"):
            check_zone(self.time_zone)
        with mistakes.under("default_currency"):
            exponent(self.default_currency)
        with mistakes.under("currency_rates"):
            check_rates(self.currency_rates)
        mistakes.check()

    def exchange(self, currency: str) -> Exchange:
        """Return what brings amounts into a currency by these rates; into none when it is empty."""
        rates = {each.from_currency: each.rate for each in self.currency_rates if each.to_currency == currency}
        return Exchange(currency, rates, self.rounding_mode)

    def epoch(self, frequency: Frequency) -> date | None:
        """Return where the grid of a frequency is anchored for who has no epoch of their own."""
        return {
            Frequency.DAILY: self.day_epoch,
            Frequency.WEEKLY: self.week_epoch,
            Frequency.MONTHLY: self.month_epoch,
            Frequency.ANNUALLY: self.year_epoch,
        }[frequency]


@dataclass(frozen=True, slots=True)
class EffectiveTerms:
    """The terms of a plan with everything resolved; only an amount may still be None: there is none."""

    standing_charge: Decimal | None
    standing_charge_in_advance: bool
    standing_charge_interval: int
    standing_charge_offset: int
    standing_charge_description: str
    minimum_spend: Decimal | None
    minimum_spend_in_advance: bool
    minimum_spend_description: str
    maximum_spend: Decimal | None
    maximum_spend_description: str


def effective_terms(plan: Plan, template: PlanTemplate, settings: Settings) -> EffectiveTerms:
    """Resolve a plan's terms: its own value if set, then the template's, then the settings' or the default (R3.1)."""
    own, given = plan.terms, template.terms
    return EffectiveTerms(
        standing_charge=_first(own.standing_charge, given.standing_charge),
        standing_charge_in_advance=_resolve(
            (own.standing_charge_in_advance, given.standing_charge_in_advance), settings.standing_charge_in_advance
        ),
        standing_charge_interval=_resolve((own.standing_charge_interval, given.standing_charge_interval), 1),
        standing_charge_offset=_resolve((own.standing_charge_offset, given.standing_charge_offset), 0),
        standing_charge_description=(
            _first(own.standing_charge_description, given.standing_charge_description) or "Standing charge"
        ),
        minimum_spend=_first(own.minimum_spend, given.minimum_spend),
        minimum_spend_in_advance=_resolve(
            (own.minimum_spend_in_advance, given.minimum_spend_in_advance), settings.minimum_spend_in_advance
        ),
        minimum_spend_description=(
            _first(own.minimum_spend_description, given.minimum_spend_description) or f"{plan.name} minimum spend"
        ),
        maximum_spend=_first(own.maximum_spend, given.maximum_spend),
        maximum_spend_description=(
            _first(own.maximum_spend_description, given.maximum_spend_description) or f"{plan.name} maximum spend"
        ),
    )


def _first(own: _T | None, given: _T | None) -> _T | None:
    return given if own is None else own


def _resolve(values: Iterable[_T | None], default: _T) -> _T:
    return next((value for value in values if value is not None), default)


def bill_grid(template: PlanTemplate, settings: Settings, epoch: date | None) -> Grid:
    """Return the bill periods of a template's plans (R4.2).

    Args:
        template: gives frequency and interval.
        settings: give the time zone, and the epoch of the frequency where ``epoch`` is None.
        epoch: the attachment's, else the account's.
    """
    first = settings.epoch(template.frequency) if epoch is None else epoch
    return Grid(template.frequency, template.interval, first, settings.time_zone)
