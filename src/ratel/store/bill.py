"""Bills and their line items: read by account and frequency, written whole, and only if nobody else wrote meanwhile.

A bill is computed from a snapshot and stored later. What it depends on of the account's other bills is their `Version`:
a write holds the account and compares it, so that of two runs at once one writes and the other looks again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from asyncpg.pgproto import pgproto

from ratel.core.bill import LineItemKind
from ratel.core.billing import BillInRow, BillKey, BillStatus, Line
from ratel.core.currency import BillExchange, Exchange
from ratel.core.errors import EtagMismatch, ResourceNotFound
from ratel.core.period import Frequency
from ratel.store.bill_copy import BillWrite, copy_bills, write_lines
from ratel.store.pool import Connection
from ratel.store.resource import Row

SELECT_OF_ACCOUNTS = """
    SELECT bills.*, id AS account_id FROM bills JOIN accounts USING (account_no)
    WHERE account_no = ANY($1::integer[]) AND frequency = $2
"""
SELECT_LINES_OF_ACCOUNTS = """
    SELECT account_no, invoice_date, line_number, item_key, kind, source_id, pricing_id, service_end, currency, amount,
        exact_amount
    FROM bill_line_items
    WHERE account_no = ANY($1::integer[]) AND frequency = $2 AND invoice_date < $3
"""
SELECT_CONTENTS = """
    SELECT account_no, invoice_date, line_number, content
    FROM unnest($2::integer[], $3::date[], $4::integer[]) AS wanted (account_no, invoice_date, line_number)
    JOIN bill_line_items USING (account_no, invoice_date, line_number)
    WHERE frequency = $1
"""
SELECT_ONE = """
    SELECT bills.*, id AS account_id FROM bills JOIN accounts USING (account_no)
    WHERE account_no = $1 AND frequency = $2 AND invoice_date = $3
"""
SELECT_CONTENTS_OF_ONE = """
    SELECT content FROM bill_line_items WHERE account_no = $1 AND frequency = $2 AND invoice_date = $3
    ORDER BY line_number
"""
PAGE = """
    SELECT bills.*, id AS account_id FROM accounts JOIN bills USING (account_no)
    WHERE ($1 = '' OR id = $1) AND ($2 = '' OR frequency = $2) AND ($3::date IS NULL OR invoice_date = $3)
        AND ($4 = '' OR status = $4) AND id >= $5 AND (id, frequency, invoice_date) > ($5, $6, $7::date)
    ORDER BY id, frequency, invoice_date
    LIMIT $8
"""
LOCK_ACCOUNTS = """
    SELECT account_no FROM accounts WHERE account_no = ANY($1::integer[]) ORDER BY account_no FOR NO KEY UPDATE
"""
SELECT_VERSIONS = """
    SELECT account_no, count(*) AS bill_count, max(etag) AS etag FROM bills
    WHERE account_no = ANY($1::integer[]) AND frequency = $2
    GROUP BY account_no
