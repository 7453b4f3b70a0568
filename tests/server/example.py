"""A small catalog as messages, each changed where a test needs it, and what a call that fails says."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg
import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from uuid_utils import uuid7

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.account.v1.account_pb2 import Account
from ratel.account.v1.attachment_pb2 import Attachment
from ratel.account.v1.counter_adjustment_pb2 import CounterAdjustment
from ratel.account.v1.grant_pb2 import Grant
from ratel.catalog.v1 import aggregation_pb2, meter_pb2, plan_template_pb2
from ratel.catalog.v1 import catalog_service_pb2 as catalog
from ratel.catalog.v1.add_on_pb2 import AddOn
from ratel.catalog.v1.aggregation_pb2 import Aggregation, CompoundAggregation
from ratel.catalog.v1.counter_pb2 import Counter
from ratel.catalog.v1.meter_pb2 import Meter, MeterField
from ratel.catalog.v1.plan_group_pb2 import PlanGroup
from ratel.catalog.v1.plan_pb2 import Plan
from ratel.catalog.v1.plan_template_pb2 import PlanTemplate
from ratel.catalog.v1.pricing_pb2 import Band, Pricing
from ratel.catalog.v1.product_pb2 import Product
from ratel.catalog.v1.promotion_pb2 import Promotion
from ratel.client import CallError, error_from
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from ratel.usage.v1.usage_service_pb2 import SubmitUsageRequest, SubmitUsageResponse
from tests.conftest import Served

T = TypeVar("T")

STRING, MEASURE, DERIVED = meter_pb2.FIELD_KIND_STRING, meter_pb2.FIELD_KIND_MEASURE, meter_pb2.FIELD_KIND_DERIVED


def _made(kind: Callable[..., T], usual: Mapping[str, Any], changed: Mapping[str, Any]) -> T:
    return kind(**{**usual, **changed})


def time(text: str) -> Timestamp:
    """Return an instant of UTC, such as 2024-07-01 or 2024-07-01T12:00."""
    message = Timestamp()
    message.FromDatetime(datetime.fromisoformat(text).replace(tzinfo=UTC))
    return message


def product(**changed: Any) -> Product:
    return _made(Product, {"id": "cloud", "name": "Cloud"}, changed)


def meter(**changed: Any) -> Meter:
    fields = [
        MeterField(name="gb", kind=MEASURE, unit="GB"),
        MeterField(name="region", kind=STRING),
        MeterField(name="tier", kind=STRING),
        MeterField(name="mb", kind=DERIVED, formula="gb * 1024"),
    ]
    return _made(Meter, {"id": "storage", "product_id": "cloud", "name": "Storage", "fields": fields}, changed)


def aggregation(**changed: Any) -> Aggregation:
    usual: dict[str, Any] = {
        "id": "gb",
        "meter_id": "storage",
        "name": "Storage",
        "method": aggregation_pb2.AGGREGATION_METHOD_SUM,
        "field": "gb",
    }
    return _made(Aggregation, usual, changed)


def compound(**changed: Any) -> CompoundAggregation:
    return _made(
        CompoundAggregation, {"id": "twice", "product_id": "cloud", "name": "Twice", "formula": "gb * 2"}, changed
    )


def counter(**changed: Any) -> Counter:
    return _made(Counter, {"id": "seats", "product_id": "cloud", "name": "Seats", "unit": "seat"}, changed)


def template(**changed: Any) -> PlanTemplate:
    monthly = plan_template_pb2.BILL_FREQUENCY_MONTHLY
    usual: dict[str, Any] = {
        "id": "basic",
        "product_id": "cloud",
        "name": "Basic",
        "currency": "USD",
        "bill_frequency": monthly,
    }
    return _made(PlanTemplate, usual, changed)


def plan(**changed: Any) -> Plan:
    return _made(Plan, {"id": "gold", "plan_template_id": "basic", "name": "Gold"}, changed)


def pricing(**changed: Any) -> Pricing:
    """Return a pricing of the aggregation for the plan from 2024 on, at one price."""
    if not {"plan_id", "plan_template_id"} & changed.keys():
        changed["plan_id"] = "gold"
    if not {"aggregation_id", "compound_aggregation_id", "counter_id"} & changed.keys():
        changed["aggregation_id"] = "gb"
    usual: dict[str, Any] = {
        "id": "p",
        "start_time": time("2024-01-01"),
        "cumulative": True,
        "bands": [band("0", "0.5")],
    }
    return _made(Pricing, usual, changed)


def promotion(**changed: Any) -> Promotion:
    """Return a promotion of the plan: 10 % of the spend."""
    usual: dict[str, Any] = {"id": "tenth", "name": "A tenth"}
    if "pricing_id" not in changed:
        usual["plan_id"] = "gold"
    if not {"fixed_amount", "graduated"} & changed.keys():
        usual["percentage"] = "10"
    return _made(Promotion, usual, changed)


def add_on(**changed: Any) -> AddOn:
    """Return an add-on, by itself without a price."""
    return _made(AddOn, {"id": "pack", "product_id": "cloud", "name": "Pack", "currency": "USD"}, changed)


def plan_group(**changed: Any) -> PlanGroup:
    """Return a group of the one plan, by itself without limits."""
    return _made(PlanGroup, {"id": "all", "name": "All", "plan_ids": ["gold"]}, changed)


def band(lower_limit: str, unit_price: str = "", **changed: str) -> Band:
    return Band(lower_limit=lower_limit, unit_price=unit_price, **changed)


def account(**changed: Any) -> Account:
    return _made(Account, {"id": "acme", "name": "Acme"}, changed)


def attachment(**changed: Any) -> Attachment:
    usual: dict[str, Any] = {
        "id": "acme-gold",
        "account_id": "acme",
        "plan_id": "gold",
        "start_time": time("2024-01-01"),
    }
    return _made(Attachment, usual, changed)


def adjustment(**changed: Any) -> CounterAdjustment:
    usual: dict[str, Any] = {"account_id": "acme", "counter_id": "seats", "date": "2024-07-01", "level": "15"}
    return _made(CounterAdjustment, usual, changed)


def grant(**changed: Any) -> Grant:
    usual: dict[str, Any] = {
        "id": "acme-tenth",
        "account_id": "acme",
        "promotion_id": "tenth",
        "start_time": time("2024-01-01"),
    }
    return _made(Grant, usual, changed)


# Whoever names something goes before it.
TABLES = """
    bill_line_items bills balance_transactions balances commitments ad_hoc_charges purchases add_ons grants promotions
    counter_adjustments attachments priced_things pricings plan_groups plans plan_templates
    compound_aggregations aggregations
    used_meters rollups meters counters products accounts
