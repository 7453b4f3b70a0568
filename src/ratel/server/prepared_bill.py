"""The bills of plain accounts, by what was made ready for the first of their shape."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ratel.core.billing import BillInRow, BillKey, ItemKey, Line
from ratel.core.errors import RatelError
from ratel.core.event import Partial
from ratel.core.prepared_bill import LineShape, PreparedBill, Shape, prepare_bill, shape_of
from ratel.core.quantity import Values
from ratel.core.rating.scope import RatingContext, Scope, in_order_of_start
from ratel.core.segment import framed
from ratel.server.convert.prepared import FilledMessage
from ratel.server.convert.rating import line_item_to_proto
from ratel.server.new_bill import NewBill

_SHAPES_MAX: Final = 300
"""Shapes that are remembered: about 30 KB each with ten lines."""

_MESSAGES_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class ReadyBill:
    """What the bills of accounts of one shape have in common, with the messages of their lines."""

    _prepared: PreparedBill
    _messages: dict[LineShape, FilledMessage] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        """Says what to read."""
        return self._prepared.scope

    def make(
        self, context: RatingContext, kept: Sequence[Mapping[Values, Partial]], row: Sequence[BillInRow]
    ) -> NewBill | None:
        """Return an account's bill; None where only `make_bills` can tell.

        Args:
            context: of an account of the shape.
            kept: what is kept of the account's events for each of ``scope.reads``, in their order.
            row: all stored bills of the account and frequency.
        """
        filled, carried = self._prepared.lines(kept), self._prepared.carried(row)
        if filled is None or carried is None:
            return None
        ids = [attachment.id for attachment in in_order_of_start(context.attachments)]
        framed_ids = [framed(each.encode()) for each in ids]
        keys: set[ItemKey] = set()
        lines: list[Line] = []
        contents: list[bytes] = []
        for shape, priced in filled:
            item, number = shape.item, len(lines) + 1
            amounts = (item.amount, item.exact_amount) if priced is None else (priced.amount, priced.priced.amount)
            line = shape.line(number, framed_ids[shape.place], *amounts)
            keys.add(line.key)
            if line.key in carried:
                if carried.pop(line.key) != line.amount:
                    return None  # a correction
                continue
            lines.append(line)
            known = self._message_of(shape)
            message = known.message if priced is None else known.of(priced)
            message.line_number, message.attachment_id = number, ids[shape.place]
            contents.append(message.SerializeToString(deterministic=True))
        if len(keys) < len(filled) or any(carried.values()):
            return None  # items with one key stand together, and what is due no more is taken back
        return NewBill(self._prepared.exchange, tuple(lines), tuple(contents))

    def _message_of(self, shape: LineShape) -> FilledMessage:
        found = self._messages.get(shape)
        if found is None:
            if len(self._messages) >= _MESSAGES_MAX:
                self._messages.clear()
            found = self._messages[shape] = FilledMessage(line_item_to_proto(shape.item))
        return found


_Wanted: TypeAlias = tuple[int, BillKey, str, Shape]


class PreparedBills:
    """What was made ready for the shapes of accounts that were billed last.

    Args:
        accounts_min: the number of accounts of a shape from which on it is worth it.
    """

    def __init__(self, accounts_min: int = 2) -> None:
        self._accounts_min = accounts_min
        self._known: OrderedDict[_Wanted, ReadyBill | int | None] = OrderedDict()

    def of(self, context: RatingContext, revision: int, key: BillKey, target_currency: str) -> ReadyBill | None:
        """Return what was made ready for an account's shape; None if nothing was.

        Args:
            context: of an account without a bill of the invoice date.
            revision: of the catalog.
            key: which bill to make.
            target_currency: that it is asked to be in; it may be empty.
        """
        shape = shape_of(context)
        if shape is None:
            return None
        wanted = revision, key, target_currency, shape
        found = self._known.get(wanted, 0)
        if isinstance(found, int):
            found += 1  # accounts of the shape, so far
            if found >= self._accounts_min:
                found = _ready(context, key, target_currency)
            self._known[wanted] = found
            while len(self._known) > _SHAPES_MAX:
                self._known.popitem(last=False)
        return None if isinstance(found, int) else found


def _ready(context: RatingContext, key: BillKey, target_currency: str) -> ReadyBill | None:
    try:
        prepared = prepare_bill(context, key, target_currency)
    except RatelError:
        return None  # the plain path says so, account by account
    return None if prepared is None else ReadyBill(prepared)
