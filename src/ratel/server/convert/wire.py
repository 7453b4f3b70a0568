"""Simple events read by column from the bytes of their messages, all of them in step, field by field.

Whatever is not written in the usual way (fields in their order, lengths below 128) is odd, and is read by protobuf; so
nothing here decides what is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ratel.core.block import MISSING, SCALE_MAX, Flags, Int32s, Int64s, Numbers, Places, Texts, UInt64s
from ratel.core.columns import Column, Columns, DecimalColumn, TextColumn
from ratel.core.instant import MICROSECONDS_MIN, MICROSECONDS_PER_SECOND
from ratel.core.keys import UUID_LENGTH, keys_of_ids, keys_of_letters
from ratel.server.convert.rules import shape_doubts

Bytes = npt.NDArray[np.uint8]

_SEQUENCE: Final = 0x08
_EVENT: Final = 0x12
_ACCOUNT, _METER, _ID, _TIME, _VALUES = 0x0A, 0x12, 0x1A, 0x22, 0x2A
_SECONDS, _NANOS = 0x08, 0x10
_KEY, _VALUE = 0x0A, 0x12
_MORE: Final = 0x80
# Of seconds from 1978 to 3058.
_SECONDS_LENGTH: Final = 5
_NANOS_LENGTH_MAX: Final = 5
_NANOS_PER_SECOND: Final = 1_000_000_000
# Events with more values, and decimals with more characters, are odd.
_VALUES_MAX: Final = 16
_DECIMAL_LENGTH_MAX: Final = 18
# A column costs as much as there are events.
_COLUMNS_MAX: Final = 256
# What may be read beyond the last byte.
_PADDING: Final = bytes(160)
_WORD: Final = 8
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class WireMessage:
    """The bytes of a message of simple events.

    Attributes:
        starts, ends: where its events lie in them.
    """

    sequence: int
    data: bytes
    starts: list[int]
    ends: list[int]

    def __len__(self) -> int:
        return len(self.starts)

    def event(self, place: int) -> bytes:
        """Return the bytes of one event."""
        return self.data[self.starts[place] : self.ends[place]]


def wire_message(data: bytes) -> WireMessage | None:
    """Find the events of a message; None if it is not written in the usual way."""
    place, length, sequence = 0, len(data), 0
    starts, ends = list[int](), list[int]()
    try:
        if data[0] == _SEQUENCE:
            place, sequence = _varint(data, 1)
        while place < length:
            if data[place] != _EVENT:
                return None
            size = data[place + 1]
            if size < _MORE:
                place += 2
            else:
                place, size = _varint(data, place + 1)
            starts.append(place)
            place += size
            ends.append(place)
    except IndexError:
        return None
    return WireMessage(sequence, data, starts, ends) if place == length and starts and sequence >= 0 else None


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


class _Spans(NamedTuple):
    """Parts of the bytes."""

    starts: Int64s
    lengths: Int64s

    def take(self, places: Places | Flags) -> "_Spans":
        return _Spans(self.starts[places], self.lengths[places])


class _Values(NamedTuple):
    """Values of events: the event's place, the field's name, and the text."""

    events: Places
    names: _Spans
    texts: _Spans


class _Cursor:
    """Reads all events in step.

    Attributes:
        places: where each is read next.
        odd: those that are not written in the usual way; nothing that is read of them means anything.
    """

    def __init__(self, data: Bytes, starts: Int64s, ends: Int64s) -> None:
        self.data = data
        self.places = starts.copy()
        self.ends = ends
        self.odd: Flags = np.zeros(len(starts), np.bool_)

    def text(self, tag: int) -> _Spans:
        """Read a text."""
        lengths = self.data[self.places + 1].astype(np.int64)
        self._expect((self.data[self.places] == tag) & (lengths < _MORE))
        starts = self.places + 2
        self._move(starts + lengths)
        return _Spans(starts, np.where(self.odd, 0, lengths))

    def time(self) -> Int64s:
        """Read a time, in microseconds since 1970."""
        data, places = self.data, self.places
        self._expect((data[places] == _TIME) & (data[places + 2] == _SECONDS))
        end = places + 2 + data[places + 1]
        seconds, place = np.zeros(len(places), np.int64), places + 3
        for step in range(_SECONDS_LENGTH):
            byte = data[place + step].astype(np.int64)
            seconds |= (byte & 0x7F) << 7 * step
            self._expect((byte >= _MORE) == (step < _SECONDS_LENGTH - 1))
        place = place + _SECONDS_LENGTH
        nanos, more = np.zeros(len(places), np.int64), place < end
        self._expect(~more | (data[place] == _NANOS))
        place = place + more
        for step in range(_NANOS_LENGTH_MAX):
            byte = data[place].astype(np.int64)
            nanos |= np.where(more, (byte & 0x7F) << 7 * step, 0)
            place = place + more
            more = more & (byte >= _MORE)
        self._expect((place == end) & (nanos < _NANOS_PER_SECOND))
        self._move(end)
        return seconds * MICROSECONDS_PER_SECOND + nanos // 1_000

    def values(self) -> list["_Values"]:
        """Read the values of all events, the first of each, then the second, and so on."""
        found = []
        for _ in range(_VALUES_MAX):
            own = np.flatnonzero((self.places < self.ends) & ~self.odd)
            if not len(own):
                break
            part = _Cursor(self.data, self.places[own], self.ends[own])
            entry = part.text(_VALUES)
            part.places = entry.starts
            name, text = part.text(_KEY), part.text(_VALUE)
            part._expect(part.places == entry.starts + entry.lengths)
            self.odd[own] |= part.odd
            self.places[own] = part.places
            good = ~part.odd
            found.append(_Values(own[good], name.take(good), text.take(good)))
        self._expect(self.places == self.ends)
        return found

    def _expect(self, good: Flags) -> None:
        self.odd |= ~good

    def _move(self, places: Int64s) -> None:
        """Go on; who would leave its event is odd, and stays."""
        self._expect(places <= self.ends)
        self.places = np.where(self.odd, self.places, places)


def _joined(parts: Sequence[_Spans]) -> _Spans:
    return _Spans(np.concatenate([each.starts for each in parts]), np.concatenate([each.lengths for each in parts]))


# --- Columns ----------------------------------------------------------------------------------------------------------


def columns_from_wire(messages: Sequence[WireMessage]) -> Columns:
    """Return the events of messages in columns; the odd ones are doubtful."""
    raw = b"".join([*(each.data for each in messages), _PADDING])
    starts, ends = _offsets(messages)
    data = np.frombuffer(raw, np.uint8)
    cursor = _Cursor(data, starts, ends)
    accounts, meters, ids = cursor.text(_ACCOUNT), cursor.text(_METER), cursor.text(_ID)
    times = cursor.time()
    steps = cursor.values()
    account_texts, account_codes = _distinct(raw, data, accounts, cursor.odd)
    meter_texts, meter_codes = _distinct(raw, data, meters, cursor.odd)
    keys = _keys(raw, data, ids, cursor.odd)
    values = _columns(raw, data, steps, cursor.odd)
    doubtful = shape_doubts(keys[2], [each for each in values if isinstance(each, TextColumn)], len(starts))
    odd = cursor.odd if doubtful is None else cursor.odd | doubtful
    return Columns(
        *(account_texts, account_codes, meter_texts, meter_codes),
        *keys,
        times=np.where(cursor.odd, MICROSECONDS_MIN - 1, times),
        values=values,
        doubtful=odd if odd.any() else None,
    )


def _offsets(messages: Sequence[WireMessage]) -> tuple[Int64s, Int64s]:
    starts, ends, offset = list[int](), list[int](), 0
    for each in messages:
        starts += [offset + start for start in each.starts] if offset else each.starts
        ends += [offset + end for end in each.ends] if offset else each.ends
        offset += len(each.data)
    return np.array(starts, np.int64), np.array(ends, np.int64)


def _texts(raw: bytes, spans: _Spans, odd: Flags) -> list[str]:
    """Return texts one by one; what is no text is odd."""
    texts = []
    for place, (start, length) in enumerate(zip(spans.starts.tolist(), spans.lengths.tolist(), strict=True)):
        try:
            texts.append(raw[start : start + length].decode())
        except UnicodeDecodeError:
            odd[place] = True
            texts.append("")
    return texts


def _distinct(raw: bytes, data: Bytes, spans: _Spans, odd: Flags) -> tuple[list[str], Places]:
    """Return the texts that occur, and for each span the place of its own; what is no text is odd."""
    firsts, codes = _codes(data, spans)
    wrong = np.zeros(len(firsts), np.bool_)
    texts = _texts(raw, spans.take(firsts), wrong)
    if wrong.any():
        odd |= wrong[codes]
    return texts, codes


def _codes(data: Bytes, spans: _Spans) -> tuple[Places, Places]:
    """Return where each text occurs first, and for each span which it is."""
    length_max = int(spans.lengths.max(initial=0))
    if _are_same(data, spans, length_max):
        return np.zeros(1, np.int64), np.zeros(len(spans.lengths), np.int64)
    # Eight bytes from any byte on.
    words = np.ndarray((len(data) - _WORD + 1,), "<u8", data.data, strides=(1,))
    columns: list[UInt64s] = []
    mixed = spans.lengths.astype(np.uint64)
    for offset in range(0, length_max, _WORD):
        left = np.clip(spans.lengths - offset, 0, _WORD).astype(np.uint64)
        shift = (np.uint64(_WORD) - left) << np.uint64(3)
        word = words[spans.starts + offset] << np.minimum(shift, np.uint64(63))
        word = np.where(left > 0, word, np.uint64(0))
        columns.append(word)
        mixed = (mixed ^ word) * _MIX
        mixed ^= mixed >> np.uint64(29)
    _, firsts, codes = np.unique(mixed, return_index=True, return_inverse=True)
    same = spans.lengths[firsts][codes] == spans.lengths
    for word in columns:
        same &= word[firsts][codes] == word
    if not same.all():  # two texts whose mixtures are the same
        return np.arange(len(mixed)), np.arange(len(mixed))
    return firsts, codes.reshape(-1)


def _keys(raw: bytes, data: Bytes, ids: _Spans, odd: Flags) -> tuple[UInt64s, UInt64s, Texts | None]:
    if not (ids.lengths == UUID_LENGTH).all():
        return keys_of_ids(_texts(raw, ids, odd))
    letters = data[ids.starts[:, None] + np.arange(UUID_LENGTH)]
    return keys_of_letters(letters, lambda: _texts(raw, ids, odd))


def _are_same(data: Bytes, spans: _Spans, length: int) -> bool:
    """Tell quickly whether all texts are the same."""
    if not len(spans.lengths) or int(spans.lengths.min()) != length:
        return False
    first = int(spans.starts[0])
    return all(bool((data[spans.starts + step] == data[first + step]).all()) for step in range(length))


def _columns(raw: bytes, data: Bytes, steps: Sequence[_Values], odd: Flags) -> list[Column]:
    by_name: dict[str, list[_Values]] = {}
    for step in steps:
        wrong = np.zeros(len(step.events), np.bool_)
        found, codes = _distinct(raw, data, step.names, wrong)
        odd[step.events[wrong]] = True
        if len(by_name) + len(found) > _COLUMNS_MAX:
            odd[step.events] = True
            continue
        for code, name in enumerate(found):
            own = codes == code
            part = step if len(found) == 1 else _Values(*(step.events[own], step.names, step.texts.take(own)))
            by_name.setdefault(name, []).append(part)
    columns: list[Column] = []
    for name, parts in by_name.items():
        events = np.concatenate([part.events for part in parts])
        columns.append(_column(raw, data, (name, events, _joined([part.texts for part in parts])), odd))
    return columns


def _column(raw: bytes, data: Bytes, values: tuple[str, Places, _Spans], odd: Flags) -> Column:
    name, events, spans = values
    decimals = _decimals(data, spans)
    if decimals is None:
        return _text_column(raw, data, values, odd)
    numbers = Numbers(np.zeros(len(odd), np.int64), np.full(len(odd), MISSING, np.int8))
    numbers.values[events], numbers.scales[events] = decimals.values, decimals.scales
    return DecimalColumn(name, numbers, lambda: _text_column(raw, data, values, odd))


def _text_column(raw: bytes, data: Bytes, values: tuple[str, Places, _Spans], odd: Flags) -> TextColumn:
    name, events, spans = values
    wrong = np.zeros(len(events), np.bool_)
    texts, places = _distinct(raw, data, spans, wrong)
    odd[events[wrong]] = True
    codes: Int32s = np.full(len(odd), MISSING, np.int32)
    codes[events] = places
    return TextColumn(name, texts, codes)


def _decimals(data: Bytes, spans: _Spans) -> Numbers | None:
    """Return texts as numbers if all of them are short plain decimals."""
    lengths, width = spans.lengths, int(spans.lengths.max(initial=0))
    if not len(lengths) or width > _DECIMAL_LENGTH_MAX or int(lengths.min()) == 0:
        return None
    values, scales = np.zeros(len(lengths), np.int64), np.full(len(lengths), MISSING, np.int64)
    digits_before, good = np.zeros(len(lengths), np.int64), np.ones(len(lengths), np.bool_)
    is_negative = data[spans.starts] == ord("-")
    for step in range(width):
        byte = data[spans.starts + step]
        is_inside = step < lengths
        is_digit = (byte >= ord("0")) & (byte <= ord("9")) & is_inside
        is_point = (byte == ord(".")) & is_inside
        values = np.where(is_digit, values * 10 + (byte.astype(np.int64) - ord("0")), values)
        digits_before += is_digit & (scales == MISSING)
        scales = np.where(is_digit & (scales >= 0), scales + 1, scales)
        good &= ~is_point | ((scales == MISSING) & (digits_before > 0))
        scales = np.where(is_point, 0, scales)
        good &= is_digit | is_point | ~is_inside | (is_negative if step == 0 else False)
    ends_well = data[spans.starts + lengths - 1] != ord(".")
    if not (good & (digits_before > 0) & ends_well & (scales <= SCALE_MAX)).all():
        return None
    return Numbers(np.where(is_negative, -values, values), np.maximum(scales, 0).astype(np.int8))