"""
MOVE = "UPDATE catalog_revisions SET revision = revision + 1"
EMPTY = ";".join((MOVE, *(f"DELETE FROM {table}" for table in TABLES.split())))
DEFAULT_SETTINGS = """
    UPDATE settings SET time_zone = 'UTC', default_currency = 'USD', month_epoch = NULL, rounding_mode = 'HALF_UP',
        from_currencies = '{}', to_currencies = '{}', currency_rates = '{}',
        credit_application_order = '{}', commitment_fee_in_advance = false
"""


async def create_anew(server: Served) -> None:
    """Create the example, and nothing else, in a database that others used before: quicker than a new one."""
    connection = await asyncpg.connect(server.database_url)
    await connection.execute(f"{EMPTY};{DEFAULT_SETTINGS}")
    await connection.close()
    await create_example(server)


async def create_example(server: Served) -> None:
    """Create all of it but pricings, attachments and adjustments; again changes nothing."""
    stub = server.catalog
    await stub.CreateProduct(catalog.CreateProductRequest(product=product()))
    await stub.CreateMeter(catalog.CreateMeterRequest(meter=meter()))
    await stub.CreateAggregation(catalog.CreateAggregationRequest(aggregation=aggregation()))
    compound_request = catalog.CreateCompoundAggregationRequest(compound_aggregation=compound())
    await stub.CreateCompoundAggregation(compound_request)
    await stub.CreateCounter(catalog.CreateCounterRequest(counter=counter()))
    await stub.CreatePlanTemplate(catalog.CreatePlanTemplateRequest(plan_template=template()))
    await stub.CreatePlan(catalog.CreatePlanRequest(plan=plan()))
    await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=account()))


FIELDS = {
    "CompoundAggregation": "compound_aggregation",
    "PlanTemplate": "plan_template",
    "AddOn": "add_on",
    "PlanGroup": "plan_group",
}


def field_of(noun: str) -> str:
    """Return the field of requests and answers that holds a noun."""
    return FIELDS.get(noun, noun.lower())


async def call(server: Served, method: str, **fields: Any) -> Any:
    """Call a method of the catalog."""
    request = getattr(catalog, f"{method}Request")(**fields)
    return await getattr(server.catalog, method)(request)


async def create(server: Served, noun: str, message: Message) -> Any:
    return await call(server, f"Create{noun}", **{field_of(noun): message})


async def update(server: Served, noun: str, message: Message, *paths: str) -> Any:
    mask = FieldMask(paths=paths) if paths else None
    return await call(server, f"Update{noun}", **{field_of(noun): message}, update_mask=mask)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a call that failed says.

    Attributes:
        code: The name of the status code.
        reason: Of the ErrorInfo.
        metadata: Of the ErrorInfo.
        violations: Field and reason of each.
    """

    code: str
    reason: str
    metadata: dict[str, str]
    violations: set[tuple[str, str]]


async def failure(call: Awaitable[Any]) -> Failure:
    """Return how a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    said: CallError = error_from(caught.value)
    violations = {(each.field, each.reason) for each in said.violations}
    return Failure(caught.value.code().name, said.reason, dict(said.metadata), violations)


def event(event_id: str = "", **changed: Any) -> UsageEvent:
    usual: dict[str, Any] = {
        "account_id": "acme",
        "meter_id": "storage",
        "event_id": event_id or str(uuid7()),
        "event_time": time("2024-07-01T12:00"),
        "values": {"gb": "1.5", "region": "eu"},
    }
    return UsageEvent(**usual | changed)


async def submit(server: Served, *events: UsageEvent) -> SubmitUsageResponse:
    response: SubmitUsageResponse = await server.usage.SubmitUsage(SubmitUsageRequest(events=events))
    return response
