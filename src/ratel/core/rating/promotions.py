"""PROMOTION: trials, then the promotions that were granted, each acting on what is left (R9).

What a promotion takes off is counted by bill period, whichever bills its line items are on: of all that it acts on in a
period it takes what it is worth, so that one that acts in two steps takes what it would have taken in one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Final

from ratel.core.bill import LineItem, LineItemKind, PromotionWorkings
from ratel.core.currency import Exchange
from ratel.core.money import ZERO, round_amount
from ratel.core.period import Period
from ratel.core.promotion import GrantedPromotion, Promotion, in_order
from ratel.core.rating.book import Granted
from ratel.core.rating.draft import Draft
from ratel.core.rating.inside import Inside
from ratel.core.rating.remainder import Charge
from ratel.core.window import Service, end_of

TRIAL: Final = "/trial"
"""Stands where other promotions have the id of their grant, which never has a stroke."""

_MINIMUMS: Final = (LineItemKind.MINIMUM_SPEND, LineItemKind.MINIMUM_SPEND_REFUND)


@dataclass(frozen=True, slots=True)
class _Group:
    """What stands together of one attachment and bill period.

    Attributes:
        stretch: in which the promotion acts.
        shares: what of each charge a promotion acts on; none of them zero.
        exchange: brought them into their currency.
    """

    service: Service
    bill_period: Period
    stretch: Period
    shares: tuple[tuple[Charge, Decimal], ...]
    exchange: Exchange

    @property
    def rate(self) -> Decimal:
        """What one of the plan's currency, which promotions of it are in, is in that of the charges."""
        return self.exchange.rate(self.service.plan.template.currency)

    def rounded(self, amount: Decimal) -> Decimal:
        """Round an amount as the currency of the charges and the settings say."""
        currency = self.exchange.target(self.service.plan.template.currency)
        return round_amount(amount, currency, self.service.plan.settings.rounding_mode)

    @property
    def spend(self) -> Decimal:
        return sum((share for _, share in self.shares), ZERO)


def promotions(draft: Draft) -> Iterator[LineItem]:
    """Yield what trials take off, then promotions of pricings, then of plans, in the order of R9.2."""
    granted = in_order(draft.scope.context.granted)
    services = {each.attachment.id: each for each in draft.scope.services}
    if granted or any(each.attachment.trial_end for each in services.values()):
        inside = Inside(draft)
        yield from _trials(draft, services, inside)
        for each in granted:
            yield from _promotion(draft, inside, each)


def _trials(draft: Draft, services: Mapping[str, Service], inside: Inside) -> Iterator[LineItem]:
    for service in services.values():
        if service.attachment.trial_end is not None:
            stretch = Period(service.attachment.period.start, service.attachment.trial_end)
            charges = [each for each in _charges(draft) if each.item.origin.attachment_id == service.attachment.id]
            for group in _groups(draft, charges, stretch, inside):
                workings = PromotionWorkings("", "", group.spend)
                yield from _line_item(draft, group, None, workings, group.spend)


def _promotion(draft: Draft, inside: Inside, granted: GrantedPromotion) -> Iterator[LineItem]:
    """Yield what one grant takes off, a line item for each attachment and bill period."""
    grant, promotion = granted.grant, granted.promotion
    charges = [each for each in _charges(draft) if _acts_on(promotion, each.item)]
    for group in _groups(draft, charges, grant.period, inside):
        number = group.service.grid.number_at
        count = number(group.bill_period.start) - number(grant.period.start)
        if promotion.bill_period_count is None or count < promotion.bill_period_count:
            done = draft.book.granted[grant.id]
            workings = _workings(granted, group, done)
            amount = _amount(group, workings)
            done.add(group.bill_period, group.rate, group.spend, amount)
            yield from _line_item(draft, group, promotion, workings, amount)


def _charges(draft: Draft) -> Iterable[Charge]:
    """Return what is charged for service on plans; fees and purchases have no attachment."""
    return (
        each
        for each in draft.remainder.charges
        if each.item.origin.attachment_id and each.item.kind is not LineItemKind.USAGE_CREDIT
    )


