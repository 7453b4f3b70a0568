"""RunBilling: the bills of a month, against plain SQL that reads the same rollups and writes the same rows by COPY."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bench.accounts import PLAN
from bench.figure import Figure, Scale, time_of
from bench.rates import load_events, month
from bench.stack import Stack
from bench.workload import GROWTH_ACCOUNTS, METER, REGIONS, SEED
from ratel.catalog.v1.plan_template_pb2 import BILL_FREQUENCY_MONTHLY
from ratel.core.event import segment_key
from ratel.rating.v1 import billing_service_pb2, billing_service_pb2_grpc
from ratel.store.pool import Connection

ACCOUNTS_PER_CALL = 10_000
ACCOUNTS_PER_CHUNK = 1_000
DAYS_WITH_USAGE = 5
LIMIT = "plain SQL that reads the same rollups and writes the same rows by COPY"

# How far before the month the first attachments begin: of one row all with the month, of the other all apart.
SPREADS = {"bill_run": timedelta(seconds=1), "bill_run_staggered": timedelta(days=90)}

CREATE_ACCOUNTS = """
    INSERT INTO accounts (id, name, create_time, update_time)
    SELECT unnest($1::text[]), 'Billed', now(), now()
"""
# By a step that shares no divisor with the seconds to choose from, so that no two are the same until all were.
ATTACH_ACCOUNTS = """
    INSERT INTO attachments (id, account_no, plan_id, product_id, start_time, create_time, update_time)
    SELECT id, account_no, $2, 'api', $3::timestamptz - account_no * 7919::bigint % $4 * interval '1 second',
        now(), now()
    FROM accounts WHERE id = ANY($1::text[])
"""
# What a fold makes of usage in the first hour, if it is before the month, and on some days of the month; of these only
# the days are read.
FILL_ROLLUPS = """
    INSERT INTO rollup_buckets (account_no, rollup_no, grain, bucket_time, segment_key, segment, event_count,
        min_event_time, max_event_time, value_count, value_sum, value_min, value_max)
    SELECT account_no, rollup_no, grain, bucket_time, key, segment, 100, first_time, first_time, 100, amount,
        amount / 200, amount / 50
    FROM accounts CROSS JOIN LATERAL (
        SELECT day, 24 AS grain, first_time AS bucket_time, first_time
        FROM generate_series(1, $2::integer) AS day
        CROSS JOIN LATERAL (SELECT $1::timestamptz + day * interval '1 day' AS first_time) AS d
        UNION ALL
        SELECT 0, 1, date_trunc('hour', start_time, 'UTC'), start_time
        FROM attachments
        WHERE account_no = accounts.account_no AND start_time < $1::timestamptz - interval '1 second'
    ) AS used
    CROSS JOIN (
        SELECT rollup_no, '00000000-0000-0000-0000-000000000000'::uuid AS key, ARRAY[]::text[] AS segment
        FROM rollups WHERE dimensions = '{}'
        UNION ALL
        SELECT rollup_no, key, ARRAY[region] FROM rollups, unnest($3::uuid[], $4::text[]) AS r (key, region)
        WHERE dimensions = '{region}'
    ) AS kept
    CROSS JOIN LATERAL (
        SELECT abs(hashtext(format('%s %s %s %s %s', $5::integer, account_no, rollup_no, day, segment))) % 100000 / 7
            AS amount
    ) AS drawn
    WHERE id = ANY($6::text[])
"""
READ_ROLLUPS = """
    SELECT account_no, rollup_no, segment, sum(event_count), sum(value_sum), max(value_max)
    FROM rollup_buckets
    WHERE account_no = ANY($1::integer[]) AND grain = 24 AND bucket_time >= $2 AND bucket_time < $3
    GROUP BY account_no, rollup_no, segment
