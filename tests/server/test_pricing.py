"""Pricings over the wire: schedules, segments, names of shapes, what a change means for plans and bill periods."""

import asyncio
from typing import Any

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.catalog.v1 import catalog_service_pb2 as pb
from ratel.catalog.v1 import pricing_pb2
from ratel.catalog.v1.plan_schedule_pb2 import (
    PRICING_ORIGIN_INHERITED,
    PRICING_ORIGIN_OVERRIDDEN,
    PRICING_ORIGIN_OWN,
    SCHEDULE_STATE_ACTIVE,
    SCHEDULE_STATE_FUTURE,
    SCHEDULE_STATE_HISTORIC,
)
from ratel.catalog.v1.pricing_pb2 import (
    PRICING_TYPE_PER_UNIT,
    PRICING_TYPE_STAIRSTEP,
    PRICING_TYPE_TIERED,
    PRICING_TYPE_VOLUME,
    CounterTerms,
    Pricing,
)
from tests.conftest import Served
from tests.server import example
from tests.server.example import Failure, band, create_anew, failure, time


@pytest.fixture(autouse=True)
async def anew(server: Served) -> None:
    await create_anew(server)


async def create(server: Served, **changed: Any) -> pb.CreatePricingResponse:
    return await server.catalog.CreatePricing(pb.CreatePricingRequest(pricing=example.pricing(**changed)))


async def update(server: Served, pricing: Pricing, *paths: str) -> pb.UpdatePricingResponse:
    return await server.catalog.UpdatePricing(
        pb.UpdatePricingRequest(pricing=pricing, update_mask=FieldMask(paths=paths))
    )


async def attach(server: Served, account_id: str, plan_id: str = "gold", **changed: Any) -> None:
    request = accounts.CreateAccountRequest(account=example.account(id=account_id))
    await server.accounts.CreateAccount(request)
    attachment = example.attachment(id=f"{account_id}-{plan_id}", account_id=account_id, plan_id=plan_id, **changed)
    await server.accounts.CreateAttachment(accounts.CreateAttachmentRequest(attachment=attachment))


def overlap(pricing_id: str) -> Failure:
    return Failure("FAILED_PRECONDITION", "PRICING_OVERLAP", {"pricing_id": pricing_id}, set())


# --- Schedules (R3.2) -------------------------------------------------------------------------------------------------


async def test_overlap_is_refused_and_names_the_one_in_the_way(server: Served) -> None:
    """R3.2, cases 24 and 25."""
    await create(server, id="june", start_time=time("2024-06-01"), end_time=time("2024-07-01"))
    assert await failure(create(server, id="late", start_time=time("2024-06-10"))) == overlap("june")
    assert await failure(create(server, id="early", end_time=time("2024-06-02"))) == overlap("june")
    await create(server, id="july", start_time=time("2024-07-01"))
    await create(server, id="may", end_time=time("2024-06-01"))
    # Moved into another's time, it is refused too, and stays where it was.
    moved = Pricing(id="may", end_time=time("2024-06-15"))
    assert await failure(update(server, moved, "end_time")) == overlap("june")
    stored = await server.catalog.GetPricing(pb.GetPricingRequest(id="may"))
    assert stored.pricing.end_time == time("2024-06-01")


async def test_other_things_segments_and_owners_are_not_in_the_way(server: Served) -> None:
    by_region = example.aggregation(id="by_region", segment_fields=["region", "tier"])
    await server.catalog.CreateAggregation(pb.CreateAggregationRequest(aggregation=by_region))
    await create(server)
    await create(server, id="template", plan_template_id="basic")
    await create(server, id="seats", counter_id="seats")
    await create(server, id="twice", compound_aggregation_id="twice")
    await create(server, id="eu", aggregation_id="by_region", segment={"region": "eu", "tier": "*"})
    await create(server, id="none", aggregation_id="by_region", segment={"tier": "", "region": "eu"})
    again = create(server, id="again", aggregation_id="by_region", segment={"tier": "*", "region": "eu"})
    assert await failure(again) == overlap("eu")


