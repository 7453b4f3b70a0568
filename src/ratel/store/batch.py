"""One batch: a group of events that is committed together, and remembered for the rollups before it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from ratel.core.event import Events
from ratel.core.rollup import Definitions, fold
from ratel.core.tail import Batch, Tail
from ratel.store.pool import Connection
from ratel.store.usage import CREATE_STAGE, Appended, add_pending, append, begin_batch, mark_used


@dataclass(frozen=True, slots=True)
class Writer:
    """What one process keeps from batch to batch.

    Attributes:
        owner: names the process among those that fold.
        tail: its memory of batches.
        used_meters: numbers of meters that are known to have events.
    """

    owner: UUID
    tail: Tail
    used_meters: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Group:
    """Events to be written, and what is known of the attempts.

    Attributes:
        events: any, of several senders.
        batch_ids: of each attempt so far; that of a lost commit may have been written.
        revision: of the catalog, as the last attempt saw it.
    """

    events: Events
    batch_ids: list[int] = field(default_factory=list)
    revision: int = 0


async def prepare_writing(connection: Connection) -> None:
    """Prepare a connection for `write_group`."""
    await connection.execute(CREATE_STAGE)


async def write_group(connection: Connection, writer: Writer, group: Group, definitions: Definitions) -> Appended:
    """Write a group as a new batch, in a transaction of its own; may be repeated after any error.

    Events are stored once, however often and wherever it is repeated, and the outcome is that of the group as a whole:
    what an attempt wrote whose commit was lost counts as written now.

    Args:
        connection: after `prepare_writing`, not in a transaction.
        writer: of this process.
        group: keeps the ids of the attempts.
        definitions: as fresh as can be; by those of its rollups the batch is remembered.

    Raises:
        asyncpg.ForeignKeyViolationError: a meter has been deleted.
    """
    new_meters = set(group.events.meter_nos) - writer.used_meters
    batch_id = 0
    try:
        async with connection.transaction():
            batch_id, group.revision = await begin_batch(connection)
            group.batch_ids.append(batch_id)
            if new_meters:
                await mark_used(connection, new_meters)
            appended = await append(connection, batch_id, group.events, group.batch_ids)
            if appended.stored:
                stored = _taken(group.events, appended.stored)
                # Before the commit, so that nobody ever sees a pending batch that its owner does not know.
                batch = Batch(definitions.rollup_nos, fold(stored, definitions.by_meter))
                writer.tail.add(batch_id, batch)
                await add_pending(connection, batch_id, writer.owner, stored)
    except BaseException:
        # Whether it was committed is not known: if it was, it is folded from its events.
        writer.tail.forget(batch_id)
        raise
    writer.used_meters.update(new_meters)
    return appended


def _taken(events: Events, places: Sequence[int]) -> Events:
    return events if len(places) == len(events) else events.take(places)
