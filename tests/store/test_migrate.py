"""Migrations: each once, all or nothing, by many at once, and never over an unknown history."""

import asyncio
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from ratel.core.errors import SchemaUnknown
from ratel.store.migrate import Migration, check_schema, migrate, read_migrations

FIRST = Migration("0001_first.sql", "CREATE TABLE first (n int); INSERT INTO first VALUES (1); SELECT pg_sleep(0.05);")
SECOND = Migration("0002_second.sql", "INSERT INTO first VALUES (2);")
BROKEN = Migration("0002_broken.sql", "INSERT INTO first VALUES (3); SELECT nonsense;")


@pytest.fixture
async def connection(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(empty_database_url)
    yield opened
    await opened.close()


async def read_first(connection: asyncpg.Connection) -> list[int]:
    return [row["n"] for row in await connection.fetch("SELECT n FROM first ORDER BY n")]


def test_names_are_numbered_without_a_gap() -> None:
    names = [migration.name for migration in read_migrations()]
    assert names
    for number, name in enumerate(names, start=1):
        assert re.fullmatch(rf"{number:04d}_[a-z0-9_]+\.sql", name)


async def test_the_real_migrations_apply_to_an_empty_database(connection: asyncpg.Connection) -> None:
    assert await migrate(connection) == [migration.name for migration in read_migrations()]
    assert await migrate(connection) == []
    await check_schema(connection)


async def test_each_is_applied_once_and_in_order(connection: asyncpg.Connection) -> None:
    assert await migrate(connection, [FIRST]) == ["0001_first.sql"]
    assert await migrate(connection, [FIRST, SECOND]) == ["0002_second.sql"]
    assert await read_first(connection) == [1, 2]


async def test_a_broken_one_leaves_nothing_of_itself(connection: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(connection, [FIRST, BROKEN])
    assert await read_first(connection) == [1]
    assert await migrate(connection, [FIRST, SECOND]) == ["0002_second.sql"]


async def test_many_at_once_apply_each_once(empty_database_url: str) -> None:
    connections = [await asyncpg.connect(empty_database_url) for _ in range(4)]
    applied = await asyncio.gather(*(migrate(each, [FIRST, SECOND]) for each in connections))
    assert sorted(applied) == [[], [], [], ["0001_first.sql", "0002_second.sql"]]
    assert await read_first(connections[0]) == [1, 2]
    for each in connections:
        await each.close()


async def test_an_empty_database_is_not_served(connection: asyncpg.Connection) -> None:
    with pytest.raises(SchemaUnknown, match=r"is empty, not at 0001_first.sql \(run `ratel migrate`\)"):
        await check_schema(connection, [FIRST])


async def test_an_older_schema_is_not_served(connection: asyncpg.Connection) -> None:
    await migrate(connection, [FIRST])
    with pytest.raises(SchemaUnknown, match=r"is at 0001_first.sql, not at 0002_second.sql \(run `ratel migrate`\)"):
        await check_schema(connection, [FIRST, SECOND])


async def test_a_newer_schema_is_neither_served_nor_migrated(connection: asyncpg.Connection) -> None:
    await migrate(connection, [FIRST, SECOND])
    for refuse in (check_schema, migrate):
        with pytest.raises(SchemaUnknown, match="is at 0002_second.sql, .*this program is older"):
            await refuse(connection, [FIRST])


async def test_a_changed_file_is_neither_served_nor_migrated(connection: asyncpg.Connection) -> None:
    await migrate(connection, [FIRST])
    changed = Migration(FIRST.name, FIRST.sql + " -- harmless")
    for refuse in (check_schema, migrate):
        with pytest.raises(SchemaUnknown, match="made by another 0001_first.sql"):
            await refuse(connection, [changed, SECOND])
    assert await read_first(connection) == [1]
