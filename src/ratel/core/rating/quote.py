"""What a quantity costs by given bands, without any catalog."""

from decimal import Decimal

from ratel.core.band import Bands, Reached
from ratel.core.bill import PricedQuantity
from ratel.core.money import Rounding, divide, exact, round_units
from ratel.core.quantity import Quantity


@exact
def quote(quantity: Decimal, quantity_per_unit: Decimal, rounding: Rounding, bands: Bands) -> PricedQuantity:
    """Price a quantity (R1); ``quantity_per_unit`` is above zero."""
    return price_quantity(Quantity(quantity), quantity_per_unit, rounding, bands)


def reach_quoted(
    quantity: Decimal, quantity_per_unit: Decimal, rounding: Rounding, bands: Bands
) -> tuple[Decimal, Reached | None]:
    """Return the units of a quantity and where in the bands they end: what of `quote` depends on the quantity."""
    units = round_units(quantity, quantity_per_unit, rounding)
    return units, bands.reach(units)


def price_quantity(
    quantity: Quantity | None, quantity_per_unit: Decimal, rounding: Rounding, bands: Bands
) -> PricedQuantity:
    """Price a quantity; none counts as zero units. Runs inside `money.EXACT`."""
    units = Decimal(0) if quantity is None else quantity.units(quantity_per_unit, rounding)
    charge = bands.price(units)
    return PricedQuantity(quantity.value if quantity else None, units, charge.amount, charge.band_usages)


def average_unit_price(amount: Decimal, units: Decimal) -> Decimal | None:
    """Return the exact amount by the units, carried to 50 digits; None without units."""
    return divide(amount, units) if units else None
