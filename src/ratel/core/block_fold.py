"""Blocks of events folded: by array where arrays can say what a rollup keeps, one by one where they cannot."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from ratel.core.block import Block, joined
from ratel.core.rollup import ByAccount, Rollup, add_hours, fold
from ratel.core.sums import Pause, Sums, is_summable, no_pause, partials_of, sums_of, together

EVENTS_AT_ONCE: Final = 100_000
"""Events that arrays sum up at once: more need much memory, fewer leave more sums to merge."""

_Rollups = Mapping[int, Sequence[Rollup]]


def fold_blocks(blocks: Sequence[Block], rollups: _Rollups, pause: Pause = no_pause) -> tuple[list[Sums], ByAccount]:
    """Return what rollups keep of disjoint blocks by the hour: sums, and what arrays cannot say.

    Args:
        blocks: of any accounts and meters.
        rollups: by meter number.
        pause: see there.
    """
    summable = {meter_no: [each for each in own if is_summable(each)] for meter_no, own in rollups.items()}
    others = {meter_no: [each for each in own if not is_summable(each)] for meter_no, own in rollups.items()}
    others = {meter_no: own for meter_no, own in others.items() if own}
    parts: list[Sums] = []
    rest: ByAccount = {}
    for block in _together(blocks):
        pause()
        sums = sums_of(block, summable, pause)
        if sums is None:
            add_hours(rest, fold(block.events(), rollups))
            continue
        parts += sums
        own = np.flatnonzero(np.isin(block.meter_nos, list(others)))
        if len(own):
            add_hours(rest, fold(block.take(own).events(), others))
    merged = together(parts, pause)
    if merged is None:
        for part in parts:
            add_hours(rest, partials_of([part]))
    return merged or [], rest


def _together(blocks: Sequence[Block]) -> Iterator[Block]:
    gathered: list[Block] = []
    for block in blocks:
        gathered.append(block)
        if sum(map(len, gathered)) >= EVENTS_AT_ONCE:
            yield joined(gathered)
            gathered = []
    if gathered:
        yield joined(gathered)
