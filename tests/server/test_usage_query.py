"""UsageService on a real port: lists of stored events, and quantities."""

import asyncio
from typing import Any

import pytest

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.catalog.v1 import aggregation_pb2, catalog_service_pb2
from ratel.usage.v1 import usage_service_pb2
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from tests.conftest import Served
from tests.server.example import account, aggregation, create_example, event, failure, submit, time


@pytest.fixture(scope="module", autouse=True)
async def example(server: Served) -> None:
    await create_example(server)


async def test_events_are_listed_page_by_page(server: Served) -> None:
    await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=account(id="lister")))
    sent = [
        event(f"e{number}", account_id="lister", event_time=time(f"2024-07-0{1 + number % 3}"), values=values)
        for number, values in enumerate([{"gb": "1.50", "region": "ü"}, {}, {"gb": "-0"}, {"tier": "x"}, {"gb": "1"}])
    ]
    await submit(server, *sent)
    asked: dict[str, Any] = {
        "account_id": "lister",
        "start_time": time("2024-07-01"),
        "end_time": time("2024-07-03"),
        "page_size": 2,
    }
    listed: list[UsageEvent] = []
    token = ""
    while True:
        request = usage_service_pb2.ListUsageEventsRequest(**asked, page_token=token)
        response = await server.usage.ListUsageEvents(request)
        listed += response.events
        token = response.next_page_token
        if not token:
            break
    assert [each.event_id for each in listed] == ["e0", "e3", "e1", "e4"]
    assert [dict(each.values) for each in listed] == [{"gb": "1.5", "region": "ü"}, {"tier": "x"}, {}, {"gb": "1"}]
    assert listed[0].account_id == "lister"
    assert listed[0].meter_id == "storage"
    assert listed[0].event_time == time("2024-07-01")


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [
        ({"account_id": "nobody"}, "NOT_FOUND", "NOT_FOUND"),
        ({"meter_id": "nothing"}, "NOT_FOUND", "NOT_FOUND"),
        ({"page_token": "AAAA"}, "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"),
        ({"end_time": time("2024-07-01")}, "INVALID_ARGUMENT", "PERIOD_INVALID"),
        ({"page_size": 1001}, "INVALID_ARGUMENT", "INT32_GTE_LTE"),
    ],
)
async def test_what_a_list_refuses(server: Served, changed: dict[str, Any], code: str, reason: str) -> None:
    asked: dict[str, Any] = {"account_id": "acme", "start_time": time("2024-07-01"), "end_time": time("2024-07-03")}
    failed = await failure(server.usage.ListUsageEvents(usage_service_pb2.ListUsageEventsRequest(**asked | changed)))
    assert (failed.code, failed.reason) == (code, reason)


