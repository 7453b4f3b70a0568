"""Input that is wrong: every mistake is told at once, with its path and reason, and nothing is written."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.message import Message

from ratel.catalog.v1 import aggregation_pb2, pricing_pb2
from ratel.catalog.v1.meter_pb2 import MeterField
from ratel.catalog.v1.plan_template_pb2 import PlanTerms
from tests.conftest import Served, served
from tests.server import example
from tests.server.example import Failure, band, call, create, failure, time

WRONG: list[tuple[str, str, Message, set[tuple[str, str]]]] = [
    ("missing", "Product", example.product(name=""), {("product.name", "STRING_MIN_LEN")}),
    ("too long", "Product", example.product(name="x" * 201), {("product.name", "STRING_MAX_LEN")}),
    ("id too long", "Product", example.product(id="x" * 129), {("product.id", "STRING_PATTERN")}),
    ("id with a blank", "Product", example.product(id="a b"), {("product.id", "STRING_PATTERN")}),
    ("a zero character", "Product", example.product(name="a\0b"), {("product.name", "TEXT_INVALID")}),
    (
        "zero characters inside",
        "Aggregation",
        example.aggregation(filter=aggregation_pb2.Filter(field="region", values=["a", "\0"]), unit="\0"),
        {("aggregation.filter.values[1]", "TEXT_INVALID"), ("aggregation.unit", "TEXT_INVALID")},
    ),
    (
        "field twice",
        "Meter",
        example.meter(fields=[MeterField(name="a", kind=example.STRING), MeterField(name="a", kind=example.MEASURE)]),
        {("meter.fields[1].name", "FIELD_REPEATED")},
    ),
    (
        "formula of a later derived field",
        "Meter",
        example.meter(
            fields=[
                MeterField(name="a", kind=example.DERIVED, formula="b + 1"),
                MeterField(name="b", kind=example.DERIVED, formula="c +"),
                MeterField(name="c", kind=example.MEASURE, formula="1"),
                MeterField(name="d", kind=example.DERIVED),
            ]
        ),
        {
            ("meter.fields[0].formula", "FORMULA_INVALID"),
            ("meter.fields[1].formula", "FORMULA_INVALID"),
            ("meter.fields[2].formula", "FORMULA_UNEXPECTED"),
            ("meter.fields[3].formula", "FIELD_REQUIRED"),
        },
    ),
    (
        "field without a kind",
        "Meter",
        example.meter(fields=[MeterField(name="a")]),
        {("meter.fields[0].kind", "ENUM_NOT_IN")},
    ),
    (
        "fields that are none, or of the wrong kind",
        "Aggregation",
        example.aggregation(
            field="region",
            filter=aggregation_pb2.Filter(field="gb", values=["1"]),
            segment_fields=["tier", "nothing"],
        ),
        {
            ("aggregation.field", "FIELD_KIND"),
            ("aggregation.filter.field", "FIELD_KIND"),
            ("aggregation.segment_fields[1]", "FIELD_UNKNOWN"),
        },
    ),
    (
        "distinct numbers",
        "Aggregation",
        example.aggregation(method=aggregation_pb2.AGGREGATION_METHOD_UNIQUE),
        {("aggregation.field", "FIELD_KIND")},
    ),
    (
        "shape and domain together",
        "Aggregation",
        example.aggregation(field="", quantity_per_unit="0.0", default_quantity="1e999", unit="x" * 201),
        {
            ("aggregation.field", "FIELD_REQUIRED"),
            ("aggregation.quantity_per_unit", "DECIMAL_RANGE"),
            ("aggregation.default_quantity", "STRING_PATTERN"),
            ("aggregation.unit", "STRING_MAX_LEN"),
        },
    ),
    (
        "unknown operand",
        "CompoundAggregation",
        example.compound(formula="gb + nothing"),
        {("compound_aggregation.formula", "FORMULA_INVALID")},
    ),
    (
        "unreadable formula",
        "CompoundAggregation",
        example.compound(formula="gb +", quantity_per_unit="0"),
        {
            ("compound_aggregation.formula", "FORMULA_INVALID"),
            ("compound_aggregation.quantity_per_unit", "DECIMAL_RANGE"),
        },
    ),
    (
        "unknown currency",
        "PlanTemplate",
        example.template(currency="XXX"),
        {("plan_template.currency", "CURRENCY_UNKNOWN")},
    ),
    (
        "digits that yen do not have, and a maximum below the minimum",
        "PlanTemplate",
        example.template(currency="JPY", terms=PlanTerms(standing_charge="1.5", minimum_spend="1.00")),
        {("plan_template.terms.standing_charge", "AMOUNT_DIGITS")},
    ),
    (
        "a maximum below the minimum",
        "PlanTemplate",
        example.template(terms=PlanTerms(minimum_spend="2", maximum_spend="1")),
        {("plan_template.terms.maximum_spend", "MAXIMUM_BELOW_MINIMUM")},
    ),
    (
        "more digits than the template's currency has",
        "Plan",
        example.plan(terms=PlanTerms(minimum_spend="2.001")),
        {("plan.terms.minimum_spend", "AMOUNT_DIGITS")},
    ),
]


def wrong_pricing(name: str, violations: set[tuple[str, str]], **changed: Any) -> tuple[str, str, Message, Any]:
    inside = {(f"pricing.{field}", reason) for field, reason in violations}
    return name, "Pricing", example.pricing(**changed), inside


WRONG += [
    wrong_pricing(f"limit {text}", {("bands[1].lower_limit", "STRING_PATTERN")}, bands=[band("0"), band(text)])
    for text in ("NaN", "1e999", "1_000", "١", "1" * 40, "", "-1", "+1", " 1", "1.")
]
WRONG += [
    wrong_pricing(f"price {text}", {("bands[0].unit_price", "STRING_PATTERN")}, bands=[band("0", text)])
    for text in ("NaN", "Infinity", "1e9", "1_000", "٣", "1" * 40, ".5", "0." + "1" * 19)
]
WRONG += [
    wrong_pricing(
        "40 digits in all", {("bands[0].unit_price", "DECIMAL_RANGE")}, bands=[band("0", "1" * 30 + "." + "1" * 10)]
    ),
    wrong_pricing("band order", {("bands[2].lower_limit", "BAND_ORDER")}, bands=[band("0"), band("5"), band("5.0")]),
    wrong_pricing("first band not zero", {("bands[0].lower_limit", "BAND_START")}, bands=[band("1")]),
    wrong_pricing("block of nothing", {("bands[0].block_size", "BLOCK_SIZE")}, bands=[band("0", block_size="0.0")]),
    wrong_pricing("no band", {("bands", "REPEATED_MIN_ITEMS")}, bands=[]),
    wrong_pricing("neither cumulative nor named", {("cumulative", "FIELD_REQUIRED")}, cumulative=None),
    wrong_pricing(
        "named otherwise",
        {("cumulative", "PRICING_TYPE"), ("bands[0].unit_price", "PRICING_TYPE")},
        pricing_type=pricing_pb2.PRICING_TYPE_STAIRSTEP,
    ),
    wrong_pricing("end before start", {("end_time", "PERIOD_INVALID")}, end_time=time("2023-12-31")),
    wrong_pricing("end at the start", {("end_time", "PERIOD_INVALID")}, end_time=time("2024-01-01")),
    wrong_pricing("no start", {("start_time", "REQUIRED")}, start_time=None),
    wrong_pricing("a segment of nothing", {("segment", "SEGMENT_FIELDS")}, segment={"region": "eu"}),
    wrong_pricing(
        "a zero character in a segment",
        {('segment["region"]', "TEXT_INVALID")},
        aggregation_id="by_region",
        segment={"region": "\0"},
    ),
    wrong_pricing("no segment", {("segment", "SEGMENT_FIELDS")}, aggregation_id="by_region"),
    wrong_pricing(
        "another segment", {("segment", "SEGMENT_FIELDS")}, aggregation_id="by_region", segment={"tier": "eu"}
    ),
    wrong_pricing(
        "a pool without a wildcard",
        {("pool", "POOL_WITHOUT_WILDCARD")},
        aggregation_id="by_region",
        segment={"region": "eu"},
        pool=True,
    ),
    wrong_pricing(
        "what counters have not, and others have",
        {("segment", "SEGMENT_UNEXPECTED"), ("pool", "POOL_WITHOUT_WILDCARD")},
        counter_id="seats",
        segment={"region": "eu"},
        pool=True,
    ),
    wrong_pricing(
        "counter terms of an aggregation",
        {("counter_terms", "COUNTER_TERMS_UNEXPECTED")},
        counter_terms=pricing_pb2.CounterTerms(prorate_debit=False),
    ),
    wrong_pricing(
        "amounts with too many digits",
        {("minimum_spend", "AMOUNT_DIGITS"), ("maximum_spend", "AMOUNT_DIGITS")},
        minimum_spend="0.001",
        maximum_spend="0.002",
    ),
    wrong_pricing(
        "accumulation of what does not add up",
        {("accumulate", "ACCUMULATION_METHOD")},
        aggregation_id="mean",
        accumulate=True,
    ),
    wrong_pricing(
        "a counter that accumulates",
        {("accumulate", "ACCUMULATION_UNEXPECTED")},
        counter_id="seats",
        accumulate=True,
    ),
    wrong_pricing(
        "accumulation at one band's price without saying how",
        {("accumulation_mode", "REQUIRED")},
        cumulative=False,
        accumulate=True,
    ),
    wrong_pricing(
        "a mode without need",
        {("accumulation_mode", "ACCUMULATION_MODE_UNEXPECTED")},
        accumulation_mode=pricing_pb2.ACCUMULATION_MODE_POSITIONAL,
    ),
    wrong_pricing(
        "blocks at another price",
        {("accumulation_mode", "ACCUMULATION_BLOCKS")},
        cumulative=False,
        accumulate=True,
        accumulation_mode=pricing_pb2.ACCUMULATION_MODE_POSITIONAL,
        bands=[example.band("0", "1", block_size="10")],
    ),
    wrong_pricing(
        "a minimum of a credit",
        {("minimum_spend", "SPEND_OF_CREDIT")},
        minimum_spend="2",
        apply_as=pricing_pb2.APPLY_AS_PRODUCT_CREDIT,
    ),
    wrong_pricing(
        "a maximum below the minimum",
        {("maximum_spend", "MAXIMUM_BELOW_MINIMUM")},
        minimum_spend="2",
        maximum_spend="1",
    ),
    wrong_pricing("an unknown enum", {("apply_as", "ENUM_DEFINED_ONLY")}, apply_as=99),
    wrong_pricing("another product's plan", {("aggregation_id", "PRODUCT_DIFFERENT")}, plan_id="other"),
    wrong_pricing(
        "everything at once",
        {
            ("id", "STRING_PATTERN"),
            ("bands[0].lower_limit", "BAND_START"),
            ("bands[1].lower_limit", "BAND_ORDER"),
            ("description", "STRING_MAX_LEN"),
            ("end_time", "PERIOD_INVALID"),
            ("maximum_spend", "MAXIMUM_BELOW_MINIMUM"),
        },
        id="",
        bands=[band("1"), band("1")],
        description="x" * 201,
        end_time=time("2023-01-01"),
        minimum_spend="2",
        maximum_spend="1",
    ),
]


@pytest.fixture(scope="module")
async def shared(database_url: str) -> AsyncIterator[Served]:
    async with served(database_url) as running:
        await example.create_example(running)
        mean = example.aggregation(id="mean", method=aggregation_pb2.AGGREGATION_METHOD_MEAN)
        await create(running, "Aggregation", mean)
        by_region = example.aggregation(id="by_region", segment_fields=["region"])
        await create(running, "Aggregation", by_region)
        await create(running, "Product", example.product(id="other"))
        await create(running, "PlanTemplate", example.template(id="other", product_id="other"))
        await create(running, "Plan", example.plan(id="other", plan_template_id="other"))
        yield running


@pytest.mark.parametrize(("noun", "message", "violations"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
async def test_every_mistake_is_told_and_nothing_is_written(
    shared: Served, noun: str, message: Any, violations: set[tuple[str, str]]
) -> None:
    if "STRING_PATTERN" not in {reason for field, reason in violations if field.endswith(".id")}:
        message.id = "wrong"
    found = await failure(create(shared, noun, message))
    assert found.code == "INVALID_ARGUMENT"
    assert found.violations == violations
    assert (await failure(call(shared, f"Get{noun}", id="wrong"))).code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("noun", "message", "resource", "missing"),
    [
        ("Meter", example.meter(product_id="no"), "product", "no"),
        ("Counter", example.counter(product_id="no"), "product", "no"),
        ("PlanTemplate", example.template(product_id="no"), "product", "no"),
        ("CompoundAggregation", example.compound(product_id="no"), "product", "no"),
        ("Aggregation", example.aggregation(meter_id="no"), "meter", "no"),
        ("Plan", example.plan(plan_template_id="no"), "plan_template", "no"),
        ("Plan", example.plan(account_id="no"), "account", "no"),
        ("Pricing", example.pricing(plan_id="no"), "plan", "no"),
        ("Pricing", example.pricing(plan_template_id="no"), "plan_template", "no"),
        ("Pricing", example.pricing(aggregation_id="no"), "aggregation", "no"),
        ("Pricing", example.pricing(compound_aggregation_id="no"), "compound_aggregation", "no"),
        ("Pricing", example.pricing(counter_id="no"), "counter", "no"),
    ],
)
async def test_ids_of_nothing_are_not_found(
    shared: Served, noun: str, message: Any, resource: str, missing: str
) -> None:
    message.id = "wrong"
    found = await failure(create(shared, noun, message))
    assert found == Failure("NOT_FOUND", "NOT_FOUND", {"resource": resource, "id": missing}, set())
    assert (await failure(call(shared, f"Get{noun}", id="wrong"))).code == "NOT_FOUND"


async def test_times_have_years_and_microseconds(server: Served) -> None:
    start = time("2024-01-01")
    start.nanos = 123_456_789
    created = (await create(server, "Pricing", example.pricing(start_time=start))).pricing
    assert created.start_time.nanos == 123_456_000
    assert (await create(server, "Pricing", example.pricing(start_time=start))).pricing == created
    beyond = example.pricing(id="q", start_time=time("2024-01-01"))
    beyond.end_time.seconds = 253_402_300_800  # the year 10000
    found = await failure(create(server, "Pricing", beyond))
    assert found.violations == {("pricing.end_time", "PERIOD_INVALID")}
