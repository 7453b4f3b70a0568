"""`ratel serve`."""

import uvloop

from ratel.cli.database import database_url, migrate_url
from ratel.config import Configuration
from ratel.server.serve import serve


def serve_database(configuration: Configuration) -> None:
    """Serve until told to end. Only the embedded database is migrated by itself: nobody else uses it."""
    with database_url(configuration) as url:
        uvloop.run(_serve(configuration, url))


async def _serve(configuration: Configuration, url: str) -> None:
    if not configuration.database_url:
        await migrate_url(url)
    await serve(configuration, url)
