"""Local days, periods and the calendar grid (R4.2, R4.4), against the calendar and against `zoneinfo`."""

from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core import money
from ratel.core.errors import DateInvalid, Invalid, PeriodInvalid, ZoneUnknown
from ratel.core.period import (
    Frequency,
    Grid,
    Period,
    check_zone,
    date_from_text,
    days,
    local_date,
    start_of_day,
    union,
)
from tests.core.table import rows

LAW = settings(max_examples=60, deadline=None)
ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Pacific/Apia", "Africa/Cairo", "America/Havana", "Asia/Kolkata"]


def instant(text: str) -> datetime:
    """Read ``YYYY-MM-DD[ HH:MM[:SS]]`` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


# --- Days -------------------------------------------------------------------------------------------------------------

DAYS = """
    day        | zone                 | start            | why
    2024-07-01 | UTC                  | 2024-07-01 00:00 |
    2024-07-01 | America/New_York     | 2024-07-01 04:00 | summer time
    2024-01-01 | America/New_York     | 2024-01-01 05:00 | winter time
    2024-03-10 | America/New_York     | 2024-03-10 05:00 | the clock changes later that day
    2024-03-11 | America/New_York     | 2024-03-11 04:00 |
    2024-07-01 | Asia/Kolkata         | 2024-06-30 18:30 | half an hour
    2024-04-26 | Africa/Cairo         | 2024-04-25 22:00 | midnight skipped: 00:00 is 01:00, the instant of the change
    2024-10-31 | Africa/Cairo         | 2024-10-30 21:00 |
    2024-11-01 | Africa/Cairo         | 2024-10-31 22:00 | clock set back from midnight to 23:00: midnight comes once
    2024-11-03 | America/Havana       | 2024-11-03 04:00 | midnight comes twice: the first counts
    2024-03-10 | America/Havana       | 2024-03-10 05:00 | midnight skipped
    2018-11-04 | America/Sao_Paulo    | 2018-11-04 03:00 | midnight skipped
    1919-03-31 | America/Toronto      | 1919-03-31 04:30 | 23:30 became 00:30: midnight skipped within a longer gap
    2000-10-29 | America/St_Johns     | 2000-10-29 02:30 | 00:01 became 23:01: the first midnight counts
    2011-12-29 | Pacific/Apia         | 2011-12-29 10:00 | the last day east of the date line
    2011-12-30 | Pacific/Apia         | 2011-12-30 10:00 | a whole day skipped: no length
    2011-12-31 | Pacific/Apia         | 2011-12-30 10:00 | the first day west of it
    0001-01-01 | UTC                  | 1-01-01 00:00    | the first instant there is
    9999-12-31 | Asia/Tokyo           | 9999-12-30 15:00 | the last day there is
"""


@pytest.mark.parametrize(("day", "zone", "start", "why"), rows(DAYS))
def test_day_starts_at_its_first_instant(day: str, zone: str, start: str, why: str) -> None:
    assert written(start_of_day(date.fromisoformat(day), zone)) == start


def tzdata_zone(name: str) -> ZoneInfo:
    """Open the same rules with another reader."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, name)


