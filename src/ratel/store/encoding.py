"""Rows as binary COPY wants them, encoded by column: a table of bytes for all rows that have the same widths.

Numbers are padded with zero digits to the width of the widest: Postgres takes such zeros off when it reads them.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ratel.core.block import Block, Int8s, Int64s, Numbers, Places, combinations
from ratel.core.instant import MICROSECONDS_PER_SECOND

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
# Postgres counts from 2000-01-01.
POSTGRES_EPOCH: Final = 946_684_800 * MICROSECONDS_PER_SECOND

_LENGTH: Final = Struct("!i")
_ARRAY: Final = Struct("!iiiii")
_EMPTY_ARRAY: Final = Struct("!iiii")
_NULL: Final = _LENGTH.pack(-1)
_NUMERIC_OID: Final = 1700
_TEXT_OID: Final = 25
NO_NUMBERS: Final = _EMPTY_ARRAY.pack(12, 0, 0, _NUMERIC_OID)
NO_TEXTS: Final = _EMPTY_ARRAY.pack(12, 0, 0, _TEXT_OID)
_NEGATIVE: Final = 0x4000
_BASE: Final = 10_000
_BASE_DIGITS: Final = 4
_WIDTHS_FEW: Final = 8
_POWERS: Final = np.array([10**exponent for exponent in range(19)], np.int64)


class Part(NamedTuple):
    """A part of every row: a format of numpy, and one value for all rows or one for each."""

    format: str | tuple[str, int]
    value: int | npt.NDArray[np.generic]


Parts: TypeAlias = list[Part]
Table: TypeAlias = npt.NDArray[np.void]
"""An element of so many bytes for each row."""


@lru_cache(maxsize=512)
def _row_format(formats: tuple[str | tuple[str, int], ...]) -> np.dtype[np.void]:
    return np.dtype([(f"part{place}", each) for place, each in enumerate(formats)])


def table_of(parts: Parts, count: int) -> Table:
    """Return so many rows that have these parts."""
    row_format = _row_format(tuple(part.format for part in parts))
    first, table = np.empty(1, row_format), np.empty(count, row_format)
    varying = []
    for place, part in enumerate(parts):
        if isinstance(part.value, int):
            first[f"part{place}"] = part.value
        else:
            varying.append((f"part{place}", part.value))
    whole = table.view(f"V{row_format.itemsize}")
    whole[:] = first.view(whole.dtype)  # what is the same in all rows
    for name, values in varying:
        table[name] = values
    return whole


def rows_of(parts: Parts, count: int) -> list[bytes]:
    """Return rows that have these parts, one after the other."""
    rows: list[bytes] = table_of(parts, count).tolist()
    return rows


class Piece(NamedTuple):
    """The same part of some rows, which has one width in all of them.

    Attributes:
        rows: their places.
        table: an element for each.
    """

    rows: Places
    table: Table


def pieces_of(values: Sequence[bytes], codes: Places) -> Iterator[Piece]:
    """Yield a part of all rows: for few widths as it is, else in pieces of 1, 2, 4 and more bytes, which are few too.

    Args:
        values: those that occur, of any width.
        codes: for each row the place of its own.
    """
    data, lengths = b"".join(values), np.array([len(each) for each in values])
    widths, starts = lengths[codes], (np.cumsum(lengths) - lengths)[codes]
    sizes = np.unique(lengths).tolist()
    is_few = len(sizes) <= _WIDTHS_FEW
    for size in sizes if is_few else [1 << bit for bit in range(sizes[-1].bit_length())]:
        rows = np.flatnonzero(widths == size if is_few else widths & size)
        if len(rows):
            anywhere: Table = np.ndarray((len(data) - size + 1,), f"V{size}", data, strides=(1,))
            yield Piece(rows, anywhere[starts[rows]])
            starts[rows] += size


def together(layers: Sequence[Sequence[Piece]], order: Places) -> memoryview:
    """Return rows one behind the other, put together without an object for any of them.

    Args:
        layers: what each row consists of, from left to right; the pieces of a row follow one another.
        order: of the rows, all of them; at least one.
    """
    widths = np.zeros(len(order), np.intp)
    for piece in chain.from_iterable(layers):
        widths[piece.rows] += piece.table.itemsize
    widths = widths[order]
    ends = np.cumsum(widths)
    places = np.empty_like(ends)
    places[order] = ends - widths
    whole = np.empty(ends[-1], np.uint8)
    for rows, table in chain.from_iterable(layers):
        width = table.itemsize
        anywhere: Table = np.ndarray((len(whole) - width + 1,), table.dtype, whole, strides=(1,))
        anywhere[places[rows]] = table
        places[rows] += width
    return whole.data


# --- Values -----------------------------------------------------------------------------------------------------------


def null() -> Parts:
    """Return the parts of a missing value."""
    return [Part(">i4", -1)]


def number_parts(values: Int64s, scales: Int8s) -> Parts:
    """Return the parts of decimals: ``values`` over 10 to the power of ``scales``, which are 0 to `SCALE_MAX`."""
    magnitudes, scale_max = np.abs(values), int(scales.max(initial=0))
    fraction_digits = -(-scale_max // _BASE_DIGITS)
    if scale_max:
        whole, rest = np.divmod(magnitudes, _POWERS[scales])
        rest *= _POWERS[fraction_digits * _BASE_DIGITS - scales]
    else:
        whole, rest = magnitudes, magnitudes
    whole_digits = max(1, -(-len(str(int(whole.max(initial=0)))) // _BASE_DIGITS))
    digits = np.empty((len(values), whole_digits + fraction_digits), np.int16)
    for place in reversed(range(whole_digits, whole_digits + fraction_digits)):
        rest, digits[:, place] = np.divmod(rest, _BASE)
    for place in reversed(range(1, whole_digits)):
        whole, digits[:, place] = np.divmod(whole, _BASE)
    digits[:, 0] = whole
    count = digits.shape[1]
    return [
        Part(">i4", 8 + 2 * count),
        Part(">i2", count),
        Part(">i2", whole_digits - 1),
        Part(">u2", np.where(values < 0, np.uint16(_NEGATIVE), np.uint16(0))),
        Part(">i2", scales),
        Part((">i2", count), digits) if count > 1 else Part(">i2", digits[:, 0]),
    ]


def number_array_parts(elements: Sequence[Numbers | None]) -> Parts:
    """Return the parts of an array of decimals, of which None is missing everywhere."""
    parts: Parts = []
    for element in elements:
        parts += null() if element is None else number_parts(element.values, element.scales)
    has_null = int(any(element is None for element in elements))
    head = [Part(">i4", value) for value in (1, has_null, _NUMERIC_OID, len(elements), 1)]
    size = sum(np.dtype(part.format).itemsize for part in (*head, *parts))
    return [Part(">i4", size), *head, *parts]


def text_array(texts: Sequence[str | None]) -> bytes:
    """Return an array of texts, without what is missing at its end; NULL for nothing."""
    end = len(texts)
    while end and texts[end - 1] is None:
        end -= 1
    if not end:
        return _NULL
    encoded = [_NULL if text is None else sized(text.encode()) for text in texts[:end]]
    return sized(_ARRAY.pack(1, int(None in texts[:end]), _TEXT_OID, end, 1) + b"".join(encoded))


def sized(value: bytes) -> bytes:
    """Return a value behind its length."""
    return _LENGTH.pack(len(value)) + value


# --- Events -----------------------------------------------------------------------------------------------------------

EVENT_COLUMNS: Final = (
    *("event_key", "event_time", "batch_id", "account_no", "meter_no", "measure", "measures"),
    *("event_id", "strings"),
)
# Behind the number of columns, the key and the time, and each behind its length.
_BATCH_OFFSET: Final = 2 + (4 + 16) + (4 + 8) + 4


class EncodedEvents:
    """Events as rows of `EVENT_COLUMNS`, but for the id of their batch."""

    def __init__(self, block: Block) -> None:
        count = len(block)
        carried = np.zeros(count, np.int64)
        for slot, numbers in enumerate(block.measures):
            carried |= (numbers.scales >= 0).astype(np.int64) << slot
        self._order = np.arange(count)
        self._heads = [_head(block, self._order[carried == shape], shape) for shape in np.unique(carried).tolist()]
        self._tails = [list(_strings(block))]
        if block.ids is not None:
            ids = [_NULL if each is None else sized(each.encode()) for each in block.ids.tolist()]
            self._tails.insert(0, list(pieces_of(ids, self._order)))

    def of_batch(self, batch_id: int) -> memoryview:
        """Return the rows."""
        for _, table in self._heads:
            table.view(_batch_format(table.itemsize))["batch_id"] = batch_id
        return together([self._heads, *self._tails], self._order)


@lru_cache(maxsize=512)
def _batch_format(width: int) -> np.dtype[np.void]:
    return np.dtype({"names": ["batch_id"], "formats": [">i8"], "offsets": [_BATCH_OFFSET], "itemsize": width})


def _head(block: Block, places: Places, carried: int) -> Piece:
    """Return the parts before strings and id of events that all carry the same measures."""
    part = block if len(places) == len(block) else block.take(places)
    return Piece(places, table_of(_event_parts(part, carried), len(part)))


def _event_parts(block: Block, carried: int) -> Parts:
    further = carried >> 1
    elements = [block.measures[slot + 1] if further >> slot & 1 else None for slot in range(further.bit_length())]
    parts = [
        *(Part(">i2", len(EVENT_COLUMNS)), Part(">i4", 16), Part(">u8", block.highs), Part(">u8", block.lows)),
        *(Part(">i4", 8), Part(">i8", block.times - POSTGRES_EPOCH), Part(">i4", 8), Part(">i8", 0)),
        *(Part(">i4", 4), Part(">i4", block.account_nos), Part(">i4", 4), Part(">i4", block.meter_nos)),
        *(number_parts(block.measures[0].values, block.measures[0].scales) if carried & 1 else null()),
        *(number_array_parts(elements) if elements else null()),
    ]
    return [*parts, *null()] if block.ids is None else parts


def _strings(block: Block) -> Iterator[Piece]:
    """Return the strings of each event; each combination is encoded once."""
    if not block.strings:
        return pieces_of([_NULL], np.zeros(len(block), np.intp))
    texts = (*block.texts, None)
    rows, places = combinations(block.strings, len(block.texts))
    return pieces_of([text_array([texts[code] for code in row]) for row in rows], places)
