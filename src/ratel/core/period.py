"""Periods and the calendar grid that bills follow (R4.2, R4.4).

Every instant is an aware ``datetime`` in UTC; a time zone only decides where local days start. The only module that
knows a calendar library.
"""

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

import whenever

from ratel.core.errors import DateInvalid, Mistakes, PeriodInvalid, ZoneUnknown
from ratel.core.limits import PERIOD_INTERVAL_MAX

# Where a day starts decides what a bill says: the pinned tzdata package answers, never the machine's own database.
whenever.reset_tzpath(())
whenever.clear_tzcache()

_UTC_OFFSET: Final = timedelta(0)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BEYOND: Final = "must lie in the years 1 to 9999"


# --- Days in a zone ---------------------------------------------------------------------------------------------------


def check_zone(zone: str) -> None:
    """Raise `ZoneUnknown` unless the name is one of the IANA database, spelt as there: ``Europe/Berlin``, ``UTC``."""
    if zone not in _zones():
        raise ZoneUnknown("must be a time zone of the IANA database such as Europe/Berlin")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(whenever.available_timezones())


def date_from_text(text: str) -> date:
    """Read ``YYYY-MM-DD``; written back by ``date.isoformat``.

    Raises:
        DateInvalid: another shape, or no day of the calendar.
    """
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise DateInvalid("must be a day such as 2024-02-29")


@lru_cache(maxsize=4_096)  # most instants that are asked about are the same few boundaries
def local_date(instant: datetime, zone: str) -> date:
    """Return the date that clocks in the zone show at an instant.

    Raises:
        ZoneUnknown: no such zone.
        PeriodInvalid: the local date lies outside the years 1 to 9999.
    """
    try:
        return whenever.Instant(instant).to_tz(zone).date().to_stdlib()
    except whenever.TimeZoneNotFoundError:
        raise ZoneUnknown(f"{zone!r} is no time zone") from None
    except (ValueError, OverflowError):
        raise PeriodInvalid(_BEYOND) from None


@lru_cache(maxsize=4_096)  # ten years of days in one zone: the grid asks for the same few midnights again and again
def start_of_day(day: date, zone: str) -> datetime:
    """Return the first instant of a local day, in UTC.

    A midnight that occurs twice counts when it first occurs; one that a clock change skips is the instant of the
    change, also where a whole day is skipped (which then has no length).

    Raises:
        ZoneUnknown: no such zone.
        PeriodInvalid: the instant lies outside the years 1 to 9999.
    """
    midnight = whenever.PlainDateTime(day.year, day.month, day.day)
    try:
        first = midnight.assume_tz(zone, disambiguation="compatible").start_of("day")
        return first.to_instant().to_stdlib()
    except whenever.TimeZoneNotFoundError:
        raise ZoneUnknown(f"{zone!r} is no time zone") from None
    except (ValueError, OverflowError):
        raise PeriodInvalid(_BEYOND) from None


def days(start: datetime, end: datetime, zone: str) -> int:
    """Return the days of ``[start, end)`` for prorating: local date of the end less that of the start (R4.4).

    Parts of a period add up to the whole, whatever the hours they are cut at.
    """
    return (local_date(end, zone) - local_date(start, zone)).days


# --- Periods ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Period:
    """The half-open stretch ``[start, end)``, never empty; without an end it goes on for ever.

    Raises:
        PeriodInvalid: the end is not after the start.
        ValueError: an instant is not aware and in UTC.
    """

    start: datetime
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.start.utcoffset() != _UTC_OFFSET or (self.end and self.end.utcoffset() != _UTC_OFFSET):
            raise ValueError("instants are aware and in UTC")
        if self.end is not None and self.end <= self.start:
            raise PeriodInvalid("must be after the start", "end_time")

    @property
    def microseconds(self) -> int:
        """How long it is.

        Raises:
            ValueError: it has no end.
        """
        if self.end is None:
            raise ValueError("the period has no end")
        return (self.end - self.start) // timedelta.resolution

    def contains(self, instant: datetime) -> bool:
        """Tell whether the instant lies inside; the start does, the end does not."""
        return self.start <= instant and (self.end is None or instant < self.end)

    def overlaps(self, other: "Period") -> bool:
        """Tell whether the two share an instant; touching ones do not."""
        return (other.end is None or self.start < other.end) and (self.end is None or other.start < self.end)

    def intersect(self, other: "Period") -> "Period | None":
        """Return what the two share, if anything."""
        if not self.overlaps(other):
            return None
        ends = [end for end in (self.end, other.end) if end is not None]
        return Period(max(self.start, other.start), min(ends, default=None))


