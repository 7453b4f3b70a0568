"""Add-ons, purchases and ad-hoc charges over the wire, and what they do on bills (R10, R12.2)."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from ratel.account.v1 import account_service_pb2 as pb
from ratel.account.v1.ad_hoc_charge_pb2 import AdHocCharge
from ratel.account.v1.purchase_pb2 import Purchase
from ratel.catalog.v1.add_on_pb2 import AddOn, AddOnRate
from ratel.rating.v1.line_item_pb2 import LineItem
from ratel.rating.v1.rating_service_pb2 import QuoteAddOnRequest, QuoteAddOnResponse
from tests.conftest import Served
from tests.core.table import rows
from tests.server import example
from tests.server.billing import get, preview, ran, shown
from tests.server.example import Failure, band, create, failure, time, update

RANGES = AddOnRate(
    unit="user",
    cumulative=True,
    bands=[band("0", "1"), band("100", "0.5")],
    quantity_min="5",
    quantity_max="500",
)


def rate(unit: str = "unit", price: str = "1", **changed: Any) -> AddOnRate:
    usual: dict[str, Any] = {"unit": unit, "cumulative": True, "bands": [band("0", price)]}
    return AddOnRate(**(usual | changed))


@pytest.fixture(autouse=True)
async def _example(server: Served) -> None:
    await example.create_anew(server)


async def sell(server: Served, **changed: Any) -> AddOn:
    created: AddOn = (await create(server, "AddOn", example.add_on(**changed))).add_on
    return created


async def buy(server: Served, purchase_id: str = "bought", day: str = "2024-06-10", **quantities: str) -> Purchase:
    purchase = Purchase(
        id=purchase_id, account_id="acme", add_on_id="pack", purchase_time=time(day), quantities=quantities
    )
    return (await server.accounts.CreatePurchase(pb.CreatePurchaseRequest(purchase=purchase))).purchase


async def cancel(server: Served, purchase_id: str, day: str, etag: str = "") -> Purchase:
    request = pb.CancelPurchaseRequest(id=purchase_id, cancel_time=time(day), etag=etag)
    return (await server.accounts.CancelPurchase(request)).purchase


async def charge(server: Served, **changed: Any) -> AdHocCharge:
    usual: dict[str, Any] = {
        "id": "visit",
        "account_id": "acme",
        "charge_time": time("2024-06-10"),
        "currency": "USD",
        "amount": "80",
        "description": "Visit",
    }
    request = pb.CreateAdHocChargeRequest(ad_hoc_charge=AdHocCharge(**(usual | changed)))
    return (await server.accounts.CreateAdHocCharge(request)).ad_hoc_charge


async def quote(server: Served, **quantities: str) -> QuoteAddOnResponse:
    return await quote_for(server, QuoteAddOnRequest(quantities=quantities))


async def quote_for(server: Served, request: QuoteAddOnRequest) -> QuoteAddOnResponse:
    request.add_on_id = "pack"
    response: QuoteAddOnResponse = await server.rating.QuoteAddOn(request)
    return response


# --- Prices (R10.1, R10.3) --------------------------------------------------------------------------------------------

PRICES = """
    case | flat | bands         | keep tier | quantity | amount
    62   | 5.00 |               |           |          | 5.00
    63   |      | 0:5           | off       | 5        | 25.00
    64   |      | 0:0 10000:.10 | on        | 10001    | 1000.10
    64   |      | 0:0 10000:.10 | off       | 10001    | 0.10
    65   |      | 0:0 10000:.10 | on        | 10000    | 0.00
    65   |      | 0:0 10000:.10 | off       | 10000    | 0.00
    66   |      | 0:1 100:.5    | off       | 150      | 125.00
    66   |      | 0:1 100:.5    | on        | 150      | 75.00
