"""Usage events in Postgres: appended exactly once, listed, and numbered by accounts and meters.

An event is its account and its key, for ever. Whoever appends learns of each event whether it was stored now, was there
already with the same content, or is there with other content.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

from asyncpg.pgproto import pgproto

from ratel.core.event import Events
from ratel.core.instant import instant_from_microseconds, microseconds_from_instant
from ratel.store.lock import LOCK_INGEST_SHARED
from ratel.store.pool import Connection, until_lost, while_asked

T = TypeVar("T")

# Rows that are in memory at once when many events are read.
ROWS_PER_FETCH: Final = 10_000
# Rows that are encoded before others get their turn: some milliseconds.
ROWS_PER_TURN: Final = 500
EVENT_COLUMNS: Final = (
    "event_key",
    "event_time",
    "account_no",
    "meter_no",
    "measure",
    "measures",
    "strings",
    "event_id",
)

Span: TypeAlias = tuple[int, int, int, Sequence[int]]
"""Of events that are stored: how many there are, at least one, the first and the last of their times, and the numbers
of their accounts, each once."""

# Below every id of a batch.
NO_BATCH: Final = 0

# Stored events are always looked up by key: the planner may else hash all of them, or keep to a plan from when a
# partition was empty.
PROBE_BY_KEY = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
# What takes the number is another statement: it must be taken under the lock.
BEGIN_BATCH = f"BEGIN; {LOCK_INGEST_SHARED}; {PROBE_BY_KEY}"
NEXT_BATCH = "SELECT nextval('batch_ids') AS batch_id, revision FROM catalog_revisions"
# The same for a batch whose events are known before they are stored, with its row of `INSERT_PENDING`.
NEXT_PENDING_BATCH = """
    INSERT INTO pending_batches
        (batch_id, owner, event_count, min_event_time, max_event_time, account_nos, create_time)
    VALUES (nextval('batch_ids'), $1, $2, $3, $4, $5, clock_timestamp())
    RETURNING batch_id, (SELECT revision FROM catalog_revisions) AS revision
"""
CREATE_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS staged_events (LIKE events) ON COMMIT DELETE ROWS"
INSERT_STAGED = """
    INSERT INTO events (event_key, event_time, batch_id, account_no, meter_no, measure, measures, strings, event_id)
    SELECT event_key, event_time, batch_id, account_no, meter_no, measure, measures, strings, event_id
    FROM staged_events
    ON CONFLICT DO NOTHING
"""
# The sent keys are a parameter, not the stage: Citus does not join a temporary table with a distributed one.
SELECT_OTHERS = """
    SELECT e.batch_id, e.event_key, e.event_time, e.account_no, e.meter_no, e.measure, e.measures, e.strings, e.event_id
    FROM unnest($1::uuid[], $2::integer[]) AS sent (event_key, account_no)
    JOIN events AS e ON e.event_key = sent.event_key AND e.account_no = sent.account_no
    WHERE e.batch_id <> $3
"""
INSERT_USED_METERS = "INSERT INTO used_meters (meter_no) SELECT unnest($1::integer[]) ON CONFLICT DO NOTHING"
INSERT_PENDING = """
    INSERT INTO pending_batches
        (batch_id, owner, event_count, min_event_time, max_event_time, account_nos, create_time)
    VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
"""
SELECT_ACCOUNTS = "SELECT id, account_no FROM accounts WHERE id = ANY($1::text[])"
# The id of a key that is not hashed is its text. With 0 added to the account, so that the planner goes by time.
LIST_EVENTS = """
    SELECT event_key, event_time, account_no, meter_no, measure, measures, strings, event_id
    FROM events
    WHERE account_no + 0 = $1 AND event_time >= $3 AND event_time < $5 AND ($2::integer IS NULL OR meter_no = $2)
        AND (event_time, coalesce(event_id, event_key::text COLLATE "C")) > ($3, $4)
    ORDER BY event_time, coalesce(event_id, event_key::text COLLATE "C")
    LIMIT $6
