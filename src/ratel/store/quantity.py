"""The exact read of what rollups keep: whole days and hours, parts of hours at the edges, and what is not folded yet.

One statement sees one moment: the buckets, and the batches that are not in them. Those are added from memory where this
process remembers them, else from their events; a rollup that is still being backfilled is read from events altogether.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ratel.core.event import Events, Partial
from ratel.core.instant import instant_from_microseconds
from ratel.core.rollup import ByAccount, Rollup, Values, add_hours, fold, fold_segments
from ratel.core.tail import Tail
from ratel.store.pool import Connection
from ratel.store.question import AccountNos, Asking, Slice, Window, question_of
from ratel.store.unfolded import add_hours_to, add_remembered
from ratel.store.usage import read_events

# Rows of many kinds in one shape, so that one statement sees all of them at one moment, of any number of accounts. Of
# the buckets only what is asked for is put together: the latest value takes a sort, the least and the greatest one take
# a third of the rest, and few need them. Parts name their instants by place: many share theirs, and asyncpg takes four
# times as long for an instant as for an integer.
#
# In a part of an hour lies all of a bucket, or nothing, unless the times of its events are on both sides of a cut. Only
# then, or if a pending batch has events of the account there, are the events themselves looked for: by time, so among
# those of everybody. (Without OFFSET, the planner walks the buckets of all rollups of the account, and filters.) Each
# edge has accounts of its own, cut from one array: those that begin inside different hours would else get the events
# of one another. The accounts of events are compared with 0 added, here and below: else the planner may walk all of the
# key's index, where they stand second.
READ_USAGE = """
    WITH parts AS (
        SELECT part, account_no, rollup_no, grain, rollup_no = ANY($17::integer[]) AS keeps_extremes,
            ($6::timestamptz[])[start_place] AS start_time, ($6::timestamptz[])[end_place] AS end_time
        FROM unnest($1::integer[], $2::integer[], $3::smallint[], $4::integer[], $5::integer[])
            WITH ORDINALITY AS p (account_no, rollup_no, grain, start_place, end_place, part)
    ), edges AS (
        SELECT part, meter_no, start_time, end_time, unnest(
            ($13::integer[])[1 + lag(last_place, 1, 0) OVER (ORDER BY part):last_place]
        ) AS account_no
        FROM unnest($9::integer[], $10::timestamptz[], $11::timestamptz[], $12::integer[])
            WITH ORDINALITY AS p (meter_no, start_time, end_time, last_place, part)
    ), part_hours AS (
        SELECT e.part, e.meter_no, e.start_time, e.end_time, b.*,
            b.min_event_time >= e.start_time AND b.max_event_time < e.end_time AS is_inside
        FROM edges AS e
        JOIN rollups AS r ON r.meter_no = e.meter_no AND r.rollup_no = ANY($16::integer[])
        CROSS JOIN LATERAL (
            SELECT * FROM rollup_buckets
            WHERE account_no = e.account_no AND rollup_no = r.rollup_no AND grain = 1
                AND bucket_time = date_trunc('hour', e.start_time, 'UTC')
            OFFSET 0
        ) AS b
        WHERE b.min_event_time < e.end_time AND b.max_event_time >= e.start_time
    ), split_hours AS (
        SELECT part, meter_no, start_time, end_time, account_no FROM part_hours WHERE NOT is_inside
        UNION
        SELECT e.*
        FROM edges AS e
        JOIN pending_batches AS b ON b.max_event_time >= e.start_time AND b.min_event_time < e.end_time
            AND e.account_no = ANY(b.account_nos)
    )
    SELECT 'bucket' AS kind, p.part, b.segment, b.event_count, b.value_count, b.value_sum, b.value_min, b.value_max,
        NULL::timestamptz AS latest_time, NULL::text AS latest_id, NULL::numeric AS latest_value,
        NULL::uuid[] AS keys, NULL::integer AS account_no, NULL::integer AS meter_no, NULL::numeric[] AS measures,
        b.value_moment
    FROM parts AS p CROSS JOIN LATERAL (
        SELECT min(segment) AS segment, sum(event_count)::bigint AS event_count,
            sum(value_count)::bigint AS value_count, sum(value_sum) AS value_sum,
            min(value_min) FILTER (WHERE p.keeps_extremes) AS value_min,
            max(value_max) FILTER (WHERE p.keeps_extremes) AS value_max, sum(value_moment) AS value_moment
        FROM rollup_buckets
        WHERE account_no = p.account_no AND rollup_no = p.rollup_no AND grain = p.grain
            AND bucket_time >= p.start_time AND bucket_time < p.end_time
        GROUP BY segment_key
    ) AS b
    UNION ALL
    SELECT 'latest', p.part, b.segment, NULL, NULL, NULL, NULL, NULL, b.latest_time, b.latest_id, b.latest_value,
        NULL, NULL, NULL, NULL, NULL
    FROM parts AS p CROSS JOIN LATERAL (
        SELECT DISTINCT ON (segment_key) segment, latest_time, latest_id, latest_value
        FROM rollup_buckets
        WHERE account_no = p.account_no AND rollup_no = p.rollup_no AND grain = p.grain
            AND bucket_time >= p.start_time AND bucket_time < p.end_time AND latest_time IS NOT NULL
        ORDER BY segment_key, latest_time DESC, latest_id DESC
    ) AS b
    WHERE p.rollup_no = ANY($7::integer[])
    UNION ALL
    SELECT 'values', p.part, v.segment, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, v.keys, NULL, NULL, NULL,
        NULL
    FROM parts AS p CROSS JOIN LATERAL (
        SELECT segment, array_agg(DISTINCT value_key) AS keys
        FROM rollup_values
        WHERE account_no = p.account_no AND rollup_no = p.rollup_no AND grain = p.grain
            AND bucket_time >= p.start_time AND bucket_time < p.end_time
        GROUP BY segment
    ) AS v
    WHERE p.rollup_no = ANY($8::integer[])
    UNION ALL
    SELECT 'part hour', h.part, h.segment, h.event_count, h.value_count, h.value_sum, h.value_min, h.value_max,
        h.latest_time, h.latest_id, h.latest_value, v.keys, h.account_no, h.rollup_no, NULL, h.value_moment
    FROM part_hours AS h CROSS JOIN LATERAL (
        SELECT array_agg(value_key) AS keys
        FROM rollup_values
        WHERE account_no = h.account_no AND rollup_no = h.rollup_no AND grain = h.grain
            AND bucket_time = h.bucket_time AND segment_key = h.segment_key AND h.rollup_no = ANY($8::integer[])
    ) AS v
    WHERE h.is_inside
    UNION ALL
    SELECT 'split hour', part, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, account_no, NULL, NULL, NULL
    FROM split_hours
    UNION ALL
    SELECT 'event', t.part, e.strings, NULL, NULL, e.measure, NULL, NULL, e.event_time, e.event_id, NULL,
        ARRAY[e.event_key], e.account_no, e.meter_no, e.measures, NULL
    FROM (
        SELECT min(part) AS part, start_time, end_time, array_agg(DISTINCT meter_no) AS meter_nos,
            array_agg(DISTINCT account_no) AS account_nos
        FROM split_hours
        GROUP BY start_time, end_time
    ) AS t
    JOIN events AS e ON e.account_no + 0 = ANY(t.account_nos) AND e.meter_no = ANY(t.meter_nos)
        AND e.event_time >= t.start_time AND e.event_time < t.end_time
    UNION ALL
    SELECT CASE WHEN dirty THEN 'dirty' ELSE 'pending' END, batch_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL
    FROM pending_batches WHERE max_event_time >= $14 AND min_event_time < $15
    UNION ALL
    SELECT 'backfill', rollup_no, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM rollups WHERE rollup_no = ANY($16::integer[]) AND backfilled_batch_id < backfill_batch_id
    UNION ALL
    SELECT 'dropped', NULL, NULL, NULL, NULL, NULL, NULL, NULL, dropped_until, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL
    FROM event_retention WHERE dropped_until > $14
    UNION ALL
    SELECT 'incomplete', rollup_no, NULL, NULL, NULL, NULL, NULL, NULL, complete_from, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL
    FROM rollups WHERE rollup_no = ANY($16::integer[]) AND complete_from > $14
