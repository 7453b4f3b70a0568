"""Bills: what is due less what was carried, and how far a bill has come (R12.3 to R12.5).

A line item of a bill is either one that no earlier bill carried, or a correction: the difference between what is due of
an item now and what earlier bills carried of it. Nothing else ever makes a line of a bill. Bills of one account and
frequency stand in a row, and only the end of it changes: nothing before a bill that is approved or locked does.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from ratel.core.bill import Billed, Conversion, LineItem, LineItemKind
from ratel.core.currency import BillExchange, Exchange, Exchanges
from ratel.core.errors import (
    BillApproved,
    BillLocked,
    BillPending,
    BillStale,
    LaterBillFixed,
    PricingBilled,
    UsageUnpriced,
)
from ratel.core.instant import microseconds_from_instant
from ratel.core.money import ZERO, exact, text_from_decimal
from ratel.core.period import Frequency
from ratel.core.pricing import Pricing
from ratel.core.rating.due import Due
from ratel.core.segment import segment_key
from ratel.core.window import end_of

ItemKey: TypeAlias = bytes
"""16 bytes that stand for an item: the same for whatever bill it is on and whatever amount it has."""


def key_of(item: LineItem) -> ItemKey:
    """Return what tells an item from all others of the account (R12.3)."""
    before, between, after = key_texts(item)
    times = map(key_text, (item.service.start, end_of(item.service)))
    return segment_key([*before, item.origin.attachment_id, *between, *times, *after])


def key_texts(item: LineItem) -> tuple[list[str], list[str], list[str]]:
    """Return what a key is made of: before the attachment's id, from there to the times of the service, and after."""
    priced = (item.priced.kind.value, item.priced.id) if item.priced else ("", "")
    segment = [text for pair in item.segment for text in pair]
    return [item.kind.value], [*priced, item.source_id, item.account_id, item.currency], segment


def key_text(instant: datetime) -> str:
    """Return how a time of the service stands in a key."""
    return str(microseconds_from_instant(instant))


@dataclass(frozen=True, slots=True)
class BillKey:
    """What identifies a bill of an account."""

    frequency: Frequency
    invoice_date: date


class BillStatus(StrEnum):
    """How far a bill has come."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    LOCKED = "LOCKED"


# --- Lines ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands: on which bill of the account and frequency, and its number there, from 1."""

    invoice_date: date
    number: int


@dataclass(frozen=True, slots=True)
class Correction:
    """What a line puts right: its amount is ``due_amount - carried_amount``.

    Attributes:
        place: the line that first carried the item.
        carried_amount: the sum of what earlier bills carried of it.
        due_amount: what is due of it now; zero when it is due no more.
    """

    place: Place
    carried_amount: Decimal
    due_amount: Decimal


# A tuple, because one is made for every line: a frozen dataclass takes three times as long to make.
class Line(NamedTuple):
    """One line of a bill, as far as later bills need it.

    Attributes:
        service_end: the first instant after its service.
        currency: that of the bill that its item first belonged to.
        amount: what this bill adds, with the currency's digits.
        exact_amount: the same before it was rounded.
        item: what is due now, with its workings; None when it is read back, or is due no more.
        billed: the same in the currency of this bill; None if it is the same, or when it is read back.
    """

    number: int
    key: ItemKey
    kind: LineItemKind
    source_id: str
    pricing_id: str
    service_end: datetime
    currency: str
    amount: Decimal
    exact_amount: Decimal
    correction: Correction | None = None
    item: LineItem | None = None
    billed: Billed | None = None

    @property
    def printed(self) -> "Line | Billed":
        """What has the amount and currency that stand on the bill."""
        return self.billed or self

    def on(self, exchange: Exchange) -> "Line":
        """Return the line as it stands on a bill; runs inside `money.EXACT`.

        Raises:
            CurrencyRateMissing: there is no rate into the bill's currency.
        """
        target = exchange.target(self.currency)
        if target == self.currency:
            return self
        rate = exchange.rate(self.currency)
        conversion = Conversion(self.currency, self.amount, self.exact_amount, rate)
        amount = exchange.amount(self.amount, self.currency)
        return self._replace(billed=Billed(target, amount, self.amount * rate, conversion))


