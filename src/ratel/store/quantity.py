"""The exact read of what rollups keep: whole days, whole hours, the events at the edges, and what is not folded yet.

One statement sees one moment: the buckets, and the batches that are not in them. Those are added from memory where this
process remembers them, else from their events; a rollup that is still being backfilled is read from events altogether.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

from ratel.core.event import Events, Partial
from ratel.core.instant import instant_from_microseconds, microseconds_from_instant
from ratel.core.rollup import ByAccount, Rollup, Stretch, Values, add_hours, fold, fold_segments, stretches
from ratel.core.tail import Tail
from ratel.store.pool import Connection
from ratel.store.usage import read_events

# Rows of six kinds in one shape, so that one statement sees all of them at one moment, of any number of accounts. Of
# the buckets only what is asked for is put together: the latest value takes a sort, and few need it. The accounts of
# events are compared with 0 added, here and below: else the planner may walk all of the key's index, where they stand
# second.
READ_USAGE = """
    WITH parts AS (
        SELECT part, account_no, rollup_no, grain, start_time, end_time, keeps_latest, keeps_values
        FROM unnest($1::integer[], $2::integer[], $3::smallint[], $4::timestamptz[], $5::timestamptz[], $6::boolean[],
            $7::boolean[])
            WITH ORDINALITY AS p (account_no, rollup_no, grain, start_time, end_time, keeps_latest, keeps_values, part)
    )
    SELECT 'bucket' AS kind, p.part, b.segment, b.event_count, b.value_count, b.value_sum, b.value_min, b.value_max,
        NULL::timestamptz AS latest_time, NULL::text AS latest_id, NULL::numeric AS latest_value,
        NULL::uuid[] AS keys, NULL::integer AS account_no, NULL::integer AS meter_no, NULL::numeric[] AS measures
    FROM parts AS p CROSS JOIN LATERAL (
        SELECT min(segment) AS segment, sum(event_count)::bigint AS event_count,
            sum(value_count)::bigint AS value_count, sum(value_sum) AS value_sum, min(value_min) AS value_min,
            max(value_max) AS value_max
        FROM rollup_buckets
        WHERE account_no = p.account_no AND rollup_no = p.rollup_no AND grain = p.grain
            AND bucket_time >= p.start_time AND bucket_time < p.end_time
        GROUP BY segment_key
    ) AS b
    UNION ALL
    SELECT 'latest', p.part, b.segment, NULL, NULL, NULL, NULL, NULL, b.latest_time, b.latest_id, b.latest_value,
        NULL, NULL, NULL, NULL
    FROM parts AS p CROSS JOIN LATERAL (
        SELECT DISTINCT ON (segment_key) segment, latest_time, latest_id, latest_value
        FROM rollup_buckets
        WHERE account_no = p.account_no AND rollup_no = p.rollup_no AND grain = p.grain
            AND bucket_time >= p.start_time AND bucket_time < p.end_time AND latest_time IS NOT NULL
        ORDER BY segment_key, latest_time DESC, latest_id DESC
    ) AS b
    WHERE p.keeps_latest
    UNION ALL
    SELECT 'values', p.part, v.segment, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, v.keys, NULL, NULL, NULL
    FROM parts AS p CROSS JOIN LATERAL (
        SELECT segment, array_agg(DISTINCT value_key) AS keys
        FROM rollup_values
        WHERE account_no = p.account_no AND rollup_no = p.rollup_no AND grain = p.grain
            AND bucket_time >= p.start_time AND bucket_time < p.end_time
        GROUP BY segment
    ) AS v
    WHERE p.keeps_values
    UNION ALL
    SELECT 'event', t.part, e.strings, NULL, NULL, e.measure, NULL, NULL, e.event_time, e.event_id, NULL,
        ARRAY[e.event_key], e.account_no, e.meter_no, e.measures
    FROM unnest($8::integer[], $9::timestamptz[], $10::timestamptz[])
        WITH ORDINALITY AS t (meter_no, start_time, end_time, part)
    JOIN events AS e ON e.account_no + 0 = ANY($11::integer[]) AND e.meter_no = t.meter_no
        AND e.event_time >= t.start_time AND e.event_time < t.end_time
    UNION ALL
    SELECT CASE WHEN dirty THEN 'dirty' ELSE 'pending' END, batch_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL
    FROM pending_batches WHERE max_event_time >= $12 AND min_event_time < $13
    UNION ALL
    SELECT 'backfill', rollup_no, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM rollups WHERE rollup_no = ANY($14::integer[]) AND backfilled_batch_id < backfill_batch_id
"""
EVENTS_OF_ACCOUNTS = """
    SELECT event_key, event_time, account_no, meter_no, measure, measures, strings, event_id
    FROM events
    WHERE account_no + 0 = ANY($1::integer[]) AND batch_id >= $2 AND batch_id <= $3 AND batch_id = ANY($4::bigint[])
