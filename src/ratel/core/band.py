"""Bands: from units to an amount, with the workings (R1.1 to R1.5).

A set of bands is checked and summed up when made; pricing is then one search and one product, however many bands.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from ratel.core.errors import Mistakes
from ratel.core.limits import BANDS_MAX
from ratel.core.money import EXACT, ONE, ZERO, divide, exact


@dataclass(frozen=True, slots=True)
class Band:
    """One stretch of units and its prices.

    Attributes:
        lower_limit: the band holds the units above this, up to the next band's.
        unit_price: of one unit, or with `block_size` of one block; may be negative.
        fixed_price: charged once when the band is entered; may be negative.
        block_size: units that are sold together; None prices them one by one, fractions included.
    """

    lower_limit: Decimal
    unit_price: Decimal
    fixed_price: Decimal = ZERO
    block_size: Decimal | None = None


# A tuple, because one is made for every line: a frozen dataclass takes three times as long to make.
class BandUsage(NamedTuple):
    """What one band contributed: ``amount = fixed_price + unit_price * (block_count, or else units)``.

    Attributes:
        lower_limit: of the band.
        upper_limit: where the next band starts; None in the last.
        units: the units priced here; negative ones all in the first band.
        block_count: whole blocks of them; None without blocks.
        unit_price: of one unit or block.
        fixed_price: charged for entering; zero for negative units.
        amount: exact.
    """

    lower_limit: Decimal
    upper_limit: Decimal | None
    units: Decimal
    block_count: Decimal | None
    unit_price: Decimal
    fixed_price: Decimal
    amount: Decimal


class Charge(NamedTuple):
    """An exact amount and its workings: the bands' amounts sum to it, their units to the units priced."""

    amount: Decimal
    band_usages: tuple[BandUsage, ...]


class Reached(NamedTuple):
    """The band that some units end in.

    Attributes:
        place: of the band among all.
        units: the units priced there.
        block_count: whole blocks of them; None without blocks.
        fixed_price: charged for entering; zero for negative units.
        amount: of this band.
        total: of all bands.
    """

    place: int
    units: Decimal
    block_count: Decimal | None
    fixed_price: Decimal
    amount: Decimal
    total: Decimal


_NOTHING: Final = Charge(ZERO, ())


