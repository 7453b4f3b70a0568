"""Blocks go another way than events one by one, and arrive at the same: verdicts, rows, rollups, reads."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ratel.core.block import Block
from ratel.core.columns import Known, sift
from ratel.core.rollup import Rollup
from ratel.server.convert.columns import columns_from_events
from ratel.store.batch import Group, write_group
from ratel.store.definition import read_definitions
from ratel.store.question import Slice
from ratel.store.recount import recount
from ratel.store.usage import Appended, read_account_nos
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from tests.server.example import time
from tests.store.metering import (
    START,
    Process,
    Usage,
    create_accounts,
    create_meter,
    create_rollup,
    definition,
    process,
    random_usage,
    random_uuid7,
)

FIELDS = (("size", "MEASURE", ""), ("region", "STRING", ""), ("user", "STRING", ""), ("price", "MEASURE", ""))
DEFINITIONS = (
    definition("size"),
    definition("size", "region"),
    definition("price", "user", "region"),
    definition("region"),
    definition("user", "region", values=True),
    definition("price", moment=True),
)
ROWS = """
    SELECT event_key, event_time, meter_no, measure::text, measures::text[], strings, event_id
    FROM events WHERE account_no = $1 ORDER BY 1
"""
BUCKETS = """
    SELECT rollup_no, grain, bucket_time, segment_key, segment, event_count, value_count, value_sum, value_min,
        value_max, latest_time, latest_id, latest_value, value_moment, min_event_time, max_event_time
    FROM rollup_buckets WHERE account_no = $1 ORDER BY 1, 2, 3, 4
