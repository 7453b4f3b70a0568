"""Commitments, balances and their transactions."""

from decimal import Decimal

from ratel.account.v1 import balance_pb2, commitment_pb2
from ratel.core.errors import Mistakes
from ratel.core.money import ZERO, amount_text, decimal_from_text, text_from_decimal
from ratel.core.prepayment import Balance, BalanceTransaction, Commitment, Fee, FeeSchedule, PaymentLimits
from ratel.server.convert.rating import KINDS
from ratel.server.convert.value import (
    WIDEST_CURRENCY,
    amount_to_text,
    instant_from_proto,
    instant_to_proto,
    optional_decimal_from_text,
    optional_instant_to_proto,
    period_from_proto,
)

# --- Commitments ------------------------------------------------------------------------------------------------------


def commitment_from_proto(message: commitment_pb2.Commitment) -> Commitment:
    """Return the commitment of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    fees, schedule, percent = [], None, None
    with mistakes.under():
        period = period_from_proto(message)
    with mistakes.under("amount"):
        amount = decimal_from_text(message.amount)
    for index, fee in enumerate(message.fees):
        with mistakes.under(f"fees[{index}]"):
            fees.append(_fee_from_proto(fee))
    if message.HasField("fee_schedule"):
        with mistakes.under("fee_schedule"):
            schedule = _schedule_from_proto(message.fee_schedule)
    with mistakes.under():
        limits = _limits_from_proto(message)
    if message.HasField("overage_surcharge_percent"):
        with mistakes.under("overage_surcharge_percent"):
            percent = decimal_from_text(message.overage_surcharge_percent)
    mistakes.check()
    return Commitment(
        id=message.id,
        account_id=message.account_id,
        name=message.name,
        currency=message.currency,
        amount=amount,
        period=period,
        fees=tuple(fees),
        schedule=schedule,
        limits=limits,
        overage_surcharge_percent=percent,
    )


def _fee_from_proto(message: commitment_pb2.Fee) -> Fee:
    mistakes = Mistakes()
    with mistakes.under("time"):
        time = instant_from_proto(message.time)
    with mistakes.under("amount"):
        amount = decimal_from_text(message.amount)
    mistakes.check()
    return Fee(time, amount)


def _schedule_from_proto(message: commitment_pb2.FeeSchedule) -> FeeSchedule:
    mistakes = Mistakes()
    first_amount = None
    if message.HasField("first_amount"):
        with mistakes.under("first_amount"):
            first_amount = decimal_from_text(message.first_amount)
    mistakes.check()
    in_advance = message.in_advance if message.HasField("in_advance") else None
    return FeeSchedule(message.plan_id, message.period_count or 1, first_amount, in_advance)


def _limits_from_proto(message: commitment_pb2.Commitment | balance_pb2.Balance) -> PaymentLimits:
    mistakes = Mistakes()
    kinds = []
    for index, kind in enumerate(message.line_item_kinds):
        with mistakes.under(f"line_item_kinds[{index}]"):
            kinds.append(KINDS.from_proto(kind))
    mistakes.check()
    return PaymentLimits(tuple(message.product_ids), tuple(kinds))


def commitment_to_proto(commitment: Commitment) -> commitment_pb2.Commitment:
    """Return the message of a commitment."""
    schedule = commitment.schedule
    return commitment_pb2.Commitment(
        id=commitment.id,
        account_id=commitment.account_id,
        name=commitment.name,
        currency=commitment.currency,
        amount=amount_text(commitment.amount, commitment.currency),
        start_time=instant_to_proto(commitment.period.start),
        end_time=optional_instant_to_proto(commitment.period.end),
        fees=(
            commitment_pb2.Fee(time=instant_to_proto(fee.time), amount=amount_text(fee.amount, commitment.currency))
            for fee in commitment.fees
        ),
        fee_schedule=None
        if schedule is None
        else commitment_pb2.FeeSchedule(
            plan_id=schedule.plan_id,
            period_count=schedule.period_count,
            first_amount=amount_to_text(schedule.first_amount),
            in_advance=schedule.in_advance,
        ),
        product_ids=commitment.limits.product_ids,
        line_item_kinds=map(KINDS.to_proto, commitment.limits.kinds),
        overage_surcharge_percent=_percent_text(commitment.overage_surcharge_percent),
    )


def _percent_text(percent: Decimal | None) -> str | None:
    return None if percent is None else text_from_decimal(percent)


# --- Balances ---------------------------------------------------------------------------------------------------------


def balance_from_proto(message: balance_pb2.Balance) -> Balance:
    """Return the balance of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    rollover_end, percent = None, None
    with mistakes.under():
        period = period_from_proto(message)
    with mistakes.under("rollover_amount"):
        rollover_amount = optional_decimal_from_text(message.rollover_amount) or ZERO
    if message.HasField("rollover_end_time"):
        with mistakes.under("rollover_end_time"):
            rollover_end = instant_from_proto(message.rollover_end_time)
    with mistakes.under():
        limits = _limits_from_proto(message)
    if message.HasField("overage_surcharge_percent"):
        with mistakes.under("overage_surcharge_percent"):
            percent = decimal_from_text(message.overage_surcharge_percent)
    mistakes.check()
    return Balance(
        id=message.id,
        account_id=message.account_id,
        name=message.name,
        currency=message.currency,
        period=period,
        rollover_amount=rollover_amount,
        rollover_end=rollover_end,
        limits=limits,
        overage_surcharge_percent=percent,
    )


def balance_to_proto(balance: Balance) -> balance_pb2.Balance:
    """Return the message of a balance."""
    return balance_pb2.Balance(
        id=balance.id,
        account_id=balance.account_id,
        name=balance.name,
        currency=balance.currency,
        start_time=instant_to_proto(balance.period.start),
        end_time=optional_instant_to_proto(balance.period.end),
        rollover_amount=amount_text(balance.rollover_amount, balance.currency),
        rollover_end_time=optional_instant_to_proto(balance.rollover_end),
        product_ids=balance.limits.product_ids,
        line_item_kinds=map(KINDS.to_proto, balance.limits.kinds),
        overage_surcharge_percent=_percent_text(balance.overage_surcharge_percent),
    )


def transaction_from_proto(message: balance_pb2.BalanceTransaction, currency: str) -> BalanceTransaction:
    """Return the transaction of a message.

    Args:
        message: as sent.
        currency: of its balance.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    fee = None
    with mistakes.under("transaction_time"):
        time = instant_from_proto(message.transaction_time)
    with mistakes.under("amount"):
        amount = decimal_from_text(message.amount)
    if message.HasField("fee"):
        with mistakes.under("fee"):
            fee = decimal_from_text(message.fee)
    mistakes.check()
    return BalanceTransaction(message.id, message.balance_id, time, currency, amount, fee, message.description)


def fine_transaction_from_proto(message: balance_pb2.BalanceTransaction) -> BalanceTransaction:
    """Return the transaction of a message whose balance is not known: its amounts may have as many digits as any.

    Raises:
        Invalid: with all mistakes.
    """
    return transaction_from_proto(message, WIDEST_CURRENCY)


def transaction_to_proto(transaction: BalanceTransaction) -> balance_pb2.BalanceTransaction:
    """Return the message of a transaction."""
    return balance_pb2.BalanceTransaction(
        id=transaction.id,
        balance_id=transaction.balance_id,
        transaction_time=instant_to_proto(transaction.time),
        amount=amount_text(transaction.amount, transaction.currency),
        fee=amount_to_text(transaction.fee),
        description=transaction.description,
    )
