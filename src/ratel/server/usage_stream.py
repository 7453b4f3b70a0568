"""One stream of usage: messages are read while there is room for them, and answered in their order.

Answers that are ready leave together, because to send one costs more than to make it; none waits for another. What is
read and not answered is bounded in number for each stream, and in events and bytes for all: who does not take its
answers, or sends faster than Postgres writes, is not read any more, and gRPC's flow control does the rest.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from ratel.core.errors import Draining

Q = TypeVar("Q")
A = TypeVar("A")

# Messages of one stream that are read and not answered: enough that commits overlap with the network, however slow.
MESSAGES_IN_FLIGHT = 64


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """When streams are told to connect elsewhere.

    Attributes:
        draining: set when the server is about to end.
        age_seconds: a stream's greatest age, so that load spreads to new servers.
    """

    draining: asyncio.Event
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Source(Generic[Q, A]):
    """Where a stream's answers come from.

    Attributes:
        room: waits until there is sense in reading.
        take_in: takes a message in, and returns what will be its answer; raises what ends the stream.
        end: see there.
    """

    room: Callable[[], Awaitable[None]]
    take_in: "Callable[[Q], Awaitable[asyncio.Future[A]]]"
    end: StreamEnd


async def answers_to(requests: AsyncIterator[Q], source: Source[Q, A]) -> AsyncIterator[list[tuple[Q, A]]]:
    """Yield the messages with their answers, in order: 1 to 64 at once, all that are ready.

    Raises:
        Draining: after all answers, when the stream is to go on elsewhere.
        RatelError: after the answers to all messages before, what is wrong with one.
    """
    async with _reading(requests, source) as window:
        while answered := await window.answered():
            yield answered
            window.release(len(answered))


class _Window(Generic[Q, A]):
    """What of a stream is read and not answered, oldest first; what is being sent still has its place."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._places = MESSAGES_IN_FLIGHT
        self._is_over = False
        self._has_places, self._has_changed = asyncio.Event(), asyncio.Event()

    async def place(self) -> None:
        """Take a place for one more message as soon as there is one."""
        while not self._places:
            self._has_places.clear()
            await self._has_places.wait()
        self._places -= 1

    def release(self, count: int) -> None:
        """Give places back."""
        self._places += count
        self._has_places.set()

    def add(self, request: Q, answer: "asyncio.Future[A]") -> None:
        """Add a message that has a place."""
        self._waiting.append((request, answer))
        self._has_changed.set()

    def end(self) -> None:
        """Say that no more will come."""
        self._is_over = True
        self._has_changed.set()

    async def answered(self) -> list[tuple[Q, A]]:
        """Wait for the oldest answer, and return all that are ready without a gap; nothing at the end.

        Raises:
            RatelError: what became of the oldest message instead of an answer.
        """
        waiting = self._waiting
        while not waiting:
            if self._is_over:
                return []
            self._has_changed.clear()
            await self._has_changed.wait()
        request, answer = waiting.popleft()
        answered = [(request, await answer)]
        while waiting and (answer := waiting[0][1]).done() and answer.exception() is None:
            answered.append((waiting.popleft()[0], answer.result()))
        return answered


@asynccontextmanager
async def _reading(requests: AsyncIterator[Q], source: Source[Q, A]) -> AsyncIterator[_Window[Q, A]]:
    """Read beside the block; what ended the reading is raised at its end."""
    window: _Window[Q, A] = _Window()
    reading = asyncio.create_task(_read(requests, source, window))
    try:
        yield window
        await reading
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        if not reading.cancelled():
            reading.exception()  # of a stream whose end nobody waits for


class _Departure:
    """Ends a stream's reading when it is time to leave: at once while it waits for a message, else before the next."""

    def __init__(self, end: StreamEnd) -> None:
        self.is_due = False
        self.is_waiting = False
        self._end = end
        self._reading = asyncio.current_task()
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._end.age_seconds):
                await self._end.draining.wait()
        self.is_due = True
        if self.is_waiting and self._reading is not None:
            self._reading.cancel()

    def close(self) -> None:
        """Watch no more."""
        self._watching.cancel()


async def _read(requests: AsyncIterator[Q], source: Source[Q, A], window: _Window[Q, A]) -> None:
    departure = _Departure(source.end)
    try:
        while True:
            await window.place()
            await source.room()
            if departure.is_due:
                raise Draining
            departure.is_waiting = True
            try:
                request = await anext(requests)
            except StopAsyncIteration:
                return
            finally:
                departure.is_waiting = False
            window.add(request, await source.take_in(request))
    except asyncio.CancelledError:
        if departure.is_due:
            raise Draining from None
        raise
    finally:
        departure.close()
        window.end()
