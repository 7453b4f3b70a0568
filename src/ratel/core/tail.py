"""The tail: what this process remembers of batches that are not in the rollups yet.

Only a cache. What is not in it, or was folded by other definitions, is read from the events; whether a batch still
counts beside the rollups is for the database to say.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from ratel.core.block import Block
from ratel.core.block_fold import fold_blocks
from ratel.core.event import Partial
from ratel.core.rollup import ByAccount, Hour, Rollup, add_hours, fold
from ratel.core.sums import partials_of

BYTES_MAX: Final = 160 * 2**20
"""What is remembered takes at most about so much. Batches beyond are folded from their events."""

BYTES_PER_PARTIAL: Final = 500

FEW_EVENTS: Final = 100
"""Fewer events of an account are folded one by one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What rollups keep of the events of one batch.

    Attributes:
        rollup_nos: the rollups that its events were folded by; of another nothing is known.
        by_account: never changed: readers share it.
    """

    rollup_nos: frozenset[int]
    by_account: ByAccount

    @property
    def size(self) -> int:
        """How much memory it takes."""
        return BYTES_PER_PARTIAL * sum(map(len, self.by_account.values()))

    def knows(self, rollup_nos: Collection[int]) -> bool:
        """Tell whether it knows what these rollups keep."""
        return self.rollup_nos.issuperset(rollup_nos)

    def hours(self, account_no: int, rollups: Collection[Rollup]) -> Mapping[Hour, Partial]:
        """Return what at least these rollups keep of an account's events."""
        return self.by_account.get(account_no, {})


@dataclass(frozen=True, slots=True)
class BlockBatch:
    """The events of one batch, of which anything can be told.

    Attributes:
        block: the events, which are never changed.
    """

    block: Block
    _asked: dict[tuple[int, frozenset[int]], Mapping[Hour, Partial]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How much memory it takes."""
        return self.block.size

    def knows(self, rollup_nos: Collection[int]) -> bool:
        """Tell whether it knows what these rollups keep: always."""
        return True

    def hours(self, account_no: int, rollups: Collection[Rollup]) -> Mapping[Hour, Partial]:
        """Return what these rollups keep of an account's events."""
        key = account_no, frozenset(rollup.rollup_no for rollup in rollups)
        if key not in self._asked:
            own = np.flatnonzero(self.block.account_nos == account_no)
            by_meter: dict[int, list[Rollup]] = {}
            for rollup in rollups:
                by_meter.setdefault(rollup.layout.meter_no, []).append(rollup)
            self._asked[key] = _folded(self.block.take(own), by_meter).get(account_no, {})
        return self._asked[key]


Remembered: TypeAlias = Batch | BlockBatch


def _folded(block: Block, rollups: Mapping[int, Sequence[Rollup]]) -> ByAccount:
    """Fold the events of one account: few one by one, because arrays have their price too."""
    if len(block) < FEW_EVENTS:
        return fold(block.events(), rollups)
    sums, rest = fold_blocks([block], rollups)
    add_hours(rest, partials_of(sums))
    return rest


class Tail:
    """The batches remembered, by id."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._batches: dict[int, Remembered] = {}
        self._retired: tuple[int, ...] = ()
        self._bytes_max = bytes_max
        self._size = 0

    @property
    def size(self) -> int:
        """How many bytes are about remembered."""
        return self._size

    def add(self, batch_id: int, batch: Remembered) -> None:
        """Remember a batch, unless there is no room. To be called before it is committed."""
        size = batch.size
        if self._size + size <= self._bytes_max:
            self._batches[batch_id] = batch
            self._size += size

    def batch_ids(self) -> list[int]:
        """Return the ids of what is remembered, in the order in which it came."""
        return list(self._batches)

    def get(self, batch_id: int) -> Remembered | None:
        """Return what is remembered of a batch."""
        return self._batches.get(batch_id)

    def forget(self, batch_id: int) -> None:
        """Drop a batch; always right."""
        batch = self._batches.pop(batch_id, None)
        if batch is not None:
            self._size -= batch.size

    def retire(self, batch_ids: Iterable[int]) -> None:
        """Drop the batches retired before these: a reader's snapshot may be older than the fold of these."""
        for batch_id in self._retired:
            self.forget(batch_id)
        self._retired = tuple(batch_ids)
