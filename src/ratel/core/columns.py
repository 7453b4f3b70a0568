"""A message of usage in columns, and what of it can be stored: checked by column, not event by event (R2.1).

What cannot be told by column is left over, and judged one by one (`core/submission.py`), which also says why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from ratel.core.block import (
    MISSING,
    SCALE_MAX,
    Block,
    Flags,
    Int8s,
    Int32s,
    Int64s,
    Numbers,
    Places,
    Texts,
    UInt64s,
    missing_numbers,
)
from ratel.core.errors import Invalid
from ratel.core.instant import MICROSECONDS_MAX, MICROSECONDS_MIN
from ratel.core.layout import Layout
from ratel.core.meter import FieldKind
from ratel.core.money import scaled_from_text

METERS_MAX: Final = 32
"""Meters of one message that are told apart by column: each is a pass over all events."""

_INT64_MAX: Final = 2**63 - 1
_NUL: Final = "\0"


@dataclass(frozen=True, slots=True)
class TextColumn:
    """The values of a field as text.

    Attributes:
        texts: those that occur.
        codes: for each event the place of its text, `MISSING` where it does not carry the field.
    """

    field: str
    texts: Sequence[str]
    codes: Int32s


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """The values of a field as numbers.

    Attributes:
        scale: of all of them.
        values: for each event, times 10 to the power of ``scale``.
        present: which events carry the field; None for all.
    """

    field: str
    scale: int
    values: Int64s
    present: Flags | None


@dataclass(frozen=True, slots=True)
class DecimalColumn:
    """The values of a field as text, all of which are decimals.

    Attributes:
        numbers: what they are, missing where an event does not carry the field.
        as_text: returns the texts themselves.
    """

    field: str
    numbers: Numbers
    as_text: Callable[[], TextColumn]


Column: TypeAlias = TextColumn | NumberColumn | DecimalColumn


@dataclass(frozen=True, slots=True)
class Columns:
    """Events as they were sent.

    Attributes:
        account_ids, meter_ids: those that occur.
        accounts, meters: for each event the place of its own.
        highs, lows, ids: as in `Block`.
        times: microseconds since 1970.
        values: one column for each field.
        doubtful: events whose shape is to be judged one by one; None for none.
    """

    account_ids: Sequence[str]
    accounts: Places
    meter_ids: Sequence[str]
    meters: Places
    highs: UInt64s
    lows: UInt64s
    ids: Texts | None
    times: Int64s
    values: Sequence[Column] = ()
    doubtful: Flags | None = None

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True)
class Sifted:
    """What a check by column tells.

    Attributes:
        block: what can be stored.
        places: where its events stand among the columns.
        left: the places of the others, to be judged one by one.
    """

    block: Block
    places: Sequence[int]
    left: list[int]


@dataclass(frozen=True, slots=True)
class Known:
    """What events are checked by.

    Attributes:
        accounts: numbers by id.
        layouts: of meters by id.
        time_max: the last instant that an event may have, in microseconds since 1970.
        least_key: keys below it are refused.
    """

    accounts: Mapping[str, int]
    layouts: Mapping[str, Layout]
    time_max: int
    least_key: bytes = b""


def sift(columns: Columns, known: Known) -> Sifted:
    """Tell the events that can be stored as they are from those that must be looked at one by one."""
    account_nos = np.array([known.accounts.get(each, 0) for each in columns.account_ids], np.int32)[columns.accounts]
    layouts = [known.layouts.get(each) for each in columns.meter_ids]
    is_few = len(layouts) <= METERS_MAX
    simple = np.array([is_few and layout is not None and not layout.formulas for layout in layouts])
    meter_nos = np.array([layout.meter_no if layout else 0 for layout in layouts], np.int32)[columns.meters]
    good = simple[columns.meters] & (account_nos > 0)
    good &= (columns.times <= min(known.time_max, MICROSECONDS_MAX)) & (columns.times >= MICROSECONDS_MIN)
    if known.least_key:
        good &= _at_least(columns, known.least_key)
    if columns.doubtful is not None:
        good &= ~columns.doubtful
    values = _Values(len(columns), good)
    for column in columns.values:
        for meter, layout in enumerate(layouts):
            if layout is not None and is_few:
                values.place(column, layout, None if len(layouts) == 1 else columns.meters == meter)
    measures, strings, texts = values.placed()
    identities = (columns.highs, columns.lows, columns.ids)
    block = Block(*identities, columns.times, account_nos, meter_nos, measures=measures, strings=strings, texts=texts)
    if good.all():
        return Sifted(block, range(len(columns)), [])
    kept = np.flatnonzero(good)
    return Sifted(block.take(kept), kept.tolist(), np.flatnonzero(~good).tolist())


def _at_least(columns: Columns, least_key: bytes) -> Flags:
    high, low = np.frombuffer(least_key, ">u8").astype(np.uint64)
    flags: Flags = (columns.highs > high) | ((columns.highs == high) & (columns.lows >= low))
    return flags


@dataclass(slots=True)
class _Values:
    """Values on their way from columns by name to columns by kind and place.

    Attributes:
        good: the events without a mistake; what is found here is taken out.
    """

    count: int
    good: Flags
    measures: dict[int, Numbers] = field(default_factory=dict)
    strings: dict[int, Int32s] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)

    def place(self, column: Column, layout: Layout, own: Flags | None) -> None:
        """Take a column in, as far as it is of events of one meter.

        Args:
            column: of values.
            layout: of the meter.
            own: the meter's events; None for all.
        """
        kind, slot = layout.places.get(column.field, (FieldKind.DERIVED, 0))
        if kind is FieldKind.MEASURE:
            numbers, wrong = _numbers(column)
            self.good &= ~wrong if own is None else ~(wrong & own)
            self.measures[slot] = _merged(self.measures.get(slot), numbers, own)
        elif kind is FieldKind.STRING and not isinstance(column, NumberColumn):
            self._place_texts(column.as_text() if isinstance(column, DecimalColumn) else column, slot, own)
        else:
            wrong = _present(column)
            self.good &= ~wrong if own is None else ~(wrong & own)

    def _place_texts(self, column: TextColumn, slot: int, own: Flags | None) -> None:
        """Empty texts are missing; those that cannot be stored are for others to judge."""
        moved = [self.texts.setdefault(text, len(self.texts)) if text else MISSING for text in column.texts]
        codes = np.array([*moved, MISSING], np.int32)[column.codes]
        if any(_NUL in text for text in column.texts):
            wrong = np.array([*(_NUL in text for text in column.texts), False])[column.codes]
            self.good &= ~wrong if own is None else ~(wrong & own)
        before = self.strings.get(slot)
        if own is not None:
            codes = np.where(own, codes, np.int32(MISSING) if before is None else before)
        self.strings[slot] = codes

    def placed(self) -> tuple[tuple[Numbers, ...], tuple[Int32s, ...], tuple[str, ...]]:
        """Return measures, strings and texts as a block has them."""
        measures = [
            self.measures[slot] if slot in self.measures else missing_numbers(self.count)
            for slot in range(max(self.measures, default=-1) + 1)
        ]
        strings = [
            self.strings[slot] if slot in self.strings else np.full(self.count, MISSING, np.int32)
            for slot in range(max(self.strings, default=-1) + 1)
        ]
        return tuple(measures), tuple(strings), tuple(self.texts)


def _present(column: Column) -> Flags:
    if isinstance(column, TextColumn):
        return column.codes >= 0
    if isinstance(column, DecimalColumn):
        return column.numbers.scales >= 0
    return np.ones(len(column.values), np.bool_) if column.present is None else column.present


def _merged(before: Numbers | None, numbers: Numbers, own: Flags | None) -> Numbers:
    """Return the numbers of a meter's own events and what was there before of others."""
    if own is None:
        return numbers
    if before is None:
        before = missing_numbers(len(own))
    return Numbers(np.where(own, numbers.values, before.values), np.where(own, numbers.scales, before.scales))


