"""Texts that lie among bytes, looked at all at once: which of them are the same, and which decimals they are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ratel.core.block import SCALE_MAX, Flags, Int64s, Numbers, Places, UInt64s

Letters = npt.NDArray[np.uint8]

PADDING: Final = bytes(160)
"""What must stand behind the last byte: what is looked at may begin in a text and end behind it."""

_WORD: Final = 8
_DECIMAL_LENGTH_MAX: Final = 18
_POWERS: Final = np.array([10**exponent for exponent in range(SCALE_MAX + 1)], np.uint64)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
# Texts are sorted into so many drawers, as a power of two: a thousand accounts mostly have one each.
_DRAWER_BITS: Final = 14
_DRAWERS: Final = np.uint64(64 - _DRAWER_BITS)
_ROUNDS: Final = 4


class Spans(NamedTuple):
    """Parts of the bytes."""

    starts: Int64s
    lengths: Int64s

    def take(self, places: Places | Flags) -> "Spans":
        """Return the spans at these places."""
        return Spans(self.starts[places], self.lengths[places])


def joined_spans(parts: Sequence[Spans]) -> Spans:
    """Return all of several spans."""
    if len(parts) == 1:
        return parts[0]
    return Spans(np.concatenate([each.starts for each in parts]), np.concatenate([each.lengths for each in parts]))


def _each(byte: int) -> np.uint64:
    """Return a word of eight such bytes."""
    return np.uint64(int.from_bytes(bytes([byte]) * _WORD))


_ZEROS: Final = _each(ord("0"))
_POINTS: Final = _each(ord("."))
_ONES: Final = _each(1)
_HIGHEST: Final = _each(0x80)
_ABOVE_NINE: Final = _each(0x80 - 10)


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes with `PADDING` behind them.

    Attributes:
        raw: the bytes.
        data: the same.
        words: for each place the eight bytes from there on, of which the first is the lowest.
    """

    raw: bytes
    data: Letters = field(init=False)
    words: UInt64s = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", np.frombuffer(self.raw, np.uint8))
        object.__setattr__(self, "words", np.ndarray((len(self.raw) - _WORD + 1,), "<u8", self.raw, strides=(1,)))

    def letters(self, starts: Int64s, length: int) -> Letters:
        """Return texts of the same length, at least 1, a row for each."""
        whole = np.ndarray((len(self.raw) - length + 1,), f"V{length}", self.raw, strides=(1,))
        return whole[starts].view(np.uint8).reshape(-1, length)

    def texts(self, spans: Spans, odd: Flags) -> list[str]:
        """Return texts one by one; what is no text is odd."""
        raw, texts = self.raw, list[str]()
        for place, (start, length) in enumerate(zip(spans.starts.tolist(), spans.lengths.tolist(), strict=True)):
            try:
                texts.append(raw[start : start + length].decode())
            except UnicodeDecodeError:
                odd[place] = True
                texts.append("")
        return texts

    def distinct(self, spans: Spans, odd: Flags) -> tuple[list[str], Places]:
        """Return the texts that occur, mostly once each, and for each span the place of its own; no text is odd."""
        firsts, codes = self._codes(spans)
        wrong = np.zeros(len(firsts), np.bool_)
        texts = self.texts(spans.take(firsts), wrong)
        if wrong.any():
            odd |= wrong[codes]
        return texts, codes

    def _codes(self, spans: Spans) -> tuple[Places, Places]:
        """Return where each text occurs first, and for each span which it is."""
        count, length = len(spans.starts), int(spans.lengths.max(initial=0))
        if count and length == int(spans.lengths.min()):
            rows = self.letters(spans.starts, length) if length else self.data[:0]
            if rows.tobytes() == rows[:1].tobytes() * count:
                return np.zeros(1, np.intp), np.zeros(count, np.intp)
        words = [self._word(spans.starts + at, spans.lengths - at) for at in range(0, length, _WORD)]
        mixed = spans.lengths.astype(np.uint64)
        for word in words:
            mixed = (mixed ^ word) * _MIX
            mixed ^= mixed >> np.uint64(29)
        return _numbered(_owners(mixed * _MIX, [*words, spans.lengths]))

    def _word(self, starts: Int64s, lengths: Int64s) -> UInt64s:
        """Return the first eight bytes of texts, below which zeros stand if there are fewer."""
        return self.words[starts] << _missing_bits(lengths)

    # --- Decimals ---

    def decimals(self, spans: Spans) -> Numbers | None:
        """Return texts as numbers if all of them are short plain decimals."""
        starts, lengths = spans
        if not len(starts) or int(lengths.max()) > _DECIMAL_LENGTH_MAX or int(lengths.min()) == 0:
            return None
        if not (self.data[starts + lengths - 1] - np.uint8(ord("0")) < 10).all():
            return None  # most texts end here
        is_negative: Flags = self.data[starts] == ord("-")
        if is_negative.any():
            starts, lengths = starts + is_negative, lengths - is_negative
        whole_lengths = self._points(starts, lengths)
        scales = np.maximum(lengths - whole_lengths - 1, 0)
        wholes, are_good = self._digits(starts, whole_lengths)
        if scales.any():
            rests, are_rests_good = self._digits(starts + whole_lengths + 1, scales)
            are_good = are_good and are_rests_good and int(scales.max()) <= SCALE_MAX
            wholes = wholes * _POWERS[np.minimum(scales, SCALE_MAX)] + rests
        if not are_good or int(whole_lengths.min()) == 0:
            return None
        values = wholes.view(np.int64)
        return Numbers(np.where(is_negative, -values, values), scales.astype(np.int8))

    def _points(self, starts: Int64s, lengths: Int64s) -> Int64s:
        """Return where in each text the first point is; its length if there is none."""
        found = np.zeros(len(starts), np.int64)
        for at in range(0, int(lengths.max()), _WORD):
            word = self.words[starts + at] ^ _POINTS
            hits = (word - _ONES) & ~word & _HIGHEST  # the lowest is right
            before = np.bitwise_count((hits & (~hits + np.uint64(1))) - np.uint64(1)) >> 3  # eight if there is none
            found = np.where(found == at, at + before, found)
        return np.minimum(found, lengths)

    def _digits(self, starts: Int64s, lengths: Int64s) -> tuple[UInt64s, bool]:
        """Return texts of at most 18 digits as numbers, those of no digit as 0, and whether all are digits."""
        values, wrong = np.zeros(len(starts), np.uint64), np.zeros(len(starts), np.uint64)
        for at in range(0, int(lengths.max(initial=0)), _WORD):
            left = lengths - at
            digits = (self.words[starts + at] ^ _ZEROS) << _missing_bits(left)
            wrong |= (digits + _ABOVE_NINE) | digits
            number = _number(digits)
            values = values * _POWERS[_within_word(left)] + number if at else number
        return values, not bool((wrong & _HIGHEST).any())


