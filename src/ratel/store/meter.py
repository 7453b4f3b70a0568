"""Meters: their fields are parallel arrays, one element each."""

from collections.abc import Mapping
from datetime import datetime

from ratel.core.meter import FieldKind, Meter, counting_rollup, read_fields
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row, Stored, create
from ratel.store.rollup import ensure_rollup

INSERT = """
    INSERT INTO meters (
        id, name, field_names, field_kinds, field_units, field_formulas, product_id, create_time, update_time
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = "SELECT * FROM meters WHERE id = $1"
PAGE = "SELECT * FROM meters WHERE ($1 = '' OR product_id = $1) AND id > $2 ORDER BY id LIMIT $3"
UPDATE = """
    UPDATE meters
    SET name = $2, field_names = $3, field_kinds = $4, field_units = $5, field_formulas = $6,
        update_time = $7, etag = nextval('etags')
    WHERE id = $1
"""
DELETE = "DELETE FROM meters WHERE id = $1"
SELECT_NUMBER = "SELECT meter_no FROM meters WHERE id = $1"
SELECT_ALL = "SELECT * FROM meters"


def _to_changes(meter: Meter) -> tuple[object, ...]:
    fields = meter.fields
    return (
        meter.id,
        meter.name,
        [field.name for field in fields],
        [field.kind.value for field in fields],
        [field.unit for field in fields],
        [field.formula.text if field.formula else "" for field in fields],
    )


def _to_row(meter: Meter) -> tuple[object, ...]:
    return *_to_changes(meter), meter.product_id


def meter_from_row(row: Row) -> Meter:
    """Return the meter of a row."""
    kinds = map(FieldKind, row["field_kinds"])
    fields = zip(row["field_names"], kinds, row["field_units"], row["field_formulas"], strict=True)
    return Meter(row["id"], row["product_id"], row["name"], read_fields(list(fields)))


METERS = Resource("meter", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, meter_from_row)


async def create_meter(connection: Connection, meter: Meter, now: datetime) -> Stored[Meter]:
    """Store a meter, see `resource.create`, with the rollup that counts its events."""
    stored = await create(connection, METERS, meter, now)
    await ensure_rollup(connection, await meter_number(connection, meter.id), counting_rollup(meter.id))
    return stored


async def meter_number(connection: Connection, meter_id: str) -> int:
    """Return the number by which events name a meter that exists."""
    return int(await connection.fetchval(SELECT_NUMBER, meter_id))


async def load_meters(connection: Connection) -> Mapping[str, tuple[int, Meter]]:
    """Return every meter with its number, by id."""
    return {row["id"]: (row["meter_no"], meter_from_row(row)) for row in await connection.fetch(SELECT_ALL)}
