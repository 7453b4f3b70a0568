"""RatingService over the wire: quotes, one account, many accounts, and everything that is refused."""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.request import urlopen

import grpc
import pytest
from google.rpc.status_pb2 import Status

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.catalog.v1.aggregation_pb2 import AGGREGATION_METHOD_COUNT as METHOD_COUNT
from ratel.catalog.v1.aggregation_pb2 import ROUNDING_UP
from ratel.catalog.v1.catalog_service_pb2 import CreateAggregationRequest, CreatePricingRequest, DeletePricingRequest
from ratel.catalog.v1.pricing_pb2 import (
    PRICING_TYPE_PACKAGE,
    PRICING_TYPE_STAIRSTEP,
    PRICING_TYPE_TIERED,
    PRICING_TYPE_VOLUME,
    Band,
)
from ratel.client import error_from_status
from ratel.rating.v1 import line_item_pb2
from ratel.rating.v1.rating_service_pb2 import (
    QuoteRequest,
    QuoteResponse,
    RateAccountRequest,
    RateAccountsRequest,
    RateAccountsResponse,
)
from tests.conftest import Served
from tests.server import example
from tests.server.example import failure, time
from tests.story import read_story
from tests.telling import Teller

# --- Quotes -----------------------------------------------------------------------------------------------------------

TIERS = [Band(lower_limit="0", unit_price="0.15"), Band(lower_limit="500", unit_price="0.10")]


async def quote(server: Served, **fields: Any) -> QuoteResponse:
    response: QuoteResponse = await server.rating.Quote(QuoteRequest(**{"bands": TIERS} | fields))
    return response


async def test_a_quote_shows_its_workings(server: Served) -> None:
    response = await quote(server, quantity="700000", quantity_per_unit="1000", cumulative=True, currency="USD")
    assert (response.amount, response.pricing_type) == ("95.00", PRICING_TYPE_TIERED)
    priced = response.priced_quantity
    assert (priced.quantity, priced.units, priced.amount) == ("700000", "700", "95")
    assert [(each.lower_limit, each.upper_limit, each.units, each.amount) for each in priced.band_usages] == [
        ("0", "500", "500", "75"),
        ("500", "", "200", "20"),
    ]
    assert response.average_unit_price.startswith("0.1357142857")
    assert len(response.average_unit_price) == len("0.") + 50


async def test_a_quote_without_a_currency_is_exact(server: Served) -> None:
    assert (await quote(server, quantity="0.001", cumulative=True)).amount == "0.00015"
    assert (await quote(server, quantity="0", cumulative=True)).average_unit_price == ""


async def test_a_quote_rounds_in_the_currency_half_away_from_zero(server: Served) -> None:
    bands = [Band(lower_limit="0", unit_price="-0.5")]
    for currency, amount in (("JPY", "-3"), ("USD", "-2.50"), ("KWD", "-2.500")):
        assert (await quote(server, quantity="5", cumulative=True, bands=bands, currency=currency)).amount == amount


async def test_a_pricing_type_stands_for_cumulative(server: Served) -> None:
    assert (await quote(server, quantity="501", pricing_type=PRICING_TYPE_VOLUME, currency="USD")).amount == "50.10"
    blocks = [Band(lower_limit="0", unit_price="5", block_size="1000")]
    response = await quote(server, quantity="1001", pricing_type=PRICING_TYPE_PACKAGE, cumulative=False, bands=blocks)
    assert (response.amount, response.priced_quantity.band_usages[0].block_count) == ("10", "2")


async def test_units_are_rounded_on_the_exact_ratio(server: Served) -> None:
    """R1.6: a third is rounded up, but 1000/500 is not."""
    for quantity, per_unit, units in (("1000", "500", "2"), ("1", "3", "1")):
        response = await quote(
            server, quantity=quantity, quantity_per_unit=per_unit, rounding=ROUNDING_UP, cumulative=True
        )
        assert response.priced_quantity.units == units


