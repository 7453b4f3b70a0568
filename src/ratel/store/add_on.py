"""Add-ons; their rates are one JSON text, with decimals as texts, so that nothing is rounded."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ratel.core.add_on import AddOn, AddOnRate
from ratel.core.band import Band, Bands
from ratel.store.resource import Resource, Row

INSERT = """
    INSERT INTO add_ons (
        id, name, flat_price, setup_fee, rates, trial_days, grace_days, product_id, currency, create_time, update_time
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = "SELECT * FROM add_ons WHERE id = $1"
PAGE = "SELECT * FROM add_ons WHERE ($1 = '' OR product_id = $1) AND id > $2 ORDER BY id LIMIT $3"
UPDATE = """
    UPDATE add_ons
    SET name = $2, flat_price = $3, setup_fee = $4, rates = $5, trial_days = $6, grace_days = $7, update_time = $8,
        etag = nextval('etags')
    WHERE id = $1
"""
DELETE = "DELETE FROM add_ons WHERE id = $1"


def _to_changes(add_on: AddOn) -> tuple[object, ...]:
    prices = add_on.flat_price, add_on.setup_fee, json_from_rates(add_on.rates)
    return add_on.id, add_on.name, *prices, add_on.trial_days, add_on.grace_days


def _to_row(add_on: AddOn) -> tuple[object, ...]:
    return *_to_changes(add_on), add_on.product_id, add_on.currency


def add_on_from_row(row: Row, id_column: str = "id") -> AddOn:
    """Return the add-on of a row."""
    return AddOn(
        id=row[id_column],
        product_id=row["product_id"],
        name=row["name"],
        currency=row["currency"],
        flat_price=row["flat_price"],
        setup_fee=row["setup_fee"],
        rates=_rates_from_json(row["rates"]),
        trial_days=row["trial_days"],
        grace_days=row["grace_days"],
    )


ADD_ONS = Resource("add_on", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, add_on_from_row)


def json_from_rates(rates: Sequence[AddOnRate]) -> str:
    """Return rates as JSON."""
    return json.dumps([_rate_to_json(rate) for rate in rates])


def _rate_to_json(rate: AddOnRate) -> dict[str, object]:
    return {
        "unit": rate.unit,
        "cumulative": rate.bands.cumulative,
        "bands": [
            [_text(value) for value in (band.lower_limit, band.unit_price, band.fixed_price, band.block_size)]
            for band in rate.bands.bands
        ],
        "quantity_min": _text(rate.quantity_min),
        "quantity_max": _text(rate.quantity_max),
        "increment": _text(rate.increment),
        "display_per_increment": rate.display_per_increment,
    }


def _rates_from_json(text: str) -> tuple[AddOnRate, ...]:
    return tuple(_rate_from_json(rate) for rate in json.loads(text))


def _rate_from_json(rate: Any) -> AddOnRate:
    bands = (
        Band(Decimal(lower), Decimal(unit), Decimal(fixed), _decimal(block))
        for lower, unit, fixed, block in rate["bands"]
    )
    return AddOnRate(
        unit=rate["unit"],
        bands=Bands(rate["cumulative"], tuple(bands)),
        quantity_min=_decimal(rate["quantity_min"]),
        quantity_max=_decimal(rate["quantity_max"]),
        increment=_decimal(rate["increment"]),
        display_per_increment=rate["display_per_increment"],
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
