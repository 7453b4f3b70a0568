"""Accounts, attachments and counter adjustments."""

from datetime import datetime

from ratel.account.v1 import account_pb2, attachment_pb2, counter_adjustment_pb2
from ratel.core.account import Account, Attachment, ChildBilling
from ratel.core.counter import AccountAdjustment, Adjustment
from ratel.core.errors import Mistakes
from ratel.core.money import decimal_from_text, text_from_decimal
from ratel.core.period import date_from_text
from ratel.server.convert.plan import CREDIT_KINDS, credit_order_from_proto
from ratel.server.convert.value import (
    EnumPair,
    date_to_text,
    instant_from_proto,
    instant_to_proto,
    optional_date_from_text,
    optional_instant_to_proto,
    period_from_proto,
)

CHILD_BILLINGS = EnumPair(ChildBilling, account_pb2.ChildBilling.Name, account_pb2.ChildBilling.Value, "CHILD_BILLING_")


def account_from_proto(message: account_pb2.Account) -> Account:
    """Return the account of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    epoch = None
    with mistakes.under("epoch"):
        epoch = optional_date_from_text(message.epoch)
    child_billing = ChildBilling.SUMMARY
    with mistakes.under("child_billing"):
        child_billing = CHILD_BILLINGS.from_proto(message.child_billing, child_billing)
    with mistakes.under("credit_application_order"):
        order = credit_order_from_proto(message.credit_application_order)
    with mistakes.under():
        account = Account(
            message.id,
            message.name,
            epoch,
            message.currency,
            message.parent_account_id,
            child_billing,
            message.billed_with_parent,
            order,
        )
    mistakes.check()
    return account


def account_to_proto(account: Account) -> account_pb2.Account:
    """Return the message of an account."""
    return account_pb2.Account(
        id=account.id,
        name=account.name,
        epoch=date_to_text(account.epoch),
        currency=account.currency,
        credit_application_order=map(CREDIT_KINDS.to_proto, account.credit_application_order),
        parent_account_id=account.parent_id,
        child_billing=CHILD_BILLINGS.to_proto(account.child_billing),
        billed_with_parent=account.billed_with_parent,
    )


def attachment_from_proto(message: attachment_pb2.Attachment) -> Attachment:
    """Return the attachment of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    with mistakes.under():
        period = period_from_proto(message)
    with mistakes.under("epoch"):
        epoch = optional_date_from_text(message.epoch)
    times: dict[str, datetime | None] = {"trial_end_time": None, "accumulation_start_time": None}
    for field in times:
        if message.HasField(field):  # type: ignore[arg-type]
            with mistakes.under(field):
                times[field] = instant_from_proto(getattr(message, field))
    mistakes.check()
    return Attachment(message.id, message.account_id, message.plan_id, period, epoch, *times.values())


def attachment_to_proto(attachment: Attachment) -> attachment_pb2.Attachment:
    """Return the message of an attachment."""
    return attachment_pb2.Attachment(
        id=attachment.id,
        account_id=attachment.account_id,
        plan_id=attachment.plan_id,
        start_time=instant_to_proto(attachment.period.start),
        end_time=optional_instant_to_proto(attachment.period.end),
        epoch=date_to_text(attachment.epoch),
        trial_end_time=optional_instant_to_proto(attachment.trial_end),
        accumulation_start_time=optional_instant_to_proto(attachment.accumulation_start),
    )


def adjustment_from_proto(message: counter_adjustment_pb2.CounterAdjustment) -> AccountAdjustment:
    """Return the adjustment of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    with mistakes.under("date"):
        day = date_from_text(message.date)
    with mistakes.under("level"):
        level = decimal_from_text(message.level)
    mistakes.check()
    return AccountAdjustment(message.account_id, Adjustment(message.counter_id, day, level))


def adjustment_to_proto(value: AccountAdjustment) -> counter_adjustment_pb2.CounterAdjustment:
    """Return the message of an adjustment."""
    adjustment = value.adjustment
    return counter_adjustment_pb2.CounterAdjustment(
        account_id=value.account_id,
        counter_id=adjustment.counter_id,
        date=date_to_text(adjustment.date),
        level=text_from_decimal(adjustment.level),
    )
