"""Answers to calls that only read, kept for whoever asks the same again while nothing at all has been written."""

from collections.abc import Callable
from typing import Final

from google.protobuf.message import Message

from ratel.store.moment import Moment, Moments

BYTES_MAX: Final = 32 * 2**20
"""What is kept takes at most so much, requests included."""


class Answers:
    """The answers of one moment of the database, by request, both as they are sent.

    Requests are compared byte by byte: one that says the same in other bytes is only not found.

    Args:
        moments: of the database that the answers are made from, and from nothing else.
        observe: told of each answer that is given again.
    """

    def __init__(self, moments: Moments, observe: Callable[[], None]) -> None:
        self._moments = moments
        self._observe = observe
        self._moment: Moment | None = None
        self._kept: dict[bytes, bytes] = {}
        self._size = 0

    async def get(self, request: bytes) -> bytes | None:
        """Return the answer that would be made again; None if that is not known, or not likely where others write.

        Raises:
            DatabaseUnavailable: it cannot be reached.
            Overloaded: no connection came free in time.
        """
        if request not in self._kept or not self._moments.is_quiet:
            return None
        moment = await self._moments.now()
        answer = self._kept.get(request) if moment is not None and moment == self._moment else None
        if answer is not None:
            self._observe()
        return answer

    def keep(self, request: Message, answer: Message, moment: Moment | None) -> None:
        """Keep an answer that was made of a moment, instead of those of other moments; not where others write."""
        if moment is None or not self._moments.is_quiet:
            return
        key, value = request.SerializeToString(), answer.SerializeToString()
        if moment != self._moment or self._size + len(key) + len(value) > BYTES_MAX:
            self._kept.clear()
            self._moment, self._size = moment, 0
        if key not in self._kept:
            self._size += len(key) + len(value)
        self._kept[key] = value
