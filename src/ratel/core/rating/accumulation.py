"""Usage that accumulates over an attachment: what belongs to a pricing since then, and what its bands make of it (R5).

U(t) is what the usage from the accumulation's start to t comes to in units. A window charges what F(U) grows by.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

from ratel.core.band import Band, Bands, BandUsage
from ratel.core.bill import Accumulation, PricedQuantity
from ratel.core.compiled import CompiledThing
from ratel.core.money import ONE, ZERO
from ratel.core.period import Period
from ratel.core.quantity import Quantity, Values, merge
from ratel.core.rating.taken import Taken
from ratel.core.window import Window

Accumulated: TypeAlias = Mapping[Values, tuple[Taken, ...]]
"""What has come together of each segment of which some pricing accumulates."""


def accumulate(thing: CompiledThing, before: Accumulated, counted: Sequence[Taken]) -> Accumulated:
    """Return what belongs to each segment: what had come together before, and what the slices of one part add.

    What came before is merged, so that a long attachment costs no more for each of its periods than a short one.
    """
    segments = sorted({pricing.segment for _, pricing in thing.stretches if pricing.accumulate})
    return {
        segment: (
            *_merged(before.get(segment, ())),
            *(each for each in counted if each.slice.in_force.would_take(segment, each.values)),
        )
        for segment in segments
    }


def _merged(found: Iterable[Taken]) -> Iterator[Taken]:
    for _, group in groupby(sorted(found, key=attrgetter("values")), key=attrgetter("values")):
        first, *others = group
        columns = zip(first.sources, *(each.sources for each in others), strict=True)
        yield replace(first, sources=tuple(map(merge, columns))) if others else first


def is_zero_charged(thing: CompiledThing, window: Window, until: datetime) -> bool:
    """Tell whether zero units of the segment have entered a band by then, of whichever pricing (R1.4)."""
    if until <= window.origin:
        return False
    span = Period(window.origin, until)
    return any(
        pricing.segment == window.pricing.segment and pricing.bands.charge_zero and period.overlaps(span)
        for period, pricing in thing.stretches
    )


# --- Prices -----------------------------------------------------------------------------------------------------------


def price_new_units(quantity: Quantity | None, units: Decimal, units_before: Decimal, bands: Bands) -> PricedQuantity:
    """Price the units that a window adds at the band that all together reach (R5.2, positional).

    Args:
        quantity: of all together.
        units: of all together.
        units_before: of those as the window begins; their bands were paid by then.
        bands: without blocks.
    """
    band = bands.reached(units) or bands.bands[0]
    paid = bands.reached(units_before) if units_before > ZERO else None
    is_new = units > ZERO and (paid is None or paid.lower_limit < band.lower_limit)
    new_units = units - units_before
    fixed_price = band.fixed_price if is_new else ZERO
    amount = new_units * band.unit_price + fixed_price
    limits = band.lower_limit, _upper_limit(bands, band)
    usage = BandUsage(*limits, new_units, None, band.unit_price, fixed_price, amount)
    return PricedQuantity(quantity.value if quantity else None, units, amount, (usage,) if amount or new_units else ())


def _upper_limit(bands: Bands, band: Band) -> Decimal | None:
    limits = [each.lower_limit for each in bands.bands]
    return next((limit for limit in limits if limit > band.lower_limit), None)


def accumulation_of(window: Window, units: Decimal) -> Accumulation:
    """Return how far the accumulation has come, with the blocks that are owned if units are sold in blocks (R5.4)."""
    bands = window.pricing.bands
    owned = None
    if any(band.block_size is not None for band in bands.bands):
        owned = sum((_owned(usage, bands) for usage in bands.price(units).band_usages), ZERO)
    mode = window.pricing.accumulation_mode
    return Accumulation(window.origin, mode, units, owned, None if owned is None else owned - units)


def _owned(usage: BandUsage, bands: Bands) -> Decimal:
    if usage.block_count is None:
        return usage.units
    (band,) = (each for each in bands.bands if each.lower_limit == usage.lower_limit)
    return max(usage.block_count * (band.block_size or ONE), ZERO)
