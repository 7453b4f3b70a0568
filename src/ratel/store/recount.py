"""The proof of the rollups: computed again from the events, and compared with what is stored.

It sees one moment, under the fold lock, so it may run while usage comes in. It reads every event, and asks nothing of
how the rollups came to be but which batches they hold.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asyncpg.pgproto import pgproto

from ratel.core.event import Events, Partial, segment_key
from ratel.core.instant import instant_from_microseconds, microseconds_from_instant
from ratel.core.meter import RollupDefinition
from ratel.core.money import ZERO
from ratel.core.rollup import Bucket, ByAccount, Definitions, Rollup, add_hours, buckets_of, fold
from ratel.store.definition import read_definitions
from ratel.store.lock import LOCK_FOLD_SESSION, UNLOCK_FOLD_SESSION
from ratel.store.pool import Connection
from ratel.store.revision import move_usage
from ratel.store.rollup import create_stages, upsert
from ratel.store.usage import ROWS_PER_FETCH, events_from_rows

# Buckets compared at once, which are in memory twice.
BUCKETS_PER_STEP = 200_000

BUCKETS_BY_ACCOUNT = "SELECT account_no, count(*) FROM rollup_buckets GROUP BY account_no ORDER BY account_no"
# Of days in which events may be gone, buckets are all that is left.
COUNTED_FROM = "SELECT date_trunc('day', dropped_until, 'UTC') + interval '1 day' FROM event_retention"
PENDING_IDS = "SELECT batch_id FROM pending_batches"
INCOMPLETE = """
    SELECT rollup_no, backfill_batch_id, backfill_excluded, backfilled_batch_id
    FROM rollups WHERE backfilled_batch_id < backfill_batch_id
"""
EVENTS_OF_ACCOUNTS = """
    SELECT batch_id, event_key, event_time, account_no, meter_no, measure, measures, strings, event_id
    FROM events WHERE account_no > $1 AND account_no <= $2 AND event_time >= $3
"""
BUCKETS_OF_ACCOUNTS = """
    SELECT account_no, rollup_no, grain, bucket_time, segment, event_count, min_event_time, max_event_time, value_count,
        value_sum, value_min, value_max, latest_time, latest_id, latest_value, value_moment
    FROM rollup_buckets WHERE account_no > $1 AND account_no <= $2 AND bucket_time >= $3
"""
VALUES_OF_ACCOUNTS = """
    SELECT account_no, rollup_no, grain, bucket_time, segment, array_agg(value_key) AS keys
    FROM rollup_values WHERE account_no > $1 AND account_no <= $2 AND bucket_time >= $3
    GROUP BY account_no, rollup_no, grain, bucket_time, segment
"""
DELETE_BUCKET = """
    DELETE FROM rollup_buckets
    WHERE account_no = $1 AND rollup_no = $2 AND grain = $3 AND bucket_time = $4 AND segment_key = $5
"""
DELETE_VALUES = """
    DELETE FROM rollup_values
    WHERE account_no = $1 AND rollup_no = $2 AND grain = $3 AND bucket_time = $4 AND segment_key = $5