@dataclass(frozen=True, slots=True)
class Bands:
    """The bands of a pricing, as F(units).

    Attributes:
        cumulative: True prices each unit at its own band; False prices all at the band that is reached (R1.2).
        bands: from 1 to 100, the first from 0, ascending.
        charge_zero: True enters the first band at zero units already (R1.4).

    Raises:
        Invalid: with all mistakes, at paths such as ``bands[1].lower_limit``.
    """

    cumulative: bool
    bands: tuple[Band, ...]
    charge_zero: bool = False
    _limits: list[Decimal] = field(init=False, repr=False, compare=False)
    _passed: tuple[BandUsage, ...] = field(init=False, repr=False, compare=False)
    _before: list[Decimal] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bands", tuple(self.bands))
        _check_bands(self.bands)
        object.__setattr__(self, "_limits", [band.lower_limit for band in self.bands])
        self._sum_up()

    @exact
    def _sum_up(self) -> None:
        """Work out each band as if passed in full, and what those before each band come to."""
        widths = [upper - lower for lower, upper in zip(self._limits, self._limits[1:], strict=False)]
        inside = (self._inside(index, width, ZERO) for index, width in enumerate(widths))
        passed = tuple(map(self._usage, inside)) if self.cumulative else ()
        before = [ZERO]
        for usage in passed:
            before.append(before[-1] + usage.amount)
        object.__setattr__(self, "_passed", passed)
        object.__setattr__(self, "_before", before)

    @exact
    def price(self, units: Decimal) -> Charge:
        """Return F(units) with its workings: one band usage for each band entered, or for the one reached."""
        reached = self.reach(units)
        if reached is None:
            return _NOTHING
        passed = self._passed[: reached.place] if self.cumulative else ()
        return Charge(reached.total, (*passed, self._usage(reached)))

    def reach(self, units: Decimal) -> Reached | None:
        """Return where units end, which is all of `price` that depends on them; None where nothing is charged."""
        index = self._reached(units)
        if index is None:
            return None
        if not self.cumulative:
            return self._inside(index, units, ZERO)
        return self._inside(index, EXACT.subtract(units, self._limits[index]), self._before[index])

    @exact
    def amount(self, units: Decimal) -> Decimal:
        """Return F(units) alone: the same as `price` gives, without making the workings."""
        reached = self._reached(units)
        if reached is None:
            return ZERO
        if not self.cumulative:
            return self._amount(reached, units)
        return self._before[reached] + self._amount(reached, units - self._limits[reached])

    @exact
    def within(self, budget: Decimal, units_max: Decimal) -> tuple[Decimal, Decimal]:
        """Return the most units that a budget pays for, and F of them; zero and zero if it pays for none (R7.4).

        Args:
            budget: exact.
            units_max: at most so many; above zero.
        """
        limits = [*self._limits[1:], units_max]
        for index, limit in reversed(list(enumerate(limits))):
            lower, upper = self._limits[index], min(limit, units_max)
            if lower >= upper:
                continue
            # Inside the band F is the price of what lies above the base, beside what is there with the first unit.
            base = lower if self.cumulative else ZERO
            before = self._before[index] if self.cumulative else ZERO
            units, amount = self._within(index, budget - before, upper - base)
            if base + units > lower:
                return base + units, before + amount
        return ZERO, ZERO

    def _within(self, index: int, budget: Decimal, units_max: Decimal) -> tuple[Decimal, Decimal]:
        """Return the most units of one band that a budget pays for, and what they cost; zero if it pays for none."""
        band, whole = self.bands[index], self._amount(index, units_max)
        left = budget - band.fixed_price
        if whole <= budget:
            return units_max, whole
        if band.unit_price <= ZERO or left < ZERO:
            return ZERO, ZERO
        if band.block_size is None:
            return divide(left, band.unit_price), budget
        count = left // band.unit_price
        return count * band.block_size, band.fixed_price + count * band.unit_price

    def reached(self, units: Decimal) -> Band | None:
        """Return the highest band entered; None at zero units, unless `charge_zero`; the first for negative units."""
        index = self._reached(units)
        return None if index is None else self.bands[index]

    def _reached(self, units: Decimal) -> int | None:
        if units > ZERO:
            return bisect_left(self._limits, units) - 1
        return 0 if units or self.charge_zero else None

    def _inside(self, index: int, units: Decimal, before: Decimal) -> Reached:
        band = self.bands[index]
        fixed_price = band.fixed_price if units >= ZERO else ZERO
        count = None if band.block_size is None else _count_blocks(units, band.block_size)
        amount = EXACT.fma(band.unit_price, units if count is None else count, fixed_price)
        return Reached(index, units, count, fixed_price, amount, EXACT.add(before, amount))

    def _usage(self, reached: Reached) -> BandUsage:
        index, units, block_count, fixed_price, amount, _ = reached
        band = self.bands[index]
        upper_limit = self._limits[index + 1] if index + 1 < len(self._limits) else None
        return BandUsage(band.lower_limit, upper_limit, units, block_count, band.unit_price, fixed_price, amount)

    def _amount(self, index: int, units: Decimal) -> Decimal:
        band = self.bands[index]
        count = units if band.block_size is None else _count_blocks(units, band.block_size)
        return band.fixed_price + band.unit_price * count if units >= ZERO else band.unit_price * count


def _count_blocks(units: Decimal, block_size: Decimal) -> Decimal:
    """Return the blocks that the units need; of negative units, the whole blocks given back (R1.3 to R1.5)."""
    if not units:
        return ONE  # a band is entered without units only by charge_zero: its first block is owned from the start
    whole, rest = EXACT.divmod(units, block_size)  # toward zero, the rest with the units' sign
    return EXACT.add(whole, ONE) if rest > ZERO else whole or ZERO


def _check_bands(bands: Sequence[Band]) -> None:
    mistakes = Mistakes()
    if not 1 <= len(bands) <= BANDS_MAX:
        mistakes.add("bands", "BAND_COUNT", f"must be from 1 to {BANDS_MAX} bands")
    if bands and bands[0].lower_limit:
        mistakes.add("bands[0].lower_limit", "BAND_START", "must be 0: the first band starts there")
    for index, band in enumerate(bands):
        if index and band.lower_limit <= bands[index - 1].lower_limit:
            message = "must be greater than the lower limit of the band before"
            mistakes.add(f"bands[{index}].lower_limit", "BAND_ORDER", message)
        if band.block_size is not None and band.block_size <= ZERO:
            mistakes.add(f"bands[{index}].block_size", "BLOCK_SIZE", "must be greater than 0")
    mistakes.check()