"""


# --- Rows -------------------------------------------------------------------------------------------------------------


def events_from_rows(rows: Sequence[Any]) -> Events:
    """Return the events of rows that have at least the columns `EVENT_COLUMNS`."""
    events = Events()
    events.keys.extend([row["event_key"].bytes for row in rows])
    events.ids.extend([row["event_id"] for row in rows])
    events.times.extend([microseconds_from_instant(row["event_time"]) for row in rows])
    events.account_nos.extend([row["account_no"] for row in rows])
    events.meter_nos.extend([row["meter_no"] for row in rows])
    events.measures.extend([row["measure"] for row in rows])
    events.further_measures.extend([row["measures"] for row in rows])
    events.strings.extend([row["strings"] for row in rows])
    return events


async def read_events(connection: Connection, statement: str, *parameters: object) -> AsyncIterator[Events]:
    """Yield the events that a statement selects, some at a time; inside a transaction."""
    cursor = await connection.cursor(statement, *parameters)
    while rows := await cursor.fetch(ROWS_PER_FETCH):
        yield events_from_rows(rows)


async def politely(rows: Iterable[tuple[object, ...]]) -> AsyncIterator[tuple[object, ...]]:
    """Yield rows to be copied, and let others work now and then: to encode many takes long."""
    for count, row in enumerate(rows):
        if not count % ROWS_PER_TURN:
            await asyncio.sleep(0)
        yield row


def _rows_of(events: Events, batch_id: int, places: Iterable[int]) -> Iterable[tuple[object, ...]]:
    return (
        (
            pgproto.UUID(events.keys[place]),
            instant_from_microseconds(events.times[place]),
            batch_id,
            events.account_nos[place],
            events.meter_nos[place],
            events.measures[place],
            events.further_measures[place],
            events.strings[place],
            events.ids[place],
        )
        for place in places
    )


# --- Appending --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of events, as places among those given.

    Attributes:
        stored: written by this batch.
        stored_before: written by an earlier batch of the same group: stored once, and by us.
        duplicates: were there with the same content.
        conflicts: are there with other content, which stays.
    """

    stored: list[int] = field(default_factory=list)
    stored_before: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)


@asynccontextmanager
async def batch_transaction(connection: Connection, meanwhile: Callable[[], T]) -> AsyncIterator[T]:
    """Open a transaction that may take the id of a batch, and commit it at the end of the block; else undo it.

    By statements of our own, because each that waits for an answer makes all senders of the batch wait.

    Args:
        connection: not in a transaction.
        meanwhile: computes what the block is given, while Postgres begins.
    """
    try:
        _, computed = await while_asked(connection.execute(BEGIN_BATCH), meanwhile)
        yield computed
    except BaseException:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise
    await connection.execute("COMMIT")


async def next_batch(connection: Connection) -> tuple[int, int]:
    """Return the id of a new batch and the catalog's revision; in its `batch_transaction`, before it stores events."""
    (row,) = await connection.fetch(NEXT_BATCH)
    return row["batch_id"], row["revision"]


async def next_pending_batch(connection: Connection, owner: UUID, stored: Span) -> tuple[int, int]:
    """Do what `next_batch` and `add_pending` do, where it is known before what will be stored."""
    (row,) = await connection.fetch(NEXT_PENDING_BATCH, owner, *_pending_of(stored))
    return row["batch_id"], row["revision"]


async def append(connection: Connection, batch_id: int, events: Events, earlier: Collection[int] = ()) -> Appended:
    """Store those events that are not stored yet; inside the transaction that took the batch's id.

    Args:
        connection: of which `CREATE_STAGE` has been executed.
        batch_id: of `next_batch`.
        events: any, repeats among them included: the first of them is tried, the others are compared with what is
            stored in the end.
        earlier: the batches in which these events were tried before, with an outcome that was lost.
    """
    firsts, repeats = _apart(events)
    rows = _rows_of(events, batch_id, firsts)
    columns = ("event_key", "event_time", "batch_id", *EVENT_COLUMNS[2:])
    copying = connection.copy_records_to_table("staged_events", records=politely(rows), columns=columns)
    await until_lost(connection, copying)
    status = await connection.execute(INSERT_STAGED)
    count = int(status.split()[-1])
    others = {} if count == len(firsts) else await _read_others(connection, batch_id, events, firsts)
    appended = _outcomes(events, (firsts, repeats), others, earlier)
    if len(appended.stored) != count:
        raise AssertionError(f"{count} events were stored, but {len(appended.stored)} are not of others")
    return appended


async def compare(connection: Connection, events: Events) -> Appended:
    """Tell what would become of events, and store nothing; in a `batch_transaction`.

    Args:
        connection: see there.
        events: as for `append`.
    """
    firsts, repeats = _apart(events)
    others = await _read_others(connection, NO_BATCH, events, firsts) if firsts else {}
    return _outcomes(events, (firsts, repeats), others, ())


