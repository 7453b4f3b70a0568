"""The bills of plain accounts, by what was made ready for the first of their shape."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from ratel.core.billing import BillInRow, BillKey, ItemKey, Line
from ratel.core.errors import RatelError
from ratel.core.event import Partial
from ratel.core.prepared_bill import LineShape, PreparedBill, prepare_bill
from ratel.core.quantity import Values
from ratel.core.rating.prepared import PricedLine
from ratel.core.rating.scope import RatingContext, Scope, in_order_of_start
from ratel.core.segment import framed
from ratel.core.shape import Instants, Moved, Shape, Shapes
from ratel.rating.v1.line_item_pb2 import LineItem
from ratel.server.convert.prepared import FilledMessage, fill_times
from ratel.server.convert.rating import line_item_to_proto
from ratel.server.new_bill import NewBill

_SHAPES_MAX: Final = 300
"""Shapes that are remembered, those without anything ready included."""

_WINDOWS_MAX: Final = 10_000
"""Windows of the shapes that are remembered: 5 KB each with what is kept of their lines. Two years of seven are 168."""

_BILLS_MAX: Final = 10
_MESSAGES_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class ReadyBill:
    """What the bills of accounts of one shape have in common, with the messages of their lines."""

    prepared: PreparedBill
    _messages: dict[tuple[LineShape, int], FilledMessage] = field(default_factory=dict)

    @property
    def window_count(self) -> int:
        """How much there is of it."""
        return sum(len(each.windows) for each in self.prepared.scope.thing_parts)

    def make(
        self, own: "ReadyAccount", kept: Sequence[Mapping[Values, Partial]], row: Sequence[BillInRow]
    ) -> NewBill | None:
        """Return an account's bill; see there."""
        filled, carried = self.prepared.lines(own.context, own.instants, kept), self.prepared.carried(row)
        if filled is None or carried is None:
            return None
        ids = [attachment.id for attachment in in_order_of_start(own.context.attachments)]
        framed_ids = [framed(each.encode()) for each in ids]
        keys: set[ItemKey] = set()
        lines: list[Line] = []
        contents: list[bytes] = []
        for shape, priced in filled:
            item, number = shape.item, len(lines) + 1
            amounts = (item.amount, item.exact_amount) if priced is None else (priced.amount, priced.priced.amount)
            line = shape.line(number, framed_ids[shape.place], own.instants, amounts)
            keys.add(line.key)
            if line.key in carried:
                if carried.pop(line.key) != line.amount:
                    return None  # a correction
                continue
            lines.append(line)
            message = self._message_of(shape, priced)
            message.line_number, message.attachment_id = number, ids[shape.place]
            fill_times(message, shape, own.instants)
            contents.append(message.SerializeToString(deterministic=True))
        if len(keys) < len(filled) or any(carried.values()):
            return None  # items with one key stand together, and what is due no more is taken back
        return NewBill(self.prepared.exchange, tuple(lines), tuple(contents))

    def _message_of(self, shape: LineShape, priced: PricedLine | None) -> LineItem:
        """Return the message of a line, but for what is the account's own."""
        # One for each number of bands, so that it is those of the account before that are written over.
        wanted = shape, 0 if priced is None else len(priced.priced.band_usages)
        found = self._messages.get(wanted)
        if found is None:
            if len(self._messages) >= _MESSAGES_MAX:
                self._messages.clear()
            found = self._messages[wanted] = FilledMessage(line_item_to_proto(shape.item))
        return found.message if priced is None else found.of(priced)


class ReadyAccount(NamedTuple):
    """An account whose bill is made of what is ready for its shape."""

    context: RatingContext
    instants: Instants
    bill: ReadyBill

    @property
    def scope(self) -> Scope:
        """Says what to read, of an account of the shape."""
        return self.bill.prepared.scope

    @property
    def moved(self) -> Moved:
        """Says which instants this account has in place of those of ``scope``."""
        return self.bill.prepared.moved(self.instants)

    def make(self, kept: Sequence[Mapping[Values, Partial]], row: Sequence[BillInRow]) -> NewBill | None:
        """Return the account's bill; None where only `make_bills` can tell.

        Args:
            kept: what is kept of the account's events for each of ``scope.reads``, in their order.
            row: all stored bills of the account and frequency.
        """
        return self.bill.make(self, kept, row)


_Catalog: TypeAlias = tuple[int, BillKey]
_Wanted: TypeAlias = tuple[_Catalog, str, Shape]


class PreparedBills:
    """What was made ready for the shapes of accounts that were billed last.

    Args:
        accounts_min: the number of accounts of a shape from which on it is worth it.
    """

    def __init__(self, accounts_min: int = 2) -> None:
        self._accounts_min = accounts_min
        self._shapes: OrderedDict[_Catalog, Shapes] = OrderedDict()
        self._known: OrderedDict[_Wanted, ReadyBill | int | None] = OrderedDict()
        self._window_count = 0

    def of(self, context: RatingContext, revision: int, key: BillKey, target_currency: str) -> ReadyAccount | None:
        """Return an account for whose shape something was made ready; None if nothing was.

        Args:
            context: of an account without a bill of the invoice date.
            revision: of the catalog.
            key: which bill to make.
            target_currency: that it is asked to be in; it may be empty.
        """
        shaped = self._shapes_of((revision, key)).of(context)
        if shaped is None:
            return None
        shape, instants = shaped
        wanted = (revision, key), target_currency, shape
        found = self._known.get(wanted, 0)
        if isinstance(found, int):
            found += 1  # accounts of the shape, so far
            if found >= self._accounts_min:
                found = _ready(context, instants, key, target_currency)
            self._remember(wanted, found)
        return ReadyAccount(context, instants, found) if isinstance(found, ReadyBill) else None

    def _remember(self, wanted: _Wanted, found: ReadyBill | int | None) -> None:
        """Remember what is known of a shape, and forget the oldest ones that are too many with it."""
        self._known[wanted] = found
        self._window_count += found.window_count if isinstance(found, ReadyBill) else 0
        while len(self._known) > _SHAPES_MAX or (self._window_count > _WINDOWS_MAX and len(self._known) > 1):
            _, forgotten = self._known.popitem(last=False)
            self._window_count -= forgotten.window_count if isinstance(forgotten, ReadyBill) else 0

    def _shapes_of(self, wanted: _Catalog) -> Shapes:
        found = self._shapes.get(wanted)
        if found is None:
            found = self._shapes[wanted] = Shapes(wanted[1])
            while len(self._shapes) > _BILLS_MAX:
                self._shapes.popitem(last=False)
        return found


def _ready(context: RatingContext, instants: Instants, key: BillKey, target_currency: str) -> ReadyBill | None:
    try:
        prepared = prepare_bill(context, instants, key, target_currency)
    except RatelError:
        return None  # the plain path says so, account by account
    return None if prepared is None else ReadyBill(prepared)