"""
VALUES = "SELECT rollup_no, grain, bucket_time, segment_key, value_key FROM rollup_values WHERE account_no = $1"


def message_of(usage: Usage) -> UsageEvent:
    at = time(usage.time.replace(tzinfo=None).isoformat())
    return UsageEvent(
        account_id=usage.account, meter_id=usage.meter, event_id=usage.id, event_time=at, values=dict(usage.values)
    )


async def block_of(own: Process, usages: Sequence[Usage]) -> Block:
    own.definitions = await read_definitions(own.writing, own.definitions)
    accounts = await read_account_nos(own.writing, {usage.account for usage in usages})
    known = Known(accounts, own.definitions.layouts, 10**17)
    sifted = sift(columns_from_events([message_of(usage) for usage in usages]), known)
    assert not sifted.left
    return sifted.block


async def write(own: Process, usages: Sequence[Usage]) -> Appended:
    block = await block_of(own, usages)
    assert own.definitions is not None
    return await write_group(own.writing, own.writer, Group(block), own.definitions)


def slices_of(account_no: int, rollups: Sequence[Rollup]) -> list[Slice]:
    return [Slice((account_no,), rollup, START, START + timedelta(days=9)) for rollup in rollups]


def told(appended: Appended) -> tuple[list[int], list[int], list[int]]:
    return sorted(appended.stored), sorted(appended.duplicates), sorted(appended.conflicts)


async def prepared(own: Process) -> list[Rollup]:
    for meter_id in ("m", "n"):
        await create_meter(own.writing, meter_id, FIELDS)
    await create_accounts(own.writing, "a", "b")
    return [await create_rollup(own.writing, each) for each in DEFINITIONS]


def some_usage(chance: random.Random) -> Usage:
    usage = random_usage(chance, "a", chance.choice("mmmn"))
    if usage.values.get("price") == f"{10**19}":  # not for 64 bits
        usage = replace(usage, values={**usage.values, "price": "-12.3456"})
    if usage.values.get("price", "").startswith("0."):
        usage = replace(usage, values={**usage.values, "price": "0.0000000000000001"})
    return usage


def plain_usage(chance: random.Random) -> Usage:
    """Return what takes the shortest ways: nothing is missing, no id is hashed, and sums are within 64 bits."""
    usage = some_usage(chance)
    values = {"size": "1.5", "region": chance.choice(("", "eu", "us")), "user": "u", **usage.values}
    return replace(usage, id=random_uuid7(chance), values={**values, "price": str(chance.randint(1, 9))})


def again(chance: random.Random, sent: Sequence[Usage]) -> Usage:
    """Return an event that was sent before, or another under its id."""
    usage = chance.choice(sent)
    return usage if chance.random() < 0.7 else replace(usage, time=usage.time + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("seed", "make", "rows_per_turn"),
    [(0, some_usage, 5_000), (1, some_usage, 7), (2, some_usage, 5_000), (3, plain_usage, 7)],
)
async def test_blocks_and_events_come_to_the_same(
    fresh_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    make: Callable[[random.Random], Usage],
    rows_per_turn: int,
) -> None:
    monkeypatch.setattr("ratel.store.block.ROWS_PER_TURN", rows_per_turn)
    chance = random.Random(seed)
    async with process(fresh_database_url) as own:
        rollups = await prepared(own)
        accounts = await read_account_nos(own.writing, ("a", "b"))
        sent: list[Usage] = []
        for number in range(12):
            usages = [make(chance) for _ in range(chance.choice((1, 5, 60)))]
            if number % 3:
                usages += [again(chance, [*sent, *usages]) for _ in range(chance.choice((1, 5)))]
            sent += usages
            chance.shuffle(usages)
            one_by_one = await own.write(usages)
            as_block = await write(own, [replace(usage, account="b") for usage in usages])
            assert told(one_by_one) == told(as_block)
            if number % 4 == 3:
                slices = [
                    [Slice((accounts[each],), rollup, START, START + timedelta(days=9)) for rollup in rollups]
                    for each in "ab"
                ]
                readings = [await own.read(each) for each in slices]
                assert readings[0].partials == readings[1].partials
                await own.fold()
        for statement in (ROWS, BUCKETS, VALUES):
            found = [await shown(own, statement, account_no) for account_no in accounts.values()]
            assert found[0] == found[1]
            assert found[0]
        assert await recount(own.folding) == []


async def shown(own: Process, statement: str, account_no: int) -> list[tuple[str, ...]]:
    """Return rows, numbers without zeros at their ends."""
    rows = await own.folding.fetch(statement, account_no)
    return sorted(tuple(str(each.normalize() if isinstance(each, Decimal) else each) for each in row) for row in rows)


@pytest.mark.parametrize("event_id", ["e-1", random_uuid7(random.Random(1))])
@pytest.mark.parametrize("values", [{}, {"size": "1"}, {"region": "eu"}, {"price": "2", "user": "u"}])
async def test_what_is_missing_everywhere_is_stored_as_missing(
    fresh_database_url: str, event_id: str, values: dict[str, str]
) -> None:
    async with process(fresh_database_url) as own:
        await prepared(own)
        usages = [Usage("b", "m", event_id, START, values)]
        assert told(await write(own, usages)) == ([0], [], [])
        assert told(await own.write(usages)) == ([], [0], [])


def later(count: int, chance: random.Random) -> list[Usage]:
    """Return usage with ids of the present."""
    now = datetime.now(UTC)
    usages = [some_usage(chance) for _ in range(count)]
    return [replace(usage, id=random_uuid7(chance, int(now.timestamp() * 1000)), account="b") for usage in usages]


async def test_recent_old_and_unexpected_repeats_are_all_found(fresh_database_url: str) -> None:
    """By what this process remembers, by the time of their ids, and by the primary key."""
    chance = random.Random(2)
    async with process(fresh_database_url) as own, process(fresh_database_url) as other:
        await prepared(own)
        recent, elsewhere = later(20, chance), later(20, chance)
        old = [replace(some_usage(chance), account="b") for _ in range(20)]
        hashed = [replace(usage, id=f"e-{number}") for number, usage in enumerate(later(20, chance))]
        await write(own, [*recent, *old, *hashed])
        await write(other, elsewhere)
        for repeats in (recent, old, elsewhere, hashed, hashed):
            new = later(3, chance)
            found = await write(own, [new[0], *repeats, *new[1:]])
            assert told(found) == ([0, 21, 22], list(range(1, 21)), [])
        await own.fold()
        assert await recount(own.folding) == []


async def test_writers_of_the_same_blocks_at_once_store_each_event_once(fresh_database_url: str) -> None:
    chance = random.Random(5)
    async with process(fresh_database_url) as own, process(fresh_database_url) as other:
        await prepared(own)
        for _ in range(5):
            usages = later(200, chance)
            mixed = chance.sample(usages, k=150)
            found = await asyncio.gather(write(own, usages), write(other, mixed))
            assert sum(len(each.stored) for each in found) == 200
            assert sum(len(each.duplicates) for each in found) == 150
        await own.fold()
        await other.fold()
        assert await recount(own.folding) == []


async def test_what_64_bits_do_not_hold_is_folded_one_by_one(fresh_database_url: str) -> None:
    chance = random.Random(8)
    async with process(fresh_database_url) as own:
        rollups = await prepared(own)
        accounts = await read_account_nos(own.writing, ("a", "b"))
        great = [{"size": str(9 * 10**18)}, {"size": "-9"}, {"size": "0.0000000000000001"}, {"price": "1.5"}]
        for _ in range(3):
            usages = [replace(usage, values=chance.choice(great)) for usage in later(30, chance)]
            await write(own, usages)
            await own.write([replace(usage, account="a") for usage in usages])
        slices = [
            [Slice((accounts[each],), rollup, START, START + timedelta(days=9)) for rollup in rollups] for each in "ab"
        ]
        readings = [await own.read(each) for each in slices]
        assert readings[0].partials == readings[1].partials
        await own.fold()
        assert await recount(own.folding) == []


@pytest.mark.parametrize("count", [1, 7])
async def test_a_batch_names_the_accounts_of_its_events(fresh_database_url: str, count: int) -> None:
    """Whichever way it is written; ratings of others stay as they are."""
    chance = random.Random(count)
    async with process(fresh_database_url) as own:
        await prepared(own)
        numbers = await create_accounts(own.writing, "c", "d")
        for attempt in range(2):
            usages = [replace(plain_usage(chance), account=account) for account in "dcd" for _ in range(count)]
            block = await block_of(own, usages)
            assert own.definitions is not None
            await write_group(own.writing, own.writer, Group(block.events() if attempt else block), own.definitions)
        rows = await own.folding.fetch("SELECT account_nos FROM pending_batches")
        assert [row["account_nos"] for row in rows] == [sorted(numbers.values())] * 2
