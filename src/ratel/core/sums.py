"""What rollups keep of many events, in arrays: the same as `core.rollup.fold`, by column.

An event is taken as what is kept of itself alone, and whatever stands for the same account, time and segment is merged.
Rollups of derived fields, distinct values and moments are not for arrays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeAlias

import numpy as np

from ratel.core.block import MISSING, Block, Int32s, Int64s, Numbers, Places, Texts, UInt64s, combinations
from ratel.core.event import Partial, event_id_from_key
from ratel.core.instant import DAY, HOUR, instant_from_microseconds
from ratel.core.meter import FieldKind
from ratel.core.money import EXACT
from ratel.core.rollup import ByAccount, Hour, Rollup, Values

_LEAST: Final = np.iinfo(np.int64).min
_GREATEST: Final = np.iinfo(np.int64).max
# Sums stay below it: half of what 64 bits hold.
_SAFE: Final = 1 << 62
_POWERS: Final = np.array([10**exponent for exponent in range(19)], np.int64)


Pause: TypeAlias = Callable[[], None]
"""Called between two steps of long work: lets others go first."""


def no_pause() -> None:
    """Let nobody go first."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The ids of events: both halves of their keys, and the ids of those that are hashed."""

    highs: UInt64s
    lows: UInt64s
    ids: Texts | None

    def take(self, places: Places) -> "Keys":
        """Return those at these places."""
        return Keys(self.highs[places], self.lows[places], None if self.ids is None else self.ids[places])

    def text(self, place: int) -> str:
        """Return the id at a place."""
        found = None if self.ids is None else self.ids[place]
        if found is not None:
            return str(found)
        return event_id_from_key(int(self.highs[place]).to_bytes(8, "big") + int(self.lows[place]).to_bytes(8, "big"))


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of the values of a number field; all values times 10 to the power of ``scale``.

    Where nothing is kept, least and greatest value are beyond all values, and so is the latest time.
    """

    scale: int
    sums: Int64s
    mins: Int64s
    maxs: Int64s
    latest_times: Int64s
    latest_keys: Keys
    latest_values: Int64s


@dataclass(frozen=True, slots=True)
class Sums:
    """What one rollup keeps, an element for each account, time and segment.

    Attributes:
        starts: microseconds since 1970, and so are the least and the greatest time of the events.
        segment_nos: places among ``segments``.
        kept: of a number field; None for others.
    """

    rollup: Rollup
    segments: tuple[Values, ...]
    account_nos: Int32s
    starts: Int64s
    segment_nos: Int64s
    event_counts: Int64s
    min_times: Int64s
    max_times: Int64s
    value_counts: Int64s
    kept: Kept | None

    def __len__(self) -> int:
        return len(self.starts)


def is_summable(rollup: Rollup) -> bool:
    """Tell whether arrays can say what a rollup keeps."""
    definition = rollup.definition
    kind = rollup.layout.places[definition.field][0] if definition.field else FieldKind.STRING
    return kind is not FieldKind.DERIVED and not definition.keeps_values and not definition.keeps_moment


# --- Folding ----------------------------------------------------------------------------------------------------------


def sums_of(block: Block, rollups: Mapping[int, Sequence[Rollup]], pause: Pause = no_pause) -> list[Sums] | None:
    """Return what rollups keep of events by the hour; None if it is beyond 64 bits.

    Args:
        block: of any accounts and meters.
        rollups: by meter number; only such as `is_summable`.
        pause: see there.
    """
    found = []
    for meter_no in np.unique(block.meter_nos).tolist():
        wanted = rollups.get(meter_no, ())
        own = block.meter_nos == meter_no
        part = block if own.all() else block.take(np.flatnonzero(own))
        starts = part.times - part.times % HOUR
        # Rollups of the same dimensions have the same segments, and the same events stand together in them.
        segments: dict[tuple[str, ...], _Segments] = {}
        groups: dict[tuple[str, ...], tuple[Places, Places]] = {}
        for rollup in wanted:
            dimensions = rollup.definition.dimensions
            if dimensions not in segments:
                segments[dimensions] = _segments(part, rollup)
            pause()
            singles = _singles(part, rollup, starts, segments[dimensions])
            if singles is None:
                return None
            if dimensions not in groups:
                groups[dimensions] = _grouped(singles)
                pause()
            found.append(_merged(singles, *groups[dimensions]))
    return found


_Segments: TypeAlias = tuple[tuple[Values, ...], Int64s]


def _segments(block: Block, rollup: Rollup) -> _Segments:
    """Return the combinations of the dimensions' values, and for each event the place of its own."""
    dimensions = rollup.definition.dimensions
    codes = [_strings(block, rollup.layout.places[name][1]) for name in dimensions]
    if not codes:
        return ((),), np.zeros(len(block), np.int64)
    rows, places = combinations(codes, len(block.texts))
    texts = (*block.texts, "")
    return tuple(tuple(texts[code] for code in row) for row in rows), places.astype(np.int64)


