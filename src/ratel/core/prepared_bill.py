"""Bills of plain accounts, made ready: all that is the same for accounts of one shape is done once for them.

What is not plain (see `core.rating.prepared`) is left to `make_bills`, which says what is right: of the same usage both
make the same lines.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from ratel.core.bill import LineItem, LineItemKind, UsageWorkings
from ratel.core.bill_exchange import exchanges_to_bill
from ratel.core.billing import BillInRow, BillKey, ItemKey, Line, key_text, key_texts
from ratel.core.currency import BillExchange
from ratel.core.money import EXACT, ZERO, exact
from ratel.core.period import Period, local_date
from ratel.core.rating.due import due, due_days, survey_due
from ratel.core.rating.line_template import LineTemplate
from ratel.core.rating.prepared import CountedLine, Kept, PreparedScope, prepare
from ratel.core.rating.scope import RatingContext, Scope, in_order_of_start
from ratel.core.segment import digest_of_framed, framed
from ratel.core.shape import Instants, Moved
from ratel.core.window import end_of

_LINES_MAX: Final = 500
_DAYS_MAX: Final = 100

_Place: TypeAlias = int | None
"""Of an instant among those of the account; None of one that is the same for all accounts of the shape."""

Places: TypeAlias = tuple[_Place, _Place]
"""Where among the instants of the account a period begins and ends."""

NOWHERE: Final[Places] = (None, None)


def period_at(period: Period, places: Places, instants: Instants) -> tuple[datetime, datetime]:
    """Return where a period of an account begins and ends, whose ``places`` say which of its instants these are."""
    start, end = places
    return period.start if start is None else instants[start], end_of(period) if end is None else instants[end]


@dataclass(frozen=True, slots=True, eq=False)
class LineShape:
    """A line but for its number, its account's ids and instants, and what usage decides; one object for each.

    Attributes:
        item: of any account of the shape.
        date: on which it falls due.
        place: of its attachment, in the order of their starts.
        service_places: of where its service begins and ends.
        window_places: of where the window of its workings does.
    """

    item: LineItem
    date: date
    place: int
    service_places: Places
    window_places: Places
    _key_parts: tuple[bytes, bytes, bytes]
    _head: tuple[LineItemKind, str, str, datetime, str]

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells it from all other lines of the shape, if its service is the same for all accounts."""
        return self.place, self._key_parts

    def line(self, number: int, attachment: bytes, instants: Instants, amounts: tuple[Decimal, Decimal]) -> Line:
        """Return the line of an account, without its item.

        Args:
            number: on the bill.
            attachment: the id of the account's attachment, framed.
            instants: of the account.
            amounts: with the currency's digits, and the same before it was rounded.
        """
        before, between, after = self._key_parts
        kind, source_id, pricing_id, service_end, currency = self._head
        if self.service_places != NOWHERE:
            start, service_end = period_at(self.item.service, self.service_places, instants)
            between += _framed(map(key_text, (start, service_end)))
        key = digest_of_framed(before + attachment + between + after)
        return Line(number, key, kind, source_id, pricing_id, service_end, currency, *amounts)


class BillColumn(NamedTuple):
    """A line that some accounts have on their bills.

    Attributes:
        places: of these among all accounts.
        counted: what was counted for each; None of a line that does not depend on usage.
    """

    shape: LineShape
    places: Sequence[int]
    counted: CountedLine | None


