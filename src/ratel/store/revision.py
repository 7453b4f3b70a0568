"""What says that something has changed: it moves with every write, in the same transaction."""

from ratel.store.pool import Connection

# Locks the one row: writers of the catalog go one after the other, and each sees all that those before it wrote.
MOVE = "UPDATE catalog_revisions SET revision = revision + 1"
SELECT = "SELECT revision FROM catalog_revisions"
MOVE_USAGE = "UPDATE usage_revisions SET revision = revision + 1"


async def move_revision(connection: Connection) -> None:
    """Begin a write to the catalog: call it before anything is read."""
    await connection.execute(MOVE)


async def catalog_revision(connection: Connection) -> int:
    """Return the revision that the transaction sees."""
    return int(await connection.fetchval(SELECT))


async def move_usage(connection: Connection) -> None:
    """End a write, other than of new usage, that changes what is read of usage: best as the last of a transaction."""
    await connection.execute(MOVE_USAGE)
