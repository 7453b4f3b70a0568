"""What of an account's service is due up to an invoice date, and on which day each line item fell due (R12.3).

A line item falls due where a bill period of its attachment begins or ends: in advance as its part of a period begins,
in arrears when its service has ended; if that is inside a period, at the end of it. What falls due on one day stands
together, however late it is billed: so what is due does not depend on when bills are made.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final, TypeAlias

from ratel.core.account import Account, Attachment
from ratel.core.account_rating import UnattachedUsage, UnpricedUsage
from ratel.core.bill import LineItem
from ratel.core.currency import Exchanges
from ratel.core.family import Pool
from ratel.core.integral import Partials
from ratel.core.limits import BILL_WINDOWS_MAX
from ratel.core.money import exact
from ratel.core.period import Frequency, Grid, Period, local_date, start_of_day
from ratel.core.rating.breakdown import shown
from ratel.core.rating.conversion import convert
from ratel.core.rating.draft import Draft, ThingUsage
from ratel.core.rating.drawdown import draw_downs
from ratel.core.rating.fees import fees
from ratel.core.rating.purchases import dated_items
from ratel.core.rating.rate import BILL_PASSES, SERVICE_PASSES, add_passes, empty_draft
from ratel.core.rating.scope import (
    Budget,
    RatingContext,
    Scope,
    services_of,
    thing_parts_of,
    unattached_reads,
)
from ratel.core.rating.unpriced import unattached_usages, unpriced_usages
from ratel.core.window import Part, Read, Service, ThingPart, end_of, parts_of, service_of

_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC)
_MARGIN: Final = timedelta(days=2)

OWED_PASSES: Final = (*BILL_PASSES, draw_downs)
"""What acts on the line items of one bill."""


@dataclass(frozen=True, slots=True)
class DueItem:
    """A line item and the local day on which it fell due."""

    date: date
    item: LineItem


@dataclass(frozen=True, slots=True)
class Due:
    """All that an account owed up to an invoice date by one snapshot, whatever was billed of it.

    Attributes:
        items: by the day on which they fell due, then in the order of computation.
        unpriced_usages: usage of periods that are due, which no pricing takes.
        unattached_usages: usage outside every attachment, in the period that ends on the invoice date.
    """

    items: tuple[DueItem, ...]
    unpriced_usages: tuple[UnpricedUsage, ...]
    unattached_usages: tuple[UnattachedUsage, ...]

    def until(self, invoice_date: date) -> list[LineItem]:
        """Return what was due on an invoice date that is no later."""
        return [each.item for each in self.items if each.date <= invoice_date]


def known_period(invoice_date: date) -> Period:
    """Return a period that holds all that a bill may depend on, whatever the time zone."""
    try:
        return Period(_FIRST, datetime(invoice_date.year, invoice_date.month, invoice_date.day, tzinfo=UTC) + _MARGIN)
    except OverflowError:
        return Period(_FIRST, datetime.max.replace(tzinfo=UTC))


@exact
def survey_due(context: RatingContext, frequency: Frequency, invoice_date: date) -> Scope:
    """Find what is to be rated for the plans of a frequency: all bill periods that began by the invoice date.

    Args:
        context: with all attachments that started by the invoice date.
        frequency: of the plans to bill, whatever their interval.
        invoice_date: a local day.

    Raises:
        Invalid: there are more than `BILL_WINDOWS_MAX` windows, at ``invoice_date``.
        PeriodInvalid: a bill period reaches outside the years 1 to 9999.
    """
    frequencies = _frequencies(context, frequency)
    services = tuple(_services(context, frequencies, invoice_date))
    budget = Budget(BILL_WINDOWS_MAX, "invoice_date")
    parts = tuple(part for service in services for part in budget.spend(_parts(service, invoice_date)))
    thing_parts = (_without_usage_to_come(each, invoice_date) for each in thing_parts_of(services, parts, context.cuts))
    closed = _closed_period(context, frequency, invoice_date)
    reads: tuple[Read, ...] = ()
    if closed is not None:
        reads = tuple(unattached_reads(context, services_of(context, closed), closed))
    asked = closed or known_period(invoice_date)
    dated = tuple(_dated(context, frequencies, invoice_date))
    windows = tuple(budget.spend_windows(thing_parts))
    return Scope(context, asked, services, parts, windows, reads, dated=dated, frequency=frequency)


def _frequencies(context: RatingContext, frequency: Frequency) -> frozenset[Frequency]:
    """Return whose bills must be replayed: those of all frequencies if commitments or balances pay on each."""
    if not (context.commitments or context.balances):
        return frozenset((frequency,))
    attached = {context.plans[each.plan_id].template.frequency for _, each in _charged(context)}
    return frozenset((frequency, main_frequency(context), *attached))


def _services(context: RatingContext, frequencies: Set[Frequency], invoice_date: date) -> Iterator[Service]:
    for account, attachment in sorted(_charged(context), key=lambda each: (each[1].period.start, each[1].id)):
        plan = context.plans[attachment.plan_id]
        grid = plan.grid(attachment.epoch, account.epoch)
        invoice_time = start_of_day(invoice_date, grid.zone)
        if plan.template.frequency in frequencies and attachment.period.start <= invoice_time:
            # As far as what is paid in advance reaches.
            last = grid.boundary(grid.number_at(invoice_time) + plan.terms.standing_charge_interval)
            pool = context.pool(plan) if account is context.account else Pool(frozenset((account.id,)))
            service = service_of(account, attachment, plan, Period(attachment.period.start, last), pool)
            if service is not None:
                yield service


def _charged(context: RatingContext) -> Iterator[tuple[Account, Attachment]]:
    """Yield the attachments that are charged on an account's bills, each with the account that it is of (R11.1)."""
    if not context.account.billed_with_parent:
        for each in context.attachments:
            yield context.account, each
    for child in context.children:
        for each in child.attachments:
            yield child.account, each


