"""One stream of usage: messages are read while there is room for them, and answered in their order.

What is read and not answered is bounded in number for each stream, and in events and bytes for all: who does not take
its answers, or sends faster than Postgres writes, is not read any more, and gRPC's flow control does the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

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
        take_in: takes a message in, and returns what waits for its answer; raises what ends the stream.
        end: see there.
    """

    room: Callable[[], Awaitable[None]]
    take_in: Callable[[Q], Awaitable[Awaitable[A]]]
    end: StreamEnd


async def answers_to(requests: AsyncIterator[Q], source: Source[Q, A]) -> AsyncIterator[A]:
    """Yield the answer to each message, in order.

    Raises:
        Draining: after all answers, when the stream is to go on elsewhere.
        RatelError: after the answers to all messages before, what is wrong with one.
    """
    async with _reading(requests, source) as (answers, places):
        while (answer := await answers.get()) is not None:
            yield await answer
            places.release()


_Answers: TypeAlias = "asyncio.Queue[Awaitable[A] | None]"


@asynccontextmanager
async def _reading(
    requests: AsyncIterator[Q], source: Source[Q, A]
) -> AsyncIterator[tuple["_Answers[A]", asyncio.Semaphore]]:
    """Read beside the block; what ended the reading is raised at its end."""
    answers: _Answers[A] = asyncio.Queue()
    places = asyncio.Semaphore(MESSAGES_IN_FLIGHT)
    reading = asyncio.create_task(_read(requests, source, answers, places))
    try:
        yield answers, places
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


async def _read(
    requests: AsyncIterator[Q], source: Source[Q, A], answers: "_Answers[A]", places: asyncio.Semaphore
) -> None:
    departure = _Departure(source.end)
    try:
        while True:
            await places.acquire()
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
            answers.put_nowait(await source.take_in(request))
    except asyncio.CancelledError:
        if departure.is_due:
            raise Draining from None
        raise
    finally:
        departure.close()
        answers.put_nowait(None)
