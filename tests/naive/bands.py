"""R1.1 to R1.5: from units to an amount, band by band."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from tests.naive.catalog import Band
from tests.naive.exact import ZERO


def price(bands: Sequence[Band], units: Fraction, *, cumulative: bool, charge_zero: bool = False) -> Fraction:
    """F of the units."""
    if units < 0:  # R1.5: at the first band's unit price, without fixed price
        return sold(bands[0], units)
    if units == 0:  # R1.4: no band is entered, unless the first one is entered at zero
        return bands[0].fixed + (bands[0].unit if bands[0].block else ZERO) if charge_zero else ZERO
    if not cumulative:  # R1.2: the band reached prices everything
        reached = bands[band_reached(bands, units)]
        return reached.fixed + sold(reached, units)
    amount = ZERO
    for index, band in enumerate(bands):  # R1.2: each unit at its own band
        if units > band.lower:
            upper = bands[index + 1].lower if index + 1 < len(bands) else units
            amount += band.fixed + sold(band, min(units, upper) - band.lower)
    return amount


def band_reached(bands: Sequence[Band], units: Fraction) -> int:
    """R1.1: a band covers what is above its lower limit, up to and including the next one's; below all is the first."""
    return max([index for index, band in enumerate(bands) if units > band.lower], default=0)


def sold(band: Band, units: Fraction) -> Fraction:
    """R1.3: in whole blocks; R1.5: of negative units only whole blocks are given back, which is ceil as well."""
    return units * band.unit if band.block is None else ceil(units / band.block) * band.unit


def largest_units(bands: Sequence[Band], most: Fraction, budget: Fraction, *, cumulative: bool) -> Fraction:
    """R7.4: the largest q, at most so much, with F(q) within the budget; band by band from above."""
    uppers = [*(band.lower for band in bands[1:]), most]
    for band, limit in reversed(list(zip(bands, uppers, strict=True))):
        upper = min(limit, most)
        if band.lower >= upper:
            continue
        # Inside the band F is a price of what lies above ``start``, over an amount that is there with the first unit.
        start = band.lower if cumulative else ZERO
        entered = price(bands, band.lower, cumulative=True) + band.fixed if cumulative else band.fixed
        found = most_within(band, upper - start, budget - entered)
        if found is not None and start + found > band.lower:
            return start + found
    return ZERO


def most_within(band: Band, most: Fraction, budget: Fraction) -> Fraction | None:
    """The most units of a band that can be had."""
    if sold(band, most) <= budget:
        return most
    if band.unit <= 0 or budget < 0:
        return None
    return budget / band.unit if band.block is None else budget // band.unit * band.block
