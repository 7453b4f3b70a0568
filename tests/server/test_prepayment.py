"""Commitments, balances and their transactions over the wire, and what they pay on bills (R7)."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from ratel.account.v1 import account_service_pb2 as pb
from ratel.account.v1.account_pb2 import Account
from ratel.account.v1.balance_pb2 import Balance, BalanceTransaction
from ratel.account.v1.commitment_pb2 import Commitment, Fee, FeeSchedule
from ratel.catalog.v1.plan_template_pb2 import BILL_FREQUENCY_ANNUALLY, PlanTerms
from ratel.catalog.v1.settings_pb2 import CREDIT_KIND_BALANCE, CREDIT_KIND_COMMITMENT
from ratel.rating.v1 import billing_service_pb2 as billing
from ratel.rating.v1.line_item_pb2 import LineItemKind
from tests.conftest import Served
from tests.server import example
from tests.server.billing import approve, get, preview, ran, shown, told
from tests.server.example import band, create, failure, pricing, time
from tests.story import read_story

PREPAID = """
    aggregation calls SUM n
    price calls 0:1 id=price overage=0:2
    commitment year 150 2024-06-01 2025-06-01 every=3
    balance extra 2024-06-01 2024-09-01 put=2024-06-01:20
    attach 2024-06-01
    use 2024-06-03 n=100
    use 2024-07-03 n=100
