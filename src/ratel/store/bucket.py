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
    *("account_no", "rollup_no", "grain", "bucket_time", "segment_key", "event_count", "value_count"),
    *("value_sum", "value_min", "value_max", "latest_time", "latest_value", "value_moment"),
    *("latest_id", "segment"),
)
_NULL: Final = b"\xff\xff\xff\xff"
_HYPHENS: Final = (8, 13, 18, 23)
_DIGITS: Final = tuple(place for place in range(36) if place not in _HYPHENS)
_HEXADECIMAL: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


def encode_buckets(hours: Sequence[Sums]) -> bytes:
    """Return sums by the hour, and the days that they make up: rows of `BUCKET_COLUMNS` in the order of their key."""
    grains = [(sums, HOUR_GRAIN) for sums in hours] + [(by_day(sums), DAY_GRAIN) for sums in hours]
    keys = [_segment_keys(sums) for sums, _ in grains]
    rows = [row for (sums, grain), key in zip(grains, keys, strict=True) for row in _rows(sums, grain, key)]
    key_columns = [
        np.concatenate([key[sums.segment_nos, 1] for (sums, _), key in zip(grains, keys, strict=True)]),
        np.concatenate([key[sums.segment_nos, 0] for (sums, _), key in zip(grains, keys, strict=True)]),
        np.concatenate([sums.starts for sums, _ in grains]),
        np.concatenate([np.full(len(sums), grain) for sums, grain in grains]),
        np.concatenate([np.full(len(sums), sums.rollup.rollup_no) for sums, _ in grains]),
        np.concatenate([sums.account_nos for sums, _ in grains]),
    ]
    order = np.lexsort(key_columns)
    return HEADER + b"".join([rows[place] for place in order.tolist()]) + TRAILER


def _segment_keys(sums: Sums) -> UInt64s:
    """Return both halves of each segment's key, as numbers in the order of the keys."""
    raw = b"".join(map(segment_key, sums.segments))
    return np.frombuffer(raw, ">u8").astype(np.uint64).reshape(-1, 2)


def _rows(sums: Sums, grain: int, keys: UInt64s) -> list[bytes]:
    kept, count = sums.kept, len(sums)
    carried: Flags = sums.value_counts > 0 if kept is not None else np.zeros(count, np.bool_)
    made = []
    for flag in (False, True):
        places = np.flatnonzero(carried == flag)
        if len(places):
            parts = _key_parts(sums, grain, keys, places)
            parts += _kept_parts(kept, places) if flag and kept is not None else _nothing()
            made.append((places, rows_of(parts, len(places))))
    rows = spread(made, count)
    if kept is not None:
        rows = list(map(add, rows, _latest_ids(kept.latest_keys, carried)))
    else:
        rows = [row + _NULL for row in rows]
    segments = np.array([*map(_segment, sums.segments), None], np.object_)[sums.segment_nos]
    return list(map(add, rows, segments.tolist()))


def _segment(values: tuple[str, ...]) -> bytes:
    return text_array(values) if values else sized(bytes(8) + (25).to_bytes(4, "big"))


def _key_parts(sums: Sums, grain: int, keys: UInt64s, places: Places) -> Parts:
    segments = keys[sums.segment_nos[places]]
    return [
        *(Part(">i2", len(BUCKET_COLUMNS)), Part(">i4", 4), Part(">i4", sums.account_nos[places])),
        *(Part(">i4", 4), Part(">i4", sums.rollup.rollup_no), Part(">i4", 2), Part(">i2", grain)),
        *(Part(">i4", 8), Part(">i8", sums.starts[places] - POSTGRES_EPOCH)),
        *(Part(">i4", 16), Part(">u8", segments[:, 0]), Part(">u8", segments[:, 1])),
        *(
            Part(">i4", 8),
            Part(">i8", sums.event_counts[places]),
            Part(">i4", 8),
            Part(">i8", sums.value_counts[places]),
        ),
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


def _latest_ids(keys: Keys, carried: Flags) -> list[bytes]:
    """Return the ids of the latest values, where there are any."""
    raw = np.empty((len(carried), 2), ">u8")
    raw[:, 0], raw[:, 1] = keys.highs, keys.lows
    halves = raw.view(np.uint8).reshape(-1, 16)
    texts = np.full((len(carried), 40), ord("-"), np.uint8)
    texts[:, :4] = (0, 0, 0, 36)
    digits = np.stack([halves >> 4, halves & 15], axis=2).reshape(-1, 32)
    texts[:, [4 + place for place in _DIGITS]] = _HEXADECIMAL[digits]
    found: list[bytes] = texts.view("V40").reshape(-1).tolist()
    for place in np.flatnonzero(~carried).tolist():
        found[place] = _NULL
    if keys.ids is not None:
        for place in np.flatnonzero(carried).tolist():
            if keys.ids[place] is not None:
                found[place] = sized(keys.ids[place].encode())
    return found
