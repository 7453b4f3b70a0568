"""MINIMUM_SPEND and MAXIMUM_SPEND: what a bill period comes to at the least and at the most (R6.2, R6.3).

Inner first: pricings, whose line items then count for their plan, and those of plans for their group. Limits are
prorated by days and rounded before they are compared with rounded amounts. Standing charges and credits are never
compared.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from ratel.core.bill import LineItem, LineItemKind, Origin, Segment, SpendWorkings
from ratel.core.money import ZERO, divide
from ratel.core.period import Period, union
from ratel.core.plan_group import PlanGroup
from ratel.core.pricing import PricedThing, Pricing
from ratel.core.rating.draft import Draft, amounts, name_of, origin_of, rounded, segment_of
from ratel.core.window import Part, ThingPart, Window

_USAGE: Final = {
    LineItemKind.USAGE,
    LineItemKind.COUNTER_RUNNING_TOTAL,
    LineItemKind.COUNTER_ADJUSTMENT_DEBIT,
    LineItemKind.COUNTER_ADJUSTMENT_CREDIT,
}
_SPEND: Final = {
    *_USAGE,
    LineItemKind.MINIMUM_SPEND,
    LineItemKind.MINIMUM_SPEND_REFUND,
    LineItemKind.MAXIMUM_SPEND,
}


@dataclass(frozen=True, slots=True)
class _Spend:
    """What is compared: the spend on one pricing, or on a plan, in one part; on a plan group, in several like it."""

    part: Part
    service: Period
    days: int
    amount: Decimal
    pricing_id: str = ""
    priced: PricedThing | None = None
    segment: Segment = ()
    group: PlanGroup | None = None

    @property
    def origin(self) -> Origin:
        """What charges the difference."""
        return origin_of(self.part.service) if self.group is None else Origin("", "", "", self.group.id)


def pricing_spends(draft: Draft) -> Iterator[LineItem]:
    """Yield what brings pricings up to their minimum or down to their maximum, also without usage."""
    yield from draft.in_order(_pricing_spends(draft))


def _pricing_spends(draft: Draft) -> Iterator[LineItem]:
    items = _line_items_by(draft, lambda item: (item.origin.attachment_id, item.bill_period, item.pricing_id))
    for thing_part in draft.scope.thing_parts:
        for windows in _by_pricing(thing_part):
            pricing, attachment_id = windows[0].pricing, thing_part.part.service.attachment.id
            if pricing.spend.minimum is None and pricing.spend.maximum is None:
                continue
            found = items[attachment_id, thing_part.part.bill_period, pricing.id]
            spend = _pricing_spend(thing_part, windows, amounts(item for item in found if item.kind in _USAGE))
            name, limits = name_of(thing_part, pricing.segment), pricing.spend
            minimum_description = limits.minimum_description or f"{name} minimum spend"
            maximum_description = limits.maximum_description or f"{name} maximum spend"
            own, settings = limits.minimum_in_advance, thing_part.part.service.plan.settings
            is_in_advance = settings.minimum_spend_in_advance if own is None else own
            yield from _minimum(spend, limits.minimum, minimum_description, is_in_advance=is_in_advance)
            yield from _maximum(spend, limits.maximum, maximum_description)


def plan_spends(draft: Draft) -> Iterator[LineItem]:
    """Yield what brings plans up to their minimum or down to their maximum, also without usage."""
    items = _line_items_by(draft, lambda item: (item.origin.attachment_id, item.bill_period))
    for part in draft.scope.parts:
        terms = part.service.plan.terms
        if terms.minimum_spend is None and terms.maximum_spend is None:
            continue
        found = items[part.service.attachment.id, part.bill_period]
        compared = amounts(item for item in found if item.kind in _SPEND)
        spend = _Spend(part, part.asked, part.service.days(part.asked), compared)
        description, is_in_advance = terms.minimum_spend_description, terms.minimum_spend_in_advance
        yield from _minimum(spend, terms.minimum_spend, description, is_in_advance=is_in_advance)
        yield from _maximum(spend, terms.maximum_spend, terms.maximum_spend_description)


def group_spends(draft: Draft) -> Iterator[LineItem]:
    """Yield what brings plan groups up to their minimum or down to their maximum, in arrears.

    What an account spends on the plans of a group in the same bill period is compared together.
    """
    items = _line_items_by(draft, lambda item: (item.origin.attachment_id, item.bill_period))
    for group, parts in _by_group(draft.scope.parts):
        stretches = union(part.asked for part in parts)
        spend = _Spend(
            part=parts[0],
            service=Period(stretches[0].start, stretches[-1].end),
            days=sum(map(parts[0].service.days, stretches)),
            amount=amounts(
                item
                for part in parts
                for item in items[part.service.attachment.id, part.bill_period]
                if item.kind in _SPEND
            ),
            group=group,
        )
        minimum_description = group.minimum_spend_description or f"{group.name} minimum spend"
        maximum_description = group.maximum_spend_description or f"{group.name} maximum spend"
        # Of a child that is billed with its parent, what it spends by itself (R11.1).
        account_id = parts[0].service.attachment.account_id
        owner_id = "" if account_id == draft.scope.context.account.id else account_id
        for item in _minimum(spend, group.minimum_spend, minimum_description, is_in_advance=False):
            yield replace(item, account_id=owner_id)
        for item in _maximum(spend, group.maximum_spend, maximum_description):
            yield replace(item, account_id=owner_id)


def _by_group(parts: Iterable[Part]) -> Iterator[tuple[PlanGroup, list[Part]]]:
    """Yield each group with what is asked for of its plans in one bill period."""
    found: dict[tuple[str, str, Period], list[Part]] = {}
    groups: dict[str, PlanGroup] = {}
    for part in parts:
        group = part.service.plan.group
        if group is not None:
            groups[group.id] = group
            found.setdefault((group.id, part.service.attachment.account_id, part.bill_period), []).append(part)
    for (group_id, _, _), own in found.items():
        yield groups[group_id], own


def _line_items_by(draft: Draft, key: Callable[[LineItem], object]) -> dict[object, list[LineItem]]:
    found: dict[object, list[LineItem]] = defaultdict(list)
    for item in draft.line_items:
        found[key(item)].append(item)
    return found


def _by_pricing(thing_part: ThingPart) -> Iterator[list[Window]]:
    """Yield the windows of each pricing together: an override may have parted them."""
    found: dict[str, list[Window]] = {}
    for window in thing_part.windows:
        found.setdefault(window.pricing.id, []).append(window)
    yield from found.values()


def _pricing_spend(thing_part: ThingPart, windows: list[Window], amount: Decimal) -> _Spend:
    pricing: Pricing = windows[0].pricing
    return _Spend(
        part=thing_part.part,
        service=Period(windows[0].asked.start, windows[-1].asked.end),
        days=sum(thing_part.part.service.days(window.asked) for window in windows),
        amount=amount,
        pricing_id=pricing.id,
        priced=thing_part.thing.priced,
        segment=segment_of(thing_part, pricing.segment),
    )


def _minimum(spend: _Spend, limit: Decimal | None, description: str, *, is_in_advance: bool) -> Iterator[LineItem]:
    if limit is None or not spend.days:
        return
    if is_in_advance:
        yield from _minimum_in_advance(spend, limit, description)
        return
    item = _line_item(spend, LineItemKind.MINIMUM_SPEND, limit, description)
    if item.amount > ZERO:
        yield item


def _minimum_in_advance(spend: _Spend, limit: Decimal, description: str) -> Iterator[LineItem]:
    """Yield the whole minimum, and what of it is given back because it was spent (R6.3)."""
    whole = _line_item(replace(spend, amount=ZERO), LineItemKind.MINIMUM_SPEND, limit, description)
    if whole.amount > ZERO:
        yield replace(whole, in_advance=True)
    refund = min(whole.amount, max(spend.amount, ZERO))
    if refund > ZERO:
        item = _line_item(spend, LineItemKind.MINIMUM_SPEND_REFUND, limit, description)
        yield replace(item, amount=-refund, exact_amount=-refund)


def _maximum(spend: _Spend, limit: Decimal | None, description: str) -> Iterator[LineItem]:
    if limit is not None and spend.days:
        item = _line_item(spend, LineItemKind.MAXIMUM_SPEND, limit, description)
        if item.amount < ZERO:
            yield item


def _line_item(spend: _Spend, kind: LineItemKind, limit: Decimal, description: str) -> LineItem:
    """Return the difference between limit and spend, whatever its sign."""
    service = spend.part.service
    period_days = service.days(spend.part.bill_period)
    exact_limit = limit if spend.days == period_days else divide(limit * spend.days, Decimal(period_days))
    prorated_limit = rounded(service, exact_limit)
    return LineItem(
        kind=kind,
        description=description,
        origin=spend.origin,
        pricing_id=spend.pricing_id,
        priced=spend.priced,
        segment=spend.segment,
        bill_period=spend.part.bill_period,
        service=spend.service,
        currency=service.plan.template.currency,
        amount=prorated_limit - spend.amount,
        exact_amount=exact_limit - spend.amount,
        workings=SpendWorkings(limit, prorated_limit, spend.amount, spend.days, period_days),
        source_id="" if spend.group is None else spend.group.id,
    )
