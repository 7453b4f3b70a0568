"""Identity, columns, checks and folds of usage events (R2.1 to R2.3), without a database."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratel.core.event import Events, Partial, event_id_from_key, event_key, is_hashed, segment_key, value_key
from ratel.core.instant import DAY, HOUR, instant_from_microseconds, microseconds_from_instant
from ratel.core.layout import Layout
from ratel.core.meter import FieldKind, RollupDefinition, read_fields
from ratel.core.rollup import (
    ByAccount,
    Definitions,
    Rollup,
    Stretch,
    add_hours,
    buckets_of,
    fold,
    fold_segments,
    stretches,
)
from ratel.core.submission import Submission, check_submission, keep_meters
from ratel.core.tail import Batch, Tail

NOON = microseconds_from_instant(datetime(2024, 7, 1, 12, tzinfo=UTC))
UUID7 = "01902a5b-1d3e-7abc-8def-0123456789ab"
FIELDS = read_fields(
    [
        ("size", FieldKind.MEASURE, "", ""),
        ("region", FieldKind.STRING, "", ""),
        ("price", FieldKind.MEASURE, "", ""),
        ("cost", FieldKind.DERIVED, "", "size * price"),
        ("user", FieldKind.STRING, "", ""),
        ("square", FieldKind.DERIVED, "", "cost ^ 2"),
    ]
)
LAYOUT = Layout(7, FIELDS)


# --- Identity ---------------------------------------------------------------------------------------------------------


def test_a_canonical_uuid7_is_its_own_key() -> None:
    assert event_key(UUID7) == UUID(UUID7).bytes
    assert not is_hashed(event_key(UUID7))
    assert event_id_from_key(event_key(UUID7)) == UUID7


@pytest.mark.parametrize(
    "event_id",
    [
        UUID7.upper(),
        UUID7.replace("-", ""),
        str(uuid4()),
        UUID7.replace("-7", "-4"),
        UUID7.replace("-8", "-c"),
        "ff" + UUID7[2:],
        UUID7[:-1] + "g",
        UUID7 + "0",
        "e-1",
    ],
)
def test_any_other_id_is_hashed(event_id: str) -> None:
    key = event_key(event_id)
    assert (len(key), key[0], is_hashed(key)) == (16, 0xFF, True)


def test_keys_never_change() -> None:
    """They are stored: another hash would make every event new."""
    assert event_key("e-1").hex() == "ff1eea100e46d24fe57c1490d68b69c3"
    assert segment_key(("eu", "")).hex() == "b3499bbdc8df178543c69aef692ab9ca"
    assert value_key("u1").hex() == "41e29a6e8d4a6fdf331c35223171d988"
    assert segment_key(()) == bytes(16)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_different_segments_have_different_keys(one: list[str], other: list[str]) -> None:
    assert (segment_key(one) == segment_key(other)) is (one == other)


# --- Values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ({}, (None, None, None)),
        ({"size": "", "region": "", "user": ""}, (None, None, None)),
        ({"size": "1.50"}, (Decimal("1.5"), None, None)),
        ({"price": "2"}, (None, [Decimal(2)], None)),
        ({"region": "eu"}, (None, None, ["eu"])),
        ({"user": "u", "size": "-0"}, (Decimal(0), None, [None, "u"])),
    ],
)
def test_values_are_placed_and_what_is_missing_at_the_end_is_left_out(
    values: Mapping[str, str], stored: tuple[object, ...]
) -> None:
    assert LAYOUT.place_values(values) == stored


MISTAKES = """
    a=1 b=1                      FIELD_UNKNOWN    values["a"]       the first by name
    size=x zzz=1                 FIELD_UNKNOWN    values["zzz"]     unknown fields come first
    cost=1                       FIELD_DERIVED    values["cost"]
    size=1e3                     DECIMAL_INVALID  values["size"]
    price=1_0 region=eu size=x   DECIMAL_INVALID  values["size"]    then the order of declaration
    size=0.1234567890123456789   DECIMAL_RANGE    values["size"]
    region=%                     STRING_INVALID   values["region"]  % stands for U+0000
    size=%                       DECIMAL_INVALID  values["size"]
    cost=                        FIELD_DERIVED    values["cost"]    also without a value
    zzz=                         FIELD_UNKNOWN    values["zzz"]
    size=99999999999999999999999999 price=99999999999999999999999999 DERIVED_INVALID values["square"]
