"""Usage that accumulates, over the wire: what is owned, used and left, and what bills make of it (R5)."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ratel.rating.v1.accumulated_usage_pb2 import AccumulatedUsage
from ratel.rating.v1.line_item_pb2 import Accumulation
from ratel.rating.v1.rating_service_pb2 import QueryAccumulationsRequest
from tests.cases.accumulation import CASES
from tests.conftest import Served
from tests.server.billing import get, ran
from tests.server.example import failure, time
from tests.story import read_story
from tests.telling import Teller
from tests.told import Story

TOP_UP = CASES["case 29 (R5.4): a top-up, half a year"]


@pytest.fixture(scope="module")
def story() -> Story:
    return read_story(TOP_UP)


@pytest.fixture(scope="module")
async def teller(server: Served, story: Story) -> Teller:
    found = Teller(server, story, "top_up_")
    await found.tell()
    return found


async def test_a_top_up_shows_units_owned_used_and_left(teller: Teller) -> None:
    """Case 29 (R5.4)."""
    shown = [item.usage.accumulation for item in (await teller.rate()).line_items]
    assert [each.units_owned for each in shown] == ["4000", "6000", "8000", "8000", "10000", "16000"]
    assert [each.units_used for each in shown] == ["2800", "5300", "6300", "6300", "9700", "14700"]
    assert [each.units_left for each in shown] == ["1200", "700", "1700", "1700", "300", "1300"]
    assert {each.start_time.ToJsonString() for each in shown} == {"2024-07-01T00:00:00Z"}


async def test_what_is_left_can_be_asked_for_at_any_instant(teller: Teller) -> None:
    """R5.4: a rating that ends there."""

    async def left(day: str) -> Accumulation:
        rating = await teller.rate_period(time("2024-08-01"), time(day))
        return rating.line_items[-1].usage.accumulation

    assert (await left("2024-08-03")).units_left == "1200"
    assert (await left("2024-08-04")).units_left == "700"


async def test_without_blocks_nothing_is_owned(server: Served) -> None:
    teller = Teller(server, read_story(CASES["case 26 (R5.1): the third month alone"]), "plain_")
    await teller.tell()
    (item,) = (await teller.rate()).line_items
    assert (item.usage.accumulation.units_used, item.usage.accumulation.units_owned) == ("1100", "")
    assert (item.usage.before.units, item.usage.through.units) == ("500", "1100")


async def test_bills_of_a_top_up_charge_what_is_new(server: Served, teller: Teller, story: Story) -> None:
    """Case 29, billed month by month (R12.3)."""
    amounts = []
    for day in ("2024-08-01", "2024-09-01", "2024-10-01", "2024-11-01", "2024-12-01", "2025-01-01"):
        assert (await ran(server, teller.account_id, day)).changed
        amounts += [item.amount for item in (await get(server, teller.account_id, day)).line_items]
    assert amounts == [amount for _, amount in story.line_items]


# --- Asked for at an instant ------------------------------------------------------------------------------------------


async def accumulated(server: Served, account_id: str, **asked: Any) -> list[AccumulatedUsage]:
    request = QueryAccumulationsRequest(account_id=account_id, **asked)
    return list((await server.rating.QueryAccumulations(request)).accumulated_usages)


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        ("2024-06-30T23:59:59", []),
        ("2024-07-02", []),
        ("2024-07-03", [("2800", "4000", "1200")]),
        ("2024-08-02T23:59:59.999999", [("2800", "4000", "1200")]),
        ("2024-08-03", [("5300", "6000", "700")]),
        ("2024-12-31T12:00", [("14700", "16000", "1300")]),
        ("2025-01-01", []),
    ],
)
async def test_what_is_owned_used_and_left_at_an_instant(
    server: Served, teller: Teller, instant: str, shown: list[tuple[str, str, str]]
) -> None:
    """R5.4: usage at the very instant counts; outside the attachment there is nothing."""
    found = await accumulated(server, teller.account_id, time=time(instant))
    states = [each.accumulation for each in found]
    assert [(each.units_used, each.units_owned, each.units_left) for each in states] == shown


async def test_what_accumulates_is_named_and_can_be_told_apart(server: Served, teller: Teller) -> None:
    asked: dict[str, Any] = {"account_id": teller.account_id, "time": time("2024-08-03")}
    (one,) = await accumulated(server, **asked)
    assert one.accumulation.start_time == time("2024-07-01")
    assert one.aggregation_id.endswith("gb")
    assert await accumulated(server, **asked, product_id=one.product_id, pricing_id=one.pricing_id) == [one]
    assert await accumulated(server, **asked, product_id="other") == []
    assert await accumulated(server, **asked, pricing_id="other") == []


async def test_each_combination_and_the_price_in_force_at_the_instant(server: Served) -> None:
    """R5.1, R5.3: what was used before the price changed still counts."""
    text = """
        aggregation calls SUM n by=region
        price calls 0:1 accumulate segment=* to=2024-07-16
        price calls 0:2/10 accumulate segment=* from=2024-07-16
        attach 2024-06-01
        use 2024-06-03 n=4 region=eu
        use 2024-07-03 n=7 region=us
        use 2024-07-20 n=9 region=eu
        rate 2024-06-01 2024-08-01
    """
    teller = Teller(server, read_story(text), "apart_")
    await teller.tell()
    shown = {}
    for day in ("2024-07-10", "2024-07-18", "2024-07-20"):
        found = await accumulated(server, teller.account_id, time=time(day))
        shown[day] = [
            (each.segment["region"], each.accumulation.units_used, each.accumulation.units_left) for each in found
        ]
    assert shown == {
        "2024-07-10": [("eu", "4", ""), ("us", "7", "")],
        "2024-07-18": [("eu", "4", "6"), ("us", "7", "3")],
        "2024-07-20": [("eu", "13", "7"), ("us", "7", "3")],
    }


@pytest.mark.parametrize(
    ("changed", "code", "violations"),
    [
        ({"account_id": "nobody"}, "NOT_FOUND", set()),
        ({"time": None}, "INVALID_ARGUMENT", {("time", "REQUIRED")}),
        ({"time": Timestamp(seconds=2**60)}, "INVALID_ARGUMENT", {("time", "PERIOD_INVALID")}),
        ({"time": Timestamp(seconds=253402300799, nanos=999999999)}, "INVALID_ARGUMENT", {("time", "PERIOD_INVALID")}),
    ],
)
async def test_what_a_query_refuses(
    server: Served, teller: Teller, changed: dict[str, Any], code: str, violations: set[tuple[str, str]]
) -> None:
    asked: dict[str, Any] = {"account_id": teller.account_id, "time": time("2024-08-03")}
    failed = await failure(server.rating.QueryAccumulations(QueryAccumulationsRequest(**asked | changed)))
    assert (failed.code, failed.violations) == (code, violations)
