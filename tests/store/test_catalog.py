"""Catalog and accounts in Postgres: the database itself keeps schedules apart, and what rating reads is complete."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ratel.core.account import Account, Attachment
from ratel.core.band import Band, Bands
from ratel.core.counter import AccountAdjustment, Adjustment, Counter
from ratel.core.errors import AttachmentOverlap, PricingOverlap, ResourceNotFound, TransactionConflict
from ratel.core.meter import (
    Aggregation,
    CompoundAggregation,
    FieldKind,
    Filter,
    Meter,
    Method,
    read_fields,
    read_formula,
)
from ratel.core.money import Rounding
from ratel.core.period import Frequency, Period
from ratel.core.plan import Plan, PlanTemplate, Settings, Terms
from ratel.core.pricing import (
    ApplyAs,
    CounterTerms,
    Owner,
    OwnerKind,
    PricedKind,
    PricedThing,
    Pricing,
    SpendLimits,
)
from ratel.core.product import Product
from ratel.store.account import ACCOUNTS
from ratel.store.adjustment import ADJUSTMENTS
from ratel.store.aggregation import create_aggregation
from ratel.store.attachment import ATTACHMENTS
from ratel.store.compound import create_compound
from ratel.store.counter import COUNTERS
from ratel.store.meter import create_meter
from ratel.store.plan import PLANS
from ratel.store.plan_catalog import load_catalog
from ratel.store.plan_template import PLAN_TEMPLATES
from ratel.store.pool import Connection, Database, PoolLimits
from ratel.store.pricing import PRICINGS, create_pricing
from ratel.store.product import PRODUCTS
from ratel.store.resource import create, delete, get

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
WRITERS = 24

FIELDS = read_fields([("gb", FieldKind.MEASURE, "GB", ""), ("region", FieldKind.STRING, "", "")])
METER = Meter("storage", "cloud", "Storage", FIELDS)
GB = Aggregation("gb", "storage", "GB", Method.SUM, "gb", segment_fields=("region",))
USERS = Aggregation(
    id="users",
    meter_id="storage",
    name="Users",
    method=Method.UNIQUE,
    field="region",
    default_quantity=Decimal("0.50"),
    quantity_per_unit=Decimal(3),
    rounding=Rounding.UP,
    unit="user",
    filter=Filter("region", frozenset({"eu", ""})),
)
SUM = CompoundAggregation("both", "cloud", "Both", read_formula("gb + users"), Decimal(2), Rounding.DOWN, "x", True)  # noqa: FBT003
SEATS = Counter("seats", "cloud", "Seats", "seat")
TERMS = Terms(Decimal("20.00"), True, 2, 0, "Fee", Decimal("1.00"), False, "Least", Decimal("9.00"), "Most")  # noqa: FBT003
TEMPLATE = PlanTemplate("basic", "cloud", "Basic", "USD", Frequency.WEEKLY, 2, TERMS)
ACCOUNT = Account("acme", "Acme", date(2024, 2, 29))
PLAN = Plan("gold", "basic", "Gold", "acme", Terms(standing_charge=Decimal("0.00")))
PRICING = Pricing(
    id="gb",
    owner=Owner(OwnerKind.PLAN, "gold"),
    priced=PricedThing(PricedKind.AGGREGATION, "gb"),
    period=Period(NOW),
    bands=Bands(cumulative=True, bands=(Band(Decimal(0), Decimal("0.5")), Band(Decimal(50), Decimal("0.4")))),
    segment=("*",),
    segment_fields=("region",),
    pool=True,
    apply_as=ApplyAs.GLOBAL_CREDIT,
)
FULL = Pricing(
    id="seats",
    owner=Owner(OwnerKind.TEMPLATE, "basic"),
    priced=PricedThing(PricedKind.COUNTER, "seats"),
    period=Period(NOW, datetime(2025, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
    bands=Bands(
        cumulative=False,
        bands=(Band(Decimal(0), Decimal("-1.50"), Decimal("0.1"), Decimal("0.25")), Band(Decimal("1e-18"), Decimal(2))),
        charge_zero=True,
    ),
    spend=SpendLimits(Decimal("1.00"), True, "Least", Decimal("2.00"), "Most"),  # noqa: FBT003
    description="Seats",
    counter_terms=CounterTerms(False, False, True, False),  # noqa: FBT003
)
BOTH = replace(
    PRICING, id="both", priced=PricedThing(PricedKind.COMPOUND, "both"), segment=(), segment_fields=(), pool=False
)
ATTACHMENT = Attachment("acme-gold", "acme", "gold", Period(NOW), date(2024, 1, 31))
ADJUSTMENT = AccountAdjustment("acme", Adjustment("seats", date(2024, 7, 1), Decimal("15.5")))


@pytest.fixture
async def database(fresh_database_url: str) -> AsyncIterator[Database]:
    opened = Database(fresh_database_url, PoolLimits(connections_max=WRITERS))
    async with opened.transaction() as connection:
        await create(connection, PRODUCTS, Product("cloud", "Cloud"), NOW)
        await create_meter(connection, METER, NOW)
        await create_aggregation(connection, GB, NOW)
        await create_aggregation(connection, USERS, NOW)
        await create_compound(connection, SUM, NOW)
        await create(connection, COUNTERS, SEATS, NOW)
        await create(connection, PLAN_TEMPLATES, TEMPLATE, NOW)
        await create(connection, ACCOUNTS, ACCOUNT, NOW)
        await create(connection, PLANS, PLAN, NOW)
    yield opened
    await opened.close()


async def race(database: Database, write: Callable[[Connection, int], Awaitable[object]]) -> list[object]:
    """Let many transactions write at once, without any lock but the database's own; return what came of each."""
    barrier = asyncio.Barrier(WRITERS)

    async def run(number: int) -> object:
        async with database.transaction() as connection:
            await barrier.wait()
            return await write(connection, number)

    return await asyncio.gather(*(run(number) for number in range(WRITERS)), return_exceptions=True)