async def test_quantities_by_aggregation_segment_and_stretch(server: Served) -> None:
    """R2.2, R2.4: and what was just acknowledged counts at once, folded or not, backfilled or not."""
    await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=account(id="asker")))
    sent = [
        event(account_id="asker", event_time=time("2024-07-01T00:30"), values={"gb": "1", "region": "eu"}),
        event(account_id="asker", event_time=time("2024-07-01T23:00"), values={"gb": "2", "region": "us"}),
        event(account_id="asker", event_time=time("2024-07-02T00:00"), values={"gb": "4"}),
        event(account_id="asker", event_time=time("2024-07-03T00:00"), values={"gb": "8"}),
    ]
    await submit(server, *sent)
    mean = aggregation(id="mean", method=aggregation_pb2.AGGREGATION_METHOD_MEAN, segment_fields=["region"])
    for each in (aggregation(id="gb_sum"), mean):
        await server.catalog.CreateAggregation(catalog_service_pb2.CreateAggregationRequest(aggregation=each))
    asked = usage_service_pb2.QueryUsageRequest(
        account_id="asker",
        aggregation_ids=["mean", "gb_sum"],
        start_time=time("2024-07-01"),
        end_time=time("2024-07-03"),
    )
    response = await server.usage.QueryUsage(asked)
    assert [(each.aggregation_id, dict(each.segment), each.quantity) for each in response.quantities] == [
        ("mean", {"region": ""}, "4"),
        ("mean", {"region": "eu"}, "1"),
        ("mean", {"region": "us"}, "2"),
        ("gb_sum", {}, "7"),
    ]
    assert set(response.aggregation_ids_from_events) <= {"mean"}
    asked.grain = usage_service_pb2.USAGE_GRAIN_DAY
    asked.aggregation_ids[:] = ["gb_sum"]
    days = (await server.usage.QueryUsage(asked)).quantities
    assert [(each.start_time, each.end_time, each.quantity) for each in days] == [
        (time("2024-07-01"), time("2024-07-02"), "3"),
        (time("2024-07-02"), time("2024-07-03"), "4"),
    ]
    asked.grain = usage_service_pb2.USAGE_GRAIN_HOUR
    asked.start_time.CopyFrom(time("2024-07-01T00:30"))
    hours = (await server.usage.QueryUsage(asked)).quantities
    assert [(each.start_time, each.quantity) for each in hours] == [
        (time("2024-07-01T00:30"), "1"),
        (time("2024-07-01T23:00"), "2"),
        (time("2024-07-02T00:00"), "4"),
    ]


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [
        ({"account_id": "nobody"}, "NOT_FOUND", "NOT_FOUND"),
        ({"aggregation_ids": ["nothing"]}, "NOT_FOUND", "NOT_FOUND"),
        ({"aggregation_ids": []}, "INVALID_ARGUMENT", "REPEATED_MIN_ITEMS"),
        ({"end_time": time("2024-07-01")}, "INVALID_ARGUMENT", "PERIOD_INVALID"),
        (
            {"end_time": time("2034-07-01"), "grain": usage_service_pb2.USAGE_GRAIN_HOUR},
            "INVALID_ARGUMENT",
            "STRETCHES_TOO_MANY",
        ),
    ],
)
async def test_what_a_query_refuses(server: Served, changed: dict[str, Any], code: str, reason: str) -> None:
    asked: dict[str, Any] = {
        "account_id": "acme",
        "aggregation_ids": ["gb"],
        "start_time": time("2024-07-01"),
        "end_time": time("2024-07-03"),
    }
    failed = await failure(server.usage.QueryUsage(usage_service_pb2.QueryUsageRequest(**asked | changed)))
    assert (failed.code, failed.reason) == (code, reason)


async def test_a_level_goes_on_from_stretch_to_stretch(server: Served) -> None:
    """R2.7: and the level with which the time begins is that of all changes before."""
    await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=account(id="leveller")))
    changed = [("2023-11-11T11:11", "6"), ("2024-07-01T12:00", "2"), ("2024-07-03", "-8"), ("2024-07-05", "1")]
    sent = [event(account_id="leveller", event_time=time(when), values={"gb": gb}) for when, gb in changed]
    await submit(server, *sent)
    level = aggregation(id="level", method=aggregation_pb2.AGGREGATION_METHOD_WEIGHTED_SUM)
    await server.catalog.CreateAggregation(catalog_service_pb2.CreateAggregationRequest(aggregation=level))
    asked = usage_service_pb2.QueryUsageRequest(
        account_id="leveller",
        aggregation_ids=["level"],
        start_time=time("2024-07-01"),
        end_time=time("2024-07-05"),
        grain=usage_service_pb2.USAGE_GRAIN_DAY,
    )
    is_complete = False
    async with asyncio.timeout(30):
        while not is_complete:  # from events, then from buckets
            days = await server.usage.QueryUsage(asked)
            assert [each.quantity for each in days.quantities] == ["7", "8", "0", "0"]
            is_complete = not days.aggregation_ids_from_events
    asked.ClearField("grain")
    (whole,) = (await server.usage.QueryUsage(asked)).quantities
    assert whole.quantity == "3.75"