"""

_ACCOUNT_NO_MIN = -(2**31)
_ACCOUNT_NO_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Difference:
    """A bucket that is not what its events come to.

    Attributes:
        rollup: its definition.
        hours: 1 or 24.
        stored: None if there is no such bucket.
        counted: None if there are no such events.
    """

    account_no: int
    rollup: RollupDefinition
    hours: int
    start_time: datetime
    segment: tuple[str, ...]
    stored: Partial | None
    counted: Partial | None


async def recount(connection: Connection, *, repairs: bool = False) -> list[Difference]:
    """Compare every bucket with its events, and return those that differ; nothing else is looked at.

    Days of which events may be gone are left as they are.

    Folds wait meanwhile; usage and rating do not.

    Args:
        connection: not in a transaction.
        repairs: whether to replace what differs by what was counted.
    """
    async with _undisturbed(connection):
        definitions = await read_definitions(connection)
        holding = await _read_holding(connection, definitions)
        by_number = {rollup.rollup_no: rollup for rollup in definitions.rollups}
        found: dict[Bucket, tuple[Partial | None, Partial | None]] = {}
        since = await connection.fetchval(COUNTED_FROM) or datetime.min.replace(tzinfo=UTC)
        for first, last in _steps(await connection.fetch(BUCKETS_BY_ACCOUNT)):
            counted = await _count(connection, holding, (first, last, since))
            stored = await _read_stored(connection, by_number.keys(), (first, last, since))
            for bucket in stored.keys() | counted.keys():
                pair = stored.get(bucket), counted.get(bucket)
                if _all_of(pair[0]) != _all_of(pair[1]):
                    found[bucket] = pair
        if repairs and found:
            await _repair(connection, {bucket: counted for bucket, (_, counted) in found.items()})
            await move_usage(connection)
    return [_difference(bucket, by_number[bucket.rollup_no], *found[bucket]) for bucket in sorted(found)]


@asynccontextmanager
async def _undisturbed(connection: Connection) -> AsyncIterator[None]:
    """Hold the fold lock around a snapshot: taken inside, the snapshot could be older than the last fold."""
    await create_stages(connection)
    await connection.execute(LOCK_FOLD_SESSION)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            yield
    finally:
        await connection.execute(UNLOCK_FOLD_SESSION)


# --- Which batches a rollup holds -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Holding:
    """Rollups that hold the same batches: all that are not pending, but for those that a backfill has yet to read."""

    by_meter: Mapping[int, Sequence[Rollup]]
    pending: Collection[int]
    backfill: tuple[int, int, frozenset[int]] | None = None

    def holds(self, batch_id: int) -> bool:
        if batch_id in self.pending:
            return False
        if self.backfill is None:
            return True
        done, last, excluded = self.backfill
        return not done < batch_id <= last or batch_id in excluded


async def _read_holding(connection: Connection, definitions: Definitions) -> list[_Holding]:
    pending = frozenset(row["batch_id"] for row in await connection.fetch(PENDING_IDS))
    incomplete = {row["rollup_no"]: row for row in await connection.fetch(INCOMPLETE)}
    holding = []
    complete: dict[int, list[Rollup]] = {}
    for rollup in definitions.rollups:
        row = incomplete.get(rollup.rollup_no)
        if row is None:
            complete.setdefault(rollup.layout.meter_no, []).append(rollup)
        else:
            backfill = (row["backfilled_batch_id"], row["backfill_batch_id"], frozenset(row["backfill_excluded"]))
            holding.append(_Holding({rollup.layout.meter_no: [rollup]}, pending, backfill))
    return [_Holding(complete, pending), *holding]


# --- Counting ---------------------------------------------------------------------------------------------------------


def _steps(rows: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Yield ranges of account numbers, the first exclusive, that hold not too many buckets and are all there are."""
    first, count = _ACCOUNT_NO_MIN, 0
    for row in rows:
        if count and count + row["count"] > BUCKETS_PER_STEP:
            yield first, row["account_no"] - 1
            first, count = row["account_no"] - 1, 0
        count += row["count"]
    yield first, _ACCOUNT_NO_MAX


async def _count(
    connection: Connection, holding: Sequence[_Holding], some: tuple[int, int, datetime]
) -> dict[Bucket, Partial]:
    total: ByAccount = {}
    cursor = await connection.cursor(EVENTS_OF_ACCOUNTS, *some)
    while rows := await cursor.fetch(ROWS_PER_FETCH):
        for each in holding:
            held = [row for row in rows if each.holds(row["batch_id"])]
            if held:
                events: Events = events_from_rows(held)
                add_hours(total, fold(events, each.by_meter))
    return buckets_of(total)


async def _read_stored(
    connection: Connection, rollup_nos: Collection[int], some: tuple[int, int, datetime]
) -> dict[Bucket, Partial]:
    """Return the stored buckets; what a deleted rollup left behind is no difference."""
    stored = {}
    for row in await connection.fetch(BUCKETS_OF_ACCOUNTS, *some):
        if row["rollup_no"] in rollup_nos:
            stored[_bucket_from_row(row)] = Partial(
                event_count=row["event_count"],
                value_count=row["value_count"],
                value_sum=row["value_sum"],
                value_min=row["value_min"],
                value_max=row["value_max"],
                latest_time=row["latest_time"],
                latest_id=row["latest_id"] or "",
                latest_value=row["latest_value"],
                value_moment=row["value_moment"] or ZERO,
                min_event_time=row["min_event_time"],
                max_event_time=row["max_event_time"],
            )
    for row in await connection.fetch(VALUES_OF_ACCOUNTS, *some):
        if row["rollup_no"] in rollup_nos:
            values = frozenset(key.bytes for key in row["keys"])
            stored.setdefault(_bucket_from_row(row), Partial()).values = values
    return stored


def _bucket_from_row(row: Any) -> Bucket:
    start = microseconds_from_instant(row["bucket_time"])
    return Bucket(row["account_no"], row["rollup_no"], row["grain"], start, tuple(row["segment"]))


def _all_of(partial: Partial | None) -> object:
    return partial and (partial, partial.min_event_time, partial.max_event_time)


async def _repair(connection: Connection, counted: Mapping[Bucket, Partial | None]) -> None:
    keys = [
        (*bucket[:3], instant_from_microseconds(bucket.start), pgproto.UUID(segment_key(bucket.segment)))
        for bucket in counted
    ]
    await connection.executemany(DELETE_BUCKET, keys)
    await connection.executemany(DELETE_VALUES, keys)
    await upsert(connection, {bucket: partial for bucket, partial in counted.items() if partial is not None})


def _difference(bucket: Bucket, rollup: Rollup, stored: Partial | None, counted: Partial | None) -> Difference:
    start_time = instant_from_microseconds(bucket.start)
    return Difference(bucket.account_no, rollup.definition, bucket.grain, start_time, bucket.segment, stored, counted)