def _acts_on(promotion: Promotion, item: LineItem) -> bool:
    """Tell whether a line item names what the promotion acts on (R9.1)."""
    if item.kind in _MINIMUMS:
        return False
    if promotion.plan_id:
        return item.origin.plan_id == promotion.plan_id
    return item.pricing_id == promotion.pricing_id and promotion.segment in ((), item.segment)


def _groups(draft: Draft, charges: Iterable[Charge], stretch: Period, inside: Inside) -> Iterator[_Group]:
    """Yield what of charges lies inside a stretch, by the attachment's start and the bill period."""
    services = {each.attachment.id: each for each in draft.scope.services}
    places = {attachment_id: place for place, attachment_id in enumerate(services)}

    def place(share: tuple[Charge, Decimal]) -> tuple[int, Period]:
        item = share[0].item
        return places[item.origin.attachment_id], item.bill_period

    shares = ((charge, inside.net(charge, stretch)) for charge in charges)
    found = sorted((each for each in shares if each[1]), key=lambda each: (place(each)[0], place(each)[1].start))
    for (_, bill_period), group in groupby(found, key=place):
        together = tuple(group)
        service = services[together[0][0].item.origin.attachment_id]
        yield _Group(service, bill_period, stretch, together, draft.exchange)


def _workings(granted: GrantedPromotion, group: _Group, done: Granted) -> PromotionWorkings:
    promotion, rate = granted.promotion, group.rate
    earlier_amount = group.rounded(done.amounts[group.bill_period].at(rate))
    lefts = []
    if promotion.max_per_period is not None:
        lefts.append(group.rounded(promotion.max_per_period * rate - earlier_amount))
    if promotion.max_total is not None:
        lefts.append(group.rounded(promotion.max_total * rate - done.total.at(rate)))
    return PromotionWorkings(
        promotion_id=promotion.id,
        grant_id=granted.grant.id,
        spend=group.spend,
        earlier_spend=group.rounded(done.spends[group.bill_period].at(rate)),
        earlier_amount=earlier_amount,
        worth=promotion.worth.at(rate),
        left=min(lefts, default=None),
    )


def _exact_amount(workings: PromotionWorkings) -> Decimal:
    """Return what is to be taken off before it is rounded and limited."""
    if workings.worth is None:
        return workings.spend
    return workings.worth.of(workings.earlier_spend + workings.spend) - workings.earlier_amount


def _amount(group: _Group, workings: PromotionWorkings) -> Decimal:
    """Return what is taken off: rounded, at most what is left, never below zero."""
    limits = [workings.spend] if workings.left is None else [workings.spend, workings.left]
    return max(ZERO, min(group.rounded(_exact_amount(workings)), *limits))


def _line_item(
    draft: Draft, group: _Group, promotion: Promotion | None, workings: PromotionWorkings, amount: Decimal
) -> Iterator[LineItem]:
    if amount <= ZERO:
        return
    first = group.shares[0][0].item
    # Line items in advance stand on an earlier bill than those in arrears: what acts on them is an item of its own.
    in_advance = all(charge.item.in_advance for charge, _ in group.shares)
    source_id = workings.grant_id or TRIAL
    item = LineItem(
        kind=LineItemKind.PROMOTION,
        description=promotion.name if promotion else "Trial",
        origin=first.origin,
        pricing_id=promotion.pricing_id if promotion else "",
        priced=first.priced if promotion and promotion.pricing_id else None,
        segment=promotion.segment if promotion else (),
        bill_period=group.bill_period,
        service=_service(group),
        currency=first.currency,
        amount=-amount,
        exact_amount=-_exact_amount(workings),
        workings=workings,
        in_advance=in_advance,
        source_id=f"{source_id}/advance" if in_advance else source_id,
    )
    draft.remainder.take_off(item, group.shares)
    yield item


def _service(group: _Group) -> Period:
    """Return what is asked for of the bill period and of longer service, as far as the stretch goes."""
    asked, stretch = group.service.asked, group.stretch
    start = max(group.bill_period.start, asked.start, stretch.start)
    whole = min(end_of(group.bill_period), end_of(asked))
    end = max(whole, *(end_of(charge.item.service) for charge, _ in group.shares))
    return Period(start, end if stretch.end is None else min(end, stretch.end))
