"""Bills that are stored: how far they have come, and what becomes of them (R3.5, R12.4, R12.5)."""

from itertools import count
from typing import Any

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from ratel.catalog.v1 import catalog_service_pb2 as catalog
from ratel.catalog.v1.plan_template_pb2 import BILL_FREQUENCY_WEEKLY
from ratel.catalog.v1.pricing_pb2 import Pricing
from ratel.client import error_from_status
from ratel.rating.v1 import billing_service_pb2 as pb
from ratel.rating.v1.bill_pb2 import (
    BILL_STATUS_APPROVED,
    BILL_STATUS_LOCKED,
)
from tests.conftest import Served
from tests.server.billing import PENDING, approve, delete, get, lock, ran, recalculate, shown, told, use
from tests.server.example import failure, time

NUMBERS = count(1)
LINE_COUNT = "SELECT count(*) FROM bill_line_items JOIN accounts USING (account_no) WHERE id = $1"


@pytest.fixture
def prefix() -> str:
    """Begins the ids of a test, so that all share a server."""
    return f"k{next(NUMBERS)}_"


# --- How far it has come ----------------------------------------------------------------------------------------------


async def test_from_pending_to_locked(server: Served, prefix: str) -> None:
    """R12.5."""
    async with told(server, prefix) as teller:
        ours, day = teller.account_id, "2024-07-01"
        pending = (await ran(server, ours, day)).bill
        assert (await failure(lock(server, ours, day))).reason == "BILL_PENDING"
        assert (await failure(approve(server, ours, day, etag="1"))).reason == "ETAG_MISMATCH"
        done = await approve(server, ours, day, etag=pending.etag)
        assert (done.status, await approve(server, ours, day)) == (BILL_STATUS_APPROVED, done)
        assert (await failure(delete(server, ours, day))).reason == "BILL_APPROVED"
        await use(teller, "use 2024-06-04 n=10 id=late")
        kept = await ran(server, ours, day)
        assert (kept.changed, kept.bill) == (False, done), "a run leaves it as it is"
        again = await recalculate(server, ours, day, etag=done.etag)
        assert (again.status, shown(again)) == (PENDING, [("USAGE", "61.50", False)])
        await approve(server, ours, day)
        fixed = await lock(server, ours, day)
        assert (fixed.status, await lock(server, ours, day)) == (BILL_STATUS_LOCKED, fixed)
        for change in (approve, recalculate, delete):
            assert (await failure(change(server, ours, day))).reason == "BILL_LOCKED"
        assert (await failure(recalculate(server, ours, "2024-08-01"))).reason == "NOT_FOUND"


async def test_later_bills_become_stale(server: Served, prefix: str) -> None:
    """R12.4."""
    async with told(server, prefix) as teller:
        ours = teller.account_id
        for day in ("2024-07-01", "2024-08-01"):
            await ran(server, ours, day)
        assert not (await get(server, ours, "2024-08-01")).stale
        await use(teller, "use 2024-06-04 n=10 id=late")
        await ran(server, ours, "2024-07-01")
        assert (await get(server, ours, "2024-08-01")).stale
        assert (await failure(approve(server, ours, "2024-08-01"))).reason == "BILL_STALE"
        assert (await ran(server, ours, "2024-08-01")).changed
        assert not (await get(server, ours, "2024-08-01")).stale
        await delete(server, ours, "2024-07-01")
        assert (await get(server, ours, "2024-08-01")).stale
        await recalculate(server, ours, "2024-08-01")
        assert shown(await get(server, ours, "2024-08-01")) == [("USAGE", "61.50", False), ("USAGE", "15.00", False)]


async def test_lines_go_with_their_bill(server: Served, prefix: str) -> None:
    """No foreign key sees to that."""
    async with told(server, prefix) as teller:
        ours = teller.account_id
        connection = await asyncpg.connect(server.database_url)
        for _ in range(2):
            await ran(server, ours, "2024-07-01")
            assert await connection.fetchval(LINE_COUNT, ours) == 1
            await use(teller, "use 2024-06-04 n=10 id=late")
            await recalculate(server, ours, "2024-07-01")
            assert await connection.fetchval(LINE_COUNT, ours) == 1
            await delete(server, ours, "2024-07-01")
            assert await connection.fetchval(LINE_COUNT, ours) == 0
        await connection.close()


async def test_stale_bills_before_are_made_again_first(server: Served, prefix: str) -> None:
    async with told(server, prefix) as teller:
        ours = teller.account_id
        await use(teller, "use 2024-08-03 n=20 id=august")
        for day in ("2024-07-01", "2024-08-01", "2024-09-01"):
            await ran(server, ours, day)
        await use(teller, "use 2024-06-04 n=10 id=late\nuse 2024-07-04 n=10 id=later")
        await ran(server, ours, "2024-07-01")
        await ran(server, ours, "2024-09-01")
        second, third = [await get(server, ours, day) for day in ("2024-08-01", "2024-09-01")]
        assert (second.stale, shown(second)) == (False, [("USAGE", "16.50", False)])
        assert (third.stale, shown(third)) == (False, [("USAGE", "3.00", False)])


