"""What was seen is said to be still so only if it is, whoever writes; and never by a look from before the question."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
import pytest

from ratel.core.errors import DatabaseUnavailable
from ratel.core.integral import BEGINNING
from ratel.core.rollup import Rollup
from ratel.store.account import lock_account, lock_family
from ratel.store.moment import MOMENT, SNAPSHOT, VERSIONS, Moment, Sight, Sights, moment_from_row
from ratel.store.pool import Database
from ratel.store.quantity import read_partials
from ratel.store.question import Slice
from ratel.store.recount import recount
from ratel.store.revision import catalog_revision, move_revision, move_usage
from tests.store.metering import (
    START,
    Process,
    create_accounts,
    create_meter,
    create_rollup,
    definition,
    process,
    random_usage,
)

CREATE = "CREATE TABLE seen (n integer)"
INSERT = "INSERT INTO seen VALUES ($1)"
SELECT = f"SELECT {SNAPSHOT} AS snapshot, (SELECT array_agg(n ORDER BY n) FROM seen) AS numbers"
STEPS = 400
WRITERS = 4

SEE = f"SELECT {MOMENT} AS moment, {VERSIONS.format('$1')} AS versions"
OLD = "UPDATE pending_batches SET create_time = now() - interval '1 minute'"
RENAME = "UPDATE accounts SET name = name || 'x', version = version + 1 WHERE id = $1"
SPOIL = "UPDATE rollup_buckets SET event_count = event_count + 1"
ADOPT = """
    UPDATE accounts SET parent_account_no = (SELECT account_no FROM accounts WHERE id = $1), version = version + 1
    WHERE id = 'd'
