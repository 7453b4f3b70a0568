"""Connections to Postgres: bounded in number, kept as long as they work, dropped as soon as one is in doubt.

Whoever takes a connection has it alone, and gives it back without an open transaction. Nothing else is reset, so what a
connection has prepared stays prepared, and its temporary tables stay too (make them ON COMMIT DELETE ROWS). Between us
and Postgres there must therefore be no proxy that hands out connections by transaction.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import asyncpg

from ratel.core.errors import DatabaseUnavailable, Overloaded, TransactionConflict

T = TypeVar("T")
R = TypeVar("R")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Encoded: TypeAlias = bytes | memoryview

# What asyncpg raises when a connection is no longer to be trusted. OSError holds TimeoutError too.
LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary became a standby
)
# What Postgres says when a statement is wrong for what is stored, for callers that do not import asyncpg.
Refused: TypeAlias = asyncpg.PostgresError
ReferenceMissing: TypeAlias = asyncpg.ForeignKeyViolationError
CONNECT_SECONDS = 10
RESTORE_SECONDS = 5
# Some turns of a COPY; the kernel gives as much of it as it allows.
SEND_BUFFER_BYTES = 2**21
SERVER_SETTINGS = {
    "application_name": "ratel",
    "timezone": "UTC",
    # Statements are short and many: compiling them costs more than it saves.
    "jit": "off",
    # A process that is alive but stuck must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "60s",
}
# For connections whose statements look things up by key: their plans are made once, and always walk the indexes, also
# before anything is known of a table. To plan the reads of a rating costs more than to make them.
LOOK_UPS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
}


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many connections there are at most, and how long anybody waits.

    Attributes:
        connections_max: Connections open at once.
        wait_seconds: For a free connection; then `Overloaded`.
        statement_seconds: For the answer to one statement; then `DatabaseUnavailable`. A call of asyncpg may say
            otherwise with its own ``timeout``.
    """

    connections_max: int = 10
    wait_seconds: int = 10
    statement_seconds: int = 60


