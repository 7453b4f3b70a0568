"""Line items: one amount each, rounded once, with everything that it was made from (R1.7, R12.6).

Totals are sums of rounded amounts, so what is printed adds up to what is charged.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias

from ratel.core.band import BandUsage
from ratel.core.money import ZERO, Rounding
from ratel.core.period import Period
from ratel.core.pricing import AccumulationMode, PricedThing
from ratel.core.promotion import Worth

Segment: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of segment field and value, in the order of the aggregation's segment fields; ``""`` is a missing value."""


class LineItemKind(StrEnum):
    """The kinds of line items that are made today."""

    USAGE = "USAGE"
    USAGE_CREDIT = "USAGE_CREDIT"
    STANDING_CHARGE = "STANDING_CHARGE"
    MINIMUM_SPEND = "MINIMUM_SPEND"
    MINIMUM_SPEND_REFUND = "MINIMUM_SPEND_REFUND"
    MAXIMUM_SPEND = "MAXIMUM_SPEND"
    COUNTER_RUNNING_TOTAL = "COUNTER_RUNNING_TOTAL"
    COUNTER_ADJUSTMENT_DEBIT = "COUNTER_ADJUSTMENT_DEBIT"
    COUNTER_ADJUSTMENT_CREDIT = "COUNTER_ADJUSTMENT_CREDIT"
    PURCHASE = "PURCHASE"
    SETUP_FEE = "SETUP_FEE"
    AD_HOC = "AD_HOC"
    COMMITMENT_FEE = "COMMITMENT_FEE"
    BALANCE_FEE = "BALANCE_FEE"
    PROMOTION = "PROMOTION"
    COMMITMENT_CONSUMED = "COMMITMENT_CONSUMED"
    BALANCE_CONSUMED = "BALANCE_CONSUMED"
    OVERAGE_USAGE = "OVERAGE_USAGE"
    OVERAGE_SURCHARGE = "OVERAGE_SURCHARGE"


# --- Workings ---------------------------------------------------------------------------------------------------------


class PricedQuantity(NamedTuple):
    """A quantity and what the bands make of it.

    Attributes:
        quantity: None when nothing was counted; a ratio is carried to 50 digits, only for display.
        units: what the bands count, decided on the exact ratio.
        amount: exact; zero when nothing was counted and zero units are not charged.
    """

    quantity: Decimal | None
    units: Decimal
    amount: Decimal
    band_usages: tuple[BandUsage, ...]


@dataclass(frozen=True, slots=True)
class Accumulation:
    """How far usage that accumulates has come at the end of a line item's service (R5).

    Attributes:
        start: where it began to accumulate.
        mode: None where each unit is priced at its own band.
        units_owned: what the blocks that were bought hold; None where nothing is sold in blocks, as ``units_left``.
        units_left: what of it is not used.
    """

    start: datetime
    mode: AccumulationMode | None
    units_used: Decimal
    units_owned: Decimal | None
    units_left: Decimal | None


@dataclass(frozen=True, slots=True)
class UsageWorkings:
    """Of USAGE and USAGE_CREDIT: ``through.amount - before.amount``.

    Attributes:
        window: what is priced together, with bands from zero.
        through: from the window's start up to the end of the line item's service.
        before: from the window's start up to the start of that service; None when they are the same instant.
        average_unit_price: None without units.
        uncapped_amount: of a credit: its rounded amount before the cap.
        accumulation: of usage that accumulates: both quantities then count from its start.
    """

    window: Period
    through: PricedQuantity
    before: PricedQuantity | None
    quantity_per_unit: Decimal
    rounding: Rounding
    unit: str
    cumulative: bool
    average_unit_price: Decimal | None
    uncapped_amount: Decimal | None = None
    accumulation: Accumulation | None = None


@dataclass(frozen=True, slots=True)
class CounterWorkings:
    """Of counters: ``(F(level) - F(previous_level)) x days / period_days``.

    Attributes:
        previous_level: before an adjustment; None for a running total, and so is ``day``.
        period_amount: exact, of a whole period.
        prorated: False: the amount is the period's, whatever the days.
    """

    level: Decimal
    previous_level: Decimal | None
    band_usages: tuple[BandUsage, ...]
    previous_band_usages: tuple[BandUsage, ...]
    period_amount: Decimal
    prorated: bool
    days: int
    period_days: int
    day: date | None = None


@dataclass(frozen=True, slots=True)
class StandingChargeWorkings:
    """Of standing charges: ``period_amount x days / period_days``; the period is all that the charge is for."""

    period_amount: Decimal
    days: int
    period_days: int


@dataclass(frozen=True, slots=True)
class SpendWorkings:
    """Of minimum and maximum spends: ``prorated_limit - spend``.

    Attributes:
        limit: of a whole period.
        prorated_limit: ``limit x days / period_days``, rounded.
        spend: the sum of the line items that were compared.
    """

    limit: Decimal
    prorated_limit: Decimal
    spend: Decimal
    days: int
    period_days: int


@dataclass(frozen=True, slots=True)
class PromotionWorkings:
    """Of promotions: minus ``worth(earlier_spend + spend) - earlier_amount``, at most the spend and what is left.

    Attributes:
        promotion_id: empty for a trial, which takes off the whole spend; so is the grant's.
        spend: what was left of the line items that it acts on, as far as their service lies inside the grant.
        earlier_spend: the same of the grant and bill period on earlier bills.
        earlier_amount: what the grant took off them.
        worth: None for a trial.
        left: what `max_per_period` and `max_total` left; None where there is neither.
    """

    promotion_id: str
    grant_id: str
    spend: Decimal
    earlier_spend: Decimal = ZERO
    earlier_amount: Decimal = ZERO
    worth: Worth | None = None
    left: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PurchasedRate:
    """What quantities of one unit of an add-on come to."""

    unit: str
    cumulative: bool
    priced: PricedQuantity


