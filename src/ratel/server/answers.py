"""Answers to calls that only read, kept for whoever asks the same again while nothing they depend on has changed."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from ratel.store.moment import Sight, Sights

BYTES_MAX: Final = 32 * 2**20
"""What is kept takes at most so much, requests included."""


@dataclass(slots=True)
class _Kept:
    """An answer as it is sent, and what it was made of, as it was seen last."""

    answer: bytes
    sight: Sight


class Answers:
    """Answers by request, both as they are sent.

    Requests are compared byte by byte: one that says the same in other bytes is only not found.

    Args:
        sights: of the database that the answers are made from, and from nothing else.
        observe: told of each answer that is given again.
    """

    def __init__(self, sights: Sights, observe: Callable[[], None]) -> None:
        self._sights = sights
        self._observe = observe
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._size = 0

    async def get(self, request: bytes) -> bytes | None:
        """Return the answer that would be made again; None if that is not known.

        Raises:
            DatabaseUnavailable: it cannot be reached.
            Overloaded: no connection came free in time.
        """
        kept = self._kept.get(request)
        renewed = None if kept is None else await self._sights.renew(kept.sight)
        if kept is None or renewed is None:
            return None
        kept.sight = renewed
        self._observe()
        return kept.answer

    def keep(self, request: Message, answer: Message, sight: Sight) -> None:
        """Keep an answer that was made of what was seen, and let go of those that were kept first."""
        if sight.moment is None:
            return
        key, value = request.SerializeToString(), answer.SerializeToString()
        before = self._kept.pop(key, None)
        if before is not None:
            self._size -= len(key) + len(before.answer)
        self._kept[key] = _Kept(value, sight)
        self._size += len(key) + len(value)
        while self._size > BYTES_MAX:
            oldest, let_go = self._kept.popitem(last=False)
            self._size -= len(oldest) + len(let_go.answer)
