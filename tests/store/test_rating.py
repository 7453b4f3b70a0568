"""What rating reads: a fixed number of statements, and never a plan of another revision than the snapshot's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from ratel.catalog.v1.catalog_service_pb2 import UpdatePricingRequest
from ratel.core.account_rating import AccountRating
from ratel.core.period import Period
from ratel.core.rating.rate import rate
from ratel.core.rating.scope import survey
from ratel.core.tail import Tail
from ratel.server.convert.pricing import pricing_to_proto
from ratel.store.definition import read_definitions
from ratel.store.pool import Database
from ratel.store.quantity import EVENTS_OF_ACCOUNTS, EVENTS_OF_WINDOW
from ratel.store.rating import PlanCache, RatingSnapshot, rating_snapshot
from tests.conftest import Served
from tests.story import read_story
from tests.telling import Teller
from tests.told import ACCOUNT, Story

STORY = """
    template standing_charge=20
    aggregation calls SUM calls
    counter seats
    price calls 0:1 id=calls
    price seats 0:2
    attach 2024-01-01
    level seats 2024-01-01 5
    use 2024-06-03T12:30 calls=10
    use 2024-06-20 calls=5
    rate 2024-06-01 2024-07-01
"""


@pytest.fixture
async def database(server: Served) -> AsyncIterator[Database]:
    opened = Database(server.database_url)
    yield opened
    await opened.close()


def asked_of(story: Story) -> Period:
    assert story.asked is not None
    return story.asked


async def rate_in(snapshot: RatingSnapshot, account_id: str, asked: Period) -> tuple[AccountRating, int]:
    """Rate an account in a snapshot; also return the revision that was seen."""
    account = (await snapshot.accounts([account_id], asked))[account_id]
    scope = survey(account.context, asked)
    usage = await snapshot.usage(account, scope)
    return rate(scope, usage.partials), account.revision


def usage_amount(rating: AccountRating) -> Decimal:
    return next(item.amount for item in rating.line_items if item.pricing_id.endswith("calls"))


async def reprice(server: Served, prefix: str, story: Story, price: int) -> int:
    """Give the calls another price and return the catalog's revision; nobody else writes to the catalog."""
    pricing = pricing_to_proto(story.pricings[0])
    pricing.id, pricing.plan_id = prefix + pricing.id, prefix + pricing.plan_id
    pricing.aggregation_id = prefix + pricing.aggregation_id
    pricing.bands[0].unit_price = str(price)
    await server.catalog.UpdatePricing(UpdatePricingRequest(pricing=pricing))
    database = Database(server.database_url)
    async with database.connection() as connection:
        revision = await connection.fetchval("SELECT revision FROM catalog_revisions")
    await database.close()
    return int(revision)


# --- Statements -------------------------------------------------------------------------------------------------------


def many_pricings() -> str:
    things = [f"aggregation a{index} SUM calls\nprice a{index} 0:1 to=2024-06-16" for index in range(50)]
    return "\n".join([*things, STORY])


@asynccontextmanager
async def counted(database: Database, cache: PlanCache) -> AsyncIterator[tuple[RatingSnapshot, list[str]]]:
    """Hold a snapshot, and list the statements that run in it."""
    statements: list[str] = []

    def listen(record: Any) -> None:
        statements.append(record.query)

    async with database.snapshot() as connection:
        connection.add_query_logger(listen)
        yield RatingSnapshot(connection, cache, Tail()), statements
        connection.remove_query_logger(listen)


async def count_statements(database: Database, cache: PlanCache, prefix: str, story: Story) -> tuple[int, int]:
    """Rate an account and return how many line items and statements there were."""
    async with counted(database, cache) as (snapshot, statements):
        rating, _ = await rate_in(snapshot, prefix + ACCOUNT.id, asked_of(story))
        await asyncio.sleep(0)  # who listens is told of the last one in the loop's next turn
        # What is not folded yet, or not backfilled, is read from events at times.
        others = [each for each in statements if each not in (EVENTS_OF_ACCOUNTS, EVENTS_OF_WINDOW)]
        return len(rating.line_items), len(others)


async def test_the_number_of_statements_does_not_depend_on_the_plan(server: Served, database: Database) -> None:
    found = {}
    for prefix, text in (("few_", STORY), ("many_", many_pricings())):
        story, cache = read_story(text), PlanCache()
        await Teller(server, story, prefix).tell()
        await count_statements(database, PlanCache(), prefix, story)  # a new connection asks for types
        found[prefix] = [await count_statements(database, cache, prefix, story) for _ in range(2)]
    (few, cold), (_, warm) = found["few_"]
    assert (few, warm) == (3, 2), "the account with all that is its own, and its usage"
    assert found["many_"] == [(53, cold), (53, warm)]
    assert cold < 20


