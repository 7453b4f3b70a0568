"""Whole bills, byte for byte, as text: one file a story beside this one.

``GOLDEN=write pytest tests/golden`` writes them anew; look at what changes.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.json_format import Parse

from ratel.account.v1.account_service_pb2 import CreateAdHocChargeRequest, CreatePurchaseRequest
from ratel.account.v1.ad_hoc_charge_pb2 import AdHocCharge
from ratel.account.v1.purchase_pb2 import Purchase
from ratel.catalog.v1.add_on_pb2 import AddOn
from ratel.catalog.v1.catalog_service_pb2 import CreateAddOnRequest
from ratel.core import bill as core
from ratel.rating.v1.bill_pb2 import Bill
from ratel.rating.v1.billing_service_pb2 import PreviewBillRequest, RunBillingRequest
from ratel.rating.v1.line_item_pb2 import LineItemKind
from ratel.server.convert.plan import FREQUENCIES
from tests.conftest import Served
from tests.golden.stories import STORIES
from tests.golden.told import Told
from tests.server.example import time
from tests.story import read_story
from tests.telling import Teller
from tests.told import PRODUCT, Story, Usage

FOLDER = Path(__file__).parent
IS_WRITING = os.environ.get("GOLDEN") == "write"


@pytest.mark.parametrize("name", STORIES)
async def test_the_bill_is_the_golden_one(server: Served, name: str) -> None:
    told = STORIES[name]
    bill = await bill_of(server, name, told)
    if told.total:
        assert [each.amount for each in bill.totals] == [told.total]
    text = "".join([f"# {line}\n" for line in told.reckoning]) + text_format.MessageToString(bill)
    path = FOLDER / f"{name}.txtpb"
    if IS_WRITING:
        path.write_text(text)
    assert text == path.read_text()


def test_one_bill_has_every_kind_of_line_item() -> None:
    bill = text_format.Parse((FOLDER / "every_kind_of_line_item.txtpb").read_text(), Bill())
    kinds = {LineItemKind.Name(item.kind).removeprefix("LINE_ITEM_KIND_") for item in bill.line_items}
    assert kinds == set(core.LineItemKind)


def test_there_is_no_file_without_a_story() -> None:
    assert {path.stem for path in FOLDER.glob("*.txtpb")} == STORIES.keys()


async def bill_of(server: Served, name: str, told: Told) -> Bill:
    """Tell a story, make its earlier bills, and preview the one that it is about."""
    story = read_story(told.text)
    teller = Teller(server, story, f"{name}_"[:40])
    await teller.tell()
    await tell_more(server, teller, told, f"{name}_"[:40])
    frequency = FREQUENCIES.to_proto(story.template.frequency)
    for day in told.earlier:
        run = RunBillingRequest(account_ids=[teller.account_id], bill_frequency=frequency, invoice_date=day)
        (response,) = [each async for each in server.billing.RunBilling(run)]
        assert [each.HasField("error") for each in response.billed_accounts] == [False]
    await teller.tell_usage(late_usage(story, told))
    request = PreviewBillRequest(account_id=teller.account_id, bill_frequency=frequency, invoice_date=told.invoice_date)
    bill = (await server.billing.PreviewBill(request)).bill
    bill.ClearField("catalog_revision")
    return bill


def late_usage(story: Story, told: Told) -> Sequence[Usage]:
    """Return the usage that arrives after the earlier bills."""
    if not told.late:
        return []
    return read_story(f"{told.text}\n{told.late.replace('n=', 'id=late n=')}").usages[len(story.usages) :]


async def tell_more(server: Served, teller: Teller, told: Told, prefix: str) -> None:
    """Tell what the language of stories has no words for."""
    if told.add_on:
        add_on = Parse(told.add_on, AddOn())
        add_on.id, add_on.product_id = prefix + add_on.id, prefix + PRODUCT
        await server.catalog.CreateAddOn(CreateAddOnRequest(add_on=add_on))
        purchase = Purchase(
            id=f"{prefix}bought", account_id=teller.account_id, add_on_id=add_on.id, purchase_time=time("2024-06-10")
        )
        await server.accounts.CreatePurchase(CreatePurchaseRequest(purchase=purchase))
    for charge_id, day, amount in told.charges:
        charge = AdHocCharge(
            id=prefix + charge_id,
            account_id=teller.account_id,
            charge_time=time(day),
            currency="USD",
            amount=amount,
            description=charge_id.title(),
        )
        await server.accounts.CreateAdHocCharge(CreateAdHocChargeRequest(ad_hoc_charge=charge))
