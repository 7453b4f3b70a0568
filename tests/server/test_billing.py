"""Bills over the wire: what is owed, run alone, late and two at once (R12.1, R12.3, R12.4)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from prometheus_client import CollectorRegistry

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.account.v1.attachment_pb2 import Attachment
from ratel.catalog.v1.plan_template_pb2 import BILL_FREQUENCY_MONTHLY, BILL_FREQUENCY_WEEKLY
from ratel.client import error_from_status
from ratel.core.billing import BillKey
from ratel.core.errors import BillChanged
from ratel.core.period import Frequency, date_from_text
from ratel.core.tail import Tail
from ratel.rating.v1 import billing_service_pb2 as pb
from ratel.rating.v1.bill_pb2 import (
    BILL_STATUS_UNSPECIFIED,
)
from ratel.server.bill_run import BillMaker
from ratel.server.rating import create_plan_cache
from ratel.store.pool import Connection, Database
from tests.conftest import Served, served
from tests.server.billing import (
    CALLS,
    PENDING,
    get,
    preview,
    ran,
    responses_of,
    run,
    shown,
    told,
    total,
    use,
)
from tests.server.example import failure, time
from tests.story import read_story
from tests.telling import Teller

NUMBERS = count(1)


@pytest.fixture
def prefix() -> str:
    """Begins the ids of a test, so that all share a server."""
    return f"o{next(NUMBERS)}_"


# --- What is owed -----------------------------------------------------------------------------------------------------


async def test_a_preview_is_the_bill_that_a_run_stores(server: Served, prefix: str) -> None:
    """R13: from the same snapshot both are the same; a preview stores nothing."""
    async with told(server, prefix) as teller:
        seen = await preview(server, teller.account_id, "2024-07-01")
        assert (await failure(get(server, teller.account_id, "2024-07-01"))).reason == "NOT_FOUND"
        response = await ran(server, teller.account_id, "2024-07-01")
        stored = await get(server, teller.account_id, "2024-07-01")
        assert (response.changed, response.bill.status, stored.status) == (
            True,
            PENDING,
            PENDING,
        )
        assert response.bill.line_items == []
        assert seen.status == BILL_STATUS_UNSPECIFIED
        assert shown(stored) == [("USAGE", "60.00", False)]
        assert [each.line_number for each in stored.line_items] == [1]
        assert [(each.currency, each.amount) for each in stored.totals] == [("USD", "60.00")]
        for name in ("status", "etag", "create_time", "update_time"):
            stored.ClearField(name)
        assert seen.SerializeToString(deterministic=True) == stored.SerializeToString(deterministic=True)


async def test_running_again_changes_nothing(server: Served, prefix: str) -> None:
    """R12.4."""
    async with told(server, prefix) as teller:
        first = await ran(server, teller.account_id, "2024-07-01")
        again = await ran(server, teller.account_id, "2024-07-01")
        assert (first.changed, again.changed) == (True, False)
        assert first.bill == again.bill


async def test_late_usage_and_a_missed_run_are_on_the_next_bill(server: Served, prefix: str) -> None:
    """R12.3."""
    async with told(server, prefix) as teller:
        await ran(server, teller.account_id, "2024-07-01")
        await use(teller, "use 2024-06-30 n=300 id=late")
        await ran(server, teller.account_id, "2024-08-01")
        bill = await get(server, teller.account_id, "2024-08-01")
        assert shown(bill) == [("USAGE", "35.00", True), ("USAGE", "15.00", False)]
        correction = bill.line_items[0].correction
        assert (correction.invoice_date, correction.line_number) == ("2024-07-01", 1)
        assert (correction.carried_amount, correction.due_amount) == ("60.00", "95.00")
        assert bill.line_items[0].service_end_time == time("2024-07-01")


async def test_what_is_due_no_more_is_taken_back_and_looks_like_what_it_corrects(server: Served, prefix: str) -> None:
    """R12.3: an attachment that ended after it was billed in advance."""
    text = """
        template standing_charge=31 standing_charge_in_advance=yes
        aggregation calls SUM n
        price calls 0:1
        attach 2024-07-01 id=attached
    """
    async with told(server, prefix, text) as teller:
        await ran(server, teller.account_id, "2024-07-01")
        ended = accounts.UpdateAttachmentRequest(
            attachment=Attachment(id=f"{prefix}attached", end_time=time("2024-07-11")),
            update_mask=FieldMask(paths=["end_time"]),
        )
        await server.accounts.UpdateAttachment(ended)
        await ran(server, teller.account_id, "2024-08-01")
        first, second = [await get(server, teller.account_id, day) for day in ("2024-07-01", "2024-08-01")]
        assert shown(first) == [("STANDING_CHARGE", "31.00", False)]
        assert shown(second) == [("STANDING_CHARGE", "10.00", False), ("STANDING_CHARGE", "-31.00", True)]
        before, back = first.line_items[0], second.line_items[1]
        assert (back.description, back.service_start_time, back.service_end_time) == (
            before.description,
            before.service_start_time,
            before.service_end_time,
        )
        assert back.correction.due_amount == "0.00"


async def test_the_sum_of_all_bills_does_not_depend_on_when_they_were_run(server: Served, prefix: str) -> None:
    """R13: month by month, late, twice, all at once, after late usage."""
    days = ("2024-07-01", "2024-08-01", "2024-09-01")
    plans = [days, days[2:], (days[0], days[0], days[2]), (days[1], days[0], days[2])]
    sums = []
    for number, plan in enumerate(plans):
        async with told(server, f"{prefix}{number}_") as teller:
            for place, day in enumerate(plan):
                if place == len(plan) - 1:
                    await use(teller, "use 2024-06-30 n=300 id=late\nuse 2024-08-30 n=7 id=last")
                await ran(server, teller.account_id, day)
            for day in sorted(set(plan)):
                await ran(server, teller.account_id, day)  # what became stale
            sums.append(total(*[await get(server, teller.account_id, day) for day in sorted(set(plan))]))
    assert sums == [Decimal("111.05")] * len(plans), "95 + 15 + 1.05"


async def test_usage_without_a_pricing_fails_its_account_alone(server: Served, prefix: str) -> None:
    """R3.5, R12.4."""
    text = "aggregation calls SUM n\nprice calls 0:1 to=2024-06-15\nattach 2024-06-01\nuse 2024-06-20 n=4"
    async with told(server, f"{prefix}a_", text) as bad, told(server, f"{prefix}b_") as good:
        ids = [bad.account_id, f"{prefix}nobody", good.account_id]
        (response,) = await responses_of(server, ids, "2024-07-01")
        results = response.billed_accounts
        errors = [error_from_status(each.error).reason if each.HasField("error") else "" for each in results]
        assert errors == ["USAGE_UNPRICED", "NOT_FOUND", ""]
        metadata = error_from_status(results[0].error).metadata
        assert (metadata["priced_id"], metadata["quantity"]) == (f"{prefix}a_calls", "4")
        assert (response.done_count, response.account_count) == (3, 3)
        seen = await preview(server, bad.account_id, "2024-07-01")
        assert [(each.aggregation_id, each.quantity) for each in seen.unpriced_usages] == [(f"{prefix}a_calls", "4")]


async def test_what_a_bill_says_does_not_depend_on_who_is_billed_with_it(server: Served, prefix: str) -> None:
    """R13: who is on no plan yet has no period whose usage could be missed, whatever plans others are on."""
    text = "aggregation calls SUM n\nprice calls 0:1\nattach 2024-08-01\nuse 2024-06-20 n=4"
    async with told(server, f"{prefix}a_", text) as later, told(server, f"{prefix}b_") as other:
        seen = await preview(server, later.account_id, "2024-07-01")
        _, beside = await run(server, [other.account_id, later.account_id], "2024-07-01")
        alone = await ran(server, later.account_id, "2024-07-01")
        assert (list(seen.unattached_usages), alone, beside.bill) == ([], beside, seen)


async def test_nothing_due_is_no_bill(server: Served, prefix: str) -> None:
    async with told(server, prefix) as teller:
        response = await ran(server, teller.account_id, "2024-06-01")
        assert (response.changed, response.bill.status, response.bill.etag) == (False, BILL_STATUS_UNSPECIFIED, "")
        assert (await failure(get(server, teller.account_id, "2024-06-01"))).reason == "NOT_FOUND"
        (weekly,) = await run(server, [teller.account_id], "2024-07-01", bill_frequency=BILL_FREQUENCY_WEEKLY)
        assert weekly.bill.status == BILL_STATUS_UNSPECIFIED


async def test_all_accounts_are_billed_by_id(fresh_database_url: str) -> None:
    async with served(fresh_database_url) as server, told(server, "b_"), told(server, "a_"):
        (response,) = await responses_of(server, [], "2024-07-01")
        assert [each.account_id for each in response.billed_accounts] == ["a_account", "b_account"]
        assert (response.done_count, response.account_count) == (2, 2)


async def test_a_run_over_chunks_answers_in_order_and_may_be_left(
    server: Served, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R12.4: whoever left finds some bills made, and what is asked again makes the others."""
    monkeypatch.setattr("ratel.server.billing.CHUNK_ACCOUNTS", 3)
    monkeypatch.setattr("ratel.server.bill_chunk.RESULTS_MAX", 2)
    async with served(server.database_url, billing_processes=0) as alone:
        await _leave_a_run(alone, prefix)


