"""Promotions and grants over the wire: what is refused, and what may change (R9)."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from ratel.account.v1 import account_service_pb2 as pb
from ratel.account.v1.grant_pb2 import Grant
from ratel.catalog.v1.pricing_pb2 import ApplyAs
from ratel.catalog.v1.promotion_pb2 import GraduatedDiscount, Promotion, SpendBand
from tests.conftest import Served
from tests.server import example
from tests.server.example import Failure, call, create, create_anew, failure, time, update


@pytest.fixture(autouse=True)
async def anew(server: Served) -> None:
    await create_anew(server)


def graduated(*bands: tuple[str, str]) -> GraduatedDiscount:
    return GraduatedDiscount(bands=(SpendBand(lower_limit=limit, percentage=each) for limit, each in bands))


async def promote(server: Served, **changed: Any) -> Promotion:
    created: Promotion = (await create(server, "Promotion", example.promotion(**changed))).promotion
    return created


async def grant(server: Served, **changed: Any) -> Grant:
    return (await server.accounts.CreateGrant(pb.CreateGrantRequest(grant=example.grant(**changed)))).grant


# --- Promotions (R9.1) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "violation"),
    [
        ({"percentage": "0"}, ("percentage", "PERCENTAGE_RANGE")),
        ({"percentage": "100.01"}, ("percentage", "PERCENTAGE_RANGE")),
        ({"percentage": "-1"}, ("percentage", "STRING_PATTERN")),
        ({"percentage": ""}, ("percentage", "STRING_PATTERN")),
        ({"fixed_amount": "0.00"}, ("fixed_amount", "AMOUNT_NOT_POSITIVE")),
        ({"fixed_amount": "1.005"}, ("fixed_amount", "AMOUNT_DIGITS")),
        ({"fixed_amount": "5", "max_per_period": "3"}, ("max_per_period", "LIMIT_WITHOUT_EFFECT")),
        ({"max_per_period": "9", "max_total": "8.99"}, ("max_per_period", "LIMIT_WITHOUT_EFFECT")),
        ({"max_per_period": "0"}, ("max_per_period", "AMOUNT_NOT_POSITIVE")),
        ({"max_total": "0.00"}, ("max_total", "AMOUNT_NOT_POSITIVE")),
        ({"max_total": "0.001"}, ("max_total", "AMOUNT_DIGITS")),
        ({"max_total": "1e3"}, ("max_total", "STRING_PATTERN")),
        ({"graduated": graduated()}, ("graduated.bands", "REPEATED_MIN_ITEMS")),
        ({"graduated": graduated(("1", "10"))}, ("graduated.bands", "BAND_START")),
        ({"graduated": graduated(("0", "10"), ("0", "20"))}, ("graduated.bands[1].lower_limit", "BAND_ORDER")),
        ({"graduated": graduated(("0", "101"))}, ("graduated.bands[0].percentage", "PERCENTAGE_RANGE")),
        (
            {"graduated": graduated(("0", "10"), ("0.001", "20"))},
            ("graduated.bands[1].lower_limit", "AMOUNT_DIGITS"),
        ),
        ({"bill_period_count": 0}, ("bill_period_count", "INT32_GTE_LTE")),
        ({"currency": "EUR"}, ("currency", "CURRENCY_DIFFERENT")),
        ({"segment": {"region": "eu"}}, ("segment", "SEGMENT_UNEXPECTED")),
        ({"pricing_id": "credit"}, ("pricing_id", "PRICING_IS_CREDIT")),
        ({"pricing_id": "whole", "segment": {"region": "eu"}}, ("segment", "SEGMENT_FIELDS")),
        ({"pricing_id": "eu", "segment": {"region": "eu", "tier": "hot"}}, ("segment", "SEGMENT_UNEXPECTED")),
        ({"pricing_id": "pooled", "segment": {"region": "us", "tier": "hot"}}, ("segment", "SEGMENT_UNEXPECTED")),
        ({"pricing_id": "any", "segment": {"region": "eu", "tier": "hot"}}, ("segment", "SEGMENT_OUTSIDE")),
    ],
)
async def test_a_promotion_that_contradicts_itself_or_its_scope_is_refused(
    server: Served, changed: dict[str, Any], violation: tuple[str, str]
) -> None:
    fields = ["region", "tier"]
    await create(server, "Aggregation", example.aggregation(id="gb_by", segment_fields=fields))
    await create(server, "Pricing", example.pricing(id="whole"))
    credit = example.pricing(id="credit", aggregation_id="gb_by", segment={"region": "", "tier": ""})
    credit.apply_as = ApplyAs.APPLY_AS_GLOBAL_CREDIT
    await create(server, "Pricing", credit)
    for pricing_id, region, tier in (("eu", "eu", "hot"), ("any", "ap", "*"), ("pooled", "us", "*")):
        segment = {"region": region, "tier": tier}
        pool = pricing_id == "pooled"
        pricing = example.pricing(id=pricing_id, aggregation_id="gb_by", segment=segment, pool=pool)
        await create(server, "Pricing", pricing)
    found = await failure(create(server, "Promotion", example.promotion(**changed)))
    field, reason = violation
    assert (found.code, found.violations) == ("INVALID_ARGUMENT", {(f"promotion.{field}", reason)})


async def test_a_promotion_names_what_exists_and_says_one_thing(server: Served) -> None:
    for changed, named in (({"plan_id": "x"}, "plan"), ({"pricing_id": "x"}, "pricing")):
        found = await failure(create(server, "Promotion", example.promotion(**changed)))
        assert (found.reason, found.metadata) == ("NOT_FOUND", {"resource": named, "id": "x"})
    empty = await failure(create(server, "Promotion", Promotion(id="x")))
    required = {("promotion.name", "STRING_MIN_LEN"), ("promotion.scope", "REQUIRED")}
    assert empty.violations == {*required, ("promotion.discount", "REQUIRED")}


async def test_a_promotion_keeps_its_scope_and_may_change_what_it_takes_off(server: Served) -> None:
    created = await promote(server, bill_period_count=3, max_total="100", max_per_period="40")
    assert (created.currency, created.max_total, created.max_per_period) == ("USD", "100.00", "40.00")
    fixed = Promotion(id="tenth", fixed_amount="5")
    changed = (await update(server, "Promotion", fixed, "fixed_amount", "max_per_period")).promotion
    assert (changed.WhichOneof("discount"), changed.fixed_amount) == ("fixed_amount", "5.00")
    assert (changed.bill_period_count, changed.HasField("max_per_period")) == (3, False)
    moved = Promotion(id="tenth", pricing_id="p", currency="EUR")
    found = await failure(update(server, "Promotion", moved, "pricing_id", "currency"))
    assert ("promotion.pricing_id", "FIELD_IMMUTABLE") in found.violations
    assert ("promotion.currency", "FIELD_IMMUTABLE") in found.violations


# --- Grants -----------------------------------------------------------------------------------------------------------


async def test_a_grant_is_created_once_read_listed_changed_and_deleted(server: Served) -> None:
    stub = server.accounts
    await promote(server)
    created = await grant(server)
    assert await grant(server) == created
    assert (await stub.GetGrant(pb.GetGrantRequest(id="acme-tenth"))).grant == created
    assert (await failure(grant(server, priority=1))).reason == "ALREADY_EXISTS"
    other = await grant(server, id="another", priority=-1)
    listed = await stub.ListGrants(pb.ListGrantsRequest(account_id="acme", page_size=1))
    assert (list(listed.grants), bool(listed.next_page_token)) == ([created], True)
    request = pb.ListGrantsRequest(account_id="acme", page_token=listed.next_page_token)
    assert list((await stub.ListGrants(request)).grants) == [other]
    ended = Grant(id="acme-tenth", end_time=time("2024-07-01"))
    mask = FieldMask(paths=["end_time"])
    changed = (await stub.UpdateGrant(pb.UpdateGrantRequest(grant=ended, update_mask=mask))).grant
    assert (changed.end_time, changed.start_time) == (time("2024-07-01"), created.start_time)
    assert (await failure(stub.UpdateGrant(pb.UpdateGrantRequest(grant=created)))).reason == "ETAG_MISMATCH"
    moved = FieldMask(paths=["account_id"])
    elsewhere = pb.UpdateGrantRequest(grant=Grant(id="acme-tenth", account_id="x"), update_mask=moved)
    assert (await failure(stub.UpdateGrant(elsewhere))).violations == {("grant.account_id", "FIELD_IMMUTABLE")}
    found = await failure(call(server, "DeletePromotion", id="tenth"))
    expected = {"resource": "promotion", "id": "tenth", "user_resource": "grant", "user_id": "acme-tenth"}
    assert (found.reason, found.metadata) == ("IN_USE", expected)
    stale = pb.DeleteGrantRequest(id="acme-tenth", etag=created.etag)
    assert (await failure(stub.DeleteGrant(stale))).reason == "ETAG_MISMATCH"
    await stub.DeleteGrant(pb.DeleteGrantRequest(id="acme-tenth", etag=changed.etag))
    for gone in (
        stub.GetGrant(pb.GetGrantRequest(id="acme-tenth")),
        stub.UpdateGrant(pb.UpdateGrantRequest(grant=ended)),
        stub.DeleteGrant(pb.DeleteGrantRequest(id="acme-tenth")),
    ):
        assert await failure(gone) == Failure(
            "NOT_FOUND", "NOT_FOUND", {"resource": "grant", "id": "acme-tenth"}, set()
        )


async def test_a_grant_names_what_exists_and_an_account_of_the_plan(server: Served) -> None:
    await promote(server)
    for changed, named in (({"account_id": "x"}, "account"), ({"promotion_id": "x"}, "promotion")):
        found = await failure(grant(server, **changed))
        assert (found.reason, found.metadata) == ("NOT_FOUND", {"resource": named, "id": "x"})
    found = await failure(server.accounts.ListGrants(pb.ListGrantsRequest(account_id="x")))
    assert found.metadata == {"resource": "account", "id": "x"}
    empty = await failure(grant(server, end_time=time("2024-01-01"), priority=1001))
    assert empty.violations == {("grant.end_time", "PERIOD_INVALID"), ("grant.priority", "INT32_GTE_LTE")}
    await create(server, "Plan", example.plan(id="own", account_id="acme"))
    await create(server, "Pricing", example.pricing(id="own", plan_id="own"))
    await promote(server, id="of-plan", plan_id="own")
    await promote(server, id="of-pricing", pricing_id="own")
    await server.accounts.CreateAccount(pb.CreateAccountRequest(account=example.account(id="other")))
    for promotion_id in ("of-plan", "of-pricing"):
        found = await failure(grant(server, account_id="other", promotion_id=promotion_id))
        assert (found.reason, found.metadata) == ("PLAN_CUSTOM", {"plan_id": "own"})
        await grant(server, id=promotion_id, promotion_id=promotion_id)


# --- Trials (R9.3) ---------------------------------------------------------------------------------------------------


async def test_a_trial_ends_after_its_attachment_starts(server: Served) -> None:
    attached = example.attachment(trial_end_time=time("2024-01-01"))
    found = await failure(server.accounts.CreateAttachment(pb.CreateAttachmentRequest(attachment=attached)))
    assert found.violations == {("attachment.trial_end_time", "TRIAL_EMPTY")}