def _strings(block: Block, slot: int) -> Int32s:
    return block.strings[slot] if slot < len(block.strings) else np.full(len(block), MISSING, np.int32)


def _singles(block: Block, rollup: Rollup, starts: Int64s, segments: _Segments) -> Sums | None:
    """Return what is kept of each event by itself; None if it is beyond 64 bits."""
    ones, name, kept = np.ones(len(block), np.int64), rollup.definition.field, None
    counts = ones
    if name:
        kind, slot = rollup.layout.places[name]
        if kind is FieldKind.STRING:
            counts = (_strings(block, slot) >= 0).astype(np.int64)
        else:
            numbers = block.measures[slot] if slot < len(block.measures) else None
            counts = np.zeros_like(ones) if numbers is None else (numbers.scales >= 0).astype(np.int64)
            kept = _kept(block, numbers)
            if kept is None:
                return None
    times = block.times
    return Sums(rollup, segments[0], block.account_nos, starts, segments[1], ones, times, times, counts, kept)


def _kept(block: Block, numbers: Numbers | None) -> Kept | None:
    keys = Keys(block.highs, block.lows, block.ids)
    count = len(block)
    if numbers is None:
        nothing = np.zeros(count, np.int64)
        return Kept(0, nothing, nothing + _GREATEST, nothing + _LEAST, nothing + _LEAST, keys, nothing)
    carried = numbers.scales >= 0
    scale = max(0, int(numbers.scales.max(initial=0)))
    least_scale = int(np.where(carried, numbers.scales, scale).min(initial=scale))
    greatest = max(abs(int(numbers.values.max(initial=0))), abs(int(numbers.values.min(initial=0))))
    if greatest * 10 ** (scale - least_scale) * count >= _SAFE:
        return None
    values = numbers.values
    if scale != least_scale:
        values = np.where(carried, values * _POWERS[np.where(carried, scale - numbers.scales, 0)], 0)
    if carried.all():
        return Kept(scale, values, values, values, block.times, keys, values)
    mins, maxs = np.where(carried, values, _GREATEST), np.where(carried, values, _LEAST)
    return Kept(scale, values, mins, maxs, np.where(carried, block.times, _LEAST), keys, values)


# --- Merging ----------------------------------------------------------------------------------------------------------


def by_day(sums: Sums) -> Sums:
    """Return the days that hours make up."""
    return merged(replace(sums, starts=sums.starts - sums.starts % DAY))


def merged(sums: Sums) -> Sums:
    """Return the same with one element for each account, time and segment, in the order of accounts and times."""
    return _merged(sums, *_grouped(sums))


def _merged(sums: Sums, order: Places, firsts: Places) -> Sums:
    heads = order[firsts]
    return Sums(
        sums.rollup,
        sums.segments,
        sums.account_nos[heads],
        sums.starts[heads],
        sums.segment_nos[heads],
        np.add.reduceat(sums.event_counts[order], firsts),
        np.minimum.reduceat(sums.min_times[order], firsts),
        np.maximum.reduceat(sums.max_times[order], firsts),
        np.add.reduceat(sums.value_counts[order], firsts),
        None if sums.kept is None else _merged_kept(sums.kept, order, firsts),
    )


