"""Appending exactly once: repeats, conflicts, lost commits, concurrent writers; and what is listed of it."""

import asyncio
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType

import asyncpg
import pytest

from ratel.core.event import Events, event_key
from ratel.core.submission import check_submission
from ratel.store import definition, partition, pool, quantity, rating, recount, rollup, usage
from ratel.store.batch import Group, write_group
from ratel.store.definition import read_definitions
from ratel.store.partition import ensure_partitions
from ratel.store.usage import EventPage, compare, list_events, read_account_nos
from tests.store.metering import (
    Process,
    Usage,
    connected,
    create_accounts,
    create_meter,
    process,
    random_usage,
    random_uuid7,
    submission_of,
)

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)
ONE = Usage("a", "m", "e-1", NOON, {"size": "1.50", "region": "eu"})


async def prepared(own: Process) -> Process:
    await create_meter(own.writing, "m")
    await create_accounts(own.writing, "a", "b")
    return own


async def stored(own: Process) -> int:
    return int(await own.folding.fetchval("SELECT count(*) FROM events"))


# --- Once -------------------------------------------------------------------------------------------------------------


async def test_an_event_is_its_account_and_id(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        await prepared(own)
        appended = await own.write([ONE, replace(ONE, account="b"), replace(ONE, id="e-2")])
        assert len(appended.stored) == 3
        again = await own.write([ONE, replace(ONE, account="b"), replace(ONE, id="e-2"), replace(ONE, id="e-3")])
        assert (again.stored, sorted(again.duplicates), again.conflicts) == ([3], [0, 1, 2], [])
        assert await stored(own) == 4


async def test_what_would_become_of_events_is_told_without_storing_any(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        await prepared(own)
        await own.write([ONE, replace(ONE, id="e-2")])
        tried = [ONE, replace(ONE, id="e-2", values={}), replace(ONE, id="e-3"), replace(ONE, id="e-3"), ONE]
        accounts = await read_account_nos(own.writing, {"a"})
        definitions = await read_definitions(own.writing)
        events = check_submission(submission_of(tried), accounts, definitions.layouts, 10**17).events
        async with own.writing.transaction(isolation="repeatable_read", readonly=True):
            compared = await compare(own.writing, events)
        assert (compared.stored, sorted(compared.duplicates), compared.conflicts) == ([2], [0, 3, 4], [1])
        assert await stored(own) == 2
        written = await own.write(tried)
        assert (written.stored, sorted(written.duplicates), written.conflicts) == ([2], [0, 3, 4], [1])


@pytest.mark.parametrize(
    "other",
    [
        replace(ONE, time=NOON + timedelta(microseconds=1)),
        replace(ONE, values={"size": "1.51", "region": "eu"}),
        replace(ONE, values={"size": "1.5"}),
        replace(ONE, values={"size": "1.5", "region": "us"}),
        replace(ONE, values={"size": "1.5", "region": "eu", "price": "0"}),
        replace(ONE, values={"size": "1.5", "region": "eu", "user": "u"}),
        replace(ONE, values={}),
        replace(ONE, meter="n"),
    ],
)
async def test_other_content_under_the_same_id_is_a_conflict(database_url: str, other: Usage) -> None:
    async with process(database_url) as own:
        if not await own.writing.fetchval("SELECT count(*) FROM accounts"):
            await prepared(own)
            await create_meter(own.writing, "n")
        await own.write([ONE])
        appended = await own.write([other])
        assert (appended.stored, appended.conflicts) == ([], [0])
        within_one_batch = await own.write([other, ONE, other])
        assert (within_one_batch.conflicts, within_one_batch.duplicates) == ([0, 2], [1])


@pytest.mark.parametrize(
    "same",
    [
        replace(ONE, values={"size": "1.5", "region": "eu"}),
        replace(ONE, values={"size": "01.500", "region": "eu", "user": "", "price": ""}),
        replace(ONE, time=NOON.astimezone()),
    ],
)
async def test_the_same_content_in_other_words_is_a_duplicate(database_url: str, same: Usage) -> None:
    async with process(database_url) as own:
        await own.write([ONE])
        assert (await own.write([same])).duplicates == [0]


async def test_the_first_in_a_batch_is_stored_and_the_others_are_compared(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        await prepared(own)
        other = replace(ONE, values={"size": "9"})
        appended = await own.write([replace(ONE, id="z"), ONE, other, ONE, replace(ONE, id="z")])
        assert sorted(appended.stored) == [0, 1]
        assert (sorted(appended.duplicates), appended.conflicts) == ([3, 4], [2])
        await own.fold()
        assert await recount.recount(own.folding) == []


async def test_a_field_declared_later_changes_nothing_stored(fresh_database_url: str) -> None:
    add_fields = """
        UPDATE meters SET field_names = field_names || '{more,where}'::text[],
            field_kinds = field_kinds || '{MEASURE,STRING}'::text[],
            field_units = field_units || '{"",""}'::text[], field_formulas = field_formulas || '{"",""}'::text[]
    """
    async with process(fresh_database_url) as own:
        await prepared(own)
        await own.write([ONE])
        await own.writing.execute(add_fields)
        own.definitions = None
        richer = replace(ONE, values={**ONE.values, "where": "x"})
        appended = await own.write([ONE, richer])
        assert (appended.duplicates, appended.conflicts) == ([0], [1])


async def test_a_meter_with_events_is_not_deleted(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        await prepared(own)
        await own.write([ONE])
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await own.folding.execute("DELETE FROM meters")


async def test_a_deleted_meter_takes_no_events(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        await prepared(own)
        own.definitions = await read_definitions(own.writing)
        await own.folding.execute("DELETE FROM meters")
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await own.write([ONE])
        assert await stored(own) == 0
        assert own.writer.tail.batch_ids() == []


# --- Lost -------------------------------------------------------------------------------------------------------------


async def events_of(own: Process, usages: list[Usage]) -> Events:
    own.definitions = await read_definitions(own.writing)
    accounts = await read_account_nos(own.writing, {each.account for each in usages})
    return check_submission(submission_of(usages), accounts, own.definitions.layouts, 10**17).events


async def test_a_group_whose_commit_was_lost_is_stored_once_and_accepted(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        await prepared(own)
        before = replace(ONE, id="before")
        await own.write([before])
        group = Group(await events_of(own, [ONE, before, replace(ONE, id="two"), ONE]))
        assert own.definitions is not None
        first = await write_group(own.writing, own.writer, group, own.definitions)
        assert (len(first.stored), len(first.duplicates)) == (2, 2)
        # The reply is lost: the group is tried again, twice.
        for _ in range(2):
            again = await write_group(own.writing, own.writer, group, own.definitions)
            assert (again.stored, sorted(again.stored_before), sorted(again.duplicates)) == ([], [0, 2], [1, 3])
        assert await stored(own) == 3
        await own.fold()
        assert await recount.recount(own.folding) == []


async def test_a_commit_that_fails_leaves_nothing(fresh_database_url: str) -> None:
    async with process(fresh_database_url) as own:
        await prepared(own)
        group = Group(await events_of(own, [ONE]))
        assert own.definitions is not None
        await own.folding.execute("ALTER TABLE pending_batches ADD CONSTRAINT never CHECK (false) NOT VALID")
        with pytest.raises(asyncpg.CheckViolationError):
            await write_group(own.writing, own.writer, group, own.definitions)
        assert own.writer.tail.batch_ids() == []
        await own.folding.execute("ALTER TABLE pending_batches DROP CONSTRAINT never")
        assert len((await write_group(own.writing, own.writer, group, own.definitions)).stored) == 1
        assert await stored(own) == 1


async def test_writers_of_the_same_events_at_once_store_each_once(fresh_database_url: str) -> None:
    chance = random.Random(3)
    usages = [random_usage(chance, chance.choice("ab")) for _ in range(300)]
    async with (
        process(fresh_database_url) as one,
        process(fresh_database_url) as two,
        process(fresh_database_url) as three,
    ):
        await prepared(one)

        async def write(own: Process, seed: int) -> int:
            mixed = random.Random(seed).sample(usages, k=len(usages))
            parts = [mixed[start : start + 60] for start in range(0, 300, 60)]
            return sum([len((await own.write(part)).stored) for part in parts])

        counts = await asyncio.gather(write(one, 1), write(two, 2), write(three, 3))
        assert sum(counts) == await stored(one) == 300
        for own in (one, two, three):
            await own.fold()
        assert await recount.recount(one.folding) == []


# --- Listed -----------------------------------------------------------------------------------------------------------


async def test_events_are_listed_by_time_and_id(fresh_database_url: str) -> None:
    chance = random.Random(5)
    usages = [random_usage(chance, "a") for _ in range(60)]
    usages += [replace(ONE, id=event_id) for event_id in ("B", "a", "_", random_uuid7(chance), "é".encode().hex())]
    async with process(fresh_database_url) as own:
        account_no = (await read_account_nos((await prepared(own)).folding, ["a"]))["a"]
        await own.write([*usages, replace(ONE, account="b")])
        listed: list[tuple[int, str]] = []
        after = (datetime(2000, 1, 1, tzinfo=UTC), "")
        while True:
            page = EventPage(account_no, None, after, datetime(2100, 1, 1, tzinfo=UTC))
            events = await list_events(own.folding, page, 7)
            listed += [(events.times[place], events.id_at(place)) for place in range(len(events))]
            if len(events) < 7:
                break
            row = listed[-1]
            after = (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=row[0]), row[1])
        in_order = sorted((each.time, each.id) for each in usages)
        assert [event_id for _, event_id in listed] == [event_id for _, event_id in in_order]


# --- Partitions -------------------------------------------------------------------------------------------------------

PARTITION_OF = "SELECT tableoid::regclass::text FROM events WHERE event_key = $1"


def uuid7_at(time: datetime) -> str:
    digits = f"{int(time.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000001"


async def test_partitions_are_made_ahead(fresh_database_url: str) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    async with process(fresh_database_url) as own:
        await prepared(own)
        made = await ensure_partitions(own.folding, now)
        assert made == [
            "events_before",
            *(f"events_{month}" for month in ("2026_10", "2026_11", "2026_12", "2027_01", "2027_02")),
        ]
        assert await ensure_partitions(own.folding, now) == []
        assert await ensure_partitions(own.folding, now + timedelta(days=31)) == ["events_2027_03"]
        times = {
            "events_before": datetime(1999, 1, 1, tzinfo=UTC),
            "events_2026_10": datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC),
            "events_2026_11": datetime(2026, 11, 1, tzinfo=UTC),
            "events_default": datetime(2030, 1, 1, tzinfo=UTC),
        }
        ids = {name: uuid7_at(time) for name, time in times.items()} | {"events_hashed": "not-a-uuid"}
        await own.write([replace(ONE, id=event_id) for event_id in ids.values()])
        for name, event_id in ids.items():
            key = asyncpg.pgproto.pgproto.UUID(event_key(event_id))
            assert await own.folding.fetchval(PARTITION_OF, key) == name
        # A month that the default partition has keys of is left there.
        made = await ensure_partitions(own.folding, datetime(2029, 12, 1, tzinfo=UTC))
        assert "events_2030_01" not in made
        assert "events_2030_02" in made


async def test_a_partition_waits_for_nobody_long(fresh_database_url: str) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    async with connected(fresh_database_url) as reader, connected(fresh_database_url) as maker:
        await maker.execute("ALTER SYSTEM RESET ALL")
        async with reader.transaction():
            await reader.execute("LOCK TABLE events IN ACCESS SHARE MODE")
            assert await ensure_partitions(maker, now) == []
        assert len(await ensure_partitions(maker, now)) == 6


# --- Statements -------------------------------------------------------------------------------------------------------


def statements(module: ModuleType) -> Iterator[tuple[str, str]]:
    for name, value in vars(module).items():
        if (
            name.isupper()
            and isinstance(value, str)
            and value.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
        ):
            yield f"{module.__name__}.{name}", value


MODULES = (definition, partition, quantity, recount, rollup, usage)


async def test_every_statement_prepares(database_url: str) -> None:
    found = [each for module in MODULES for each in statements(module)]
    assert len(found) > 25
    async with process(database_url) as own:
        for connection in (own.writing, own.folding):
            await connection.execute(usage.CREATE_STAGE)
            await rollup.create_stages(connection)
        for name, statement in found:
            try:
                await own.writing.prepare(statement)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{name}: {error}")
            await own.writing.execute("SELECT 1")  # or the implicit transaction stays open


async def explain(own: Process, statement: str, *parameters: object) -> str:
    rows = await own.folding.fetch(f"EXPLAIN {statement}", *parameters)
    return "\n".join(row[0] for row in rows)


async def test_ratings_walk_indexes_whatever_is_known_of_the_tables(fresh_database_url: str) -> None:
    chance = random.Random(9)
    async with process(fresh_database_url) as own:
        await prepared(own)
        for name, value in pool.LOOK_UPS.items():
            await own.folding.execute(f"SET {name} = {value}")
        times = ([NOON], [NOON + timedelta(days=1)])
        parts = ([1], [1], [24], [1], [2], [NOON, NOON + timedelta(days=1)], [1], [1])
        for count in (0, 500):  # the tables are empty, then grow, and nobody has looked at them yet
            await own.write([random_usage(chance, "a") for _ in range(count)])
            plan = await explain(own, quantity.READ_USAGE, *parts, [1], *times, [1], [1], NOON, NOON, [1], [1])
            keys = r"\) AND \(".join(rf"{each} = p\w*.{each}" for each in ("account_no", "rollup_no", "grain"))
            assert len(re.findall(rf"Index Cond: \(\({keys}\) AND \(bucket_time >= ", plan)) == 3, plan
            assert "events_hashed_event_time_idx" in plan, plan
            assert not re.search("Seq Scan on (rollup|events)", plan), plan
            plan = await explain(own, rating.SELECT_ACCOUNTS, ["a"], NOON, NOON, NOON.date())
            for index in ("accounts_pkey", "on attachments_", "counter_adjustments_pkey", "accounts_by_parent"):
                assert index in plan, plan


async def test_reads_use_the_ranges_that_they_were_made_for(fresh_database_url: str) -> None:
    chance = random.Random(8)
    async with process(fresh_database_url) as own:
        await prepared(own)
        await ensure_partitions(own.folding, NOON)
        for _ in range(4):
            await own.write([random_usage(chance, chance.choice("ab")) for _ in range(500)])
            await own.fold()
        await own.folding.execute("ANALYZE")
        await own.folding.execute(usage.PROBE_BY_KEY.replace("LOCAL", ""))
        key = asyncpg.pgproto.pgproto.UUID(event_key("e"))
        plan = await explain(own, usage.SELECT_OTHERS, [key] * 500, [1] * 500, 1)
        assert "Seq Scan" not in plan, plan
        assert "(event_key = sent.event_key) AND (account_no = sent.account_no)" in plan
        later = NOON + timedelta(hours=1)
        ranges: list[tuple[str, str, tuple[object, ...]]] = [
            ("batch_id", rollup.EVENTS_OF_BATCHES, (1, 2, [1, 2])),
            ("batch_id", rollup.EVENTS_TO_BACKFILL, (1, 2, 1, [1])),
            ("batch_id", quantity.EVENTS_OF_ACCOUNTS, ([1], 1, 2, [1, 2])),
            ("event_time", quantity.EVENTS_OF_WINDOW, ([1], 1, NOON, later)),
            ("event_time", usage.LIST_EVENTS, (1, None, NOON, "", later, 10)),
        ]
        for column, statement, parameters in ranges:
            assert f"events_hashed_{column}_idx" in await explain(own, statement, *parameters)
