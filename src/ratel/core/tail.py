"""The tail: what this process remembers of batches that are not in the rollups yet.

Only a cache. What is not in it, or was folded by other definitions, is read from the events; whether a batch still
counts beside the rollups is for the database to say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ratel.core.rollup import ByAccount

PARTIALS_MAX: Final = 400_000
"""Partials remembered: about 200 MB. Batches beyond are folded from their events."""


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
    def partial_count(self) -> int:
        """How much memory it takes."""
        return sum(map(len, self.by_account.values()))


class Tail:
    """The batches remembered, by id."""

    def __init__(self, partials_max: int = PARTIALS_MAX) -> None:
        self._batches: dict[int, Batch] = {}
        self._retired: tuple[int, ...] = ()
        self._partials_max = partials_max
        self._partial_count = 0

    @property
    def partial_count(self) -> int:
        """Partials remembered at the moment."""
        return self._partial_count

    def add(self, batch_id: int, batch: Batch) -> None:
        """Remember a batch, unless there is no room. To be called before it is committed."""
        size = batch.partial_count
        if self._partial_count + size <= self._partials_max:
            self._batches[batch_id] = batch
            self._partial_count += size

    def batch_ids(self) -> list[int]:
        """Return the ids of what is remembered, in the order in which it came."""
        return list(self._batches)

    def get(self, batch_id: int) -> Batch | None:
        """Return what is remembered of a batch."""
        return self._batches.get(batch_id)

    def forget(self, batch_id: int) -> None:
        """Drop a batch; always right."""
        batch = self._batches.pop(batch_id, None)
        if batch is not None:
            self._partial_count -= batch.partial_count

    def retire(self, batch_ids: Iterable[int]) -> None:
        """Drop the batches retired before these: a reader's snapshot may be older than the fold of these."""
        for batch_id in self._retired:
            self.forget(batch_id)
        self._retired = tuple(batch_ids)
