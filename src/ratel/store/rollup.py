"""Rollups in Postgres: created, folded, backfilled; in every snapshot they and the pending batches are all events.

An event is in a rollup's buckets, or in a pending batch, or (while the rollup is backfilled) in a batch that the
backfill has still to read: always in exactly one of them. Every change of buckets happens under the fold lock, in the
transaction that also moves the batch.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from asyncpg.pgproto import pgproto

from ratel.core.block_fold import fold_blocks
from ratel.core.event import Events, Partial, segment_key
from ratel.core.instant import instant_from_microseconds
from ratel.core.meter import RollupDefinition
from ratel.core.rollup import Bucket, ByAccount, Definitions, Rollup, add_hours, buckets_of, fold
from ratel.core.sums import Pause, Sums
from ratel.core.tail import BlockBatch
from ratel.store.batch import Writer
from ratel.store.bucket import BUCKET_COLUMNS as SUM_COLUMNS
from ratel.store.bucket import encode_buckets
from ratel.store.definition import read_definitions
from ratel.store.encoding import HEADER, TRAILER
from ratel.store.lock import LOCK_FOLD, LOCK_INGEST_ALONE
from ratel.store.pool import Connection, copy_in, in_turn, until_lost
from ratel.store.revision import move_usage
from ratel.store.usage import politely, read_events

# Events folded in one transaction: a second or two of work, if all must be read again.
FOLD_EVENTS_MAX = 1_000_000
BACKFILL_EVENTS = 100_000

FIND_ROLLUP = """
    SELECT rollup_no FROM rollups
    WHERE meter_no = $1 AND field = $2 AND keeps_values = $3 AND dimensions = $4::text[] AND keeps_moment = $5
"""
METER_IS_USED = "SELECT EXISTS (SELECT FROM used_meters WHERE meter_no = $1)"
LAST_BATCH = "SELECT nextval('batch_ids')"
PENDING_IDS = "SELECT batch_id FROM pending_batches ORDER BY batch_id"
INSERT_ROLLUP = """
    INSERT INTO rollups (meter_no, field, keeps_values, dimensions, keeps_moment, backfill_batch_id, backfill_excluded,
        backfilled_batch_id, complete_from)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 0, (SELECT dropped_until FROM event_retention WHERE $8))
    RETURNING rollup_no
"""

# The oldest batches that are ours, or whose owner is dead or slow, up to so many events (but at least one batch).
CLAIM_PENDING = """
    WITH claimed AS (
        DELETE FROM pending_batches WHERE batch_id IN (
            SELECT batch_id FROM (
                SELECT batch_id, sum(event_count) OVER (ORDER BY batch_id) - event_count AS before_count
                FROM pending_batches
                WHERE owner = $1 OR create_time < clock_timestamp() - interval '10 seconds'
            ) AS ripe
            WHERE before_count < $2
        )
        RETURNING batch_id, dirty
    ), counted AS (
        UPDATE usage_revisions SET revision = revision + claimed_count
        FROM (SELECT count(*) AS claimed_count FROM claimed) AS c
        WHERE claimed_count > 0
    )
    SELECT batch_id, dirty FROM claimed
"""
MEASURE_PENDING = """
    SELECT count(*) AS batch_count, coalesce(sum(event_count), 0)::bigint AS event_count,
        coalesce(extract(epoch FROM clock_timestamp() - min(create_time)), 0) AS lag_seconds
    FROM pending_batches
"""
# The range is for the block ranges, the array for what lies between.
EVENTS_OF_BATCHES = """
    SELECT event_key, event_time, account_no, meter_no, measure, measures, strings, event_id
    FROM events WHERE batch_id >= $1 AND batch_id <= $2 AND batch_id = ANY($3::bigint[])
