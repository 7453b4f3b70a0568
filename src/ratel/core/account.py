"""Accounts and the attachments that put them on plans (R4.1)."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from ratel.core.errors import Mistakes, PlanCustom
from ratel.core.money import exponent
from ratel.core.period import Period
from ratel.core.plan import CreditKind, Plan, check_credit_order


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays.

    Attributes:
        epoch: anchors the grid of its bill periods, unless an attachment's own does.
        currency: what its service is reckoned in; empty: whatever currencies its plans are in.
        credit_application_order: what pays first (R7.3); empty: the settings say.

    Raises:
        Invalid: with all mistakes: the currency is unknown, the order names something twice.
    """

    id: str
    name: str
    epoch: date | None = None
    currency: str = ""
    credit_application_order: tuple[CreditKind, ...] = ()

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        if self.currency:
            with mistakes.under("currency"):
                exponent(self.currency)
        with mistakes.under():
            check_credit_order(self.credit_application_order)
        mistakes.check()


@dataclass(frozen=True, slots=True)
class Attachment:
    """Puts an account on a plan for a time.

    Attributes:
        accumulation_start: where usage began to accumulate if that goes on from an earlier attachment (R4.1).
        trial_end: what is for service before it costs nothing (R9.3); None: there is no trial.

    Raises:
        Invalid: the trial ends before it begins, or usage begins to accumulate later.
    """

    id: str
    account_id: str
    plan_id: str
    period: Period
    epoch: date | None = None
    trial_end: datetime | None = None
    accumulation_start: datetime | None = None

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        if self.trial_end is not None and self.trial_end <= self.period.start:
            mistakes.add("trial_end_time", "TRIAL_EMPTY", "must be after start_time")
        if self.accumulation_start is not None and self.accumulation_start > self.period.start:
            mistakes.add("accumulation_start_time", "ACCUMULATION_LATER", "must not be after start_time")
        mistakes.check()


def keep_accumulation(old: Attachment, new: Attachment) -> Attachment:
    """Return the new attachment with its accumulation going on from that of the old one, which it replaces."""
    return replace(new, accumulation_start=old.accumulation_start or old.period.start)


def check_custom(attachment: Attachment, plan: Plan) -> None:
    """Check that a custom plan is attached to its own account only (R3.4).

    Raises:
        PlanCustom: it is another account's.
    """
    if plan.account_id not in ("", attachment.account_id):
        raise PlanCustom(plan.id)


def end_for(old: Attachment, new: Attachment) -> Attachment:
    """Return the old attachment as it is once the new one has taken its place (R4.1).

    An old one that ends just where the new one starts stays as it is, so that a replacement may be repeated.

    Raises:
        Invalid: the new one is of another account, or does not start inside the old one.
    """
    mistakes = Mistakes()
    if new.account_id != old.account_id:
        mistakes.add("account_id", "ACCOUNT_DIFFERENT", "must be the account of the attachment that ends")
    start, end = old.period.start, old.period.end
    if not start < new.period.start or (end is not None and end < new.period.start):
        mistakes.add("start_time", "REPLACEMENT_OUTSIDE", "must lie inside the attachment that ends")
    mistakes.check()
    return replace(old, period=Period(start, new.period.start))