@pytest.mark.parametrize(
    ("fields", "violations"),
    [
        ({"quantity": "NaN", "cumulative": True}, {("quantity", "STRING_PATTERN")}),
        ({"quantity": "1" * 39, "cumulative": True}, {("quantity", "STRING_PATTERN")}),
        ({"quantity": "1" * 30 + ".123456789", "cumulative": True}, {("quantity", "DECIMAL_RANGE")}),
        ({"quantity": "1"}, {("cumulative", "FIELD_REQUIRED")}),
        # Shape and rules of the domain together.
        (
            {"quantity": "1e9", "currency": "USX"},
            {("quantity", "STRING_PATTERN"), ("currency", "CURRENCY_UNKNOWN"), ("cumulative", "FIELD_REQUIRED")},
        ),
        ({"quantity": "1", "cumulative": True, "bands": []}, {("bands", "REPEATED_MIN_ITEMS")}),
        (
            {"quantity": "1", "cumulative": True, "quantity_per_unit": "0", "currency": "USX"},
            {("quantity_per_unit", "DECIMAL_RANGE"), ("currency", "CURRENCY_UNKNOWN")},
        ),
        (
            {"quantity": "1", "cumulative": True, "pricing_type": PRICING_TYPE_STAIRSTEP},
            {
                ("cumulative", "PRICING_TYPE"),
                ("bands[0].unit_price", "PRICING_TYPE"),
                ("bands[1].unit_price", "PRICING_TYPE"),
            },
        ),
        (
            {"quantity": "1", "cumulative": True, "quantity_per_unit": "0", "bands": [Band(lower_limit="1")] * 2},
            {
                ("quantity_per_unit", "DECIMAL_RANGE"),
                ("bands[0].lower_limit", "BAND_START"),
                ("bands[1].lower_limit", "BAND_ORDER"),
            },
        ),
    ],
)
async def test_a_wrong_quote_is_told_all_its_mistakes(
    server: Served, fields: dict[str, Any], violations: set[tuple[str, str]]
) -> None:
    found = await failure(quote(server, **fields))
    assert (found.code, found.violations) == ("INVALID_ARGUMENT", violations)


# --- One account ------------------------------------------------------------------------------------------------------

STORY = """
    aggregation storage SUM size by=region
    aggregation late SUM weight
    counter seats
    template standing_charge=31 minimum_spend=100
    price storage segment=eu 0:1 2:0.5 description=Storage_in_Europe
    price storage segment=*  0:2
    price late 0:1 from=2024-07-16
    price seats 0:2
    attach 2024-07-03
    level seats 2024-07-01 10
    level seats 2024-07-22 5
    use 2024-07-02 size=1 times=2
    use 2024-07-10 size=4 weight=7 region=eu
    use 2024-07-10 size=3
    rate 2024-07-01 2024-08-01
"""


async def test_a_rating_carries_all_workings(server: Served) -> None:
    teller = Teller(server, read_story(STORY), "workings_")
    await teller.tell()
    rating = await teller.rate()
    (total,) = rating.totals
    assert (total.currency, total.amount) == ("USD", "122.55"), "6 + 3 + 18.71 - 3.23 + 29 + 69.07"
    kinds = [line_item_pb2.LineItemKind.Name(item.kind).removeprefix("LINE_ITEM_KIND_") for item in rating.line_items]
    assert kinds == [
        "USAGE",
        "USAGE",
        "COUNTER_RUNNING_TOTAL",
        "COUNTER_ADJUSTMENT_CREDIT",
        "STANDING_CHARGE",
        "MINIMUM_SPEND",
    ]
    other, europe, seats, fewer, standing, minimum = rating.line_items
    assert (other.description, other.amount, dict(other.segment)) == ('Storage ("")', "6.00", {"region": ""})
    assert (europe.description, europe.amount, dict(europe.segment)) == (
        "Storage in Europe",
        "3.00",
        {"region": "eu"},
    )
    assert europe.usage.through.units == "4"
    assert [each.amount for each in europe.usage.through.band_usages] == ["2", "1"]
    assert not europe.usage.HasField("before")
    assert (seats.amount, seats.counter.days, seats.counter.period_days) == ("18.71", 29, 31)
    assert (fewer.amount, fewer.counter.previous_level, fewer.counter.level) == ("-3.23", "10", "5")
    assert (fewer.counter.date, fewer.counter.days, fewer.counter.period_amount) == ("2024-07-22", 10, "-10")
    assert (standing.amount, standing.description, standing.pricing_id) == ("29.00", "Standing charge", "")
    assert (minimum.description, minimum.spend.limit, minimum.spend.days) == ("Plan minimum spend", "100", 29)
    assert minimum.spend.prorated_limit == "93.55"
    assert europe.service_start_time == time("2024-07-03")
    assert europe.product_id == "workings_product"
    (unpriced,) = rating.unpriced_usages
    assert (unpriced.aggregation_id, unpriced.quantity, unpriced.start_time) == (
        "workings_late",
        "7",
        time("2024-07-03"),
    )
    (unattached,) = rating.unattached_usages
    assert (unattached.meter_id, unattached.event_count) == ("workings_meter", 2)