def _grouped(sums: Sums) -> tuple[Places, Places]:
    """Return an order in which equals are neighbours, and where in it each new one begins."""
    first = int(sums.starts.min())
    hours = (int(sums.starts.max()) - first) // HOUR + 1
    if (int(sums.account_nos.max()) + 1) * hours * len(sums.segments) < _SAFE:
        packed = (sums.account_nos * np.int64(hours) + (sums.starts - first) // HOUR) * len(sums.segments)
        packed += sums.segment_nos
        order = np.argsort(packed)
        packed = packed[order]
        is_new = packed[1:] != packed[:-1]
    else:
        columns = (sums.segment_nos, sums.starts, sums.account_nos)
        order = np.lexsort(columns)
        is_new = np.any([each[order][1:] != each[order][:-1] for each in columns], axis=0)
    return order, np.concatenate([[0], np.flatnonzero(is_new) + 1])


def _merged_kept(kept: Kept, order: Places, firsts: Places) -> Kept:
    times = kept.latest_times[order]
    latest_times = np.maximum.reduceat(times, firsts)
    lengths = np.diff(firsts, append=len(order))
    latest = np.flatnonzero(times == np.repeat(latest_times, lengths))
    if len(latest) > len(firsts):
        groups = np.repeat(np.arange(len(firsts)), lengths)
        latest = _last_ids(kept.latest_keys.take(order[latest]), latest, groups[latest])
    latest = order[latest]
    return Kept(
        kept.scale,
        np.add.reduceat(kept.sums[order], firsts),
        np.minimum.reduceat(kept.mins[order], firsts),
        np.maximum.reduceat(kept.maxs[order], firsts),
        latest_times,
        kept.latest_keys.take(latest),
        kept.latest_values[latest],
    )


def _last_ids(keys: Keys, places: Places, groups: Int64s) -> Places:
    """Return of each group the place with the greatest id, as a text."""
    order = np.lexsort((keys.lows, keys.highs, groups))
    if keys.ids is not None:
        texts = [keys.text(place) for place in range(len(places))]
        order = np.array(sorted(range(len(places)), key=lambda place: (groups[place], texts[place])))
    ordered = groups[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True)
    found: Places = places[order[is_last]]
    return found


def together(parts: Sequence[Sums], pause: Pause = no_pause) -> list[Sums] | None:
    """Return sums of disjoint events as one for each rollup; None if that is beyond 64 bits."""
    by_rollup: dict[int, list[Sums]] = {}
    for part in parts:
        by_rollup.setdefault(part.rollup.rollup_no, []).append(part)
    found = []
    for same in by_rollup.values():
        pause()
        joined = same[0] if len(same) == 1 else _joined(same)
        if joined is None:
            return None
        found.append(joined if len(same) == 1 else merged(joined))
    return found


def _joined(parts: Sequence[Sums]) -> Sums | None:
    places: dict[Values, int] = {}
    moved = [np.array([places.setdefault(each, len(places)) for each in part.segments], np.int64) for part in parts]
    kept = None
    if parts[0].kept is not None:
        kept = _joined_kept([part.kept for part in parts if part.kept is not None])
        if kept is None:
            return None
    return Sums(
        parts[0].rollup,
        tuple(places),
        np.concatenate([part.account_nos for part in parts]),
        np.concatenate([part.starts for part in parts]),
        np.concatenate([to[part.segment_nos] for part, to in zip(parts, moved, strict=True)]),
        np.concatenate([part.event_counts for part in parts]),
        np.concatenate([part.min_times for part in parts]),
        np.concatenate([part.max_times for part in parts]),
        np.concatenate([part.value_counts for part in parts]),
        kept,
    )


def _joined_kept(parts: Sequence[Kept]) -> Kept | None:
    scale = max(part.scale for part in parts)
    scaled = [_scaled(part, scale) for part in parts]
    bound = sum(0 if part is None else int(np.abs(part.sums).max(initial=0)) * len(part.sums) for part in scaled)
    if any(part is None for part in scaled) or bound >= _SAFE:
        return None
    same = [part for part in scaled if part is not None]
    ids = None
    if any(part.latest_keys.ids is not None for part in same):
        ids = np.concatenate(
            [np.full(len(part.sums), None) if (own := part.latest_keys.ids) is None else own for part in same]
        )
    keys = Keys(
        np.concatenate([part.latest_keys.highs for part in same]),
        np.concatenate([part.latest_keys.lows for part in same]),
        ids,
    )
    return Kept(
        scale,
        np.concatenate([part.sums for part in same]),
        np.concatenate([part.mins for part in same]),
        np.concatenate([part.maxs for part in same]),
        np.concatenate([part.latest_times for part in same]),
        keys,
        np.concatenate([part.latest_values for part in same]),
    )


def _scaled(kept: Kept, scale: int) -> Kept | None:
    if kept.scale == scale:
        return kept
    carried = kept.latest_times > _LEAST
    factor = 10 ** (scale - kept.scale)
    extremes = (np.where(carried, each, 0) for each in (kept.sums, kept.mins, kept.maxs))
    if max(int(np.abs(each).max(initial=0)) for each in extremes) * factor >= _SAFE:
        return None

    def scaled(values: Int64s) -> Int64s:
        return np.where(carried, values, 0) * np.int64(factor)

    return replace(
        kept,
        scale=scale,
        sums=scaled(kept.sums),
        mins=np.where(carried, scaled(kept.mins), _GREATEST),
        maxs=np.where(carried, scaled(kept.maxs), _LEAST),
        latest_values=scaled(kept.latest_values),
    )


# --- One by one -------------------------------------------------------------------------------------------------------


def partials_of(parts: Sequence[Sums]) -> ByAccount:
    """Return sums by the hour one by one."""
    by_account: ByAccount = {}
    for sums in parts:
        for place in range(len(sums)):
            segment = sums.segments[int(sums.segment_nos[place])]
            hour = Hour(sums.rollup.rollup_no, int(sums.starts[place]), segment)
            by_account.setdefault(int(sums.account_nos[place]), {})[hour] = _partial(sums, place)
    return by_account


def _partial(sums: Sums, place: int) -> Partial:
    partial = Partial(int(sums.event_counts[place]), int(sums.value_counts[place]))
    partial.min_event_time = instant_from_microseconds(int(sums.min_times[place]))
    partial.max_event_time = instant_from_microseconds(int(sums.max_times[place]))
    kept = sums.kept
    if kept is None or not partial.value_count:
        return partial

    columns = (kept.sums, kept.mins, kept.maxs, kept.latest_values)
    values = [EXACT.scaleb(Decimal(int(column[place])), -kept.scale) for column in columns]
    partial.value_sum, partial.value_min, partial.value_max, partial.latest_value = values
    partial.latest_time = instant_from_microseconds(int(kept.latest_times[place]))
    partial.latest_id = kept.latest_keys.text(place)
    return partial
