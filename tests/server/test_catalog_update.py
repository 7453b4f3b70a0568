"""Updates of the catalog: masks, what never changes, and what must still fit afterwards."""

from typing import Any

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from ratel.catalog.v1 import catalog_service_pb2 as pb
from ratel.catalog.v1.aggregation_pb2 import ROUNDING_UP, Aggregation, Filter
from ratel.catalog.v1.meter_pb2 import Meter, MeterField
from ratel.catalog.v1.plan_pb2 import Plan
from ratel.catalog.v1.plan_template_pb2 import PlanTemplate, PlanTerms
from ratel.catalog.v1.settings_pb2 import ROUNDING_MODE_HALF_EVEN, Settings
from tests.conftest import Served
from tests.server import example
from tests.server.example import Failure, create_anew, failure


@pytest.fixture(autouse=True)
async def anew(server: Served) -> None:
    await create_anew(server)


async def update_plan(server: Served, plan: Plan, *paths: str) -> Plan:
    return (await server.catalog.UpdatePlan(pb.UpdatePlanRequest(plan=plan, update_mask=FieldMask(paths=paths)))).plan


async def update_template(server: Served, template: PlanTemplate, *paths: str) -> PlanTemplate:
    request = pb.UpdatePlanTemplateRequest(plan_template=template, update_mask=FieldMask(paths=paths))
    return (await server.catalog.UpdatePlanTemplate(request)).plan_template


async def update_meter(server: Served, meter: Meter, *paths: str) -> Meter:
    request = pb.UpdateMeterRequest(meter=meter, update_mask=FieldMask(paths=paths))
    return (await server.catalog.UpdateMeter(request)).meter


async def update_settings(server: Served, settings: Settings, *paths: str) -> Settings:
    request = pb.UpdateSettingsRequest(settings=settings, update_mask=FieldMask(paths=paths))
    return (await server.catalog.UpdateSettings(request)).settings


def invalid(*violations: tuple[str, str]) -> Failure:
    reasons = {reason for _, reason in violations}
    return Failure("INVALID_ARGUMENT", reasons.pop() if len(reasons) == 1 else "INVALID", {}, set(violations))


# --- Masks ------------------------------------------------------------------------------------------------------------


async def test_a_mask_reaches_inside(server: Served) -> None:
    terms = PlanTerms(standing_charge="20", minimum_spend="0", minimum_spend_in_advance=False)
    await update_plan(server, Plan(id="gold", terms=terms), "terms")
    given = Plan(id="gold", name="Ignored", terms=PlanTerms(standing_charge="30.5", maximum_spend="100"))
    changed = await update_plan(server, given, "terms.standing_charge", "terms.minimum_spend_in_advance", "etag")
    assert changed.name == "Gold"
    assert changed.terms == PlanTerms(standing_charge="30.50", minimum_spend="0.00")


async def test_an_empty_mask_means_every_field_that_may_change(server: Served) -> None:
    await update_plan(server, Plan(id="gold", terms=PlanTerms(standing_charge="20")), "terms.standing_charge")
    changed = await update_plan(server, Plan(id="gold", name="New"))
    assert (changed.name, changed.plan_template_id, changed.terms) == ("New", "basic", PlanTerms())
    assert await failure(update_plan(server, Plan(id="gold"))) == invalid(("plan.name", "STRING_MIN_LEN"))


async def test_all_that_is_wrong_with_an_update_is_told_at_once(server: Served) -> None:
    given = Plan(id="gold", plan_template_id="other", terms=PlanTerms(standing_charge="NaN", minimum_spend="NaN"))
    paths = "nothing", "terms.nothing", "name.nothing", "name", "plan_template_id", "terms.standing_charge"
    assert await failure(update_plan(server, given, *paths)) == invalid(
        ("update_mask.paths[0]", "MASK_PATH_UNKNOWN"),
        ("update_mask.paths[1]", "MASK_PATH_UNKNOWN"),
        ("update_mask.paths[2]", "MASK_PATH_UNKNOWN"),
        ("plan.plan_template_id", "FIELD_IMMUTABLE"),
        ("plan.name", "STRING_MIN_LEN"),
        ("plan.terms.standing_charge", "STRING_PATTERN"),
    )
    assert await failure(update_plan(server, Plan(id="a b"), "name")) == invalid(("plan.id", "STRING_PATTERN"))
    assert (await failure(server.catalog.UpdatePlan(pb.UpdatePlanRequest()))).violations == {("plan", "REQUIRED")}


