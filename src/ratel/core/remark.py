"""What in a pricing a person may not have meant: it is allowed, and told."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ratel.core.band import Bands
from ratel.core.pricing import Pricing


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that may be a mistake; ``field`` is a path in the pricing."""

    field: str
    reason: str
    message: str


def remarks(pricing: Pricing, others: Sequence[Pricing]) -> Iterator[Remark]:
    """Yield what may be a mistake.

    Args:
        pricing: one that fits its place.
        others: the other pricings of its plan and template; only those of the same thing and segment matter.
    """
    yield from _rising(pricing.bands)
    same = [each for each in others if (each.priced, each.segment) == (pricing.priced, pricing.segment)]
    yield from _gaps(pricing, [each for each in same if each.id != pricing.id])


def rate_remark(currency: str, account_currency: str) -> Remark:
    """Return that accounts cannot be rated in their currency, for lack of a rate (R11.2)."""
    message = f"is in {currency}, and there is no rate into {account_currency}, the currency of an account on the plan"
    return Remark("", "CURRENCY_RATE_MISSING", message)


def _rising(bands: Bands) -> Iterator[Remark]:
    for index, (below, band) in enumerate(pairwise(bands.bands), start=1):
        if below.block_size == band.block_size and band.unit_price > below.unit_price:
            yield Remark(f"bands[{index}].unit_price", "PRICE_RISES", "is above the price of the band before it")


def _gaps(pricing: Pricing, others: Iterable[Pricing]) -> Iterator[Remark]:
    others = list(others)
    start, end = pricing.period.start, pricing.period.end
    ends = [each.period.end for each in others if each.period.end is not None and each.period.end <= start]
    last = max(ends, default=start)
    if last < start and not any(each.period.contains(last) for each in others):
        yield Remark("start_time", "SCHEDULE_GAP", f"leaves the thing without a price from {last.isoformat()} on")
    starts = [each.period.start for each in others if end is not None and each.period.start >= end]
    if end is None or not starts:
        return
    if min(starts) > end and not any(each.period.contains(end) for each in others):
        yield Remark("end_time", "SCHEDULE_GAP", f"leaves the thing without a price until {min(starts).isoformat()}")
