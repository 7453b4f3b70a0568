"""One statement for all who ask the same kind of thing at once.

Who asks alone is answered at once, without a task or a timer, each of which costs as much as a small statement. Who
comes while a statement is under way waits for the next, which begins a little after it: how long is counted in turns of
the event loop, of which an idle one takes less than a microsecond, and a busy one as long as part of a call. So hardly
anybody waits longer where few call, and the more call at once, the more share a statement.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, Generic, TypeAlias, TypeVar

from ratel.store.pool import Connection, Database

K = TypeVar("K", bound=Hashable)
Q = TypeVar("Q")
A = TypeVar("A")

LINGER_TURNS: Final = 200
"""Less than 0.2 ms where nothing else is done. A call takes several until it asks."""

LINGER: Final = timedelta(milliseconds=5)
"""Turns may be long where much else is done."""

BATCH_MAX: Final = 64
"""Few enough that the first does not wait long for the last."""

Read: TypeAlias = Callable[[Connection, K, Sequence[Q]], Awaitable[Sequence[A]]]
"""Answers questions of one kind, in their order."""


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Q, A]):
    """Somebody who waits for an answer."""

    question: Q
    future: "asyncio.Future[A]"


class SharedReads(Generic[K, Q, A]):
    """Answers questions, many at once; only those of one kind can share a statement.

    One statement is under way at a time: a second one halves how many share one, and costs more than it overlaps.

    Args:
        database: outside transactions, each of whose statements sees a moment of its own.
        read: see there. It begins after all of its questions were asked.
    """

    def __init__(self, database: Database, read: Read[K, Q, A]) -> None:
        self._database = database
        self._read = read
        self._waiting: dict[K, list[_Waiting[Q, A]]] = {}
        self._is_reading = False
        self._reading: asyncio.Task[Sequence[A]] | None = None

    async def ask(self, kind: K, question: Q) -> A:
        """Return the answer.

        Raises:
            DatabaseUnavailable: it cannot be reached.
            Overloaded: no connection came free in time.
        """
        if self._is_reading:
            future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(kind, []).append(_Waiting(question, future))
            return await future
        self._is_reading = True
        try:
            (answer,) = await self._read_connected(kind, [question])
        finally:
            self._go_on()
        return answer

    async def _read_connected(self, kind: K, questions: Sequence[Q]) -> Sequence[A]:
        async with self._database.connection() as connection:
            return await self._read(connection, kind, questions)

    def _go_on(self) -> None:
        """Let those who came meanwhile be read for, beside all of them: whoever leaves takes nobody along."""
        self._is_reading = bool(self._waiting)
        if self._is_reading:
            self._linger(LINGER_TURNS, time.perf_counter() + LINGER.total_seconds())

    def _linger(self, turns: int, end: float) -> None:
        """Let some more come, as long as that may take."""
        kind, waiting = next(iter(self._waiting.items()))
        if turns and len(waiting) < BATCH_MAX and time.perf_counter() < end:
            asyncio.get_running_loop().call_soon(self._linger, turns - 1, end)
            return
        del self._waiting[kind]
        if len(waiting) > BATCH_MAX:
            self._waiting[kind] = waiting[BATCH_MAX:]  # after those who wait for other kinds
        batch = [each for each in waiting[:BATCH_MAX] if not each.future.done()]
        if not batch:
            self._go_on()
            return
        self._reading = asyncio.create_task(self._read_connected(kind, [each.question for each in batch]))
        self._reading.add_done_callback(partial(self._end, batch))

    def _end(self, batch: Sequence[_Waiting[Q, A]], reading: "asyncio.Task[Sequence[A]]") -> None:
        """Tell all of a batch the answer, or why there is none, and go on with those who came meanwhile."""
        for place, each in enumerate(batch):
            if each.future.done():
                continue  # its caller is gone
            if reading.cancelled():
                each.future.cancel()
            elif error := reading.exception():
                each.future.set_exception(error)
            else:
                each.future.set_result(reading.result()[place])
        self._go_on()
