"""Which moment of the database it is: as long as it is the same, everything that can be read is the same.

A snapshot of Postgres is the transactions that it sees: those before one, but for some that are still under way. Who
sees the same transactions sees the same rows, whoever writes them and wherever. So one small statement, after a call
has begun, proves that what was read before is still all there is: whatever was acknowledged before would show. (What
is written to other databases of the same server shows too: then more is read again than need be.)
"""

import asyncio
from typing import Final, TypeAlias

from ratel.store.pool import Connection, Database

Moment: TypeAlias = str
"""Names a moment; never that of another one. Moments are equal or not, and have no order."""

# Of the statement's own snapshot. Another server may have counted to the same transactions: after a failover, or on a
# restored backup. Null where a snapshot does not say all: on a standby, and with Citus, whose nodes have snapshots of
# their own.
MOMENT: Final = """
    CASE WHEN NOT pg_is_in_recovery() AND current_setting('citus.version', true) IS NULL
        THEN pg_current_snapshot()::text || ' ' || pg_postmaster_start_time()::text
    END
"""
SELECT_MOMENT = f"SELECT {MOMENT} AS moment"  # nosec B608: made of a constant


class Moments:
    """The moments that this process has seen.

    Args:
        database: outside transactions, each of whose statements sees a moment of its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: Moment | None = None
        self._is_quiet = False
        self._waiting: list[asyncio.Future[Moment | None]] = []
        self._served: list[asyncio.Future[Moment | None]] = []
        self._is_reading = False
        self._reading: asyncio.Task[Moment | None] | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether the last two statements saw the same moment, so that the next may well do so too."""
        return self._is_quiet

    def note(self, moment: Moment | None) -> None:
        """Take note of the moment that a statement saw."""
        self._is_quiet = moment is not None and moment == self._last
        self._last = moment

    async def now(self) -> Moment | None:
        """Return a moment between call and return, shared by all who wait; None if it cannot be told.

        Raises:
            DatabaseUnavailable: it cannot be reached.
            Overloaded: no connection came free in time.
        """
        if self._is_reading:
            future: asyncio.Future[Moment | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            return await future
        # Who comes alone asks by itself: a task and its end are turns of the loop, each as dear as the statement.
        self._is_reading = True
        try:
            async with self._database.connection() as connection:
                moment = await self._read(connection)
        finally:
            self._go_on()
        self.note(moment)
        return moment

    async def _read(self, connection: Connection) -> Moment | None:
        moment: Moment | None = await connection.fetchval(SELECT_MOMENT)
        return moment

    def _go_on(self) -> None:
        """Let those who came meanwhile share a statement, beside all of them: whoever leaves takes nobody along."""
        self._is_reading = bool(self._waiting)
        if self._is_reading:
            self._reading = asyncio.create_task(self._read_together())
            self._reading.add_done_callback(self._end)

    async def _read_together(self) -> Moment | None:
        async with self._database.connection() as connection:
            # Who comes from here on may have seen something acknowledged that this statement does not see.
            self._served, self._waiting = self._waiting, []
            return await self._read(connection)

    def _end(self, reading: "asyncio.Task[Moment | None]") -> None:
        """Tell all who were served, or who waited for a connection that did not come, and go on with the others."""
        if not self._served:
            self._served, self._waiting = self._waiting, []
        served, self._served = self._served, []
        error = None if reading.cancelled() else reading.exception()
        if error is None and not reading.cancelled():
            self.note(reading.result())
        for each in served:
            if each.done():
                continue  # its caller is gone
            if reading.cancelled():
                each.cancel()
            elif error is not None:
                each.set_exception(error)
            else:
                each.set_result(reading.result())
        self._go_on()
