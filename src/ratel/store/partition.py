"""The partitions of the events: months of UUIDv7 keys, made ahead of the time in which they are filled."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from ratel.core.instant import microseconds_from_instant
from ratel.store.lock import LOCK_PARTITIONS
from ratel.store.pool import Connection

MONTHS_AHEAD = 3
MONTHS_BEHIND = 1

# A new partition locks the whole table for a moment: rather none than a queue behind a long transaction.
SET_TIMEOUTS = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '20s'"
PARTITION_EXISTS = "SELECT to_regclass($1) IS NOT NULL"
CREATE_PARTITION = "CREATE TABLE {name} PARTITION OF events FOR VALUES FROM ({start}) TO ({end})"


async def ensure_partitions(connection: Connection, now: datetime) -> list[str]:
    """Make the partitions of this month, the one before, the three after, and at first one for all time before.

    A month whose partition cannot be made now is tried again by the next call; until then its events go to the default
    partition, and once some are there its own is never made. Nothing but speed depends on it.

    Args:
        connection: not in a transaction.
        now: the present.

    Returns:
        The names of those that were made.
    """
    made = []
    for name, start, end in _partitions(now):
        try:
            async with connection.transaction():
                await connection.execute(LOCK_PARTITIONS)
                if await connection.fetchval(PARTITION_EXISTS, name):
                    continue
                await connection.execute(SET_TIMEOUTS)
                await connection.execute(CREATE_PARTITION.format(name=name, start=start, end=end))
                made.append(name)
        except (
            asyncpg.LockNotAvailableError,
            asyncpg.QueryCanceledError,
            asyncpg.CheckViolationError,  # the default partition holds such keys
            asyncpg.InvalidObjectDefinitionError,  # another partition holds that time
        ):
            continue
    return made


def _partitions(now: datetime) -> Iterator[tuple[str, str, str]]:
    """Yield name and bounds of the partitions that there should be."""
    first = now.year * 12 + now.month - 1 - MONTHS_BEHIND
    yield "events_before", "MINVALUE", f"'{least_key_of_month(first)}'"
    for month in range(first, first + MONTHS_BEHIND + 1 + MONTHS_AHEAD):
        start, end = (f"'{least_key_of_month(each)}'" for each in (month, month + 1))
        yield f"events_{month // 12:04}_{month % 12 + 1:02}", start, end


def least_key_of_month(month: int) -> str:
    """Return the least UUIDv7 of a month; months count from year 0."""
    start = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
    milliseconds = microseconds_from_instant(start) // 1_000
    return str(UUID(int=milliseconds << 80))