def union(periods: Iterable[Period]) -> list[Period]:
    """Return the same time without overlaps, by time; touching periods become one.

    Raises:
        ValueError: one has no end.
    """
    found: list[Period] = []
    for period in sorted(periods, key=lambda each: each.start):
        last = found[-1] if found else None
        if period.end is None:
            raise ValueError("the period has no end")
        if last is None or last.end is None or last.end < period.start:
            found.append(period)
        else:
            found[-1] = Period(last.start, max(last.end, period.end))
    return found


# --- The grid ---------------------------------------------------------------------------------------------------------


class Frequency(StrEnum):
    """What a grid counts: days at midnight, weeks from Monday, months from the 1st, years from January 1st."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    ANNUALLY = "ANNUALLY"


_EPOCH: Final = date(1970, 1, 1)
_EPOCH_MONDAY: Final = date(1969, 12, 29)

_DAYS: Final = {Frequency.DAILY: 1, Frequency.WEEKLY: 7}
_MONTHS: Final = {Frequency.MONTHLY: 1, Frequency.ANNUALLY: 12}


@dataclass(frozen=True, slots=True)
class Grid:
    """The bill periods of a frequency, endless both ways (R4.2); number 0 starts on the epoch.

    Every boundary is counted from the epoch, so that a month's end that was clamped comes back (31, 29, 31).

    Attributes:
        frequency: what is counted.
        interval: how many of them make one period, from 1 to 1,200.
        epoch: the local day that period 0 starts on; None is 1970-01-01, for weeks the Monday of its week.
        zone: the time zone whose days are meant.

    Raises:
        Invalid: ``interval`` out of range, ``zone`` unknown.
    """

    frequency: Frequency
    interval: int = 1
    epoch: date | None = None
    zone: str = "UTC"
    _first: date = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        if not 1 <= self.interval <= PERIOD_INTERVAL_MAX:
            mistakes.add("interval", "INTERVAL_RANGE", f"must be from 1 to {PERIOD_INTERVAL_MAX}")
        with mistakes.under("zone"):
            check_zone(self.zone)
        mistakes.check()
        default = _EPOCH_MONDAY if self.frequency is Frequency.WEEKLY else _EPOCH
        object.__setattr__(self, "_first", self.epoch or default)

    def number_at(self, instant: datetime) -> int:
        """Return the number of the period that holds the instant; negative before the epoch."""
        number = self._number(local_date(instant, self.zone))
        # A clamped month, or a clock set back over midnight, moves the boundary past the date by at most one period.
        while self.boundary(number) > instant:
            number -= 1
        while self.boundary(number + 1) <= instant:
            number += 1
        return number

    def boundary(self, number: int) -> datetime:
        """Return the instant at which period ``number`` starts and the one before it ends.

        Raises:
            PeriodInvalid: it lies outside the years 1 to 9999.
        """
        return _boundary(self, number)

    def period(self, number: int) -> Period:
        """Return period ``number``.

        Raises:
            PeriodInvalid: it reaches outside the years 1 to 9999, or is a day that the zone skipped.
        """
        return Period(self.boundary(number), self.boundary(number + 1))

    def period_at(self, instant: datetime) -> Period:
        """Return the period that holds the instant; constant time, however far from the epoch."""
        return self.period(self.number_at(instant))

    def periods(self, period: Period) -> Iterator[Period]:
        """Yield, in order, the grid's whole periods that overlap the given one; of an open one without end.

        Raises:
            PeriodInvalid: it reaches outside the years 1 to 9999.
        """
        number = self.number_at(period.start)
        start = self.boundary(number)
        while period.end is None or start < period.end:
            number += 1
            end = self.boundary(number)
            if start < end:  # a day that the zone skipped is no period
                yield Period(start, end)
            start = end

    def _number(self, day: date) -> int:
        if self.frequency in _DAYS:
            return (day - self._first).days // (_DAYS[self.frequency] * self.interval)
        months = (day.year - self._first.year) * 12 + day.month - self._first.month
        return months // (_MONTHS[self.frequency] * self.interval)

    def first_day(self, number: int) -> date:
        """Return the local day on which period ``number`` starts.

        Raises:
            PeriodInvalid: it lies outside the years 1 to 9999.
        """
        steps = number * self.interval
        try:
            if self.frequency in _DAYS:
                return self._first + timedelta(days=steps * _DAYS[self.frequency])
            return _add_months(self._first, steps * _MONTHS[self.frequency])
        except (ValueError, OverflowError):
            raise PeriodInvalid(_BEYOND) from None


@lru_cache(maxsize=4_096)  # accounts on plans of one calendar ask for the same ones
def _boundary(grid: Grid, number: int) -> datetime:
    return start_of_day(grid.first_day(number), grid.zone)


def _add_months(day: date, months: int) -> date:
    """Return the same day of the month so many months on, or that month's last day if it is shorter."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    if not 1 <= year <= 9999:
        raise ValueError(year)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