"""


@pytest.fixture(autouse=True)
async def _example(server: Served) -> None:
    await example.create_anew(server)


def commitment(**changed: Any) -> Commitment:
    usual: dict[str, Any] = {
        "id": "year",
        "account_id": "acme",
        "name": "Year",
        "currency": "USD",
        "amount": "1000",
        "start_time": time("2024-01-01"),
        "end_time": time("2025-01-01"),
    }
    return Commitment(**usual | changed)


def balance(**changed: Any) -> Balance:
    usual: dict[str, Any] = {
        "id": "extra",
        "account_id": "acme",
        "name": "Extra",
        "currency": "USD",
        "start_time": time("2024-01-01"),
        "end_time": time("2025-01-01"),
    }
    return Balance(**usual | changed)


def transaction(**changed: Any) -> BalanceTransaction:
    usual: dict[str, Any] = {
        "id": "first",
        "balance_id": "extra",
        "transaction_time": time("2024-02-01"),
        "amount": "100",
    }
    return BalanceTransaction(**usual | changed)


async def commit(server: Served, **changed: Any) -> Commitment:
    request = pb.CreateCommitmentRequest(commitment=commitment(**changed))
    return (await server.accounts.CreateCommitment(request)).commitment


async def open_balance(server: Served, **changed: Any) -> Balance:
    return (await server.accounts.CreateBalance(pb.CreateBalanceRequest(balance=balance(**changed)))).balance


async def put(server: Served, **changed: Any) -> BalanceTransaction:
    request = pb.CreateBalanceTransactionRequest(balance_transaction=transaction(**changed))
    return (await server.accounts.CreateBalanceTransaction(request)).balance_transaction


# --- The nouns --------------------------------------------------------------------------------------------------------


async def test_a_commitment_is_created_read_changed_and_deleted(server: Served) -> None:
    stub = server.accounts
    whole = {
        "fee_schedule": FeeSchedule(plan_id="gold", first_amount="100.00", in_advance=True),
        "product_ids": ["cloud"],
        "line_item_kinds": [LineItemKind.LINE_ITEM_KIND_USAGE, LineItemKind.LINE_ITEM_KIND_PURCHASE],
        "overage_surcharge_percent": "2.5",
    }
    created = await commit(server, **whole)
    assert await commit(server, **whole) == created, "repeated"
    assert (created.amount, created.fee_schedule.period_count) == ("1000.00", 1)
    assert (await stub.GetCommitment(pb.GetCommitmentRequest(id="year"))).commitment == created
    await commit(server, id="other", fees=[Fee(time=time("2024-03-01"), amount="5")])
    listed = await stub.ListCommitments(pb.ListCommitmentsRequest(account_id="acme", page_size=1))
    assert [each.id for each in listed.commitments] == ["other"]
    rest = pb.ListCommitmentsRequest(account_id="acme", page_size=1, page_token=listed.next_page_token)
    assert (await stub.ListCommitments(rest)).commitments == [created]
    changed = pb.UpdateCommitmentRequest(
        commitment=Commitment(id="year", amount="900", etag=created.etag), update_mask=FieldMask(paths=["amount"])
    )
    updated = (await stub.UpdateCommitment(changed)).commitment
    assert (updated.amount, list(updated.product_ids)) == ("900.00", ["cloud"])
    assert (await failure(stub.UpdateCommitment(changed))).reason == "ETAG_MISMATCH"
    used = await failure(example.call(server, "DeletePlan", id="gold"))
    assert (used.reason, used.metadata["user_resource"], used.metadata["user_id"]) == ("IN_USE", "commitment", "year")
    await stub.DeleteCommitment(pb.DeleteCommitmentRequest(id="year"))
    for gone in (
        stub.GetCommitment(pb.GetCommitmentRequest(id="year")),
        stub.DeleteCommitment(pb.DeleteCommitmentRequest(id="year")),
        stub.ListCommitments(pb.ListCommitmentsRequest(account_id="nobody")),
        stub.UpdateCommitment(changed),
    ):
        assert (await failure(gone)).reason == "NOT_FOUND"


async def test_commitments_that_cannot_be(server: Served) -> None:
    async def refused(**changed: Any) -> set[tuple[str, str]]:
        found = (await failure(commit(server, **changed))).violations
        return {(path.removeprefix("commitment."), reason) for path, reason in found}

    fee = Fee(time=time("2024-03-01"), amount="5")
    assert await refused(amount="0") == {("amount", "AMOUNT_NOT_POSITIVE")}
    assert await refused(amount="0.001", currency="USD") == {("amount", "AMOUNT_DIGITS")}
    assert await refused(currency="XYZ") == {("currency", "CURRENCY_UNKNOWN")}
    assert await refused(end_time=time("2024-01-01")) == {("end_time", "PERIOD_INVALID")}
    assert await refused(fees=[fee, fee]) == {("fees[1].time", "DUPLICATE")}
    assert await refused(fees=[Fee(time=time("2024-03-01"), amount="0")]) == {("fees[0].amount", "AMOUNT_NOT_POSITIVE")}
    assert await refused(fees=[fee], fee_schedule=FeeSchedule(plan_id="gold", first_amount="1001")) == {
        ("fee_schedule", "FEES_TWICE"),
        ("fee_schedule.first_amount", "FEE_ABOVE_AMOUNT"),
    }
    assert await refused(product_ids=["a", "a"], line_item_kinds=[LineItemKind.LINE_ITEM_KIND_SETUP_FEE]) == {
        ("product_ids", "DUPLICATE"),
        ("line_item_kinds[0]", "KIND_NOT_PAYABLE"),
    }
    missing = await failure(commit(server, fee_schedule=FeeSchedule(plan_id="no")))
    assert (missing.reason, missing.metadata) == ("NOT_FOUND", {"resource": "plan", "id": "no"})
    assert (await failure(commit(server, account_id="no"))).metadata == {"resource": "account", "id": "no"}
    await commit(server)
    other = await failure(commit(server, amount="5"))
    assert (other.reason, other.metadata) == ("ALREADY_EXISTS", {"resource": "commitment", "id": "year"})
    currency = pb.UpdateCommitmentRequest(
        commitment=Commitment(id="year", currency="EUR"), update_mask=FieldMask(paths=["currency"])
    )
    assert (await failure(server.accounts.UpdateCommitment(currency))).violations == {
        ("commitment.currency", "FIELD_IMMUTABLE")
    }


async def test_a_balance_and_its_transactions(server: Served) -> None:
    stub = server.accounts
    created = await open_balance(server, rollover_amount="5", rollover_end_time=time("2025-02-01"))
    assert (created.rollover_amount, created.overage_surcharge_percent) == ("5.00", "")
    assert (await stub.GetBalance(pb.GetBalanceRequest(id="extra"))).balance == created
    assert (await stub.ListBalances(pb.ListBalancesRequest(account_id="acme"))).balances == [created]
    first = await put(server, fee="1.5", description="Bank")
    assert (first.amount, first.fee) == ("100.00", "1.50")
    assert await put(server, fee="1.5", description="Bank") == first, "repeated"
    await put(server, id="out", amount="-30", transaction_time=time("2024-12-31T23:59"))
    listed = await stub.ListBalanceTransactions(pb.ListBalanceTransactionsRequest(balance_id="extra"))
    assert [(each.id, each.amount) for each in listed.balance_transactions] == [("first", "100.00"), ("out", "-30.00")]
    shorter = pb.UpdateBalanceRequest(
        balance=Balance(id="extra", end_time=time("2024-12-31")), update_mask=FieldMask(paths=["end_time"])
    )
    assert (await failure(stub.UpdateBalance(shorter))).violations == {
        ("balance.transaction_time", "TRANSACTION_OUTSIDE")
    }
    await stub.DeleteBalanceTransaction(pb.DeleteBalanceTransactionRequest(id="out"))
    assert (await stub.UpdateBalance(shorter)).balance.end_time == time("2024-12-31")
    used = await failure(stub.DeleteBalance(pb.DeleteBalanceRequest(id="extra")))
    assert (used.reason, used.metadata["user_resource"]) == ("IN_USE", "balance_transaction")
    stale = pb.DeleteBalanceTransactionRequest(id="first", etag="1")
    assert (await failure(stub.DeleteBalanceTransaction(stale))).reason == "ETAG_MISMATCH"
    await stub.DeleteBalanceTransaction(pb.DeleteBalanceTransactionRequest(id="first", etag=first.etag))
    await stub.DeleteBalance(pb.DeleteBalanceRequest(id="extra"))
    for gone in (
        stub.GetBalance(pb.GetBalanceRequest(id="extra")),
        stub.UpdateBalance(shorter),
        stub.DeleteBalance(pb.DeleteBalanceRequest(id="extra")),
        stub.ListBalances(pb.ListBalancesRequest(account_id="no")),
        stub.ListBalanceTransactions(pb.ListBalanceTransactionsRequest(balance_id="extra")),
        stub.DeleteBalanceTransaction(pb.DeleteBalanceTransactionRequest(id="first")),
        put(server),
    ):
        assert (await failure(gone)).reason == "NOT_FOUND"


async def test_balances_and_transactions_that_cannot_be(server: Served) -> None:
    async def refused(**changed: Any) -> set[tuple[str, str]]:
        return (await failure(open_balance(server, **changed))).violations

    assert await refused(rollover_amount="5") == {("balance.rollover_end_time", "ROLLOVER_INCOMPLETE")}
    assert await refused(rollover_end_time=time("2025-02-01")) == {("balance.rollover_end_time", "ROLLOVER_INCOMPLETE")}
    assert await refused(rollover_amount="5", rollover_end_time=time("2025-01-01")) == {
        ("balance.rollover_end_time", "ROLLOVER_EMPTY")
    }
    assert await refused(rollover_amount="0.001") == {
        ("balance.rollover_amount", "AMOUNT_DIGITS"),
        ("balance.rollover_end_time", "ROLLOVER_INCOMPLETE"),
    }
    await open_balance(server)
    assert (await failure(open_balance(server, name="Other"))).reason == "ALREADY_EXISTS"
    path = "balance_transaction"
    for changed, field, reason in (
        ({"amount": "0"}, "amount", "AMOUNT_ZERO"),
        ({"amount": "0.001"}, "amount", "AMOUNT_DIGITS"),
        ({"fee": "0"}, "fee", "AMOUNT_NOT_POSITIVE"),
        ({"transaction_time": time("2025-01-01")}, "transaction_time", "TRANSACTION_OUTSIDE"),
    ):
        assert (await failure(put(server, **changed))).violations == {(f"{path}.{field}", reason)}
    await put(server)
    assert (await failure(put(server, amount="7"))).reason == "ALREADY_EXISTS"


async def test_overage_bands_that_cannot_be(server: Served) -> None:
    """Case 34 (R7.4)."""

    async def refused(**changed: Any) -> set[tuple[str, str]]:
        usual = {"overage_bands": [band("0", "0.7")]}
        found = (await failure(create(server, "Pricing", pricing(**usual | changed)))).violations
        return {(path.removeprefix("pricing."), reason) for path, reason in found}

    assert await refused(cumulative=False) == {("overage_bands", "OVERAGE_UNEXPECTED")}
    assert await refused(accumulate=True) == {("overage_bands", "OVERAGE_UNEXPECTED")}
    assert await refused(overage_bands=[band("0", "1", fixed_price="1"), band("5", "1", block_size="2")]) == {
        ("overage_bands[0]", "OVERAGE_BAND"),
        ("overage_bands[1]", "OVERAGE_BAND"),
    }
    assert await refused(overage_bands=[band("1", "1")]) == {("overage_bands[0].lower_limit", "BAND_START")}
    stored = (await create(server, "Pricing", pricing(overage_bands=[band("0", "0.7"), band("5", "1")]))).pricing
    assert [(each.lower_limit, each.unit_price) for each in stored.overage_bands] == [("0", "0.7"), ("5", "1")]


async def test_what_pays_first_is_named_once(server: Served) -> None:
    twice = [CREDIT_KIND_BALANCE, CREDIT_KIND_BALANCE]
    mask = FieldMask(paths=["credit_application_order"])
    request = pb.UpdateAccountRequest(account=Account(id="acme", credit_application_order=twice), update_mask=mask)
    assert (await failure(server.accounts.UpdateAccount(request))).violations == {
        ("account.credit_application_order", "DUPLICATE")
    }
    order = [CREDIT_KIND_BALANCE, CREDIT_KIND_COMMITMENT]
    request = pb.UpdateAccountRequest(account=Account(id="acme", credit_application_order=order), update_mask=mask)
    assert (await server.accounts.UpdateAccount(request)).account.credit_application_order == order


# --- On bills ---------------------------------------------------------------------------------------------------------


async def test_a_bill_says_who_paid_what_and_what_is_left(server: Served) -> None:
    async with told(server, "paid_", PREPAID) as teller:
        bill = await preview(server, teller.account_id, "2024-08-01")
        assert shown(bill) == [
            ("USAGE", "100.00", False),
            ("COMMITMENT_CONSUMED", "-100.00", False),
            ("USAGE", "70.00", False),
            ("COMMITMENT_CONSUMED", "-50.00", False),
            ("BALANCE_CONSUMED", "-20.00", False),
            ("OVERAGE_USAGE", "60.00", False),
        ]
        _, first, usage, second, third, overage = bill.line_items
        assert (first.commitment_id, first.draw_down.left_before, first.draw_down.left_after) == (
            "paid_year",
            "150.00",
            "50.00",
        )
        assert (second.draw_down.left_before, second.draw_down.left_after) == ("50.00", "0.00")
        (payment,) = third.draw_down.payments
        assert (third.balance_id, payment.amount, payment.pricing_id) == ("paid_extra", "20.00", "paid_price")
        assert payment.service_start_time == time("2024-07-01")
        assert (usage.taken_back, usage.exact_amount, usage.usage.through.units) == ("30.00", "100", "100")
        workings = overage.overage
        assert (workings.units_paid, workings.units, workings.usage_amount) == ("70", "30", "30.00")
        assert [(each.units, each.amount) for each in workings.band_usages] == [("30", "60")]


async def test_bills_one_by_one_and_late_usage_come_to_the_same(server: Served) -> None:
    """R12.3, R13: what is drawn down is replayed; a correction takes it from where it was."""
    async with told(server, "late_", PREPAID) as teller:
        await ran(server, teller.account_id, "2024-07-01")
        await approve(server, teller.account_id, "2024-07-01")
        late = "aggregation calls SUM n\nuse 2024-06-10 n=20 id=late"
        await teller.tell_usage(read_story(late).usages)
        await ran(server, teller.account_id, "2024-08-01")
        bill = await get(server, teller.account_id, "2024-08-01")
        assert shown(bill) == [
            ("USAGE", "20.00", True),
            ("COMMITMENT_CONSUMED", "-20.00", True),
            ("USAGE", "50.00", False),
            ("COMMITMENT_CONSUMED", "-30.00", False),
            ("BALANCE_CONSUMED", "-20.00", False),
            ("OVERAGE_USAGE", "100.00", False),
        ]
        correction = bill.line_items[1].correction
        assert (correction.invoice_date, correction.due_amount) == ("2024-07-01", "-120.00")
        assert correction.carried_amount == "-100.00"


async def test_a_commitment_pays_on_the_bills_of_every_frequency(server: Served) -> None:
    """R7.1: what one frequency's bills took, those of another find gone."""
    text = """
        template frequency=ANNUALLY standing_charge=40
        aggregation calls SUM n
        commitment year 50 2024-01-01 2026-01-01
        attach 2024-01-01
    """
    async with told(server, "both_", text) as teller:
        month = example.template(id="month", terms=PlanTerms(standing_charge="30"))
        await create(server, "PlanTemplate", month)
        await create(server, "Plan", example.plan(id="month", plan_template_id="month", terms=None))
        attached = example.attachment(
            id="month",
            account_id=teller.account_id,
            plan_id="month",
            start_time=time("2024-12-01"),
            end_time=time("2025-01-01"),
        )
        await server.accounts.CreateAttachment(pb.CreateAttachmentRequest(attachment=attached))
        monthly = await preview(server, teller.account_id, "2025-01-01")
        assert shown(monthly) == [("STANDING_CHARGE", "30.00", False), ("COMMITMENT_CONSUMED", "-30.00", False)]
        request = billing.PreviewBillRequest(
            account_id=teller.account_id, bill_frequency=BILL_FREQUENCY_ANNUALLY, invoice_date="2025-01-01"
        )
        year = (await server.billing.PreviewBill(request)).bill
        assert shown(year) == [("STANDING_CHARGE", "40.00", False), ("COMMITMENT_CONSUMED", "-20.00", False)]


async def test_fees_fall_due_and_are_taken_back_with_their_commitment(server: Served) -> None:
    await commit(server, fees=[Fee(time=time("2024-06-10"), amount="5")])
    await open_balance(server)
    await put(server, fee="2", transaction_time=time("2024-06-05"))
    await ran(server, "acme", "2024-07-01")
    bill = await get(server, "acme", "2024-07-01")
    assert shown(bill) == [("COMMITMENT_FEE", "5.00", False), ("BALANCE_FEE", "2.00", False)]
    fee, other = bill.line_items
    assert (fee.commitment_id, fee.description) == ("year", "Year fee")
    assert (other.balance_id, other.balance_transaction_id, other.description) == ("extra", "first", "Extra fee")
    await server.accounts.DeleteCommitment(pb.DeleteCommitmentRequest(id="year"))
    assert shown(await preview(server, "acme", "2024-08-01")) == [("COMMITMENT_FEE", "-5.00", True)]