@dataclass(frozen=True, slots=True)
class PurchaseWorkings:
    """Of PURCHASE: ``flat_price`` and the amounts of the rates, in the order of the add-on."""

    flat_price: Decimal | None
    rates: tuple[PurchasedRate, ...]

    @property
    def amount(self) -> Decimal:
        """The exact sum."""
        return sum((rate.priced.amount for rate in self.rates), self.flat_price or ZERO)


@dataclass(frozen=True, slots=True)
class Payment:
    """What was paid of one line item."""

    kind: "LineItemKind"
    description: str
    attachment_id: str
    pricing_id: str
    segment: Segment
    service: Period
    amount: Decimal


@dataclass(frozen=True, slots=True)
class DrawDownWorkings:
    """Of COMMITMENT_CONSUMED and BALANCE_CONSUMED: minus the sum of the payments.

    Attributes:
        currency: of the commitment or balance.
        left_before: what there was to pay from, in that currency, rounded.
        left_after: the same after all payments.
        rate: what one of that currency was in the line item's.
        payments: in the order of the line items that were paid.
    """

    currency: str
    left_before: Decimal
    left_after: Decimal
    rate: Decimal
    payments: tuple[Payment, ...]


@dataclass(frozen=True, slots=True)
class OverageWorkings:
    """Of OVERAGE_USAGE: what the overage bands make of the units; without such bands, what they cost anyway.

    Attributes:
        units_paid: how far the units of the USAGE line item's window were paid for; None where units have no place,
            because the band that is reached prices those that are new.
        units: those beyond.
        usage_amount: what these would cost as USAGE.
        band_usages: of the overage bands, from zero; none without.
    """

    units_paid: Decimal | None
    units: Decimal | None
    usage_amount: Decimal
    band_usages: tuple[BandUsage, ...]


@dataclass(frozen=True, slots=True)
class SurchargeWorkings:
    """Of OVERAGE_SURCHARGE: ``overage_amount x percent / 100``."""

    overage_amount: Decimal
    percent: Decimal


Workings: TypeAlias = (
    UsageWorkings
    | CounterWorkings
    | StandingChargeWorkings
    | SpendWorkings
    | PromotionWorkings
    | PurchaseWorkings
    | DrawDownWorkings
    | OverageWorkings
    | SurchargeWorkings
)


# --- Line items -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Origin:
    """What charges: the plan that an attachment put the account on, or the group of plans.

    Attributes:
        plan_group_id: of the group that the plan is in; what the group itself charges has nothing else.
    """

    product_id: str
    plan_id: str
    attachment_id: str
    plan_group_id: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    """Where an amount comes from that was in another currency (R11.2): ``amount x rate``, rounded once more.

    Attributes:
        currency: the other one.
        amount: with exactly its digits.
        exact_amount: before it was rounded to these.
        rate: what one of it is in the line item's currency.
    """

    currency: str
    amount: Decimal
    exact_amount: Decimal
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Billed:
    """What an item adds to a bill that is in another currency than the one that it is reckoned in (R11.2)."""

    currency: str
    amount: Decimal
    exact_amount: Decimal
    conversion: Conversion


@dataclass(frozen=True, slots=True)
class Share:
    """What of a line item is for one account of a family: by its share of the quantity (R11.1).

    Attributes:
        whole_amount: of all accounts.
        quantity: of the account, in the time that the line item is for.
        whole_quantity: of all accounts; never zero.
    """

    whole_amount: Decimal
    quantity: Decimal
    whole_quantity: Decimal


@dataclass(frozen=True, slots=True)
class LineItem:
    """One amount for one stretch of service.

    Attributes:
        pricing_id: empty for what the plan itself charges; then ``priced`` is None.
        segment: the combination that was priced by itself, or the pricing's own segment with its wildcards.
        bill_period: the whole grid period in which the service begins: what is compared with minimums together.
        amount: rounded once, with exactly the currency's digits.
        exact_amount: before it was rounded.
        workings: None of a fixed amount; in the currency of what charges.
        in_advance: whether it falls due as its bill period begins, not when its service has ended.
        source_id: names what else made it, where pricing and priced thing do not tell line items apart.
        conversion: what it was in the currency of what charges; None if that is its own.
        taken_back: what overage took back (R7.4): what the workings come to, less this, is the amount.
        account_id: of a family, whose it is, if it is not all that the account pays for.
        share: which part of a broken down line item it is; workings and conversion are those of the whole.
    """

    kind: LineItemKind
    description: str
    origin: Origin
    pricing_id: str
    priced: PricedThing | None
    segment: Segment
    bill_period: Period
    service: Period
    currency: str
    amount: Decimal
    exact_amount: Decimal
    workings: Workings | None
    in_advance: bool = False
    source_id: str = ""
    taken_back: Decimal = ZERO
    account_id: str = ""
    share: Share | None = None
    conversion: Conversion | None = None

    @property
    def own_currency(self) -> str:
        """The currency of what charges, which its workings are in."""
        return self.conversion.currency if self.conversion else self.currency


class Amounted(Protocol):
    """Has a rounded amount in a currency."""

    @property
    def currency(self) -> str:
        """An ISO 4217 code."""
        ...

    @property
    def amount(self) -> Decimal:
        """With exactly the currency's digits."""
        ...


def sum_by_currency(items: Iterable[Amounted]) -> tuple[tuple[str, Decimal], ...]:
    """Return the sum of the rounded amounts in each currency, by currency code."""
    totals: dict[str, Decimal] = {}
    for item in items:
        totals[item.currency] = totals[item.currency] + item.amount if item.currency in totals else item.amount
    return tuple(sorted(totals.items()))
