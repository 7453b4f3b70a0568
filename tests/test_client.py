"""The Python client against a real server: usage that arrives once whatever happens, and errors to act on."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import grpc
import pytest

from ratel.client import (
    CallError,
    Pace,
    Receipt,
    create_event_id,
    error_from,
    error_from_status,
    is_worth_repeating,
    open_channel,
    stream_usage,
)
from ratel.rating.v1.rating_service_pb2 import QuoteRequest, RateAccountsRequest
from ratel.rating.v1.rating_service_pb2_grpc import RatingServiceStub
from ratel.usage.v1.usage_event_pb2 import EventOutcome, UsageEvent
from tests.conftest import Served, command_environment, served
from tests.server.example import create_example, time

SMALL = Pace(events_per_message=10, messages_in_flight=4, backoff_seconds=0.01, backoff_seconds_max=0.1)
SECONDS = 60


@pytest.fixture(scope="module")
async def example(server: Served) -> Served:
    await create_example(server)
    return server


def event(event_id: str = "", account_id: str = "acme", gb: str = "1") -> UsageEvent:
    return UsageEvent(
        account_id=account_id,
        meter_id="storage",
        event_id=event_id,
        event_time=time("2024-07-05"),
        values={"gb": gb},
    )


def events(prefix: str, count: int) -> Iterator[UsageEvent]:
    return (event(f"{prefix}-{number}") for number in range(count))


async def send(target: str, sent: Iterable[UsageEvent] | AsyncIterator[UsageEvent]) -> list[Receipt]:
    async with asyncio.timeout(SECONDS), open_channel(target) as channel:
        return [receipt async for receipt in stream_usage(channel, sent, SMALL)]


async def count_events(url: str, prefix: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM events WHERE event_id LIKE $1 || '-%'", prefix))
    finally:
        await connection.close()


# --- Usage ------------------------------------------------------------------------------------------------------------


async def test_receipts_come_in_the_order_of_the_events(example: Served) -> None:
    receipts = await send(example.running.target, events("order", 95))
    assert [len(receipt.events) for receipt in receipts] == [10] * 9 + [5]
    ids = [each.event_id for receipt in receipts for each in receipt.events]
    assert ids == [f"order-{number}" for number in range(95)]
    assert sum(receipt.accepted_count for receipt in receipts) == 95


async def test_verdicts_name_their_events(example: Served) -> None:
    sent = [event("v-1"), event("v-2", account_id="nobody"), event("v-3")]
    (receipt,) = await send(example.running.target, sent)
    (verdict,) = receipt.verdicts
    assert (receipt.events[verdict.index].event_id, verdict.reason) == ("v-2", "ACCOUNT_UNKNOWN")
    (again,) = await send(example.running.target, [event("v-1"), event("v-3", gb="2")])
    assert [each.outcome for each in again.verdicts] == [
        EventOutcome.EVENT_OUTCOME_DUPLICATE,
        EventOutcome.EVENT_OUTCOME_CONFLICT,
    ]


async def test_an_event_without_an_id_is_given_one(example: Served) -> None:
    mine = event()
    (receipt,) = await send(example.running.target, [mine])
    assert len(receipt.events[0].event_id) == len(create_event_id()) == 36
    assert mine.event_id == ""


async def test_nothing_to_send_is_no_mistake(example: Served) -> None:
    assert await send(example.running.target, []) == []


async def test_an_event_does_not_wait_for_others_for_long(example: Served) -> None:
    more = asyncio.Event()

    async def slowly() -> AsyncIterator[UsageEvent]:
        yield event("slow-1")
        await more.wait()
        yield event("slow-2")

    async with asyncio.timeout(SECONDS), open_channel(example.running.target) as channel:
        arrived = []
        async for receipt in stream_usage(channel, slowly(), SMALL):
            arrived.append(receipt.events[0].event_id)
            more.set()
    assert arrived == ["slow-1", "slow-2"]


async def test_no_more_is_taken_than_may_be_in_flight(example: Served) -> None:
    taken = 0

    def counted() -> Iterator[UsageEvent]:
        nonlocal taken
        for each in events("bounded", 1000):
            taken += 1
            yield each

    async with open_channel(example.running.target) as channel:
        async for _ in stream_usage(channel, counted(), SMALL):
            break
    assert taken <= 10 * (4 + 2)  # what is in flight, what grows, and what the first receipt made room for


async def test_a_mistake_of_the_caller_is_raised_after_what_was_taken_is_durable(example: Served) -> None:
    def failing() -> Iterator[UsageEvent]:
        yield from events("failing", 15)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await send(example.running.target, failing())
    assert await count_events(example.database_url, "failing") == 15


async def test_what_repeating_does_not_heal_is_raised(example: Served) -> None:
    channel = grpc.aio.insecure_channel(example.running.target, options=[("grpc.max_receive_message_length", 1)])
    with pytest.raises(grpc.aio.AioRpcError) as caught:  # no answer is that short
        await anext(stream_usage(channel, [event("too-long")]))
    assert not is_worth_repeating(caught.value)
    await channel.close()


async def test_a_server_that_moves_in_mid_stream_loses_and_doubles_nothing(fresh_database_url: str) -> None:
    async with asyncio.timeout(SECONDS):
        first = await Moving(fresh_database_url).start()
        accepted = moves = 0
        async with open_channel(first.target) as channel:
            async for receipt in stream_usage(channel, events("moved", 3000), SMALL):
                accepted += receipt.accepted_count
                if accepted > 700 * (moves + 1) and moves < 3:
                    moves += 1
                    await first.move()
        await first.end()
    assert moves == 3
    assert await count_events(fresh_database_url, "moved") == 3000
    assert accepted <= 3000  # what was stored just before a move is a duplicate when it is sent again


class Moving:
    """A server that ends and comes back at the same address."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.target = "127.0.0.1:0"

    async def start(self) -> "Moving":
        self._context = served(self._url, listen=self.target)
        server = await self._context.__aenter__()
        if self.target.endswith(":0"):
            await create_example(server)
        self.target = server.running.target
        return self

    async def end(self) -> None:
        await self._context.__aexit__(None, None, None)

    async def move(self) -> None:
        await self.end()
        await self.start()


