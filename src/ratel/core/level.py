"""The level of a counter over time (R8.1)."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

from ratel.core.counter import Adjustment
from ratel.core.money import ZERO


class Levels:
    """One account's level of one counter: that of the last adjustment, for ever; 0 before the first.

    Args:
        adjustments: of that account and counter, one a day at most.
    """

    def __init__(self, adjustments: Iterable[Adjustment] = ()) -> None:
        own = sorted(adjustments, key=lambda each: each.date)
        self._dates = [each.date for each in own]
        self._levels = [ZERO, *(each.level for each in own)]

    def on(self, day: date) -> Decimal:
        """Return the level from the start of a day on."""
        return self._levels[bisect_right(self._dates, day)]

    def changes(self, first: date, end: date) -> Iterator[tuple[date, Decimal, Decimal]]:
        """Yield day, level before and level from then on, where an adjustment on ``[first, end)`` changes it."""
        for index in range(bisect_left(self._dates, first), bisect_left(self._dates, end)):
            before, after = self._levels[index : index + 2]
            if before != after:
                yield self._dates[index], before, after


def levels_by_counter(adjustments: Iterable[Adjustment]) -> dict[str, Levels]:
    """Return the levels of each counter that one account has adjustments of."""
    apart: dict[str, list[Adjustment]] = {}
    for each in adjustments:
        apart.setdefault(each.counter_id, []).append(each)
    return {counter_id: Levels(found) for counter_id, found in apart.items()}
