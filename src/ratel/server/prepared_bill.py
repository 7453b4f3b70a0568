"""The bills of plain accounts, by what was made ready for the first of their shape."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from ratel.core.billing import BillInRow, BillKey, ItemKey, Line
from ratel.core.currency import BillExchange
from ratel.core.errors import RatelError
from ratel.core.money import exact
from ratel.core.prepared_bill import LineShape, PreparedBill, prepare_bill
from ratel.core.rating.line_template import ReachedLine
from ratel.core.rating.prepared import CountedLine, Kept
from ratel.core.rating.scope import RatingContext, Scope, in_order_of_start
from ratel.core.segment import framed
from ratel.core.shape import Instants, Moved, Shape, Shapes
from ratel.server.convert.line_content import LineContents, attachment_field
from ratel.server.new_bill import NewBill

_SHAPES_MAX: Final = 300
"""Shapes that are remembered, those without anything ready included."""

_WINDOWS_MAX: Final = 10_000
"""Windows of the shapes that are remembered: 5 KB each with what is kept of their lines. Two years of seven are 168."""

_BILLS_MAX: Final = 10
_CONTENTS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class ReadyBill:
    """What the bills of accounts of one shape have in common, with the contents of their lines."""

    prepared: PreparedBill
    _contents: dict[LineShape, LineContents] = field(default_factory=dict)

    @property
    def window_count(self) -> int:
        """How much there is of it."""
        return sum(len(each.windows) for each in self.prepared.scope.thing_parts)

    @exact
    def make(
        self, accounts: Sequence["ReadyAccount"], kept: Sequence[Kept], rows: Sequence[Sequence[BillInRow]]
    ) -> list[NewBill | None]:
        """Return the bills of accounts of the shape, made line by line; None where only `make_bills` can tell.

        Args:
            accounts: some.
            kept: of each of them.
            rows: all stored bills of each of them and the frequency.
        """
        drafts = [_Draft(own, self.prepared.carried(row)) for own, row in zip(accounts, rows, strict=True)]
        columns, untold = self.prepared.columns(((own.context, own.instants) for own in accounts), kept)
        for shape, places, counted in columns:
            contents = self._contents_of(shape, counted)
            if counted is None:
                fixed = shape.item.amount, shape.item.exact_amount
                for place in places:
                    drafts[place].add(shape, fixed, contents, None)
            else:
                reach = counted.template.reach
                for place, quantity in zip(places, counted.quantities, strict=True):
                    line = reach(quantity)
                    drafts[place].add(shape, (line.amount, line.exact_amount), contents, line)
        made = [draft.bill(self.prepared.exchange) for draft in drafts]
        return [None if place in untold else bill for place, bill in enumerate(made)]

    def _contents_of(self, shape: LineShape, counted: CountedLine | None) -> LineContents:
        found = self._contents.get(shape)
        if found is None:
            if len(self._contents) >= _CONTENTS_MAX:
                self._contents.clear()
            found = self._contents[shape] = LineContents(shape, None if counted is None else counted.template)
        return found


class _Draft:
    """A bill that is being made.

    Args:
        own: the account.
        carried: what earlier bills carried of each item; None if that does not tell.
    """

    __slots__ = ("_attachments", "_carried", "_contents", "_instants", "_is_told", "_keys", "_lines")

    def __init__(self, own: "ReadyAccount", carried: dict[ItemKey, Decimal] | None) -> None:
        ids = [attachment.id for attachment in in_order_of_start(own.context.attachments)]
        self._instants = own.instants
        self._attachments = [(framed(each.encode()), attachment_field(each)) for each in ids]
        self._carried = carried or {}
        self._is_told = carried is not None
        self._keys: set[ItemKey] = set()
        self._lines: list[Line] = []
        self._contents: list[bytes] = []

    def add(
        self, shape: LineShape, amounts: tuple[Decimal, Decimal], contents: LineContents, reached: ReachedLine | None
    ) -> None:
        """Add a line, unless earlier bills carried it.

        Args:
            shape: the line.
            amounts: with the currency's digits, and the same before it was rounded.
            contents: of the line.
            reached: what usage makes of it; None of one that does not depend on usage.
        """
        number, (framed_id, id_field) = len(self._lines) + 1, self._attachments[shape.place]
        line = shape.line(number, framed_id, self._instants, amounts)
        key = line.key
        if key in self._keys:
            self._is_told = False  # items with one key stand together
        self._keys.add(key)
        if key in self._carried:
            if self._carried.pop(key) != line.amount:
                self._is_told = False  # a correction
        else:
            self._lines.append(line)
            self._contents.append(contents.of(number, id_field, self._instants, reached))

    def bill(self, exchange: BillExchange) -> NewBill | None:
        """Return the bill; None where only `make_bills` can tell."""
        if not self._is_told or any(self._carried.values()):
            return None  # what is due no more is taken back
        return NewBill(exchange, tuple(self._lines), tuple(self._contents))


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
