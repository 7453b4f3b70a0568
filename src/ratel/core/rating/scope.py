"""What is rated, and what must be read for it: found before any usage is known, so that one query can fetch it all."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, date, datetime

from ratel.core.account import Account, Attachment, ChildBilling
from ratel.core.bill import LineItem
from ratel.core.compiled import CompiledPlan
from ratel.core.counter import Adjustment
from ratel.core.currency import Exchange
from ratel.core.errors import Invalid, PeriodInvalid, Violation
from ratel.core.family import Child, Coverage, Pool, gaps, periods_of, pool_of
from ratel.core.integral import changes_read
from ratel.core.limits import BILL_WINDOWS_MAX, RATING_WINDOWS_MAX, RATING_YEARS_MAX
from ratel.core.meter import Meter, counting_rollup
from ratel.core.money import exact
from ratel.core.period import Frequency, Grid, Period
from ratel.core.plan import Settings
from ratel.core.prepayment import BalanceBook, Commitment
from ratel.core.promotion import GrantedPromotion
from ratel.core.purchase import AdHocCharge, Purchase
from ratel.core.window import Part, Read, Service, ThingPart, parts_of, reads_of, service_of, thing_part


@dataclass(frozen=True, slots=True)
class RatingContext:
    """An account and all that its rating depends on but usage, from one snapshot.

    Attributes:
        attachments: those that overlap what is asked for; others do no harm.
        adjustments: all until the end of what is asked for.
        plans: those of the attachments, of children too, by id.
        meters: all meters, so that usage outside attachments is found.
        granted: the promotions of the account's grants; those that never overlap the attachments do no harm.
        settings: what holds for accounts without a plan too.
        purchases: for bills only: all of them.
        ad_hoc_charges: for bills only: all of them.
        commitments: for bills only: all of them; `plans` has those of their fee schedules too.
        balances: for bills only: all of them.
        children: of the account (R11.1).
        parent_coverages: of the account's parent.
    """

    account: Account
    attachments: tuple[Attachment, ...]
    adjustments: tuple[Adjustment, ...]
    plans: dict[str, CompiledPlan]
    meters: tuple[Meter, ...] = ()
    granted: tuple[GrantedPromotion, ...] = ()
    settings: Settings = Settings()
    purchases: tuple[Purchase, ...] = ()
    ad_hoc_charges: tuple[AdHocCharge, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    balances: tuple[BalanceBook, ...] = ()
    children: tuple[Child, ...] = ()
    parent_coverages: tuple[Coverage, ...] = ()

    def own_grid(self, frequency: Frequency) -> Grid:
        """Return the account's own periods of a frequency, of whatever plan (R4.2)."""
        epoch = self.account.epoch
        return Grid(frequency, 1, self.settings.epoch(frequency) if epoch is None else epoch, self.settings.time_zone)

    @property
    def exchange(self) -> Exchange:
        """What brings amounts into the account's currency, by the rates of the settings."""
        return self.settings.exchange(self.account.currency)

    @property
    def cuts(self) -> list[datetime]:
        """The instants, ascending, between which parts of usage line items must be known (R7.3)."""
        periods = [each.grant.period for each in self.granted]
        periods += [each.period for each in self.commitments]
        periods += [each.balance.period for each in self.balances]
        instants = {instant for period in periods for instant in (period.start, period.end)}
        attachments = [*self.attachments, *(each for child in self.children for each in child.attachments)]
        instants |= {each.trial_end for each in attachments}
        return sorted(filter(None, instants | {each.balance.rollover_end for each in self.balances}))

    def pool(self, plan: CompiledPlan) -> Pool | None:
        """Return whose usage an attachment of the account to a plan charges; None: only its own."""
        if not self.children:
            return None
        is_broken_down = self.account.child_billing is ChildBilling.BREAKDOWN
        return pool_of(self.account, self.children, plan.template.product_id, is_broken_down=is_broken_down)


@dataclass(frozen=True, slots=True)
class Scope:
    """What of an account is rated.

    Attributes:
        services: by the start of their attachments.
        parts: by service, then time.
        thing_parts: by service, then thing, then time.
        unattached: the event counts to read where the account is on no plan of the meter's product.
        before: what must be rated before, only for what it leaves of promotions.
        dated: for bills only: what falls due on a day beside all service.
        frequency: for bills only: whose they are. Where other bills share its commitments and balances, the services
            of all frequencies are there.
    """

    context: RatingContext
    asked: Period
    services: tuple[Service, ...]
    parts: tuple[Part, ...]
    thing_parts: tuple[ThingPart, ...]
    unattached: tuple[Read, ...]
    before: "Scope | None" = None
    dated: tuple[tuple[date, LineItem], ...] = ()
    frequency: Frequency | None = None

    @property
    def counted(self) -> Iterator[Read]:
        """What must be known of the account's events for each priced thing."""
        return (
            read
            for thing_part in self.thing_parts
            for aggregation in thing_part.thing.aggregations
            for each in thing_part.slices
            for read in reads_of(aggregation.rollup, each)
        )

    @property
    def reads(self) -> tuple[Read, ...]:
        """All that must be read of the account's events, each once."""
        before = self.before.reads if self.before else ()
        return tuple(dict.fromkeys([*before, *changes_read(self.counted), *self.unattached]))


