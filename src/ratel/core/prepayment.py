"""Commitments and balances: money that is there before charges are, and pays for them (R7.1, R7.2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from ratel.core.bill import LineItem, LineItemKind
from ratel.core.errors import Mistakes
from ratel.core.limits import FEES_MAX
from ratel.core.money import ZERO, check_amount, exponent
from ratel.core.period import Period
from ratel.core.plan import fit_amount

PAYABLE_KINDS: Final = (
    LineItemKind.USAGE,
    LineItemKind.COUNTER_RUNNING_TOTAL,
    LineItemKind.COUNTER_ADJUSTMENT_DEBIT,
    LineItemKind.COUNTER_ADJUSTMENT_CREDIT,
    LineItemKind.STANDING_CHARGE,
    LineItemKind.MINIMUM_SPEND,
    LineItemKind.PURCHASE,
    LineItemKind.AD_HOC,
)
"""What can be paid for: all charges but credits, refunds and fees."""


@dataclass(frozen=True, slots=True)
class PaymentLimits:
    """What may be paid for; empty means everything that can be.

    Attributes:
        product_ids: by id.
        kinds: in the order of `PAYABLE_KINDS`.

    Raises:
        Invalid: with all mistakes: something named twice, a kind that nothing pays for.
    """

    product_ids: tuple[str, ...] = ()
    kinds: tuple[LineItemKind, ...] = ()

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        for field, named in (("product_ids", self.product_ids), ("line_item_kinds", self.kinds)):
            if len(set(named)) < len(named):
                mistakes.add(field, "DUPLICATE", "must not name one twice")
        for index, kind in enumerate(self.kinds):
            if kind not in PAYABLE_KINDS:
                message = f"must be a charge other than credits, refunds and fees, not {kind}"
                mistakes.add(f"line_item_kinds[{index}]", "KIND_NOT_PAYABLE", message)
        mistakes.check()
        object.__setattr__(self, "product_ids", tuple(sorted(self.product_ids)))
        object.__setattr__(self, "kinds", tuple(sorted(self.kinds, key=PAYABLE_KINDS.index)))

    def allow(self, item: LineItem) -> bool:
        """Tell whether a line item is of a kind and product that may be paid for."""
        is_of_product = not self.product_ids or item.origin.product_id in self.product_ids
        return is_of_product and item.kind in (self.kinds or PAYABLE_KINDS)


@dataclass(frozen=True, slots=True)
class Fee:
    """What is owed for a prepayment at an instant."""

    time: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Spreads a commitment's amount over the bill periods of a plan.

    Attributes:
        plan_id: whose periods count, from the one that holds the commitment's start.
        period_count: one fee for so many of them.
        first_amount: of the first fee; the rest is spread evenly, and the last takes the remainder.
        in_advance: whether fees fall due as their periods begin; None: the settings say.
    """

    plan_id: str
    period_count: int = 1
    first_amount: Decimal | None = None
    in_advance: bool | None = None


@dataclass(frozen=True, slots=True)
class Commitment:
    """An amount that an account has agreed to spend, and pays by fees: charges for service inside are paid from it.

    Attributes:
        name: stands on its line items.
        period: has an end; what is left then is forfeited.
        fees: by time.
        schedule: instead of fees.
        overage_surcharge_percent: of usage that is left to pay when everything is used up; None: no surcharge.

    Raises:
        Invalid: with all mistakes: an unknown currency, an amount that is not above 0 or has too many digits, fees
            beside a schedule or two at one instant, a first fee above the amount, a surcharge below 0.
    """

    id: str
    account_id: str
    name: str
    currency: str
    amount: Decimal
    period: Period
    fees: tuple[Fee, ...] = ()
    schedule: FeeSchedule | None = None
    limits: PaymentLimits = PaymentLimits()
    overage_surcharge_percent: Decimal | None = None

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        with mistakes.under("currency"):
            exponent(self.currency)
        if not mistakes:
            with mistakes.under("amount"):
                object.__setattr__(self, "amount", _positive(self.amount, self.currency))
            with mistakes.under("fees"):
                object.__setattr__(self, "fees", _fees(self.fees, self.currency))
            self._check_schedule(mistakes)
        if self.fees and self.schedule is not None:
            mistakes.add("fee_schedule", "FEES_TWICE", "must not be set beside fees")
        check_surcharge(mistakes, self.overage_surcharge_percent)
        mistakes.check()

    def _check_schedule(self, mistakes: Mistakes) -> None:
        if self.schedule is not None and self.schedule.first_amount is not None:
            field = "fee_schedule.first_amount"
            fit_amount(mistakes, field, self.schedule.first_amount, self.currency)
            if not ZERO <= self.schedule.first_amount <= self.amount:
                mistakes.add(field, "FEE_ABOVE_AMOUNT", "must be from 0 to the commitment's amount")


