"""Instants as integers: microseconds since 1970-01-01 UTC, for columns of many; everywhere else they are datetimes."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

MICROSECONDS_PER_SECOND: Final = 1_000_000
HOUR: Final = 3_600 * MICROSECONDS_PER_SECOND
DAY: Final = 24 * HOUR

_SECONDS_PER_DAY: Final = 86_400


def microseconds_from_instant(instant: datetime) -> int:
    """Return the microseconds since 1970; negative before."""
    past = instant - EPOCH
    return (past.days * _SECONDS_PER_DAY + past.seconds) * MICROSECONDS_PER_SECOND + past.microseconds


def instant_from_microseconds(microseconds: int) -> datetime:
    """Return the aware datetime in UTC.

    Raises:
        OverflowError: outside the years 1 to 9999.
    """
    return EPOCH + timedelta(microseconds=microseconds)


MICROSECONDS_MIN: Final = microseconds_from_instant(datetime.min.replace(tzinfo=UTC))
"""The first instant of year 1."""

MICROSECONDS_MAX: Final = microseconds_from_instant(datetime.max.replace(tzinfo=UTC))
"""The last microsecond of year 9999."""
