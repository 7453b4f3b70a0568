"""Accounts over the wire: attachments, replacements and counter adjustments."""

import asyncio
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from ratel.account.v1 import account_service_pb2 as pb
from ratel.account.v1.account_pb2 import Account
from ratel.account.v1.attachment_pb2 import Attachment
from ratel.account.v1.counter_adjustment_pb2 import CounterAdjustment
from ratel.catalog.v1 import catalog_service_pb2 as catalog
from tests.conftest import Served
from tests.server import example
from tests.server.example import Failure, create_anew, failure, time


@pytest.fixture(autouse=True)
async def anew(server: Served) -> None:
    await create_anew(server)


async def attach(server: Served, **changed: Any) -> Attachment:
    request = pb.CreateAttachmentRequest(attachment=example.attachment(**changed))
    return (await server.accounts.CreateAttachment(request)).attachment


async def adjust(server: Served, **changed: Any) -> CounterAdjustment:
    request = pb.CreateCounterAdjustmentRequest(counter_adjustment=example.adjustment(**changed))
    return (await server.accounts.CreateCounterAdjustment(request)).counter_adjustment


async def replace(server: Served, old: str, **changed: Any) -> pb.ReplaceAttachmentResponse:
    request = pb.ReplaceAttachmentRequest(id=old, attachment=example.attachment(**changed))
    return await server.accounts.ReplaceAttachment(request)


async def replace_keeping(server: Served, old: str, **changed: Any) -> Attachment:
    attachment = example.attachment(**changed)
    request = pb.ReplaceAttachmentRequest(id=old, attachment=attachment, keep_accumulation=True)
    found = (await server.accounts.ReplaceAttachment(request)).attachment
    assert (await server.accounts.ReplaceAttachment(request)).attachment == found, "it may be repeated"
    return found


async def update_attachment(server: Served, attachment: Attachment, *paths: str) -> Attachment:
    request = pb.UpdateAttachmentRequest(attachment=attachment, update_mask=FieldMask(paths=paths))
    return (await server.accounts.UpdateAttachment(request)).attachment


def not_found(resource: str, id: str) -> Failure:  # noqa: A002 -- as in the metadata
    return Failure("NOT_FOUND", "NOT_FOUND", {"resource": resource, "id": id}, set())


def invalid(*violations: tuple[str, str]) -> Failure:
    reasons = {reason for _, reason in violations}
    return Failure("INVALID_ARGUMENT", reasons.pop() if len(reasons) == 1 else "INVALID", {}, set(violations))


# --- Accounts ---------------------------------------------------------------------------------------------------------


async def test_an_account_is_created_once_read_and_changed(server: Served) -> None:
    stub = server.accounts
    created = (await stub.CreateAccount(pb.CreateAccountRequest(account=example.account()))).account
    assert created == (await stub.GetAccount(pb.GetAccountRequest(id="acme"))).account
    other = stub.CreateAccount(pb.CreateAccountRequest(account=example.account(name="Other")))
    expected = Failure("ALREADY_EXISTS", "ALREADY_EXISTS", {"resource": "account", "id": "acme"}, set())
    assert await failure(other) == expected
    request = pb.UpdateAccountRequest(
        account=Account(id="acme", epoch="2024-02-29"), update_mask=FieldMask(paths=["epoch"])
    )
    changed = (await stub.UpdateAccount(request)).account
    assert (changed.name, changed.epoch) == ("Acme", "2024-02-29")
    stale = pb.UpdateAccountRequest(account=created)
    assert (await failure(stub.UpdateAccount(stale))).reason == "ETAG_MISMATCH"


async def test_wrong_accounts_are_refused(server: Served) -> None:
    stub = server.accounts
    for wrong, violations in [
        (Account(), {("account.id", "STRING_PATTERN"), ("account.name", "STRING_MIN_LEN")}),
        (example.account(id="x", epoch="2024-02-30"), {("account.epoch", "DATE_INVALID")}),
        (example.account(id="x", epoch="24-02-01"), {("account.epoch", "STRING_PATTERN")}),
    ]:
        found = await failure(stub.CreateAccount(pb.CreateAccountRequest(account=wrong)))
        assert (found.code, found.violations) == ("INVALID_ARGUMENT", violations)
    found = await failure(stub.CreateAccount(pb.CreateAccountRequest()))
    assert found.violations == {("account", "REQUIRED")}
    assert await failure(stub.GetAccount(pb.GetAccountRequest(id="x"))) == not_found("account", "x")
    update = pb.UpdateAccountRequest(account=example.account(id="x"))
    assert await failure(stub.UpdateAccount(update)) == not_found("account", "x")


