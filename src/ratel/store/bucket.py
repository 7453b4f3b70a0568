"""Buckets of rollups as rows of binary COPY, encoded by column from `core.sums`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from ratel.core.block import Flags, Places, UInt64s
from ratel.core.event import segment_key
from ratel.core.rollup import DAY_GRAIN, HOUR_GRAIN
from ratel.core.sums import Kept, Keys, Pause, Sums, by_day, no_pause
from ratel.store.encoding import (
    POSTGRES_EPOCH,
    Part,
    Parts,
    Piece,
    null,
    number_parts,
    pieces_of,
    sized,
    table_of,
    text_array,
    together,
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


def encode_buckets(hours: Sequence[Sums], pause: Pause = no_pause) -> memoryview:
    """Return sums by the hour, and the days that they make up: rows of `BUCKET_COLUMNS` in the order of their key."""
    grains = [(sums, HOUR_GRAIN) for sums in hours]
    for sums in hours:
        pause()
        grains.append((by_day(sums), DAY_GRAIN))
    keys = [_segment_keys(sums) for sums, _ in grains]
    heads, ids, segments = list[Piece](), list[Piece](), list[Piece]()
    first = 0
    for (sums, grain), key in zip(grains, keys, strict=True):
        for layer, pieces in ((heads, _heads(sums, grain, key)), (ids, _latest_ids(sums)), (segments, _segments(sums))):
            pause()
            layer += [Piece(piece.rows + first, piece.table) for piece in pieces]
        first += len(sums)
    pause()
    return together((heads, ids, segments), _order(grains, keys))


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


def _heads(sums: Sums, grain: int, keys: UInt64s) -> Iterator[Piece]:
    """Yield all but the last two columns of each row."""
    carried = _carried(sums)
    for flag in (False, True):
        places = np.flatnonzero(carried == flag)
        if len(places):
            parts = _key_parts(sums, grain, keys, places)
            parts += _kept_parts(sums.kept, places) if flag and sums.kept is not None else _nothing()
            yield Piece(places, table_of(parts, len(places)))


def _carried(sums: Sums) -> Flags:
    """Tell which elements keep anything of values."""
    return sums.value_counts > 0 if sums.kept is not None else np.zeros(len(sums), np.bool_)


def _segments(sums: Sums) -> Iterator[Piece]:
    return pieces_of(list(map(_segment, sums.segments)), sums.segment_nos)


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


def _latest_ids(sums: Sums) -> Iterator[Piece]:
    """Yield the ids of the latest values, where there are any."""
    carried = _carried(sums)
    without, own = np.flatnonzero(~carried), np.flatnonzero(carried)
    if len(without):
        yield from _at(without, pieces_of([_NULL], np.zeros(len(without), np.intp)))
    if sums.kept is None or not len(own):
        return
    keys = sums.kept.latest_keys.take(own)
    is_hashed = np.zeros(len(own), np.bool_) if keys.ids is None else np.array([each is not None for each in keys.ids])
    plain = np.flatnonzero(~is_hashed)
    yield Piece(own[plain], table_of([_id_part(keys.take(plain))], len(plain)))
    if keys.ids is not None:
        hashed = np.flatnonzero(is_hashed)
        ids = [sized(each.encode()) for each in keys.ids[hashed]]
        yield from _at(own[hashed], pieces_of(ids, np.arange(len(ids))))


def _at(rows: Places, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield pieces of some rows as those of all."""
    return (Piece(rows[piece.rows], piece.table) for piece in pieces)
