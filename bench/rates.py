"""RateAccount: a month of an account with five pricings, against an empty echo and against SQL that sums its events.

That its cost does not grow with the number of events is a figure of its own. Accounts are rated again and again; where
others write all the time, where their usage changes between two calls, and the first time, there is more to do, which
three more figures say.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from bench.figure import ECHO, Call, Figure, Scale, calls_per_second, echo_call, rates_in_turn, time_of
from bench.ingest import accepted_count, fold, send
from bench.stack import Stack
from bench.usual import SUM_TEXT, copy_to_usual, usual_sum
from bench.workload import ACCOUNTS, GROWTH_ACCOUNTS, METER, MODELS, RATED_ACCOUNTS, REGIONS, Source, messages
from ratel.core.instant import microseconds_from_instant
from ratel.rating.v1 import rating_service_pb2
from ratel.store.pool import Connection

RateMethod: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, rating_service_pb2.RateAccountResponse]"
RATE = "/ratel.rating.v1.RatingService/RateAccount"
CALLERS = {"rate_one": 1, "rate_many": 128, "rate_busy": 128}
BUSY = "rate_busy"
ONCE = ("rate_changed", "rate_first")
ROUNDS = 5
EVENTS_PER_ACCOUNT = 500
EVENTS_PER_MESSAGE = 5_000
SQL_CALLS = 20
GROWTH_CALLS = 50

# What comes in meanwhile, of other accounts: 1,000 events a second.
NEIGHBOUR_EVENTS = 20
NEIGHBOUR_SECONDS = 0.02

SQL = "one prepared statement that sums the same events; both one caller"
SUM_EVENTS = """
    SELECT strings[1] AS region, sum(measure), sum(measures[1]), max(measures[1]), count(*)
    FROM events
    WHERE account_no = (SELECT account_no FROM accounts WHERE id = $1) AND event_time >= $2 AND event_time < $3
    GROUP BY region
"""


async def measure_rates(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure one caller and many, and one against plain SQL."""
    names = [name for name in (*CALLERS, *ONCE, "rate_vs_sql") if not wanted or name in wanted]
    if not names:
        return []
    await _fill(stack, RATED_ACCOUNTS, len(RATED_ACCOUNTS) * EVENTS_PER_ACCOUNT)
    rate, echo = _rate_call(stack, RATED_ACCOUNTS, month()), echo_call(stack.echo)
    await calls_per_second(rate, 8, scale.call_seconds)  # warms up
    figures = []
    for name in names:
        if name == "rate_vs_sql":
            figures.append(await _against_sql(stack, scale, rate))
            continue
        if name in ONCE:
            figures.append(await _once(stack, scale, name))
            continue
        limits, samples = [], []
        for _ in range(scale.runs):
            async with _neighbour(stack, scale) if name == BUSY else nullcontext():
                limit, sample = await rates_in_turn(echo, rate, CALLERS[name], scale.call_seconds)
            limits.append(limit)
            samples.append(sample)
        figures.append(Figure(name, "calls/s", ECHO, samples, limits))
    return figures


@asynccontextmanager
async def _neighbour(stack: Stack, scale: Scale) -> AsyncIterator[None]:
    """Let usage of other accounts come in through the service, at a steady rate and for as long as it takes."""
    count = NEIGHBOUR_EVENTS * round(3 * scale.call_seconds / NEIGHBOUR_SECONDS)
    encoded = messages(Source().recent(count), NEIGHBOUR_EVENTS)
    is_over = asyncio.Event()

    async def requests() -> AsyncIterator[bytes]:
        for each in encoded:
            yield each
            with suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), NEIGHBOUR_SECONDS)
                return
        raise AssertionError("usage came in for too short a time")

    sending = asyncio.create_task(accepted_count(stack, requests()))
    try:
        yield
    finally:
        is_over.set()
    if not await sending % NEIGHBOUR_EVENTS == 0 < await sending:
        raise AssertionError("not all usage was accepted")