"""
TABLES = ("bills", "bill_line_items")
CREATE_COPY = "CREATE TABLE IF NOT EXISTS {table}_copied (LIKE {table} INCLUDING ALL)"
TRUNCATE_COPY = "TRUNCATE {table}_copied"
READ_WRITTEN = "SELECT * FROM {table} WHERE account_no = ANY($1::integer[])"


async def measure_bills(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure runs over accounts that have no bill yet, each run over others."""
    return [await _measure(stack, scale, name) for name in SPREADS if not wanted or name in wanted]


async def _measure(stack: Stack, scale: Scale, name: str) -> Figure:
    start, end = month()
    if name == "bill_run_staggered":  # events of others in the hours in which the accounts began
        await load_events(stack.connection, GROWTH_ACCOUNTS[1], scale.growth_events[1], (start - SPREADS[name], start))
    account_ids = [f"{name}-{number:07}" for number in range(scale.billed_accounts * (scale.runs + 1))]
    await _fill(stack.connection, account_ids, start, SPREADS[name])
    samples, limits = [], []
    for run in range(scale.runs + 1):
        own = account_ids[run * scale.billed_accounts : (run + 1) * scale.billed_accounts]
        sample = len(own) / await time_of(_bill(stack, own, end))
        limit = len(own) / await _plain_seconds(stack.connection, own, (start, end))
        if run:  # the first run only warms up
            samples.append(sample)
            limits.append(limit)
    return Figure(name, "accounts/s", LIMIT, samples, limits)


async def _fill(connection: Connection, account_ids: Sequence[str], start: datetime, spread: timedelta) -> None:
    """Make accounts on the plan since the month's start or before, with usage on some of its days."""
    assert METER == "calls"
    await connection.execute(CREATE_ACCOUNTS, account_ids)
    await connection.execute(ATTACH_ACCOUNTS, account_ids, PLAN, start, spread // timedelta(seconds=1))
    keys = [segment_key([region]).hex() for region in REGIONS]
    await connection.execute(FILL_ROLLUPS, start, DAYS_WITH_USAGE, keys, list(REGIONS), SEED, account_ids)
    await connection.execute("ANALYZE")


async def _bill(stack: Stack, account_ids: Sequence[str], end: datetime) -> None:
    stub = billing_service_pb2_grpc.BillingServiceStub(stack.channel)
    for first in range(0, len(account_ids), ACCOUNTS_PER_CALL):
        request = billing_service_pb2.RunBillingRequest(
            account_ids=account_ids[first : first + ACCOUNTS_PER_CALL],
            bill_frequency=BILL_FREQUENCY_MONTHLY,
            invoice_date=end.date().isoformat(),
        )
        async for response in stub.RunBilling(request):
            if not all(each.bill.totals for each in response.billed_accounts):
                raise AssertionError(f"a bill was not made: {response}")


async def _plain_seconds(
    connection: Connection, account_ids: Sequence[str], period: tuple[datetime, datetime]
) -> float:
    """Return how long plain SQL takes; the rows that it writes are read before."""
    rows = await connection.fetch("SELECT account_no FROM accounts WHERE id = ANY($1::text[])", account_ids)
    numbers = sorted(row["account_no"] for row in rows)
    chunks = [numbers[first : first + ACCOUNTS_PER_CHUNK] for first in range(0, len(numbers), ACCOUNTS_PER_CHUNK)]
    for table in TABLES:
        await connection.execute(CREATE_COPY.format(table=table))
        await connection.execute(TRUNCATE_COPY.format(table=table))
    written = [
        [list(map(tuple, await connection.fetch(READ_WRITTEN.format(table=table), chunk))) for table in TABLES]
        for chunk in chunks
    ]

    async def work() -> None:
        for chunk, rows_of_tables in zip(chunks, written, strict=True):
            await connection.fetch(READ_ROLLUPS, chunk, *period)
            async with connection.transaction():
                for table, own in zip(TABLES, rows_of_tables, strict=True):
                    await connection.copy_records_to_table(f"{table}_copied", records=own)

    return await time_of(work())
