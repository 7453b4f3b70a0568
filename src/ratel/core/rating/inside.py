"""What of a charge lies inside a stretch of time (R7.3): what grants, trials, commitments and balances act on.

Of usage it is what its window came to meanwhile, of what is paid by time its days, of anything else its first instant.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias, cast

from ratel.core.bill import CounterWorkings, LineItem, LineItemKind, Segment, SpendWorkings, StandingChargeWorkings
from ratel.core.money import ZERO, divide, round_amount
from ratel.core.period import Period
from ratel.core.pricing import PricedThing
from ratel.core.rating.draft import Draft, ThingUsage, rounded
from ratel.core.rating.remainder import Charge
from ratel.core.rating.usage import usage_of_window
from ratel.core.window import Service

Place: TypeAlias = tuple[str, Period, PricedThing | None]
"""The attachment, the bill period and the priced thing."""


class Inside:
    """Knows the parts of the charges of a draft; the draft's slices are cut wherever a stretch begins or ends."""

    def __init__(self, draft: Draft) -> None:
        self._services: Mapping[str, Service] = {each.attachment.id: each for each in draft.scope.services}
        self._exchange = draft.exchange
        self._usages: Mapping[Place, ThingUsage] = {place_of(usage): usage for usage in draft.thing_usages}
        self._parts: dict[tuple[object, ...], Mapping[Segment, LineItem]] = {}

    def net(self, charge: Charge, stretch: Period) -> Decimal:
        """Return the part of what is left of a charge, rounded: between zero and all that is left."""
        part = self.gross(charge, stretch)
        if part == charge.gross:
            return charge.net
        share = round_amount(divide(part * charge.net, charge.gross), charge.item.currency) if charge.gross else ZERO
        return max(min(share, max(charge.net, ZERO)), min(charge.net, ZERO))

    def gross(self, charge: Charge, stretch: Period) -> Decimal:
        """Return the part of the charge itself, rounded; of falling usage it may be more than the whole."""
        item = charge.item
        inside = item.service.intersect(stretch)
        if inside is None or inside == item.service:
            return charge.gross if inside else ZERO
        match item.workings:
            case StandingChargeWorkings() | SpendWorkings():
                return self._of_days(item, charge.gross, inside)
            case CounterWorkings(prorated=True) as workings:
                exact_amount = self._days(item, inside) * workings.period_amount
                part = rounded(self._service(item), divide(exact_amount, Decimal(workings.period_days)))
                return self._exchange.amount(part, item.own_currency)
        if item.kind is LineItemKind.USAGE:
            used = self._usage(item, inside)
            return self._exchange.amount(used.amount, used.currency) if used else ZERO
        return charge.gross if stretch.contains(item.service.start) else ZERO

    def _service(self, item: LineItem) -> Service:
        # What a plan group charges has no service of its own; all of them have the same days.
        return self._services.get(item.origin.attachment_id) or next(iter(self._services.values()))

    def _days(self, item: LineItem, period: Period) -> Decimal:
        return Decimal(self._service(item).days(period))

    def _of_days(self, item: LineItem, gross: Decimal, inside: Period) -> Decimal:
        part = divide(gross * self._days(item, inside), self._days(item, item.service))
        return round_amount(part, item.currency)

    def usage(self, item: LineItem, inside: Period) -> LineItem:
        """Return what a line item of usage was before it was converted, if only a part of its service is asked for."""
        return cast(LineItem, self._usage(item, inside))

    def _usage(self, item: LineItem, inside: Period) -> LineItem | None:
        key = (item.origin.attachment_id, item.bill_period, item.priced, item.pricing_id, item.service, inside)
        if key not in self._parts:
            usage = self._usages[key[:3]]
            windows = (
                replace(window, asked=inside)
                for window in usage.thing_part.windows
                if window.pricing.id == item.pricing_id and window.asked == item.service
            )
            found = (each for window in windows for each in usage_of_window(usage, window))
            self._parts[key] = {each.segment: each for each in found}
        return self._parts[key].get(item.segment)


def place_of(usage: ThingUsage) -> Place:
    """Return what tells the usage from others; line items of it have the same."""
    part = usage.thing_part.part
    return part.service.attachment.id, part.bill_period, usage.thing_part.thing.priced
