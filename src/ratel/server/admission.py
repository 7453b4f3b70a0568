"""Which calls are let in, how many are at work, and whether the server is about to end.

Usage streams live as long as their connections, so they are counted apart: they could otherwise take every place.
"""

import asyncio
from types import TracebackType

from prometheus_client import CollectorRegistry, Gauge

from ratel.core.errors import Draining, Overloaded, StreamLimit


class Admission:
    """The calls at work.

    Attributes:
        draining: Set when the server is about to end; long calls then end early, with `Draining`.
    """

    def __init__(self, calls_max: int, streams_max: int, registry: CollectorRegistry) -> None:
        self.draining = asyncio.Event()
        self._calls_max = calls_max
        self._streams_max = streams_max
        self._calls = 0
        self._streams = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        calls = Gauge("ratel_calls_at_work", "Calls in work now, usage streams apart.", registry=registry)
        calls.set_function(lambda: self._calls)
        streams = Gauge("ratel_usage_streams_open", "Usage streams open now.", registry=registry)
        streams.set_function(lambda: self._streams)

    def place(self, *, is_stream: bool) -> "Place":
        """Return a context that holds a place for one call, to be used again for each.

        Args:
            is_stream: Whether callers send many messages, for as long as they like.
        """
        return Place(self, is_stream=is_stream)

    def enter(self, *, is_stream: bool) -> None:
        """Take a place.

        Raises:
            Draining: The server is about to end.
            Overloaded: All places are taken.
            StreamLimit: All places for streams are taken.
        """
        if self.draining.is_set():
            raise Draining
        if is_stream and self._streams >= self._streams_max:
            raise StreamLimit
        if not is_stream and self._calls >= self._calls_max:
            raise Overloaded
        self._count(1, is_stream=is_stream)

    def leave(self, *, is_stream: bool) -> None:
        """Give a place back."""
        self._count(-1, is_stream=is_stream)

    async def drain(self) -> None:
        """Let nobody in any more, tell long calls to end, and wait until all have."""
        self.draining.set()
        await self._is_empty.wait()

    def _count(self, change: int, *, is_stream: bool) -> None:
        if is_stream:
            self._streams += change
        else:
            self._calls += change
        if self._calls + self._streams:
            self._is_empty.clear()
        else:
            self._is_empty.set()


class Place:
    """The context of `Admission.place`: a class, because a generator costs three times as much a call."""

    def __init__(self, admission: Admission, *, is_stream: bool) -> None:
        self._admission = admission
        self._is_stream = is_stream

    def __enter__(self) -> None:
        self._admission.enter(is_stream=self._is_stream)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._admission.leave(is_stream=self._is_stream)