# --- Names (R1.2) -----------------------------------------------------------------------------------------------------


class PricingType(StrEnum):
    """The names that people know for shapes of bands; the engine knows only the switch and the bands."""

    PER_UNIT = "PER_UNIT"
    TIERED = "TIERED"
    VOLUME = "VOLUME"
    STAIRSTEP = "STAIRSTEP"
    STAIRSTEP_ADDITIVE = "STAIRSTEP_ADDITIVE"
    CUSTOM_TIERED = "CUSTOM_TIERED"
    CUSTOM_VOLUME = "CUSTOM_VOLUME"
    PACKAGE = "PACKAGE"


_CUMULATIVE: Final = {
    PricingType.PER_UNIT: True,
    PricingType.TIERED: True,
    PricingType.VOLUME: False,
    PricingType.STAIRSTEP: False,
    PricingType.STAIRSTEP_ADDITIVE: True,
    PricingType.CUSTOM_TIERED: True,
    PricingType.CUSTOM_VOLUME: False,
}  # PACKAGE is priced either way
_STEPS: Final = {PricingType.STAIRSTEP, PricingType.STAIRSTEP_ADDITIVE}
_CUSTOM: Final = {PricingType.CUSTOM_TIERED, PricingType.CUSTOM_VOLUME}


def check_pricing_type(name: PricingType, bands: Sequence[Band], cumulative: bool | None = None) -> bool:
    """Return the ``cumulative`` that the name stands for, if only those prices are set that it knows.

    Args:
        name: the name given as input.
        bands: as given; their limits are checked by `Bands`, not here.
        cumulative: as given; None lets the name decide, which `PricingType.PACKAGE` cannot.

    Raises:
        Invalid: with all mistakes, at ``cumulative`` and paths such as ``bands[0].fixed_price``.
    """
    mistakes = Mistakes()
    meant = _CUMULATIVE.get(name, cumulative)
    if meant is None:
        mistakes.add("cumulative", "FIELD_REQUIRED", f"must be set: {name} is priced either way")
    elif cumulative is not None and cumulative is not meant:
        mistakes.add("cumulative", "PRICING_TYPE", f"must be {str(meant).lower()} for {name}")
    if name is PricingType.PER_UNIT and len(bands) > 1:
        mistakes.add("bands", "PRICING_TYPE", f"must be a single band for {name}")
    if name is PricingType.PACKAGE and all(band.block_size is None for band in bands):
        mistakes.add("bands", "PRICING_TYPE", f"must have a band with a block size for {name}")
    for index, band in enumerate(bands):
        with mistakes.under(f"bands[{index}]"):
            _check_prices(name, band)
    mistakes.check()
    return bool(meant)


def _check_prices(name: PricingType, band: Band) -> None:
    mistakes = Mistakes()
    if band.fixed_price and name not in _STEPS | _CUSTOM:
        mistakes.add("fixed_price", "PRICING_TYPE", f"must be 0 for {name}")
    if band.unit_price and name in _STEPS:
        mistakes.add("unit_price", "PRICING_TYPE", f"must be 0 for {name}")
    if band.block_size is not None and name not in _CUSTOM | {PricingType.PACKAGE}:
        mistakes.add("block_size", "PRICING_TYPE", f"must not be set for {name}")
    if band.block_size is None and band.unit_price and name is PricingType.PACKAGE:
        mistakes.add("block_size", "PRICING_TYPE", f"must be set for {name} unless the units are free")
    mistakes.check()


def pricing_type(bands: Bands) -> PricingType:
    """Return the name to display: one that `check_pricing_type` accepts for these bands and reads the same way."""
    fixed = any(band.fixed_price for band in bands.bands)
    unit = any(band.unit_price for band in bands.bands)
    blocks = any(band.block_size is not None for band in bands.bands)
    packaged = blocks and all(band.block_size is not None or not band.unit_price for band in bands.bands)
    if packaged and not fixed:
        return PricingType.PACKAGE
    if blocks or (fixed and unit):
        return PricingType.CUSTOM_TIERED if bands.cumulative else PricingType.CUSTOM_VOLUME
    if fixed:
        return PricingType.STAIRSTEP_ADDITIVE if bands.cumulative else PricingType.STAIRSTEP
    if not bands.cumulative:
        return PricingType.VOLUME
    return PricingType.PER_UNIT if len(bands.bands) == 1 else PricingType.TIERED