async def test_nothing_before_an_approved_bill_changes(server: Served, prefix: str) -> None:
    async with told(server, prefix) as teller:
        ours = teller.account_id
        for day in ("2024-07-01", "2024-08-01"):
            await ran(server, ours, day)
        await approve(server, ours, "2024-08-01")
        await use(teller, "use 2024-06-04 n=10 id=late")
        refused = error_from_status((await ran(server, ours, "2024-07-01")).error)
        assert (refused.reason, refused.metadata) == ("LATER_BILL_FIXED", {"invoice_date": "2024-08-01"})
        assert (await failure(delete(server, ours, "2024-07-01"))).reason == "LATER_BILL_FIXED"
        await ran(server, ours, "2024-09-01")
        assert shown(await get(server, ours, "2024-09-01")) == [("USAGE", "1.50", True)]


async def test_the_pricing_of_an_approved_bill_is_fixed(server: Served, prefix: str) -> None:
    """R3.5."""
    async with told(server, prefix) as teller:
        ours, price = teller.account_id, f"{prefix}price"

        async def change(path: str, **changed: Any) -> None:
            request = catalog.UpdatePricingRequest(
                pricing=Pricing(id=price, **changed), update_mask=FieldMask(paths=[path])
            )
            await server.catalog.UpdatePricing(request)

        await ran(server, ours, "2024-07-01")
        await change("charge_zero", charge_zero=True)  # pending bills fix nothing
        await change("charge_zero", charge_zero=False)
        await approve(server, ours, "2024-07-01")
        refused = await failure(change("charge_zero", charge_zero=True))
        assert (refused.reason, refused.metadata) == ("PRICING_BILLED", {"pricing_id": price})
        assert (await failure(change("end_time", end_time=time("2024-06-30")))).reason == "PRICING_BILLED"
        deletion = server.catalog.DeletePricing(catalog.DeletePricingRequest(id=price))
        assert (await failure(deletion)).reason == "PRICING_BILLED"
        await change("description", description="Calls")
        await change("end_time", end_time=time("2024-07-01"))
        await recalculate(server, ours, "2024-07-01")
        await change("charge_zero", charge_zero=True)


# --- Lists ------------------------------------------------------------------------------------------------------------


async def test_bills_are_listed_page_by_page(server: Served, prefix: str) -> None:
    async with told(server, f"{prefix}a_") as first, told(server, f"{prefix}b_") as second:
        wanted = []
        for account_id in (first.account_id, second.account_id):
            for day in ("2024-07-01", "2024-08-01"):
                await ran(server, account_id, day)
                wanted.append((account_id, day))
        await approve(server, second.account_id, "2024-07-01")
        found, token = [], ""
        while True:
            page = await server.billing.ListBills(pb.ListBillsRequest(page_size=3, page_token=token))
            found += [(each.account_id, each.invoice_date) for each in page.bills]
            assert all(not each.line_items and each.totals for each in page.bills)
            token = page.next_page_token
            if not token:
                break
        assert [each for each in found if each[0].startswith(prefix)] == wanted
        assert found == sorted(found)

        async def ids(**filters: Any) -> list[tuple[str, str]]:
            listed = await server.billing.ListBills(pb.ListBillsRequest(**filters))
            return [(each.account_id, each.invoice_date) for each in listed.bills]

        assert await ids(account_id=second.account_id) == wanted[2:]
        assert await ids(account_id=second.account_id, status=BILL_STATUS_APPROVED) == wanted[2:3]
        assert await ids(account_id=first.account_id, invoice_date="2024-08-01") == wanted[1:2]
        assert await ids(account_id=first.account_id, bill_frequency=BILL_FREQUENCY_WEEKLY) == []
        other = pb.ListBillsRequest(account_id=first.account_id, page_token="AAAA")
        assert (await failure(server.billing.ListBills(other))).violations == {("page_token", "PAGE_TOKEN_INVALID")}


async def test_a_bill_keeps_its_lines_when_the_catalog_changes(server: Served, prefix: str) -> None:
    """R12.3: a stored bill keeps everything its amounts were made from."""
    async with told(server, prefix) as teller:
        await ran(server, teller.account_id, "2024-07-01")
        before = await get(server, teller.account_id, "2024-07-01")
        request = catalog.UpdatePricingRequest(
            pricing=Pricing(id=f"{prefix}price", description="Other"), update_mask=FieldMask(paths=["description"])
        )
        await server.catalog.UpdatePricing(request)
        assert await get(server, teller.account_id, "2024-07-01") == before
        assert before.line_items[0].usage.through.units == "400"
        connection = await asyncpg.connect(server.database_url)
        assert await connection.fetchval("SELECT count(*) FROM bills WHERE is_stale AND status <> 'PENDING'") == 0
        await connection.close()
