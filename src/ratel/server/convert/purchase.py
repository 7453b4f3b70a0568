"""Add-ons, purchases of them, and ad-hoc charges."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ratel.account.v1 import ad_hoc_charge_pb2, purchase_pb2
from ratel.catalog.v1 import add_on_pb2
from ratel.core.add_on import AddOn, AddOnRate, check_quantities, display_prices, price_quantities
from ratel.core.band import pricing_type
from ratel.core.errors import Mistakes
from ratel.core.money import amount_text, decimal_from_text, round_amount, text_from_decimal
from ratel.core.purchase import AdHocCharge, Order, Purchase
from ratel.rating.v1 import rating_service_pb2
from ratel.server.convert.band import PRICING_TYPES, band_to_proto, bands_from_proto
from ratel.server.convert.rating import purchase_workings_to_proto
from ratel.server.convert.value import amount_to_text, instant_from_proto, instant_to_proto, optional_instant_to_proto

# --- Add-ons ----------------------------------------------------------------------------------------------------------


def add_on_from_proto(message: add_on_pb2.AddOn) -> AddOn:
    """Return the add-on of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    amounts = _optional_decimals(mistakes, message, "flat_price", "setup_fee")
    rates = []
    for index, rate in enumerate(message.rates):
        with mistakes.under(f"rates[{index}]"):
            rates.append(_rate_from_proto(rate))
    mistakes.check()
    return AddOn(
        id=message.id,
        product_id=message.product_id,
        name=message.name,
        currency=message.currency,
        rates=tuple(rates),
        trial_days=message.trial_days,
        grace_days=message.grace_days,
        **amounts,
    )


def _rate_from_proto(message: add_on_pb2.AddOnRate) -> AddOnRate:
    mistakes = Mistakes()
    with mistakes.under():
        bands = bands_from_proto(message)
    limits = _optional_decimals(mistakes, message, "quantity_min", "quantity_max", "increment")
    mistakes.check()
    return AddOnRate(message.unit, bands, display_per_increment=message.display_per_increment, **limits)


def _optional_decimals(mistakes: Mistakes, message: Any, *fields: str) -> dict[str, Any]:
    found: dict[str, Decimal | None] = dict.fromkeys(fields)
    for field in fields:
        if message.HasField(field):
            with mistakes.under(field):
                found[field] = decimal_from_text(getattr(message, field))
    return found


def add_on_to_proto(add_on: AddOn) -> add_on_pb2.AddOn:
    """Return the message of an add-on."""
    return add_on_pb2.AddOn(
        id=add_on.id,
        product_id=add_on.product_id,
        name=add_on.name,
        currency=add_on.currency,
        flat_price=amount_to_text(add_on.flat_price),
        setup_fee=amount_to_text(add_on.setup_fee),
        rates=map(_rate_to_proto, add_on.rates),
        trial_days=add_on.trial_days,
        grace_days=add_on.grace_days,
    )


def _rate_to_proto(rate: AddOnRate) -> add_on_pb2.AddOnRate:
    limits = (rate.quantity_min, rate.quantity_max, rate.increment)
    minimum, maximum, increment = (None if limit is None else text_from_decimal(limit) for limit in limits)
    return add_on_pb2.AddOnRate(
        unit=rate.unit,
        cumulative=rate.bands.cumulative,
        pricing_type=PRICING_TYPES.to_proto(pricing_type(rate.bands)),
        bands=map(band_to_proto, rate.bands.bands),
        quantity_min=minimum,
        quantity_max=maximum,
        increment=increment,
        display_per_increment=rate.display_per_increment,
    )


# --- Purchases --------------------------------------------------------------------------------------------------------


def order_from_proto(message: purchase_pb2.Purchase) -> Order:
    """Return what a message orders; what the server sets is left out.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    with mistakes.under("purchase_time"):
        time = instant_from_proto(message.purchase_time)
    with mistakes.under():
        quantities = _quantities_from_proto(message.quantities)
    mistakes.check()
    return Order(message.id, message.account_id, message.add_on_id, time, tuple(sorted(quantities.items())))


def _quantities_from_proto(texts: Mapping[str, str]) -> dict[str, Decimal]:
    mistakes = Mistakes()
    quantities: dict[str, Decimal] = {}
    for unit, text in sorted(texts.items()):
        with mistakes.under(f'quantities["{unit}"]'):
            quantities[unit] = decimal_from_text(text)
    mistakes.check()
    return quantities


def purchase_to_proto(purchase: Purchase) -> purchase_pb2.Purchase:
    """Return the message of a purchase."""
    order, add_on = purchase.order, purchase.add_on
    amount = price_quantities(add_on, dict(order.quantities)).amount
    return purchase_pb2.Purchase(
        id=order.id,
        account_id=order.account_id,
        add_on_id=order.add_on_id,
        purchase_time=instant_to_proto(order.time),
        quantities={unit: text_from_decimal(quantity) for unit, quantity in order.quantities},
        cancel_time=optional_instant_to_proto(purchase.cancel_time),
        currency=add_on.currency,
        amount=amount_text(round_amount(amount, add_on.currency), add_on.currency),
        setup_fee=(amount_to_text(add_on.setup_fee) or "") if purchase.pays_setup_fee else "",
        due_time=optional_instant_to_proto(purchase.due_time),
    )


# --- Ad-hoc charges ---------------------------------------------------------------------------------------------------


def charge_from_proto(message: ad_hoc_charge_pb2.AdHocCharge) -> AdHocCharge:
    """Return the charge of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    with mistakes.under("charge_time"):
        time = instant_from_proto(message.charge_time)
    with mistakes.under("amount"):
        amount = decimal_from_text(message.amount)
    mistakes.check()
    return AdHocCharge(message.id, message.account_id, time, message.currency, amount, message.description)


def charge_to_proto(charge: AdHocCharge) -> ad_hoc_charge_pb2.AdHocCharge:
    """Return the message of a charge."""
    return ad_hoc_charge_pb2.AdHocCharge(
        id=charge.id,
        account_id=charge.account_id,
        charge_time=instant_to_proto(charge.time),
        currency=charge.currency,
        amount=amount_text(charge.amount, charge.currency),
        description=charge.description,
    )


# --- Quotes -----------------------------------------------------------------------------------------------------------


def quote_add_on_to_proto(
    request: rating_service_pb2.QuoteAddOnRequest, add_on: AddOn
) -> rating_service_pb2.QuoteAddOnResponse:
    """Return what the quantities of a request would cost.

    Raises:
        Invalid: with all mistakes.
    """
    quantities = _quantities_from_proto(request.quantities)
    check_quantities(add_on, quantities, is_further=request.further)
    workings = price_quantities(add_on, quantities)
    setup_fee = None if request.further else add_on.setup_fee
    return rating_service_pb2.QuoteAddOnResponse(
        currency=add_on.currency,
        amount=amount_text(round_amount(workings.amount, add_on.currency), add_on.currency),
        setup_fee=amount_to_text(setup_fee) or "",
        purchase=purchase_workings_to_proto(workings),
        display_prices=display_prices(add_on),
    )