@dataclass(frozen=True, slots=True)
class Carried:
    """A line on the bill that carries it."""

    place: Place
    line: Line


def less(due: Iterable[LineItem], carried: Iterable[Carried]) -> tuple[Line, ...]:
    """Return the lines of a bill: what is due, less what was carried of the same items.

    Args:
        due: in the order of the bill; runs inside `money.EXACT`.
        carried: all lines of the earlier bills, by invoice date and number.
    """
    before: dict[ItemKey, list[Carried]] = defaultdict(list)
    for each in carried:
        before[each.line.key].append(each)
    now: dict[ItemKey, list[LineItem]] = {}
    for item in due:
        now.setdefault(key_of(item), []).append(item)
    lines: list[Line] = []
    for key, items in now.items():
        lines += _lines(key, items, before.pop(key, []), len(lines))
    for key, found in before.items():
        lines += _lines(key, [], found, len(lines))
    return tuple(lines)


def _lines(key: ItemKey, items: list[LineItem], carried: list[Carried], count: int) -> Iterable[Line]:
    """Yield what a bill adds to an item: what it is if nobody carried it, else the difference if there is one."""
    if not carried:
        for number, item in enumerate(items, count + 1):
            yield _line(number, key, item)
        return
    due_amount = sum((item.amount for item in items), ZERO)
    carried_amount = sum((each.line.amount for each in carried), ZERO)
    if due_amount == carried_amount:
        return
    exact_amount = sum((item.exact_amount for item in items), ZERO)
    first = carried[0]
    yield Line(
        number=count + 1,
        key=key,
        kind=first.line.kind,
        source_id=first.line.source_id,
        pricing_id=items[0].pricing_id if items else first.line.pricing_id,
        service_end=first.line.service_end,
        currency=first.line.currency,
        amount=due_amount - carried_amount,
        exact_amount=exact_amount - sum((each.line.exact_amount for each in carried), ZERO),
        correction=Correction(first.place, carried_amount, due_amount),
        item=items[0] if items else None,
    )


def _line(number: int, key: ItemKey, item: LineItem) -> Line:
    return Line(
        number=number,
        key=key,
        kind=item.kind,
        source_id=item.source_id,
        pricing_id=item.pricing_id,
        service_end=end_of(item.service),
        currency=item.currency,
        amount=item.amount,
        exact_amount=item.exact_amount,
        item=item,
    )


# --- Bills ------------------------------------------------------------------------------------------------------------


def check_priced(due: Due) -> None:
    """Check that no usage is due that no pricing takes (R3.5).

    Raises:
        UsageUnpriced: there is some.
    """
    for first in due.unpriced_usages:
        raise UsageUnpriced(
            first.priced.id,
            attachment_id=first.attachment_id,
            start_time=first.period.start.isoformat(),
            quantity=text_from_decimal(first.quantity),
            count=str(len(due.unpriced_usages)),
        )


@dataclass(frozen=True, slots=True)
class BillInRow:
    """A stored bill among those of its account and frequency."""

    invoice_date: date
    status: BillStatus
    is_stale: bool
    lines: tuple[Line, ...]
    exchange: BillExchange

    @property
    def is_fixed(self) -> bool:
        """Whether it may not change."""
        return self.status is not BillStatus.PENDING


@dataclass(frozen=True, slots=True)
class MadeBill:
    """A bill as it is to be stored."""

    lines: tuple[Line, ...]
    exchange: BillExchange

    @property
    def invoice_date(self) -> date:
        """The day that it is for."""
        return self.exchange.invoice_date


