"""Bills as they are to be stored, with the contents of their lines."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from ratel.core.billing import BillKey, Line, MadeBill
from ratel.core.currency import BillExchange
from ratel.core.segment import digest_of
from ratel.rating.v1 import line_item_pb2
from ratel.server.convert.bill import line_to_proto
from ratel.store.bill import Spot, read_contents
from ratel.store.pool import Connection


class NewBill(NamedTuple):
    """A bill as it is to be stored, with the content of each line."""

    exchange: BillExchange
    lines: tuple[Line, ...]
    contents: tuple[bytes, ...]

    @property
    def invoice_date(self) -> date:
        """The day that it is for."""
        return self.exchange.invoice_date

    @property
    def digest(self) -> bytes:
        """16 bytes that stand for all contents."""
        return digest_of(self.contents)


async def with_contents(
    connection: Connection, account_no: int, key: BillKey, bills: Sequence[MadeBill]
) -> tuple[NewBill, ...]:
    """Return bills with the content of their lines; what is due no more looks like the line that it corrects."""
    corrected = [spot for bill in bills for line in bill.lines for spot in _corrected(account_no, line)]
    firsts = await read_contents(connection, key.frequency, corrected)
    made: list[NewBill] = []
    for bill in bills:
        messages = [line_to_proto(line, _first_of(firsts, account_no, line)) for line in bill.lines]
        contents = tuple(message.SerializeToString(deterministic=True) for message in messages)
        for line, content in zip(bill.lines, contents, strict=True):
            firsts[account_no, bill.invoice_date, line.number] = content
        made.append(NewBill(bill.exchange, bill.lines, contents))
    return tuple(made)


def _corrected(account_no: int, line: Line) -> Iterator[Spot]:
    if line.item is None and line.correction is not None:
        yield account_no, line.correction.place.invoice_date, line.correction.place.number


def _first_of(firsts: Mapping[Spot, bytes], account_no: int, line: Line) -> line_item_pb2.LineItem | None:
    return next((line_item_pb2.LineItem.FromString(firsts[spot]) for spot in _corrected(account_no, line)), None)
