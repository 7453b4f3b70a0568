"""Ingest: events acknowledged per second, against binary COPY and plain INSERT of such events into the same table.

The table grows by all of them alike. Between two measurements everything is folded, so that none pays for the one
before.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

import grpc

from bench.figure import Figure, Scale, time_of
from bench.stack import Stack
from bench.usual import TEXT, create_usual, usual_rate
from bench.workload import ACCOUNTS, COLUMNS, METER, Event, Numbers, Source, column_messages, copies, messages
from ratel.store.pool import Connection
from ratel.usage.v1.usage_service_pb2 import StreamUsageResponse

UsageMethod: TypeAlias = "grpc.aio.StreamStreamMultiCallable[bytes, StreamUsageResponse]"
STREAM = "/ratel.usage.v1.UsageService/StreamUsage"


@dataclass(frozen=True, slots=True)
class Shape:
    """How usage is sent.

    Attributes:
        streams: at once.
        size: events in a message.
        encode: makes the messages.
        is_long: many events are sent.
    """

    streams: int
    size: int
    encode: Callable[[Sequence[Event], int], list[bytes]] = messages
    is_long: bool = False


COLUMNAR = "ingest_columns"
SHAPES = {
    COLUMNAR: Shape(4, 5_000, column_messages, is_long=True),
    "ingest_simple": Shape(4, 1_000),
    "ingest_small": Shape(64, 100),
}

VS_USUAL = "ingest_vs_usual"
# Rows whose COPY is timed: enough for a rate.
COPIED = 500_000
ROWS_PER_COPY = 20_000
COPY = f"binary COPY into the same table, one connection, {ROWS_PER_COPY:,} rows a transaction"

ROWS_PER_INSERT = 1_000
INSERT = f"INSERT of arrays ON CONFLICT DO NOTHING into the same table, {ROWS_PER_INSERT:,} rows a transaction"
INSERT_EVENTS = """
    INSERT INTO events (event_key, event_time, batch_id, account_no, meter_no, measure, measures, strings)
    SELECT key, time, $1, account_no, $2, requests, ARRAY[megabytes], ARRAY[region, model]
    FROM unnest($3::uuid[], $4::timestamptz[], $5::integer[], $6::numeric[], $7::numeric[], $8::text[], $9::text[])
        AS sent (key, time, account_no, requests, megabytes, region, model)
    ON CONFLICT DO NOTHING
