"""What events are checked and folded by: the layouts of meters and the rollups, as of a revision of the catalog."""

from ratel.core.layout import Layout
from ratel.core.meter import FieldKind, RollupDefinition, read_fields
from ratel.core.rollup import Definitions, Rollup
from ratel.store.pool import Connection

SELECT_REVISION = "SELECT revision FROM catalog_revisions"
SELECT_LEAST_KEY = "SELECT least_key FROM event_retention"
SELECT_ROLLUPS = "SELECT rollup_no, meter_no, field, keeps_values, dimensions, keeps_moment FROM rollups"
SELECT_METERS = "SELECT id, meter_no, field_names, field_kinds, field_units, field_formulas FROM meters"


async def read_definitions(connection: Connection, known: Definitions | None = None) -> Definitions:
    """Return the definitions, or those known if the catalog's revision is still theirs.

    Outside a snapshot they may be newer than their revision, never older.
    """
    revision = await connection.fetchval(SELECT_REVISION)
    if known is not None and known.revision == revision:
        return known
    # In this order: whoever makes a rollup has made its meter and its fields before.
    rollup_rows = await connection.fetch(SELECT_ROLLUPS)
    layouts, ids = {}, {}
    for row in await connection.fetch(SELECT_METERS):
        kinds = map(FieldKind, row["field_kinds"])
        columns = (row["field_names"], kinds, row["field_units"], row["field_formulas"])
        layouts[row["id"]] = Layout(row["meter_no"], read_fields(list(zip(*columns, strict=True))))
        ids[row["meter_no"]] = row["id"]
    rollups = []
    for row in rollup_rows:
        meter_id = ids.get(row["meter_no"])
        if meter_id is not None:  # deleted since, with its rollups
            kept = row["keeps_values"], tuple(row["dimensions"]), row["keeps_moment"]
            definition = RollupDefinition(meter_id, row["field"], *kept)
            rollups.append(Rollup(row["rollup_no"], layouts[meter_id], definition))
    least_key = await connection.fetchval(SELECT_LEAST_KEY)
    return Definitions(revision, layouts, tuple(rollups), b"" if least_key is None else least_key.bytes)
