"""ValidatePricing: what is wrong with a pricing that is not stored, what may be, and its curve (R1, R3.2)."""

from typing import Any

import pytest

from ratel.account.v1.account_service_pb2 import CreateAccountRequest, CreateAttachmentRequest
from ratel.catalog.v1.catalog_service_pb2 import GetPricingRequest, ValidatePricingRequest, ValidatePricingResponse
from ratel.catalog.v1.settings_pb2 import CurrencyRate, Settings
from tests.conftest import Served
from tests.server import example
from tests.server.example import band, create, failure, time, update


@pytest.fixture(autouse=True)
async def _example(server: Served) -> None:
    await example.create_anew(server)


async def validate(server: Served, *quantities: str, **changed: Any) -> ValidatePricingResponse:
    request = ValidatePricingRequest(pricing=example.pricing(**changed), quantities=quantities)
    response: ValidatePricingResponse = await server.catalog.ValidatePricing(request)
    return response


async def problems(server: Served, **changed: Any) -> list[tuple[str, str]]:
    found = await validate(server, "1", **changed)
    assert not found.warnings
    assert not found.points
    return [(each.field, each.reason) for each in found.problems]


async def test_a_pricing_that_is_right_says_what_it_would_charge(server: Served) -> None:
    per_ten = example.aggregation(id="per_ten", quantity_per_unit="10")
    await create(server, "Aggregation", per_ten)
    found = await validate(
        server, "0", "5000", "5010", aggregation_id="per_ten", bands=[band("0", "0.15"), band("500", "0.10")]
    )
    assert not found.problems
    assert not found.warnings
    assert [(each.quantity, each.units, each.amount) for each in found.points] == [
        ("0", "0", "0.00"),
        ("5000", "500", "75.00"),
        ("5010", "501", "75.10"),
    ]
    stored = await failure(server.catalog.GetPricing(GetPricingRequest(id="p")))
    assert stored.reason == "NOT_FOUND"


async def test_what_is_wrong_is_an_answer(server: Served) -> None:
    await create(server, "Pricing", example.pricing(id="there"))
    assert await problems(server) == [("start_time", "PRICING_OVERLAP")]
    assert await problems(server, bands=[band("1", "1")]) == [("bands[0].lower_limit", "BAND_START")]
    assert await problems(server, plan_id="no") == [("", "NOT_FOUND")]
    assert set(await problems(server, cumulative=None, minimum_spend="x")) == {
        ("minimum_spend", "STRING_PATTERN"),
        ("cumulative", "FIELD_REQUIRED"),
    }
    assert await problems(server, minimum_spend="0.001") == [("minimum_spend", "AMOUNT_DIGITS")]


async def test_what_a_person_may_not_have_meant_is_a_warning(server: Served) -> None:
    async def warnings(**changed: Any) -> list[tuple[str, str]]:
        found = await validate(server, **changed)
        assert not found.problems
        return [(each.field, each.reason) for each in found.warnings]

    assert await warnings(bands=[band("0", "1"), band("5", "2"), band("9", "2")]) == [
        ("bands[1].unit_price", "PRICE_RISES")
    ]
    await create(server, "Pricing", example.pricing(id="early", end_time=time("2024-03-01")))
    await create(server, "Pricing", example.pricing(id="late", start_time=time("2024-09-01")))
    april, august = time("2024-04-01"), time("2024-08-01")
    assert await warnings(start_time=time("2024-03-01"), end_time=time("2024-09-01")) == []
    assert await warnings(start_time=april, end_time=august) == [
        ("start_time", "SCHEDULE_GAP"),
        ("end_time", "SCHEDULE_GAP"),
    ]
    await create(server, "Pricing", example.pricing(id="whole", plan_template_id="basic"))
    assert await warnings(start_time=april, end_time=august) == [], "the template's price is in force meanwhile"


async def test_only_the_request_itself_is_refused(server: Served) -> None:
    missing = await failure(server.catalog.ValidatePricing(ValidatePricingRequest()))
    assert (missing.code, missing.violations) == ("INVALID_ARGUMENT", {("pricing", "FIELD_REQUIRED")})
    wrong = await failure(validate(server, "1", "many"))
    assert wrong.violations == {("quantities[1]", "STRING_PATTERN")}


async def test_a_currency_without_a_rate_is_a_warning(server: Served) -> None:
    """R11.2: accounts on the plan, or on a plan of the template, could not be rated."""

    async def warned(**changed: Any) -> list[str]:
        return [each.reason for each in (await validate(server, **changed)).warnings]

    foreign = example.account(id="foreign", currency="GBP")
    await server.accounts.CreateAccount(CreateAccountRequest(account=foreign))
    assert await warned() == []
    attached = example.attachment(id="foreign-gold", account_id="foreign")
    await server.accounts.CreateAttachment(CreateAttachmentRequest(attachment=attached))
    assert await warned() == await warned(plan_template_id="basic") == ["CURRENCY_RATE_MISSING"]
    settings = Settings(currency_rates=[CurrencyRate(from_currency="USD", to_currency="GBP", rate="0.8")])
    await update(server, "Settings", settings, "currency_rates")
    assert await warned() == []
