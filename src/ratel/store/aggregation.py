"""Aggregations, each with the rollup that keeps its sums."""

from datetime import datetime

from ratel.core.meter import Aggregation, Filter, Method
from ratel.core.money import Rounding
from ratel.store.lock import LOCK_FOLD
from ratel.store.meter import meter_number
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row, Stored, create, delete
from ratel.store.rollup import ensure_rollup

# The rollup is made before, in the same transaction.
INSERT = """
    INSERT INTO aggregations (
        id, name, default_quantity, quantity_per_unit, rounding, unit, meter_id, method, field,
        filter_field, filter_values, segment_fields, create_time, update_time, rollup_no
    ) VALUES (
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $16, $16,
        (
            SELECT rollup_no FROM rollups JOIN meters USING (meter_no)
            WHERE meters.id = $7 AND field = $9 AND keeps_values = $13 AND dimensions = $14
                AND keeps_moment = $15
        )
    )
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = "SELECT * FROM aggregations WHERE id = $1"
PAGE = """
    SELECT aggregations.* FROM aggregations JOIN meters ON meters.id = meter_id
    WHERE ($1 = '' OR product_id = $1) AND aggregations.id > $2
    ORDER BY aggregations.id LIMIT $3
"""
UPDATE = """
    UPDATE aggregations
    SET name = $2, default_quantity = $3, quantity_per_unit = $4, rounding = $5, unit = $6,
        update_time = $7, etag = nextval('etags')
    WHERE id = $1
"""
DELETE = "DELETE FROM aggregations WHERE id = $1"
# The rollup that counts a meter's events is the meter's own.
DELETE_UNNEEDED_ROLLUPS = """
    DELETE FROM rollups
    WHERE meter_no = $1
        AND NOT (field = '' AND NOT keeps_values AND dimensions = '{}')
        AND NOT EXISTS (SELECT FROM aggregations WHERE aggregations.rollup_no = rollups.rollup_no)
"""
SELECT_KNOWN = "SELECT id FROM aggregations WHERE id = any($1::text[])"


def _to_changes(aggregation: Aggregation) -> tuple[object, ...]:
    return (
        aggregation.id,
        aggregation.name,
        aggregation.default_quantity,
        aggregation.quantity_per_unit,
        aggregation.rounding.value,
        aggregation.unit,
    )


def _to_row(aggregation: Aggregation) -> tuple[object, ...]:
    filtered = aggregation.filter
    return (
        *_to_changes(aggregation),
        aggregation.meter_id,
        aggregation.method.value,
        aggregation.field,
        filtered.field if filtered else None,
        sorted(filtered.values) if filtered else None,
        list(aggregation.segment_fields),
        aggregation.rollup.keeps_values,
        list(aggregation.rollup.dimensions),
        aggregation.rollup.keeps_moment,
    )


def aggregation_from_row(row: Row) -> Aggregation:
    """Return the aggregation of a row."""
    return Aggregation(
        id=row["id"],
        meter_id=row["meter_id"],
        name=row["name"],
        method=Method(row["method"]),
        field=row["field"],
        default_quantity=row["default_quantity"],
        quantity_per_unit=row["quantity_per_unit"],
        rounding=Rounding(row["rounding"]),
        unit=row["unit"],
        filter=Filter(row["filter_field"], frozenset(row["filter_values"])) if row["filter_field"] else None,
        segment_fields=tuple(row["segment_fields"]),
    )


AGGREGATIONS = Resource("aggregation", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, aggregation_from_row)


async def create_aggregation(connection: Connection, aggregation: Aggregation, now: datetime) -> Stored[Aggregation]:
    """Store an aggregation of a meter that exists, see `resource.create`, with its rollup."""
    await ensure_rollup(connection, await meter_number(connection, aggregation.meter_id), aggregation.rollup)
    return await create(connection, AGGREGATIONS, aggregation, now)


async def delete_aggregation(connection: Connection, aggregation: Aggregation) -> None:
    """Delete an aggregation, see `resource.delete`, and its rollup unless another aggregation needs that too."""
    await delete(connection, AGGREGATIONS, aggregation.id)
    await connection.execute(LOCK_FOLD)
    await connection.execute(DELETE_UNNEEDED_ROLLUPS, await meter_number(connection, aggregation.meter_id))


async def known_aggregations(connection: Connection, ids: frozenset[str]) -> frozenset[str]:
    """Return which of the ids are aggregations."""
    return frozenset(row["id"] for row in await connection.fetch(SELECT_KNOWN, list(ids)))
