"""The same million events twice, in other batches and order, from several streams: a million, and the same sums.

MILLION_EVENTS says how many there are; fewer unless it is set, so that the tests stay quick. CI sets it to 1000000.
"""

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest

from ratel.account.v1.account_service_pb2 import CreateAccountRequest
from ratel.client import Pace, open_channel, stream_usage
from ratel.store.recount import recount
from ratel.usage.v1.usage_event_pb2 import EventOutcome, UsageEvent
from ratel.usage.v1.usage_service_pb2 import USAGE_GRAIN_DAY, QueryUsageRequest, QueryUsageResponse
from tests.conftest import Served, served
from tests.server.example import account, create_example, time
from tests.store.metering import connected, random_uuid7

EVENTS = int(os.environ.get("MILLION_EVENTS", "60000"))
STREAMS = 4
ACCOUNTS = 20
START = time("2024-07-01").seconds
SECONDS = 30 * 86_400


def event_of(number: int) -> UsageEvent:
    """Return an event by its number: the same whenever it is made."""
    chance = random.Random(number)
    event = UsageEvent(
        account_id=f"acme-{number % ACCOUNTS}",
        meter_id="storage",
        event_id=random_uuid7(chance) if number % 3 else f"event-{number}",
        values={"gb": f"{number % 997}.{number % 10}", "region": ("eu", "us")[number % 2]},
    )
    event.event_time.seconds = START + chance.randrange(SECONDS)
    return event


async def stream(target: str, numbers: Sequence[int], per: int) -> tuple[int, int]:
    """Send the events of these numbers, and return how many were accepted and how many were there."""

    def events() -> Iterator[UsageEvent]:
        return map(event_of, numbers)

    accepted = duplicates = 0
    async with open_channel(target) as channel:
        async for receipt in stream_usage(channel, events(), Pace(events_per_message=per)):
            accepted += receipt.accepted_count
            duplicates += len(receipt.verdicts)
            assert {verdict.outcome for verdict in receipt.verdicts} <= {EventOutcome.EVENT_OUTCOME_DUPLICATE}
    return accepted, duplicates


async def stream_all(server: Served, numbers: Sequence[int], per: int) -> tuple[int, int]:
    parts = (stream(server.running.target, numbers[start::STREAMS], per) for start in range(STREAMS))
    counts = await asyncio.gather(*parts)
    return sum(accepted for accepted, _ in counts), sum(duplicates for _, duplicates in counts)


async def ask(server: Served, number: int) -> QueryUsageResponse:
    response: QueryUsageResponse = await server.usage.QueryUsage(
        QueryUsageRequest(
            account_id=f"acme-{number}",
            aggregation_ids=["gb"],
            start_time=time("2024-07-01"),
            end_time=time("2024-07-31"),
            grain=USAGE_GRAIN_DAY,
        )
    )
    return response


def expected(number: int) -> Decimal:
    return sum((Decimal(f"{each % 997}.{each % 10}") for each in range(number, EVENTS, ACCOUNTS)), Decimal(0))


@pytest.mark.timeout(120 + EVENTS // 2_000)
async def test_the_same_million_twice_is_a_million(fresh_database_url: str) -> None:
    """R13: the order and the batching of events, and sending them again, never change anything."""
    chance = random.Random(0)
    async with served(fresh_database_url) as server:
        await create_example(server)
        for number in range(ACCOUNTS):
            request = CreateAccountRequest(account=account(id=f"acme-{number}"))
            await server.accounts.CreateAccount(request)
        assert await stream_all(server, range(EVENTS), 1_000) == (EVENTS, 0)
        first = [await ask(server, number) for number in range(ACCOUNTS)]
        for number in range(ACCOUNTS):
            assert sum(Decimal(each.quantity) for each in first[number].quantities) == expected(number)
        shuffled = chance.sample(range(EVENTS), k=EVENTS)
        assert await stream_all(server, shuffled, 1_777) == (0, EVENTS)
        assert [await ask(server, number) for number in range(ACCOUNTS)] == first
    async with connected(fresh_database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM events") == EVENTS
        assert await connection.fetchval("SELECT count(*) FROM pending_batches") == 0
        assert await recount(connection) == []