# --- What never changes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("meter_id", "other"),
        ("method", "AGGREGATION_METHOD_MAX"),
        ("field", "mb"),
        ("filter", Filter(field="region", values=["eu"])),
        ("segment_fields", ["tier"]),
    ],
)
async def test_what_an_aggregation_counts_never_changes(server: Served, field: str, value: Any) -> None:
    given = example.aggregation(**{field: value})
    for paths in ([], [field]):
        request = pb.UpdateAggregationRequest(aggregation=given, update_mask=FieldMask(paths=paths))
        found = await failure(server.catalog.UpdateAggregation(request))
        assert found == invalid((f"aggregation.{field}", "FIELD_IMMUTABLE"))


async def test_how_an_aggregation_is_read_may_change(server: Served) -> None:
    given = Aggregation(id="gb", name="GB", quantity_per_unit="0.50", rounding=ROUNDING_UP, default_quantity="-0")
    changed = (await server.catalog.UpdateAggregation(pb.UpdateAggregationRequest(aggregation=given))).aggregation
    assert (changed.quantity_per_unit, changed.rounding, changed.default_quantity) == ("0.5", ROUNDING_UP, "0")
    assert (changed.meter_id, changed.field) == ("storage", "gb")


async def test_fields_of_a_meter_are_only_added_to(server: Served) -> None:
    """R2.1."""
    meter = example.meter()
    meter.fields[0].unit = "GiB"
    meter.fields.append(MeterField(name="double", kind=example.DERIVED, formula="mb * 2"))
    changed = await update_meter(server, meter, "fields")
    assert [field.name for field in changed.fields] == ["gb", "region", "tier", "mb", "double"]
    assert changed.fields[0].unit == "GiB"
    for fields in (changed.fields[1:], [changed.fields[1], changed.fields[0], *changed.fields[2:]], []):
        found = await failure(update_meter(server, Meter(id="storage", fields=fields), "fields"))
        expected = Failure("FAILED_PRECONDITION", "FIELDS_FIXED", {"meter_id": "storage"}, set())
        assert found == expected or found.reason == "FORMULA_INVALID"
    formula = Meter(id="storage", fields=changed.fields)
    formula.fields[3].formula = "gb * 1000"
    assert (await failure(update_meter(server, formula, "fields"))).reason == "FIELDS_FIXED"


# --- What must still fit ----------------------------------------------------------------------------------------------


async def test_a_template_must_still_fit_its_plans(server: Served) -> None:
    await update_plan(server, Plan(id="gold", terms=PlanTerms(maximum_spend="100")), "terms.maximum_spend")
    higher = PlanTemplate(id="basic", terms=PlanTerms(minimum_spend="101"))
    found = await failure(update_template(server, higher, "terms.minimum_spend"))
    assert found == invalid(("plan_template.terms", "MAXIMUM_BELOW_MINIMUM"))
    fitting = PlanTemplate(id="basic", terms=PlanTerms(minimum_spend="100"))
    assert (await update_template(server, fitting, "terms.minimum_spend")).terms.minimum_spend == "100.00"
    lower = Plan(id="gold", terms=PlanTerms(maximum_spend="99"))
    found = await failure(update_plan(server, lower, "terms.maximum_spend"))
    assert found == invalid(("plan.terms.maximum_spend", "MAXIMUM_BELOW_MINIMUM"))


async def test_aggregations_and_compounds_share_one_space_of_names(server: Served) -> None:
    compound = pb.CreateCompoundAggregationRequest(compound_aggregation=example.compound(id="gb"))
    found = await failure(server.catalog.CreateCompoundAggregation(compound))
    expected = Failure("ALREADY_EXISTS", "ALREADY_EXISTS", {"resource": "aggregation", "id": "gb"}, set())
    assert found == expected
    aggregation = pb.CreateAggregationRequest(aggregation=example.aggregation(id="twice"))
    found = await failure(server.catalog.CreateAggregation(aggregation))
    assert found.metadata == {"resource": "compound_aggregation", "id": "twice"}