"""

# At least the partition and the index decide where a row goes: staged in the order of the key.
CREATE_BUCKET_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS staged_buckets (LIKE rollup_buckets) ON COMMIT DELETE ROWS"
CREATE_VALUE_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS staged_values (LIKE rollup_values) ON COMMIT DELETE ROWS"
UPSERT_BUCKETS = """
    INSERT INTO rollup_buckets AS b (account_no, rollup_no, grain, bucket_time, segment_key, segment, event_count,
        min_event_time, max_event_time, value_count, value_sum, value_min, value_max, latest_time, latest_id,
        latest_value, value_moment)
    SELECT account_no, rollup_no, grain, bucket_time, segment_key, segment, event_count, min_event_time,
        max_event_time, value_count, value_sum, value_min, value_max, latest_time, latest_id, latest_value, value_moment
    FROM staged_buckets
    ON CONFLICT (account_no, rollup_no, grain, bucket_time, segment_key) DO UPDATE SET
        event_count = b.event_count + excluded.event_count,
        min_event_time = least(b.min_event_time, excluded.min_event_time),
        max_event_time = greatest(b.max_event_time, excluded.max_event_time),
        value_count = b.value_count + excluded.value_count,
        value_sum = b.value_sum + excluded.value_sum,
        value_min = least(b.value_min, excluded.value_min),
        value_max = greatest(b.value_max, excluded.value_max),
        latest_time = CASE WHEN b.latest_time IS NULL
            OR (excluded.latest_time, excluded.latest_id) > (b.latest_time, b.latest_id)
            THEN excluded.latest_time ELSE b.latest_time END,
        latest_id = CASE WHEN b.latest_time IS NULL
            OR (excluded.latest_time, excluded.latest_id) > (b.latest_time, b.latest_id)
            THEN excluded.latest_id ELSE b.latest_id END,
        latest_value = CASE WHEN b.latest_time IS NULL
            OR (excluded.latest_time, excluded.latest_id) > (b.latest_time, b.latest_id)
            THEN excluded.latest_value ELSE b.latest_value END,
        value_moment = coalesce(b.value_moment + excluded.value_moment, b.value_moment, excluded.value_moment)
"""
CLEAR_STAGE = "DELETE FROM staged_buckets"
INSERT_VALUES = """
    INSERT INTO rollup_values (account_no, rollup_no, grain, bucket_time, segment_key, value_key, segment)
    SELECT account_no, rollup_no, grain, bucket_time, segment_key, value_key, segment FROM staged_values
    ON CONFLICT DO NOTHING
"""
BUCKET_COLUMNS = (
    "account_no",
    "rollup_no",
    "grain",
    "bucket_time",
    "segment_key",
    "segment",
    "event_count",
    "min_event_time",
    "max_event_time",
    "value_count",
    "value_sum",
    "value_min",
    "value_max",
    "latest_time",
    "latest_id",
    "latest_value",
    "value_moment",
)
VALUE_COLUMNS = ("account_no", "rollup_no", "grain", "bucket_time", "segment_key", "value_key", "segment")

NEXT_BACKFILL = """
    SELECT rollup_no, meter_no, backfill_batch_id, backfill_excluded, backfilled_batch_id
    FROM rollups WHERE backfilled_batch_id < backfill_batch_id
    ORDER BY rollup_no LIMIT 1
"""
EVENTS_TO_BACKFILL = """
    SELECT event_key, event_time, account_no, meter_no, measure, measures, strings, event_id
    FROM events WHERE batch_id > $1 AND batch_id <= $2 AND meter_no = $3 AND batch_id <> ALL($4::bigint[])
