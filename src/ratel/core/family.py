"""Parents and children: whose usage and levels an account's attachments charge, and when (R11.1).

For each product and instant a parent takes what its children have, unless they are on a plan of the product themselves.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ratel.core.account import Account, Attachment
from ratel.core.counter import Adjustment
from ratel.core.level import levels_by_counter
from ratel.core.money import ZERO
from ratel.core.period import Period, local_date


@dataclass(frozen=True, slots=True)
class Coverage:
    """A time in which an account is on a plan of a product."""

    product_id: str
    period: Period


@dataclass(frozen=True, slots=True)
class Child:
    """A child of an account, as far as the account's rating depends on it.

    Attributes:
        coverages: of all its attachments.
        adjustments: of all its counters.
        attachments: those that are charged on the parent's bills.
    """

    account: Account
    coverages: tuple[Coverage, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    attachments: tuple[Attachment, ...] = ()

    def covered(self, product_id: str) -> list[Period]:
        """Return when the child is on a plan of a product, by time."""
        return periods_of(self.coverages, product_id)


def periods_of(coverages: Iterable[Coverage], product_id: str) -> list[Period]:
    """Return when an account is on a plan of a product, by time."""
    return sorted((each.period for each in coverages if each.product_id == product_id), key=lambda each: each.start)


def gaps(asked: Period, covered: Iterable[Period]) -> Iterator[Period]:
    """Yield what periods leave of one that has an end, by time.

    Args:
        asked: see there.
        covered: by their start; they may overlap.
    """
    start, end = asked.start, asked.end
    for each in covered:
        if end is not None and start < min(each.start, end):
            yield Period(start, min(each.start, end))
        if each.end is None:
            return
        start = max(start, each.end)
    if end is not None and start < end:
        yield Period(start, end)


# --- Usage ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pooled:
    """The usage of some accounts in a stretch of time."""

    account_ids: frozenset[str]
    period: Period


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The accounts whose usage an attachment charges.

    Attributes:
        always: those that belong to it at any time.
        except_when: the others, each with when it does not belong to it, by time.
        is_broken_down: whether it must be known what is whose.
    """

    always: frozenset[str]
    except_when: tuple[tuple[str, tuple[Period, ...]], ...] = ()
    is_broken_down: bool = False

    def of(self, period: Period, *, is_broken_down: bool) -> tuple[Pooled, ...]:
        """Return whose usage in a period belongs to it.

        Args:
            period: has an end.
            is_broken_down: whether each account is to stand alone.
        """
        stretches: dict[Period, set[str]] = {period: set(self.always)}
        for account_id, covered in self.except_when:
            for gap in gaps(period, covered):
                stretches.setdefault(gap, set()).add(account_id)
        pooled = (Pooled(frozenset(ids), stretch) for stretch, ids in stretches.items())
        if not is_broken_down:
            return tuple(pooled)
        apart = (Pooled(frozenset((one,)), each.period) for each in pooled for one in each.account_ids)
        return tuple(sorted(apart, key=lambda each: (min(each.account_ids), each.period.start)))


def pool_of(account: Account, children: Iterable[Child], product_id: str, *, is_broken_down: bool) -> Pool:
    """Return the pool of an account's attachments to plans of a product."""
    always, others = {account.id}, []
    for child in children:
        covered = child.covered(product_id)
        if covered:
            others.append((child.account.id, tuple(covered)))
        else:
            always.add(child.account.id)
    return Pool(frozenset(always), tuple(others), is_broken_down)


# --- Levels -----------------------------------------------------------------------------------------------------------


def pooled_adjustments(
    own: Iterable[Adjustment], children: Iterable[Child], product_id: str, zone: str
) -> list[Adjustment]:
    """Return adjustments that set the sum of the levels of an account and of its children.

    A child's level counts on the days on which it is on no plan of the product. As elsewhere (R4.4) the day on which an
    attachment starts is its first, and the one on which it ends is not its own.

    Args:
        own: of the account; of counters of the product, as far as the result is used.
        children: of the account.
        product_id: of the counters.
        zone: in which days begin.
    """
    changes: dict[str, dict[date, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
    _add(changes, own, [])
    for child in children:
        days = [_days(each, zone) for each in child.covered(product_id)]
        _add(changes, child.adjustments, [(first, end) for first, end in days if end is None or first < end])
    return [
        Adjustment(counter_id, day, level)
        for counter_id, by_day in changes.items()
        for day, level in _running_sums(by_day)
    ]


def _days(period: Period, zone: str) -> tuple[date, date | None]:
    return local_date(period.start, zone), None if period.end is None else local_date(period.end, zone)


def _add(
    changes: Mapping[str, dict[date, Decimal]],
    adjustments: Iterable[Adjustment],
    covered: list[tuple[date, date | None]],
) -> None:
    """Add by how much the level of one account changes on each day, being zero while it is covered."""
    adjustments = tuple(adjustments)
    bounds = {bound for span in covered for bound in span if bound is not None}
    for counter_id, levels in levels_by_counter(adjustments).items():
        level = ZERO
        for day in sorted(bounds | {each.date for each in adjustments if each.counter_id == counter_id}):
            is_covered = any(first <= day and (end is None or day < end) for first, end in covered)
            now = ZERO if is_covered else levels.on(day)
            changes[counter_id][day] += now - level
            level = now


def _running_sums(changes: Mapping[date, Decimal]) -> Iterator[tuple[date, Decimal]]:
    level = ZERO
    for day in sorted(changes):
        level += changes[day]
        yield day, level