"""
AGREED = "SELECT name FROM accounts WHERE account_no = $1 OR parent_account_no = $1 ORDER BY account_no"
END = datetime(2024, 8, 1, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


# --- Snapshots --------------------------------------------------------------------------------------------------------


async def step(writer: "asyncpg.Connection[asyncpg.Record]", chance: random.Random, number: int) -> None:
    """Begin something, go on with it, or end it well or not."""
    if not writer.is_in_transaction():
        await writer.execute(chance.choice(["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"]))
    kind = chance.choice(["insert", "insert", "nest", "nothing", "COMMIT", "COMMIT", "ROLLBACK"])
    if kind == "insert":
        await writer.execute(INSERT, number)
    elif kind == "nest":
        await writer.execute("SAVEPOINT inside")
        await writer.execute(INSERT, number)
        await writer.execute(f"{chance.choice(['RELEASE', 'ROLLBACK TO'])} SAVEPOINT inside")
    elif kind != "nothing":
        await writer.execute(kind)


async def test_equal_snapshots_show_equal_rows(fresh_database_url: str) -> None:
    """However transactions begin, nest and end among each other."""
    chance = random.Random(7)
    reader, *writers = [await asyncpg.connect(fresh_database_url) for _ in range(1 + WRITERS)]
    await reader.execute(CREATE)
    shown: dict[str, list[int] | None] = {}
    for number in range(STEPS):
        await step(chance.choice(writers), chance, number)
        row = await reader.fetchrow(SELECT)
        assert row is not None
        assert shown.setdefault(row["snapshot"], row["numbers"]) == row["numbers"]
    assert len(set(map(str, shown.values()))) > STEPS // 10, "little was written"
    assert len(shown) < STEPS, "no snapshot was seen twice"
    for each in (reader, *writers):
        await each.close()


# --- Whatever is written ----------------------------------------------------------------------------------------------


async def see(own: Process, account_nos: tuple[int, ...], rollups: list[Rollup]) -> tuple[Sight, object]:
    """Return accounts as they are seen, and all that is read of them at the same moment, the plain way."""
    connection = own.folding
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        row = await connection.fetchrow(SEE, account_nos)
        assert row is not None
        slices = [Slice((number,), rollup, BEGINNING, END) for number in account_nos for rollup in rollups]
        reading = await read_partials(connection, own.writer.tail, slices)
        agreed = [[name for (name,) in await connection.fetch(AGREED, number)] for number in account_nos]
        content = (reading.partials, reading.backfilling, agreed, await catalog_revision(connection))
        return Sight(moment_from_row(row), account_nos, tuple(row["versions"])), content


async def write(own: Process, chance: random.Random, rollups: list[Rollup]) -> None:
    await own.write(random_usage(chance, chance.choice("abc")) for _ in range(3))


async def fold(own: Process, chance: random.Random, rollups: list[Rollup]) -> None:
    if chance.random() < 0.2:
        await own.folding.execute(OLD)
    await own.fold()


async def name(own: Process, chance: random.Random, rollups: list[Rollup]) -> None:
    async with own.writing.transaction():
        await lock_account(own.writing, "a")
        await own.writing.execute(RENAME, "a")


async def adopt(own: Process, chance: random.Random, rollups: list[Rollup]) -> None:
    """Let one account have another parent, or none."""
    parent = chance.choice(["b", "c", ""])
    async with own.writing.transaction():
        await lock_family(own.writing, "d", parent)
        await own.writing.execute(ADOPT, parent)


async def change_catalog(own: Process, chance: random.Random, rollups: list[Rollup]) -> None:
    async with own.writing.transaction():
        await move_revision(own.writing)


async def need(own: Process, chance: random.Random, rollups: list[Rollup]) -> None:
    """Make a rollup that is to be backfilled."""
    rollups.append(await create_rollup(own.writing, definition("size", chance.choice(("region", "user")))))


async def backfill(own: Process, chance: random.Random, rollups: list[Rollup]) -> None:
    await own.backfill_step()


async def spoil(own: Process, chance: random.Random, rollups: list[Rollup]) -> None:
    async with own.folding.transaction():
        await own.folding.execute(SPOIL)
        await move_usage(own.folding)


async def repair(own: Process, chance: random.Random, rollups: list[Rollup]) -> None:
    await recount(own.writing, repairs=True)


ACTIONS = {write: 12, fold: 4, name: 1, adopt: 1, change_catalog: 1, need: 1, backfill: 3, spoil: 1, repair: 1}


@dataclass
class Observer:
    """Looks now and then whether what it saw of some accounts is still so."""

    sights: Sights
    seen: dict[tuple[int, ...], tuple[Sight, object]]
    rollups: list[Rollup]
    told: Counter[bool] = field(default_factory=Counter)

    async def look(self, own: Process, account_nos: tuple[int, ...]) -> None:
        sight, content = self.seen[account_nos]
        renewed = await self.sights.renew(sight)
        now = await see(own, account_nos, self.rollups)
        if renewed is not None:
            assert now[1] == content, account_nos
        self.told[renewed is not None] += 1
        self.seen[account_nos] = now if renewed is None else (renewed, content)


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_said_to_be_so_is_so(fresh_database_url: str, seed: int) -> None:
    """Batches and folds of either process, accounts, families, catalog, backfills and repairs, in any order."""
    chance, database = random.Random(seed), Database(fresh_database_url)
    async with process(fresh_database_url) as one, process(fresh_database_url) as other:
        await create_meter(one.writing, "m")
        a, b, c, d = (await create_accounts(one.writing, *"abcd")).values()
        rollups = [await create_rollup(one.writing, definition("size"))]
        families = [(a,), (b,), (c,), (d,), (a, b)]
        observers = [
            Observer(Sights(database), {each: await see(one, each, rollups) for each in families}, rollups)
            for _ in range(2)
        ]
        for _ in range(STEPS // 4):
            (action,) = chance.choices([*ACTIONS], [*ACTIONS.values()])
            await action(chance.choice((one, other)), chance, rollups)
            for observer in observers:
                if chance.random() < 0.6:  # several changes between two looks, and not the same for both
                    for each in chance.sample(families, k=3):
                        await observer.look(one, each)
    await database.close()
    for observer in observers:
        assert min(observer.told[True], observer.told[False]) > observer.told.total() // 8, observer.told


async def renewed(sights: Sights, sight: Sight) -> Sight:
    """Return what was seen as of now, if it is still so."""
    found = await sights.renew(sight)
    assert found is not None
    return found


async def test_usage_of_others_leaves_what_was_seen(fresh_database_url: str) -> None:
    """Until batches were folded that nobody had looked at: then nobody knows whose they were."""
    chance, database = random.Random(1), Database(fresh_database_url)
    sights = Sights(database)
    async with process(fresh_database_url) as own:
        await create_meter(own.writing, "m")
        numbers = await create_accounts(own.writing, "a", "b")
        first, _ = await see(own, (numbers["a"],), [])
        sight = await renewed(sights, first)
        for _ in range(5):
            await own.write([random_usage(chance, "b")])
            sight = await renewed(sights, sight)
            await own.fold()
            sight = await renewed(sights, sight)
        await own.write([random_usage(chance, "b"), random_usage(chance, "a")])
        assert await sights.renew(sight) is None
        sight, _ = await see(own, (numbers["a"],), [])
        sight = await renewed(sights, sight)
        await own.write([random_usage(chance, "b")])
        await own.fold()
        assert await sights.renew(sight) is None
    await database.close()


# --- Those who ask ----------------------------------------------------------------------------------------------------


async def created(database_url: str, account_id: str) -> Sight:
    """Create an account, and return it as it is seen."""
    async with process(database_url) as own:
        numbers = await create_accounts(own.writing, account_id)
        sight, _ = await see(own, (numbers[account_id],), [])
        return sight


async def rename(database_url: str, account_id: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(RENAME, account_id)
    await connection.close()


async def test_nobody_is_told_what_was_so_before_the_question(database_url: str, database: Database) -> None:
    """Callers share statements, but none whose snapshot may be older than their call.

    The write ends while the statement of the first is under way, or the second waits for others or for its own
    statement: nothing of ours runs meanwhile.
    """
    sights = Sights(database)
    for turns in (*range(20), *range(20, 300, 20)):
        sight = await created(database_url, f"turn{turns}")
        early = asyncio.gather(sights.renew(sight), sights.renew(sight))
        for _ in range(turns):
            await asyncio.sleep(0)
        with ThreadPoolExecutor() as other:
            other.submit(asyncio.run, rename(database_url, f"turn{turns}")).result()
        assert await asyncio.gather(*(sights.renew(sight) for _ in range(3))) == [None] * 3
        await early


async def test_nothing_new_is_told_where_nobody_writes(database_url: str, database: Database) -> None:
    sights, sight = Sights(database), await created(database_url, "quiet")
    for _ in range(2):
        sight = await renewed(sights, sight)
    assert await sights.renew(sight) is sight
    await rename(database_url, "quiet")
    assert await sights.renew(sight) is None


async def test_a_caller_who_leaves_takes_nobody_along(database_url: str, database: Database) -> None:
    sights, sight = Sights(database), await created(database_url, "left")
    calls = [asyncio.ensure_future(sights.renew(sight)) for _ in range(9)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, Sight) for place, each in enumerate(ended) if place % 3), ended


async def test_all_are_told_that_the_database_is_away() -> None:
    sights, sight = Sights(Database("postgresql://127.0.0.1:1/none")), Sight(Moment(START, 1, 0, ""), (1,), (0,))
    for ended in await asyncio.gather(*(sights.renew(sight) for _ in range(3)), return_exceptions=True):
        assert isinstance(ended, DatabaseUnavailable)
