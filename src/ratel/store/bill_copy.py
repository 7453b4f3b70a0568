"""New bills and line items of bills as rows: written by binary COPY, encoded by column.

asyncpg takes three times as long, most of it for decimals, instants and arrays; it still writes the few rows whose
amounts have very many digits, and bills with several totals or with rates.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from asyncpg.pgproto import pgproto

from ratel.core.bill import LineItemKind
from ratel.core.billing import BillKey, BillStatus, Line
from ratel.core.block import SCALE_MAX, Numbers
from ratel.core.currency import BillExchange
from ratel.core.instant import microseconds_from_instant
from ratel.core.period import Frequency
from ratel.store.encoding import (
    HEADER,
    NO_NUMBERS,
    NO_TEXTS,
    POSTGRES_EPOCH,
    TRAILER,
    Part,
    Parts,
    number_array_parts,
    number_parts,
    rows_of,
    sized,
    text_array,
)
from ratel.store.pool import Connection, copy_in, in_turn, until_lost

BILLS: Final = "bills"
LINES: Final = "bill_line_items"


class BillWrite(NamedTuple):
    """A bill to be stored.

    Attributes:
        contents: of each of its lines.
        is_new: whether nothing is stored of its account, frequency and invoice date, so that nothing need be replaced.
    """

    account_no: int
    key: BillKey
    digest: bytes
    totals: tuple[tuple[str, Decimal], ...]
    exchange: BillExchange
    catalog_revision: int
    lines: Sequence[Line]
    contents: Sequence[bytes]
    is_new: bool = False


_Digits: TypeAlias = tuple[int, int]
"""A decimal as an integer, and how many of its digits are after the point."""

_LENGTH_MAX: Final = SCALE_MAX + 2
_POSTGRES_EPOCH_DAY: Final = date(2000, 1, 1).toordinal()
_INFINITY: Final = 2**31 - 1
_DAY: Final = Struct("!ii")
_INTEGER: Final = Struct("!iq")


def _digits_of(value: Decimal) -> _Digits | None:
    """Return the digits of a decimal; None if they may be too many."""
    text = str(value)
    if len(text) > _LENGTH_MAX or "E" in text:
        return None
    whole, _, fraction = text.partition(".")
    return int(whole + fraction), len(fraction)


def _numbers(digits: Sequence[_Digits]) -> Numbers:
    values, scales = np.array(digits, np.int64).T
    return Numbers(values, scales.astype(np.int8))


def _key_parts(keys: Sequence[bytes]) -> Parts:
    """Return the parts of 16 bytes each."""
    halves = np.frombuffer(b"".join(keys), ">u8").reshape(-1, 2)
    return [Part(">i4", 16), Part(">u8", halves[:, 0]), Part(">u8", halves[:, 1])]


def _integer_parts(values: Sequence[int]) -> Parts:
    return [Part(">i4", 4), Part(">i4", np.array(values))]


def _day(day: date) -> bytes:
    """Return a day as Postgres counts; the last one is infinity, as asyncpg has it."""
    return _DAY.pack(4, _INFINITY if day == date.max else day.toordinal() - _POSTGRES_EPOCH_DAY)


def _instant(instant: datetime) -> bytes:
    return _INTEGER.pack(8, microseconds_from_instant(instant) - POSTGRES_EPOCH)


def _texts(*texts: str) -> bytes:
    return b"".join([sized(str(each).encode()) for each in texts])


# --- Bills ------------------------------------------------------------------------------------------------------------

BILL_COLUMNS: Final = (
    *("account_no", "etag", "digest", "total_amounts"),
    *("frequency", "invoice_date", "total_currencies", "target_currency", "currency", "rate_currencies", "rates"),
    *("catalog_revision", "create_time", "update_time", "status"),
)
"""Those columns stand last that have the same values in many rows."""


async def copy_bills(connection: Connection, writes: Sequence[tuple[BillWrite, int]], now: datetime) -> None:
    """Store bills of which nothing is stored, as pending.

    Args:
        connection: in a transaction that locked the accounts.
        writes: each with its etag.
        now: when they are made.
    """
    short: list[tuple[BillWrite, int]] = []
    totals: list[_Digits] = []
    long: list[tuple[object, ...]] = []
    for write, etag in writes:
        is_plain = len(write.totals) == 1 and not write.exchange.exchange.rates
        digits = _digits_of(write.totals[0][1]) if is_plain else None
        if digits is None:
            long.append(_bill_row(write, etag, now))
        else:
            short.append((write, etag))
            totals.append(digits)
    if short:
        await copy_in(connection, BILLS, BILL_COLUMNS, in_turn(encode_bills(short, totals, now)))
    if long:
        await until_lost(connection, connection.copy_records_to_table(BILLS, records=long, columns=BILL_COLUMNS))


def encode_bills(writes: Sequence[tuple[BillWrite, int]], totals: Sequence[_Digits], now: datetime) -> bytes:
    """Return rows of `BILL_COLUMNS`, of bills with etags, a single total each, which stands beside, and no rates."""
    parts = [
        *(Part(">i2", len(BILL_COLUMNS)), *_integer_parts([write.account_no for write, _ in writes])),
        *(Part(">i4", 8), Part(">i8", np.array([etag for _, etag in writes]))),
        *_key_parts([write.digest for write, _ in writes]),
        *number_array_parts([_numbers(totals)]),
    ]
    shared = [
        _encode_bill(
            (write.key.frequency, write.key.invoice_date, write.catalog_revision, now),
            (write.totals[0][0], write.exchange.target_currency, write.exchange.exchange.currency),
        )
        for write, _ in writes
    ]
    return HEADER + b"".join(chain.from_iterable(zip(rows_of(parts, len(writes)), shared, strict=True))) + TRAILER


@lru_cache(100)
def _encode_bill(made: tuple[Frequency, date, int, datetime], currencies: tuple[str, str, str]) -> bytes:
    """Return the last columns of a row: currencies are those of the total, of what was asked for, and of the bill."""
    frequency, day, revision, now = made
    total, *converted = currencies
    exchange = text_array([total]) + _texts(*converted) + NO_TEXTS + NO_NUMBERS
    times = _INTEGER.pack(8, revision) + 2 * _instant(now)
    return _texts(frequency) + _day(day) + exchange + times + _texts(BillStatus.PENDING)


def _bill_row(write: BillWrite, etag: int, now: datetime) -> tuple[object, ...]:
    exchange = write.exchange.exchange
    return (
        *(write.account_no, etag, pgproto.UUID(write.digest), [each for _, each in write.totals]),
        *(write.key.frequency.value, write.key.invoice_date, [each for each, _ in write.totals]),
        *(write.exchange.target_currency, exchange.currency, list(exchange.rates), list(exchange.rates.values())),
        *(write.catalog_revision, now, now, BillStatus.PENDING.value),
    )


# --- Line items -------------------------------------------------------------------------------------------------------

LINE_COLUMNS: Final = (
    *("account_no", "line_number", "item_key", "amount", "exact_amount", "content"),
    *("frequency", "invoice_date", "kind", "source_id", "pricing_id", "service_end", "currency"),
)
"""Those columns stand last that have the same values in many rows."""

_Written: TypeAlias = tuple[int, bytes, Line, bytes]
"""The number of an account, the columns that say which bill it is, a line, and its content."""


async def write_lines(connection: Connection, writes: Sequence[BillWrite]) -> None:
    """Store the line items of bills."""
    short: list[_Written] = []
    amounts: list[_Digits] = []
    exact_amounts: list[_Digits] = []
    long: list[tuple[object, ...]] = []
    for write in writes:
        bill = _encode_key(write.key.frequency, write.key.invoice_date)
        for line, content in zip(write.lines, write.contents, strict=True):
            amount, exact_amount = _digits_of(line.amount), _digits_of(line.exact_amount)
            if amount is None or exact_amount is None:
                long.append(_line_row(write, line, content))
            else:
                short.append((write.account_no, bill, line, content))
                amounts.append(amount)
                exact_amounts.append(exact_amount)
    if short:
        await copy_in(
            connection, LINES, LINE_COLUMNS, in_turn(encode_lines(short, _numbers(amounts), _numbers(exact_amounts)))
        )
    if long:
        await until_lost(connection, connection.copy_records_to_table(LINES, records=long, columns=LINE_COLUMNS))


def encode_lines(written: Sequence[_Written], amounts: Numbers, exact_amounts: Numbers) -> bytes:
    """Return rows of `LINE_COLUMNS`, of lines whose amounts have few digits, which stand beside."""
    account_nos, bills, lines, contents = zip(*written, strict=True)
    parts = [
        *(Part(">i2", len(LINE_COLUMNS)), *_integer_parts(account_nos)),
        *_integer_parts([line.number for line in lines]),
        *_key_parts([line.key for line in lines]),
        *number_parts(amounts.values, amounts.scales),
        *number_parts(exact_amounts.values, exact_amounts.scales),
    ]
    shared = [
        _encode_item(line.kind, line.source_id, line.pricing_id, line.service_end, line.currency) for line in lines
    ]
    columns = rows_of(parts, len(lines)), map(sized, contents), bills, shared
    return HEADER + b"".join(chain.from_iterable(zip(*columns, strict=True))) + TRAILER


@lru_cache(100)
def _encode_key(frequency: Frequency, day: date) -> bytes:
    """Return the columns of a row that say which bill it is, but for the account."""
    return _texts(frequency) + _day(day)


@lru_cache(4_096)
def _encode_item(kind: LineItemKind, source_id: str, pricing_id: str, service_end: datetime, currency: str) -> bytes:
    """Return the last columns of a row."""
    return _texts(kind, source_id, pricing_id) + _instant(service_end) + _texts(currency)


def _line_row(write: BillWrite, line: Line, content: bytes) -> tuple[object, ...]:
    return (
        *(write.account_no, line.number, pgproto.UUID(line.key), line.amount, line.exact_amount, content),
        *(write.key.frequency.value, write.key.invoice_date, line.kind.value, line.source_id, line.pricing_id),
        *(line.service_end, line.currency),
    )
