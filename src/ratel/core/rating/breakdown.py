"""Line items as a family is shown them: whose they are, and a pooled amount by whose usage it is for (R11.1).

Broken down last: whatever acts on line items acts on the whole of them, and the parts add up to it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from ratel.core.account import ChildBilling
from ratel.core.allocation import allocate
from ratel.core.bill import LineItem, LineItemKind, Share
from ratel.core.money import ZERO, divide
from ratel.core.rating.draft import Draft, ThingUsage, is_split, merged, quantity_of_thing
from ratel.core.rating.inside import Place, place_of

_OF_USAGE: Final = (LineItemKind.USAGE, LineItemKind.USAGE_CREDIT)


def named(draft: Draft, line_items: Iterable[LineItem]) -> Iterable[LineItem]:
    """Return line items with the child of whose own attachments they are."""
    children = draft.scope.context.children
    owners = {each.id: child.account.id for child in children for each in child.attachments}
    if not owners:
        return line_items
    return [replace(each, account_id=owners.get(each.origin.attachment_id, each.account_id)) for each in line_items]


def shown(draft: Draft, line_items: Iterable[LineItem]) -> Iterator[LineItem]:
    """Yield line items of a draft, broken down as far as the account has children; their sum is the same."""
    context = draft.scope.context
    if not context.children or context.account.child_billing is ChildBilling.SUMMARY:
        yield from line_items
        return
    own_id = context.account.id
    usages: Mapping[Place, ThingUsage] = {place_of(each): each for each in draft.thing_usages}
    for item in line_items:
        usage = usages.get((item.origin.attachment_id, item.bill_period, item.priced))
        if item.kind in _OF_USAGE and usage is not None and _is_broken_down(usage):
            yield from _parts(item, _quantities(usage, item), own_id)
        else:
            yield item


def _is_broken_down(usage: ThingUsage) -> bool:
    pool = usage.thing_part.part.service.pool
    return pool is not None and pool.is_broken_down and usage.thing_part.thing.is_broken_down


def _quantities(usage: ThingUsage, item: LineItem) -> dict[str, Decimal]:
    """Return what each account has used of what a line item charges, if it has used anything."""
    thing = usage.thing_part.thing
    pricing = next(each.pricing for each in usage.thing_part.windows if each.pricing.id == item.pricing_id)
    values = tuple(value for _, value in item.segment) if is_split(pricing) else None
    taken = [
        each
        for each in usage.by_segment.get(pricing.segment, ())
        if each.slice.is_asked and item.service.contains(each.slice.period.start) and values in (None, each.values)
    ]
    found: dict[str, Decimal] = {}
    for account_id in sorted({min(each.account_ids) for each in taken}):
        sources = merged(thing, (each for each in taken if account_id in each.account_ids))
        quantity = quantity_of_thing(thing, sources, item.service, has_default=False)
        if quantity is not None:
            found[account_id] = quantity.value
    return found


def _parts(item: LineItem, quantities: Mapping[str, Decimal], own_id: str) -> Iterator[LineItem]:
    """Yield the parts of a line item: that of the account itself first, then by id; all is its own without a share."""
    whole = sum(quantities.values(), ZERO)
    if not whole:
        yield replace(item, account_id=own_id)
        return
    ordered = sorted(quantities, key=lambda each: (each != own_id, each))
    # Shares of what is negative in all are the same as of what is turned round.
    shares = [quantities[each] if whole > ZERO else -quantities[each] for each in ordered]
    for account_id, amount in zip(ordered, allocate(item.amount, shares, item.currency), strict=True):
        quantity = quantities[account_id]
        yield replace(
            item,
            account_id=account_id,
            amount=amount,
            exact_amount=divide(item.exact_amount * quantity, whole),
            share=Share(item.amount, quantity, whole),
        )