async def _once(stack: Stack, scale: Scale, name: str) -> Figure:
    """Measure one call for each account, whose usage has changed since the last, or for a period never asked for."""
    limits, samples = [], []
    echo, callers = echo_call(stack.echo), CALLERS["rate_many"]
    start, end = month()
    for _ in range(scale.runs):
        limits.append(await calls_per_second(echo, callers, scale.call_seconds))
        taken = 0.0
        for _ in range(ROUNDS):
            if name == "rate_changed":
                await _fill(stack, RATED_ACCOUNTS, len(RATED_ACCOUNTS), in_turn=True)
            else:  # less by whole hours, which are in the rollups too
                end -= timedelta(hours=1)
            rate = _rate_call(stack, RATED_ACCOUNTS, (start, end))
            places = iter(range(len(RATED_ACCOUNTS)))
            taken += await time_of(asyncio.gather(*(_each(rate, places) for _ in range(callers))))
        samples.append(ROUNDS * len(RATED_ACCOUNTS) / taken)
    return Figure(name, "calls/s", ECHO, samples, limits)


async def _each(call: Call, places: Iterator[int]) -> None:
    for place in places:
        await call(place)


# --- Growth -----------------------------------------------------------------------------------------------------------

# Straight into the tables, as ingest leaves them, so that the server folds them from the events.
LOAD_EVENTS = """
    INSERT INTO events (event_key, event_time, batch_id, account_no, meter_no, measure, measures, strings)
    SELECT (substr(encode(int8send($1::bigint), 'hex'), 5) || '7' || lpad(to_hex(n % 4096), 3, '0') || '8'
            || lpad(to_hex(n), 15, '0'))::uuid,
        $2::timestamptz + ($3::timestamptz - $2::timestamptz) * (n::float8 / $4::float8), $5, account_no, meter_no,
        1 + n % 500, ARRAY[(1 + n % 100000)::numeric / 100],
        ARRAY[($6::text[])[1 + n % 3], ($7::text[])[1 + n / 3 % 3]]
    FROM generate_series($8::bigint, $9::bigint) AS n, accounts, meters
    WHERE accounts.id = $10 AND meters.id = $11
"""
LOAD_PENDING = """
    INSERT INTO pending_batches
        (batch_id, owner, event_count, min_event_time, max_event_time, create_time, account_nos)
    SELECT batch_id, gen_random_uuid(), count(*), min(event_time), max(event_time), now() - interval '1 hour',
        array_agg(DISTINCT account_no)
    FROM events WHERE batch_id = $1 GROUP BY batch_id
"""
EVENTS_PER_BATCH = 500_000


