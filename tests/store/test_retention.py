"""Old events are let go: what rollups tell is told as before, what they do not is refused, and nothing counts twice."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from ratel.core.instant import microseconds_from_instant
from ratel.core.rollup import Rollup
from ratel.core.submission import check_submission
from ratel.store.definition import read_definitions
from ratel.store.partition import ensure_partitions
from ratel.store.question import Slice
from ratel.store.recount import recount
from ratel.store.retention import PATIENCE, let_go
from tests.store.metering import (
    Process,
    Usage,
    create_accounts,
    create_meter,
    create_rollup,
    definition,
    partials_of,
    process,
    submission_of,
    within,
)

FIRST = datetime(2024, 3, 10, tzinfo=UTC)
"""When the database was made: it has partitions from February on, and one for all time before."""

LATER = datetime(2024, 6, 20, tzinfo=UTC)
DAYS = 30
"""Of June 20 that keeps all of May, and lets April go."""

HALF = datetime(2024, 3, 3, 4, 30, tzinfo=UTC)
"""Inside an hour, with usage on both sides."""

KINDS = (definition("size"), definition("size", "region"), definition("user", values=True))


@dataclass(frozen=True)
class Scene:
    """A process whose account has usage from January to June."""

    own: Process
    account_no: int
    rollups: list[Rollup]
    usages: list[Usage]

    async def step(self, minutes: int) -> list[str]:
        """Let events go as of some minutes after noon."""
        return await let_go(self.own.folding, LATER + timedelta(minutes=minutes), DAYS)

    async def let_go(self) -> list[str]:
        """Take all three steps."""
        dropped = [await self.step(minutes) for minutes in (0, 11, 22)]
        assert dropped[:2] == [[], []]
        return dropped[2]

    async def check(self, start: datetime, end: datetime, rollup: Rollup) -> bool:
        """Compare what is read with what was used; tell whether something is lacking instead."""
        reading = await self.own.read([Slice((self.account_no,), rollup, start, end)])
        if (self.account_no,) in reading.lacking:
            return True
        assert reading.partials == [partials_of(within(self.usages, "a", start, end), rollup.definition)]
        return False


def id_at(time: datetime, chance: random.Random) -> str:
    milliseconds = microseconds_from_instant(time) // 1_000
    bits = milliseconds << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62)
    return str(UUID(int=bits))


def usages_by_chance(chance: random.Random) -> list[Usage]:
    found = []
    for number in range(300):
        time = datetime(2024, 1, 20, tzinfo=UTC) + timedelta(minutes=chance.randrange(150 * 24 * 60))
        if number < 2:
            time = HALF + (2 * number - 1) * timedelta(minutes=20)
        values = {"size": str(chance.randrange(100)), "region": chance.choice("xy"), "user": chance.choice("uvw")}
        found.append(Usage("a", "m", f"hashed-{number}" if number % 7 == 0 else id_at(time, chance), time, values))
    return found


@asynccontextmanager
async def scene(url: str) -> AsyncIterator[Scene]:
    chance = random.Random(5)
    async with process(url) as own:
        await ensure_partitions(own.folding, FIRST)
        await create_meter(own.writing, "m")
        account_no = (await create_accounts(own.writing, "a"))["a"]
        rollups = [await create_rollup(own.writing, each) for each in KINDS]
        usages = usages_by_chance(chance)
        for start in range(0, len(usages), 100):
            await own.write(usages[start : start + 100])
        await own.fold()
        yield Scene(own, account_no, rollups, usages)


async def partitions(own: Process) -> set[str]:
    rows = await own.folding.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits JOIN pg_class p ON "
        "p.oid = inhparent WHERE p.relname = 'events'"
    )
    return {row["name"] for row in rows}


async def test_months_go_and_rollups_stay(fresh_database_url: str) -> None:
    async with scene(fresh_database_url) as told:
        assert await told.let_go() == ["events_before", "events_2024_02", "events_2024_03", "events_2024_04"]
        assert await partitions(told.own) == {
            "events_dropped",
            "events_2024_05",
            "events_2024_06",
            "events_hashed",
            "events_default",
        }
        assert await told.step(33) == []
        for rollup in told.rollups:
            assert not await told.check(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, 7, tzinfo=UTC), rollup)
            assert not await told.check(
                datetime(2024, 2, 3, 4, tzinfo=UTC), datetime(2024, 6, 1, 7, 30, tzinfo=UTC), rollup
            ), "the part of an hour is of June"
        assert await recount(told.own.folding) == []
        await ensure_partitions(told.own.folding, LATER)
        assert "events_2024_07" in await partitions(told.own)


async def test_what_only_events_could_tell_is_refused(fresh_database_url: str) -> None:
    async with scene(fresh_database_url) as told:
        end = datetime(2024, 5, 20, tzinfo=UTC)
        assert not await told.check(HALF, end, told.rollups[0])
        await told.let_go()
        assert await told.check(HALF, end, told.rollups[0])
        assert await told.check(datetime(2024, 3, 1, tzinfo=UTC), HALF, told.rollups[0])
        # Of an hour without usage on both sides of a cut, the rollups know enough.
        hours = Counter(each.time.replace(minute=0) for each in told.usages)
        alone = [each.time for each in told.usages if hours[each.time.replace(minute=0)] == 1 and each.time < end]
        for cut in alone[:30]:
            for rollup in told.rollups:
                assert not await told.check(cut, end, rollup)
                assert not await told.check(cut - timedelta(days=9), cut, rollup)
        made_later = await create_rollup(told.own.writing, definition("price"))
        while await told.own.backfill_step():
            pass
        assert await told.check(datetime(2024, 3, 1, tzinfo=UTC), end, made_later)
        assert not await told.check(datetime(2024, 5, 1, tzinfo=UTC), end, made_later)


async def test_an_old_id_is_refused_since_it_may_be_a_repeat(fresh_database_url: str) -> None:
    async with scene(fresh_database_url) as told:
        dropped = next(each for each in told.usages if each.time < LATER - timedelta(days=90) and "-7" in each.id)
        await told.let_go()
        definitions = await read_definitions(told.own.folding)
        submission = submission_of([dropped, replace(dropped, id="of any form")])
        checked = check_submission(
            submission, {"a": told.account_no}, definitions.layouts, 10**17, definitions.least_key
        )
        assert [(place, each.field, each.reason) for place, each in checked.rejections.items()] == [
            (0, "event_id", "EVENT_ID_EXPIRED")
        ]
        assert checked.places == [1]
        with pytest.raises(asyncpg.CheckViolationError):  # whoever has not heard of it
            await told.own.write([dropped])
        hashed = [each for each in told.usages if each.id.startswith("hashed-")]
        assert len((await told.own.write(hashed)).duplicates) == len(hashed)


async def test_steps_wait_for_what_is_under_way(fresh_database_url: str) -> None:
    async with scene(fresh_database_url) as told:
        await told.step(0)
        assert await told.step(9) == []
        old = told.usages[1]
        late = replace(old, id=id_at(datetime(2024, 4, 2, tzinfo=UTC), random.Random(1)))
        await told.own.write([late])  # checked before
        await told.step(11)
        minutes = int(PATIENCE / timedelta(minutes=1)) + 12
        await told.own.folding.execute("UPDATE pending_batches SET create_time = $1", FIRST)
        assert await told.step(minutes) == [], "a batch is not folded"
        await told.own.fold()
        await told.own.writing.execute("SELECT pg_advisory_lock(19539)")
        assert await told.step(minutes) == [], "somebody counts events"
        await told.own.writing.execute("SELECT pg_advisory_unlock(19539)")
        assert len(await told.step(minutes)) == 4


async def test_a_later_month_goes_the_same_way(fresh_database_url: str) -> None:
    async with scene(fresh_database_url) as told:
        await told.let_go()
        await ensure_partitions(told.own.folding, LATER)
        month = timedelta(days=31) // timedelta(minutes=1)
        assert [await told.step(month + minutes) for minutes in (0, 11, 22)] == [[], [], ["events_2024_05"]]
        assert "events_dropped" in await partitions(told.own)
        assert await recount(told.own.folding) == []