def _parts(service: Service, invoice_date: date) -> Iterator[Part]:
    invoice_time = start_of_day(invoice_date, service.grid.zone)
    for part in parts_of(service):
        if part.bill_period.start > invoice_time:
            return
        yield part


def _without_usage_to_come(thing_part: ThingPart, invoice_date: date) -> ThingPart:
    """Leave out the usage of a period that is not over: it is billed in arrears, so it need not be read."""
    invoice_time = start_of_day(invoice_date, thing_part.part.service.grid.zone)
    is_over = end_of(thing_part.part.bill_period) <= invoice_time
    return thing_part if is_over else replace(thing_part, slices=())


def _closed_period(context: RatingContext, frequency: Frequency, invoice_date: date) -> Period | None:
    """Return the account's own period of the frequency up to the invoice date; None if nothing tells its calendar."""
    attached = (*context.attachments, *(each for child in context.children for each in child.attachments))
    if all(context.plans[each.plan_id].template.frequency is not frequency for each in attached):
        return None
    grid = context.own_grid(frequency)
    end = start_of_day(invoice_date, grid.zone)
    return Period(grid.period_at(end - timedelta.resolution).start, end)


def main_frequency(context: RatingContext) -> Frequency:
    """Return the frequency on whose bills stands what is of no plan: the first attachment's, else monthly."""
    first = min(context.attachments, key=lambda each: (each.period.start, each.id), default=None)
    return context.plans[first.plan_id].template.frequency if first else Frequency.MONTHLY


def _dated(context: RatingContext, frequencies: Set[Frequency], invoice_date: date) -> Iterator[tuple[date, LineItem]]:
    """Yield what falls due at an instant, with the day: where the account's own bill periods next begin."""
    frequency = main_frequency(context)
    if frequency not in frequencies:
        return
    grid = context.own_grid(frequency)
    for item in (*dated_items(context), *fees(context)):
        day = _boundary_from(grid, item.service.start)
        if day <= invoice_date:
            yield day, item


# --- When it falls due ------------------------------------------------------------------------------------------------


_Bill: TypeAlias = tuple[date, Frequency]
_FREQUENCIES: Final = list(Frequency)


