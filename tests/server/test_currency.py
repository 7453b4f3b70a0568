"""Bills and ratings in another currency than that of the plans, over the wire (R11.2)."""

from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import count

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from ratel.account.v1.account_pb2 import Account
from ratel.account.v1.account_service_pb2 import CreateAccountRequest, UpdateAccountRequest
from ratel.catalog.v1.catalog_service_pb2 import UpdateSettingsRequest
from ratel.catalog.v1.settings_pb2 import CurrencyRate, Settings
from ratel.client import error_from_status
from ratel.rating.v1 import billing_service_pb2 as pb
from ratel.rating.v1.bill_pb2 import Bill
from ratel.rating.v1.line_item_pb2 import Conversion
from ratel.rating.v1.margin_pb2 import AccountMargin
from ratel.rating.v1.rating_service_pb2 import RateAccountRequest, StreamChargesRequest
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from tests.conftest import Served
from tests.server.billing import CALLS, approve, get, keyed, recalculate, run, shown, use
from tests.server.example import failure, time
from tests.story import read_story
from tests.telling import Teller
from tests.told import METER

NUMBERS = count(1)
JUNE = {"start_time": time("2024-06-01"), "end_time": time("2024-07-01")}


@pytest.fixture
async def teller(server: Served) -> AsyncIterator[Teller]:
    """An account with 60.00 USD for June, 15.00 USD for July, and a rate into pounds."""
    told = Teller(server, read_story(f"settings rates=USD:GBP:0.8\n{CALLS}"), f"currency{next(NUMBERS)}_")
    await told.tell()
    yield told
    await set_rates(server, "")


async def set_rates(server: Served, text: str) -> None:
    """Write the rates, such as ``USD:GBP:0.8``, instead of all that are there."""
    rates = []
    for each in text.split():
        source, target, rate = each.split(":")
        rates.append(CurrencyRate(from_currency=source, to_currency=target, rate=rate))
    mask = FieldMask(paths=["currency_rates"])
    settings = Settings(currency_rates=rates)
    await server.catalog.UpdateSettings(UpdateSettingsRequest(settings=settings, update_mask=mask))


async def set_currency(server: Served, teller: Teller, currency: str) -> None:
    account = Account(id=teller.account_id, currency=currency)
    mask = FieldMask(paths=["currency"])
    await server.accounts.UpdateAccount(UpdateAccountRequest(account=account, update_mask=mask))


async def ran(server: Served, teller: Teller, day: str, currency: str = "") -> Bill:
    (response,) = await run(server, [teller.account_id], day, target_currency=currency)
    assert not response.HasField("error"), response.error
    return response.bill


async def preview(server: Served, teller: Teller, day: str, currency: str = "") -> Bill:
    request = pb.PreviewBillRequest(**keyed(teller.account_id, day, target_currency=currency))
    return (await server.billing.PreviewBill(request)).bill


def totals(bill: Bill) -> list[tuple[str, str]]:
    return [(each.currency, each.amount) for each in bill.totals]


async def test_a_bill_is_in_the_currency_that_the_run_names(server: Served, teller: Teller) -> None:
    bill = await ran(server, teller, "2024-07-01", "GBP")
    assert (bill.currency, bill.target_currency, totals(bill)) == ("GBP", "GBP", [("GBP", "48.00")])
    assert list(bill.currency_rates) == [CurrencyRate(from_currency="USD", to_currency="GBP", rate="0.8")]
    (item,) = (await get(server, teller.account_id, "2024-07-01")).line_items
    assert (item.currency, item.amount, item.exact_amount) == ("GBP", "48.00", "48")
    assert item.conversion == Conversion(currency="USD", amount="60.00", exact_amount="60", rate="0.8")
    previewed = await preview(server, teller, "2024-07-01")
    assert list(previewed.line_items) == [item], "it stays in the currency that it was asked to be in"


async def test_without_any_currency_nothing_is_converted(server: Served, teller: Teller) -> None:
    bill = await ran(server, teller, "2024-07-01")
    assert (bill.currency, list(bill.currency_rates), totals(bill)) == ("", [], [("USD", "60.00")])
    assert not (await get(server, teller.account_id, "2024-07-01")).line_items[0].HasField("conversion")


async def test_a_missing_rate_fails_that_account_alone(server: Served, teller: Teller) -> None:
    """Case 58."""
    other = f"{teller.account_id}-other"
    await server.accounts.CreateAccount(CreateAccountRequest(account=Account(id=other, name="Other")))
    failed, fine = await run(server, [teller.account_id, other], "2024-07-01", target_currency="EUR")
    error = error_from_status(failed.error)
    assert (error.reason, dict(error.metadata)) == (
        "CURRENCY_RATE_MISSING",
        {"from_currency": "USD", "to_currency": "EUR"},
    )
    assert not fine.HasField("error")
    refused = await failure(preview(server, teller, "2024-07-01", "EUR"))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "CURRENCY_RATE_MISSING")
    assert (await failure(preview(server, teller, "2024-07-01", "EUX"))).violations == {
        ("target_currency", "CURRENCY_UNKNOWN")
    }
    assert (await failure(run(server, [other], "2024-07-01", target_currency="XAU"))).violations == {
        ("target_currency", "CURRENCY_UNKNOWN")
    }


