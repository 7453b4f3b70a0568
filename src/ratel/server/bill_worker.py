"""Processes that make bills beside the server's own, so that a run is as fast as the machine has cores.

A worker is to Postgres what another server would be: what it has not in memory it reads. It is given a chunk of
accounts at a time, and nothing outlives one but what it has compiled.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, NamedTuple

import uvloop
from prometheus_client import CollectorRegistry

from ratel.core.billing import BillKey
from ratel.core.errors import WorkerLost
from ratel.core.tail import Tail
from ratel.server.bill_chunk import BilledChunk, bill_chunk
from ratel.server.bill_run import BillMaker
from ratel.server.logs import configure_logs
from ratel.server.memory import collect_less
from ratel.server.rating import create_plan_cache
from ratel.store.pool import LOOK_UPS, Database, PoolLimits

IDLE_SECONDS: Final = 60
"""How long workers wait for another run: to start one takes a second, and each has some 90 MB."""


class WorkerStart(NamedTuple):
    """What a worker is told when it starts.

    Attributes:
        limits: of its connections; it uses one at a time.
    """

    database_url: str
    limits: PoolLimits
    log_level: str


# --- In the server ----------------------------------------------------------------------------------------------------


class BillWorkers:
    """Some workers, started when a run needs them and ended when none did for a while.

    Args:
        start: what each is told.
        count: how many there are at most; 0 for none.
        idle_seconds: how long they wait for another run.
    """

    def __init__(self, start: WorkerStart, count: int, idle_seconds: float = IDLE_SECONDS) -> None:
        self.count = count
        self._start = start
        self._idle_seconds = idle_seconds
        self._pool: ProcessPoolExecutor | None = None
        self._under_way = 0
        self._ending: asyncio.TimerHandle | None = None

    async def bill(self, ids: Sequence[str], key: BillKey, target_currency: str) -> BilledChunk:
        """Bill some accounts in the next worker that is free; if nobody waits any more, it is done all the same.

        Raises:
            DatabaseUnavailable: it cannot be reached; some bills may be stored.
            WorkerLost: the worker ended; some bills may be stored.
        """
        pool = self._begin()
        try:
            return await asyncio.wrap_future(_submit(pool, ids, key, target_currency))
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = None
            raise WorkerLost from error
        finally:
            self._end()

    async def aclose(self) -> None:
        """End the workers when they have done what they are at; at once if this is cancelled."""
        self._stay()
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        except asyncio.CancelledError:
            for process in multiprocessing.active_children():
                process.kill()
            raise

    def _begin(self) -> ProcessPoolExecutor:
        self._stay()
        self._under_way += 1
        if self._pool is None:
            # Not forked: gRPC's threads and sockets must not be in two processes.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.count, context, _start_worker, self._start)
        return self._pool

    def _end(self) -> None:
        self._under_way -= 1
        if not self._under_way and self._pool is not None:
            self._ending = asyncio.get_running_loop().call_later(self._idle_seconds, self._let_go)

    def _stay(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    def _let_go(self) -> None:
        pool, self._pool, self._ending = self._pool, None, None
        if pool is not None:
            pool.shutdown(wait=False)


def _submit(pool: ProcessPoolExecutor, ids: Sequence[str], key: BillKey, target_currency: str) -> "Future[BilledChunk]":
    """Give workers a chunk, and start one if all of them are at work."""
    # What is held back here never reaches the process that is started: the server says when to end, but a terminal or a
    # supervisor tells all processes of a group.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        return pool.submit(_bill, ids, key, target_currency)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- In a worker ------------------------------------------------------------------------------------------------------

_runner: Final = asyncio.Runner(loop_factory=uvloop.new_event_loop)
_makers: Final[list[BillMaker]] = []


def _start_worker(database_url: str, limits: PoolLimits, log_level: str) -> None:
    threading.Thread(target=_end_with_server, daemon=True).start()
    configure_logs(log_level)
    database = Database(database_url, limits, settings=LOOK_UPS)
    _makers.append(BillMaker(database, create_plan_cache(CollectorRegistry()), Tail()))
    collect_less()


def _end_with_server() -> None:
    """End when the server is gone, however it went: what is not committed is undone."""
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
    os._exit(1)


def _bill(ids: Sequence[str], key: BillKey, target_currency: str) -> BilledChunk:
    (maker,) = _makers
    return _runner.run(bill_chunk(maker, ids, key, target_currency))