async def rate_account(server: Served, **fields: Any) -> Any:
    usual: dict[str, Any] = {"account_id": "acme", "start_time": time("2024-07-01"), "end_time": time("2024-08-01")}
    return await server.rating.RateAccount(RateAccountRequest(**usual | fields))


@pytest.mark.parametrize(
    ("fields", "code", "reason", "violations"),
    [
        ({"account_id": "nobody"}, "NOT_FOUND", "NOT_FOUND", set()),
        ({"account_id": ""}, "INVALID_ARGUMENT", "STRING_PATTERN", {("account_id", "STRING_PATTERN")}),
        (
            {"end_time": time("2024-07-01")},
            "INVALID_ARGUMENT",
            "PERIOD_INVALID",
            {("end_time", "PERIOD_INVALID")},
        ),
        (
            {"end_time": time("2034-07-02")},
            "INVALID_ARGUMENT",
            "PERIOD_INVALID",
            {("end_time", "PERIOD_INVALID")},
        ),
        ({"start_time": None}, "INVALID_ARGUMENT", "REQUIRED", {("start_time", "REQUIRED")}),
        (
            {"account_id": "no spaces", "end_time": time("2024-07-01")},
            "INVALID_ARGUMENT",
            "INVALID",
            {("account_id", "STRING_PATTERN"), ("end_time", "PERIOD_INVALID")},
        ),
    ],
)
async def test_a_wrong_rating_is_refused(
    server: Served, fields: dict[str, Any], code: str, reason: str, violations: set[tuple[str, str]]
) -> None:
    await example.create_example(server)
    found = await failure(rate_account(server, **fields))
    assert (found.code, found.reason, found.violations) == (code, reason, violations)


async def test_ten_years_are_rated(server: Served) -> None:
    await example.create_example(server)
    response = await rate_account(server, start_time=time("2016-03-01"), end_time=time("2026-03-01"))
    assert not response.account_rating.line_items


async def test_too_many_windows_are_refused(server: Served) -> None:
    """Every account's work is bounded, and the answer says so instead of taking long."""
    things = "\n".join(f"aggregation a{index} COUNT\nprice a{index} 0:1" for index in range(5))
    story = f"template frequency=DAILY\n{things}\nattach 2010-01-01\nrate 2014-06-01 2024-05-31"
    teller = Teller(server, read_story(story), "windows_")
    await teller.tell()
    found = await failure(teller.rate())
    assert (found.code, found.violations) == ("INVALID_ARGUMENT", {("end_time", "WINDOW_COUNT")})


CALLS = """
    aggregation calls SUM size
    price calls 0:1 id=calls
    use 2024-07-10 size=4
    rate 2024-07-01 2024-08-01
"""


async def test_usage_of_what_was_priced_once_is_never_free(server: Served) -> None:
    """R3.5: a deleted pricing is remembered."""
    teller = Teller(server, read_story(CALLS), "deleted_")
    await teller.tell()
    assert [item.amount for item in (await teller.rate()).line_items] == ["4.00"]
    await server.catalog.DeletePricing(DeletePricingRequest(id="deleted_calls"))
    rating = await teller.rate()
    assert not rating.line_items
    assert [(each.aggregation_id, each.quantity) for each in rating.unpriced_usages] == [("deleted_calls", "4")]


async def test_an_aggregation_counts_the_usage_that_was_there_before_it(server: Served) -> None:
    """Whether its rollup is still being built or not, and the answer says which."""
    teller = Teller(server, read_story(CALLS), "later_")
    await teller.tell()
    later = example.aggregation(
        id="later_count", meter_id="later_meter", name="Count", method=METHOD_COUNT, field="size"
    )
    await server.catalog.CreateAggregation(CreateAggregationRequest(aggregation=later))
    pricing = example.pricing(id="later_count", plan_id="later_plan", aggregation_id="later_count")
    await server.catalog.CreatePricing(CreatePricingRequest(pricing=pricing))
    rating = await teller.rate()
    assert [item.amount for item in rating.line_items] == ["4.00", "0.50"]
    assert set(rating.aggregation_ids_from_events) <= {"later_count"}