"""
EVENTS_OF_ACCOUNTS = """
    SELECT event_key, event_time, account_no, meter_no, measure, measures, strings, event_id
    FROM events
    WHERE account_no + 0 = ANY($1::integer[]) AND batch_id >= $2 AND batch_id <= $3 AND batch_id = ANY($4::bigint[])
"""
EVENTS_OF_WINDOW = """
    SELECT event_key, event_time, account_no, meter_no, measure, measures, strings, event_id
    FROM events
    WHERE account_no + 0 = ANY($1::integer[]) AND meter_no = $2 AND event_time >= $3 AND event_time < $4
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        partials: for each slice what is kept of its events, by a value for each dimension of its rollup; empty without
            events. Not shared: the reader may change them.
        backfilling: numbers of the rollups that are not complete yet, so that events were read instead.
        lacking: whose events are not all known any more, each with the time before which it may be so.
    """

    partials: list[dict[Values, Partial]]
    backfilling: frozenset[int]
    lacking: Mapping[AccountNos, datetime] = field(default_factory=dict)

    def lacks_until(self, slices: Iterable[Slice]) -> datetime | None:
        """Return before which time something of slices may not be known any more; None if all of it is."""
        if not self.lacking:
            return None
        return max((until for each in slices if (until := self.lacking.get(each.account_nos))), default=None)


async def read_partials(connection: Connection, tail: Tail, slices: Sequence[Slice]) -> Reading:
    """Read slices exactly, as of the connection's snapshot; equal ones are read once.

    Args:
        connection: inside a REPEATABLE READ transaction, in which the rollups' definitions were read too.
        tail: what this process remembers; any is right.
        slices: of any accounts.
    """
    if not slices:
        return Reading([], frozenset())
    question = question_of(slices)
    asking = Asking([question])
    (windows,) = asking.windows
    rest = asking.take(await connection.fetch(READ_USAGE, *asking.parameters(slices[0].start, slices[0].end)))
    complete = [window for window in windows if window.span.rollup.rollup_no not in rest.backfilling]
    unknown = add_remembered(tail, rest.pending, complete)
    if unknown and complete:
        add_hours_to(complete, await _fold_batches(connection, unknown, complete))
    incomplete = [window for window in windows if window.span.rollup.rollup_no in rest.backfilling]
    await _read_events(connection, incomplete)
    return Reading(question.give(windows), frozenset(rest.backfilling), rest.lacking(windows))


async def _read_events(connection: Connection, windows: Sequence[Window]) -> None:
    """Fill windows from their events alone, pending ones included."""
    by_range: dict[tuple[AccountNos, int, int, int], list[Window]] = {}
    for window in windows:
        window.partials.clear()
        span = window.span
        by_range.setdefault((span.account_nos, span.rollup.layout.meter_no, span.start, span.end), []).append(window)
    for (account_nos, meter_no, start, end), sharing in by_range.items():
        times = (instant_from_microseconds(start), instant_from_microseconds(end))
        async for events in read_events(connection, EVENTS_OF_WINDOW, account_nos, meter_no, *times):
            for account_no, own in _apart(events).items():
                for window in sharing:
                    for segment, partial in fold_segments(own, window.span.rollup).items():
                        window.take(account_no, segment, partial)


def _apart(events: Events) -> dict[int, Events]:
    """Return the events of each account."""
    places: dict[int, list[int]] = {}
    for place, account_no in enumerate(events.account_nos):
        places.setdefault(account_no, []).append(place)
    return {account_no: events.take(own) for account_no, own in places.items()}


async def _fold_batches(connection: Connection, batch_ids: list[int], windows: Sequence[Window]) -> ByAccount:
    """Fold the events that some batches have of the windows' accounts by the windows' rollups."""
    rollups: dict[int, dict[int, Rollup]] = {}
    for rollup in (window.span.rollup for window in windows):
        rollups.setdefault(rollup.layout.meter_no, {})[rollup.rollup_no] = rollup
    by_meter = {meter_no: list(own.values()) for meter_no, own in rollups.items()}
    total: ByAccount = {}
    account_nos = sorted({account_no for window in windows for account_no in window.span.account_nos})
    parameters = (account_nos, min(batch_ids), max(batch_ids), batch_ids)
    async for events in read_events(connection, EVENTS_OF_ACCOUNTS, *parameters):
        add_hours(total, fold(events, by_meter))
    return total