def _numbers(column: Column) -> tuple[Numbers, Flags]:
    """Return a column as numbers, and which of them are to be judged one by one."""
    if isinstance(column, TextColumn):
        return _numbers_of_texts(column)
    if isinstance(column, DecimalColumn):
        return column.numbers, np.zeros(len(column.numbers.scales), np.bool_)
    present = _present(column)
    # The least integer has no opposite.
    wrong = present & ((column.values == np.iinfo(np.int64).min) | (column.scale > SCALE_MAX))
    scale = min(column.scale, SCALE_MAX)
    scales: Int8s = np.where(present, np.int8(scale), np.int8(MISSING))
    return Numbers(np.where(present, column.values, 0), scales), wrong


def _numbers_of_texts(column: TextColumn) -> tuple[Numbers, Flags]:
    values, scales, wrong = [0] * len(column.texts), [MISSING] * len(column.texts), [False] * len(column.texts)
    for place, text in enumerate(column.texts):
        if not text:
            continue
        try:
            value, scale = scaled_from_text(text)
        except Invalid:
            wrong[place] = True
            continue
        if scale > SCALE_MAX or abs(value) > _INT64_MAX:
            wrong[place] = True
        else:
            values[place], scales[place] = value, scale
    codes = column.codes
    numbers = Numbers(np.array([*values, 0], np.int64)[codes], np.array([*scales, MISSING], np.int8)[codes])
    return numbers, np.array([*wrong, False])[codes]
