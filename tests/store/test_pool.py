"""Connections: lent, kept, waited for, and dropped when they are in doubt."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from ratel.core.errors import DatabaseUnavailable, Overloaded
from ratel.store.pool import Connection, Database, PoolLimits, until_lost, while_asked

BACKEND = "SELECT pg_backend_pid()"
IS_RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"


@asynccontextmanager
async def opened(url: str, **limits: int) -> AsyncIterator[Database]:
    database = Database(url, PoolLimits(**limits))
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, connections_max=2) as made:
        yield made


async def test_the_connection_used_last_is_lent_first(database: Database) -> None:
    async with database.connection() as first, database.connection() as second:
        backends = [await first.fetchval(BACKEND), await second.fetchval(BACKEND)]
    async with database.connection() as again:
        assert await again.fetchval(BACKEND) == backends[0]  # given back after the second


async def test_a_transaction_is_committed_or_undone_as_a_whole(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE kept (n int)")

    async def fail_halfway() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO kept VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_halfway()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM kept") == 0


async def test_a_refused_statement_costs_no_connection(database: Database) -> None:
    async with database.connection() as connection:
        backend = await connection.fetchval(BACKEND)
    with pytest.raises(asyncpg.UndefinedTableError):
        async with database.transaction() as connection:
            await connection.execute("SELECT * FROM nowhere")
    async with database.connection() as connection:
        assert await connection.fetchval(BACKEND) == backend


async def test_a_snapshot_sees_one_moment_and_writes_nothing(database: Database) -> None:
    count = "SELECT count(*) FROM products"
    insert = "INSERT INTO products (id, name, create_time, update_time) VALUES ('late', '', now(), now())"
    async with database.snapshot() as snapshot:
        before = await snapshot.fetchval(count)
        async with database.transaction() as writer:
            await writer.execute(insert)
        assert await snapshot.fetchval(count) == before
    with pytest.raises(DatabaseUnavailable) as caught:
        async with database.snapshot() as snapshot:
            await snapshot.execute("DELETE FROM products")
    assert isinstance(caught.value.__cause__, asyncpg.ReadOnlySQLTransactionError)


async def test_a_deadlock_is_a_conflict_that_leaves_nothing(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("CREATE TABLE locked (n int PRIMARY KEY, seen int DEFAULT 0)")
        await connection.execute("INSERT INTO locked VALUES (1), (2)")
    both = asyncio.Barrier(2)

    async def update(first: int, second: int) -> None:
        async with database.transaction() as connection:
            await connection.execute("UPDATE locked SET seen = seen + 1 WHERE n = $1", first)
            await both.wait()
            await connection.execute("UPDATE locked SET seen = seen + 1 WHERE n = $1", second)

    outcomes = await asyncio.gather(update(1, 2), update(2, 1), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "TransactionConflict"]
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT sum(seen) FROM locked") == 2


async def test_a_lost_connection_is_named_and_replaced(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    async with database.transaction() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_connections_that_died_while_idle_are_not_lent(database: Database) -> None:
    async with database.connection() as first, database.connection() as second:
        died = asyncio.Event()
        second.add_termination_listener(lambda _: died.set())
        victim = await second.fetchval(BACKEND)
    async with database.connection() as first:
        assert await first.fetchval(BACKEND) != victim
        await first.execute("SELECT pg_terminate_backend($1)", victim)
        await died.wait()
        async with database.connection() as other:
            assert await other.fetchval(BACKEND) != victim


async def test_whoever_finds_no_connection_in_time_is_told_so(database_url: str) -> None:
    waits: list[float] = []
    database = Database(database_url, PoolLimits(connections_max=1, wait_seconds=1), waits.append)
    async with database.connection():
        with pytest.raises(Overloaded):
            async with database.connection():
                pytest.fail("there is only one")
    await database.close()
    assert waits[0] < 1 <= waits[1]


async def test_a_cancelled_statement_ends_and_its_connection_is_used_again(database_url: str) -> None:
    async with opened(database_url, connections_max=1) as database:
        for lend in (database.connection, database.transaction):
            async with lend() as connection:
                backend = await connection.fetchval(BACKEND)
            started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            async def rest(lend: object = lend, started: asyncio.Future[None] = started) -> None:
                async with lend() as connection:  # type: ignore[operator]
                    sleeping = asyncio.ensure_future(connection.execute("SELECT pg_sleep(60)"))
                    started.set_result(None)
                    await sleeping

            resting = asyncio.create_task(rest())
            await started
            await running(database_url)
            resting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await resting
            async with database.connection() as connection:
                assert await connection.fetchval(BACKEND) == backend
                assert await connection.fetchval(IS_RUNNING) == 0


async def running(url: str) -> None:
    """Wait until the sleeping statement has reached Postgres."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(10):
            while not await connection.fetchval(IS_RUNNING):
                pass
    finally:
        await connection.close()