async def test_the_number_of_statements_does_not_depend_on_the_family(server: Served, database: Database) -> None:
    """R11.1."""
    children = "\n".join(f"child c{number}\nuse 2024-06-03 calls=1 of=c{number}" for number in range(20))
    story, prefix, cache = read_story(f"{STORY}\n{children}\nattach 2024-06-11 of=c7"), "kin_", PlanCache()
    await Teller(server, story, prefix).tell()
    counts = [await count_statements(database, cache, prefix, story) for _ in range(2)]
    assert counts[1] == (3, 2), "the account with its family, and the usage of all of them"


async def test_an_account_is_rated_as_by_the_core_alone(server: Served, database: Database) -> None:
    story = read_story(STORY)
    await Teller(server, story, "same_").tell()
    async with rating_snapshot(database, PlanCache(), Tail()) as snapshot:
        rating, _ = await rate_in(snapshot, "same_account", asked_of(story))
    assert [str(item.amount) for item in rating.line_items] == ["15.00", "10.00", "20.00"]
    assert rating.totals == (("USD", Decimal("45.00")),)


# --- The cache --------------------------------------------------------------------------------------------------------


async def test_a_plan_is_never_stale(server: Served, database: Database) -> None:
    """Whatever is written meanwhile, the price is that of the revision that the snapshot shows."""
    story, cache, prefix = read_story(STORY), PlanCache(), "stale_"
    await Teller(server, story, prefix).tell()
    prices = {await reprice(server, prefix, story, 1): 1}
    is_done = asyncio.Event()

    async def write() -> None:
        for price in range(2, 12):
            prices[await reprice(server, prefix, story, price)] = price
        is_done.set()

    async def read() -> list[tuple[int, Decimal]]:
        seen = []
        while not is_done.is_set():
            async with rating_snapshot(database, cache, Tail()) as snapshot:
                rating, revision = await rate_in(snapshot, f"{prefix}account", asked_of(story))
            seen.append((revision, usage_amount(rating)))
        return seen

    writer = asyncio.create_task(write())
    readers = await asyncio.gather(*(read() for _ in range(4)))
    await writer
    seen = [each for reader in readers for each in reader]
    assert len({revision for revision, _ in seen}) > 1, "the readers saw no change"
    assert [each for each in seen if each[1] != 15 * prices[each[0]]] == []


async def test_an_older_snapshot_neither_uses_nor_spoils_what_is_newer(server: Served, database: Database) -> None:
    story, prefix = read_story(STORY), "older_"
    counts: list[tuple[int, int, int]] = []
    cache = PlanCache(lambda hits, misses, revision: counts.append((hits, misses, revision)))
    await Teller(server, story, prefix).tell()
    old = await reprice(server, prefix, story, 1)
    async with rating_snapshot(database, cache, Tail()) as older:
        await read_definitions(older.connection)  # the snapshot is of this moment
        new = await reprice(server, prefix, story, 2)
        async with rating_snapshot(database, cache, Tail()) as newer:
            rating, _ = await rate_in(newer, f"{prefix}account", asked_of(story))
            assert usage_amount(rating) == 30
        rating, _ = await rate_in(older, f"{prefix}account", asked_of(story))
        assert usage_amount(rating) == 15
    async with rating_snapshot(database, cache, Tail()) as newer:
        rating, _ = await rate_in(newer, f"{prefix}account", asked_of(story))
        assert usage_amount(rating) == 30
    assert counts == [(0, 1, new), (0, 1, old), (1, 0, new)]


async def test_the_cache_is_bounded(server: Served, database: Database) -> None:
    story, prefix = read_story(f"plan gold\nattach 2024-01-01 2024-06-16 plan=gold id=x\n{STORY}"), "bounded_"
    story.attachments[1:] = [attachment_from(story, "2024-06-16")]
    await Teller(server, story, prefix).tell()
    counts: list[tuple[int, int]] = []
    cache = PlanCache(lambda hits, misses, _: counts.append((hits, misses)), plans_max=1)
    for _ in range(2):
        async with rating_snapshot(database, cache, Tail()) as snapshot:
            await rate_in(snapshot, f"{prefix}account", asked_of(story))
    assert counts == [(0, 2), (1, 1)]


def attachment_from(story: Story, start: str) -> Any:
    return read_story(f"attach {start} id=y").attachments[0]


async def test_unknown_accounts_are_absent(server: Served, database: Database) -> None:
    async with rating_snapshot(database, PlanCache(), Tail()) as snapshot:
        assert await snapshot.accounts(["nobody"], asked_of(read_story(STORY))) == {}
