"""Which calls are let in, how many are at work, and whether the server is about to end.

Usage streams live as long as their connections, so they are counted apart: they could otherwise take every place.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Gauge

from ratel.core.errors import Draining, Overloaded, StreamLimit

Leave: TypeAlias = Callable[[], None]
"""Gives a place back; to be called once."""


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
        self._leave_call, self._leave_stream = self._end_call, self._end_stream  # bound once
        calls = Gauge("ratel_calls_at_work", "Calls in work now, usage streams apart.", registry=registry)
        calls.set_function(lambda: self._calls)
        streams = Gauge("ratel_usage_streams_open", "Usage streams open now.", registry=registry)
        streams.set_function(lambda: self._streams)

    @property
    def is_open(self) -> bool:
        """Whether a call would be let in now."""
        return self._calls < self._calls_max and not self.draining.is_set()

    def enter(self, *, is_stream: bool) -> Leave:
        """Take a place for a call, and return what gives it back.

        Args:
            is_stream: Whether callers send many messages, for as long as they like.

        Raises:
            Draining: The server is about to end.
            Overloaded: All places are taken.
            StreamLimit: All places for streams are taken.
        """
        if self.draining.is_set():
            raise Draining
        if is_stream:
            if self._streams >= self._streams_max:
                raise StreamLimit
            self._streams += 1
            return self._leave_stream
        if self._calls >= self._calls_max:
            raise Overloaded
        self._calls += 1
        return self._leave_call

    async def drain(self) -> None:
        """Let nobody in any more, tell long calls to end, and wait until all have."""
        self.draining.set()
        self._note_empty()
        await self._is_empty.wait()

    def _end_call(self) -> None:
        self._calls -= 1
        if self.draining.is_set():
            self._note_empty()

    def _end_stream(self) -> None:
        self._streams -= 1
        if self.draining.is_set():
            self._note_empty()

    def _note_empty(self) -> None:
        if not self._calls + self._streams:
            self._is_empty.set()