"""
EVENTS_OF_WINDOW = """
    SELECT event_key, event_time, account_no, meter_no, measure, measures, strings, event_id
    FROM events
    WHERE account_no + 0 = $1 AND meter_no = $2 AND event_time >= $3 AND event_time < $4
"""


@dataclass(frozen=True, slots=True)
class Slice:
    """What to read: the events of an account in ``[start, end)``, as a rollup keeps them.

    Attributes:
        keeps_latest: whether the latest value is needed; else it may be left out.
    """

    account_no: int
    rollup: Rollup
    start: datetime
    end: datetime
    keeps_latest: bool = True


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
    found: dict[_Key, _Window] = {}
    windows = [_window_of(found, each) for each in slices]
    backfilling = await _read(connection, tail, list(found.values())) if windows else set()
    given: set[int] = set()
    return Reading([_given_once(window, given) for window in windows], frozenset(backfilling))


# --- Windows ----------------------------------------------------------------------------------------------------------

_Key: TypeAlias = tuple[int, int, int, int]


@dataclass(slots=True, eq=False)
class _Window:
    """One slice while it is read; times in microseconds since 1970."""

    account_no: int
    rollup: Rollup
    start: int
    end: int
    keeps_latest: bool
    stretches: list[Stretch]
    partials: dict[Values, Partial] = field(default_factory=dict)

    def add(self, segment: Values, partial: Partial) -> None:
        self.partials.setdefault(segment, Partial()).merge(partial)

    def holds_hour(self, start: int) -> bool:
        """Tell whether that hour is read from buckets, not from events."""
        return any(each.grain and each.start <= start < each.end for each in self.stretches)


def _window_of(windows: dict[_Key, _Window], wanted: Slice) -> _Window:
    start, end = microseconds_from_instant(wanted.start), microseconds_from_instant(wanted.end)
    key = (wanted.account_no, wanted.rollup.rollup_no, start, end)
    window = windows.get(key)
    if window is None:
        window = windows[key] = _Window(
            wanted.account_no, wanted.rollup, start, end, wanted.keeps_latest, stretches(start, end)
        )
    elif wanted.keeps_latest:
        window.keeps_latest = True
    return window


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

_Edge: TypeAlias = tuple[int, int, int]
_Sharing: TypeAlias = dict[int, list[_Window]]
"""The windows that share an edge, by account number."""


async def _read(connection: Connection, tail: Tail, windows: list[_Window]) -> set[int]:
    """Fill windows; return which of their rollups are not complete."""
    parts = [(window, each) for window in windows for each in window.stretches if each.grain]
    edges = _edges(windows)
    rows: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
    for row in await connection.fetch(READ_USAGE, *_parameters(parts, edges, windows)):
        rows[row["kind"]].append(row)
    backfilling = {row["part"] for row in rows["backfill"]}
    for kind, partial_from_row in _KEPT.items():
        for row in rows[kind]:
            window, _ = parts[row["part"] - 1]
            if window.rollup.rollup_no not in backfilling:
                window.add(tuple(row["segment"]), partial_from_row(row))
    _add_edges(rows["event"], list(edges.values()))
    pending = {row["part"]: row["kind"] == "dirty" for row in (*rows["pending"], *rows["dirty"])}
    complete = [window for window in windows if window.rollup.rollup_no not in backfilling]
    await _add_pending(connection, (tail, pending), complete)
    await _read_events(connection, [window for window in windows if window.rollup.rollup_no in backfilling])
    return backfilling


def _edges(windows: Iterable[_Window]) -> dict[_Edge, _Sharing]:
    """Return the stretches of events to read, by meter and time, with the windows that need each."""
    edges: dict[_Edge, _Sharing] = {}
    for window in windows:
        for each in window.stretches:
            if not each.grain:
                sharing = edges.setdefault((window.rollup.layout.meter_no, each.start, each.end), {})
                sharing.setdefault(window.account_no, []).append(window)
    return edges


def _parameters(
    parts: Sequence[tuple[_Window, Stretch]], edges: Mapping[_Edge, _Sharing], windows: Sequence[_Window]
) -> tuple[object, ...]:
    instant = _Instants()
    return (
        [window.account_no for window, _ in parts],
        [window.rollup.rollup_no for window, _ in parts],
        [each.grain for _, each in parts],
        [instant[each.start] for _, each in parts],
        [instant[each.end] for _, each in parts],
        [window.keeps_latest for window, _ in parts],
        [window.rollup.definition.keeps_values for window, _ in parts],
        [meter_no for meter_no, _, _ in edges],
        [instant[start] for _, start, _ in edges],
        [instant[end] for _, _, end in edges],
        sorted({account_no for sharing in edges.values() for account_no in sharing}),
        instant[min(window.start for window in windows)],
        instant[max(window.end for window in windows)],
        sorted({window.rollup.rollup_no for window in windows}),
    )


class _Instants(dict[int, datetime]):
    """Instants by their microseconds, each made once: many windows share theirs."""

    def __missing__(self, microseconds: int) -> datetime:
        self[microseconds] = instant_from_microseconds(microseconds)
        return self[microseconds]


def _bucket_from_row(row: Any) -> Partial:
    return Partial(
        event_count=row["event_count"],
        value_count=row["value_count"],
        value_sum=row["value_sum"],
        value_min=row["value_min"],
        value_max=row["value_max"],
    )


def _latest_from_row(row: Any) -> Partial:
    return Partial(latest_time=row["latest_time"], latest_id=row["latest_id"], latest_value=row["latest_value"])


def _values_from_row(row: Any) -> Partial:
    return Partial(values=frozenset(key.bytes for key in row["keys"]))


_KEPT: Final = {"bucket": _bucket_from_row, "latest": _latest_from_row, "values": _values_from_row}
_KINDS: Final = (*_KEPT, "event", "pending", "dirty", "backfill")


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


def _add_edges(rows: Sequence[Any], edges: Sequence[_Sharing]) -> None:
    """Fold the events of each edge and account for every window that shares it."""
    apart: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        apart.setdefault((row["part"], row["account_no"]), []).append(row)
    for (part, account_no), own in apart.items():
        events = _events_from_rows(own)
        for window in edges[part - 1].get(account_no, ()):
            for segment, partial in fold_segments(events, window.rollup).items():
                window.add(segment, partial)


async def _read_events(connection: Connection, windows: Sequence[_Window]) -> None:
    """Fill windows from their events alone, pending ones included."""
    by_range: dict[tuple[int, int, int, int], list[_Window]] = {}
    for window in windows:
        window.partials.clear()
        key = (window.account_no, window.rollup.layout.meter_no, window.start, window.end)
        by_range.setdefault(key, []).append(window)
    for (account_no, meter_no, start, end), sharing in by_range.items():
        span = (instant_from_microseconds(start), instant_from_microseconds(end))
        async for events in read_events(connection, EVENTS_OF_WINDOW, account_no, meter_no, *span):
            for window in sharing:
                for segment, partial in fold_segments(events, window.rollup).items():
                    window.add(segment, partial)


# --- The tail ---------------------------------------------------------------------------------------------------------

_ByRollup: TypeAlias = dict[int, list[_Window]]


async def _add_pending(
    connection: Connection, seen: tuple[Tail, Mapping[int, bool]], windows: Sequence[_Window]
) -> None:
    """Add the whole hours of batches that are not in the buckets.

    Args:
        connection: in the snapshot.
        seen: the tail, and the pending batches of the snapshot, each with whether its events were changed.
        windows: of complete rollups.
    """
    by_account: dict[int, _ByRollup] = {}
    for window in windows:
        by_account.setdefault(window.account_no, {}).setdefault(window.rollup.rollup_no, []).append(window)
    rollup_nos = {window.rollup.rollup_no for window in windows}
    tail, pending = seen
    unknown = []
    for batch_id, is_dirty in pending.items():
        batch = tail.get(batch_id)
        if batch is None or is_dirty or not rollup_nos <= batch.rollup_nos:
            unknown.append(batch_id)
        else:
            _add_hours(batch.by_account, by_account)
    if unknown and by_account:
        _add_hours(await _fold_batches(connection, list(by_account), unknown, windows), by_account)


def _add_hours(hours: ByAccount, by_account: Mapping[int, _ByRollup]) -> None:
    for account_no, by_rollup in by_account.items():
        for hour, partial in hours.get(account_no, {}).items():
            for window in by_rollup.get(hour.rollup_no, ()):
                if window.holds_hour(hour.start):
                    window.add(hour.segment, partial)


async def _fold_batches(
    connection: Connection, account_nos: list[int], batch_ids: list[int], windows: Sequence[_Window]
) -> ByAccount:
    """Fold some accounts' events of some batches by the rollups of windows."""
    rollups: dict[int, dict[int, Rollup]] = {}
    for rollup in (window.rollup for window in windows):
        rollups.setdefault(rollup.layout.meter_no, {})[rollup.rollup_no] = rollup
    by_meter = {meter_no: list(own.values()) for meter_no, own in rollups.items()}
    total: ByAccount = {}
    parameters = (account_nos, min(batch_ids), max(batch_ids), batch_ids)
    async for events in read_events(connection, EVENTS_OF_ACCOUNTS, *parameters):
        add_hours(total, fold(events, by_meter))
    return total