class _Calendar:
    """Says on which bill line items fall due."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._services = {service.attachment.id: service for service in services}
        self._zone = next((service.grid.zone for service in self._services.values()), "UTC")
        plans = [service.plan for service in self._services.values()]
        self._frequencies = {plan.group.id: plan.template.frequency for plan in plans if plan.group is not None}

    def bill_of(self, item: LineItem) -> _Bill:
        """Return the bill on which a line item falls due."""
        if not item.origin.attachment_id:  # of a plan group, in arrears
            return local_date(end_of(item.bill_period), self._zone), self._frequencies[item.origin.plan_group_id]
        service = self._services[item.origin.attachment_id]
        instant = end_of(item.service)
        if item.in_advance:
            instant = (item.bill_period.intersect(service.attachment.period) or item.service).start
        return _boundary_from(service.grid, instant), service.plan.template.frequency

    def is_due_on(self, bill: _Bill, item: LineItem) -> bool:
        """Tell whether a line item falls due on a bill."""
        return self.bill_of(item) == bill


def due_days(scope: Scope) -> Callable[[LineItem], date]:
    """Return what tells the day on which a line item of an attachment falls due."""
    calendar = _Calendar(scope.services)
    return lambda item: calendar.bill_of(item)[0]


def _boundary_from(grid: Grid, instant: datetime) -> date:
    """Return the first day at or after an instant on which a bill period begins."""
    number = grid.number_at(instant)
    boundary = grid.boundary(number)
    return local_date(boundary if boundary == instant else grid.boundary(number + 1), grid.zone)


def _bills_of(part: Part) -> set[_Bill]:
    """Return the bills on which something of a part may fall due."""
    grid, frequency = part.service.grid, part.service.plan.template.frequency
    days = _boundary_from(grid, part.covered.start), local_date(end_of(part.bill_period), grid.zone)
    return {(day, frequency) for day in days}


@exact
def due(scope: Scope, partials: Partials, invoice_date: date, exchanges: Exchanges | None = None) -> Due:
    """Return all that is due up to an invoice date.

    Args:
        scope: what `survey_due` found.
        partials: what is kept of the account's events for each of ``scope.reads``.
        invoice_date: the same as of the survey.
        exchanges: by what the bills of each day are brought into their currency; None: by the account's.

    Raises:
        FormulaRange: a compound's result has too many digits.
        CurrencyRateMissing: there is no rate into the currency of a bill.
    """
    draft = empty_draft(scope, partials)
    add_passes(draft, SERVICE_PASSES)
    bills = _by_bill(draft, _Calendar(scope.services))
    items: list[DueItem] = []
    for day, frequency in sorted(bills, key=lambda bill: (bill[0], _FREQUENCIES.index(bill[1]))):
        if day <= invoice_date:
            found = bills[day, frequency]
            if exchanges is not None and frequency is scope.frequency:
                found.exchange = exchanges.on(day)
            convert(found)
            add_passes(found, OWED_PASSES)
            if frequency is scope.frequency:
                items += (DueItem(day, item) for item in shown(found, found.line_items))
    billed = {each.attachment.id for each in scope.services if each.plan.template.frequency is scope.frequency}
    unpriced = tuple(each for each in unpriced_usages(draft) if each.attachment_id in billed)
    return Due(tuple(items), unpriced, tuple(unattached_usages(scope, partials)))


def _by_bill(draft: Draft, calendar: _Calendar) -> dict[_Bill, Draft]:
    """Return for each bill a draft with what falls due then, and with what may be credited then."""
    usages: dict[_Bill, list[ThingUsage]] = defaultdict(list)
    items: dict[_Bill, list[LineItem]] = defaultdict(list)
    bills = {part: _bills_of(part) for part in draft.scope.parts}
    for usage in draft.thing_usages:
        for bill in bills[usage.thing_part.part]:
            usages[bill].append(usage)
    for item in draft.line_items:
        items[calendar.bill_of(item)].append(item)
    for day, item in draft.scope.dated:
        items[day, main_frequency(draft.scope.context)].append(item)
    zone = draft.scope.context.settings.time_zone
    return {
        bill: replace(
            draft,
            thing_usages=tuple(usages[bill]),
            line_items=items[bill],
            includes=partial(calendar.is_due_on, bill),
            invoice_time=start_of_day(bill[0], zone),
        )
        for bill in usages.keys() | items.keys()
    }
