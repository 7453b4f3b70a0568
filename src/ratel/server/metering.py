"""All that takes usage in and keeps the rollups in step, started and ended as one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from prometheus_client import CollectorRegistry

from ratel.core.tail import Tail
from ratel.server import clock
from ratel.server.folding import Folding
from ratel.server.ingest import Ingest, IngestLimits
from ratel.server.intake import Intake
from ratel.server.usage_metrics import create_usage_metrics
from ratel.store.batch import Writer
from ratel.store.partition import ensure_partitions
from ratel.store.pool import Database

CONNECTIONS = 6
"""What a database for `open_metering` needs at least: two groups, a fold, new partitions, old ones, look-ups."""


@dataclass(frozen=True, slots=True)
class Metering:
    """What takes usage in.

    Attributes:
        intake: checks it.
        ingest: writes it.
        tail: what this process remembers of batches that are not in the rollups; readers add it.
    """

    intake: Intake
    ingest: Ingest
    tail: Tail


@asynccontextmanager
async def open_metering(
    database: Database,
    registry: CollectorRegistry,
    future: timedelta,
    limits: IngestLimits | None = None,
    retention_days: int = 0,
) -> AsyncIterator[Metering]:
    """Take usage in until the end of the block, where what is queued is written and folded.

    Args:
        database: with `CONNECTIONS` at least, for this alone: reads must not keep writes waiting.
        registry: of the metrics.
        future: how far ahead of the clock an event may be.
        limits: see there.
        retention_days: how long events are kept; 0 for ever.

    Raises:
        DatabaseUnavailable: at the start.
    """
    metrics = create_usage_metrics(registry)
    writer = Writer(uuid4(), Tail())
    intake = Intake(database, future, writer.precedence)
    ingest = Ingest(database, writer, intake, metrics, limits or IngestLimits())
    folding = Folding(database, writer, intake, ingest, metrics)
    async with database.connection() as connection:
        await ensure_partitions(connection, clock.now())
        await intake.refresh(connection)
    ingest.start()
    folding.start(retention_days)
    try:
        yield Metering(intake, ingest, writer.tail)
    finally:
        await ingest.close()
        await folding.close()