@exact
def make_bills(due: Due, row: Sequence[BillInRow], invoice_date: date, exchanges: Exchanges) -> tuple[MadeBill, ...]:
    """Make the bill of an invoice date, and before it those that became stale, in order.

    Args:
        due: up to the invoice date or later.
        row: all stored bills of the account and frequency.
        invoice_date: that of the last bill to make, which may be stored or not.
        exchanges: what `exchanges_to_bill` returned.

    Returns:
        By invoice date; at least one.

    Raises:
        CurrencyRateMissing: what is to be corrected of a bill in another currency has no rate into that of its own.
    """
    made: list[MadeBill] = []

    def make(day: date, carried: list[Carried]) -> tuple[Line, ...]:
        exchange = exchanges.of(day)
        lines = tuple(line.on(exchange.exchange) for line in less(due.until(day), carried))
        made.append(MadeBill(lines, exchange))
        return lines

    carried: list[Carried] = []
    for bill in sorted(row, key=lambda each: each.invoice_date):
        if bill.invoice_date >= invoice_date:
            break
        lines = make(bill.invoice_date, carried) if bill.is_stale else bill.lines
        carried += (Carried(Place(bill.invoice_date, line.number), line) for line in lines)
    make(invoice_date, carried)
    return tuple(made)


def check_row(row: Iterable[BillInRow], invoice_date: date) -> None:
    """Check that a bill, or a bill yet to be made, may change: no later one is fixed.

    Raises:
        LaterBillFixed: a later one is approved or locked, so that its corrections could not follow.
    """
    fixed = [bill.invoice_date for bill in row if bill.is_fixed and bill.invoice_date > invoice_date]
    if fixed:
        raise LaterBillFixed(min(fixed).isoformat())


# --- How far it has come ----------------------------------------------------------------------------------------------


def approved(status: BillStatus, *, is_stale: bool) -> BillStatus:
    """Return the status of a bill that is approved.

    Raises:
        BillLocked: it is locked.
        BillStale: it must be recalculated first.
    """
    if status is BillStatus.LOCKED:
        raise BillLocked
    if is_stale:
        raise BillStale
    return BillStatus.APPROVED


def locked(status: BillStatus) -> BillStatus:
    """Return the status of a bill that is locked.

    Raises:
        BillPending: it is not approved.
    """
    if status is BillStatus.PENDING:
        raise BillPending
    return BillStatus.LOCKED


def reopened(status: BillStatus) -> BillStatus:
    """Return the status of a bill that is recalculated.

    Raises:
        BillLocked: it is locked.
    """
    if status is BillStatus.LOCKED:
        raise BillLocked
    return BillStatus.PENDING


def check_deletable(status: BillStatus) -> None:
    """Check that a bill may be deleted.

    Raises:
        BillApproved: it is approved.
        BillLocked: it is locked.
    """
    if status is BillStatus.APPROVED:
        raise BillApproved
    if status is BillStatus.LOCKED:
        raise BillLocked


# --- Pricings of bills ------------------------------------------------------------------------------------------------


def check_not_billed(old: Pricing, new: Pricing | None, billed_until: datetime | None) -> None:
    """Check that a pricing may be changed, or deleted, after what it rated was billed (R3.5).

    Args:
        old: as it is.
        new: as it is to be; None if it is to be deleted.
        billed_until: where the last service ends that it rated on an approved or locked bill; None if there is none.

    Raises:
        PricingBilled: more changes than descriptions and an end that is not before that instant.
    """
    if billed_until is None:
        return
    if new is None or _without_what_may_change(old) != _without_what_may_change(new):
        raise PricingBilled(old.id)
    if new.period.end != old.period.end and new.period.end is not None and new.period.end < billed_until:
        raise PricingBilled(old.id)


def _without_what_may_change(pricing: Pricing) -> Pricing:
    return replace(
        pricing,
        description="",
        period=replace(pricing.period, end=None),
        spend=replace(pricing.spend, minimum_description="", maximum_description=""),
    )
