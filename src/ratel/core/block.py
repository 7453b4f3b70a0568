"""Events in arrays: what can be checked, written and folded without an object for each.

A block says the same as `Events`, for all events but rare ones: a measure is an integer and a number of digits after
the point, a string a place among texts. What does not fit (`SCALE_MAX`, 64 bits) travels as `Events`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from ratel.core.event import KEY_BYTES, Events
from ratel.core.money import EXACT

Int64s: TypeAlias = npt.NDArray[np.int64]
UInt64s: TypeAlias = npt.NDArray[np.uint64]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int8s: TypeAlias = npt.NDArray[np.int8]
Flags: TypeAlias = npt.NDArray[np.bool_]
Places: TypeAlias = npt.NDArray[np.intp]
Texts: TypeAlias = npt.NDArray[np.object_]

SCALE_MAX: Final = 16
"""Digits after the point: times 10^16 a fraction is below 2^63."""

MISSING: Final = -1
"""The scale of a missing measure, the place of a missing string."""

_BYTES_PER_ID: Final = 100
# So many combinations are numbers of 64 bits; so many are counted faster than sorted.
_PACKED_MAX: Final = 1 << 62
_COUNTED_MAX: Final = 1 << 15

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Numbers:
    """A measure of many events: values over 10 to the power of scales; missing where the scale is negative."""

    values: Int64s
    scales: Int8s

    def take(self, places: Places) -> "Numbers":
        """Return the measures at these places."""
        return Numbers(self.values[places], self.scales[places])

    def decimals(self) -> list[Decimal | None]:
        """Return them one by one, with as many digits after the point as they were sent with."""
        pairs = zip(self.values.tolist(), self.scales.tolist(), strict=True)
        return [None if scale < 0 else EXACT.scaleb(Decimal(value), -scale) for value, scale in pairs]


@dataclass(frozen=True)
class Block:
    """Events as they are stored, an array for each column.

    Attributes:
        highs, lows: the two halves of `event_key`.
        ids: the ids of hashed keys, else None; None if there is no hashed key.
        times: microseconds since 1970.
        measures: of the measure fields of each event's meter, in the order of declaration.
        strings: of its string fields likewise: places among ``texts``.
    """

    highs: UInt64s
    lows: UInt64s
    ids: Texts | None
    times: Int64s
    account_nos: Int32s
    meter_nos: Int32s
    measures: tuple[Numbers, ...]
    strings: tuple[Int32s, ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.times)

    def take(self, places: Iterable[int] | Places) -> "Block":
        """Return the events at these places, in this order."""
        at = np.asarray(places if isinstance(places, np.ndarray) else list(places), dtype=np.intp)
        return Block(
            self.highs[at],
            self.lows[at],
            None if self.ids is None else self.ids[at],
            self.times[at],
            self.account_nos[at],
            self.meter_nos[at],
            tuple(numbers.take(at) for numbers in self.measures),
            tuple(codes[at] for codes in self.strings),
            self.texts,
        )

    @property
    def size(self) -> int:
        """How many bytes it takes, about."""
        arrays: list[npt.NDArray[np.generic]] = [
            self.highs,
            self.lows,
            self.times,
            self.account_nos,
            self.meter_nos,
            *self.strings,
        ]
        arrays += [each for measure in self.measures for each in (measure.values, measure.scales)]
        ids = 0 if self.ids is None else _BYTES_PER_ID * len(self)
        return sum(each.nbytes for each in arrays) + ids + sum(map(len, self.texts))

    @cached_property
    def order(self) -> Places:
        """The places in the order of keys and accounts; of equal ones the first comes first."""
        highs = self.highs
        if (highs[1:] > highs[:-1]).all():
            return np.arange(len(self))
        order = np.argsort(highs)
        tied = np.empty(len(self), np.bool_)
        tied[1:] = highs[order[1:]] == highs[order[:-1]]
        tied[0] = False
        tied[:-1] |= tied[1:]
        places = np.flatnonzero(tied)
        if len(places):
            few = np.sort(order[places])  # so that of equal ones the first comes first
            order[places] = few[np.lexsort((self.account_nos[few], self.lows[few], highs[few]))]
        return order

    def keys(self) -> list[bytes]:
        """Return the key of each event."""
        both = np.empty((len(self), 2), dtype=">u8")
        both[:, 0], both[:, 1] = self.highs, self.lows
        raw = both.tobytes()
        return [raw[start : start + KEY_BYTES] for start in range(0, len(raw), KEY_BYTES)]

    def events(self) -> Events:
        """Return the same events, one by one."""
        texts = (*self.texts, None)  # the last is at place -1
        strings = [[texts[code] for code in codes.tolist()] for codes in self.strings]
        measures = [numbers.decimals() for numbers in self.measures]
        count = len(self)
        return Events(
            self.keys(),
            [None] * count if self.ids is None else self.ids.tolist(),
            self.times.tolist(),
            self.account_nos.tolist(),
            self.meter_nos.tolist(),
            measures[0] if measures else [None] * count,
            _rows(measures[1:], count),
            _rows(strings, count),
        )


def _rows(columns: Sequence[Sequence[_T | None]], count: int) -> list[Sequence[_T | None] | None]:
    """Return the rows of columns, without what is missing at their ends."""
    if not columns:
        return [None] * count
    rows: list[Sequence[_T | None] | None] = []
    for row in zip(*columns, strict=True):
        end = len(row)
        while end and row[end - 1] is None:
            end -= 1
        rows.append(list(row[:end]) or None)
    return rows


def joined(blocks: Sequence[Block]) -> Block:
    """Return the events of several blocks, in their order."""
    if len(blocks) == 1:
        return blocks[0]
    places: dict[str, int] = {}
    moved = [np.array([places.setdefault(text, len(places)) for text in block.texts] + [MISSING]) for block in blocks]

    ids = None
    if any(block.ids is not None for block in blocks):
        ids = np.concatenate([np.full(len(block), None) if block.ids is None else block.ids for block in blocks])
    measure_count = max(len(block.measures) for block in blocks)
    string_count = max(len(block.strings) for block in blocks)
    return Block(
        np.concatenate([block.highs for block in blocks]),
        np.concatenate([block.lows for block in blocks]),
        ids,
        np.concatenate([block.times for block in blocks]),
        np.concatenate([block.account_nos for block in blocks]),
        np.concatenate([block.meter_nos for block in blocks]),
        tuple(_joined_measures([_measure(block, slot) for block in blocks]) for slot in range(measure_count)),
        tuple(
            np.concatenate([_string(block, slot, to) for block, to in zip(blocks, moved, strict=True)])
            for slot in range(string_count)
        ),
        tuple(places),
    )


def combinations(columns: Sequence[Int32s], text_count: int) -> tuple[list[tuple[int, ...]], Places]:
    """Return the rows that occur in columns of places among texts, each once, and for each event the place of its own.

    Args:
        columns: at least one.
        text_count: of how many texts.
    """
    base = text_count + 1
    size = base ** len(columns)
    if size >= _PACKED_MAX:
        rows, places = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
        return [tuple(row) for row in rows.tolist()], places.reshape(-1)
    packed = columns[0].astype(np.int64) + 1
    for codes in columns[1:]:
        packed = packed * base + codes + 1
    if size <= _COUNTED_MAX:
        found = np.flatnonzero(np.bincount(packed, minlength=size))
        numbers = np.empty(size, np.intp)
        numbers[found] = np.arange(len(found))
        places = numbers[packed]
    else:
        found, places = np.unique(packed, return_inverse=True)
    digits = [(found // base**place % base - 1).tolist() for place in reversed(range(len(columns)))]
    return list(zip(*digits, strict=True)), places


def missing_numbers(count: int) -> Numbers:
    """Return a measure that no event has."""
    return Numbers(np.zeros(count, np.int64), np.full(count, MISSING, np.int8))


def _measure(block: Block, slot: int) -> Numbers:
    return block.measures[slot] if slot < len(block.measures) else missing_numbers(len(block))


def _joined_measures(parts: Sequence[Numbers]) -> Numbers:
    return Numbers(np.concatenate([part.values for part in parts]), np.concatenate([part.scales for part in parts]))


def _string(block: Block, slot: int, moved: Int64s) -> Int32s:
    if slot >= len(block.strings):
        return np.full(len(block), MISSING, np.int32)
    return moved[block.strings[slot]].astype(np.int32)
