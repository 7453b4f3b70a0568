"""`ratel recount`: the proof that rollups are what their events come to."""

import asyncio
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ratel.cli.database import database_url
from ratel.cli.failure import CommandFailed
from ratel.config import Configuration
from ratel.core.event import Partial
from ratel.core.meter import RollupDefinition
from ratel.store.migrate import check_schema
from ratel.store.pool import Database, PoolLimits
from ratel.store.recount import Difference, recount

# Every event there is, is read.
STATEMENT_SECONDS = 24 * 60 * 60
SHOWN_MAX = 100


def recount_rollups(configuration: Configuration, *, repair: bool) -> None:
    """Say whether the rollups are right.

    Raises:
        CommandFailed: They were not.
    """
    console = Console()
    with database_url(configuration) as url, console.status("Counting every event again"):
        differences = asyncio.run(_recount(url, repair=repair))
    if not differences:
        console.print("Every rollup is what its events come to.")
        return
    console.print(_table(differences[:SHOWN_MAX]))
    done = "repaired" if repair else "not repaired; --repair does"
    raise CommandFailed(f"{len(differences)} buckets were not what their events come to: {done}.")


async def _recount(url: str, *, repair: bool) -> list[Difference]:
    database = Database(url, PoolLimits(connections_max=1, statement_seconds=STATEMENT_SECONDS))
    try:
        async with database.connection() as connection:
            await check_schema(connection)
            return await recount(connection, repairs=repair)
    finally:
        await database.close()


def _table(differences: Sequence[Difference]) -> Table:
    table = Table("Account number", "Rollup", "From", "Hours", "Segment", "Stored", "Counted")
    for each in differences:
        table.add_row(
            str(each.account_no),
            _name(each.rollup),
            f"{each.start_time:%Y-%m-%d %H:%M}",
            str(each.hours),
            ", ".join(each.segment),
            _describe(each.stored),
            _describe(each.counted),
        )
    return table


def _name(rollup: RollupDefinition) -> str:
    dimensions = f" by {', '.join(rollup.dimensions)}" if rollup.dimensions else ""
    return f"{rollup.meter_id} {rollup.field}".rstrip() + dimensions


def _describe(partial: Partial | None) -> str:
    return "nothing" if partial is None else f"{partial.event_count} events, sum {partial.value_sum}"
