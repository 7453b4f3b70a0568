"""Compound aggregations, with a row for each aggregation that the formula names."""

from datetime import datetime

from ratel.core.errors import AlreadyExists
from ratel.core.meter import CompoundAggregation, read_formula
from ratel.core.money import Rounding
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row, Stored, create

INSERT = """
    INSERT INTO compound_aggregations (
        id, name, quantity_per_unit, rounding, unit, product_id, formula, null_as_zero, create_time, update_time
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = "SELECT * FROM compound_aggregations WHERE id = $1"
PAGE = "SELECT * FROM compound_aggregations WHERE ($1 = '' OR product_id = $1) AND id > $2 ORDER BY id LIMIT $3"
UPDATE = """
    UPDATE compound_aggregations
    SET name = $2, quantity_per_unit = $3, rounding = $4, unit = $5, update_time = $6, etag = nextval('etags')
    WHERE id = $1
"""
DELETE = "DELETE FROM compound_aggregations WHERE id = $1"
# Aggregations and compounds share one space of names, so that a formula can never mean two things.
SELECT_NAMED = """
    SELECT 'aggregation' FROM aggregations WHERE id = $1
    UNION ALL SELECT 'compound_aggregation' FROM compound_aggregations WHERE id = $1
"""
INSERT_OPERANDS = """
    INSERT INTO compound_operands (compound_aggregation_id, aggregation_id)
    SELECT $1, operand FROM unnest($2::text[]) operand
    ON CONFLICT DO NOTHING
"""


def _to_changes(compound: CompoundAggregation) -> tuple[object, ...]:
    return compound.id, compound.name, compound.quantity_per_unit, compound.rounding.value, compound.unit


def _to_row(compound: CompoundAggregation) -> tuple[object, ...]:
    return *_to_changes(compound), compound.product_id, compound.formula.text, compound.null_as_zero


def compound_from_row(row: Row) -> CompoundAggregation:
    """Return the compound aggregation of a row."""
    return CompoundAggregation(
        id=row["id"],
        product_id=row["product_id"],
        name=row["name"],
        formula=read_formula(row["formula"]),
        quantity_per_unit=row["quantity_per_unit"],
        rounding=Rounding(row["rounding"]),
        unit=row["unit"],
        null_as_zero=row["null_as_zero"],
    )


COMPOUNDS = Resource(
    "compound_aggregation", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, compound_from_row
)


async def create_compound(
    connection: Connection, compound: CompoundAggregation, now: datetime
) -> Stored[CompoundAggregation]:
    """Store a compound of aggregations that exist, see `resource.create`."""
    stored = await create(connection, COMPOUNDS, compound, now)
    await connection.execute(INSERT_OPERANDS, compound.id, sorted(compound.formula.names))
    return stored


async def check_name_free(connection: Connection, resource: str, name: str) -> None:
    """Check that no aggregation or compound of another kind than this resource has the id.

    Raises:
        AlreadyExists: one has.
    """
    found = await connection.fetchval(SELECT_NAMED, name)
    if found not in (None, resource):
        raise AlreadyExists(found, name)
