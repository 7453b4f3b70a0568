"""The exact read of what rollups keep: whole days, whole hours, the events at the edges, and what is not folded yet.

One statement sees one moment: the buckets, and the batches that are not in them. Those are added from memory where this
process remembers them, else from their events; a rollup that is still being backfilled is read from events altogether.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from ratel.core.event import Events, Partial
from ratel.core.instant import instant_from_microseconds, microseconds_from_instant
from ratel.core.rollup import ByAccount, Rollup, Stretch, Values, add_hours, fold, fold_segments, stretches
from ratel.core.tail import Tail
from ratel.store.pool import Connection
from ratel.store.usage import read_events

# Rows of five kinds in one shape, so that one statement sees all of them at one moment. Every read of a distributed
# table names one account, so that Citus sends it to one place.
READ_ACCOUNT = """
    WITH parts AS (
        SELECT part, rollup_no, grain, start_time, end_time
        FROM unnest($2::integer[], $3::smallint[], $4::timestamptz[], $5::timestamptz[])
            WITH ORDINALITY AS p (rollup_no, grain, start_time, end_time, part)
    )
    SELECT 'bucket' AS kind, p.part, b.segment, b.event_count, b.value_count, b.value_sum, b.value_min, b.value_max,
        b.latest_time, b.latest_id, b.latest_value, NULL::uuid[] AS keys, NULL::integer AS account_no,
        NULL::integer AS meter_no, NULL::numeric[] AS measures
    FROM parts AS p CROSS JOIN LATERAL (
        SELECT segment, sum(event_count)::bigint AS event_count, sum(value_count)::bigint AS value_count,
            sum(value_sum) AS value_sum, min(value_min) AS value_min, max(value_max) AS value_max,
            max(latest_time) AS latest_time,
            (array_agg(latest_id ORDER BY latest_time DESC NULLS LAST, latest_id DESC))[1] AS latest_id,
            (array_agg(latest_value ORDER BY latest_time DESC NULLS LAST, latest_id DESC))[1] AS latest_value
        FROM rollup_buckets
        WHERE account_no = $1 AND rollup_no = p.rollup_no AND grain = p.grain
            AND bucket_time >= p.start_time AND bucket_time < p.end_time
        GROUP BY segment
    ) AS b
    UNION ALL
    SELECT 'values', p.part, v.segment, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, v.keys, NULL, NULL, NULL
    FROM parts AS p CROSS JOIN LATERAL (
        SELECT segment, array_agg(DISTINCT value_key) AS keys
        FROM rollup_values
        WHERE account_no = $1 AND rollup_no = p.rollup_no AND grain = p.grain
            AND bucket_time >= p.start_time AND bucket_time < p.end_time
        GROUP BY segment
    ) AS v
    UNION ALL
    SELECT 'event', t.part, e.strings, NULL, NULL, e.measure, NULL, NULL, e.event_time, e.event_id, NULL,
        ARRAY[e.event_key], e.account_no, e.meter_no, e.measures
    FROM unnest($6::integer[], $7::timestamptz[], $8::timestamptz[])
        WITH ORDINALITY AS t (meter_no, start_time, end_time, part)
    JOIN events AS e ON e.account_no = $1 AND e.meter_no = t.meter_no
        AND e.event_time >= t.start_time AND e.event_time < t.end_time
    UNION ALL
    SELECT CASE WHEN dirty THEN 'dirty' ELSE 'pending' END, batch_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL
    FROM pending_batches WHERE max_event_time >= $9 AND min_event_time < $10
    UNION ALL
    SELECT 'backfill', rollup_no, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM rollups WHERE rollup_no = ANY($2::integer[] || $11::integer[]) AND backfilled_batch_id < backfill_batch_id
"""
EVENTS_OF_ACCOUNT = """
    SELECT event_key, event_time, account_no, meter_no, measure, measures, strings, event_id
    FROM events
    WHERE account_no = $1 AND batch_id >= $2 AND batch_id <= $3 AND batch_id = ANY($4::bigint[])
"""
EVENTS_OF_WINDOW = """
    SELECT event_key, event_time, account_no, meter_no, measure, measures, strings, event_id
    FROM events
    WHERE account_no = $1 AND meter_no = $2 AND event_time >= $3 AND event_time < $4
"""


@dataclass(frozen=True, slots=True)
class Slice:
    """What to read: the events of an account in ``[start, end)``, as a rollup keeps them."""

    account_no: int
    rollup: Rollup
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        partials: for each slice what is kept of its events, by a value for each dimension of its rollup; empty without
            events. Not shared: the reader may change them.
        backfilling: numbers of the rollups that are not complete yet, so that events were read instead.
    """

    partials: list[dict[Values, Partial]]
    backfilling: frozenset[int]


