"""Bills of plain accounts, made ready: all that is the same for accounts of one shape is done once for them.

Accounts are of one shape if nothing but ids tells them apart. What is not plain (see `core.rating.prepared`) is left to
`make_bills`, which says what is right: for the same usage both make the same lines.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeAlias

from ratel.core.account import Account, Attachment
from ratel.core.bill import LineItem, LineItemKind
from ratel.core.bill_exchange import exchanges_to_bill
from ratel.core.billing import BillInRow, BillKey, ItemKey, Line, key_texts
from ratel.core.currency import BillExchange
from ratel.core.event import Partial
from ratel.core.money import EXACT, ZERO, exact
from ratel.core.quantity import Values
from ratel.core.rating.due import due, due_days, survey_due
from ratel.core.rating.prepared import LineTemplate, PreparedScope, PricedLine, prepare
from ratel.core.rating.scope import RatingContext, Scope, in_order_of_start
from ratel.core.segment import digest_of_framed, framed
from ratel.core.window import end_of

Shape: TypeAlias = tuple[Account, tuple[Attachment, ...]]
"""An account and its attachments in the order of their starts, without ids and names."""

_LINES_MAX: Final = 500


def shape_of(context: RatingContext) -> Shape | None:
    """Return an account's shape; None if it has more than attachments."""
    account, attachments = context.account, context.attachments
    if context != RatingContext(account, attachments, (), context.plans, context.meters, settings=context.settings):
        return None
    bare = (replace(each, id="", account_id="") for each in in_order_of_start(attachments))
    return replace(account, id="", name=""), tuple(bare)


@dataclass(frozen=True, slots=True, eq=False)
class LineShape:
    """A line but for its number, its account's ids, and what usage decides; one object for each.

    Attributes:
        item: of any account of the shape.
        date: on which it falls due.
        place: of its attachment, in the order of their starts.
    """

    item: LineItem
    date: date
    place: int
    _service_end: datetime
    _key_parts: tuple[bytes, bytes]

    def line(self, number: int, attachment: bytes, amount: Decimal, exact_amount: Decimal) -> Line:
        """Return the line of an account, without its item.

        Args:
            number: on the bill.
            attachment: the id of the account's attachment, framed.
            amount: with the currency's digits.
            exact_amount: the same before it was rounded.
        """
        item, (before, after) = self.item, self._key_parts
        return Line(
            number=number,
            key=digest_of_framed(before + attachment + after),
            kind=item.kind,
            source_id=item.source_id,
            pricing_id=item.pricing_id,
            service_end=self._service_end,
            currency=item.currency,
            amount=amount,
            exact_amount=exact_amount,
        )


Filled: TypeAlias = tuple[LineShape, PricedLine | None]
"""A line, and what usage makes of it; None of one that does not depend on usage."""


@dataclass(frozen=True, slots=True)
class PreparedBill:
    """What the bills of accounts of one shape have in common.

    Attributes:
        scope: of any of them: it says what to read.
        exchange: brings nothing into another currency.
    """

    scope: Scope
    exchange: BillExchange
    _prepared: PreparedScope
    _rest: tuple[LineShape, ...]
    _known: dict[LineTemplate, LineShape] = field(default_factory=dict)

    def lines(self, kept: Sequence[Mapping[Values, Partial]]) -> list[Filled] | None:
        """Return what is on an account's bill, in order; None where only `make_bills` can tell.

        Args:
            kept: what is kept of the account's events for each of ``scope.reads``, in their order.
        """
        priced = self._prepared.lines(kept)
        if priced is None:
            return None
        found: list[Filled] = [(self._shape_of(line.template), line) for line in priced]
        found += ((shape, None) for shape in self._rest)
        found = [each for each in found if each[0].date <= self.exchange.invoice_date]
        return sorted(found, key=_date)

    def carried(self, row: Iterable[BillInRow]) -> dict[ItemKey, Decimal] | None:
        """Return what earlier bills carried of each item; None where only `make_bills` can tell.

        Args:
            row: all stored bills of the account and frequency.
        """
        carried: dict[ItemKey, Decimal] = {}
        for bill in row:
            if bill.invoice_date == self.exchange.invoice_date:
                return None  # it says what it was asked to be in
            if bill.invoice_date < self.exchange.invoice_date:
                if bill.is_stale or bill.exchange.exchange.currency not in ("", self.exchange.exchange.currency):
                    return None
                for line in bill.lines:
                    carried[line.key] = EXACT.add(carried.get(line.key, ZERO), line.amount)
        return carried

    def _shape_of(self, template: LineTemplate) -> LineShape:
        shape = self._known.get(template)
        if shape is None:
            if len(self._known) >= _LINES_MAX:
                self._known.clear()  # of combinations that callers make up there are as many as they like
            shape = self._known[template] = _line_shape(self.scope, template.item)
        return shape


def _date(filled: Filled) -> date:
    return filled[0].date


@exact
def prepare_bill(context: RatingContext, key: BillKey, target_currency: str) -> PreparedBill | None:
    """Make ready the bills of all accounts of an account's shape; None if some of it is not plain.

    Args:
        context: one that has a shape.
        key: which bill.
        target_currency: that it is asked to be in; it may be empty.
    """
    surveyed = survey_due(context, key.frequency, key.invoice_date)
    exchanges = exchanges_to_bill((), key.invoice_date, target_currency, context)
    exchange = exchanges.of(key.invoice_date)
    currencies = {service.plan.template.currency for service in surveyed.services}
    if any(exchange.exchange.target(currency) != currency for currency in currencies):
        return None
    # Usage of periods that are not over is not due, and no slice of them is read.
    over = tuple(each for each in surveyed.thing_parts if each.slices or not each.thing.aggregations)
    scope = replace(surveyed, thing_parts=over, frequency=None)
    prepared = prepare(scope)
    if prepared is None:
        return None
    items = [each.item for each in due(surveyed, {}, key.invoice_date, exchanges).items]
    rest = tuple(_line_shape(scope, item) for item in items if item.kind is not LineItemKind.USAGE)
    return PreparedBill(scope, exchange, prepared, rest)


def _line_shape(scope: Scope, item: LineItem) -> LineShape:
    attachments = in_order_of_start(scope.context.attachments)
    places = {attachment.id: place for place, attachment in enumerate(attachments)}
    before, after = key_texts(item)
    return LineShape(
        item=item,
        date=due_days(scope)(item),
        place=places[item.origin.attachment_id],
        _service_end=end_of(item.service),
        _key_parts=(_framed(before), _framed(after)),
    )


def _framed(texts: Sequence[str]) -> bytes:
    return b"".join(framed(text.encode()) for text in texts)