# --- Many accounts ----------------------------------------------------------------------------------------------------


MANY = """
    template standing_charge=31
    rate 2024-07-01 2024-08-01
"""
COUNT = 120


async def create_accounts(server: Served) -> list[str]:
    """Create accounts on one plan, each a day later than the one before; again changes nothing."""
    await Teller(server, read_story(MANY), "many_").tell_catalog()
    ids = [f"many-{index:03}" for index in range(COUNT)]
    for index, account_id in enumerate(ids):
        account = example.account(id=account_id)
        await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=account))
        start = time(f"2024-07-{index % 31 + 1:02}")
        attachment = example.attachment(id=account_id, account_id=account_id, plan_id="many_plan", start_time=start)
        await server.accounts.CreateAttachment(accounts.CreateAttachmentRequest(attachment=attachment))
    return ids


def rate_accounts(
    server: Served, **fields: Any
) -> "grpc.aio.UnaryStreamCall[RateAccountsRequest, RateAccountsResponse]":
    usual: dict[str, Any] = {"start_time": time("2024-07-01"), "end_time": time("2024-08-01")}
    return server.rating.RateAccounts(RateAccountsRequest(**usual | fields))


async def responses(server: Served, **fields: Any) -> list[RateAccountsResponse]:
    return [each async for each in rate_accounts(server, **fields)]


async def test_many_accounts_are_rated_in_the_order_asked(server: Served) -> None:
    ids = (await create_accounts(server))[::-1]
    found = await responses(server, account_ids=ids)
    assert [each.account_id for each in found] == ids
    amounts = [each.account_rating.totals[0].amount for each in found]
    assert amounts == [f"{31 - index % 31}.00" for index in reversed(range(COUNT))]


async def test_all_accounts_are_rated_by_id(server: Served) -> None:
    ids = await create_accounts(server)
    found = [each.account_id for each in await responses(server)]
    assert found == sorted(found)
    assert set(ids) <= set(found)


async def test_an_accounts_failure_is_its_own(server: Served) -> None:
    ids = await create_accounts(server)
    first, missing, last = await responses(server, account_ids=[ids[0], "nobody", ids[1]])
    assert [each.account_rating.totals[0].amount for each in (first, last)] == ["31.00", "30.00"]
    assert isinstance(missing.error, Status)
    error = error_from_status(missing.error)
    assert (missing.account_id, error.reason, error.metadata["id"]) == ("nobody", "NOT_FOUND", "nobody")


async def test_a_wrong_request_fails_as_a_whole(server: Served) -> None:
    found = await failure(responses(server, account_ids=["a", "a"], end_time=time("2024-06-01")))
    both = {("account_ids", "REPEATED_UNIQUE"), ("end_time", "PERIOD_INVALID")}
    assert (found.code, found.violations) == ("INVALID_ARGUMENT", both)
    found = await failure(responses(server, end_time=time("2024-06-01")))
    assert (found.code, found.violations) == ("INVALID_ARGUMENT", {("end_time", "PERIOD_INVALID")})


async def test_a_caller_may_leave_early(server: Served) -> None:
    """The server goes on for others, and its connections come back."""
    ids = await create_accounts(server)
    for _ in range(20):
        call = rate_accounts(server, account_ids=ids)
        await call.read()
        call.cancel()
    assert len(await asyncio.wait_for(responses(server, account_ids=ids), 30)) == COUNT


async def test_plan_lookups_are_counted(server: Served) -> None:
    """One plan for many accounts is looked up once for each snapshot, and compiled once."""
    ids = await create_accounts(server)
    await responses(server, account_ids=ids)
    before = await asyncio.to_thread(metrics, server)
    await responses(server, account_ids=ids)
    after = await asyncio.to_thread(metrics, server)
    changes = {name: after[name] - before[name] for name in after}
    assert changes["ratel_plan_cache_misses_total"] == 0
    assert 0 < changes["ratel_plan_cache_hits_total"] <= 3
    assert after["ratel_plan_cache_revision"] > 1


def metrics(server: Served) -> dict[str, float]:
    with urlopen(f"http://{server.running.metrics_target}/metrics") as answer:
        lines: Iterable[str] = answer.read().decode().splitlines()
    found = (line.rsplit(" ", 1) for line in lines if line.startswith("ratel_plan_cache"))
    return {name: float(value) for name, value in found}