"""

FOLD_SECONDS = 300
FOLD_POLL_SECONDS = 0.005


async def measure_ingest(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure each shape until everything is acknowledged, and until everything is in the rollups."""
    endings = ("", "_folded", "_vs_insert")
    names = [name for name in SHAPES if not wanted or wanted & {f"{name}{each}" for each in endings}]
    if VS_USUAL in wanted and COLUMNAR not in names:
        names.append(COLUMNAR)
    if not names:
        return []
    await create_usual(stack.connection)
    numbers = await read_numbers(stack.connection)
    source, count = Source(), scale.ingest_events
    rates: dict[str, list[float]] = defaultdict(list)
    for run in range(scale.runs + 1):
        if run == 1:
            rates.clear()  # the first run only warms up
        rates["insert"].append(await _insert_rate(stack.connection, source.recent(count), numbers))
        rates["usual"].append(await usual_rate(stack.connection, source.recent(count // 5)))
        for name in names:
            size = count * (scale.long_factor if SHAPES[name].is_long else 1)
            rates[f"{name} copy"].append(await copy_rate(stack.connection, source.recent(min(size, COPIED)), numbers))
            acknowledged, folded = await stream_rates(stack, source.recent(size), SHAPES[name])
            rates[name].append(acknowledged)
            rates[f"{name}_folded"].append(folded)
    figures = [figure for name in names for figure in _figures(name, rates)]
    if COLUMNAR in names:
        figures.append(Figure(VS_USUAL, "events/s", TEXT, rates[COLUMNAR], rates["usual"]))
    return figures


def _figures(name: str, rates: dict[str, list[float]]) -> list[Figure]:
    limits = rates[f"{name} copy"]
    return [
        Figure(name, "events/s", COPY, rates[name], limits),
        Figure(f"{name}_folded", "events/s", COPY, rates[f"{name}_folded"], limits),
        Figure(f"{name}_vs_insert", "events/s", INSERT, rates[name], rates["insert"]),
    ]


async def read_numbers(connection: Connection) -> Numbers:
    """Return the numbers of the accounts and the meter, and a batch that no rollup asks for."""
    rows = await connection.fetch("SELECT id, account_no FROM accounts")
    found = {row["id"]: row["account_no"] for row in rows}
    meter_no = await connection.fetchval("SELECT meter_no FROM meters WHERE id = $1", METER)
    return Numbers([found[account_id] for account_id in ACCOUNTS], meter_no, batch=0)


# --- The service ------------------------------------------------------------------------------------------------------


async def stream_rates(stack: Stack, events: Sequence[Event], shape: Shape, repeats: int = 0) -> tuple[float, float]:
    """Return events per second until acknowledged, and until folded.

    Args:
        stack: see there.
        events: in the order in which they are sent.
        shape: see there.
        repeats: how many of them are stored already.
    """
    encoded = shape.encode(events, shape.size)
    acknowledging = send(
        stack, [encoded[number :: shape.streams] for number in range(shape.streams)], len(events) - repeats
    )
    seconds = await time_of(acknowledging)
    folding = await time_of(fold(stack.connection))
    return len(events) / seconds, len(events) / (seconds + folding)


async def send(stack: Stack, streams: Sequence[Sequence[bytes]], count: int) -> None:
    """Send messages over several streams at once, and see that so many events are accepted."""

    async def requests(encoded: Sequence[bytes]) -> AsyncIterator[bytes]:
        for each in encoded:
            yield each

    accepted = sum(await asyncio.gather(*(accepted_count(stack, requests(each)) for each in streams)))
    if accepted != count:
        raise AssertionError(f"{accepted} of {count} events were accepted")


async def accepted_count(stack: Stack, requests: AsyncIterator[bytes]) -> int:
    """Send messages over a stream, and return how many of their events are accepted."""
    responses = usage_method(stack.channel)(requests)
    return sum([each.accepted_count async for response in responses for each in response.acknowledgements])


def usage_method(channel: grpc.aio.Channel) -> UsageMethod:
    """Return StreamUsage for messages that are encoded already."""
    return channel.stream_stream(STREAM, response_deserializer=StreamUsageResponse.FromString)


async def fold(connection: Connection) -> None:
    """Wait until everything is in the rollups."""
    async with asyncio.timeout(FOLD_SECONDS):
        while await connection.fetchval("SELECT EXISTS (SELECT FROM pending_batches)"):  # noqa: ASYNC110
            await asyncio.sleep(FOLD_POLL_SECONDS)


# --- The limits -------------------------------------------------------------------------------------------------------


async def copy_rate(connection: Connection, events: Sequence[Event], numbers: Numbers) -> float:
    """Return rows per second."""
    encoded = copies(events, ROWS_PER_COPY, numbers)

    async def copy() -> None:
        for each in encoded:
            await copy_rows(connection, each)

    return len(events) / await time_of(copy())


async def copy_rows(connection: Connection, encoded: bytes) -> None:
    """Write encoded rows in a transaction of their own."""

    async def source() -> AsyncIterator[bytes]:
        yield encoded

    await connection.copy_to_table("events", source=source(), columns=COLUMNS, format="binary")


async def _insert_rate(connection: Connection, events: Sequence[Event], numbers: Numbers) -> float:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    rows = [
        (
            each.id,
            epoch + timedelta(microseconds=each.time),
            numbers.accounts[each.account],
            each.requests,
            Decimal(each.megabytes_hundredths).scaleb(-2),
            each.region,
            each.model,
        )
        for each in events
    ]
    starts = range(0, len(rows), ROWS_PER_INSERT)
    groups = [list(map(list, zip(*rows[start : start + ROWS_PER_INSERT], strict=True))) for start in starts]

    async def insert() -> None:
        for group in groups:
            await connection.execute(INSERT_EVENTS, numbers.batch, numbers.meter, *group)

    return len(events) / await time_of(insert())
