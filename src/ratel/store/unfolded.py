"""What is not in the rollups yet: added to the windows that were read from them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from ratel.core.event import Partial
from ratel.core.rollup import ByAccount, Hour
from ratel.core.tail import Tail
from ratel.store.question import Window

_ByRollup: TypeAlias = dict[int, list[Window]]


def add_remembered(tail: Tail, pending: Mapping[int, bool], windows: Sequence[Window]) -> list[int]:
    """Add to windows of complete rollups the whole hours of pending batches, as far as they are remembered.

    Returns:
        The ids of the others, whose events must be read.
    """
    if not pending:
        return []
    rollups = {window.span.rollup.rollup_no: window.span.rollup for window in windows}
    by_account = _by_account(windows)
    unknown = []
    for batch_id, is_dirty in pending.items():
        batch = tail.get(batch_id)
        if batch is None or is_dirty or not batch.knows(rollups):
            unknown.append(batch_id)
            continue
        for account_no, by_rollup in by_account.items():
            _add_hours(account_no, batch.hours(account_no, rollups.values()), by_rollup)
    return unknown


def add_hours_to(windows: Sequence[Window], hours: ByAccount) -> None:
    """Add whole hours to the windows that are read from buckets then."""
    for account_no, by_rollup in _by_account(windows).items():
        _add_hours(account_no, hours.get(account_no, {}), by_rollup)


def _by_account(windows: Iterable[Window]) -> dict[int, _ByRollup]:
    by_account: dict[int, _ByRollup] = {}
    for window in windows:
        for account_no in window.span.account_nos:
            by_account.setdefault(account_no, {}).setdefault(window.span.rollup.rollup_no, []).append(window)
    return by_account


def _add_hours(account_no: int, hours: Mapping[Hour, Partial], by_rollup: _ByRollup) -> None:
    for hour, partial in hours.items():
        for window in by_rollup.get(hour.rollup_no, ()):
            if window.holds_hour(hour.start):
                window.add(account_no, hour.segment, partial)