def _apart(events: Events) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the places of the first of each key in the order of keys, and each repeat with its first.

    The order lets the index grow at its end, and lets groups that share keys wait for each other in one direction.
    """
    keys, account_nos = events.keys, events.account_nos
    identities = list(zip(keys, account_nos, strict=True))
    order = sorted(range(len(events)), key=identities.__getitem__)  # stable: the first sent comes first
    firsts: list[int] = []
    repeats: list[tuple[int, int]] = []
    for place in order:
        if firsts and identities[firsts[-1]] == identities[place]:
            repeats.append((place, firsts[-1]))
        else:
            firsts.append(place)
    return firsts, repeats


_Identity = tuple[bytes, int]
_Stored = tuple[int, tuple[object, ...]]


async def _read_others(
    connection: Connection, batch_id: int, events: Events, firsts: list[int]
) -> dict[_Identity, _Stored]:
    """Return batch and content of what other batches have stored under the same keys."""
    keys = [pgproto.UUID(events.keys[place]) for place in firsts]
    rows = await connection.fetch(SELECT_OTHERS, keys, [events.account_nos[place] for place in firsts], batch_id)
    stored = events_from_rows(rows)
    return {
        (stored.keys[place], stored.account_nos[place]): (row["batch_id"], stored.content_at(place))
        for place, row in enumerate(rows)
    }


def _outcomes(
    events: Events,
    apart: tuple[list[int], list[tuple[int, int]]],
    others: dict[_Identity, _Stored],
    earlier: Collection[int],
) -> Appended:
    firsts, repeats = apart
    appended = Appended()
    if not others and not repeats:
        appended.stored.extend(firsts)
        return appended
    for place in firsts:
        other = others.get((events.keys[place], events.account_nos[place]))
        if other is None:
            appended.stored.append(place)
        elif other[0] in earlier:
            appended.stored_before.append(place)
        else:
            same = other[1] == events.content_at(place)
            (appended.duplicates if same else appended.conflicts).append(place)
    for place, first in repeats:
        other = others.get((events.keys[place], events.account_nos[place]))
        content = events.content_at(first) if other is None else other[1]
        same = content == events.content_at(place)
        (appended.duplicates if same else appended.conflicts).append(place)
    return appended


async def add_pending(connection: Connection, batch_id: int, owner: UUID, stored: Span) -> None:
    """Note that the events which this batch stored are not in the rollups yet.

    Args:
        connection: in the batch's transaction.
        batch_id: see there.
        owner: the process that folds it soonest.
        stored: see there.
    """
    await connection.execute(INSERT_PENDING, batch_id, owner, *_pending_of(stored))


def _pending_of(stored: Span) -> tuple[int, datetime, datetime, Sequence[int]]:
    count, first, last, account_nos = stored
    return count, instant_from_microseconds(first), instant_from_microseconds(last), account_nos


async def mark_used(connection: Connection, meter_nos: Iterable[int]) -> None:
    """Note that meters have events, so that they are not deleted.

    Raises:
        asyncpg.ForeignKeyViolationError: one of them has been deleted.
    """
    await connection.execute(INSERT_USED_METERS, sorted(meter_nos))


# --- Reading ----------------------------------------------------------------------------------------------------------


async def read_account_nos(connection: Connection, account_ids: Iterable[str]) -> dict[str, int]:
    """Return the numbers of those accounts that exist."""
    rows = await connection.fetch(SELECT_ACCOUNTS, list(account_ids))
    return {row["id"]: row["account_no"] for row in rows}


@dataclass(frozen=True, slots=True)
class EventPage:
    """Which events of an account are listed.

    Attributes:
        meter_no: only of this meter; None for all.
        after: event_time and id of the last event of the page before; the first page is after its start time and "".
        end_time: the first instant that is not listed.
    """

    account_no: int
    meter_no: int | None
    after: tuple[datetime, str]
    end_time: datetime


async def list_events(connection: Connection, page: EventPage, count: int) -> Events:
    """Return at most so many events by event_time, then id."""
    rows = await connection.fetch(LIST_EVENTS, page.account_no, page.meter_no, *page.after, page.end_time, count)
    return events_from_rows(rows)
