"""Simple events read by column from the bytes of their messages, all of them in step, field by field.

Whatever is not written in the usual way (fields in their order, lengths below 128, numbers without needless bytes) is
odd, and is read by protobuf; so nothing here decides what is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Final, NamedTuple

import numpy as np

from ratel.core.block import MISSING, Flags, Int32s, Int64s, Numbers, Places, Texts, UInt64s
from ratel.core.columns import Column, Columns, DecimalColumn, TextColumn
from ratel.core.instant import MICROSECONDS_MIN, MICROSECONDS_PER_SECOND
from ratel.core.keys import UUID_LENGTH, keys_of_ids, keys_of_letters
from ratel.server.convert.rules import shape_doubts
from ratel.server.convert.span import PADDING, Bytes, Spans, joined_spans

_SEQUENCE: Final = 0x08
_EVENT: Final = 0x12
_ACCOUNT, _METER, _ID, _TIME, _VALUES = 0x0A, 0x12, 0x1A, 0x22, 0x2A
_SECONDS, _NANOS = 0x08, 0x10
_KEY, _VALUE = 0x0A, 0x12
_MORE: Final = 0x80
# Of an event: its tag, and one or two bytes that say how long it is.
_HEAD: Final = 2
# Of seconds from 1978 to 3058, behind their tag.
_SECONDS_LENGTH: Final = 5
_NANOS_LENGTH_MAX: Final = 5
_NANOS_PER_SECOND: Final = 1_000_000_000
# Events with more values are odd.
_VALUES_MAX: Final = 16
# A column costs as much as there are events.
_COLUMNS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class WireMessage:
    """The bytes of a message of simple events.

    Attributes:
        start: where its events begin in them.
        ends: where each of them ends.
    """

    sequence: int
    data: bytes
    start: int
    ends: list[int]

    def __len__(self) -> int:
        return len(self.ends)

    def event(self, place: int) -> bytes:
        """Return the bytes of one event."""
        start = self.ends[place - 1] if place else self.start
        return self.data[start + _HEAD + (self.data[start + 1] >= _MORE) : self.ends[place]]


def wire_message(data: bytes) -> WireMessage | None:
    """Find the events of a message; None if it is not written in the usual way."""
    place, length, sequence = 0, len(data), 0
    ends = list[int]()
    try:
        if data[0] == _SEQUENCE:
            place, sequence = _varint(data, 1)
        start = place
        while place < length:
            if data[place] != _EVENT:
                return None
            size = data[place + 1]
            if size >= _MORE:
                more = data[place + 2]
                if not 0 < more < _MORE:
                    return None
                place += size + (more << 7) - _MORE + _HEAD + 1
            else:
                place += size + _HEAD
            ends.append(place)
    except IndexError:
        return None
    return WireMessage(sequence, data, start, ends) if place == length and ends and sequence >= 0 else None


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the place after a varint, and its value; negative if it is longer than usual."""
    value = 0
    for shift in range(0, 56, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            return place, value
    return place, -(1 << 62)


class _Values(NamedTuple):
    """Values of events: the event's place, the field's name, and the text."""

    events: Places
    names: Spans
    texts: Spans

    def take(self, places: Places | Flags) -> "_Values":
        return _Values(self.events[places], self.names.take(places), self.texts.take(places))


class _Cursor:
    """Reads all events in step.

    Attributes:
        places: where each is read next.
        odd: those that are not written in the usual way; nothing that is read of them means anything.
        is_any_odd: whether there are any.
    """

    def __init__(self, source: Bytes, starts: Int64s, ends: Int64s) -> None:
        self.source = source
        self.places = starts
        self.ends = ends
        self.odd: Flags = np.zeros(len(starts), np.bool_)
        self.is_any_odd = False

    def text(self, tag: int) -> Spans:
        """Read a text."""
        data, places = self.source.data, self.places
        lengths = data[places + 1]
        starts = places + 2
        self.move((data[places] == tag) & (lengths < _MORE), starts + lengths)
        return Spans(starts, np.where(self.odd, 0, lengths) if self.is_any_odd else lengths.astype(np.int64))

    def time(self) -> Int64s:
        """Read a time, in microseconds since 1970."""
        data, words, places = self.source.data, self.source.words, self.places
        first = places + 3
        size = data[places + 1].astype(np.int64)
        seconds, are_seconds = _varints(words[first], np.full(len(first), _SECONDS_LENGTH))
        good = (data[places] == _TIME) & (data[places + 2] == _SECONDS) & are_seconds
        # What is behind the seconds, and its tag.
        rest = size - (_SECONDS_LENGTH + 1)
        behind = words[first + _SECONDS_LENGTH]
        nanos, are_nanos = _varints(behind >> np.uint64(8), np.maximum(rest - 1, 0))
        is_tagged = (behind & np.uint64(0xFF) == _NANOS) & (rest > 1) & (rest <= _NANOS_LENGTH_MAX + 1)
        good &= (rest == 0) | (is_tagged & are_nanos & (nanos < _NANOS_PER_SECOND))
        self.move(good, places + 2 + size)
        return seconds * MICROSECONDS_PER_SECOND + nanos // 1_000

    def values(self) -> list[_Values]:
        """Read the values of all events, the first of each, then the second, and so on."""
        found = []
        for _ in range(_VALUES_MAX):
            own = np.flatnonzero((self.places < self.ends) & ~self.odd)
            if not len(own):
                break
            is_all = len(own) == len(self.places)
            part = self if is_all else _Cursor(self.source, self.places[own], self.ends[own])
            entry = part.text(_VALUES)
            ends, part.places = part.places, entry.starts
            name, text = part.text(_KEY), part.text(_VALUE)
            part.move(part.places == ends, ends)
            if not is_all:
                self.odd[own] |= part.odd
                self.is_any_odd |= part.is_any_odd
                self.places = self.places.copy()
                self.places[own] = part.places
            values = _Values(own, name, text)
            found.append(values.take(~part.odd) if part.is_any_odd else values)
        self.move(self.places == self.ends, self.places)
        return found

    def move(self, good: Flags, places: Int64s) -> None:
        """Go on; who is not good, or would leave its event, is odd, and stays."""
        good = good & (places <= self.ends)
        if good.all() and not self.is_any_odd:
            self.places = places
            return
        self.is_any_odd = True
        self.odd |= ~good
        self.places = np.where(self.odd, self.places, places)


# Sevens of bits of eight bytes: of each, of each two, of each four.
_SEVENS: Final = np.uint64(0x007F_007F_007F_007F)
_FOURTEENS: Final = np.uint64(0x0000_3FFF_0000_3FFF)
_TWENTY_EIGHTS: Final = np.uint64(0x0FFF_FFFF)
_MORES: Final = np.uint64(0x8080_8080_8080_8080)
# The lowest bytes of a word, by how many they are.
_LOWEST: Final = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


def _varints(words: UInt64s, lengths: Int64s) -> tuple[Int64s, Flags]:
    """Return varints of so many bytes, at most 8, that words begin with, and whether they are so long; none is 0."""
    lowest = _LOWEST[np.minimum(lengths, 8)]
    bits = words & lowest
    are_good: Flags = bits & _MORES == _MORES & lowest >> np.uint64(8)
    bits = (bits & _SEVENS) | (bits >> np.uint64(1) & _SEVENS << np.uint64(7))
    bits = (bits & _FOURTEENS) | (bits >> np.uint64(2) & _FOURTEENS << np.uint64(14))
    bits = (bits & _TWENTY_EIGHTS) | (bits >> np.uint64(4) & _TWENTY_EIGHTS << np.uint64(28))
    return bits.view(np.int64), are_good


# --- Columns ----------------------------------------------------------------------------------------------------------


def columns_from_wire(messages: Sequence[WireMessage]) -> Columns:
    """Return the events of messages in columns; the odd ones are doubtful."""
    source = Bytes(b"".join([*(each.data for each in messages), PADDING]))
    cursor = _Cursor(source, *_offsets(messages))
    accounts, meters, ids = cursor.text(_ACCOUNT), cursor.text(_METER), cursor.text(_ID)
    times = cursor.time()
    steps = cursor.values()
    odd = cursor.odd
    account_texts, account_codes = source.distinct(accounts, odd)
    meter_texts, meter_codes = source.distinct(meters, odd)
    keys = _keys(source, ids, odd)
    values = _columns(source, steps, odd)
    doubtful = shape_doubts(keys[2], [each for each in values if isinstance(each, TextColumn)], len(odd))
    doubtful = odd if doubtful is None else odd | doubtful
    return Columns(
        *(account_texts, account_codes, meter_texts, meter_codes),
        *keys,
        times=np.where(odd, MICROSECONDS_MIN - 1, times),
        values=values,
        doubtful=doubtful if doubtful.any() else None,
    )


def _offsets(messages: Sequence[WireMessage]) -> tuple[Int64s, Int64s]:
    """Return where the events of messages start and end when these stand one behind the other."""
    offsets = np.array([0, *accumulate(len(each.data) for each in messages[:-1])])
    counts = np.array([len(each) for each in messages])
    ends = np.array(list(chain.from_iterable(each.ends for each in messages)), np.int64)
    ends += np.repeat(offsets, counts)
    befores = np.empty_like(ends)
    befores[1:] = ends[:-1]
    befores[np.cumsum(counts) - counts] = offsets + [each.start for each in messages]
    # An event of 128 bytes has a head of three, and is 131 long.
    return befores + np.where(ends - befores < _MORE + _HEAD, _HEAD, _HEAD + 1), ends


def _keys(source: Bytes, ids: Spans, odd: Flags) -> tuple[UInt64s, UInt64s, Texts | None]:
    if not (ids.lengths == UUID_LENGTH).all():
        return keys_of_ids(source.texts(ids, odd))
    return keys_of_letters(source.letters(ids.starts, UUID_LENGTH), lambda: source.texts(ids, odd))


def _columns(source: Bytes, steps: Sequence[_Values], odd: Flags) -> list[Column]:
    by_name: dict[str, list[_Values]] = {}
    for step in steps:
        wrong = np.zeros(len(step.events), np.bool_)
        found, codes = source.distinct(step.names, wrong)
        odd[step.events[wrong]] = True
        if len(by_name) + len(found) > _COLUMNS_MAX:
            odd[step.events] = True
            continue
        for code, name in enumerate(found):
            part = step if len(found) == 1 else step.take(codes == code)
            by_name.setdefault(name, []).append(part)
    columns: list[Column] = []
    for name, parts in by_name.items():
        events = parts[0].events if len(parts) == 1 else np.concatenate([part.events for part in parts])
        columns.append(_column(source, (name, events, joined_spans([part.texts for part in parts])), odd))
    return columns


def _column(source: Bytes, values: tuple[str, Places, Spans], odd: Flags) -> Column:
    name, events, spans = values
    decimals = source.decimals(spans)
    if decimals is None:
        return _text_column(source, values, odd)
    numbers = Numbers(np.zeros(len(odd), np.int64), np.full(len(odd), MISSING, np.int8))
    numbers.values[events], numbers.scales[events] = decimals.values, decimals.scales  # of several the last counts
    return DecimalColumn(name, numbers, lambda: _text_column(source, values, odd))


def _text_column(source: Bytes, values: tuple[str, Places, Spans], odd: Flags) -> TextColumn:
    name, events, spans = values
    wrong = np.zeros(len(events), np.bool_)
    texts, places = source.distinct(spans, wrong)
    odd[events[wrong]] = True
    codes: Int32s = np.full(len(odd), MISSING, np.int32)
    codes[events] = places
    return TextColumn(name, texts, codes)