"""


@pytest.mark.parametrize(("case", "flat", "bands", "keep", "quantity", "amount"), rows(PRICES))
async def test_prices(server: Served, case: str, flat: str, bands: str, keep: str, quantity: str, amount: str) -> None:
    """Cases 62 to 66 (R10.1)."""
    pairs = [each.split(":") for each in bands.split()]
    priced = [band(lower, f"0{price}" if price[0] == "." else price) for lower, price in pairs]
    rates = [rate(bands=priced, cumulative=keep == "off")] if bands else []
    await sell(server, rates=rates, flat_price=flat or None)
    quantities = {"unit": quantity} if quantity else {}
    assert (await quote(server, **quantities)).amount == amount, case
    assert (await buy(server, **quantities)).amount == amount, case


async def test_case_67_quantities_that_break_a_rule_are_refused(server: Served) -> None:
    await sell(server, rates=[RANGES, rate("seat", quantity_min="5", increment="5"), rate("gb")])

    async def refused(**quantities: str) -> set[tuple[str, str]]:
        in_quote = (await failure(quote(server, **quantities))).violations
        assert {(f"purchase.{path}", reason) for path, reason in in_quote} == (
            await failure(buy(server, **quantities))
        ).violations
        return in_quote

    assert await refused(user="4") == {('quantities["user"]', "QUANTITY_BELOW_MINIMUM")}
    assert await refused(user="501", seat="7") == {
        ('quantities["user"]', "QUANTITY_ABOVE_MAXIMUM"),
        ('quantities["seat"]', "QUANTITY_OFF_INCREMENT"),
    }
    assert await refused(mile="1", gb="0") == {
        ('quantities["mile"]', "UNIT_UNKNOWN"),
        ('quantities["gb"]', "NOT_POSITIVE"),
    }
    assert await refused() == {("quantities", "QUANTITY_MISSING")}


async def test_case_68_the_setup_fee_is_paid_once_while_active(server: Served) -> None:
    """R10.2: and the minimum binds only the first purchase."""
    await sell(server, setup_fee="20", rates=[rate(quantity_min="5")])
    assert (await quote(server, unit="5")).setup_fee == "20.00"
    first = await buy(server, "first", "2024-06-01", unit="5")
    further = await buy(server, "further", "2024-06-02", unit="1")
    assert ((first.amount, first.setup_fee), (further.amount, further.setup_fee)) == (("5.00", "20.00"), ("1.00", ""))
    assert (await quote_for(server, QuoteAddOnRequest(quantities={"unit": "1"}, further=True))).setup_fee == ""
    for each in (first, further):
        await cancel(server, each.id, "2024-06-20")
    assert (await buy(server, "again", "2024-06-25", unit="5")).setup_fee == "20.00"


async def test_case_69_rates_of_different_units_add_up(server: Served) -> None:
    await sell(server, rates=[rate("call", "0.10"), rate("gb", "1")])
    found = await quote(server, call="100", gb="10")
    assert (found.amount, found.currency) == ("20.00", "USD")
    priced = [(each.unit, each.priced_quantity.units, each.priced_quantity.amount) for each in found.purchase.rates]
    assert priced == [("call", "100", "10"), ("gb", "10", "10")]


async def test_case_70_a_price_is_shown_per_increment(server: Served) -> None:
    """R10.3."""
    await sell(server, rates=[rate("users", quantity_min="5", increment="5", display_per_increment=True), rate("gb")])
    found = await quote(server, users="10")
    assert (list(found.display_prices), found.amount) == (["5.00 per 5 users"], "10.00")


async def test_add_ons_that_contradict_themselves_are_refused(server: Served) -> None:
    async def refused(**changed: Any) -> set[tuple[str, str]]:
        found = (await failure(sell(server, **changed))).violations
        return {(path.removeprefix("add_on."), reason) for path, reason in found}

    assert await refused() == {("rates", "PRICE_MISSING")}
    assert await refused(currency="XYZ", flat_price="1") == {("currency", "CURRENCY_UNKNOWN")}
    assert await refused(flat_price="1.001", setup_fee="0.005") == {
        ("flat_price", "AMOUNT_DIGITS"),
        ("setup_fee", "AMOUNT_DIGITS"),
    }
    assert await refused(rates=[rate(), rate()]) == {("rates[1].unit", "UNIT_TWICE")}
    wrong = rate(quantity_min="5", quantity_max="4", increment="0", display_per_increment=True)
    assert await refused(rates=[wrong]) == {
        ("rates[0].quantity_max", "MAXIMUM_BELOW_MINIMUM"),
        ("rates[0].increment", "NOT_POSITIVE"),
        ("rates[0].display_per_increment", "INCREMENT_NOT_MINIMUM"),
    }
    assert await refused(rates=[rate(bands=[band("1", "1")])]) == {("rates[0].bands[0].lower_limit", "BAND_START")}
    missing = await failure(sell(server, product_id="no", flat_price="1"))
    assert missing.metadata == {"resource": "product", "id": "no"}


# --- Purchases (R10.2) ------------------------------------------------------------------------------------------------


async def test_a_purchase_keeps_the_prices_at_which_it_was_made(server: Served) -> None:
    await sell(server, flat_price="5")
    bought = await buy(server)
    await update(server, "AddOn", AddOn(id="pack", flat_price="9", name="Other"), "flat_price", "name")
    assert await buy(server) == bought, "repeated"
    assert (await server.accounts.GetPurchase(pb.GetPurchaseRequest(id="bought"))).purchase == bought
    other = await failure(buy(server, day="2024-06-11"))
    assert other == Failure("ALREADY_EXISTS", "ALREADY_EXISTS", {"resource": "purchase", "id": "bought"}, set())
    assert (await buy(server, "dearer")).amount == "9.00"
    listed = await server.accounts.ListPurchases(pb.ListPurchasesRequest(account_id="acme", page_size=1))
    assert [each.id for each in listed.purchases] == ["bought"]
    rest = pb.ListPurchasesRequest(account_id="acme", page_size=1, page_token=listed.next_page_token)
    assert [each.id for each in (await server.accounts.ListPurchases(rest)).purchases] == ["dearer"]
    used = await failure(example.call(server, "DeleteAddOn", id="pack"))
    assert (used.reason, used.metadata["user_resource"]) == ("IN_USE", "purchase")


async def test_purchases_that_cannot_be(server: Served) -> None:
    await sell(server, flat_price="5")
    bought = await buy(server)
    missing = pb.CreatePurchaseRequest(
        purchase=Purchase(id="x", account_id="acme", add_on_id="no", purchase_time=time("2024-06-10"))
    )
    assert (await failure(server.accounts.CreatePurchase(missing))).metadata == {"resource": "add_on", "id": "no"}
    assert (await failure(cancel(server, "bought", "2024-06-09"))).violations == {("cancel_time", "CANCEL_EARLIER")}
    assert (await failure(cancel(server, "bought", "2024-06-12", etag="1"))).reason == "ETAG_MISMATCH"
    assert (await failure(cancel(server, "no", "2024-06-12"))).reason == "NOT_FOUND"
    cancelled = await cancel(server, "bought", "2024-06-12", etag=bought.etag)
    assert cancelled.cancel_time == time("2024-06-12")
    assert await cancel(server, "bought", "2024-06-13") == cancelled, "it stays as it is"
    assert (await failure(server.accounts.GetPurchase(pb.GetPurchaseRequest(id="no")))).reason == "NOT_FOUND"


# --- On bills (R12.2) -------------------------------------------------------------------------------------------------


async def test_purchases_and_charges_are_on_the_next_bill(server: Served) -> None:
    """R12.2: also of an account without a plan."""
    await sell(server, flat_price="5", setup_fee="20", rates=[rate()])
    await buy(server, unit="3")
    await charge(server)
    await charge(server, id="gift", amount="-10", description="Gift", charge_time=time("2024-06-30T23:00"))
    expected = [
        ("PURCHASE", "8.00", False),
        ("SETUP_FEE", "20.00", False),
        ("AD_HOC", "80.00", False),
        ("AD_HOC", "-10.00", False),
    ]
    assert shown(await preview(server, "acme", "2024-06-30")) == []
    assert (await ran(server, "acme", "2024-07-01")).changed
    bill = await get(server, "acme", "2024-07-01")
    assert shown(bill) == expected
    purchase, fee, visit, _ = bill.line_items
    assert (purchase.purchase_id, purchase.product_id, purchase.purchase.flat_price) == ("bought", "cloud", "5.00")
    assert purchase.service_start_time == time("2024-06-10")
    assert not purchase.HasField("service_end_time")
    assert (fee.purchase_id, visit.ad_hoc_charge_id, visit.description) == ("bought", "visit", "Visit")
    assert shown(await preview(server, "acme", "2024-08-01")) == []


async def test_a_free_trial_and_what_is_charged_afterwards(server: Served) -> None:
    """R10.2: everything falls due when trial and grace days are over; cancelling before charges nothing."""
    await sell(server, flat_price="5", trial_days=14, grace_days=2)
    kept = await buy(server, "kept", "2024-06-20")
    await buy(server, "gone", "2024-06-20")
    assert kept.due_time == time("2024-07-06")
    assert not (await cancel(server, "gone", "2024-07-05")).HasField("due_time")
    assert shown(await preview(server, "acme", "2024-07-01")) == []
    assert shown(await preview(server, "acme", "2024-08-01")) == [("PURCHASE", "5.00", False)]


async def test_a_charge_that_is_changed_or_deleted_is_corrected(server: Served) -> None:
    """R12.3."""
    created = await charge(server)
    assert await charge(server) == created
    await ran(server, "acme", "2024-07-01")
    stub = server.accounts
    request = pb.UpdateAdHocChargeRequest(
        ad_hoc_charge=AdHocCharge(id="visit", amount="50"), update_mask=FieldMask(paths=["amount"])
    )
    assert (await stub.UpdateAdHocCharge(request)).ad_hoc_charge.amount == "50.00"
    assert shown(await preview(server, "acme", "2024-08-01")) == [("AD_HOC", "-30.00", True)]
    listed = (await stub.ListAdHocCharges(pb.ListAdHocChargesRequest(account_id="acme"))).ad_hoc_charges
    assert [each.id for each in listed] == ["visit"]
    await stub.DeleteAdHocCharge(pb.DeleteAdHocChargeRequest(id="visit"))
    back: LineItem
    (back,) = (await preview(server, "acme", "2024-08-01")).line_items
    assert (back.amount, back.description, back.ad_hoc_charge_id) == ("-80.00", "Visit", "visit")
    assert (await failure(stub.GetAdHocCharge(pb.GetAdHocChargeRequest(id="visit")))).reason == "NOT_FOUND"
    assert (await failure(stub.DeleteAdHocCharge(pb.DeleteAdHocChargeRequest(id="visit")))).reason == "NOT_FOUND"
    assert (await failure(charge(server, amount="0.001"))).violations == {("ad_hoc_charge.amount", "AMOUNT_DIGITS")}