async def read_partials(connection: Connection, tail: Tail, slices: Sequence[Slice]) -> Reading:
    """Read slices exactly, as of the connection's snapshot; equal ones are read once.

    Args:
        connection: inside a REPEATABLE READ transaction, in which the rollups' definitions were read too.
        tail: what this process remembers; any is right.
        slices: of any accounts.
    """
    by_account: dict[int, dict[_Key, _Window]] = {}
    windows = [_window_of(by_account.setdefault(each.account_no, {}), each) for each in slices]
    backfilling: set[int] = set()
    for account_no, own in by_account.items():
        backfilling |= await _read_account(connection, tail, account_no, list(own.values()))
    given: set[int] = set()
    return Reading([_given_once(window, given) for window in windows], frozenset(backfilling))


# --- Windows ----------------------------------------------------------------------------------------------------------

_Key: TypeAlias = tuple[int, int, int]


@dataclass(slots=True, eq=False)
class _Window:
    """One slice while it is read; times in microseconds since 1970."""

    rollup: Rollup
    start: int
    end: int
    stretches: list[Stretch]
    partials: dict[Values, Partial] = field(default_factory=dict)

    def add(self, segment: Values, partial: Partial) -> None:
        self.partials.setdefault(segment, Partial()).merge(partial)

    def holds_hour(self, start: int) -> bool:
        """Tell whether that hour is read from buckets, not from events."""
        return any(each.grain and each.start <= start < each.end for each in self.stretches)


def _window_of(windows: dict[_Key, _Window], wanted: Slice) -> _Window:
    start, end = microseconds_from_instant(wanted.start), microseconds_from_instant(wanted.end)
    key = (wanted.rollup.rollup_no, start, end)
    if key not in windows:
        windows[key] = _Window(wanted.rollup, start, end, stretches(start, end))
    return windows[key]


def _given_once(window: _Window, given: set[int]) -> dict[Values, Partial]:
    """Return a window's partials, as copies if they were given before."""
    if id(window) not in given:
        given.add(id(window))
        return window.partials
    copies: dict[Values, Partial] = {}
    for segment, partial in window.partials.items():
        copies[segment] = Partial()
        copies[segment].merge(partial)
    return copies


# --- Reading ----------------------------------------------------------------------------------------------------------


async def _read_account(connection: Connection, tail: Tail, account_no: int, windows: list[_Window]) -> set[int]:
    """Fill the windows of one account; return which of their rollups are not complete."""
    parts = [(window, each) for window in windows for each in window.stretches if each.grain]
    edges = _edges(windows)
    rows: dict[str, list[Any]] = {"bucket": [], "values": [], "event": [], "pending": [], "dirty": [], "backfill": []}
    for row in await connection.fetch(READ_ACCOUNT, account_no, *_parameters(parts, list(edges), windows)):
        rows[row["kind"]].append(row)
    backfilling = {row["part"] for row in rows["backfill"]}
    complete = [window for window in windows if window.rollup.rollup_no not in backfilling]
    for row in (*rows["bucket"], *rows["values"]):
        window, _ = parts[row["part"] - 1]
        if window.rollup.rollup_no not in backfilling:
            window.add(tuple(row["segment"]), _partial_from_row(row))
    _add_edges(rows["event"], list(edges.values()))
    pending = {row["part"]: row["kind"] == "dirty" for row in (*rows["pending"], *rows["dirty"])}
    await _add_pending(connection, account_no, (tail, pending), complete)
    incomplete = [window for window in windows if window.rollup.rollup_no in backfilling]
    await _read_events(connection, account_no, incomplete)
    return backfilling


_Edge: TypeAlias = tuple[int, int, int]


def _edges(windows: Iterable[_Window]) -> dict[_Edge, list[_Window]]:
    """Return the stretches of events to read, by meter and time, with the windows that need each."""
    edges: dict[_Edge, list[_Window]] = {}
    for window in windows:
        for each in window.stretches:
            if not each.grain:
                edges.setdefault((window.rollup.layout.meter_no, each.start, each.end), []).append(window)
    return edges


def _parameters(
    parts: Sequence[tuple[_Window, Stretch]], edges: Sequence[_Edge], windows: Sequence[_Window]
) -> tuple[object, ...]:
    instant = instant_from_microseconds
    return (
        [window.rollup.rollup_no for window, _ in parts],
        [each.grain for _, each in parts],
        [instant(each.start) for _, each in parts],
        [instant(each.end) for _, each in parts],
        [meter_no for meter_no, _, _ in edges],
        [instant(start) for _, start, _ in edges],
        [instant(end) for _, _, end in edges],
        instant(min(window.start for window in windows)),
        instant(max(window.end for window in windows)),
        [window.rollup.rollup_no for window in windows],
    )


