"""Line items are stored as they are, whether their amounts have few digits or many."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import asyncpg

from ratel.store.bill_line import TABLE, LineRow, write_lines

CREATE_BILLS = """
    WITH made AS (
        INSERT INTO accounts (id, name, create_time, update_time)
        SELECT 'account_' || number, '', now(), now() FROM generate_series(1, 3) AS number
        RETURNING account_no
    )
    INSERT INTO bills (account_no, frequency, invoice_date, status, digest, total_currencies, total_amounts,
        target_currency, currency, rate_currencies, rates, catalog_revision, etag, create_time, update_time)
    SELECT account_no, 'MONTHLY', day, 'PENDING', '00000000-0000-0000-0000-000000000000', '{}', '{}', '', '', '{}',
        '{}', 1, 1, now(), now()
    FROM made CROSS JOIN unnest($1::date[]) AS day
    RETURNING account_no
"""
DAYS = (date(1999, 12, 31), date(2000, 1, 1), date(2024, 7, 1), date(9999, 12, 31))
LIMITS = ("0", "0.00", "-0.05", "9" * 18, "-" + "9" * 17, "0." + "9" * 16, "0." + "9" * 17, "9" * 19, "1E+3", "0E-30")


def number(random: Random) -> Decimal:
    """Return a decimal that may have any number of digits."""
    if random.random() < 0.2:
        return Decimal(random.choice(LIMITS))
    return Decimal(random.randint(-(10 ** random.randint(1, 40)), 10**18)).scaleb(-random.randint(0, 50))


def row(random: Random, account_no: int, day: date, line_number: int) -> LineRow:
    return LineRow(
        account_no=account_no,
        invoice_date=day,
        line_number=line_number,
        item_key=random.randbytes(16),
        amount=number(random),
        exact_amount=number(random),
        content=random.randbytes(random.choice((0, 1, 127, 500))),
        frequency="MONTHLY",
        kind=random.choice(("USAGE", "STANDING_CHARGE")),
        source_id=random.choice(("", "pläne", "plan")),
        pricing_id=random.choice(("", "price")),
        service_end=datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=random.randint(-(10**15), 10**15)),
        currency=random.choice(("USD", "JPY")),
    )


async def test_rows_are_stored_as_they_are(fresh_database_url: str) -> None:
    random = Random(7)
    connection = await asyncpg.connect(fresh_database_url)
    account_nos = {each["account_no"] for each in await connection.fetch(CREATE_BILLS, list(DAYS))}
    rows = [
        row(random, account_no, day, line_number)
        for account_no in sorted(account_nos)
        for day in DAYS
        for line_number in range(1, 100)
    ]
    await write_lines(connection, rows)
    found = await connection.fetch(
        f"SELECT {', '.join(LineRow._fields)} FROM {TABLE} ORDER BY account_no, invoice_date, line_number"
    )
    stored = [LineRow(**{**each, "item_key": each["item_key"].bytes}) for each in found]
    assert stored == rows
    plain = [each for each in zip(stored, rows, strict=True) if "E" not in str(each[1].amount)]
    assert [str(each.amount).lstrip("-") for each, _ in plain] == [str(each.amount).lstrip("-") for _, each in plain], (
        "with their digits"
    )
    await connection.close()


async def test_nothing_is_stored_of_nothing(fresh_database_url: str) -> None:
    connection = await asyncpg.connect(fresh_database_url)
    await write_lines(connection, [])
    assert await connection.fetchval(f"SELECT count(*) FROM {TABLE}") == 0
    await connection.close()