async def test_a_bill_keeps_its_currency_and_a_later_one_its_rate(server: Served, teller: Teller) -> None:
    """R12.3: what is corrected of June is corrected at June's rate."""
    await ran(server, teller, "2024-07-01", "GBP")
    await set_rates(server, "USD:GBP:0.5")
    assert shown(await recalculate(server, teller.account_id, "2024-07-01")) == [("USAGE", "30.00", False)]
    await approve(server, teller.account_id, "2024-07-01")
    await set_rates(server, "USD:GBP:0.9")
    await use(teller, "use 2024-06-04 n=10 id=late")
    await ran(server, teller, "2024-08-01", "GBP")
    late = await get(server, teller.account_id, "2024-08-01")
    assert shown(late) == [("USAGE", "0.75", True), ("USAGE", "13.50", False)]
    assert [item.conversion.rate for item in late.line_items] == ["0.5", "0.9"]


async def test_a_correction_of_a_bill_in_another_currency(server: Served, teller: Teller) -> None:
    await ran(server, teller, "2024-07-01", "GBP")
    await use(teller, "use 2024-06-04 n=10 id=late")
    (refused,) = await run(server, [teller.account_id], "2024-08-01", target_currency="USD")
    assert error_from_status(refused.error).metadata == {"from_currency": "GBP", "to_currency": "USD"}
    await set_rates(server, "USD:GBP:0.8 GBP:USD:1.25")
    assert totals(await ran(server, teller, "2024-08-01", "USD")) == [("USD", "16.50")]
    correction, item = (await get(server, teller.account_id, "2024-08-01")).line_items
    assert (correction.currency, correction.amount, item.amount) == ("USD", "1.50", "15.00")
    assert correction.bill_conversion == Conversion(currency="GBP", amount="1.20", exact_amount="1.2", rate="1.25")
    assert (correction.correction.carried_amount, correction.correction.due_amount) == ("48.00", "49.20")
    again = await ran(server, teller, "2024-09-01", "USD")
    assert totals(again) == [], "what was carried in another currency was carried"


async def test_an_account_has_a_currency(server: Served, teller: Teller) -> None:
    """R12.1: its ratings and margins are in it too."""
    await set_currency(server, teller, "GBP")
    assert totals(await ran(server, teller, "2024-07-01")) == [("GBP", "48.00")]
    request = RateAccountRequest(account_id=teller.account_id, **JUNE)
    rating = (await server.rating.RateAccount(request)).account_rating
    assert [(each.currency, each.amount) for each in rating.totals] == [("GBP", "48.00")]
    assert rating.line_items[0].conversion.amount == "60.00"
    (margin,) = await margins(server, teller)
    assert (margin.currency, margin.amount_before, margin.amount_after) == ("GBP", "48.00", "49.20")
    await set_currency(server, teller, "EUR")
    assert (await failure(server.rating.RateAccount(request))).reason == "CURRENCY_RATE_MISSING"
    (margin,) = await margins(server, teller)
    assert error_from_status(margin.error).reason == "CURRENCY_RATE_MISSING"
    assert (await failure(set_currency(server, teller, "EUX"))).violations == {("account.currency", "CURRENCY_UNKNOWN")}


async def margins(server: Served, teller: Teller) -> list[AccountMargin]:
    prefix = teller.account_id.removesuffix("account")
    event = UsageEvent(
        account_id=teller.account_id,
        meter_id=prefix + METER,
        event_id="supposed",
        event_time=time("2024-06-05"),
        values={"n": "10"},
    )
    stream = server.rating.StreamCharges(iter([StreamChargesRequest(events=[event])]))
    return [margin async for answer in stream for margin in answer.account_margins]


async def test_wrong_rates_are_refused(server: Served) -> None:
    wrong = "USD:GBP:0 USD:GBP:1 EUR:EUR:x USX:GBP:1"
    assert (await failure(set_rates(server, wrong))).violations == {
        ("settings.currency_rates[2].rate", "DECIMAL_INVALID"),
        ("settings.currency_rates[0].rate", "RATE_NOT_POSITIVE"),
        ("settings.currency_rates[1]", "CURRENCY_RATE_REPEATED"),
        ("settings.currency_rates[2].to_currency", "CURRENCY_SAME"),
        ("settings.currency_rates[3].from_currency", "CURRENCY_UNKNOWN"),
    }


async def test_bills_of_a_year_do_not_depend_on_when_they_are_run(server: Served, teller: Teller) -> None:
    """R13: while rates stay as they are."""
    bills = [await ran(server, teller, day, "GBP") for day in ("2024-07-01", "2024-08-01", "2024-09-01")]
    paid = sum(Decimal(each.amount) for bill in bills for each in bill.totals)
    assert paid == Decimal("60.00")
