"""Periods in rows: ``start_time`` and ``end_time``, the end null if there is none."""

from datetime import UTC

from ratel.core.period import Period
from ratel.store.resource import Row


def period_from_row(row: Row) -> Period:
    """Return the period of a row.

    asyncpg takes the first and the last instant of the calendar for Postgres' infinities, which sort the same; it gives
    them back without a time zone.
    """
    start, end = row["start_time"], row["end_time"]
    return Period(start.replace(tzinfo=UTC), None if end is None else end.replace(tzinfo=UTC))