async def test_concurrent_writers_cannot_overlap(server: Served) -> None:
    """R3.2: of many at once exactly one gets in."""
    results = await asyncio.gather(*(create(server, id=f"p{n}") for n in range(25)), return_exceptions=True)
    made = [result for result in results if isinstance(result, pb.CreatePricingResponse)]
    assert len(made) == 1
    listed = await server.catalog.ListPricings(pb.ListPricingsRequest(plan_id="gold"))
    assert [each.id for each in listed.pricings] == [made[0].pricing.id]


async def test_concurrent_repeats_of_one_creation_all_succeed(server: Served) -> None:
    results = await asyncio.gather(*(create(server) for _ in range(25)))
    assert len({result.pricing.etag for result in results}) == 1


# --- Shapes (R1.2) ----------------------------------------------------------------------------------------------------


async def test_a_name_stands_for_cumulative_and_is_derived(server: Served) -> None:
    bands = [band("0", "1"), band("10", "0.5")]
    created = (await create(server, cumulative=None, pricing_type=PRICING_TYPE_VOLUME, bands=bands)).pricing
    assert (created.cumulative, created.pricing_type) == (False, PRICING_TYPE_VOLUME)
    tiered = (await update(server, Pricing(id="p", pricing_type=PRICING_TYPE_TIERED), "pricing_type")).pricing
    assert (tiered.cumulative, tiered.pricing_type) == (True, PRICING_TYPE_TIERED)
    # The name of the old bands does not stand in the way of new ones.
    single = (await update(server, Pricing(id="p", bands=[band("0", "2")]), "bands")).pricing
    assert single.pricing_type == PRICING_TYPE_PER_UNIT
    steps = Pricing(id="p", pricing_type=PRICING_TYPE_STAIRSTEP)
    found = await failure(update(server, steps, "pricing_type"))
    assert found.violations == {("pricing.bands[0].unit_price", "PRICING_TYPE")}


async def test_everything_that_is_stored_comes_back(server: Served) -> None:
    full = example.pricing(
        counter_id="seats",
        end_time=time("2025-01-01"),
        bands=[band("0", "-1.50", fixed_price="20.000", block_size="0.5"), band("10.25", "0.000000000000000001")],
        charge_zero=True,
        minimum_spend="10",
        minimum_spend_in_advance=False,
        minimum_spend_description="At least",
        maximum_spend="100.5",
        maximum_spend_description="At most",
        description="Seats",
        apply_as=1,
        counter_terms=CounterTerms(prorate_debit=False),
    )
    created = (await server.catalog.CreatePricing(pb.CreatePricingRequest(pricing=full))).pricing
    assert [(each.lower_limit, each.unit_price) for each in created.bands] == [
        ("0", "-1.5"),
        ("10.25", "0.000000000000000001"),
    ]
    assert (created.bands[0].fixed_price, created.bands[0].block_size, created.bands[1].block_size) == ("20", "0.5", "")
    assert (created.minimum_spend, created.maximum_spend) == ("10.00", "100.50")
    assert created.HasField("minimum_spend_in_advance")
    expected = CounterTerms(
        running_total_in_advance=True, prorate_running_total=True, prorate_debit=False, prorate_credit=True
    )
    assert created.counter_terms == expected
    for name in ("charge_zero", "description", "apply_as", "minimum_spend_description", "end_time", "start_time"):
        assert getattr(created, name) == getattr(full, name)
    assert await failure(update(server, Pricing(id="p", plan_id="gold", counter_id="x"), "counter_id", "plan_id")) == (
        Failure("INVALID_ARGUMENT", "FIELD_IMMUTABLE", {}, {("pricing.counter_id", "FIELD_IMMUTABLE")})
    )