"""
SELECT_ETAGS = "SELECT array_agg(nextval('etags')) FROM generate_series(1, $1)"
UPSERT = """
    INSERT INTO bills (account_no, frequency, invoice_date, status, digest, total_currencies, total_amounts,
        target_currency, currency, rate_currencies, rates, catalog_revision, etag, create_time, update_time)
    VALUES ($1, $2, $3, 'PENDING', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
    ON CONFLICT (account_no, frequency, invoice_date) DO UPDATE SET status = 'PENDING', is_stale = false,
        digest = excluded.digest, total_currencies = excluded.total_currencies, total_amounts = excluded.total_amounts,
        target_currency = excluded.target_currency, currency = excluded.currency,
        rate_currencies = excluded.rate_currencies, rates = excluded.rates,
        catalog_revision = excluded.catalog_revision, etag = excluded.etag, update_time = excluded.update_time
"""
DELETE_LINES = "DELETE FROM bill_line_items WHERE account_no = $1 AND frequency = $2 AND invoice_date = $3"
UPDATE_STALE = """
    UPDATE bills SET is_stale = true, etag = nextval('etags'), update_time = $4
    WHERE account_no = $1 AND frequency = $2 AND invoice_date > $3 AND status = 'PENDING' AND NOT is_stale
"""
UPDATE_STATUS = """
    UPDATE bills SET status = $4, etag = nextval('etags'), update_time = $5
    WHERE account_no = $1 AND frequency = $2 AND invoice_date = $3
"""
DELETE = "DELETE FROM bills WHERE account_no = $1 AND frequency = $2 AND invoice_date = $3"
SELECT_BILLED_UNTIL = """
    SELECT service_end FROM bill_line_items JOIN bills USING (account_no, frequency, invoice_date)
    WHERE pricing_id = $1 AND pricing_id <> '' AND status <> 'PENDING'
    ORDER BY service_end DESC LIMIT 1
"""
# Who approves a bill waits for whoever writes the catalog, and is waited for: no pricing changes in between.
LOCK_CATALOG = "SELECT revision FROM catalog_revisions FOR SHARE"

Version: TypeAlias = tuple[int, int]
"""How many bills an account has of a frequency, and their greatest etag: any change of them changes it."""

NO_BILLS: Final[Version] = (0, 0)


class StoredBill(NamedTuple):
    """A bill as stored, without its lines."""

    account_id: str
    account_no: int
    key: BillKey
    status: BillStatus
    is_stale: bool
    digest: bytes
    totals: tuple[tuple[str, Decimal], ...]
    exchange: BillExchange
    catalog_revision: int
    etag: str
    create_time: datetime
    update_time: datetime


@dataclass(slots=True)
class History:
    """The stored bills of an account and frequency in one snapshot, and the lines of those before an invoice date."""

    bills: dict[date, StoredBill] = field(default_factory=dict)
    lines: dict[date, list[Line]] = field(default_factory=dict)

    @property
    def version(self) -> Version:
        """See there."""
        return len(self.bills), max((int(bill.etag) for bill in self.bills.values()), default=0)

    @property
    def row(self) -> tuple[BillInRow, ...]:
        """The same as the core takes it."""
        return tuple(
            BillInRow(day, bill.status, bill.is_stale, tuple(self.lines.get(day, ())), bill.exchange)
            for day, bill in sorted(self.bills.items())
        )


# --- Reading ----------------------------------------------------------------------------------------------------------


async def read_histories(connection: Connection, account_nos: Sequence[int], key: BillKey) -> Mapping[int, History]:
    """Return the bills of a frequency of some accounts, with the lines of those before an invoice date."""
    found = {account_no: History() for account_no in account_nos}
    for row in await connection.fetch(SELECT_OF_ACCOUNTS, account_nos, key.frequency.value):
        found[row["account_no"]].bills[row["invoice_date"]] = _bill_from_row(row)
    with_bills = [account_no for account_no, history in found.items() if history.bills]
    if with_bills:
        arguments = with_bills, key.frequency.value, key.invoice_date
        for row in await connection.fetch(SELECT_LINES_OF_ACCOUNTS, *arguments):
            found[row["account_no"]].lines.setdefault(row["invoice_date"], []).append(_line_from_row(row))
    for history in found.values():
        for lines in history.lines.values():
            lines.sort(key=lambda line: line.number)
    return found


Spot: TypeAlias = tuple[int, date, int]
"""An account's number, the invoice date of one of its bills, and a line's number there."""


async def read_contents(connection: Connection, frequency: Frequency, spots: Iterable[Spot]) -> dict[Spot, bytes]:
    """Return the content of some lines."""
    wanted = sorted(set(spots))
    if not wanted:
        return {}
    columns = (list(column) for column in zip(*wanted, strict=True))
    rows = await connection.fetch(SELECT_CONTENTS, frequency.value, *columns)
    return {(row["account_no"], row["invoice_date"], row["line_number"]): row["content"] for row in rows}


async def get_bill(connection: Connection, account_no: int, key: BillKey) -> StoredBill:
    """Return a bill.

    Raises:
        ResourceNotFound: there is none.
    """
    row = await connection.fetchrow(SELECT_ONE, account_no, key.frequency.value, key.invoice_date)
    if row is None:
        raise ResourceNotFound("bill", f"{key.frequency.value}/{key.invoice_date.isoformat()}")
    return _bill_from_row(row)


async def contents_of_bill(connection: Connection, bill: StoredBill) -> list[bytes]:
    """Return the contents of a bill's lines, in their order."""
    rows = await connection.fetch(SELECT_CONTENTS_OF_ONE, *_key_of(bill))
    return [row["content"] for row in rows]


@dataclass(frozen=True, slots=True)
class BillFilter:
    """Which bills to list; empty or None for all."""

    account_id: str = ""
    frequency: str = ""
    invoice_date: date | None = None
    status: str = ""


async def page_of_bills(
    connection: Connection, wanted: BillFilter, after: tuple[str, str, date], count_max: int
) -> list[StoredBill]:
    """Return bills by account id, frequency and invoice date, that come after a position."""
    filters = (wanted.account_id, wanted.frequency, wanted.invoice_date, wanted.status)
    return [_bill_from_row(row) for row in await connection.fetch(PAGE, *filters, *after, count_max)]


async def billed_until(connection: Connection, pricing_id: str) -> datetime | None:
    """Return where the last service ends that a pricing rated on an approved or locked bill; None if there is none."""
    end: datetime | None = await connection.fetchval(SELECT_BILLED_UNTIL, pricing_id)
    return end


def _bill_from_row(row: Row) -> StoredBill:
    rates = dict(zip(row["rate_currencies"], row["rates"], strict=True))
    exchange = Exchange(row["currency"], rates)
    return StoredBill(
        account_id=row["account_id"],
        account_no=row["account_no"],
        key=BillKey(Frequency(row["frequency"]), row["invoice_date"]),
        status=BillStatus(row["status"]),
        is_stale=row["is_stale"],
        digest=row["digest"].bytes,
        totals=tuple(zip(row["total_currencies"], row["total_amounts"], strict=True)),
        exchange=BillExchange(row["invoice_date"], exchange, row["target_currency"]),
        catalog_revision=row["catalog_revision"],
        etag=str(row["etag"]),
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def _line_from_row(row: Row) -> Line:
    return Line(
        number=row["line_number"],
        key=row["item_key"].bytes,
        kind=LineItemKind(row["kind"]),
        source_id=row["source_id"],
        pricing_id=row["pricing_id"],
        service_end=row["service_end"],
        currency=row["currency"],
        amount=row["amount"],
        exact_amount=row["exact_amount"],
    )


# --- Writing ----------------------------------------------------------------------------------------------------------


async def lock_versions(connection: Connection, account_nos: Sequence[int], frequency: Frequency) -> dict[int, Version]:
    """Begin a write to the bills of some accounts, and return what is stored of them now."""
    await connection.execute(LOCK_ACCOUNTS, account_nos)
    rows = await connection.fetch(SELECT_VERSIONS, account_nos, frequency.value)
    return {row["account_no"]: (row["bill_count"], row["etag"]) for row in rows}


async def write_bills(connection: Connection, writes: Sequence[BillWrite], now: datetime) -> list[str]:
    """Store bills as pending, new or in place of what was stored, and return their etags.

    Args:
        connection: in a transaction that locked the accounts.
        writes: each of another account or invoice date.
        now: what becomes the time of writing.
    """
    etags: list[int] = await connection.fetchval(SELECT_ETAGS, len(writes)) or []
    pairs = list(zip(writes, etags, strict=True))
    await copy_bills(connection, [(write, etag) for write, etag in pairs if write.is_new], now)
    others = [(*_key_of(write), *_to_row(write), etag, now) for write, etag in pairs if not write.is_new]
    if others:
        await connection.executemany(DELETE_LINES, [row[:3] for row in others])
        await connection.executemany(UPSERT, others)
    await write_lines(connection, writes)
    return [str(etag) for etag in etags]


async def mark_stale(connection: Connection, bills: Sequence[tuple[int, BillKey]], now: datetime) -> None:
    """Mark the pending bills after some as stale."""
    rows = [(account_no, key.frequency.value, key.invoice_date, now) for account_no, key in bills]
    if rows:
        await connection.executemany(UPDATE_STALE, rows)


async def set_status(connection: Connection, bill: StoredBill, status: BillStatus, now: datetime) -> None:
    """Store how far a bill has come."""
    await connection.execute(UPDATE_STATUS, *_key_of(bill), status.value, now)


async def delete_bill(connection: Connection, bill: StoredBill) -> None:
    """Delete a bill with its lines."""
    await connection.execute(DELETE_LINES, *_key_of(bill))
    await connection.execute(DELETE, *_key_of(bill))


def check_etag(bill: StoredBill, etag: str) -> None:
    """Check that a bill is still as the caller read it; an empty etag matches any.

    Raises:
        EtagMismatch: it is not.
    """
    if etag and etag != bill.etag:
        raise EtagMismatch("bill", f"{bill.account_id}/{bill.key.frequency.value}/{bill.key.invoice_date.isoformat()}")


def _key_of(bill: StoredBill | BillWrite) -> tuple[object, ...]:
    return bill.account_no, bill.key.frequency.value, bill.key.invoice_date


def _to_row(write: BillWrite) -> tuple[object, ...]:
    currencies, amounts = [each for each, _ in write.totals], [each for _, each in write.totals]
    exchange = write.exchange.exchange
    rates = list(exchange.rates), list(exchange.rates.values())
    converted = write.exchange.target_currency, exchange.currency, *rates
    return pgproto.UUID(write.digest), currencies, amounts, *converted, write.catalog_revision