async def test_a_server_that_is_killed_in_mid_stream_loses_and_doubles_nothing(
    fresh_database_url: str, tmp_path: Path
) -> None:
    async with served(fresh_database_url) as server:
        await create_example(server)
        target = server.running.target  # free again in a moment, and known
    async with asyncio.timeout(SECONDS), started(fresh_database_url, target, tmp_path) as process:
        current = process
        accepted = 0
        async with open_channel(target) as channel:
            async for receipt in stream_usage(channel, events("killed", 3000), SMALL):
                accepted += receipt.accepted_count
                if accepted > 500 and current is process:
                    process.kill()
                    await process.wait()
                    current = await start(fresh_database_url, target, tmp_path)
        current.send_signal(signal.SIGTERM)
        assert await current.wait() == 0
    assert await count_events(fresh_database_url, "killed") == 3000


@asynccontextmanager
async def started(url: str, target: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await start(url, target, folder)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def start(url: str, target: str, folder: Path) -> asyncio.subprocess.Process:
    """Start `ratel serve` in a process of its own; calls find it when it is there."""
    settings = {"RATEL_DATABASE_URL": url, "RATEL_LISTEN": target, "RATEL_METRICS_LISTEN": ""}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ratel", "serve"),
        env=command_environment(**settings),
        cwd=folder,
        stderr=asyncio.subprocess.DEVNULL,
    )


# --- Errors -----------------------------------------------------------------------------------------------------------


async def test_an_error_says_all_that_the_server_says(example: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await RatingServiceStub(example.channel).Quote(QuoteRequest(quantity="x"))
    said = error_from(caught.value)
    assert (said.code, bool(said.request_id), said.retry_seconds) == (3, True, None)
    assert [violation.field for violation in said.violations] == ["quantity", "bands", "cumulative"]
    assert not is_worth_repeating(caught.value)


async def test_an_error_that_no_server_sent_is_told_apart(example: Served) -> None:
    async with open_channel("127.0.0.1:1") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await RatingServiceStub(channel).Quote(QuoteRequest())
    said = error_from(caught.value)
    assert (said.code, said.reason, said.violations) == (14, "", ())
    assert is_worth_repeating(caught.value)


async def test_the_error_of_one_among_many_is_read_alike(example: Served) -> None:
    request = RateAccountsRequest(account_ids=["nobody"], start_time=time("2024-07-01"), end_time=time("2024-08-01"))
    (response,) = [each async for each in RatingServiceStub(example.channel).RateAccounts(request)]
    said = error_from_status(response.error)
    metadata = {"resource": "account", "id": "nobody"}
    assert said == CallError(5, "account 'nobody' does not exist", "NOT_FOUND", metadata)


def test_waits_grow_to_a_bound_and_differ() -> None:
    pace = Pace(backoff_seconds=1, backoff_seconds_max=60)
    for attempt, longest in ((0, 1), (1, 2), (5, 32), (6, 60), (10_000, 60)):
        waits = {pace.backoff(attempt) for _ in range(20)}
        assert len(waits) > 1
        assert all(longest / 2 <= wait <= longest for wait in waits)
