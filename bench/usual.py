"""The usual design: events as rows with text ids and JSON properties, written in small batches, summed when asked.

It stands in a schema of its own in the same Postgres, with the indexes that such tables have.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from bench.figure import time_of
from bench.workload import ACCOUNTS, METER, Event
from ratel.store.pool import Connection

EVENTS_PER_BATCH = 100
TEXT = f"events with JSON properties and unique text ids, INSERT ... ON CONFLICT in batches of {EVENTS_PER_BATCH}"
SUM_TEXT = "the sums over JSON properties of the same events"

CREATE = """
    CREATE SCHEMA IF NOT EXISTS usual;
    CREATE TABLE IF NOT EXISTS usual.events (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        transaction_id text NOT NULL,
        account_id text NOT NULL,
        code text NOT NULL,
        timestamp timestamptz NOT NULL,
        properties jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE UNIQUE INDEX IF NOT EXISTS events_transaction ON usual.events (account_id, transaction_id);
    CREATE INDEX IF NOT EXISTS events_account_time ON usual.events (account_id, code, timestamp);
    CREATE INDEX IF NOT EXISTS events_time ON usual.events (timestamp);
    CREATE INDEX IF NOT EXISTS events_created ON usual.events (created_at);
"""
INSERT = """
    INSERT INTO usual.events (transaction_id, account_id, code, timestamp, properties)
    SELECT transaction_id, account_id, $1, time, properties::jsonb
    FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[]) AS e (transaction_id, account_id, time,
        properties)
    ON CONFLICT (account_id, transaction_id) DO NOTHING
"""
# The same events as the service has of an account.
COPY_EVENTS = """
    INSERT INTO usual.events (transaction_id, account_id, code, timestamp, properties)
    SELECT event_key::text, $1, $2, event_time, jsonb_build_object('requests', measure, 'megabytes', measures[1],
        'region', strings[1], 'model', strings[2])
    FROM events WHERE account_no = $3
"""
# What the five pricings need to know.
SUM = """
    SELECT properties->>'region' AS region, sum((properties->>'requests')::numeric),
        sum((properties->>'megabytes')::numeric), max((properties->>'megabytes')::numeric), count(*)
    FROM usual.events
    WHERE account_id = $1 AND code = $2 AND timestamp >= $3 AND timestamp < $4
    GROUP BY region
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def create_usual(connection: Connection) -> None:
    """Make the table, if there is none."""
    await connection.execute(CREATE)


async def usual_rate(connection: Connection, events: Sequence[Event]) -> float:
    """Return how many events a second are written, one connection, a transaction for each batch."""
    starts = range(0, len(events), EVENTS_PER_BATCH)
    batches = [_columns(events[start : start + EVENTS_PER_BATCH]) for start in starts]

    async def insert() -> None:
        for batch in batches:
            await connection.execute(INSERT, METER, *batch)

    return len(events) / await time_of(insert())


def _columns(events: Iterable[Event]) -> list[list[object]]:
    rows = (
        (
            str(each.id),
            ACCOUNTS[each.account],
            _EPOCH + timedelta(microseconds=each.time),
            f'{{"requests": {each.requests}, "megabytes": {each.megabytes_hundredths / 100:.2f}, '
            f'"region": "{each.region}", "model": "{each.model}"}}',
        )
        for each in events
    )
    return [list(column) for column in zip(*rows, strict=True)]


async def copy_to_usual(connection: Connection, account_id: str) -> None:
    """Give the table the events that the service has of an account."""
    await create_usual(connection)
    account_no = await connection.fetchval("SELECT account_no FROM accounts WHERE id = $1", account_id)
    await connection.execute(COPY_EVENTS, account_id, METER, account_no, timeout=600)
    await connection.execute("VACUUM ANALYZE usual.events", timeout=600)


async def usual_sum(connection: Connection, account_id: str, period: tuple[datetime, datetime]) -> float:
    """Return how many seconds the sums of a month take."""
    return await time_of(connection.fetch(SUM, account_id, METER, *period, timeout=600))