async def test_a_statement_that_takes_too_long_is_unavailable(database_url: str) -> None:
    async with opened(database_url, statement_seconds=1) as database:
        with pytest.raises(DatabaseUnavailable) as caught:
            async with database.transaction() as connection:
                await connection.execute("SELECT pg_sleep(60)")
        assert isinstance(caught.value.__cause__, TimeoutError)


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: object) -> None:
    async with opened(f"postgresql://ratel@/ratel?host={tmp_path}") as database:
        with pytest.raises(DatabaseUnavailable):
            async with database.connection():
                pytest.fail("there is no server")


async def test_nothing_is_lent_after_the_end(database_url: str) -> None:
    database = Database(database_url)
    async with AsyncExitStack() as stack:
        connection: Connection = await stack.enter_async_context(database.connection())
        await database.close()
        assert await connection.fetchval("SELECT 1") == 1  # what was lent may still end its work
    assert connection.is_closed()
    with pytest.raises(DatabaseUnavailable):
        async with database.connection():
            pytest.fail("the database is closed")


BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $1"
CUT = "SELECT pg_terminate_backend($1)"


async def test_a_copy_ends_when_its_connection_is_lost(database_url: str) -> None:
    """Though Postgres takes nothing any more, because it waits for a row of somebody else."""
    async with opened(database_url, connections_max=3) as database, database.connection() as other:
        await other.execute("CREATE TABLE IF NOT EXISTS copied (id text PRIMARY KEY)")
        async with database.transaction() as blocking:
            await blocking.execute("INSERT INTO copied VALUES ('first')")

            async def rows() -> AsyncIterator[bytes]:
                yield b"first\n"
                for number in range(100):
                    yield b"".join(b"%d-%d\n" % (number, each) for each in range(10_000))

            async def copy() -> None:
                async with database.connection() as connection:
                    backends.append(await connection.fetchval(BACKEND))
                    await until_lost(connection, connection.copy_to_table("copied", source=rows()))

            backends: list[int] = []
            copying = asyncio.create_task(copy())
            while not backends or not await other.fetchval(BLOCKED, backends[0]):  # noqa: ASYNC110
                await asyncio.sleep(0)
            await other.execute(CUT, backends[0])
            with pytest.raises(DatabaseUnavailable):
                await asyncio.wait_for(copying, timeout=10)


async def test_something_is_computed_after_the_question_and_before_the_answer(database: Database) -> None:
    async with database.connection() as connection:
        backend = await connection.fetchval(BACKEND)
        done = list[str]()

        async def ask() -> int:
            done.append("asked")
            found = int(await connection.fetchval(BACKEND))
            done.append("answered")
            return found

        assert await while_asked(ask(), lambda: done.append("computed")) == (backend, None)
        assert done == ["asked", "computed", "answered"]


@pytest.mark.parametrize("statement", ["SELECT 1", "SELECT nothing"])
async def test_a_connection_is_free_again_when_nothing_could_be_computed(database: Database, statement: str) -> None:
    def fail() -> None:
        raise KeyError

    async with database.connection() as connection:
        with pytest.raises(KeyError):
            await while_asked(connection.fetchval(statement), fail)
        assert await connection.fetchval("SELECT 2") == 2
        with pytest.raises(asyncpg.UndefinedColumnError):
            await while_asked(connection.fetchval("SELECT nothing"), lambda: None)
        assert await connection.fetchval("SELECT 3") == 3
