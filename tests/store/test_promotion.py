"""Promotions and grants in Postgres: what is stored is what was given, and a rating reads all of it at once (R9)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ratel.core.account import Account, Attachment
from ratel.core.band import Band, Bands
from ratel.core.meter import Aggregation, FieldKind, Meter, Method, read_fields
from ratel.core.period import Frequency, Period
from ratel.core.plan import Plan, PlanTemplate
from ratel.core.pricing import Owner, OwnerKind, PricedKind, PricedThing, Pricing
from ratel.core.product import Product
from ratel.core.promotion import (
    FixedAmount,
    Graduated,
    Grant,
    GrantedPromotion,
    Percentage,
    Promotion,
    PromotionPlace,
    SpendBand,
)
from ratel.core.tail import Tail
from ratel.store.account import ACCOUNTS
from ratel.store.aggregation import create_aggregation
from ratel.store.attachment import ATTACHMENTS
from ratel.store.grant import GRANTS
from ratel.store.meter import create_meter
from ratel.store.plan import PLANS
from ratel.store.plan_template import PLAN_TEMPLATES
from ratel.store.pool import Database
from ratel.store.pricing import create_pricing
from ratel.store.product import PRODUCTS
from ratel.store.promotion import PROMOTIONS, promotion_place
from ratel.store.rating import PlanCache, rating_snapshot
from ratel.store.resource import create, get, update

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
JUNE, JULY, AUGUST, SEPTEMBER = (datetime(2024, month, 1, tzinfo=UTC) for month in (6, 7, 8, 9))

FIELDS = read_fields([("gb", FieldKind.MEASURE, "GB", ""), ("region", FieldKind.STRING, "", "")])
GB = Aggregation("gb", "storage", "GB", Method.SUM, "gb", segment_fields=("region",))
PRICING = Pricing(
    id="gb",
    owner=Owner(OwnerKind.TEMPLATE, "basic"),
    priced=PricedThing(PricedKind.AGGREGATION, "gb"),
    period=Period(NOW),
    bands=Bands(cumulative=True, bands=(Band(Decimal(0), Decimal("0.5")),)),
    segment=("*",),
    segment_fields=("region",),
)
TENTH = Promotion("tenth", "A tenth", Percentage(Decimal("10.5")), plan_id="gold", currency="KWD", bill_period_count=2)
WELCOME = Promotion("welcome", "Welcome", FixedAmount(Decimal("5.000")), plan_id="gold", currency="KWD")
UPWARD = Promotion(
    "upward",
    "Upward",
    Graduated((SpendBand(Decimal("0.000"), Decimal(5)), SpendBand(Decimal("10.500"), Decimal("7.25")))),
    pricing_id="gb",
    segment=(("region", ""),),
    currency="KWD",
    max_per_period=Decimal("7.500"),
    max_total=Decimal("20.000"),
)
GRANT = Grant("first", "acme", "upward", Period(JUNE, SEPTEMBER), priority=-3)


@pytest.fixture
async def database(fresh_database_url: str) -> AsyncIterator[Database]:
    opened = Database(fresh_database_url)
    async with opened.transaction() as connection:
        await create(connection, PRODUCTS, Product("cloud", "Cloud"), NOW)
        await create_meter(connection, Meter("storage", "cloud", "Storage", FIELDS), NOW)
        await create_aggregation(connection, GB, NOW)
        await create(connection, PLAN_TEMPLATES, PlanTemplate("basic", "cloud", "Basic", "KWD", Frequency.MONTHLY), NOW)
        await create(connection, PLANS, Plan("gold", "basic", "Gold"), NOW)
        await create_pricing(connection, PRICING, NOW)
        await create(connection, ACCOUNTS, Account("acme", "Acme"), NOW)
        for promotion in (TENTH, WELCOME, UPWARD):
            await create(connection, PROMOTIONS, promotion, NOW)
        await create(connection, GRANTS, GRANT, NOW)
    yield opened
    await opened.close()


async def test_what_is_stored_is_what_was_given(database: Database) -> None:
    async with database.transaction() as connection:
        for promotion in (TENTH, WELCOME, UPWARD):
            stored = await get(connection, PROMOTIONS, promotion.id)
            assert (stored.value, stored.create_time) == (promotion, NOW)
        assert await promotion_place(connection, TENTH) == PromotionPlace("KWD")
        assert await promotion_place(connection, UPWARD) == PromotionPlace("KWD", PRICING)
        changed = replace(UPWARD, name="Other", worth=Percentage(Decimal(1)), max_total=None, bill_period_count=7)
        old = await get(connection, PROMOTIONS, "upward")
        assert (await update(connection, PROMOTIONS, old, changed, NOW)).value == changed
        grant = await get(connection, GRANTS, "first")
        ended = replace(GRANT, period=Period(JULY), priority=2)
        assert (grant.value, (await update(connection, GRANTS, grant, ended, NOW)).value) == (GRANT, ended)


async def test_a_rating_reads_grants_and_what_they_were_given_on(database: Database) -> None:
    """R9.1: attachments that are over count as far back as a grant that still acts."""
    before = Attachment("before", "acme", "gold", Period(NOW, JUNE))
    earlier = Attachment("earlier", "acme", "gold", Period(JUNE, JULY), trial_end=datetime(2024, 6, 9, tzinfo=UTC))
    later = Attachment("later", "acme", "gold", Period(AUGUST))
    ended = Grant("ended", "acme", "tenth", Period(NOW, JULY))
    to_come = Grant("to-come", "acme", "tenth", Period(SEPTEMBER))
    async with database.transaction() as connection:
        for attachment in (before, earlier, later):
            await create(connection, ATTACHMENTS, attachment, NOW)
        for grant in (ended, to_come):
            await create(connection, GRANTS, grant, NOW)
    async with rating_snapshot(database, PlanCache(), Tail()) as snapshot:
        context = (await snapshot.accounts(["acme"], Period(AUGUST, SEPTEMBER)))["acme"].context
    assert set(context.attachments) == {earlier, later}
    assert set(context.granted) == {GrantedPromotion(GRANT, UPWARD), GrantedPromotion(ended, TENTH)}
    assert context.cuts == [NOW, JUNE, datetime(2024, 6, 9, tzinfo=UTC), JULY, SEPTEMBER]
