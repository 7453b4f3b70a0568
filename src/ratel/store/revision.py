"""The catalog's revision: moves with every write to catalog or settings, in the same transaction."""

from ratel.store.pool import Connection

# Locks the one row: writers of the catalog go one after the other, and each sees all that those before it wrote.
MOVE = "UPDATE catalog_revisions SET revision = revision + 1"
SELECT = "SELECT revision FROM catalog_revisions"


async def move_revision(connection: Connection) -> None:
    """Begin a write to the catalog: call it before anything is read."""
    await connection.execute(MOVE)


async def catalog_revision(connection: Connection) -> int:
    """Return the revision that the transaction sees."""
    return int(await connection.fetchval(SELECT))
