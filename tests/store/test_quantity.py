"""The exact read: always what the events come to, whatever is folded, pending, remembered or being backfilled."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from ratel.core.event import Partial
from ratel.core.integral import BEGINNING
from ratel.core.meter import RollupDefinition
from ratel.core.rollup import Rollup
from ratel.core.tail import Tail
from ratel.store.quantity import READ_USAGE
from ratel.store.question import Asking, Slice, question_of
from tests.store.metering import (
    Process,
    Usage,
    connected,
    create_accounts,
    create_meter,
    create_rollup,
    definition,
    partials_of,
    process,
    random_time,
    random_usage,
    within,
)

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
DEFINITIONS = (
    definition(""),
    definition("", "region", "user"),
    definition("size"),
    definition("size", "region"),
    definition("size", "region", moment=True),
    definition("cost", moment=True),
    definition("price", "region", "user"),
    definition("cost", "region"),
    definition("cost"),
    definition("user", values=True),
    definition("user", "region", values=True),
    definition("region"),
)


def plain(partials: Mapping[tuple[str, ...], Partial]) -> dict[tuple[str, ...], Partial]:
    """Leave out nothing: a segment without events must not be there."""
    return dict(partials)


def random_window(chance: random.Random) -> tuple[datetime, datetime]:
    start, end = sorted((random_time(chance), random_time(chance)))
    if chance.random() < 0.2:
        start = BEGINNING  # what a level needs
    return (start, end) if start < end else (start, end + timedelta(microseconds=1))


async def check_reads(
    own: Process, chance: random.Random, usages: list[Usage], rollups: dict[RollupDefinition, Rollup]
) -> frozenset[int]:
    """Compare reads of random windows, by any process and with or without memory, with the reference."""
    accounts = {row["id"]: row["account_no"] for row in await own.folding.fetch("SELECT id, account_no FROM accounts")}
    wanted = []
    for _ in range(12):
        start, end = random_window(chance)
        wanted.append((chance.choice(list(accounts)), chance.choice(list(rollups)), start, end))
    slices = [Slice((accounts[account],), rollups[which], start, end) for account, which, start, end in wanted]
    reading = await own.read(slices, None if chance.random() < 0.7 else Tail())
    for partials, (account, which, start, end) in zip(reading.partials, wanted, strict=True):
        assert plain(partials) == partials_of(within(usages, account, start, end), which), (account, which, start, end)
    return reading.backfilling


@pytest.mark.parametrize("seed", range(6))
async def test_reads_equal_the_reference(fresh_database_url: str, seed: int) -> None:
    """R2.2, R2.3: batches, repeats, folds of either process, late rollups and their backfill in any order."""
    chance = random.Random(seed)
    usages: list[Usage] = []
    seen_backfilling: set[int] = set()
    async with process(fresh_database_url) as one, process(fresh_database_url) as other:
        await create_meter(one.writing, "m")
        await create_meter(one.writing, "n")
        await create_accounts(one.writing, "a", "b", "c")
        rollups: dict[RollupDefinition, Rollup] = {}
        for which in DEFINITIONS[:3]:
            rollups[which] = await create_rollup(one.writing, which)
        late = list(DEFINITIONS[3:])
        for _ in range(60):
            own = chance.choice((one, other))
            match chance.choice(("write", "write", "write", "again", "fold", "steal", "backfill", "late", "read")):
                case "write":
                    new = [random_usage(chance, chance.choice("abc"), chance.choice("mmn")) for _ in range(40)]
                    appended = await own.write(new + new[:2])
                    assert (len(appended.stored), len(appended.duplicates)) == (40, 2)
                    usages += new
                case "again" if usages:
                    repeated = chance.sample(usages, k=min(20, len(usages)))
                    new = [random_usage(chance, "a") for _ in range(5)]
                    appended = await own.write([*repeated, *new])
                    assert (len(appended.stored), len(appended.duplicates)) == (5, len(repeated))
                    usages += new
                case "fold":
                    await own.fold()
                case "steal":
                    await own.folding.execute("UPDATE pending_batches SET create_time = now() - interval '1 minute'")
                    await own.fold()
                case "backfill":
                    await own.backfill_step()
                case "late" if late:
                    which = late.pop(0)
                    rollups[which] = await create_rollup(own.writing, which)
                case _:
                    pass
            seen_backfilling |= await check_reads(own, chance, usages, rollups)
        while await one.backfill_step():
            pass
        assert not await check_reads(other, chance, usages, rollups)
    assert seen_backfilling, "this seed never met a rollup that was being backfilled"


async def test_part_hours_bring_the_events_of_their_own_accounts_alone(fresh_database_url: str) -> None:
    """Else a read of many accounts that begin inside different hours would bring as many times more."""
    async with process(fresh_database_url) as own:
        await create_meter(own.writing, "m")
        accounts = await create_accounts(own.writing, "a", "b", "c")
        rollup = await create_rollup(own.writing, DEFINITIONS[2])
        starts = {"a": NOON + HALF_HOUR, "b": NOON + 3 * HALF_HOUR, "c": NOON + 3 * HALF_HOUR}
        for name in starts:
            times = [NOON + minutes * timedelta(minutes=1) for minutes in (10, 40, 70, 100, 130)]
            await own.write(Usage(name, "m", f"{name}{time.minute}-{time.hour}", time, {"size": "1"}) for time in times)
        slices = [Slice((accounts[name],), rollup, start, NOON + 4 * HALF_HOUR) for name, start in starts.items()]
        parameters = Asking([question_of(slices)]).parameters(NOON, NOON)
        rows = await own.folding.fetch(READ_USAGE, *parameters)
        events = [(row["account_no"], row["latest_time"].hour) for row in rows if row["kind"] == "event"]
        assert sorted(events) == [(accounts["a"], 12), (accounts["b"], 13), (accounts["c"], 13)]
        reading = await own.read(slices)
        assert [partials[()].value_sum for partials in reading.partials] == [3, 1, 1]


async def read_kinds(own: Process, slices: list[Slice]) -> set[tuple[str, int]]:
    """Return the kinds of rows that tell of parts of hours, each with the account that it is of."""
    rows = await own.folding.fetch(READ_USAGE, *Asking([question_of(slices)]).parameters(NOON, NOON))
    return {(row["kind"], row["account_no"]) for row in rows if row["account_no"] is not None}


async def test_events_are_looked_for_only_where_buckets_cannot_tell(fresh_database_url: str) -> None:
    """Else whoever began inside an hour would be read from the events of everybody, found by time."""
    async with process(fresh_database_url) as own:
        await create_meter(own.writing, "m")
        accounts = await create_accounts(own.writing, "after", "before", "both", "never")
        rollups = [await create_rollup(own.writing, each) for each in (DEFINITIONS[3], DEFINITIONS[9])]
        minutes = {"after": (30, 40), "before": (10, 20), "both": (29, 30), "never": ()}
        usages = [
            Usage(name, "m", f"{name}-{minute}", NOON.replace(minute=minute), {"size": "1.5", "user": f"u{minute}"})
            for name, own_minutes in minutes.items()
            for minute in own_minutes
        ]
        cut, end = NOON + HALF_HOUR, NOON + 2 * HALF_HOUR
        slices = [
            Slice((account_no,), rollup, *period)
            for account_no in accounts.values()
            for rollup in rollups
            for period in ((cut, end), (NOON, cut))
        ]

        async def check() -> None:
            reading = await own.read(slices)
            names = {account_no: name for name, account_no in accounts.items()}
            for each, partials in zip(slices, reading.partials, strict=True):
                wanted = within(usages, names[each.account_nos[0]], each.start, each.end)
                assert partials == partials_of(wanted, each.rollup.definition)

        await own.write(usages)
        users = {accounts[name] for name in minutes if name != "never"}
        assert await read_kinds(own, slices) == {(kind, each) for kind in ("split hour", "event") for each in users}
        await check()
        await own.fold()
        assert await read_kinds(own, slices) == {
            ("part hour", accounts["after"]),
            ("part hour", accounts["before"]),
            ("split hour", accounts["both"]),
            ("event", accounts["both"]),
        }
        await check()


async def test_the_same_slice_twice_is_not_shared(fresh_database_url: str) -> None:
    chance = random.Random(1)
    async with process(fresh_database_url) as own:
        await create_meter(own.writing, "m")
        number = (await create_accounts(own.writing, "a"))["a"]
        rollup = await create_rollup(own.writing, definition("size"))
        usage = random_usage(chance, "a")
        await own.write([usage])
        wanted = Slice((number,), rollup, usage.time, usage.time + timedelta(hours=30))
        first, second = (await own.read([wanted, wanted])).partials
        assert first == second
        first[()].merge(second[()])
        assert first != second
        assert (await own.read([wanted])).partials == [second], "what is remembered stays as it is"


async def test_no_slices_are_no_question(database_url: str) -> None:
    async with connected(database_url), process(database_url) as own:
        reading = await own.read([])
    assert (reading.partials, reading.backfilling) == ([], frozenset())
