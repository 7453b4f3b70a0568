"""Which keys were stored lately: two Bloom filters, of which the older is forgotten from time to time.

A hint that saves asking the database: a key that is not known here, and is itself younger than what is known, was not
stored by this process. What another process stored meets the primary key, and nothing is ever decided here.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ratel.core.block import Flags, UInt64s

BITS: Final = 27
"""Of each filter, as a power of two: 16 MB."""
KEYS_MAX: Final = 8_000_000
"""Keys in a filter until the next is begun: 1 of 70 other keys then looks like one of them."""
AGE_MAX: Final = 300_000
"""Milliseconds until the next is begun: what is sent again is mostly sent again soon."""
CAUTION: Final = 50
"""Groups for which hashed keys are asked for after one of them was there: nothing tells how old they are."""

_MIX: Final = tuple(np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_SHIFT: Final = np.uint64(64 - BITS)
_HASHED: Final = np.uint64(0xFF)


class Recent:
    """The keys that this process has stored lately.

    Args:
        now: milliseconds since 1970.
    """

    def __init__(self, now: int) -> None:
        self._filters = [np.zeros(1 << (BITS - 3), np.uint8), np.zeros(1 << (BITS - 3), np.uint8)]
        self._starts = [now, now]
        self._count = 0
        self._caution = 0

    def suspects(self, highs: UInt64s, lows: UInt64s) -> Flags:
        """Tell which keys may be stored: old ones, known ones, and hashed ones for a while after one was there."""
        is_hashed = highs >> np.uint64(56) == _HASHED
        found: Flags = (highs >> np.uint64(16) < np.uint64(self._starts[1])) & ~is_hashed
        if self._caution:
            self._caution -= 1
            found |= is_hashed
        first, second = _positions(highs, lows)
        for each in self._filters:
            found |= _has(each, first) & _has(each, second)
        return found

    def add(self, highs: UInt64s, lows: UInt64s, now: int) -> None:
        """Know keys; to be called before they are committed."""
        if self._count + len(highs) > KEYS_MAX or now - self._starts[0] > AGE_MAX:
            self._filters.reverse()
            self._filters[0][:] = 0
            self._starts = [now, self._starts[0]]
            self._count = 0
        self._count += len(highs)
        for positions in _positions(highs, lows):
            np.bitwise_or.at(self._filters[0], positions >> 3, _bits(positions))

    def beware(self) -> None:
        """Take note that a hashed key was there."""
        self._caution = CAUTION


def _positions(highs: UInt64s, lows: UInt64s) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return two positions for each key; products wrap around."""
    mixed = (lows ^ highs * _MIX[0]) * _MIX[1]
    mixed ^= mixed >> np.uint64(31)
    again = mixed * _MIX[2]
    return (mixed >> _SHIFT).astype(np.int64), (again >> _SHIFT).astype(np.int64)


def _bits(positions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    return np.left_shift(np.uint8(1), (positions & 7).astype(np.uint8))


def _has(bits: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64]) -> Flags:
    flags: Flags = bits[positions >> 3] & _bits(positions) != 0
    return flags