async def _leave_a_run(server: Served, prefix: str) -> None:
    tellers = [Teller(server, read_story(CALLS), f"{prefix}{number}_") for number in range(5)]
    for teller in tellers:
        await teller.tell()
    ids = [teller.account_id for teller in reversed(tellers)]
    asked = pb.RunBillingRequest(account_ids=ids, bill_frequency=BILL_FREQUENCY_MONTHLY, invoice_date="2024-07-01")
    left = server.billing.RunBilling(asked)
    async for response in left:
        assert all(each.changed for each in response.billed_accounts)
        left.cancel()
        break
    responses = await responses_of(server, ids, "2024-07-01")
    assert [each.account_id for response in responses for each in response.billed_accounts] == ids
    assert [(response.done_count, response.account_count) for response in responses] == [(2, 5), (3, 5), (5, 5)]
    assert not responses[0].billed_accounts[0].changed
    for account_id in ids:
        assert shown(await get(server, account_id, "2024-07-01")) == [("USAGE", "60.00", False)]


async def test_requests_that_make_no_sense(server: Served, prefix: str) -> None:
    wrong = pb.PreviewBillRequest(account_id="?", invoice_date="2024-02-30")
    assert {field for field, _ in (await failure(server.billing.PreviewBill(wrong))).violations} == {
        "account_id",
        "bill_frequency",
        "invoice_date",
    }
    assert (await failure(preview(server, f"{prefix}nobody", "2024-07-01"))).reason == "NOT_FOUND"
    assert (await failure(ran(server, f"{prefix}nobody", "2024-13-01"))).violations == {
        ("invoice_date", "DATE_INVALID")
    }


