"""What is rated together: bill periods, the parts of them that an attachment covers, and their windows (R4.2, R4.3).

Three stretches of time play together: the *asked* period, which may begin and end anywhere; the grid's bill periods,
cut to the attachment; and the schedules of pricings. A window always reaches back to where its bands begin, even if
only its end is asked for.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from ratel.core.account import Account, Attachment
from ratel.core.compiled import CompiledPlan, CompiledThing, InForce
from ratel.core.family import Pool, Pooled
from ratel.core.meter import RollupDefinition
from ratel.core.period import Grid, Period, days
from ratel.core.pricing import Pricing


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """An account on a plan.

    Attributes:
        grid: of its bill periods.
        asked: what of the attachment is asked for.
        pool: whose usage it charges; None: that of the account that is rated.
    """

    attachment: Attachment
    plan: CompiledPlan
    grid: Grid
    asked: Period
    pool: Pool | None = None

    @property
    def accumulation_start(self) -> datetime:
        """Where usage that accumulates began to: with the attachment, or with one that it went on from (R4.1)."""
        return self.attachment.accumulation_start or self.attachment.period.start

    def days(self, period: Period) -> int:
        """Return the local days of a period that has an end (R4.4)."""
        return days(period.start, end_of(period), self.grid.zone)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One bill period of a service.

    Attributes:
        bill_period: the whole period of the grid.
        covered: what of it the attachment covers.
        asked: what of that is asked for.
    """

    service: Service
    bill_period: Period
    covered: Period
    asked: Period


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a part in which one pricing is in force: it is priced by itself, with bands from zero.

    Attributes:
        asked: what of it is asked for.
        accumulation_start: where usage that accumulates began to (R5).
    """

    pricing: Pricing
    period: Period
    asked: Period
    accumulation_start: datetime

    @property
    def origin(self) -> datetime:
        """Where its bands begin to count."""
        return self.accumulation_start if self.pricing.accumulate else self.period.start


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch in which the same pricings are in force for a thing.

    Attributes:
        is_asked: whether it is asked for, or only lies between a window's origin and what is asked for.
        pooled: whose usage counts when; none: that of the account that is rated, all the time.
    """

    period: Period
    in_force: InForce
    is_asked: bool
    pooled: tuple[Pooled, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ThingPart:
    """One priced thing in one part.

    Attributes:
        windows: those of which something is asked for; by segment, then time.
        slices: disjoint, by time; none for a counter.
    """

    part: Part
    thing: CompiledThing
    windows: tuple[Window, ...]
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """Asks what is kept of accounts' events in a period, for each combination of the rollup's dimensions.

    Attributes:
        account_ids: whose events; none: those of the account that is rated.
    """

    rollup: RollupDefinition
    period: Period
    account_ids: frozenset[str] = frozenset()


def reads_of(rollup: RollupDefinition, piece: Slice) -> Iterator[Read]:
    """Yield what must be read for a slice."""
    if not piece.pooled:
        yield Read(rollup, piece.period)
    for each in piece.pooled:
        yield Read(rollup, each.period, each.account_ids)


def end_of(period: Period) -> datetime:
    """Return the end of a period that has one.

    Raises:
        ValueError: it has none.
    """
    if period.end is None:
        raise ValueError("the period has no end")
    return period.end


def service_of(
    account: Account, attachment: Attachment, plan: CompiledPlan, asked: Period, pool: Pool | None = None
) -> Service | None:
    """Return the part of an attachment that is asked for; None if there is none."""
    found = attachment.period.intersect(asked)
    return Service(attachment, plan, plan.grid(attachment.epoch, account.epoch), found, pool) if found else None


def parts_of(service: Service) -> Iterator[Part]:
    """Yield the bill periods of which something is asked for, by time."""
    for bill_period in service.grid.periods(service.asked):
        covered = bill_period.intersect(service.attachment.period)
        asked = bill_period.intersect(service.asked)
        if covered and asked:
            yield Part(service, bill_period, covered, asked)


def thing_part(part: Part, thing: CompiledThing, cuts: Sequence[datetime] = ()) -> ThingPart:
    """Return the windows of a thing in a part, and the slices in which its usage is needed.

    Args:
        part: of a service.
        thing: one of the plan's.
        cuts: instants, ascending, at which slices end so that what lies before and after is known apart (R7.3).
    """
    windows = tuple(_windows(part, thing))
    slices = tuple(_cut(_slices(part, thing, windows), cuts)) if thing.aggregations else ()
    pool = part.service.pool
    if pool is not None:
        is_broken_down = pool.is_broken_down and thing.is_broken_down
        slices = tuple(replace(each, pooled=pool.of(each.period, is_broken_down=is_broken_down)) for each in slices)
    return ThingPart(part, thing, windows, slices)


def _windows(part: Part, thing: CompiledThing) -> Iterator[Window]:
    for period, pricing in thing.stretches:
        window = period.intersect(part.covered)
        asked = window and window.intersect(part.asked)
        if window and asked:
            yield Window(pricing, window, asked, part.service.accumulation_start)


def _slices(part: Part, thing: CompiledThing, windows: tuple[Window, ...]) -> Iterator[Slice]:
    if _reaches_back(part, thing):
        # What had come together as the part began, apart from what its own windows add.
        for start, end in pairwise((part.service.accumulation_start, part.covered.start, part.asked.start)):
            for period, in_force in thing.cut(start, end):
                yield Slice(period, in_force, is_asked=False)
    else:
        segments = {window.pricing.segment for window in windows}
        origin = min((window.period.start for window in windows), default=part.asked.start)
        for period, in_force in thing.cut(origin, part.asked.start):
            if any(pricing.segment in segments for pricing in in_force.pricings):
                yield Slice(period, in_force, is_asked=False)
    for period, in_force in thing.cut(part.asked.start, end_of(part.asked)):
        yield Slice(period, in_force, is_asked=True)


def _reaches_back(part: Part, thing: CompiledThing) -> bool:
    """Tell whether usage before a part must be known for it: of the first that is asked for, if any usage accumulates.

    The parts after it go on from what has come together by then.
    """
    is_first = part.asked.start == part.service.asked.start
    return is_first and any(pricing.accumulate for _, pricing in thing.stretches)


def _cut(slices: Iterable[Slice], cuts: Sequence[datetime]) -> Iterator[Slice]:
    for each in slices:
        start, end = each.period.start, end_of(each.period)
        inside = cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]
        for piece in pairwise([start, *inside, end]):
            yield replace(each, period=Period(*piece)) if inside else each
