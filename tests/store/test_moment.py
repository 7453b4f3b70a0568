"""Moments of the database: equal ones show equal rows, and none is older than the question."""

import asyncio
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from ratel.core.errors import DatabaseUnavailable
from ratel.store.moment import MOMENT, SELECT_MOMENT, Moments
from ratel.store.pool import Database

CREATE = "CREATE TABLE seen (n integer)"
INSERT = "INSERT INTO seen VALUES ($1)"
WRITE = "SELECT pg_current_xact_id()"
SELECT = f"SELECT (SELECT {MOMENT}) AS moment, (SELECT array_agg(n ORDER BY n) FROM seen) AS numbers"
STEPS = 400
WRITERS = 4


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


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


async def test_equal_moments_show_equal_rows(fresh_database_url: str) -> None:
    """However transactions begin, nest and end among each other."""
    chance = random.Random(7)
    reader, *writers = [await asyncpg.connect(fresh_database_url) for _ in range(1 + WRITERS)]
    await reader.execute(CREATE)
    shown: dict[str, list[int] | None] = {}
    for number in range(STEPS):
        await step(chance.choice(writers), chance, number)
        row = await reader.fetchrow(SELECT)
        assert row is not None
        assert shown.setdefault(row["moment"], row["numbers"]) == row["numbers"]
    assert len(set(map(str, shown.values()))) > STEPS // 10, "little was written"
    assert len(shown) < STEPS, "no moment was seen twice"
    for each in (reader, *writers):
        await each.close()


async def test_nobody_is_told_a_moment_from_before_the_question(database_url: str, database: Database) -> None:
    """Callers share statements, but none whose snapshot may be older than their call.

    The write ends while the statement of the first is under way: nothing of ours runs meanwhile.
    """
    moments = Moments(database)
    await moments.now()  # connects
    for turns in range(20):
        early = asyncio.ensure_future(moments.now())
        for _ in range(turns):
            await asyncio.sleep(0)
        with ThreadPoolExecutor() as other:
            present = other.submit(asyncio.run, write(database_url)).result()
        assert set(await asyncio.gather(*(moments.now() for _ in range(3)))) == {present}
        await early


async def write(database_url: str) -> str:
    """Let a transaction end that changes nothing, and return the moment after."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(WRITE)
    present: str = await connection.fetchval(SELECT_MOMENT)
    await connection.close()
    return present


async def test_it_is_quiet_when_two_statements_saw_the_same(database: Database) -> None:
    moments = Moments(database)
    found = [(await moments.now(), moments.is_quiet) for _ in range(3)]
    assert [is_quiet for _, is_quiet in found] == [False, True, True]
    assert len({moment for moment, _ in found}) == 1
    moments.note("another")
    assert not moments.is_quiet


async def test_a_caller_who_leaves_takes_nobody_along(database: Database) -> None:
    moments = Moments(database)
    expected = await moments.now()
    calls = [asyncio.ensure_future(moments.now()) for _ in range(9)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [each for place, each in enumerate(ended) if place % 3] == [expected] * 6


async def test_all_are_told_that_the_database_is_away() -> None:
    moments = Moments(Database("postgresql://127.0.0.1:1/none"))
    for ended in await asyncio.gather(*(moments.now() for _ in range(3)), return_exceptions=True):
        assert isinstance(ended, DatabaseUnavailable)
