"""Rollups kept in step: by any process, at any time, over lost memory, late definitions and repairs."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ratel.core.rollup import Hour
from ratel.core.tail import Batch, Tail
from ratel.store.question import Slice
from ratel.store.recount import recount
from ratel.store.rollup import fold_pending, read_pending
from tests.store.metering import (
    COUNT_INCOMPLETE,
    MOVE_REVISION,
    Process,
    Usage,
    connected,
    create_accounts,
    create_meter,
    create_rollup,
    definition,
    partials_of,
    process,
    random_usage,
)

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
FOR_EVER = datetime(2100, 1, 1, tzinfo=UTC)
OLD = "UPDATE pending_batches SET create_time = now() - interval '11 seconds'"


async def prepare(own: Process, *definitions: str) -> int:
    await create_meter(own.writing, "m")
    for field in definitions:
        await create_rollup(own.writing, definition(field))
    return (await create_accounts(own.writing, "a"))["a"]


def usages(count: int, seed: int = 0) -> list[Usage]:
    chance = random.Random(seed)
    return [random_usage(chance, "a") for _ in range(count)]


async def count_buckets(own: Process) -> int:
    return int(await own.folding.fetchval("SELECT count(*) FROM rollup_buckets"))


async def test_a_fold_moves_what_is_pending_into_the_buckets(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        await prepare(own, "size")
        await own.write(usages(10))
        await own.write(usages(10, 1))
        assert (await read_pending(own.folding)).event_count == 20
        assert await own.fold() == 2
        assert (await read_pending(own.folding)).batch_count == 0
        assert await count_buckets(own) > 0
        assert await recount(own.folding) == []
        assert await own.fold() == 0


async def test_what_another_wrote_is_its_own_for_ten_seconds(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as dead, process(fresh_database_url) as living:
        await prepare(dead, "size")
        await dead.write(usages(10))
        assert await living.fold() == 0
        await living.folding.execute(OLD)
        assert await living.fold() == 1
        assert await dead.fold() == 0, "the database says what is pending, not the memory of who wrote it"
        assert await recount(dead.folding) == []


async def test_a_folder_that_trusts_its_memory_is_found_out(fresh_database_url: str) -> None:
    """A recount sees batches that were folded twice: so the tests that end in one can fail."""
    async with process(fresh_database_url) as dead, process(fresh_database_url) as living:
        await prepare(dead, "size")
        await dead.write(usages(10))
        await living.folding.execute(OLD)
        await living.fold()
        batch = dead.writer.tail.get(dead.writer.tail.batch_ids()[0])
        assert batch is not None
        await living.write(usages(1, 9))
        living.writer.tail.retire(())
        (pending,) = living.writer.tail.batch_ids()
        living.writer.tail.forget(pending)
        living.writer.tail.add(pending, batch)  # as if the memory of the dead one counted
        await living.fold()
        differences = await recount(living.folding)
        assert differences
        assert {difference.hours for difference in differences} == {1, 24}
        repaired = await recount(living.folding, repairs=True)
        assert repaired == differences
        assert await recount(living.folding) == []


async def test_a_changed_batch_is_read_again(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        account_no = await prepare(own, "size")
        await own.write(usages(10))
        (batch_id,) = own.writer.tail.batch_ids()
        poison = Batch(
            frozenset(range(99)),
            {account_no: {Hour(1, 0, ()): next(iter(partials_of(usages(1), definition("")).values()))}},
        )
        own.writer.tail.forget(batch_id)
        own.writer.tail.add(batch_id, poison)
        await own.folding.execute("UPDATE pending_batches SET dirty = true")
        rollup = await create_rollup(own.writing, definition("size"))
        reading = await own.read([Slice((account_no,), rollup, LONG_AGO, FOR_EVER)])
        assert reading.partials == [partials_of(usages(10), rollup.definition)]
        await own.fold()
        assert await recount(own.folding) == []


async def test_a_full_tail_is_only_slower(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        account_no = await prepare(own, "size", "price")
        small = Tail(bytes_max=2_500)
        own.writer = type(own.writer)(own.writer.owner, small)
        await own.write(usages(50))
        await own.write(usages(1, 1))
        assert len(small.batch_ids()) == 1
        rollup = await create_rollup(own.writing, definition("price"))
        reading = await own.read([Slice((account_no,), rollup, LONG_AGO, FOR_EVER)])
        assert reading.partials == [partials_of(usages(50) + usages(1, 1), rollup.definition)]
        assert await own.fold() == 2
        assert await recount(own.folding) == []


async def test_a_late_rollup_is_backfilled_once(fresh_database_url: str) -> None:
    """Old batches by the backfill, pending and new ones by the fold, and none by both."""
    async with process(fresh_database_url) as own:
        await prepare(own)
        for seed in range(4):
            await own.write(usages(10, seed))
            await own.fold()
        await own.write(usages(10, 4))
        late = definition("size", "region")
        await create_rollup(own.writing, late)
        assert await own.folding.fetchval(COUNT_INCOMPLETE) == 1
        await own.write(usages(10, 5))
        assert await own.backfill_step()
        assert await recount(own.folding) == [], "half done is no difference"
        await own.fold()
        while await own.backfill_step():
            assert await recount(own.folding) == []
        await own.write(usages(10, 6))
        await own.fold()
        assert await own.folding.fetchval(COUNT_INCOMPLETE) == 0
        assert await recount(own.folding) == []


async def test_a_rollup_of_an_unused_meter_is_complete_at_once(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        await prepare(own, "size", "price")
        assert await own.folding.fetchval(COUNT_INCOMPLETE) == 0


async def test_the_same_definition_is_the_same_rollup(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        await prepare(own, "size")
        first = await create_rollup(own.writing, definition("size"))
        assert (await create_rollup(own.writing, definition("size"))).rollup_no == first.rollup_no
        others = [definition("size", "region"), definition("user"), definition("user", values=True), definition("")]
        numbers = {(await create_rollup(own.writing, each)).rollup_no for each in others}
        assert len(numbers | {first.rollup_no}) == 5


async def test_a_derived_field_declared_later_counts_old_events(fresh_database_url: str) -> None:
    """R2.1: and where it cannot be computed from an old event, it is missing there."""
    add_field = """
        UPDATE meters SET field_names = field_names || 'huge'::text, field_kinds = field_kinds || 'DERIVED'::text,
            field_units = field_units || ''::text, field_formulas = field_formulas || '(size * 10 ^ 64) ^ 2'::text
    """
    times = [LONG_AGO + timedelta(hours=hour) for hour in range(3)]
    sizes = ["0", "2", "9" * 20]
    old = [Usage("a", "m", f"e{hour}", times[hour], {"size": sizes[hour]}) for hour in range(3)]
    async with process(fresh_database_url) as own:
        account_no = await prepare(own)
        await own.write(old)
        await own.fold()
        await own.writing.execute(MOVE_REVISION)
        await own.writing.execute(add_field)
        rollup = await create_rollup(own.writing, definition("huge"))
        wanted = [Slice((account_no,), rollup, LONG_AGO, FOR_EVER)]
        before = await own.read(wanted)
        while await own.backfill_step():
            pass
        after = await own.read(wanted)
        assert before.partials == after.partials
        assert before.backfilling == {rollup.rollup_no}
        (partial,) = after.partials[0].values()
        assert (partial.event_count, partial.value_count, partial.value_sum) == (3, 1, Decimal(0))
        assert await recount(own.folding) == []


@pytest.mark.parametrize("seed", range(2))
async def test_reads_are_exact_while_others_write_fold_and_backfill(fresh_database_url: str, seed: int) -> None:
    """Every read of a time in which nothing is written equals the reference, whatever moves meanwhile."""
    chance = random.Random(seed)
    fixed = usages(300, seed)
    async with (
        process(fresh_database_url) as one,
        process(fresh_database_url) as other,
        connected(fresh_database_url) as third,
    ):
        account_no = await prepare(one, "size")
        (stranger,) = (await create_accounts(one.writing, "b")).values()
        for start in range(0, 300, 20):
            await chance.choice((one, other)).write(fixed[start : start + 20])
        rollups = [
            await create_rollup(one.writing, definition("size")),
            await create_rollup(one.writing, definition("price")),
        ]
        finished = asyncio.Event()

        async def disturb() -> None:
            for number in range(25):
                own = chance.choice((one, other))
                await own.write([random_usage(random.Random(number), "b")])
                await third.execute(OLD)
                await fold_pending(own.folding, own.writer, None)
                await own.backfill_step()
            finished.set()

        async def read() -> int:
            count = 0
            async with process(fresh_database_url) as reader:
                reader.writer = one.writer
                while not finished.is_set():
                    wanted = [Slice((account_no,), rollup, LONG_AGO, FOR_EVER) for rollup in rollups]
                    reading = await reader.read(wanted)
                    assert reading.partials == [partials_of(fixed, rollup.definition) for rollup in rollups]
                    count += 1
            return count

        _, *counts = await asyncio.gather(disturb(), read(), read())
        assert min(counts) > 5
        assert stranger != account_no
        assert await recount(one.folding) == []
