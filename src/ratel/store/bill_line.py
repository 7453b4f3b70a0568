"""Line items of bills as rows: written by binary COPY, encoded by column.

asyncpg takes three times as long, most of it for decimals and instants; it still writes the few rows whose amounts have
very many digits.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from asyncpg.pgproto import pgproto

from ratel.core.block import SCALE_MAX
from ratel.core.instant import microseconds_from_instant
from ratel.store.encoding import HEADER, POSTGRES_EPOCH, TRAILER, Part, number_parts, rows_of, sized
from ratel.store.pool import Connection, until_lost

TABLE: Final = "bill_line_items"


class LineRow(NamedTuple):
    """A row; those columns stand last that have the same values in many rows.

    Attributes:
        item_key: 16 bytes.
    """

    account_no: int
    invoice_date: date
    line_number: int
    item_key: bytes
    amount: Decimal
    exact_amount: Decimal
    content: bytes
    frequency: str
    kind: str
    source_id: str
    pricing_id: str
    service_end: datetime
    currency: str


_Digits: TypeAlias = tuple[int, int, int, int]
"""An amount as an integer, how many of its digits are after the point, and the same of the exact amount."""

_LENGTH_MAX: Final = SCALE_MAX + 2
_POSTGRES_EPOCH_DAY: Final = date(2000, 1, 1).toordinal()
_INFINITY: Final = 2**31 - 1
_INSTANT: Final = Struct("!iq")
_KEY: Final = LineRow._fields.index("item_key")
_SHARED: Final = LineRow._fields.index("frequency")


async def write_lines(connection: Connection, rows: Sequence[LineRow]) -> None:
    """Store line items of bills."""
    short: list[LineRow] = []
    digits: list[_Digits] = []
    long: list[tuple[object, ...]] = []
    for row in rows:
        amount, exact_amount = _digits_of(row.amount), _digits_of(row.exact_amount)
        if amount is None or exact_amount is None:
            long.append((*row[:_KEY], pgproto.UUID(row.item_key), *row[_KEY + 1 :]))
        else:
            short.append(row)
            digits.append((*amount, *exact_amount))
    if short:
        encoded = encode_lines(short, digits)

        async def source() -> AsyncIterator[bytes]:
            yield encoded

        copying = connection.copy_to_table(TABLE, source=source(), columns=LineRow._fields, format="binary")
        await until_lost(connection, copying)
    if long:
        copying = connection.copy_records_to_table(TABLE, records=long, columns=LineRow._fields)
        await until_lost(connection, copying)


def _digits_of(value: Decimal) -> tuple[int, int] | None:
    """Return a decimal as an integer and how many of its digits are after the point; None if they may be too many."""
    text = str(value)
    if len(text) > _LENGTH_MAX or "E" in text:
        return None
    whole, _, fraction = text.partition(".")
    return int(whole + fraction), len(fraction)


def encode_lines(lines: Sequence[LineRow], digits: Sequence[_Digits]) -> bytes:
    """Return rows whose amounts have few digits, which stand beside."""
    account_nos, days, numbers, keys, _, _, contents, *_ = zip(*lines, strict=True)
    halves = np.frombuffer(b"".join(keys), ">u8").reshape(-1, 2)
    amounts, scales, exact_amounts, exact_scales = np.array(digits, np.int64).T
    parts = [
        *(Part(">i2", len(LineRow._fields)), Part(">i4", 4), Part(">i4", np.array(account_nos))),
        *(Part(">i4", 4), Part(">i4", np.array([*map(_postgres_day, days)]))),
        *(Part(">i4", 4), Part(">i4", np.array(numbers))),
        *(Part(">i4", 16), Part(">u8", halves[:, 0]), Part(">u8", halves[:, 1])),
        *number_parts(amounts, scales.astype(np.int8)),
        *number_parts(exact_amounts, exact_scales.astype(np.int8)),
    ]
    columns = rows_of(parts, len(lines)), map(sized, contents), [_encode_shared(line[_SHARED:]) for line in lines]
    return HEADER + b"".join(chain.from_iterable(zip(*columns, strict=True))) + TRAILER


def _postgres_day(day: date) -> int:
    """Return a day as Postgres counts; the last one is infinity, as asyncpg has it."""
    return _INFINITY if day == date.max else day.toordinal() - _POSTGRES_EPOCH_DAY


@lru_cache(4_096)
def _encode_shared(values: tuple[str, str, str, str, datetime, str]) -> bytes:
    """Return the last columns of a row."""
    *texts, service_end, currency = values
    before = b"".join([sized(str(each).encode()) for each in texts])
    instant = _INSTANT.pack(8, microseconds_from_instant(service_end) - POSTGRES_EPOCH)
    return before + instant + sized(currency.encode())