def check_asked(asked: Period) -> None:
    """Check that a period can be asked for.

    Raises:
        PeriodInvalid: it has no end, or is longer than `RATING_YEARS_MAX` years, at ``end_time``.
    """
    if asked.end is None or asked.end > _years_later(asked.start):
        raise PeriodInvalid(f"must be at most {RATING_YEARS_MAX} years after the start", "end_time")


def _years_later(start: datetime) -> datetime:
    year = start.year + RATING_YEARS_MAX
    if year > MAXYEAR:
        return datetime.max.replace(tzinfo=start.tzinfo)
    try:
        return start.replace(year=year)
    except ValueError:  # February 29 of a year that has none
        return start.replace(year=year, month=3, day=1)


@exact
def survey(context: RatingContext, asked: Period) -> Scope:
    """Find what is to be rated.

    Args:
        context: see there.
        asked: any period with an end; it may cut bill periods and windows.

    Raises:
        Invalid: there are more than `RATING_WINDOWS_MAX` windows, at ``end_time``.
        PeriodInvalid: a bill period reaches outside the years 1 to 9999.
    """
    scope = _survey(context, asked, RATING_WINDOWS_MAX)
    unattached = tuple(unattached_reads(context, scope.services, asked))
    start = _replay_start(context, asked)
    before = None
    if start < asked.start:
        before = _survey(context, Period(start, asked.start), BILL_WINDOWS_MAX)
    return replace(scope, unattached=unattached, before=before)


def _survey(context: RatingContext, asked: Period, count_max: int) -> Scope:
    services = tuple(services_of(context, asked))
    budget = Budget(count_max, "end_time")
    parts = tuple(part for service in services for part in budget.spend(parts_of(service)))
    thing_parts = tuple(budget.spend_windows(thing_parts_of(services, parts, context.cuts)))
    return Scope(context, asked, services, parts, thing_parts, ())


def _replay_start(context: RatingContext, asked: Period) -> datetime:
    """Return from where on an account must be rated so that it is known what promotions took off before.

    One with a `max_total` is counted from its grant on, others that are counted from the start of the bill periods
    that the asked period cuts; always from where a bill period begins.
    """
    starts = [asked.start]
    for each in context.granted:
        if not each.grant.period.overlaps(asked):
            continue
        if each.promotion.max_total is not None:
            starts.append(each.grant.period.start)
        elif each.promotion.is_counted_by_period:
            starts += _starts_of_parts(context, asked)
    first = min(starts)
    if first < asked.start:
        return min([first, *_starts_of_parts(context, Period(first, asked.end))])
    return first


def _starts_of_parts(context: RatingContext, period: Period) -> list[datetime]:
    """Return for each attachment where the first bill period begins that it has a part of in a period."""
    return [
        max(service.attachment.period.start, service.grid.period_at(service.asked.start).start)
        for service in services_of(context, period)
    ]


def in_order_of_start(attachments: Iterable[Attachment]) -> list[Attachment]:
    """Return attachments in the order in which they are rated."""
    return sorted(attachments, key=lambda each: (each.period.start, each.id))


def services_of(context: RatingContext, asked: Period) -> Iterator[Service]:
    """Yield what of each attachment is asked for, by the attachment's start."""
    for attachment in in_order_of_start(context.attachments):
        plan = context.plans[attachment.plan_id]
        service = service_of(context.account, attachment, plan, asked, context.pool(plan))
        if service:
            yield service


def thing_parts_of(services: Iterable[Service], parts: Iterable[Part], cuts: Sequence[datetime]) -> Iterator[ThingPart]:
    """Yield every priced thing of every part, by service, thing and time; see `thing_part` for the cuts."""
    parts = tuple(parts)
    for service in services:
        own = [part for part in parts if part.service is service]
        for thing in service.plan.things:
            yield from (thing_part(part, thing, cuts) for part in own)


class Budget:
    """Bounds the work of one account: stops while parts and windows are being made, not after.

    Args:
        count_max: how many bill periods, windows and slices there may be.
        field: the path of what asks for them.
    """

    def __init__(self, count_max: int, field: str) -> None:
        self._count_max = self._left = count_max
        self._field = field

    def spend(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Pass on bill periods as far as the budget goes."""
        for part in parts:
            self._take(1)
            yield part

    def spend_windows(self, thing_parts: Iterable[ThingPart]) -> Iterator[ThingPart]:
        """Pass on windows and slices as far as the budget goes."""
        for each in thing_parts:
            self._take(len(each.windows) + sum(len(piece.pooled) or 1 for piece in each.slices))
            yield each

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            message = f"must leave at most {self._count_max} windows to rate: ask for less at once"
            raise Invalid((Violation(self._field, "WINDOW_COUNT", message),))


# --- Usage outside attachments ----------------------------------------------------------------------------------------


def unattached_reads(context: RatingContext, services: Iterable[Service], asked: Period) -> Iterator[Read]:
    """Yield the event counts to read where neither the account nor its parent is on a plan of a meter's product."""
    covered = [*context.parent_coverages]
    covered += (Coverage(service.plan.template.product_id, service.asked) for service in services)
    for meter in sorted(context.meters, key=lambda each: each.id):
        counted = counting_rollup(meter.id)
        for period in gaps(asked, periods_of(covered, meter.product_id)):
            yield Read(counted, period)