def _positive(amount: Decimal, currency: str) -> Decimal:
    mistakes = Mistakes()
    if amount <= ZERO:
        mistakes.add("", "AMOUNT_NOT_POSITIVE", "must be greater than 0")
    mistakes.check()
    return check_amount(amount, currency)


def _fees(fees: Iterable[Fee], currency: str) -> tuple[Fee, ...]:
    mistakes = Mistakes()
    found: list[Fee] = []
    for index, fee in enumerate(fees):
        with mistakes.under(f"[{index}].amount"):
            found.append(Fee(fee.time, _positive(fee.amount, currency)))
        if any(fee.time == other.time for other in found[:-1]):
            mistakes.add(f"[{index}].time", "DUPLICATE", "must not be that of another fee")
    if len(found) > FEES_MAX:
        mistakes.add("", "FEE_COUNT", f"must be at most {FEES_MAX} fees")
    mistakes.check()
    return tuple(sorted(found, key=lambda fee: fee.time))


def check_surcharge(mistakes: Mistakes, percent: Decimal | None) -> None:
    """Note a surcharge below 0."""
    if percent is not None and percent < ZERO:
        mistakes.add("overage_surcharge_percent", "PERCENTAGE", "must not be below 0")


@dataclass(frozen=True, slots=True)
class Balance:
    """What transactions put in pays for charges for service inside.

    Attributes:
        name: stands on its line items.
        period: has an end.
        rollover_amount: so much of what is left at the end stays usable.
        rollover_end: until this instant; None with an amount of 0.
        overage_surcharge_percent: see `Commitment`.

    Raises:
        Invalid: with all mistakes: an unknown currency, an amount below 0 or with too many digits, a rollover amount
            without an end after the balance's or an end without an amount, a surcharge below 0.
    """

    id: str
    account_id: str
    name: str
    currency: str
    period: Period
    rollover_amount: Decimal = ZERO
    rollover_end: datetime | None = None
    limits: PaymentLimits = PaymentLimits()
    overage_surcharge_percent: Decimal | None = None

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        with mistakes.under("currency"):
            exponent(self.currency)
        if not mistakes:
            with mistakes.under("rollover_amount"):
                object.__setattr__(self, "rollover_amount", check_amount(self.rollover_amount, self.currency))
        self._check_rollover(mistakes)
        check_surcharge(mistakes, self.overage_surcharge_percent)
        mistakes.check()

    def _check_rollover(self, mistakes: Mistakes) -> None:
        if self.rollover_amount < ZERO:
            mistakes.add("rollover_amount", "AMOUNT_NEGATIVE", "must not be below 0")
        if (self.rollover_end is None) is not (self.rollover_amount <= ZERO):
            message = "must be set exactly if rollover_amount is greater than 0"
            mistakes.add("rollover_end_time", "ROLLOVER_INCOMPLETE", message)
        elif self.rollover_end is not None and self.period.end is not None and self.rollover_end <= self.period.end:
            mistakes.add("rollover_end_time", "ROLLOVER_EMPTY", "must be after end_time")


@dataclass(frozen=True, slots=True)
class BalanceTransaction:
    """An amount into a balance, or with a negative one out of it, from an instant on.

    Attributes:
        currency: the balance's.
        fee: what the account is charged for it; None: nothing.

    Raises:
        Invalid: with all mistakes: an amount that is 0 or has too many digits, a fee that is not above 0 or has.
    """

    id: str
    balance_id: str
    time: datetime
    currency: str
    amount: Decimal
    fee: Decimal | None = None
    description: str = ""

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        with mistakes.under("amount"):
            object.__setattr__(self, "amount", check_amount(self.amount, self.currency))
        if not self.amount:
            mistakes.add("amount", "AMOUNT_ZERO", "must not be 0")
        if self.fee is not None:
            with mistakes.under("fee"):
                object.__setattr__(self, "fee", _positive(self.fee, self.currency))
        mistakes.check()


def check_transaction(transaction: BalanceTransaction, balance: Balance) -> None:
    """Check that a transaction fits its balance.

    Raises:
        Invalid: its time is not inside.
    """
    mistakes = Mistakes()
    if not balance.period.contains(transaction.time):
        mistakes.add("transaction_time", "TRANSACTION_OUTSIDE", "must be from the balance's start_time to its end_time")
    mistakes.check()


@dataclass(frozen=True, slots=True)
class BalanceBook:
    """A balance with its transactions, by time, then id."""

    balance: Balance
    transactions: tuple[BalanceTransaction, ...] = ()