async def test_how_usage_accumulates_comes_back(server: Served) -> None:
    mode = pricing_pb2.ACCUMULATION_MODE_RETROACTIVE
    created = await create(server, accumulate=True, cumulative=False, accumulation_mode=mode)
    assert (created.pricing.accumulate, created.pricing.accumulation_mode) == (True, mode)
    changed = (await update(server, Pricing(id="p", cumulative=True), "cumulative", "accumulation_mode")).pricing
    assert (changed.accumulate, changed.accumulation_mode) == (True, pricing_pb2.ACCUMULATION_MODE_UNSPECIFIED)


async def test_an_end_can_be_taken_away_and_a_minimum_too(server: Served) -> None:
    await create(server, end_time=time("2025-01-01"), minimum_spend="10")
    changed = (await update(server, Pricing(id="p"), "end_time", "minimum_spend")).pricing
    assert not changed.HasField("end_time")
    assert not changed.HasField("minimum_spend")
    assert changed.bands == [band("0", "0.5", fixed_price="0")]


# --- What it means (R3.2, R3.3) ---------------------------------------------------------------------------------------


async def test_a_cut_period_is_told(server: Served) -> None:
    """R3.2, R4.3: a pricing that starts inside a bill period of an attached account cuts it."""
    await attach(server, "acme")
    await attach(server, "later", start_time=time("2024-06-15"))
    await attach(server, "mid", epoch="2024-01-10")
    await attach(server, "gone", start_time=time("2024-01-01"), end_time=time("2024-06-15"))
    answer = await create(server, start_time=time("2024-06-15"), end_time=time("2024-07-10"))
    assert [
        (cut.account_id, cut.cut_time, cut.period_start_time, cut.period_end_time) for cut in answer.period_cuts
    ] == [
        ("acme", time("2024-06-15"), time("2024-06-01"), time("2024-07-01")),
        ("mid", time("2024-06-15"), time("2024-06-10"), time("2024-07-10")),
        ("acme", time("2024-07-10"), time("2024-07-01"), time("2024-08-01")),
        ("later", time("2024-07-10"), time("2024-07-01"), time("2024-08-01")),
    ]
    assert answer.period_cuts[0].attachment_id == "acme-gold"
    assert answer.period_cut_count == 4
    assert not answer.affected_plan_ids
    moved = Pricing(id="p", start_time=time("2024-06-01"), end_time=time("2024-07-01"))
    changed = await update(server, moved, "start_time", "end_time")
    assert {(cut.account_id, cut.cut_time.seconds) for cut in changed.period_cuts} == {
        ("mid", time("2024-06-01").seconds),
        ("mid", time("2024-07-01").seconds),
    }


async def test_the_ends_of_the_calendar_are_no_bill_periods(server: Served) -> None:
    await attach(server, "acme", start_time=time("0001-01-01"))
    answer = await create(server, start_time=time("0001-01-01T12:00"), end_time=time("9999-12-31T12:00"))
    assert [cut.cut_time for cut in answer.period_cuts] == [time("0001-01-01T12:00")]
    whole = {"start_time": time("0001-01-01"), "end_time": time("9999-12-31T23:59:59.999999")}
    created = (await create(server, id="whole", counter_id="seats", **whole)).pricing
    assert {name: getattr(created, name) for name in whole} == whole


async def test_period_cuts_are_told_up_to_a_limit_and_counted_beyond(server: Served) -> None:
    connection = await asyncpg.connect(server.database_url)
    await connection.execute(
        """
        WITH made AS (
            INSERT INTO accounts (id, name, create_time, update_time)
            SELECT 'a' || n, 'A', now(), now() FROM generate_series(1, 150) n RETURNING id, account_no
        )
        INSERT INTO attachments (id, account_no, plan_id, product_id, start_time, create_time, update_time)
        SELECT id, account_no, 'gold', 'cloud', '2024-01-01Z', now(), now() FROM made
        """
    )
    await connection.close()
    answer = await create(server, start_time=time("2024-06-15"), end_time=time("2024-07-15"))
    assert (len(answer.period_cuts), answer.period_cut_count) == (100, 300)


