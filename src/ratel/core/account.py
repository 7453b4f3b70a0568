"""Accounts and the attachments that put them on plans (R4.1)."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from ratel.core.errors import FieldInvalid, Mistakes, PlanCustom, Unready
from ratel.core.limits import CHILDREN_MAX
from ratel.core.money import exponent
from ratel.core.period import Period
from ratel.core.plan import CreditKind, Plan, check_credit_order


class ChildBilling(StrEnum):
    """How usage that is pooled with that of children is shown (R11.1)."""

    SUMMARY = "SUMMARY"
    BREAKDOWN = "BREAKDOWN"


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays.

    Attributes:
        epoch: anchors the grid of its bill periods, unless an attachment's own does.
        currency: what its service is reckoned in; empty: whatever currencies its plans are in.
        parent_id: the account that pays for what no attachment of this one covers; empty: none.
        child_billing: of a parent.
        billed_with_parent: whether its own attachments are charged on the parent's bills.
        credit_application_order: what pays first (R7.3); empty: the settings say.

    Raises:
        Invalid: with all mistakes: the currency is unknown, the order names something twice, it is its own parent, or
            is billed with one that it has not.
    """

    id: str
    name: str
    epoch: date | None = None
    currency: str = ""
    parent_id: str = ""
    child_billing: ChildBilling = ChildBilling.SUMMARY
    billed_with_parent: bool = False
    credit_application_order: tuple[CreditKind, ...] = ()

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        if self.currency:
            with mistakes.under("currency"):
                exponent(self.currency)
        if self.credit_application_order:
            with mistakes.under():
                check_credit_order(self.credit_application_order)
        if self.parent_id and self.parent_id == self.id:
            mistakes.add("parent_account_id", "PARENT_SELF", "must be another account")
        if self.billed_with_parent and not self.parent_id:
            mistakes.add("billed_with_parent", "PARENT_MISSING", "must not be set without a parent")
        mistakes.check()


# --- Families ---------------------------------------------------------------------------------------------------------


class ParentFixed(FieldInvalid):
    """The account has another parent already, which never changes (R11.1)."""

    reason = "PARENT_FIXED"


class ParentIsChild(Unready):
    """The account that is to be a parent has a parent itself (R11.1); metadata ``account_id`` of it."""

    reason = "PARENT_IS_CHILD"

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id!r} has a parent, so it cannot be one", account_id=account_id)


class AccountHasChildren(Unready):
    """The account that is to have a parent is one (R11.1); metadata ``account_id``."""

    reason = "ACCOUNT_HAS_CHILDREN"

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id!r} has children, so it cannot have a parent", account_id=account_id)


class ChildrenTooMany(Unready):
    """The parent has as many children as it may have; metadata ``account_id`` of it and ``count_max``."""

    reason = "CHILDREN_TOO_MANY"

    def __init__(self, account_id: str, count_max: int) -> None:
        message = f"account {account_id!r} has {count_max} children, which is as many as it may have"
        super().__init__(message, account_id=account_id, count_max=str(count_max))


def check_family(account: Account, parent: Account, child_count: int, sibling_count: int) -> None:
    """Check that an account may have a parent (R11.1).

    Args:
        account: with its parent.
        parent: as stored.
        child_count: children of the account.
        sibling_count: other children of the parent.

    Raises:
        ParentIsChild: the parent has a parent.
        AccountHasChildren: the account is a parent.
        ChildrenTooMany: the parent has as many children as it may have.
    """
    if parent.parent_id:
        raise ParentIsChild(parent.id)
    if child_count:
        raise AccountHasChildren(account.id)
    if sibling_count >= CHILDREN_MAX:
        raise ChildrenTooMany(parent.id, CHILDREN_MAX)


def check_same_parent(old: Account, new: Account) -> None:
    """Check that an account that has a parent keeps it.

    Raises:
        ParentFixed: it does not.
    """
    if old.parent_id not in ("", new.parent_id):
        raise ParentFixed("must stay as it is: a parent never changes", "account.parent_account_id")


# --- Attachments ------------------------------------------------------------------------------------------------------


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
