"""`ratel migrate`."""

import asyncio

from rich.console import Console

from ratel.cli.database import database_url, migrate_url
from ratel.config import Configuration


def migrate_database(configuration: Configuration) -> None:
    """Bring the schema to this version and say what was done."""
    with database_url(configuration) as url:
        applied = asyncio.run(migrate_url(url))
    console = Console()
    for name in applied:
        console.print(f"applied {name}", highlight=False)
    console.print("The schema is this version's." if applied else "The schema was this version's already.")