"""
ADVANCE_BACKFILL = "UPDATE rollups SET backfilled_batch_id = $2 WHERE rollup_no = $1"


# --- Creating ---------------------------------------------------------------------------------------------------------


async def ensure_rollup(connection: Connection, meter_no: int, definition: RollupDefinition) -> int:
    """Return the number of the rollup of this definition; make it, to be backfilled, if there is none.

    Inside a READ COMMITTED transaction that has moved the catalog's revision, and best at its end: if the rollup is
    made, folds wait until the transaction ends, and so does ingest.

    Args:
        connection: in that transaction.
        meter_no: the meter's number.
        definition: its field and dimensions are fields of the meter.
    """
    columns = (
        *(meter_no, definition.field, definition.keeps_values),
        *(list(definition.dimensions), definition.keeps_moment),
    )
    found = await connection.fetchval(FIND_ROLLUP, *columns)
    if found is not None:
        return int(found)
    # Alone, what is pending and the last batch tell exactly what the backfill must read: every fold and every batch
    # from here on knows the rollup.
    await connection.execute(LOCK_FOLD)
    await connection.execute(LOCK_INGEST_ALONE)
    last, pending = 0, []
    is_used = await connection.fetchval(METER_IS_USED, meter_no)
    if is_used:
        last = await connection.fetchval(LAST_BATCH)
        pending = [row["batch_id"] for row in await connection.fetch(PENDING_IDS)]
    return int(await connection.fetchval(INSERT_ROLLUP, *columns, last, pending, is_used))


# --- Folding ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Folded:
    """What a fold did.

    Attributes:
        batch_count: batches folded.
        recovered_count: how many of them were folded from their events.
        definitions: those that it folded by.
    """

    batch_count: int
    recovered_count: int
    definitions: Definitions | None


@dataclass(frozen=True, slots=True)
class Pending:
    """What is not in the rollups yet."""

    batch_count: int
    event_count: int
    lag_seconds: int


async def read_pending(connection: Connection) -> Pending:
    """Measure what is pending, of all processes."""
    (row,) = await connection.fetch(MEASURE_PENDING)
    return Pending(row["batch_count"], row["event_count"], int(row["lag_seconds"]))


async def create_stages(connection: Connection) -> None:
    """Prepare a connection for folding and backfilling."""
    await connection.execute(CREATE_BUCKET_STAGE)
    await connection.execute(CREATE_VALUE_STAGE)


async def fold_pending(connection: Connection, writer: Writer, known: Definitions | None) -> Folded:
    """Move the oldest pending batches of this process, and of those that are dead or slow, into the rollups.

    Which batches these are is for the database to say, whatever the tail holds: that is only where they are folded from
    if it knows them, untouched and by all of the present rollups.

    Args:
        connection: after `create_stages`, not in a transaction.
        writer: of this process.
        known: definitions read before, which save reading them.
    """
    async with connection.transaction():
        await connection.execute(LOCK_FOLD)
        claimed = await connection.fetch(CLAIM_PENDING, writer.owner, FOLD_EVENTS_MAX)
        if not claimed:
            return Folded(0, 0, known)
        definitions = await read_definitions(connection, known)
        total: ByAccount = {}
        blocks, unknown = [], []
        for row in claimed:
            batch = writer.tail.get(row["batch_id"])
            if batch is None or row["dirty"] or not batch.knows(definitions.rollup_nos):
                unknown.append(row["batch_id"])
            elif isinstance(batch, BlockBatch):
                blocks.append(batch.block)
            else:
                add_hours(total, batch.by_account)
                await asyncio.sleep(0)  # others want to work too
        pause = writer.precedence.give_way
        sums, rest = await asyncio.to_thread(fold_blocks, blocks, definitions.by_meter, pause)
        add_hours(total, rest)
        if unknown:
            query = read_events(connection, EVENTS_OF_BATCHES, min(unknown), max(unknown), unknown)
            await _fold_events(query, definitions.by_meter, total)
        await _upsert_sums(connection, sums, pause)
        if total:
            await connection.execute(CLEAR_STAGE)
            await upsert(connection, buckets_of(total))
    writer.tail.retire(row["batch_id"] for row in claimed)
    return Folded(len(claimed), len(unknown), definitions)


async def _upsert_sums(connection: Connection, sums: Sequence[Sums], pause: Pause) -> None:
    """Add sums to the stored buckets; in a transaction that holds the fold lock."""
    if not sums:
        return
    encoded = await asyncio.to_thread(encode_buckets, sums, pause)

    await copy_in(connection, "staged_buckets", SUM_COLUMNS, in_turn(HEADER, encoded, TRAILER))
    await connection.execute(UPSERT_BUCKETS)


async def _fold_events(query: AsyncIterator[Events], rollups: Mapping[int, Sequence[Rollup]], total: ByAccount) -> int:
    """Add events to a total, and return how many there were."""
    count = 0
    async for events in query:
        count += len(events)
        add_hours(total, fold(events, rollups))
    return count


async def upsert(connection: Connection, buckets: Mapping[Bucket, Partial]) -> None:
    """Add partials to the stored buckets; in a transaction that holds the fold lock."""
    keyed = sorted((bucket[:4], segment_key(bucket.segment), bucket.segment, bucket) for bucket in buckets)
    rows = (_bucket_row(bucket, key, buckets[bucket]) for _, key, _, bucket in keyed)
    copying = connection.copy_records_to_table("staged_buckets", records=politely(rows), columns=BUCKET_COLUMNS)
    await until_lost(connection, copying)
    await connection.execute(UPSERT_BUCKETS)
    if any(partial.values for partial in buckets.values()):
        values = (row for _, key, _, bucket in keyed for row in _value_rows(bucket, key, buckets[bucket]))
        copying = connection.copy_records_to_table("staged_values", records=politely(values), columns=VALUE_COLUMNS)
        await until_lost(connection, copying)
        await connection.execute(INSERT_VALUES)


def _key_row(bucket: Bucket, key: bytes) -> tuple[object, ...]:
    start = instant_from_microseconds(bucket.start)
    return (bucket.account_no, bucket.rollup_no, bucket.grain, start, pgproto.UUID(key))


def _bucket_row(bucket: Bucket, key: bytes, partial: Partial) -> tuple[object, ...]:
    return (
        *_key_row(bucket, key),
        bucket.segment,
        partial.event_count,
        partial.min_event_time,
        partial.max_event_time,
        partial.value_count,
        partial.value_sum,
        partial.value_min,
        partial.value_max,
        partial.latest_time,
        partial.latest_id or None,
        partial.latest_value,
        partial.value_moment or None,
    )


def _value_rows(bucket: Bucket, key: bytes, partial: Partial) -> Iterable[tuple[object, ...]]:
    start = _key_row(bucket, key)
    return ((*start, pgproto.UUID(value), bucket.segment) for value in sorted(partial.values))


# --- Backfilling ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class BackfillPace:
    """How many batches a step of the backfill reads: as many as make some `BACKFILL_EVENTS` of the meter."""

    batch_count: int = 8

    def adjust(self, event_count: int) -> None:
        """Learn from a step how many events it met."""
        if event_count < BACKFILL_EVENTS // 2:
            self.batch_count = min(self.batch_count * 2, 1 << 20)
        elif event_count > BACKFILL_EVENTS:
            self.batch_count = max(self.batch_count // 2, 1)


async def backfill(connection: Connection, pace: BackfillPace, known: Definitions | None) -> bool:
    """Take one step of the oldest backfill that is not complete; tell whether there was one.

    Any number of processes may do so, and may be killed at any time.

    Args:
        connection: after `create_stages`, not in a transaction.
        pace: kept from step to step.
        known: definitions read before, which save reading them.
    """
    async with connection.transaction():
        await connection.execute(LOCK_FOLD)
        row = await connection.fetchrow(NEXT_BACKFILL)
        if row is None:
            return False
        definitions = await read_definitions(connection, known)
        rollup_no, start = row["rollup_no"], row["backfilled_batch_id"]
        end = min(start + pace.batch_count, row["backfill_batch_id"])
        wanted = [rollup for rollup in definitions.rollups if rollup.rollup_no == rollup_no]
        parameters = (start, end, row["meter_no"], row["backfill_excluded"])
        query = read_events(connection, EVENTS_TO_BACKFILL, *parameters)
        total: ByAccount = {}
        pace.adjust(await _fold_events(query, {row["meter_no"]: wanted}, total))
        await upsert(connection, buckets_of(total))
        await connection.execute(ADVANCE_BACKFILL, rollup_no, end)
        await move_usage(connection)
    return True