TWINS = {name: tzdata_zone(name) for name in ZONES}
modern = st.dates(date(1971, 1, 1), date(2037, 12, 30))
instants = st.integers(0, 66 * 365 * 86_400 * 10**6).map(
    lambda microseconds: datetime(1971, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@settings(max_examples=25, deadline=None)
@given(modern, st.sampled_from(ZONES))
def test_start_of_day_is_the_first_minute_that_shows_the_day(day: date, zone: str) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    minutes = (noon + timedelta(minutes=minute) for minute in range(-60 * 30, 60 * 30))
    first = next(minute for minute in minutes if minute.astimezone(TWINS[zone]).date() >= day)
    assert start_of_day(day, zone) == first


@LAW
@given(instants, st.sampled_from(ZONES))
def test_local_date_agrees_with_another_reader(moment: datetime, zone: str) -> None:
    assert local_date(moment, zone) == moment.astimezone(TWINS[zone]).date()


COUNTED = """
    start               | end                 | zone             | days | why
    2024-03-09 05:00:00 | 2024-04-01 04:00:00 | America/New_York | 23   | case 75: across the clock change
    2024-03-01 05:00:00 | 2024-04-01 04:00:00 | America/New_York | 31   | case 75: the whole month
    2024-01-17 10:00:00 | 2024-01-20 09:00:00 | UTC              | 3    | case 76: local dates, not 71 hours
    2024-01-17 10:00:00 | 2024-01-17 23:00:00 | UTC              | 0    | within a day
    2024-01-17 23:59:59 | 2024-01-18 00:00:00 | UTC              | 1    | over midnight
    2024-01-17 12:00:00 | 2024-01-18 12:00:00 | Pacific/Apia     | 1    |
    2011-12-29 12:00:00 | 2011-12-30 12:00:00 | Pacific/Apia     | 2    | the day that was skipped counts
"""


@pytest.mark.parametrize(("start", "end", "zone", "counted", "why"), rows(COUNTED))
def test_days_are_local_dates(start: str, end: str, zone: str, counted: str, why: str) -> None:
    assert days(instant(start), instant(end), zone) == int(counted)


def test_standing_charge_of_case_75() -> None:
    """31 a month x 23 days / 31 days = 23.00."""
    share = money.divide(31 * money.ONE * 23, money.ONE * 31)
    assert str(money.round_amount(share, "USD")) == "23.00"


@LAW
@given(instants, instants, instants, st.sampled_from(ZONES))
def test_days_of_the_parts_add_up(first: datetime, second: datetime, third: datetime, zone: str) -> None:
    start, cut, end = sorted([first, second, third])
    assert days(start, cut, zone) + days(cut, end, zone) == days(start, end, zone)


@pytest.mark.parametrize(
    "zone",
    ["", "Berlin", "europe/berlin", "utc", "../etc/passwd", "/etc/localtime", "localtime", "Europe/Berlin\0", "é"],
)
def test_other_zones_are_refused(zone: str) -> None:
    with pytest.raises(ZoneUnknown):
        check_zone(zone)


def test_unknown_zone_is_named_wherever_it_is_used() -> None:
    with pytest.raises(ZoneUnknown):
        local_date(instant("2024-01-01"), "No/Where")
    with pytest.raises(ZoneUnknown):
        start_of_day(date(2024, 1, 1), "No/Where")


def test_known_zones_are_accepted() -> None:
    for zone in ZONES:
        check_zone(zone)


def test_date_is_read_strictly() -> None:
    assert date_from_text("2024-02-29") == date(2024, 2, 29)
    for text in ("2023-02-29", "2024-2-29", "20240229", "2024-W09-4", "0000-01-01", "2024-02-29 ", "", "２024-02-29"):
        with pytest.raises(DateInvalid):
            date_from_text(text)


# --- Periods ----------------------------------------------------------------------------------------------------------


def period(text: str) -> Period:
    """Read ``start end``, days of January 2024; ``-`` is no end."""
    start, end = text.split()
    return Period(
        datetime(2024, 1, int(start), tzinfo=UTC), None if end == "-" else datetime(2024, 1, int(end), tzinfo=UTC)
    )


SHARED = """
    one  | other | shared
    1 5  | 3 9   | 3 5
    1 9  | 3 5   | 3 5
    1 5  | 5 9   | none
    1 5  | 6 9   | none
    1 -  | 3 5   | 3 5
    4 -  | 3 5   | 4 5
    5 -  | 3 5   | none
    1 -  | 3 -   | 3 -
    1 5  | 1 5   | 1 5
"""


@pytest.mark.parametrize(("one", "other", "shared"), rows(SHARED))
def test_what_two_periods_share(one: str, other: str, shared: str) -> None:
    expected = None if shared == "none" else period(shared)
    for left, right in [(one, other), (other, one)]:
        assert period(left).intersect(period(right)) == expected
        assert period(left).overlaps(period(right)) is (expected is not None)


def test_period_is_half_open() -> None:
    january = period("1 31")
    assert january.contains(january.start)
    assert january.end is not None
    assert not january.contains(january.end)
    assert january.contains(january.end - timedelta(microseconds=1))
    assert not january.contains(january.start - timedelta(microseconds=1))
    assert period("1 -").contains(datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize("text", ["5 5", "5 4"])
def test_empty_period_is_refused(text: str) -> None:
    with pytest.raises(PeriodInvalid) as caught:
        period(text)
    assert caught.value.violations[0].field == "end_time"


def test_instants_are_aware_and_in_utc() -> None:
    elsewhere = datetime(2024, 1, 1, tzinfo=TWINS["Asia/Kolkata"])
    for start, end in [(datetime(2024, 1, 1), None), (elsewhere, None), (instant("2023-01-01"), elsewhere)]:  # noqa: DTZ001
        with pytest.raises(ValueError, match="UTC"):
            Period(start, end)


# --- The grid ---------------------------------------------------------------------------------------------------------

GRID = """
    grid                     | instant          | start            | end              | why
    DAILY                    | 2024-02-29 12:00 | 2024-02-29 00:00 | 2024-03-01 00:00 |
    DAILY America/New_York   | 2024-03-10 12:00 | 2024-03-10 05:00 | 2024-03-11 04:00 | a day of 23 hours
    DAILY Africa/Cairo       | 2024-04-26 00:00 | 2024-04-25 22:00 | 2024-04-26 21:00 | midnight skipped
    DAILY Pacific/Apia       | 2011-12-30 10:00 | 2011-12-30 10:00 | 2011-12-31 10:00 | after the skipped day
    DAILY America/St_Johns   | 2000-10-29 02:45 | 2000-10-29 02:30 | 2000-10-30 03:30 | 23:16 again, in the new day
    DAILY 10                 | 1970-01-10 23:00 | 1970-01-01 00:00 | 1970-01-11 00:00 | counted from 1970-01-01
    DAILY 10                 | 1969-12-31 23:00 | 1969-12-22 00:00 | 1970-01-01 00:00 | endless both ways
    WEEKLY                   | 2024-07-04 12:00 | 2024-07-01 00:00 | 2024-07-08 00:00 | from Monday
    WEEKLY 2                 | 1970-01-01 00:00 | 1969-12-29 00:00 | 1970-01-12 00:00 | from that week's Monday
    WEEKLY 2024-07-03        | 2024-07-02 12:00 | 2024-06-26 00:00 | 2024-07-03 00:00 | an epoch shifts it
    MONTHLY                  | 2024-02-29 12:00 | 2024-02-01 00:00 | 2024-03-01 00:00 | from the 1st
    MONTHLY                  | 2024-03-01 00:00 | 2024-03-01 00:00 | 2024-04-01 00:00 | the start belongs to it
    MONTHLY America/New_York | 2024-03-01 04:59 | 2024-02-01 05:00 | 2024-03-01 05:00 | the end does not
    MONTHLY 3                | 2024-02-29 12:00 | 2024-01-01 00:00 | 2024-04-01 00:00 | quarters from January
    MONTHLY 5                | 2024-02-29 12:00 | 2023-10-01 00:00 | 2024-03-01 00:00 | 645 months after 1970
    MONTHLY 2023-01-31       | 2024-02-29 12:00 | 2024-02-29 00:00 | 2024-03-31 00:00 | case 77: back to the 31st
    MONTHLY 2023-01-31       | 2024-02-28 12:00 | 2024-01-31 00:00 | 2024-02-29 00:00 | case 77: before it
    MONTHLY 2024-07-15       | 2020-01-01 00:00 | 2019-12-15 00:00 | 2020-01-15 00:00 | before the epoch
    MONTHLY 6 2024-08-31     | 2025-03-01 00:00 | 2025-02-28 00:00 | 2025-08-31 00:00 | clamped, half a year
    ANNUALLY                 | 2024-07-01 00:00 | 2024-01-01 00:00 | 2025-01-01 00:00 | from January 1st
    ANNUALLY 2024-02-29      | 2025-07-01 00:00 | 2025-02-28 00:00 | 2026-02-28 00:00 | clamped
    ANNUALLY 2024-02-29      | 2028-02-28 12:00 | 2027-02-28 00:00 | 2028-02-29 00:00 | back to the 29th
    ANNUALLY 3               | 1969-07-01 00:00 | 1967-01-01 00:00 | 1970-01-01 00:00 | endless both ways
"""


def grid_from_text(text: str) -> Grid:
    """Read ``FREQUENCY [interval] [epoch] [zone]``."""
    frequency, *rest = text.split()
    interval = next((int(word) for word in rest if word.isdigit()), 1)
    epoch = next((date.fromisoformat(word) for word in rest if word[0].isdigit() and "-" in word), None)
    zone = next((word for word in rest if "/" in word), "UTC")
    return Grid(Frequency(frequency), interval, epoch, zone)


@pytest.mark.parametrize(("grid", "moment", "start", "end", "why"), rows(GRID))
def test_period_at_an_instant(grid: str, moment: str, start: str, end: str, why: str) -> None:
    found = grid_from_text(grid).period_at(instant(moment))
    assert found.end is not None
    assert (written(found.start), written(found.end)) == (start, end)


def test_months_are_anchored_not_chained() -> None:
    grid = Grid(Frequency.MONTHLY, 1, date(2024, 1, 31))
    starts = [f"{found.start:%m-%d}" for found in islice(grid.periods(Period(instant("2024-01-31"))), 5)]
    assert starts == ["01-31", "02-29", "03-31", "04-30", "05-31"]


def test_periods_that_overlap_one() -> None:
    grid = Grid(Frequency.MONTHLY)
    asked = Period(instant("2024-01-31 12:00"), instant("2024-03-01"))
    assert [f"{found.start:%m-%d}" for found in grid.periods(asked)] == ["01-01", "02-01"]


def test_skipped_day_is_no_period() -> None:
    grid = Grid(Frequency.DAILY, zone="Pacific/Apia")
    asked = Period(instant("2011-12-29 10:00"), instant("2012-01-01"))
    assert [written(found.start) for found in grid.periods(asked)] == [
        "2011-12-29 10:00",
        "2011-12-30 10:00",
        "2011-12-31 10:00",
    ]


def test_numbers_count_from_the_epoch() -> None:
    grid = Grid(Frequency.MONTHLY, 2, date(2024, 1, 15))
    assert grid.number_at(instant("2024-01-15")) == 0
    assert grid.number_at(instant("2024-01-14")) == -1
    assert grid.period(1) == Period(instant("2024-03-15"), instant("2024-05-15"))


@pytest.mark.parametrize("moment", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)])
@pytest.mark.parametrize("frequency", Frequency)
def test_edges_of_the_calendar_are_refused_or_held(moment: datetime, frequency: Frequency) -> None:
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        try:
            assert Grid(frequency, zone=zone).period_at(moment).contains(moment)
        except PeriodInvalid as refused:
            assert "years 1 to 9999" in str(refused)  # noqa: PT017 -- either answer is right


def test_wrong_grid_is_refused_with_every_mistake() -> None:
    for interval in (0, -1, 1_201):
        with pytest.raises(Invalid) as caught:
            Grid(Frequency.DAILY, interval, None, "No/Where")
        assert [(found.field, found.reason) for found in caught.value.violations] == [
            ("interval", "INTERVAL_RANGE"),
            ("zone", "ZONE_UNKNOWN"),
        ]


grids = st.builds(Grid, st.sampled_from(Frequency), st.integers(1, 30), st.none() | modern, st.sampled_from(ZONES))


@LAW
@given(grids, instants)
def test_grid_has_neither_gaps_nor_overlaps(grid: Grid, moment: datetime) -> None:
    found = grid.period_at(moment)
    assert found.contains(moment)
    assert found.end is not None
    after = islice(grid.periods(Period(moment)), 3)
    run = [grid.period_at(found.start - timedelta(microseconds=1)), *after]
    assert run[1] == found
    assert all(earlier.end == later.start for earlier, later in pairwise(run))


@LAW
@given(grids, st.integers(-20, 200))
def test_number_of_a_boundary_is_its_own(grid: Grid, number: int) -> None:
    boundary = grid.boundary(number)
    # Only a day that the zone skipped has no instant of its own.
    assert grid.number_at(boundary) in ({number, number + 1} if grid.boundary(number + 1) == boundary else {number})


def test_a_union_has_no_overlaps() -> None:
    def stretch(start: int, end: int) -> Period:
        return Period(datetime(2024, 6, start, tzinfo=UTC), datetime(2024, 6, end, tzinfo=UTC))

    assert union([]) == []
    assert union([stretch(10, 12), stretch(1, 5), stretch(5, 6)]) == [stretch(1, 6), stretch(10, 12)]
    assert union([stretch(1, 9), stretch(2, 4), stretch(3, 10)]) == [stretch(1, 10)]
    with pytest.raises(ValueError, match="no end"):
        union([Period(datetime(2024, 6, 1, tzinfo=UTC))])
