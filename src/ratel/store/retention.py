"""Old events are let go by the month of their ids, without touching the rollups, in three steps some minutes apart.

1. Ids of UUIDv7 from before a month are refused from now on; every process learns of it.
2. Their partitions take no more events, and it is noted until when their events reach.
3. Their partitions are dropped, and one that takes nothing stands in their place.

Between two steps all that was under way has ended: groups of events checked before, and snapshots in which the dropped
events were still there. Ids that are no UUIDv7 are kept for ever, since nothing tells how old they are.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from ratel.store.lock import LOCK_INGEST_ALONE, LOCK_PARTITIONS, TRY_LOCK_FOLD
from ratel.store.partition import least_key_of_month
from ratel.store.pool import Connection
from ratel.store.revision import move_revision, move_usage

PATIENCE: Final = timedelta(minutes=10)
"""From step to step: many times what a statement, a transaction or the wait for one may take."""

SET_TIMEOUTS = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '20s'"
# Reads the partitions once, and keeps nobody waiting.
SET_SCAN_TIMEOUT = "SET LOCAL statement_timeout = '30min'"
SELECT_RETENTION = "SELECT least_key, announce_time, freeze_time FROM event_retention"
SELECT_PARTITIONS = """
    SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'events'::regclass ORDER BY relname
"""
ANNOUNCE = "UPDATE event_retention SET least_key = $1, announce_time = $2, freeze_time = NULL"
FREEZE = "ALTER TABLE {name} ADD CONSTRAINT {name}_frozen CHECK (false) NOT VALID"
IS_FROZEN = "SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = $1)"
LAST_EVENT = "SELECT max(event_time) FROM events WHERE event_key < $1"
NOTE_FREEZE = """
    UPDATE event_retention
    SET freeze_time = $1, dropped_until = greatest(dropped_until, $2::timestamptz + interval '1 microsecond')
"""
# What a fold or a backfill may still read.
IS_NEEDED = """
    SELECT EXISTS (SELECT FROM pending_batches WHERE create_time < $1)
        OR EXISTS (SELECT FROM rollups WHERE backfilled_batch_id < backfill_batch_id)
"""
DETACH = "ALTER TABLE events DETACH PARTITION {name}"
DROP = "DROP TABLE {name}"
REPLACE = "CREATE TABLE events_dropped PARTITION OF events (CHECK (false)) FOR VALUES FROM (MINVALUE) TO ('{key}')"


async def let_go(connection: Connection, now: datetime, days: int) -> list[str]:
    """Take the next step, if its time has come and nothing stands in the way; else the next call tries again.

    Args:
        connection: not in a transaction.
        now: the present.
        days: how long events are kept, by the time of their ids; months are let go as a whole.

    Returns:
        The names of the partitions that were dropped.
    """
    (row,) = await connection.fetch(SELECT_RETENTION)
    kept = now - timedelta(days=days)
    least_key = least_key_of_month(kept.year * 12 + kept.month - 1)
    names = _older(await _partitions(connection), kept)
    try:
        if row["least_key"] is None or str(row["least_key"]) < least_key:
            if names:
                await _announce(connection, least_key, now)
        elif not names or now < (row["freeze_time"] or row["announce_time"]) + PATIENCE:
            pass
        elif row["freeze_time"] is None:
            await _freeze(connection, names, now, least_key)
        elif await _drop(connection, names, (row["freeze_time"], least_key)):
            return names
    except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError):
        pass
    return []


async def _partitions(connection: Connection) -> list[str]:
    return [row["relname"] for row in await connection.fetch(SELECT_PARTITIONS)]


def _older(partitions: Sequence[str], kept: datetime) -> list[str]:
    """Return the partitions of months before the one that is kept from, and of all time before the first month."""
    first = f"events_{kept.year:04}_{kept.month:02}"
    months = [name for name in partitions if name[len("events_") :].replace("_", "").isdigit()]
    older = [name for name in months if name < first]
    # That of all time before ends where the first month begins.
    return [
        name for name in partitions if name == "events_before" and (older or min(months, default="") == first)
    ] + older


async def _announce(connection: Connection, least_key: str, now: datetime) -> None:
    async with connection.transaction():
        await move_revision(connection)
        await connection.execute(ANNOUNCE, least_key, now)


async def _freeze(connection: Connection, names: Sequence[str], now: datetime, least_key: str) -> None:
    for name in names:
        async with connection.transaction():
            await connection.execute(SET_TIMEOUTS)
            if not await connection.fetchval(IS_FROZEN, f"{name}_frozen"):
                await connection.execute(FREEZE.format(name=name))
    async with connection.transaction():
        await connection.execute(SET_SCAN_TIMEOUT)
        last = await connection.fetchval(LAST_EVENT, least_key, timeout=1_800)
        await connection.execute(NOTE_FREEZE, now, last)
        await move_usage(connection)


async def _drop(connection: Connection, names: Sequence[str], frozen: tuple[datetime, str]) -> bool:
    freeze_time, least_key = frozen
    async with connection.transaction():
        await connection.execute(SET_TIMEOUTS)
        # A recount reads all events, and would miss these.
        if not await connection.fetchval(TRY_LOCK_FOLD) or await connection.fetchval(IS_NEEDED, freeze_time):
            return False
        await connection.execute(LOCK_INGEST_ALONE)
        await connection.execute(LOCK_PARTITIONS)
        replaced = [name for name in await _partitions(connection) if name == "events_dropped"]
        for name in (*replaced, *names):
            await connection.execute(DETACH.format(name=name))
            await connection.execute(DROP.format(name=name))
        await connection.execute(REPLACE.format(key=least_key))
    return True