# --- Two at once ------------------------------------------------------------------------------------------------------


async def test_runs_at_once_from_two_servers_make_one_bill(server: Served, prefix: str) -> None:
    """R12.4."""
    async with served(server.database_url) as other:
        tellers = [Teller(server, read_story(CALLS), f"{prefix}{number}_") for number in range(6)]
        for teller in tellers:
            await teller.tell()
        ids = [teller.account_id for teller in tellers]
        runs = [run(each, ids, "2024-07-01") for each in (server, other, server, other)]
        responses = [each for found in await asyncio.gather(*runs) for each in found]
        assert [each for each in responses if each.HasField("error")] == []
        assert sum(each.changed for each in responses) == len(ids), "each bill was written once"
        for account_id in ids:
            assert shown(await get(server, account_id, "2024-07-01")) == [("USAGE", "60.00", False)]


class Disturbed(Database):
    """A database in which somebody else writes the bills before each transaction of ours."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with super().transaction() as connection:
            await connection.execute("UPDATE bills SET etag = nextval('etags')")
        async with super().transaction() as connection:
            yield connection


async def test_who_is_overtaken_again_and_again_is_told(server: Served, prefix: str) -> None:
    async with told(server, prefix) as teller:
        await ran(server, teller.account_id, "2024-07-01")
        await use(teller, "use 2024-06-04 n=10 id=late")
        database = Disturbed(server.database_url)
        maker = BillMaker(database, create_plan_cache(CollectorRegistry()), Tail())
        key = BillKey(Frequency.MONTHLY, date_from_text("2024-07-01"))
        found = (await maker.run([teller.account_id], key, ""))[teller.account_id]
        await database.close()
        assert isinstance(found, BillChanged)
        assert shown(await get(server, teller.account_id, "2024-07-01")) == [("USAGE", "60.00", False)]
