"""The same million events twice, in other batches and order, from several streams: a million, and the same bills.

In CI there are a million, which takes three minutes; elsewhere fewer, unless MILLION_EVENTS says how many.
"""

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest

from ratel.account.v1.account_service_pb2 import CreateAccountRequest, CreateAttachmentRequest
from ratel.catalog.v1.catalog_service_pb2 import CreatePricingRequest
from ratel.client import Pace, open_channel, stream_usage
from ratel.rating.v1.account_rating_pb2 import AccountRating
from ratel.rating.v1.rating_service_pb2 import RateAccountRequest
from ratel.store.recount import recount
from ratel.usage.v1.usage_event_pb2 import EventOutcome, UsageEvent
from tests.conftest import Served, served
from tests.server.example import account, attachment, create_example, pricing, time
from tests.store.metering import connected, random_uuid7

EVENTS = int(os.environ.get("MILLION_EVENTS", "1000000" if "CI" in os.environ else "60000"))
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


async def create_accounts(server: Served) -> None:
    """Put every account on a plan that charges 0.5 a GB."""
    await create_example(server)
    await server.catalog.CreatePricing(CreatePricingRequest(pricing=pricing()))
    for number in range(ACCOUNTS):
        name = f"acme-{number}"
        await server.accounts.CreateAccount(CreateAccountRequest(account=account(id=name)))
        attached = attachment(id=f"{name}-gold", account_id=name)
        await server.accounts.CreateAttachment(CreateAttachmentRequest(attachment=attached))


async def rate_july(server: Served) -> list[AccountRating]:
    period = {"start_time": time("2024-07-01"), "end_time": time("2024-08-01")}
    requests = [RateAccountRequest(account_id=f"acme-{number}", **period) for number in range(ACCOUNTS)]
    return [(await server.rating.RateAccount(request)).account_rating for request in requests]


def expected(number: int) -> Decimal:
    return sum((Decimal(f"{each % 997}.{each % 10}") for each in range(number, EVENTS, ACCOUNTS)), Decimal(0))


@pytest.mark.timeout(120 + EVENTS // 2_000)
async def test_the_same_million_twice_is_a_million(fresh_database_url: str) -> None:
    """R13: the order and the batching of events, and sending them again, never change anything."""
    chance = random.Random(0)
    async with served(fresh_database_url) as server:
        await create_accounts(server)
        assert await stream_all(server, range(EVENTS), 1_000) == (EVENTS, 0)
        bills = await rate_july(server)
        for number, bill in enumerate(bills):
            (item,) = bill.line_items
            assert Decimal(item.usage.through.quantity) == expected(number)
            assert Decimal(item.exact_amount) * 2 == expected(number)
        shuffled = chance.sample(range(EVENTS), k=EVENTS)
        assert await stream_all(server, shuffled, 1_777) == (0, EVENTS)
        assert await rate_july(server) == bills
    async with connected(fresh_database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM events") == EVENTS
        assert await connection.fetchval("SELECT count(*) FROM pending_batches") == 0
        assert await recount(connection) == []