async def test_accounts_are_listed_page_by_page(server: Served) -> None:
    stub = server.accounts
    for account_id in ("b", "B", "a"):
        await stub.CreateAccount(pb.CreateAccountRequest(account=example.account(id=account_id)))
    first = await stub.ListAccounts(pb.ListAccountsRequest(page_size=3))
    assert [each.id for each in first.accounts] == ["B", "a", "acme"]
    second = await stub.ListAccounts(pb.ListAccountsRequest(page_size=1, page_token=first.next_page_token))
    assert [each.id for each in second.accounts] == ["b"]
    assert not second.next_page_token
    elsewhere = catalog.ListProductsRequest(page_token=first.next_page_token)
    expected = invalid(("page_token", "PAGE_TOKEN_INVALID"))
    assert await failure(server.catalog.ListProducts(elsewhere)) == expected
    too_many = await failure(stub.ListAccounts(pb.ListAccountsRequest(page_size=1001)))
    assert too_many.violations == {("page_size", "INT32_GTE_LTE")}


# --- Attachments (R4.1) -----------------------------------------------------------------------------------------------


async def test_an_attachment_is_created_once_read_changed_and_deleted(server: Served) -> None:
    stub = server.accounts
    created = await attach(server, end_time=time("2025-01-01"))
    assert await attach(server, end_time=time("2025-01-01")) == created
    assert (await stub.GetAttachment(pb.GetAttachmentRequest(id="acme-gold"))).attachment == created
    assert (await failure(attach(server))).reason == "ALREADY_EXISTS"
    changed = await update_attachment(server, Attachment(id="acme-gold"), "end_time")
    assert not changed.HasField("end_time")
    listed = await stub.ListAttachments(pb.ListAttachmentsRequest(account_id="acme"))
    assert list(listed.attachments) == [changed]
    stale = pb.DeleteAttachmentRequest(id="acme-gold", etag=created.etag)
    assert (await failure(stub.DeleteAttachment(stale))).reason == "ETAG_MISMATCH"
    await stub.DeleteAttachment(pb.DeleteAttachmentRequest(id="acme-gold", etag=changed.etag))
    for gone in (
        stub.GetAttachment(pb.GetAttachmentRequest(id="acme-gold")),
        stub.DeleteAttachment(pb.DeleteAttachmentRequest(id="acme-gold")),
        update_attachment(server, Attachment(id="acme-gold"), "epoch"),
        replace(server, "acme-gold", id="new"),
    ):
        assert await failure(gone) == not_found("attachment", "acme-gold")


async def test_wrong_attachments_are_refused(server: Served) -> None:
    assert await failure(attach(server, account_id="no")) == not_found("account", "no")
    assert await failure(attach(server, plan_id="no")) == not_found("plan", "no")
    assert await failure(attach(server, end_time=time("2023-01-01"), epoch="2024-13-01")) == invalid(
        ("attachment.end_time", "PERIOD_INVALID"), ("attachment.epoch", "DATE_INVALID")
    )
    assert await failure(attach(server, start_time=None)) == invalid(("attachment.start_time", "REQUIRED"))
    listed = server.accounts.ListAttachments(pb.ListAttachmentsRequest(account_id="no"))
    assert await failure(listed) == not_found("account", "no")
    await attach(server)
    plan = Attachment(id="acme-gold", plan_id="other", account_id="else")
    assert await failure(update_attachment(server, plan)) == invalid(
        ("attachment.plan_id", "FIELD_IMMUTABLE"),
        ("attachment.account_id", "FIELD_IMMUTABLE"),
        ("attachment.start_time", "REQUIRED"),
    )


async def test_one_attachment_for_a_product_at_a_time(server: Served) -> None:
    """R4.1."""
    await attach(server, end_time=time("2024-07-01"))
    expected = Failure("FAILED_PRECONDITION", "ATTACHMENT_OVERLAP", {"attachment_id": "acme-gold"}, set())
    assert await failure(attach(server, id="second", start_time=time("2024-06-30"))) == expected
    await attach(server, id="second", start_time=time("2024-07-01"))
    early = Attachment(id="second", start_time=time("2024-06-01"))
    assert await failure(update_attachment(server, early, "start_time")) == expected
    # Another product, another account: not in the way.
    await server.catalog.CreateProduct(catalog.CreateProductRequest(product=example.product(id="other")))
    template = example.template(id="other", product_id="other")
    await server.catalog.CreatePlanTemplate(catalog.CreatePlanTemplateRequest(plan_template=template))
    plan = example.plan(id="other", plan_template_id="other")
    await server.catalog.CreatePlan(catalog.CreatePlanRequest(plan=plan))
    await attach(server, id="third", plan_id="other")
    await server.accounts.CreateAccount(pb.CreateAccountRequest(account=example.account(id="else")))
    await attach(server, id="fourth", account_id="else")


