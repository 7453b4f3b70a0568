"""Bills and line items are stored as they are, whether their amounts have few digits or many."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import asyncpg

from ratel.core.bill import LineItemKind
from ratel.core.billing import BillKey, BillStatus, Line
from ratel.core.currency import BillExchange, Exchange
from ratel.core.period import Frequency
from ratel.store.bill_copy import BILL_COLUMNS, BILLS, LINES, BillWrite, copy_bills, write_lines

CREATE_ACCOUNTS = """
    INSERT INTO accounts (id, name, create_time, update_time)
    SELECT 'account_' || number, '', now(), now() FROM generate_series(1, 20) AS number
    RETURNING account_no
"""
DAYS = (date(1999, 12, 31), date(2000, 1, 1), date(2024, 7, 1), date(9999, 12, 31))
LIMITS = ("0", "0.00", "-0.05", "9" * 18, "-" + "9" * 17, "0." + "9" * 16, "0." + "9" * 17, "9" * 19, "1E+3", "0E-30")
NOW = datetime(2024, 7, 1, 12, 30, 0, 1, tzinfo=UTC)


def number(random: Random) -> Decimal:
    """Return a decimal that may have any number of digits."""
    if random.random() < 0.2:
        return Decimal(random.choice(LIMITS))
    return Decimal(random.randint(-(10 ** random.randint(1, 40)), 10**18)).scaleb(-random.randint(0, 50))


def line(random: Random, number_on_bill: int) -> Line:
    return Line(
        number=number_on_bill,
        key=random.randbytes(16),
        kind=random.choice((LineItemKind.USAGE, LineItemKind.STANDING_CHARGE)),
        source_id=random.choice(("", "pläne", "plan")),
        pricing_id=random.choice(("", "price")),
        service_end=datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=random.randint(-(10**15), 10**15)),
        currency=random.choice(("USD", "JPY")),
        amount=number(random),
        exact_amount=number(random),
    )


def write(random: Random, account_no: int, day: date, line_count: int) -> BillWrite:
    currencies = random.choice((["USD"], ["EUR"], ["EUR", "USD"], []))
    rates = random.choice(({}, {}, {"USD": Decimal("1.25"), "GBP": number(random)}))
    return BillWrite(
        account_no=account_no,
        key=BillKey(random.choice((Frequency.MONTHLY, Frequency.DAILY)), day),
        digest=random.randbytes(16),
        totals=tuple((each, number(random)) for each in currencies),
        exchange=BillExchange(day, Exchange(random.choice(("", "USD")), rates), random.choice(("", "USD"))),
        catalog_revision=random.randint(1, 2**40),
        lines=[line(random, place + 1) for place in range(line_count)],
        contents=[random.randbytes(random.choice((0, 1, 127, 500))) for _ in range(line_count)],
        is_new=True,
    )


async def some_writes(connection: "asyncpg.Connection[asyncpg.Record]", line_count: int) -> list[BillWrite]:
    random = Random(7)
    numbers = [each["account_no"] for each in await connection.fetch(CREATE_ACCOUNTS)]
    return [write(random, account_no, day, line_count) for account_no in sorted(numbers) for day in DAYS]


async def test_bills_are_stored_as_they_are(fresh_database_url: str) -> None:
    connection = await asyncpg.connect(fresh_database_url)
    writes = await some_writes(connection, 0)
    await copy_bills(connection, [(each, 2**40 + place) for place, each in enumerate(writes)], NOW)
    found = await connection.fetch("SELECT * FROM bills ORDER BY account_no, invoice_date")
    stored = [{name: each[name] for name in BILL_COLUMNS} for each in found]
    assert stored == [shown(each, 2**40 + place) for place, each in enumerate(writes)]
    assert {each["is_stale"] for each in found} == {False}
    assert {each.exchange.exchange.currency for each in writes if is_plain(each)} == {"", "USD"}
    await connection.close()


def is_plain(write: BillWrite) -> bool:
    """Tell whether a bill is one of those that are encoded by column, if its total has few digits."""
    return len(write.totals) == 1 and not write.exchange.exchange.rates


def shown(write: BillWrite, etag: int) -> dict[str, object]:
    """Return a bill as asyncpg reads it."""
    exchange = write.exchange.exchange
    return {
        "account_no": write.account_no,
        "etag": etag,
        "digest": UUID(bytes=write.digest),
        "total_amounts": [each for _, each in write.totals],
        "frequency": write.key.frequency,
        "invoice_date": write.key.invoice_date,
        "total_currencies": [each for each, _ in write.totals],
        "target_currency": write.exchange.target_currency,
        "currency": exchange.currency,
        "rate_currencies": list(exchange.rates),
        "rates": list(exchange.rates.values()),
        "catalog_revision": write.catalog_revision,
        "create_time": NOW,
        "update_time": NOW,
        "status": BillStatus.PENDING,
    }


async def test_line_items_are_stored_as_they_are(fresh_database_url: str) -> None:
    connection = await asyncpg.connect(fresh_database_url)
    writes = await some_writes(connection, 20)
    await write_lines(connection, writes)
    found = await connection.fetch("SELECT * FROM bill_line_items ORDER BY account_no, invoice_date, line_number")
    stored = [
        (
            each["account_no"],
            BillKey(Frequency(each["frequency"]), each["invoice_date"]),
            line_of(each),
            each["content"],
        )
        for each in found
    ]
    rows = [
        (each.account_no, each.key, own, content)
        for each in writes
        for own, content in zip(each.lines, each.contents, strict=True)
    ]
    assert stored == rows
    plain = [(one[2].amount, other[2].amount) for one, other in zip(stored, rows, strict=True)]
    plain = [(one, other) for one, other in plain if "E" not in str(other)]
    assert [str(one).lstrip("-") for one, _ in plain] == [str(other).lstrip("-") for _, other in plain], (
        "with their digits"
    )
    await connection.close()


def key_of(row: asyncpg.Record) -> BillKey:
    return BillKey(Frequency(row["frequency"]), row["invoice_date"])


def line_of(row: asyncpg.Record) -> Line:
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


async def test_nothing_is_stored_of_nothing(fresh_database_url: str) -> None:
    connection = await asyncpg.connect(fresh_database_url)
    await copy_bills(connection, [], NOW)
    await write_lines(connection, [])
    for table in (BILLS, LINES):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    await connection.close()