"""


@pytest.mark.parametrize("row", MISTAKES.strip().splitlines())
@pytest.mark.parametrize("is_backwards", [False, True])
def test_the_first_mistake_counts(row: str, is_backwards: bool) -> None:
    words = row.split()
    given_count = sum("=" in word for word in words)
    pairs = [word.replace("%", "\0").partition("=") for word in words[:given_count]]
    values = {name: value for name, _, value in (reversed(pairs) if is_backwards else pairs)}
    checked = check_submission(submission([("a", "m", "e", NOON, values)]), {"a": 1}, {"m": LAYOUT}, NOON)
    assert [(each.reason, each.field) for each in checked.rejections.values()] == [
        (words[given_count], words[given_count + 1])
    ]


Sent = tuple[str, str, str, int, Mapping[str, str]]


def submission(rows: list[Sent]) -> Submission:
    accounts, meters, ids, times, values = map(list, zip(*rows, strict=True))
    return Submission(accounts, meters, ids, times, values)


def test_an_event_stands_or_falls_by_itself() -> None:
    rows: list[Sent] = [
        ("a", "m", "good", NOON, {"size": "1"}),
        ("b", "x", "no account", NOON + 1, {"size": "x"}),
        ("a", "x", "no meter", NOON + 1, {"size": "x"}),
        ("a", "m", "future", NOON + 1, {"size": "x"}),
        ("a", "m", UUID7, NOON, {}),
    ]
    checked = check_submission(submission(rows), {"a": 1}, {"m": LAYOUT}, NOON)
    reasons = {place: (each.field, each.reason) for place, each in checked.rejections.items()}
    assert reasons == {
        1: ("account_id", "ACCOUNT_UNKNOWN"),
        2: ("meter_id", "METER_UNKNOWN"),
        3: ("event_time", "EVENT_TIME_FUTURE"),
    }
    assert checked.places == [0, 4]
    assert checked.events.ids == ["good", None]
    assert [checked.events.id_at(place) for place in range(2)] == ["good", UUID7]
    gone = keep_meters(checked, {8})
    assert (gone.places, len(gone.events), gone.rejections[4].reason) == ([], 0, "METER_UNKNOWN")


# --- Partials and folds -----------------------------------------------------------------------------------------------


def random_events(chance: random.Random, count: int) -> Events:
    rows: list[Sent] = [
        (
            chance.choice("ab"),
            "m",
            f"e{number:04}",
            NOON + chance.choice((0, 1, HOUR - 1, HOUR, DAY, chance.randrange(3 * DAY))),
            {
                "size": chance.choice(("", "1", "2.5", "-3", "10000000000000000000.000000000000000001")),
                "price": chance.choice(("", "0.1")),
                "region": chance.choice(("", "eu", "us")),
                "user": chance.choice(("", "x", "y", "z")),
            },
        )
        for number in range(count)
    ]
    return check_submission(submission(rows), {"a": 1, "b": 2}, {"m": LAYOUT}, NOON + 10 * DAY).events


ROLLUPS = tuple(
    Rollup(number, LAYOUT, RollupDefinition("m", field, keeps_values, dimensions, keeps_moment))
    for number, (field, keeps_values, dimensions, keeps_moment) in enumerate(
        [
            ("", False, (), False),
            ("size", False, (), False),
            ("cost", False, ("region",), True),
            ("square", False, (), False),
            ("user", True, ("region", "user"), False),
            ("user", False, (), False),
            ("size", False, (), True),
        ],
        start=1,
    )
)
DEFINITIONS = Definitions(1, {"m": LAYOUT}, ROLLUPS)


@pytest.mark.parametrize("seed", range(5))
def test_order_and_batching_of_events_never_matter(seed: int) -> None:
    """R13."""
    chance = random.Random(seed)
    events = random_events(chance, 200)
    whole = fold(events, DEFINITIONS.by_meter)
    places = chance.sample(range(200), k=200)
    cuts = [0, *sorted(chance.sample(range(200), k=5)), 200]
    parts: ByAccount = {}
    for start, end in pairwise(cuts):
        add_hours(parts, fold(events.take(places[start:end]), DEFINITIONS.by_meter))
    assert parts == whole
    assert buckets_of(whole) == buckets_of(parts)


@pytest.mark.parametrize("rollup", ROLLUPS, ids=lambda rollup: str(rollup.definition))
def test_days_and_hours_are_their_events(rollup: Rollup) -> None:
    events = random_events(random.Random(11), 300)
    buckets = buckets_of(fold(events, {7: [rollup]}))
    for grain, length in ((1, HOUR), (24, DAY)):
        for bucket, partial in buckets.items():
            if bucket.grain == grain:
                inside = [
                    place
                    for place, time in enumerate(events.times)
                    if bucket.start <= time < bucket.start + length and events.account_nos[place] == bucket.account_no
                ]
                assert fold_segments(events.take(inside), rollup)[bucket.segment] == partial
    assert sum(partial.event_count for bucket, partial in buckets.items() if bucket.grain == 24) == 300


def test_latest_is_the_greatest_time_and_then_id() -> None:
    """R2.3; ids are compared as they were sent, hashed or not."""
    ids = ["b", "a", UUID7, "Z"]
    rows: list[Sent] = [("a", "m", event_id, NOON, {"size": str(number)}) for number, event_id in enumerate(ids)]
    rows += [("a", "m", "later without a value", NOON + 1, {}), ("a", "m", "zz", NOON - 1, {"size": "9"})]
    events = check_submission(submission(rows), {"a": 1}, {"m": LAYOUT}, NOON + 1).events
    (partial,) = fold_segments(events, ROLLUPS[1]).values()
    assert (partial.latest_id, partial.latest_value) == ("b", Decimal(0))
    assert partial.latest_time == instant_from_microseconds(NOON)
    assert (partial.event_count, partial.value_count) == (6, 5)


def test_merging_changes_only_the_one_merged_into() -> None:
    events = random_events(random.Random(2), 50)
    (first,) = fold_segments(events.take(range(20)), ROLLUPS[1]).values()
    (second,) = fold_segments(events.take(range(20, 50)), ROLLUPS[1]).values()
    before = replace(second)
    first.merge(second)
    assert second == before
    first.merge(Partial())
    assert {(): first} == fold_segments(events, ROLLUPS[1])


# --- Windows ----------------------------------------------------------------------------------------------------------


@given(
    st.integers(-5 * DAY, 5 * DAY),
    st.one_of(st.integers(1, 5 * DAY), st.integers(1, 200).map(lambda halves: halves * HOUR // 2)),
    st.sampled_from([1, HOUR // 2, HOUR, DAY]),
)
def test_stretches_cover_a_window_once(start: int, length: int, unit: int) -> None:
    start -= start % unit
    cuts = stretches(start, start + length)
    assert [cut.start for cut in cuts] == [start, *(cut.end for cut in cuts[:-1])]
    assert cuts[-1].end == start + length
    for cut in cuts:
        assert cut.start < cut.end
        if cut.grain:
            assert cut.start % (cut.grain * HOUR) == cut.end % (cut.grain * HOUR) == 0
        else:
            assert cut.end - cut.start < 2 * HOUR
        assert cut.grain != 1 or cut.end - cut.start < 2 * DAY


def test_a_window_inside_an_hour_is_read_from_events() -> None:
    assert stretches(NOON + 1, NOON + 2) == [Stretch(0, NOON + 1, NOON + 2)]
    assert stretches(NOON, NOON + HOUR) == [Stretch(1, NOON, NOON + HOUR)]


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_survive_as_integers(instant: datetime) -> None:
    assert instant_from_microseconds(microseconds_from_instant(instant)) == instant
    assert microseconds_from_instant(instant) == (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


# --- The tail ---------------------------------------------------------------------------------------------------------


def test_the_tail_keeps_what_was_folded_one_fold_longer() -> None:
    tail = Tail()
    for batch_id in (1, 2, 3):
        tail.add(batch_id, Batch(frozenset(), {}))
    tail.retire([1])
    assert tail.batch_ids() == [1, 2, 3]
    tail.retire([2])
    assert tail.batch_ids() == [2, 3]
    tail.forget(9)
    assert tail.get(1) is None


def test_the_tail_is_bounded() -> None:
    batch = Batch(frozenset(), fold(random_events(random.Random(0), 50), DEFINITIONS.by_meter))
    tail = Tail(bytes_max=batch.size)
    tail.add(1, batch)
    tail.add(2, batch)
    assert (tail.batch_ids(), tail.size) == ([1], batch.size)
    tail.forget(1)
    tail.add(3, batch)
    assert tail.batch_ids() == [3]