class Database:
    """One Postgres database. Connects when first needed and again after a loss; close it at the end.

    Args:
        url: ``postgresql://...`` as libpq reads it.
        limits: See there.
        observe_wait: Told how many seconds each caller waited for a connection.
        settings: Of Postgres, for these connections, besides `SERVER_SETTINGS`; such as `LOOK_UPS`.
    """

    def __init__(
        self,
        url: str,
        limits: PoolLimits | None = None,
        observe_wait: Callable[[float], None] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url
        self._limits = limits or PoolLimits()
        self._observe_wait = observe_wait
        self._settings = SERVER_SETTINGS | dict(settings or {})
        self._free = asyncio.Semaphore(self._limits.connections_max)
        # The one used last is taken first: its memory is warm, and the others can rest.
        self._idle: list[Connection] = []
        self._restoring: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection outside any transaction: each statement is one of its own.

        Raises:
            DatabaseUnavailable: The database cannot be reached, or was lost inside the block: what the last statement
                did is then not known.
            Overloaded: No connection came free in time.
            TransactionConflict: A deadlock, or a snapshot that is no longer possible: the whole may be tried again.
        """
        connection = await self._take()
        is_in_doubt = False
        try:
            yield connection
        except LOST as error:
            connection.terminate()
            raise DatabaseUnavailable from error
        except asyncpg.TransactionRollbackError as error:
            raise TransactionConflict from error
        except asyncio.CancelledError:
            is_in_doubt = True
            raise
        finally:
            self._give_back(connection, is_in_doubt=is_in_doubt)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a READ COMMITTED transaction, committed at the end of the block, else undone."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a read-only transaction whose statements all see the same moment."""
        async with self.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection

    async def close(self) -> None:
        """Close every connection: the idle ones now, the others when they come back. Nobody gets one any more."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*self._restoring, *(_close(connection) for connection in idle))

    async def _take(self) -> Connection:
        await self._wait()
        try:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
            return await self._connect()
        except BaseException:
            self._free.release()
            raise

    async def _wait(self) -> None:
        if not self._free.locked():
            await self._free.acquire()  # at once, so without a timer
            if self._observe_wait is not None:
                self._observe_wait(0)
            return
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._limits.wait_seconds):
                await self._free.acquire()
        except TimeoutError as error:
            raise Overloaded("no connection to the database came free in time") from error
        finally:
            if self._observe_wait is not None:
                self._observe_wait(time.perf_counter() - start)

    async def _connect(self) -> Connection:
        if self._is_closed:
            raise DatabaseUnavailable
        try:
            connection = await asyncpg.connect(
                self._url,
                timeout=CONNECT_SECONDS,
                command_timeout=self._limits.statement_seconds,
                max_cached_statement_lifetime=0,  # for ever: the statements are constants
                server_settings=self._settings,
            )
        except (*LOST, asyncpg.PostgresError) as error:
            raise DatabaseUnavailable from error
        _let_send_ahead(connection)
        return connection

    def _give_back(self, connection: Connection, *, is_in_doubt: bool) -> None:
        if is_in_doubt and not connection.is_closed():
            # Holds its place until Postgres has said that the statement ended; the caller need not wait for that.
            task = asyncio.create_task(self._restore(connection))
            self._restoring.add(task)
            task.add_done_callback(self._restoring.discard)
            return
        self._free.release()
        if connection.is_closed():
            return
        if self._is_closed or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)

    async def _restore(self, connection: Connection) -> None:
        try:
            await connection.execute("SELECT 1", timeout=RESTORE_SECONDS)
        except (*LOST, asyncpg.PostgresError):
            connection.terminate()
        self._give_back(connection, is_in_doubt=False)


async def until_lost(connection: Connection, work: Coroutine[Any, Any, T]) -> T:
    """Do a piece of work on a connection until it is lost, since a COPY of asyncpg may then wait for ever.

    Raises:
        asyncpg.ConnectionDoesNotExistError: it was lost.
    """
    lost = asyncio.Event()

    def listener(_: object) -> None:
        lost.set()

    connection.add_termination_listener(listener)
    working, losing = asyncio.create_task(work), asyncio.create_task(lost.wait())
    either: set[asyncio.Task[Any]] = {working, losing}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise asyncpg.ConnectionDoesNotExistError("the connection was lost")
    finally:
        connection.remove_termination_listener(listener)
        for each in either:
            each.cancel()
        await asyncio.wait(either)
        if not working.cancelled():
            working.exception()


async def copy_in(connection: Connection, table: str, columns: Sequence[str], encoded: AsyncIterable[Encoded]) -> None:
    """Copy rows in the binary format, some at a time.

    Raises:
        asyncpg.ConnectionDoesNotExistError: the connection was lost.
    """
    source: Any = encoded  # asyncpg takes whatever has bytes, its types say only `bytes`
    await until_lost(connection, connection.copy_to_table(table, source=source, columns=columns, format="binary"))


async def in_turn(*parts: Encoded) -> AsyncIterator[Encoded]:
    """Yield what `copy_in` copies."""
    for part in parts:
        yield part


async def while_asked(asked: Coroutine[Any, Any, T], work: Callable[[], R]) -> tuple[T, R]:
    """Ask Postgres, and compute something until it answers."""
    asking = asyncio.create_task(asked)
    try:
        await asyncio.sleep(0)  # it is asked now
        worked = work()
        return await asking, worked
    except BaseException:
        await asyncio.wait({asking})  # its connection is of no use before
        if not asking.cancelled():
            asking.exception()
        raise


def _let_send_ahead(connection: Connection) -> None:
    """Let a COPY send ahead through a socket of this machine, so that Postgres goes on while we compute.

    Over TCP the kernel itself gives as much. asyncpg offers no other way to the socket.
    """
    sent_by = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # noqa: SLF001
    if sent_by.family == socket.AF_UNIX:
        sent_by.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=RESTORE_SECONDS)
    except LOST:
        connection.terminate()
