"""What callers are told where events are gone; the steps themselves are tests/store/test_retention.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from ratel.client import error_from_status
from ratel.rating.v1.rating_service_pb2 import RateAccountRequest, RateAccountsRequest
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from ratel.usage.v1.usage_service_pb2 import QueryUsageRequest, SubmitUsageRequest
from tests.conftest import Served
from tests.server.example import failure, time
from tests.story import read_story
from tests.telling import Teller
from tests.told import METER

STORY = """
    aggregation calls SUM calls
    price calls 0:1
    attach 2024-01-01
    use 2024-06-03T12:10 calls=10
    use 2024-06-03T12:50 calls=20
    rate 2024-06-01 2024-07-01
"""
LET_GO = (
    "UPDATE event_retention SET dropped_until = '2024-06-20T10:30Z', least_key = '018f0000-0000-0000-0000-000000000000'"
)
TAKE_BACK = "UPDATE event_retention SET dropped_until = NULL, least_key = NULL"
MOVE = "UPDATE catalog_revisions SET revision = revision + 1; UPDATE usage_revisions SET revision = revision + 1"
OLD_ID = "018e0000-0000-7000-8000-000000000001"


@asynccontextmanager
async def events_let_go(server: Served) -> AsyncIterator[None]:
    """Say that events are gone; the server is everybody's, so it is taken back."""
    connection = await asyncpg.connect(server.database_url)
    try:
        await connection.execute(f"{LET_GO};{MOVE}")
        yield
    finally:
        await connection.execute(f"{TAKE_BACK};{MOVE}")
        await connection.close()


END = time("2024-07-01")
WHOLE = RateAccountRequest(account_id="gone_account", start_time=time("2024-06-01"), end_time=END)
PART = RateAccountRequest(account_id="gone_account", start_time=time("2024-06-03T12:30"), end_time=END)
BESIDE = RateAccountRequest(account_id="gone_account", start_time=time("2024-06-03T12:10"), end_time=END)


async def all_is_folded(server: Served) -> None:
    connection = await asyncpg.connect(server.database_url)
    async with asyncio.timeout(20):
        while await connection.fetchval("SELECT EXISTS (SELECT FROM pending_batches)"):
            pass
    await connection.close()


async def test_a_cut_through_usage_is_refused(server: Served) -> None:
    await Teller(server, read_story(STORY), "gone_").tell()
    await all_is_folded(server)
    rated = await server.rating.RateAccount(WHOLE)
    beside = await server.rating.RateAccount(BESIDE)
    query = QueryUsageRequest(
        account_id="gone_account", aggregation_ids=["gone_calls"], start_time=PART.start_time, end_time=END
    )
    many = RateAccountsRequest(account_ids=["gone_account"], start_time=PART.start_time, end_time=END)
    async with events_let_go(server):
        again = await server.rating.RateAccount(WHOLE)
        assert again.account_rating.line_items == rated.account_rating.line_items
        again = await server.rating.RateAccount(BESIDE)
        assert again.account_rating.line_items == beside.account_rating.line_items
        for call in (server.rating.RateAccount(PART), server.usage.QueryUsage(query)):
            found = await failure(call)
            assert (found.code, found.reason) == ("FAILED_PRECONDITION", "EVENTS_DROPPED")
            assert found.metadata == {"dropped_until": "2024-06-20T10:30:00+00:00"}
        (response,) = [each async for each in server.rating.RateAccounts(many)]
        assert error_from_status(response.error).reason == "EVENTS_DROPPED"
    assert (await server.rating.RateAccount(PART)).account_rating.line_items


async def test_an_old_id_is_refused(server: Served) -> None:
    await Teller(server, read_story(STORY), "expired_").tell()
    event = UsageEvent(
        account_id="expired_account", meter_id=f"expired_{METER}", event_id=OLD_ID, event_time=time("2024-06-21")
    )
    async with events_let_go(server):
        other = UsageEvent(
            account_id="expired_account", meter_id=f"expired_{METER}", event_id="new", event_time=time("2024-06-21")
        )
        await server.usage.SubmitUsage(SubmitUsageRequest(events=[other]))  # shows that the catalog has moved
        await server.usage.SubmitUsage(SubmitUsageRequest(events=[other]))
        response = await server.usage.SubmitUsage(SubmitUsageRequest(events=[event]))
        (verdict,) = response.verdicts
        assert (verdict.reason, verdict.field) == ("EVENT_ID_EXPIRED", "event_id")
    response = await server.usage.SubmitUsage(SubmitUsageRequest(events=[event]))
    assert response.accepted_count == 1, "what is refused is asked of the database"
