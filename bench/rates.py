"""RateAccount: a month of an account with five pricings, against an empty echo and against SQL that sums its events.

That its cost does not grow with the number of events is a figure of its own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

from google.protobuf.timestamp_pb2 import Timestamp

from bench.figure import ECHO, Call, Figure, Scale, calls_per_second, echo_call, time_of
from bench.ingest import fold, send
from bench.stack import Stack
from bench.workload import ACCOUNTS, FEW_ACCOUNT, MANY_ACCOUNT, RATED_ACCOUNTS, Source, messages
from ratel.core.instant import microseconds_from_instant
from ratel.rating.v1 import rating_service_pb2, rating_service_pb2_grpc

CALLERS = {"rate_one": 1, "rate_many": 128}
EVENTS_PER_ACCOUNT = 500
EVENTS_PER_MESSAGE = 5_000
SQL_CALLS = 20
GROWTH_CALLS = 50

SQL = "one prepared statement that sums the same events; both one caller"
SUM_EVENTS = """
    SELECT strings[1] AS region, sum(measure), sum(measures[1]), max(measures[1]), count(*)
    FROM events
    WHERE account_no = (SELECT account_no FROM accounts WHERE id = $1) AND event_time >= $2 AND event_time < $3
    GROUP BY region
"""


async def measure_rates(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure one caller and many, and one against plain SQL."""
    names = [name for name in (*CALLERS, "rate_vs_sql") if not wanted or name in wanted]
    if not names:
        return []
    await _fill(stack, RATED_ACCOUNTS, len(RATED_ACCOUNTS) * EVENTS_PER_ACCOUNT)
    rate, echo = _rate_call(stack, RATED_ACCOUNTS), echo_call(stack.echo)
    await calls_per_second(rate, 8, scale.call_seconds)  # warms up
    figures = []
    for name in names:
        if name == "rate_vs_sql":
            figures.append(await _against_sql(stack, scale, rate))
            continue
        limits, samples = [], []
        for _ in range(scale.runs):
            limits.append(await calls_per_second(echo, CALLERS[name], scale.call_seconds))
            samples.append(await calls_per_second(rate, CALLERS[name], scale.call_seconds))
        figures.append(Figure(name, "calls/s", ECHO, samples, limits))
    return figures


async def measure_growth(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure a month with many events against one with few."""
    if wanted and "rate_growth" not in wanted:
        return []
    few, many = scale.growth_events
    accounts = {FEW_ACCOUNT: few, MANY_ACCOUNT: many}
    for account, count in accounts.items():
        await _fill(stack, [account], count)
    times: dict[int, list[float]] = {account: [] for account in accounts}
    for _ in range(scale.runs):
        for account, found in times.items():
            call = _rate_call(stack, [account])
            found.append(median([1_000 * await time_of(call(number)) for number in range(GROWTH_CALLS)]))
    limit = f"a month of {few:,} events instead of {many:,}; lower is better"
    return [Figure("rate_growth", "ms", limit, times[MANY_ACCOUNT], times[FEW_ACCOUNT])]


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


async def _fill(stack: Stack, accounts: Sequence[int], count: int) -> None:
    """Send so many events, evenly over the month and the accounts, and see them folded."""
    source = Source()
    start, end = map(microseconds_from_instant, month())
    for first in range(0, count, 100 * EVENTS_PER_MESSAGE):
        some = min(count - first, 100 * EVENTS_PER_MESSAGE)
        bounds = (start + (end - start) * first // count, start + (end - start) * (first + some) // count)
        encoded = messages(source.events(some, accounts, bounds), EVENTS_PER_MESSAGE)
        await send(stack, [encoded[number::4] for number in range(4)], some)
    await fold(stack.connection)


def _rate_call(stack: Stack, accounts: Sequence[int]) -> Call:
    stub = rating_service_pb2_grpc.RatingServiceStub(stack.channel)
    bounds = [Timestamp(), Timestamp()]
    for each, instant in zip(bounds, month(), strict=True):
        each.FromDatetime(instant)
    requests = [
        rating_service_pb2.RateAccountRequest(account_id=ACCOUNTS[account], start_time=bounds[0], end_time=bounds[1])
        for account in accounts
    ]

    async def call(number: int) -> None:
        response = await stub.RateAccount(requests[number % len(requests)])
        if not response.account_rating.line_items:
            raise AssertionError("nothing was rated")

    return call