def _partial_from_row(row: Any) -> Partial:
    if row["keys"] is not None:
        return Partial(values=frozenset(key.bytes for key in row["keys"]))
    return Partial(
        event_count=row["event_count"],
        value_count=row["value_count"],
        value_sum=row["value_sum"],
        value_min=row["value_min"],
        value_max=row["value_max"],
        latest_time=row["latest_time"],
        latest_id=row["latest_id"] or "",
        latest_value=row["latest_value"],
    )


def _events_from_rows(rows: Sequence[Any]) -> Events:
    """Return the events of rows of kind 'event', which stand under the names of a bucket's columns."""
    return Events(
        keys=[row["keys"][0].bytes for row in rows],
        ids=[row["latest_id"] for row in rows],
        times=[microseconds_from_instant(row["latest_time"]) for row in rows],
        account_nos=[row["account_no"] for row in rows],
        meter_nos=[row["meter_no"] for row in rows],
        measures=[row["value_sum"] for row in rows],
        further_measures=[row["measures"] for row in rows],
        strings=[row["segment"] for row in rows],
    )


def _add_edges(rows: Sequence[Any], sharing: Sequence[Sequence[_Window]]) -> None:
    """Fold the events of each edge for every window that shares it."""
    by_part: dict[int, list[Any]] = {}
    for row in rows:
        by_part.setdefault(row["part"], []).append(row)
    for part, own in by_part.items():
        events = _events_from_rows(own)
        for window in sharing[part - 1]:
            for segment, partial in fold_segments(events, window.rollup).items():
                window.add(segment, partial)


async def _read_events(connection: Connection, account_no: int, windows: Sequence[_Window]) -> None:
    """Fill windows from their events alone, pending ones included."""
    by_range: dict[tuple[int, int, int], list[_Window]] = {}
    for window in windows:
        window.partials.clear()
        by_range.setdefault((window.rollup.layout.meter_no, window.start, window.end), []).append(window)
    for (meter_no, start, end), sharing in by_range.items():
        span = (instant_from_microseconds(start), instant_from_microseconds(end))
        async for events in read_events(connection, EVENTS_OF_WINDOW, account_no, meter_no, *span):
            for window in sharing:
                for segment, partial in fold_segments(events, window.rollup).items():
                    window.add(segment, partial)


# --- The tail ---------------------------------------------------------------------------------------------------------


async def _add_pending(
    connection: Connection, account_no: int, seen: tuple[Tail, Mapping[int, bool]], windows: Sequence[_Window]
) -> None:
    """Add the whole hours of batches that are not in the buckets.

    Args:
        connection: in the snapshot.
        account_no: whose.
        seen: the tail, and the pending batches of the snapshot, each with whether its events were changed.
        windows: of complete rollups.
    """
    by_rollup: dict[int, list[_Window]] = {}
    for window in windows:
        by_rollup.setdefault(window.rollup.rollup_no, []).append(window)
    tail, pending = seen
    unknown = []
    for batch_id, is_dirty in pending.items():
        batch = tail.get(batch_id)
        if batch is None or is_dirty or not by_rollup.keys() <= batch.rollup_nos:
            unknown.append(batch_id)
        else:
            _add_hours(batch.by_account, account_no, by_rollup)
    if unknown and by_rollup:
        _add_hours(await _fold_batches(connection, account_no, unknown, windows), account_no, by_rollup)


def _add_hours(by_account: ByAccount, account_no: int, by_rollup: Mapping[int, Sequence[_Window]]) -> None:
    for hour, partial in by_account.get(account_no, {}).items():
        for window in by_rollup.get(hour.rollup_no, ()):
            if window.holds_hour(hour.start):
                window.add(hour.segment, partial)


async def _fold_batches(
    connection: Connection, account_no: int, batch_ids: list[int], windows: Sequence[_Window]
) -> ByAccount:
    """Fold one account's events of some batches by the rollups of windows."""
    rollups: dict[int, dict[int, Rollup]] = {}
    for rollup in (window.rollup for window in windows):
        rollups.setdefault(rollup.layout.meter_no, {})[rollup.rollup_no] = rollup
    by_meter = {meter_no: list(own.values()) for meter_no, own in rollups.items()}
    total: ByAccount = {}
    parameters = (account_no, min(batch_ids), max(batch_ids), batch_ids)
    async for events in read_events(connection, EVENTS_OF_ACCOUNT, *parameters):
        add_hours(total, fold(events, by_meter))
    return total
