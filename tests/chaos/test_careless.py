"""Proof that the tests can fail: folders that take a short cut are found out by the schedule that the real one passes.

The schedule is what kills and cut connections do to a process, in one place and without chance in its outcome: batches
that another process took over, commits whose reply was lost, and memory that is gone.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from ratel.core.rollup import ByAccount, Definitions, add_hours, buckets_of
from ratel.core.tail import Batch, Tail
from ratel.store.batch import Writer
from ratel.store.lock import LOCK_FOLD
from ratel.store.pool import Connection
from ratel.store.recount import recount
from ratel.store.rollup import CLAIM_PENDING, FOLD_EVENTS_MAX, fold_pending, upsert
from tests.store.metering import (
    Process,
    create_accounts,
    create_meter,
    create_rollup,
    definition,
    process,
    random_usage,
)

OLD = "UPDATE pending_batches SET create_time = now() - interval '1 minute'"

Fold = Callable[[Connection, Writer, Definitions | None], Awaitable[object]]


async def fold_what_is_remembered(connection: Connection, writer: Writer, known: Definitions | None) -> object:
    """Trust the memory: fold all of it, and call that what was pending."""
    async with connection.transaction():
        await connection.execute(LOCK_FOLD)
        await connection.execute("DELETE FROM pending_batches WHERE owner = $1", writer.owner)
        await fold_batches(connection, writer.tail, writer.tail.batch_ids())
    for batch_id in writer.tail.batch_ids():
        writer.tail.forget(batch_id)
    return None


async def fold_only_what_is_remembered(connection: Connection, writer: Writer, known: Definitions | None) -> object:
    """Ask the database what is pending, but leave out what is not remembered."""
    async with connection.transaction():
        await connection.execute(LOCK_FOLD)
        claimed = [row["batch_id"] for row in await connection.fetch(CLAIM_PENDING, writer.owner, FOLD_EVENTS_MAX)]
        await fold_batches(connection, writer.tail, [each for each in claimed if writer.tail.get(each) is not None])
    return None


async def fold_without_a_lock_on_the_batches(
    connection: Connection, writer: Writer, known: Definitions | None
) -> object:
    """Look first, fold, and clear away later, in a transaction of its own."""
    rows = await connection.fetch("SELECT batch_id FROM pending_batches WHERE owner = $1", writer.owner)
    async with connection.transaction():
        await connection.execute(LOCK_FOLD)
        await fold_batches(connection, writer.tail, [row["batch_id"] for row in rows])
    return None  # killed here


async def fold_batches(connection: Connection, tail: Tail, batch_ids: list[int]) -> None:
    total: ByAccount = {}
    for batch_id in batch_ids:
        batch = tail.get(batch_id)
        if isinstance(batch, Batch):
            add_hours(total, batch.by_account)
    await upsert(connection, buckets_of(total))


async def follow_schedule(url: str, fold: Fold) -> int:
    """Run two processes through what happens to them, and return how many buckets are wrong in the end."""
    chance = random.Random(17)
    async with process(url) as one, process(url) as other:
        await create_meter(one.writing, "m")
        await create_accounts(one.writing, "a", "b")
        await create_rollup(one.writing, definition("size", "region"))

        async def write(own: Process) -> None:
            await own.write([random_usage(chance, chance.choice("ab")) for _ in range(50)])

        async def fold_with(own: Process) -> None:
            await fold(own.folding, own.writer, own.definitions)

        for _ in range(3):
            await write(one)
            await write(other)
            await fold_with(one)
            # The other is slow: its batches are taken over, and then it comes to fold.
            await one.folding.execute(OLD)
            await fold_pending(one.folding, one.writer, one.definitions)
            await fold_with(other)
            # It loses its memory, as a process does that is killed and started again.
            await write(other)
            for batch_id in other.writer.tail.batch_ids():
                other.writer.tail.forget(batch_id)
            await fold_with(other)
            await asyncio.gather(write(one), write(other))
        await one.folding.execute(OLD)
        await fold_pending(one.folding, one.writer, one.definitions)
        return len(await recount(one.folding))


async def test_the_real_folder_passes(fresh_database_url: str) -> None:
    assert await follow_schedule(fresh_database_url, fold_pending) == 0


@pytest.mark.parametrize(
    "fold", [fold_what_is_remembered, fold_only_what_is_remembered, fold_without_a_lock_on_the_batches]
)
async def test_a_careless_folder_is_found_out(fresh_database_url: str, fold: Fold) -> None:
    assert await follow_schedule(fresh_database_url, fold) > 0