async def test_a_pricing_of_a_template_names_the_plans_that_change(server: Served) -> None:
    """R3.3."""
    for plan_id in ("bronze", "silver", "zinc"):
        await server.catalog.CreatePlan(pb.CreatePlanRequest(plan=example.plan(id=plan_id)))
    await attach(server, "acme")
    await attach(server, "other", "silver")
    await create(server, id="always", start_time=time("2020-01-01"), plan_id="zinc")
    await create(server, id="own", start_time=time("2024-06-10"), end_time=time("2024-06-20"))
    answer = await create(
        server, id="t", plan_template_id="basic", start_time=time("2024-06-15"), end_time=time("2024-07-15")
    )
    # zinc overrides it wholly; gold has its own pricing where it starts, silver has not.
    assert list(answer.affected_plan_ids) == ["bronze", "gold", "silver"]
    assert [(cut.account_id, cut.cut_time) for cut in answer.period_cuts] == [
        ("other", time("2024-06-15")),
        ("acme", time("2024-07-15")),
        ("other", time("2024-07-15")),
    ]
    changed = await update(server, Pricing(id="t", description="New"), "description")
    assert list(changed.affected_plan_ids) == ["bronze", "gold", "silver"]
    deleted = await server.catalog.DeletePricing(pb.DeletePricingRequest(id="t"))
    assert list(deleted.affected_plan_ids) == ["bronze", "gold", "silver"]


async def test_the_schedule_tells_states_origins_and_periods_in_force(server: Served) -> None:
    """R3.3."""
    await create(server, id="t", plan_template_id="basic", start_time=time("2024-01-01"), end_time=time("2025-01-01"))
    await create(server, id="next", plan_template_id="basic", start_time=time("2025-01-01"))
    await create(server, id="own", start_time=time("2024-03-01"), end_time=time("2024-04-01"))
    await create(server, id="seats", counter_id="seats", plan_template_id="basic")
    answer = await server.catalog.GetPlanSchedule(
        pb.GetPlanScheduleRequest(plan_id="gold", view_time=time("2024-04-01"))
    )
    first, second = answer.plan_schedule.entries
    assert (first.aggregation_id, second.counter_id) == ("gb", "seats")
    assert [(each.pricing.id, each.state, each.origin) for each in first.pricings] == [
        ("t", SCHEDULE_STATE_ACTIVE, PRICING_ORIGIN_OVERRIDDEN),
        ("own", SCHEDULE_STATE_HISTORIC, PRICING_ORIGIN_OWN),
        ("next", SCHEDULE_STATE_FUTURE, PRICING_ORIGIN_INHERITED),
    ]
    assert [(each.start_time, each.end_time) for each in first.pricings[0].periods_in_force] == [
        (time("2024-01-01"), time("2024-03-01")),
        (time("2024-04-01"), time("2025-01-01")),
    ]
    assert not first.pricings[2].periods_in_force[0].HasField("end_time")
    assert first.pricings[0].pricing == (await server.catalog.GetPricing(pb.GetPricingRequest(id="t"))).pricing
    present = await server.catalog.GetPlanSchedule(pb.GetPlanScheduleRequest(plan_id="gold"))
    assert present.plan_schedule.view_time.seconds > time("2024-01-01").seconds
    missing = await failure(server.catalog.GetPlanSchedule(pb.GetPlanScheduleRequest(plan_id="no")))
    assert missing == Failure("NOT_FOUND", "NOT_FOUND", {"resource": "plan", "id": "no"}, set())


async def test_what_was_priced_is_remembered(server: Served) -> None:
    """R3.5."""
    await create(server)
    await server.catalog.DeletePricing(pb.DeletePricingRequest(id="p"))
    connection = await asyncpg.connect(server.database_url)
    assert await connection.fetchval("SELECT aggregation_id FROM priced_things WHERE plan_id = 'gold'") == "gb"
    await connection.close()
