"""R4.2, R4.4: bill periods and days, in a time zone."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo


def local_date(instant: datetime, zone: str) -> date:
    return instant.astimezone(ZoneInfo(zone)).date()


def start_of_day(day: date, zone: str) -> datetime:
    """R4.2: midnight; one that a clock change skips is the instant of the change."""
    instant = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    while local_date(instant - timedelta(minutes=1), zone) >= day:
        instant -= timedelta(minutes=1)
    return instant


def days(start: datetime, end: datetime, zone: str) -> Fraction:
    """R4.4: the days of [start, end)."""
    return Fraction((local_date(end, zone) - local_date(start, zone)).days)


@dataclass(frozen=True)
class Grid:
    """R4.2: periods of so many days, weeks, months or years, counted from an epoch, both ways without end."""

    frequency: str
    interval: int
    epoch: date | None
    zone: str

    def first_day(self, number: int) -> date:
        """The day on which a period begins; number 0 begins at the epoch."""
        epoch = self.epoch or (date(1969, 12, 29) if self.frequency == "WEEKLY" else date(1970, 1, 1))
        steps = number * self.interval
        match self.frequency:
            case "DAILY":
                return epoch + timedelta(days=steps)
            case "WEEKLY":
                return epoch + timedelta(days=7 * steps)
            case "MONTHLY":
                return add_months(epoch, steps)
            case "ANNUALLY":
                return add_months(epoch, 12 * steps)
        raise ValueError(self.frequency)

    def start(self, number: int) -> datetime:
        return start_of_day(self.first_day(number), self.zone)

    def period(self, number: int) -> tuple[datetime, datetime]:
        return self.start(number), self.start(number + 1)

    def number_at(self, instant: datetime) -> int:
        """Which period holds an instant: a guess by the mean length, then one step after the other."""
        mean_days = {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 30, "ANNUALLY": 365}[self.frequency] * self.interval
        number = (local_date(instant, self.zone) - self.first_day(0)).days // mean_days
        while self.start(number) > instant:
            number -= 1
        while self.start(number + 1) <= instant:
            number += 1
        return number

    def numbers(self, start: datetime, end: datetime) -> list[int]:
        """All periods that share an instant with [start, end)."""
        found = []
        number = self.number_at(start)
        while self.start(number) < end:
            if self.start(number) < self.start(number + 1):  # a day that a zone skipped altogether is no period
                found.append(number)
            number += 1
        return found


def add_months(day: date, count: int) -> date:
    """R4.2: the same day of another month, clamped to that month's end."""
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    for last in (31, 30, 29):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    return date(year, month + 1, min(day.day, 28))
