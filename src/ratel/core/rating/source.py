"""What can pay for charges: commitments, balances, and what of a balance rolled over, in the order in which they do."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ratel.core.bill import LineItem
from ratel.core.currency import Exchange
from ratel.core.money import ZERO
from ratel.core.period import Period
from ratel.core.plan import CreditKind
from ratel.core.prepayment import Balance, BalanceBook, Commitment
from ratel.core.rating.book import Book, SourceKey
from ratel.core.rating.remainder import Charge
from ratel.core.rating.scope import RatingContext
from ratel.core.window import end_of


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What can pay for service inside a period.

    Attributes:
        is_rollover: whether it is what is left of a balance after its end.
    """

    of: Commitment | BalanceBook
    period: Period
    is_rollover: bool = False

    @property
    def kind(self) -> CreditKind:
        """Which of the two it is."""
        return CreditKind.COMMITMENT if isinstance(self.of, Commitment) else CreditKind.BALANCE

    @property
    def agreement(self) -> Commitment | Balance:
        """What was agreed."""
        return self.of if isinstance(self.of, Commitment) else self.of.balance

    @property
    def key(self) -> SourceKey:
        """Tells it from all others."""
        return self.kind, self.agreement.id, self.is_rollover

    def left(self, book: Book, time: datetime, rate: Decimal) -> Decimal:
        """Return what may still be used on the bill of a day, unrounded; it may be below zero.

        Args:
            book: says what was used.
            time: when the day begins.
            rate: what one of the source's currency is in the bill's, which the answer is in.
        """
        kind, agreed_id, is_rollover = self.key
        if isinstance(self.of, Commitment):
            return self.of.amount * rate - book.consumed[self.key].at(rate)
        put_in = sum((each.amount for each in self.of.transactions if each.time <= time), ZERO) * rate
        in_term, after = (book.consumed[kind, agreed_id, when].at(rate) for when in (False, True))
        if is_rollover:
            return min(put_in - in_term, self.of.balance.rollover_amount * rate) - after
        return put_in - in_term - after

    def may_pay(self, item: LineItem, exchange: Exchange) -> bool:
        """Tell whether some of a line item lies inside, and is what may be paid for; also its currency."""
        is_in_currency = item.currency == exchange.target(self.agreement.currency)
        return is_in_currency and self.agreement.limits.allow(item) and item.service.overlaps(self.period)


@dataclass(slots=True, eq=False)
class Paid:
    """What a source paid of a charge, in the currency of the charge."""

    source: Source
    charge: Charge
    amount: Decimal


def sources_of(context: RatingContext) -> list[Source]:
    """Return all that can pay, by kind, then the earliest end, start, and id (R7.3)."""
    said = context.account.credit_application_order or context.settings.credit_application_order
    order = list(dict.fromkeys([*said, *CreditKind]))

    def place(source: Source) -> tuple[int, datetime, datetime, str]:
        return order.index(source.kind), end_of(source.period), source.period.start, source.agreement.id

    return sorted(_sources(context), key=place)


def _sources(context: RatingContext) -> Iterator[Source]:
    for commitment in context.commitments:
        yield Source(commitment, commitment.period)
    for book in context.balances:
        yield Source(book, book.balance.period)
        if book.balance.rollover_end is not None:
            rollover = Period(end_of(book.balance.period), book.balance.rollover_end)
            yield Source(book, rollover, is_rollover=True)
