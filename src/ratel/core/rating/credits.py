"""USAGE_CREDIT: usage that is given as credit, at most what there is to take it from (R6.4)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from ratel.core.bill import LineItem, LineItemKind, UsageWorkings
from ratel.core.money import ZERO, check_amount
from ratel.core.pricing import ApplyAs
from ratel.core.rating.conversion import converted
from ratel.core.rating.counters import counter_in_window
from ratel.core.rating.draft import Draft
from ratel.core.rating.remainder import remainder_of
from ratel.core.rating.usage import usage_of_window


def usage_credits(draft: Draft) -> Iterator[LineItem]:
    """Yield product credits, then global ones, each sort by pricing id; each takes from all line items before it."""
    left: dict[tuple[str, ...], Decimal] = defaultdict(lambda: ZERO)
    for item in _counted(draft.line_items):
        _count(left, item)
    for apply_as in (ApplyAs.PRODUCT_CREDIT, ApplyAs.GLOBAL_CREDIT):
        # Stable: those of one pricing stay in the order of attachments, things, segments and time.
        charges = draft.in_order(filter(draft.includes, _charges(draft, apply_as)))
        for made in sorted(charges, key=lambda item: item.pricing_id):
            charge = converted(made, draft.exchange)
            is_product = apply_as is ApplyAs.PRODUCT_CREDIT
            source = (charge.currency, charge.origin.product_id) if is_product else (charge.currency,)
            item = _credit(charge, max(left[source], ZERO))
            _count(left, item)
            yield item


def _counted(line_items: Sequence[LineItem]) -> Iterator[LineItem]:
    """Yield line items so that those of a product are what maximums left of it, those of plan groups too."""
    if any(item.kind is LineItemKind.MAXIMUM_SPEND and not item.origin.plan_id for item in line_items):
        charges = remainder_of(line_items, {}).charges
        yield from (replace(charge.item, amount=charge.net) for charge in charges)
    else:
        yield from line_items


def _count(left: dict[tuple[str, ...], Decimal], item: LineItem) -> None:
    left[item.currency,] += item.amount
    left[item.currency, item.origin.product_id] += item.amount


def _charges(draft: Draft, apply_as: ApplyAs) -> Iterator[LineItem]:
    """Yield what the pricings that are applied like this would charge."""
    for thing_usage in draft.thing_usages:
        for window in thing_usage.thing_part.windows:
            if window.pricing.apply_as is apply_as:
                yield from usage_of_window(thing_usage, window)
                yield from counter_in_window(draft, thing_usage.thing_part, window)


def _credit(charge: LineItem, cap: Decimal) -> LineItem:
    """Turn a charge round; a charge that is itself negative becomes a positive line item, without a cap."""
    workings, conversion = charge.workings, charge.conversion
    if isinstance(workings, UsageWorkings):
        workings = replace(workings, uncapped_amount=-charge.amount)
    return replace(
        charge,
        kind=LineItemKind.USAGE_CREDIT,
        amount=check_amount(-min(charge.amount, cap), charge.currency),
        exact_amount=-charge.exact_amount,
        workings=workings,
        conversion=conversion and replace(conversion, amount=-conversion.amount, exact_amount=-conversion.exact_amount),
    )
