"""STANDING_CHARGE: an amount for so many bill periods, by the days of them that are asked for (R6.1)."""

from collections.abc import Iterator
from decimal import Decimal

from ratel.core.bill import LineItem, LineItemKind, StandingChargeWorkings
from ratel.core.money import divide
from ratel.core.period import Period
from ratel.core.rating.draft import Draft, origin_of, rounded
from ratel.core.window import Service


def standing_charges(draft: Draft) -> Iterator[LineItem]:
    """Yield one line item for each span of bill periods that a plan's standing charge is for."""
    for service in draft.scope.services:
        if service.plan.terms.standing_charge:
            for span in _spans(service):
                yield from _line_item(service, span, service.plan.terms.standing_charge)


def _spans(service: Service) -> Iterator[Period]:
    """Yield the spans that overlap what is asked for; the first begins so many periods after the attachment's start."""
    grid, terms = service.grid, service.plan.terms
    first = grid.number_at(service.attachment.period.start) + terms.standing_charge_offset
    count = max((grid.number_at(service.asked.start) - first) // terms.standing_charge_interval, 0)
    number = first + count * terms.standing_charge_interval
    while service.asked.end is not None and grid.boundary(number) < service.asked.end:
        start, number = grid.boundary(number), number + terms.standing_charge_interval
        if start < grid.boundary(number):  # a day that the zone skipped is no period
            yield Period(start, grid.boundary(number))


def _line_item(service: Service, span: Period, amount: Decimal) -> Iterator[LineItem]:
    asked = span.intersect(service.asked)
    if asked is None or not service.days(asked):
        return
    workings = StandingChargeWorkings(amount, service.days(asked), service.days(span))
    exact_amount = amount
    if workings.days != workings.period_days:
        exact_amount = divide(amount * workings.days, Decimal(workings.period_days))
    yield LineItem(
        kind=LineItemKind.STANDING_CHARGE,
        description=service.plan.terms.standing_charge_description,
        origin=origin_of(service),
        pricing_id="",
        priced=None,
        segment=(),
        bill_period=service.grid.period_at(asked.start),
        service=asked,
        currency=service.plan.template.currency,
        amount=rounded(service, exact_amount),
        exact_amount=exact_amount,
        workings=workings,
        in_advance=service.plan.terms.standing_charge_in_advance,
    )