def _within_word(lengths: Int64s) -> Int64s:
    return np.minimum(np.maximum(lengths, 0), _WORD)


def _missing_bits(lengths: Int64s) -> UInt64s:
    """Return how many bits a word is longer than texts; a shift by all 64 leaves nothing."""
    return (_WORD - _within_word(lengths) << 3).astype(np.uint64)


def _number(digits: UInt64s) -> UInt64s:
    """Return the number that eight digits make, each a byte, the first the lowest: pairs, then fours, then all."""
    pairs = digits * np.uint64(10) + (digits >> np.uint64(8))
    firsts = (pairs & np.uint64(0xFF_0000_00FF)) * np.uint64(100 + (1_000_000 << 32))
    seconds = (pairs >> np.uint64(16) & np.uint64(0xFF_0000_00FF)) * np.uint64(1 + (10_000 << 32))
    number: UInt64s = (firsts + seconds) >> np.uint64(32)
    return number


def _owners(mixed: UInt64s, columns: Sequence[npt.NDArray[np.generic]]) -> Places:
    """Return for each text one that is the same, for most texts the same one.

    In each round one text of each drawer finds its likes; the others, few of them, are mixed again.
    """
    owners = np.arange(len(mixed))
    left = owners
    drawers = np.empty(1 << _DRAWER_BITS, np.intp)
    for _ in range(_ROUNDS):
        drawer = (mixed >> _DRAWERS).astype(np.intp)
        drawers[drawer] = left
        own = drawers[drawer]
        same = np.ones(len(left), np.bool_)
        for column in columns:
            same &= column[own] == column[left]
        owners[left[same]] = own[same]
        left, mixed = left[~same], mixed[~same] * _MIX
        if not len(left):
            break
    return owners


def _numbered(owners: Places) -> tuple[Places, Places]:
    """Return the owners, and for each text the place of its own among them."""
    firsts = np.flatnonzero(owners == np.arange(len(owners)))
    numbers = np.empty(len(owners), np.intp)
    numbers[firsts] = np.arange(len(firsts))
    return firsts, numbers[owners]