async def test_what_is_stored_is_what_was_given(database: Database) -> None:
    async with database.transaction() as connection:
        for pricing in (PRICING, FULL):
            assert (await create_pricing(connection, pricing, NOW)).value == pricing
        stored = await create(connection, ATTACHMENTS, ATTACHMENT, NOW)
        assert (stored.value, stored.create_time, stored.update_time) == (ATTACHMENT, NOW, NOW)
        assert (await create(connection, ADJUSTMENTS, ADJUSTMENT, NOW)).value == ADJUSTMENT
        assert (await get(connection, PLAN_TEMPLATES, "basic")).value == TEMPLATE
        assert (await get(connection, PLANS, "gold")).value == PLAN
        assert (await get(connection, ACCOUNTS, "acme")).value == ACCOUNT


async def test_the_database_itself_keeps_pricings_apart(database: Database) -> None:
    """R3.2."""
    results = await race(
        database, lambda connection, number: create(connection, PRICINGS, replace(PRICING, id=f"p{number}"), NOW)
    )
    # Who waits for each other in a circle is told so by Postgres; the servers' own lock spares callers that.
    refused = [each for each in results if isinstance(each, PricingOverlap | TransactionConflict)]
    assert len(refused) == WRITERS - 1
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM pricings") == 1


async def test_the_database_itself_keeps_attachments_apart(database: Database) -> None:
    """R4.1."""
    results = await race(
        database, lambda connection, number: create(connection, ATTACHMENTS, replace(ATTACHMENT, id=f"a{number}"), NOW)
    )
    refused = [each for each in results if isinstance(each, AttachmentOverlap | TransactionConflict)]
    assert len(refused) == WRITERS - 1
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM attachments") == 1


async def test_a_refused_write_leaves_the_transaction_usable(database: Database) -> None:
    async with database.transaction() as connection:
        with pytest.raises(ResourceNotFound):
            await create(connection, COUNTERS, replace(SEATS, id="other", product_id="no"), NOW)
        await create(connection, COUNTERS, replace(SEATS, id="other"), NOW)
    async with database.connection() as connection:
        assert (await get(connection, COUNTERS, "other")).value.product_id == "cloud"


async def test_what_rating_reads_of_a_plan_is_complete(database: Database) -> None:
    """R3.3, R3.5."""
    gone = replace(PRICING, id="gone", priced=PricedThing(PricedKind.AGGREGATION, "users"), segment=(), pool=False)
    async with database.transaction() as connection:
        for pricing in (PRICING, FULL, BOTH, replace(gone, segment_fields=())):
            await create_pricing(connection, pricing, NOW)
        await delete(connection, PRICINGS, "gone")
    async with database.snapshot() as connection:
        catalog = await load_catalog(connection, ["gold", "no"])
    assert (dict(catalog.plans), dict(catalog.plan_templates)) == ({"gold": PLAN}, {"basic": TEMPLATE})
    assert catalog.pricings == (BOTH, PRICING, FULL)
    assert dict(catalog.aggregations) == {"gb": GB, "users": USERS}
    assert dict(catalog.compound_aggregations) == {"both": SUM}
    assert dict(catalog.counters) == {"seats": SEATS}
    assert dict(catalog.meters) == {"storage": METER}
    assert catalog.settings == Settings()
    assert {(owner.id, thing.id) for owner, thing in catalog.priced_things} == {
        ("gold", "gb"),
        ("gold", "both"),
        ("gold", "users"),
    }
