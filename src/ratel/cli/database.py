"""Which database a command works on: the one that the configuration names, or the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager

from ratel.config import Configuration
from ratel.store.embedded import start_postgres
from ratel.store.migrate import migrate
from ratel.store.pool import Database, PoolLimits

# One statement may build an index on every event there is.
MIGRATION_SECONDS = 24 * 60 * 60


@contextmanager
def database_url(configuration: Configuration) -> Iterator[str]:
    """Name the database, and start the embedded one for as long as the block lasts if it is that."""
    if configuration.database_url:
        yield configuration.database_url
        return
    with start_postgres(configuration.data_dir) as postgres:
        yield postgres.url


async def migrate_url(url: str) -> list[str]:
    """Bring a database's schema to this version and return the names of the migrations applied."""
    database = Database(url, PoolLimits(connections_max=1, statement_seconds=MIGRATION_SECONDS))
    try:
        async with database.connection() as connection:
            return await migrate(connection)
    finally:
        await database.close()
