"""What is refused when it is created: overlaps, second adjustments, overage bands that cannot be (R3.2, R7.4, R8.1)."""

from collections.abc import Sequence

from tests.naive.account import Adjustment
from tests.naive.catalog import Pricing


def overlapping(known: Sequence[Pricing], new: Pricing) -> str:
    """R3.2: the id of the pricing in the way; touching is no overlap."""
    for each in known:
        is_same = (each.owner, each.thing, each.segment) == (new.owner, new.thing, new.segment)
        if is_same and each.start < new.end and new.start < each.end:
            return each.id
    return ""


def is_adjusted(known: Sequence[Adjustment], new: Adjustment) -> bool:
    """R8.1: one adjustment per counter, account and day."""
    return any((each.counter, each.date) == (new.counter, new.date) for each in known)


def may_have_overage_bands(pricing: Pricing) -> bool:
    """R7.4: cumulative = true, no fixed prices, no blocks, no accumulation."""
    is_plain = all(not band.fixed and band.block is None for band in pricing.overage_bands)
    return pricing.cumulative and is_plain and not pricing.accumulate
