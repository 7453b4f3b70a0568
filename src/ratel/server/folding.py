"""The rollups' keeper: folds what is pending, backfills new rollups, makes partitions ahead, and measures the lag."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import WeakSet

import structlog

from ratel.core.errors import RatelError
from ratel.server import clock
from ratel.server.ingest import Ingest
from ratel.server.intake import Intake
from ratel.server.usage_metrics import UsageMetrics
from ratel.store.batch import Writer
from ratel.store.partition import ensure_partitions
from ratel.store.pool import Connection, Database
from ratel.store.retention import let_go
from ratel.store.rollup import BackfillPace, backfill, create_stages, fold_pending, read_pending

# A fold's cost is mostly that of its buckets, and a second of events shares them.
FOLD_SECONDS = 1.0
# Backfills take turns with folds, so that neither makes the other late.
BACKFILL_SECONDS = 1.0
PARTITION_SECONDS = 3600.0
RETENTION_SECONDS = 300.0

log = structlog.get_logger()


class Folding:
    """The tasks that keep the rollups in step. Any number of processes may do so at once, and be killed at any time."""

    def __init__(
        self, database: Database, writer: Writer, intake: Intake, ingest: Ingest, metrics: UsageMetrics
    ) -> None:
        self._retention_days = 0
        self._database = database
        self._writer = writer
        self._intake = intake
        self._ingest = ingest
        self._metrics = metrics
        self._pace = BackfillPace()
        self._prepared: WeakSet[Connection] = WeakSet()
        self._closing = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, retention_days: int) -> None:
        """Begin.

        Args:
            retention_days: how long events are kept; 0 for ever.
        """
        self._retention_days = retention_days
        self._tasks = [
            asyncio.create_task(self._repeat(self._keep_in_step, FOLD_SECONDS)),
            asyncio.create_task(self._repeat(self._make_partitions, PARTITION_SECONDS)),
        ]
        if retention_days:
            self._tasks.append(asyncio.create_task(self._repeat(self._let_go, RETENTION_SECONDS)))

    async def close(self) -> None:
        """Fold once more, so that whoever comes next finds nothing to do, and end."""
        self._closing.set()
        await asyncio.gather(*self._tasks)

    async def _repeat(self, work: Callable[[], Coroutine[Any, Any, None]], seconds: float) -> None:
        """Work again and again, and at the end once more; a failure is logged and what it left undone is done later."""
        while True:
            is_last = self._closing.is_set()
            working = asyncio.create_task(work())
            await asyncio.wait({working})
            error = working.exception()
            if error is not None:
                is_passing = isinstance(error, RatelError)
                tell = log.warning if is_passing else log.error
                tell("rollups wait", work=work.__name__, exc_info=error)
            if is_last:
                return
            await self._pause(seconds, until_settled=work == self._keep_in_step)

    async def _pause(self, seconds: float, *, until_settled: bool) -> None:
        """Wait so long, but not beyond the end, nor until there is nothing else to do."""
        waiting: list[asyncio.Task[object]] = [asyncio.create_task(self._closing.wait())]
        if until_settled:
            waiting.append(asyncio.create_task(self._ingest.settled()))
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()

    async def _keep_in_step(self) -> None:
        async with self._database.connection() as connection:
            if connection not in self._prepared:
                await create_stages(connection)
                self._prepared.add(connection)
            while await self._fold(connection):
                pass
            await self._backfill(connection)

    async def _fold(self, connection: Connection) -> bool:
        """Fold once, measure what is left, and tell whether it is so much that the next fold should not wait."""
        start = time.perf_counter()
        folded = await fold_pending(connection, self._writer, self._intake.definitions)
        if folded.batch_count:
            self._metrics.fold.observe(time.perf_counter() - start)
            self._metrics.folded_batches.labels("events").inc(folded.recovered_count)
            self._metrics.folded_batches.labels("memory").inc(folded.batch_count - folded.recovered_count)
        pending = await read_pending(connection)
        self._metrics.pending_batches.set(pending.batch_count)
        self._metrics.pending_events.set(pending.event_count)
        self._metrics.rollup_lag.set(pending.lag_seconds)
        self._ingest.note_pending(pending.event_count)
        return bool(folded.batch_count) and pending.lag_seconds > FOLD_SECONDS

    async def _backfill(self, connection: Connection) -> None:
        start = time.perf_counter()
        while await backfill(connection, self._pace, self._intake.definitions):
            self._metrics.backfill_steps.inc()
            if time.perf_counter() - start > BACKFILL_SECONDS:
                return

    async def _make_partitions(self) -> None:
        async with self._database.connection() as connection:
            for name in await ensure_partitions(connection, clock.now()):
                log.info("partition made", partition=name)

    async def _let_go(self) -> None:
        """Let old events go, and know which ids are refused for that, also where no usage comes in."""
        if self._closing.is_set():
            return
        async with self._database.connection() as connection:
            for name in await let_go(connection, clock.now(), self._retention_days):
                self._metrics.dropped_partitions.inc()
                log.info("partition dropped", partition=name)
            await self._intake.refresh(connection)