async def test_rollups_come_and_go_with_what_needs_them(server: Served) -> None:
    async def rollups() -> list[tuple[str, list[str]]]:
        connection = await asyncpg.connect(server.database_url)
        rows = await connection.fetch("SELECT field, dimensions FROM rollups ORDER BY rollup_no")
        await connection.close()
        return [(row["field"], row["dimensions"]) for row in rows]

    assert await rollups() == [("", []), ("gb", [])]
    for name in ("one", "two"):
        filtered = example.aggregation(
            id=name, segment_fields=["tier"], filter=Filter(field="region", values=["eu", ""])
        )
        created = await server.catalog.CreateAggregation(pb.CreateAggregationRequest(aggregation=filtered))
        assert created.aggregation.filter.values == ["", "eu"]
    assert await rollups() == [("", []), ("gb", []), ("gb", ["region", "tier"])]
    await server.catalog.DeleteAggregation(pb.DeleteAggregationRequest(id="one"))
    assert len(await rollups()) == 3
    await server.catalog.DeleteAggregation(pb.DeleteAggregationRequest(id="two"))
    assert await rollups() == [("", []), ("gb", [])]


async def test_a_meter_with_usage_is_not_deleted(server: Served) -> None:
    await server.catalog.CreateMeter(pb.CreateMeterRequest(meter=example.meter(id="used")))
    connection = await asyncpg.connect(server.database_url)
    await connection.execute("INSERT INTO used_meters SELECT meter_no FROM meters WHERE id = 'used'")
    await connection.close()
    found = await failure(server.catalog.DeleteMeter(pb.DeleteMeterRequest(id="used")))
    assert found.metadata == {"resource": "meter", "id": "used", "user_resource": "usage", "user_id": "used"}


# --- Settings (R3.7) --------------------------------------------------------------------------------------------------


async def test_settings_have_defaults_and_change(server: Served) -> None:
    stored = (await server.catalog.GetSettings(pb.GetSettingsRequest())).settings
    assert (stored.time_zone, stored.default_currency, stored.etag != "") == ("UTC", "USD", True)
    given = Settings(time_zone="Europe/Berlin", month_epoch="2024-01-31", rounding_mode=ROUNDING_MODE_HALF_EVEN)
    changed = await update_settings(server, given, "time_zone", "month_epoch", "rounding_mode")
    assert (changed.time_zone, changed.month_epoch, changed.default_currency) == ("Europe/Berlin", "2024-01-31", "USD")
    assert changed == (await server.catalog.GetSettings(pb.GetSettingsRequest())).settings
    stored.time_zone = "UTC"
    assert (await failure(update_settings(server, stored))).reason == "ETAG_MISMATCH"


async def test_wrong_settings_are_refused(server: Served) -> None:
    given = Settings(time_zone="Mars/Olympus", default_currency="XXX", day_epoch="2023-02-29")
    assert await failure(update_settings(server, given)) == invalid(
        ("settings.time_zone", "ZONE_UNKNOWN"),
        ("settings.default_currency", "CURRENCY_UNKNOWN"),
        ("settings.day_epoch", "DATE_INVALID"),
        ("settings.rounding_mode", "ENUM_NOT_IN"),
    )


async def test_a_template_without_a_currency_takes_the_default_for_good(server: Served) -> None:
    await update_settings(server, Settings(default_currency="KWD"), "default_currency")
    given = example.template(id="t", currency="", terms=PlanTerms(standing_charge="1.234"))
    request = pb.CreatePlanTemplateRequest(plan_template=given)
    created = (await server.catalog.CreatePlanTemplate(request)).plan_template
    assert (created.currency, created.terms.standing_charge) == ("KWD", "1.234")
    await update_settings(server, Settings(default_currency="USD"), "default_currency")
    assert (await server.catalog.CreatePlanTemplate(request)).plan_template == created
    request.plan_template.id = "u"
    found = await failure(server.catalog.CreatePlanTemplate(request))
    assert found == invalid(("plan_template.terms.standing_charge", "AMOUNT_DIGITS"))


async def test_every_write_moves_the_revision_and_no_read_does(server: Served) -> None:
    async def revision() -> int:
        connection = await asyncpg.connect(server.database_url)
        found = await connection.fetchval("SELECT revision FROM catalog_revisions")
        await connection.close()
        return int(found)

    before = await revision()
    await server.catalog.GetPlan(pb.GetPlanRequest(id="gold"))
    assert await revision() == before
    await update_plan(server, Plan(id="gold", name="New"), "name")
    assert await revision() > before
