"""Buckets of rollups as rows of binary COPY, encoded by column from `core.sums`."""

from collections.abc import Sequence
from operator import add
from typing import Final

import numpy as np

from ratel.core.block import Flags, Places, UInt64s
from ratel.core.event import segment_key
from ratel.core.rollup import DAY_GRAIN, HOUR_GRAIN
from ratel.core.sums import Kept, Keys, Sums, by_day
from ratel.store.encoding import (
    HEADER,
    POSTGRES_EPOCH,
    TRAILER,
    Part,
    Parts,
    null,
    number_parts,
    rows_of,
    sized,
    spread,
    text_array,
)

BUCKET_COLUMNS: Final = (
    *("account_no", "rollup_no", "grain", "bucket_time", "segment_key"),
    *("event_count", "min_event_time", "max_event_time", "value_count"),
    *("value_sum", "value_min", "value_max", "latest_time", "latest_value", "value_moment"),
    *("latest_id", "segment"),
)
_NULL: Final = b"\xff\xff\xff\xff"
# After so many digits of an id stand its hyphens.
_HYPHENS: Final = (8, 12, 16, 20)


def encode_buckets(hours: Sequence[Sums]) -> bytes:
    """Return sums by the hour, and the days that they make up: rows of `BUCKET_COLUMNS` in the order of their key."""
    grains = [(sums, HOUR_GRAIN) for sums in hours] + [(by_day(sums), DAY_GRAIN) for sums in hours]
    keys = [_segment_keys(sums) for sums, _ in grains]
    rows = [row for (sums, grain), key in zip(grains, keys, strict=True) for row in _rows(sums, grain, key)]
    order = _order(grains, keys)
    return b"".join([HEADER, *(rows[place] for place in order.tolist()), TRAILER])


def _order(grains: Sequence[tuple[Sums, int]], keys: Sequence[UInt64s]) -> Places:
    """Return the order of the rows' keys."""
    rollups = [np.full(len(sums), sums.rollup.rollup_no * (DAY_GRAIN + 1) + grain) for sums, grain in grains]
    segments = [_ranks(key)[sums.segment_nos] for (sums, _), key in zip(grains, keys, strict=True)]
    starts = np.concatenate([sums.starts for sums, _ in grains])
    account_nos = np.concatenate([sums.account_nos for sums, _ in grains])
    return np.lexsort((np.concatenate(segments), starts, np.concatenate(rollups), account_nos))


def _segment_keys(sums: Sums) -> UInt64s:
    """Return both halves of each segment's key, as numbers in the order of the keys."""
    raw = b"".join(map(segment_key, sums.segments))
    return np.frombuffer(raw, ">u8").astype(np.uint64).reshape(-1, 2)


def _ranks(keys: UInt64s) -> Places:
    """Return which place each key has in their order."""
    return np.argsort(np.lexsort((keys[:, 1], keys[:, 0])))


def _rows(sums: Sums, grain: int, keys: UInt64s) -> list[bytes]:
    """Return rows; what has the same width in all of them is put together at once."""
    kept, count = sums.kept, len(sums)
    carried: Flags = sums.value_counts > 0 if kept is not None else np.zeros(count, np.bool_)
    has_own_ids = kept is not None and kept.latest_keys.ids is not None
    is_whole = not has_own_ids and len(sums.segments) == 1
    made = []
    for flag in (False, True):
        places = np.flatnonzero(carried == flag)
        if len(places):
            parts = _key_parts(sums, grain, keys, places)
            parts += _kept_parts(kept, places) if flag and kept is not None else _nothing()
            if not has_own_ids:
                parts.append(
                    _id_part(kept.latest_keys.take(places)) if flag and kept is not None else _bytes_part(_NULL)
                )
            if is_whole:
                parts.append(_bytes_part(_segment(sums.segments[0])))
            made.append((places, rows_of(parts, len(places))))
    rows = spread(made, count)
    if has_own_ids and kept is not None:
        rows = list(map(add, rows, _latest_ids(kept.latest_keys, carried)))
    if is_whole:
        return rows
    segments = np.array([*map(_segment, sums.segments), None], np.object_)[sums.segment_nos]
    return list(map(add, rows, segments.tolist()))


def _bytes_part(value: bytes) -> Part:
    return Part(("u1", len(value)), np.frombuffer(value, np.uint8))


def _segment(values: tuple[str, ...]) -> bytes:
    return text_array(values) if values else sized(bytes(8) + (25).to_bytes(4, "big"))


def _key_parts(sums: Sums, grain: int, keys: UInt64s, places: Places) -> Parts:
    segments = keys[sums.segment_nos[places]]
    return [
        *(Part(">i2", len(BUCKET_COLUMNS)), Part(">i4", 4), Part(">i4", sums.account_nos[places])),
        *(Part(">i4", 4), Part(">i4", sums.rollup.rollup_no), Part(">i4", 2), Part(">i2", grain)),
        *(Part(">i4", 8), Part(">i8", sums.starts[places] - POSTGRES_EPOCH)),
        *(Part(">i4", 16), Part(">u8", segments[:, 0]), Part(">u8", segments[:, 1])),
        *(Part(">i4", 8), Part(">i8", sums.event_counts[places])),
        *(Part(">i4", 8), Part(">i8", sums.min_times[places] - POSTGRES_EPOCH)),
        *(Part(">i4", 8), Part(">i8", sums.max_times[places] - POSTGRES_EPOCH)),
        *(Part(">i4", 8), Part(">i8", sums.value_counts[places])),
    ]


def _nothing() -> Parts:
    """Return the parts of what is kept of no value: a sum of 0, and nothing else."""
    zero = [Part(">i4", 8), *(Part(">i2", 0) for _ in range(4))]
    return [*zero, *(part for _ in range(5) for part in null())]


def _kept_parts(kept: Kept, places: Places) -> Parts:
    scales = np.full(len(places), kept.scale, np.int8)
    sums, mins, maxs, latest = (
        number_parts(each[places], scales) for each in (kept.sums, kept.mins, kept.maxs, kept.latest_values)
    )
    time = [Part(">i4", 8), Part(">i8", kept.latest_times[places] - POSTGRES_EPOCH)]
    return [*sums, *mins, *maxs, *time, *latest, *null()]


def _id_part(keys: Keys) -> Part:
    """Return the ids that keys are of, if they are not hashed."""
    raw = np.empty((len(keys.highs), 2), ">u8")
    raw[:, 0], raw[:, 1] = keys.highs, keys.lows
    texts = np.full((len(raw), 40), ord("-"), np.uint8)
    texts[:, :4] = (0, 0, 0, 36)
    start = 4
    for digits in np.split(np.frombuffer(raw.tobytes().hex().encode(), np.uint8).reshape(-1, 32), _HYPHENS, axis=1):
        texts[:, start : start + digits.shape[1]] = digits
        start += digits.shape[1] + 1
    return Part(("u1", 40), texts)


def _latest_ids(keys: Keys, carried: Flags) -> list[bytes]:
    """Return the ids of the latest values, where there are any and some are of hashed keys."""
    found = rows_of([_id_part(keys)], len(carried))
    for place in np.flatnonzero(~carried).tolist():
        found[place] = _NULL
    if keys.ids is not None:
        for place in np.flatnonzero(carried).tolist():
            if keys.ids[place] is not None:
                found[place] = sized(keys.ids[place].encode())
    return found
