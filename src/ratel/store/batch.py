"""One batch: a group of events that is committed together, and remembered for the rollups before it is."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

import numpy as np

from ratel.core.block import Block, Places, UInt64s
from ratel.core.event import Events
from ratel.core.recent import Recent
from ratel.core.rollup import Definitions, fold
from ratel.core.tail import Batch, BlockBatch, Tail
from ratel.store.block import Copy, KeyTaken, compare_suspects, copy_block, in_order, prepare_copy, suspects_of
from ratel.store.pool import Connection, while_asked
from ratel.store.precedence import Precedence
from ratel.store.usage import (
    CREATE_STAGE,
    Appended,
    add_pending,
    append,
    batch_transaction,
    mark_used,
    next_batch,
    next_pending_batch,
)

T = TypeVar("T")


def _now() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Writer:
    """What one process keeps from batch to batch.

    Attributes:
        owner: names the process among those that fold.
        tail: its memory of batches.
        used_meters: numbers of meters that are known to have events.
        recent: the keys that it has stored lately.
        precedence: of the event loop over threads that fold.
    """

    owner: UUID
    tail: Tail
    used_meters: set[int] = field(default_factory=set)
    recent: Recent = field(default_factory=lambda: Recent(_now()))
    precedence: Precedence = field(default_factory=Precedence)

    def know(self, highs: UInt64s, lows: UInt64s) -> None:
        """Take note of keys that are about to be stored: of their halves."""
        with self.precedence:
            self.recent.add(highs, lows, _now())


@dataclass(slots=True)
class Group:
    """Events to be written, and what is known of the attempts.

    Attributes:
        events: any, of several senders.
        batch_ids: of each attempt so far; that of a lost commit may have been written.
        revision: of the catalog, as the last attempt saw it.
    """

    events: Events | Block
    batch_ids: list[int] = field(default_factory=list)
    revision: int = 0


async def prepare_writing(connection: Connection) -> None:
    """Prepare a connection for `write_group`."""
    await connection.execute(CREATE_STAGE)


async def write_group(connection: Connection, writer: Writer, group: Group, definitions: Definitions) -> Appended:
    """Write a group as a new batch, in a transaction of its own; may be repeated after any error.

    A block is copied straight into the table the first time; whatever is in doubt goes the exact way.

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
    if isinstance(group.events, Block):
        if not group.batch_ids:
            try:
                return await _write_block(connection, writer, group, group.events)
            except KeyTaken:
                if group.events.ids is not None:
                    writer.recent.beware()
        events = group.events.events()
    else:
        events = group.events
    return await _write_events(connection, writer, group, events, definitions)


async def _write_events(
    connection: Connection, writer: Writer, group: Group, events: Events, definitions: Definitions
) -> Appended:
    """Write a group the exact way."""
    async with _attempt(connection, writer, group, set(events.meter_nos), lambda: None):
        batch_id, group.revision = await next_batch(connection)
        group.batch_ids.append(batch_id)
        appended = await append(connection, batch_id, events, group.batch_ids)
        if appended.stored:
            stored = _taken(events, appended.stored)
            # Before the commit, so that nobody ever sees a pending batch that its owner does not know.
            batch = Batch(definitions.rollup_nos, fold(stored, definitions.by_meter))
            writer.tail.add(batch_id, batch)
            halves = np.frombuffer(b"".join(stored.keys), ">u8").astype(np.uint64).reshape(-1, 2)
            writer.know(halves[:, 0], halves[:, 1])
            span = (len(stored), min(stored.times), max(stored.times), sorted(set(stored.account_nos)))
            await add_pending(connection, batch_id, writer.owner, span)
    return appended


async def _write_block(connection: Connection, writer: Writer, group: Group, block: Block) -> Appended:
    """Write a group by copying it.

    Raises:
        KeyTaken: it must be written the exact way.
    """
    order = in_order(block)

    def prepare() -> tuple[Places, Copy]:
        with writer.precedence:
            return suspects_of(block, order, writer.recent), prepare_copy(block.take(order))

    duplicates, conflicts = list[int](), list[int]()
    meter_nos = set(np.unique(block.meter_nos).tolist())
    async with _attempt(connection, writer, group, meter_nos, prepare) as (suspects, hoped):
        if len(suspects):
            duplicates, conflicts = await compare_suspects(connection, block, suspects, writer.recent)
        is_new = not duplicates and not conflicts
        order = order if is_new else _without(order, [*duplicates, *conflicts])
        if len(order):
            await _store(connection, writer, group, hoped if is_new else prepare_copy(block.take(order)))
    return Appended(order.tolist(), duplicates=duplicates, conflicts=conflicts)


def _without(order: Places, places: Sequence[int]) -> Places:
    is_left = np.ones(len(order), np.bool_)
    is_left[places] = False
    return order[is_left[order]]


async def _store(connection: Connection, writer: Writer, group: Group, copy: Copy) -> None:
    """Store events of which none is stored; in the batch's transaction."""
    stored = copy.block
    span = (len(stored), int(stored.times.min()), int(stored.times.max()), np.unique(stored.account_nos).tolist())
    asked = next_pending_batch(connection, writer.owner, span)
    (batch_id, group.revision), _ = await while_asked(asked, lambda: writer.know(stored.highs, stored.lows))
    group.batch_ids.append(batch_id)
    writer.tail.add(batch_id, BlockBatch(stored))
    await copy_block(connection, batch_id, copy, writer.precedence)


@asynccontextmanager
async def _attempt(
    connection: Connection, writer: Writer, group: Group, meter_nos: set[int], meanwhile: Callable[[], T]
) -> AsyncIterator[T]:
    """Open the transaction of a batch, and commit it at the end of the block."""
    new_meters = meter_nos - writer.used_meters
    try:
        async with batch_transaction(connection, meanwhile) as computed:
            if new_meters:
                await mark_used(connection, new_meters)
            yield computed
    except BaseException:
        # Whether it was committed is not known: if it was, it is folded from its events.
        for batch_id in group.batch_ids:
            writer.tail.forget(batch_id)
        raise
    writer.used_meters.update(new_meters)


def _taken(events: Events, places: Sequence[int]) -> Events:
    return events if len(places) == len(events) else events.take(places)