async def test_concurrent_writers_cannot_overlap(server: Served) -> None:
    """R4.1: of many at once exactly one gets in."""
    results = await asyncio.gather(*(attach(server, id=f"a{n}") for n in range(25)), return_exceptions=True)
    made = [result for result in results if isinstance(result, Attachment)]
    assert len(made) == 1
    listed = await server.accounts.ListAttachments(pb.ListAttachmentsRequest(account_id="acme"))
    assert list(listed.attachments) == made


async def test_a_custom_plan_is_for_its_own_account(server: Served) -> None:
    """R3.4."""
    custom = example.plan(id="custom", account_id="acme")
    await server.catalog.CreatePlan(catalog.CreatePlanRequest(plan=custom))
    await server.accounts.CreateAccount(pb.CreateAccountRequest(account=example.account(id="else")))
    expected = Failure("FAILED_PRECONDITION", "PLAN_CUSTOM", {"plan_id": "custom"}, set())
    assert await failure(attach(server, account_id="else", plan_id="custom")) == expected
    await attach(server, plan_id="custom")


async def test_a_plan_with_attachments_is_not_deleted(server: Served) -> None:
    await attach(server)
    found = await failure(server.catalog.DeletePlan(catalog.DeletePlanRequest(id="gold")))
    assert found.metadata == {
        "resource": "plan",
        "id": "gold",
        "user_resource": "attachment",
        "user_id": "acme-gold",
    }


async def test_a_replacement_ends_one_and_starts_the_next_and_may_be_repeated(server: Served) -> None:
    """R4.1."""
    await server.catalog.CreatePlan(catalog.CreatePlanRequest(plan=example.plan(id="silver")))
    await attach(server)
    change = {"id": "next", "plan_id": "silver", "start_time": time("2024-06-15")}
    answer = await replace(server, "acme-gold", **change)
    assert answer.ended_attachment.end_time == time("2024-06-15")
    assert (answer.attachment.id, answer.attachment.plan_id) == ("next", "silver")
    assert await replace(server, "acme-gold", **change) == answer
    stored = await server.accounts.GetAttachment(pb.GetAttachmentRequest(id="acme-gold"))
    assert stored.attachment == answer.ended_attachment


async def test_a_replacement_may_go_on_accumulating(server: Served) -> None:
    """R4.1: from where the first of the replaced ones began."""
    await attach(server)
    second = await replace_keeping(server, "acme-gold", id="second", start_time=time("2024-06-15"))
    third = await replace_keeping(server, "second", id="third", start_time=time("2024-07-15"))
    fourth = (await replace(server, "third", id="fourth", start_time=time("2024-08-15"))).attachment
    assert second.accumulation_start_time == third.accumulation_start_time == time("2024-01-01")
    assert not fourth.HasField("accumulation_start_time")
    late = attach(server, id="late", start_time=time("2023-01-01"), accumulation_start_time=time("2023-01-02"))
    assert await failure(late) == invalid(("attachment.accumulation_start_time", "ACCUMULATION_LATER"))


async def test_a_replacement_must_fit_and_otherwise_changes_nothing(server: Served) -> None:
    stub = server.catalog
    await stub.CreateProduct(catalog.CreateProductRequest(product=example.product(id="other")))
    template = example.template(id="other", product_id="other")
    await stub.CreatePlanTemplate(catalog.CreatePlanTemplateRequest(plan_template=template))
    await stub.CreatePlan(catalog.CreatePlanRequest(plan=example.plan(id="other", plan_template_id="other")))
    await server.accounts.CreateAccount(pb.CreateAccountRequest(account=example.account(id="else")))
    old = await attach(server, end_time=time("2024-07-01"))
    await attach(server, id="after", start_time=time("2024-08-01"))
    assert await failure(
        replace(server, "acme-gold", id="n", account_id="else", plan_id="other", start_time=time("2024-07-02"))
    ) == invalid(
        ("attachment.account_id", "ACCOUNT_DIFFERENT"),
        ("attachment.plan_id", "PRODUCT_DIFFERENT"),
        ("attachment.start_time", "REPLACEMENT_OUTSIDE"),
    )
    at_start = replace(server, "acme-gold", id="n")
    assert await failure(at_start) == invalid(("attachment.start_time", "REPLACEMENT_OUTSIDE"))
    assert await failure(replace(server, "acme-gold", id="n", plan_id="no")) == not_found("plan", "no")
    overlapping = await failure(replace(server, "acme-gold", id="n", start_time=time("2024-06-01")))
    assert overlapping.metadata == {"attachment_id": "after"}
    stored = await server.accounts.GetAttachment(pb.GetAttachmentRequest(id="acme-gold"))
    assert stored.attachment == old