async def measure_growth(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure a month with many events against one with few, and against the usual design."""
    if wanted and not wanted & {"rate_growth", "rate_vs_usual"}:
        return []
    counts = dict(zip(GROWTH_ACCOUNTS, scale.growth_events, strict=True))
    for account, count in counts.items():
        await load_events(stack.connection, account, count, month())
    usual, (few, *_, many) = GROWTH_ACCOUNTS[1], counts
    await copy_to_usual(stack.connection, ACCOUNTS[usual])
    times: dict[int, list[float]] = {account: [] for account in counts}
    usual_times = []
    calls = {account: _rate_call(stack, [account], month()) for account in counts}
    for _ in range(scale.runs):
        in_turn: dict[int, list[float]] = {account: [] for account in counts}
        for number in range(GROWTH_CALLS):
            for account, found in in_turn.items():
                found.append(1_000 * await time_of(calls[account](number)))
        for account, found in in_turn.items():
            times[account].append(median(found))
        usual_times.append(1_000 * await usual_sum(stack.connection, ACCOUNTS[usual], month()))
    for account, count in counts.items():
        stack.curves["rating"].append((count, median(times[account])))
    stack.curves["usual rating"].append((counts[usual], median(usual_times)))
    limit = f"a month of {counts[few]:,} events instead of {counts[many]:,}; lower is better"
    speeds = [1_000 / each for each in times[usual]], [1_000 / each for each in usual_times]
    return [
        Figure("rate_growth", "ms", limit, times[many], times[few]),
        Figure("rate_vs_usual", "calls/s", f"{SUM_TEXT}, {counts[usual]:,} of them; one caller", *speeds),
    ]


async def load_events(connection: Connection, account: int, count: int, period: tuple[datetime, datetime]) -> None:
    """Give an account so many events, evenly over a period, and wait until the server has folded them."""
    milliseconds = time.time_ns() // 1_000_000
    for first in range(0, count, EVENTS_PER_BATCH):
        last = min(first + EVENTS_PER_BATCH, count) - 1
        async with connection.transaction():
            batch_id = await connection.fetchval("SELECT nextval('batch_ids')")
            parameters = (milliseconds, *period, count, batch_id, list(REGIONS), list(MODELS), first, last)
            await connection.execute(LOAD_EVENTS, *parameters, ACCOUNTS[account], METER, timeout=600)
            await connection.execute(LOAD_PENDING, batch_id, timeout=600)
    await connection.execute("VACUUM ANALYZE events", timeout=600)
    await fold(connection)


async def _against_sql(stack: Stack, scale: Scale, rate: Call) -> Figure:
    statement = await stack.connection.prepare(SUM_EVENTS)
    start, end = month()

    async def query(number: int) -> None:
        await statement.fetch(ACCOUNTS[RATED_ACCOUNTS[number]], start, end)

    limits: list[float] = []
    samples: list[float] = []
    for _ in range(scale.runs):
        for call, found in ((query, limits), (rate, samples)):
            found.append(SQL_CALLS / sum([await time_of(call(number)) for number in range(SQL_CALLS)]))
    return Figure("rate_vs_sql", "calls/s", SQL, samples, limits)


def month() -> tuple[datetime, datetime]:
    """Return the last month of UTC that is over."""
    end = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (end - timedelta(days=1)).replace(day=1), end


async def _fill(stack: Stack, accounts: Sequence[int], count: int, *, in_turn: bool = False) -> None:
    """Send so many events, evenly over the month and the accounts, and see them folded.

    Args:
        stack: see there.
        accounts: any.
        count: of all of them.
        in_turn: whether each account has its share exactly, not by chance.
    """
    source = Source()
    start, end = map(microseconds_from_instant, month())
    for first in range(0, count, 100 * EVENTS_PER_MESSAGE):
        some = min(count - first, 100 * EVENTS_PER_MESSAGE)
        bounds = (start + (end - start) * first // count, start + (end - start) * (first + some) // count)
        events = source.events(some, accounts, bounds)
        if in_turn:
            events = [replace(each, account=accounts[n % len(accounts)]) for n, each in enumerate(events)]
        encoded = messages(events, EVENTS_PER_MESSAGE)
        await send(stack, [encoded[number::4] for number in range(4)], some)
    await fold(stack.connection)


def _rate_call(stack: Stack, accounts: Sequence[int], period: tuple[datetime, datetime]) -> Call:
    rate: RateMethod = stack.channel.unary_unary(
        RATE, response_deserializer=rating_service_pb2.RateAccountResponse.FromString
    )
    bounds = [Timestamp(), Timestamp()]
    for each, instant in zip(bounds, period, strict=True):
        each.FromDatetime(instant)
    requests = [
        rating_service_pb2.RateAccountRequest(
            account_id=ACCOUNTS[account], start_time=bounds[0], end_time=bounds[1]
        ).SerializeToString()
        for account in accounts
    ]

    async def call(number: int) -> None:
        response = await rate(requests[number % len(requests)])
        if not response.account_rating.line_items:
            raise AssertionError("nothing was rated")

    return call
