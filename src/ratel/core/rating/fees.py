"""COMMITMENT_FEE, BALANCE_FEE: what is owed for what pays later (R7.1, R7.2)."""

from collections.abc import Iterator
from decimal import Decimal

from ratel.core.bill import LineItem, LineItemKind
from ratel.core.money import ZERO, divide, round_amount
from ratel.core.period import Period
from ratel.core.prepayment import Commitment, Fee, FeeSchedule
from ratel.core.rating.purchases import Dated
from ratel.core.rating.scope import RatingContext
from ratel.core.window import end_of


def fees(context: RatingContext) -> Iterator[LineItem]:
    """Yield the fees of commitments, then of balances' transactions, each by time, then id; runs in `money.EXACT`."""
    mode = context.settings.rounding_mode
    agreed = [(fee, each) for each in context.commitments for fee in commitment_fees(context, each)]
    for fee, commitment in sorted(agreed, key=lambda pair: (pair[0].time, pair[1].id)):
        dated = Dated(commitment.id, f"{commitment.name} fee", fee.time, commitment.currency)
        yield dated.item(LineItemKind.COMMITMENT_FEE, fee.amount, mode)
    moved = [(each, book.balance) for book in context.balances for each in book.transactions]
    for transaction, balance in sorted(moved, key=lambda pair: (pair[0].time, pair[0].id)):
        if transaction.fee is not None:
            description = transaction.description or f"{balance.name} fee"
            dated = Dated(f"{balance.id}/{transaction.id}", description, transaction.time, balance.currency)
            yield dated.item(LineItemKind.BALANCE_FEE, transaction.fee, mode)


def commitment_fees(context: RatingContext, commitment: Commitment) -> Iterator[Fee]:
    """Yield the fees of a commitment: those that are listed, or those of its schedule; by time."""
    if commitment.schedule is None:
        yield from commitment.fees
    else:
        yield from _scheduled(context, commitment, commitment.schedule)


def _scheduled(context: RatingContext, commitment: Commitment, schedule: FeeSchedule) -> Iterator[Fee]:
    """Yield the first amount if it is set, then equal parts of the rest, rounded; the last takes what is left."""
    groups = tuple(_groups(context, commitment, schedule))
    in_advance = schedule.in_advance
    if in_advance is None:
        in_advance = context.settings.commitment_fee_in_advance
    left = commitment.amount
    for number, (group, part) in enumerate(zip(groups, _parts(commitment, schedule, len(groups)), strict=True)):
        amount = left if number == len(groups) - 1 else min(part, left)
        left -= amount
        if amount:
            yield Fee(max(group.start, commitment.period.start) if in_advance else end_of(group), amount)


def _parts(commitment: Commitment, schedule: FeeSchedule, count: int) -> list[Decimal]:
    first = [] if schedule.first_amount is None else [schedule.first_amount]
    others = count - len(first)
    rest = commitment.amount - sum(first, ZERO)
    return first + [round_amount(divide(rest, Decimal(others)), commitment.currency)] * others if others else first


def _groups(context: RatingContext, commitment: Commitment, schedule: FeeSchedule) -> Iterator[Period]:
    """Yield the stretches of so many bill periods each, from the period that holds the commitment's start."""
    grid = context.plans[schedule.plan_id].grid(context.account.epoch)
    number = grid.number_at(commitment.period.start)
    while grid.boundary(number) < end_of(commitment.period):
        yield Period(grid.boundary(number), grid.boundary(number + schedule.period_count))
        number += schedule.period_count