# --- Counter adjustments (R8.1) ---------------------------------------------------------------------------------------


async def test_an_adjustment_is_made_once_listed_changed_and_deleted(server: Served) -> None:
    stub = server.accounts
    created = await adjust(server)
    assert await adjust(server, level="15.0") == created
    changing = CounterAdjustment(account_id="acme", counter_id="seats", date="2024-07-01", level="16.50")
    changed = (
        await stub.UpdateCounterAdjustment(pb.UpdateCounterAdjustmentRequest(counter_adjustment=changing))
    ).counter_adjustment
    assert changed.level == "16.5"
    key = {"account_id": "acme", "counter_id": "seats", "date": "2024-07-01"}
    stale = pb.DeleteCounterAdjustmentRequest(**key, etag=created.etag)
    found = await failure(stub.DeleteCounterAdjustment(stale))
    assert (found.reason, found.metadata["id"]) == ("ETAG_MISMATCH", "acme/seats/2024-07-01")
    await stub.DeleteCounterAdjustment(pb.DeleteCounterAdjustmentRequest(**key))
    missing = not_found("counter_adjustment", "acme/seats/2024-07-01")
    assert await failure(stub.DeleteCounterAdjustment(pb.DeleteCounterAdjustmentRequest(**key))) == missing
    update = pb.UpdateCounterAdjustmentRequest(counter_adjustment=changing)
    assert await failure(stub.UpdateCounterAdjustment(update)) == missing


async def test_a_second_level_for_the_same_day_is_refused(server: Served) -> None:
    """R8.1, case 51."""
    await adjust(server)
    found = await failure(adjust(server, level="16"))
    assert found == Failure("ALREADY_EXISTS", "ADJUSTMENT_EXISTS", {"adjustment_id": "acme/seats/2024-07-01"}, set())
    await adjust(server, date="2024-07-02", level="16")


async def test_wrong_adjustments_are_refused(server: Served) -> None:
    assert await failure(adjust(server, account_id="no")) == not_found("account", "no")
    assert await failure(adjust(server, counter_id="no")) == not_found("counter", "no")
    assert await failure(adjust(server, date="2024-02-30", level="-1")) == invalid(
        ("counter_adjustment.date", "DATE_INVALID"), ("counter_adjustment.level", "STRING_PATTERN")
    )
    level = f"{'1' * 30}.{'1' * 10}"
    assert await failure(adjust(server, level=level)) == invalid(("counter_adjustment.level", "DECIMAL_RANGE"))
    wrong_day = pb.DeleteCounterAdjustmentRequest(account_id="acme", counter_id="seats", date="2024-02-30")
    assert await failure(server.accounts.DeleteCounterAdjustment(wrong_day)) == invalid(("date", "DATE_INVALID"))
    unknown = server.accounts.ListCounterAdjustments(pb.ListCounterAdjustmentsRequest(account_id="no"))
    assert await failure(unknown) == not_found("account", "no")


async def test_a_counter_with_adjustments_is_not_deleted(server: Served) -> None:
    await adjust(server)
    found = await failure(server.catalog.DeleteCounter(catalog.DeleteCounterRequest(id="seats")))
    assert found.metadata["user_resource"] == "counter_adjustment"
    assert found.metadata["user_id"] == "acme/seats/2024-07-01"


async def test_adjustments_are_listed_by_counter_and_date(server: Served) -> None:
    counter = example.counter(id="licences")
    await server.catalog.CreateCounter(catalog.CreateCounterRequest(counter=counter))
    for counter_id, day in [("seats", "2024-07-02"), ("seats", "2024-07-01"), ("licences", "2024-08-01")]:
        await adjust(server, counter_id=counter_id, date=day)
    pages, token = [], ""
    while True:
        request = pb.ListCounterAdjustmentsRequest(account_id="acme", page_size=1, page_token=token)
        answer = await server.accounts.ListCounterAdjustments(request)
        pages += [(each.counter_id, each.date) for each in answer.counter_adjustments]
        token = answer.next_page_token
        if not token:
            break
        other = token
    assert pages == [("licences", "2024-08-01"), ("seats", "2024-07-01"), ("seats", "2024-07-02")]
    seats = pb.ListCounterAdjustmentsRequest(account_id="acme", counter_id="seats")
    found = await server.accounts.ListCounterAdjustments(seats)
    assert [each.date for each in found.counter_adjustments] == ["2024-07-01", "2024-07-02"]
    seats.page_token = other
    assert await failure(server.accounts.ListCounterAdjustments(seats)) == invalid(("page_token", "PAGE_TOKEN_INVALID"))