@dataclass(frozen=True, slots=True)
class PreparedBill:
    """What the bills of accounts of one shape have in common.

    Attributes:
        scope: of any of them: it says what to read.
        exchange: brings nothing into another currency.
        instants: of the same one, in place of which another account has its own.
    """

    scope: Scope
    exchange: BillExchange
    instants: Instants
    _key: BillKey
    _prepared: PreparedScope
    _has_rest: bool
    _known: dict[LineTemplate, LineShape] = field(default_factory=dict)
    _rests: dict[tuple[date, ...], tuple[LineShape, ...]] = field(default_factory=dict)
    _alike: dict[object, LineShape] = field(default_factory=dict)

    def moved(self, instants: Instants) -> Moved:
        """Return which instants of an account of the shape stand in place of those of ``scope``."""
        return {} if instants == self.instants else dict(zip(self.instants, instants, strict=True))

    @exact
    def columns(
        self, accounts: Iterable[tuple[RatingContext, Instants]], kept: Sequence[Kept]
    ) -> tuple[list[BillColumn], Set[int]]:
        """Return what is on the bills of accounts of the shape, in the order of all of them.

        Args:
            accounts: each with its own instants.
            kept: of each of them.

        Returns:
            The lines, and the places of accounts of which only `make_bills` can tell; they may be in lines too.
        """
        counted = self._prepared.count(kept)
        columns = [BillColumn(self._shape_of(line.template), line.places, line) for line in counted.lines]
        rest: dict[tuple[int, LineShape], list[int]] = {}
        for place, (context, instants) in enumerate(accounts):
            for number, shape in enumerate(self._rest(context, instants)):
                rest.setdefault((number, shape), []).append(place)
        in_order = sorted(rest.items(), key=lambda each: each[0][0])
        columns += (BillColumn(shape, places, None) for (_, shape), places in in_order)
        return sorted(
            (each for each in columns if each.shape.date <= self.exchange.invoice_date), key=_date
        ), counted.untold

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

    def _rest(self, context: RatingContext, instants: Instants) -> tuple[LineShape, ...]:
        """Return the lines that do not depend on usage: on the days, if attachments begin or end inside periods."""
        if not self._has_rest:
            return ()
        days = tuple(local_date(instant, context.settings.time_zone) for instant in instants)
        found = self._rests.get(days)
        if found is None:
            if len(self._rests) >= _DAYS_MAX:
                self._rests.clear()
                self._alike.clear()
            shapes = _rest(context, self._key, instants)
            found = self._rests[days] = tuple(self._shared(shape) for shape in shapes)
        return found

    def _shared(self, shape: LineShape) -> LineShape:
        """Return the same object for the same line, whatever the days: most services lie between them."""
        return self._alike.setdefault(shape.identity, shape) if shape.service_places == NOWHERE else shape

    def _shape_of(self, template: LineTemplate) -> LineShape:
        shape = self._known.get(template)
        if shape is None:
            if len(self._known) >= _LINES_MAX:
                self._known.clear()  # of combinations that callers make up there are as many as they like
            shape = self._known[template] = _line_shape(self.scope, self.instants, template.item)
        return shape


def _date(column: BillColumn) -> date:
    return column.shape.date


@exact
def prepare_bill(context: RatingContext, instants: Instants, key: BillKey, target_currency: str) -> PreparedBill | None:
    """Make ready the bills of all accounts of an account's shape; None if some of it is not plain.

    Args:
        context: one that has a shape.
        instants: of the account.
        key: which bill.
        target_currency: that it is asked to be in; it may be empty.
    """
    surveyed = survey_due(context, key.frequency, key.invoice_date)
    exchange = exchanges_to_bill((), key.invoice_date, target_currency, context).of(key.invoice_date)
    currencies = {service.plan.template.currency for service in surveyed.services}
    if any(exchange.exchange.target(currency) != currency for currency in currencies):
        return None
    # Usage of periods that are not over is not due, and no slice of them is read.
    over = tuple(each for each in surveyed.thing_parts if each.slices or not each.thing.aggregations)
    scope = replace(surveyed, thing_parts=over, frequency=None)
    prepared = prepare(scope)
    if prepared is None:
        return None
    has_rest = any(service.plan.terms.standing_charge for service in scope.services)
    has_rest |= any(not each.thing.aggregations for each in scope.thing_parts)
    return PreparedBill(scope, exchange, instants, key, prepared, has_rest)


@exact
def _rest(context: RatingContext, key: BillKey, instants: Instants) -> tuple[LineShape, ...]:
    scope = survey_due(context, key.frequency, key.invoice_date)
    others = tuple(each for each in scope.thing_parts if not each.thing.aggregations)
    owed = due(replace(scope, thing_parts=others, unattached=()), {}, key.invoice_date)
    return tuple(_line_shape(scope, instants, each.item) for each in owed.items)


def _line_shape(scope: Scope, instants: Instants, item: LineItem) -> LineShape:
    ids = [attachment.id for attachment in in_order_of_start(scope.context.attachments)]
    places = {instant: place for place, instant in enumerate(instants)}
    service = places.get(item.service.start), places.get(end_of(item.service))
    window = item.workings.window if isinstance(item.workings, UsageWorkings) else None
    before, between, after = key_texts(item)
    if service == NOWHERE:
        between += map(key_text, (item.service.start, end_of(item.service)))
    return LineShape(
        item=item,
        date=due_days(scope)(item),
        place=ids.index(item.origin.attachment_id),
        service_places=service,
        window_places=NOWHERE if window is None else (places.get(window.start), places.get(end_of(window))),
        _key_parts=(_framed(before), _framed(between), _framed(after)),
        _head=(item.kind, item.source_id, item.pricing_id, end_of(item.service), item.currency),
    )


def _framed(texts: Iterable[str]) -> bytes:
    return b"".join(framed(text.encode()) for text in texts)
