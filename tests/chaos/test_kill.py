"""kill -9 of servers and of Postgres in the middle of streams: exactly the events sent, and rollups equal to a recount.

CHAOS_CYCLES says how many kills each run has; a few unless it is set.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ratel.store.pool import Connection
from ratel.store.recount import recount
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from tests.chaos.scene import Scene, scene, send
from tests.server.example import time
from tests.store.metering import Usage, process, random_usage

CYCLES = int(os.environ.get("CHAOS_CYCLES", "3"))
EVENTS_PER_CYCLE = 6_000

OLD = "UPDATE pending_batches SET create_time = now() - interval '1 minute'"
STORED = "SELECT coalesce(event_id, event_key::text) AS id, account_no, measure FROM events"

Strike = Callable[[Scene], Awaitable[None]]


async def kill_server(made: Scene) -> None:
    made.servers[0].kill()


async def kill_other_server(made: Scene) -> None:
    made.servers[1].kill()


async def kill_postgres(made: Scene) -> None:
    await made.kill_postgres()


async def kill_all(made: Scene) -> None:
    for server in made.servers:
        server.kill()
    await made.kill_postgres()


async def cut_connections(made: Scene) -> None:
    await made.cut_connections()


STRIKES: dict[str, list[Strike]] = {
    "server": [kill_server],
    "postgres": [kill_postgres],
    "everything": [kill_all, cut_connections, kill_other_server, kill_postgres, kill_server],
}


def message_of(usage: Usage) -> UsageEvent:
    values = dict(usage.values)
    return UsageEvent(
        account_id=usage.account,
        meter_id=usage.meter,
        event_id=usage.id,
        event_time=time(usage.time.replace(tzinfo=None).isoformat()),
        values=values,
    )


@pytest.mark.timeout(120 + 30 * CYCLES)
@pytest.mark.parametrize("what", STRIKES)
async def test_what_is_killed_loses_and_doubles_nothing(what: str) -> None:
    chance = random.Random(CYCLES)
    usages = [random_usage(chance, chance.choice("ab")) for _ in range(EVENTS_PER_CYCLE * CYCLES)]
    events = [message_of(usage) for usage in usages]
    told: asyncio.Queue[int] = asyncio.Queue()
    async with scene(2) as made:
        # Each sends all of it in an order of its own: every event comes twice, and often at about the same time.
        orders = [chance.sample(events, k=len(events)) for _ in made.targets]
        sending = asyncio.gather(
            *(send(target, order, told) for target, order in zip(made.targets, orders, strict=True))
        )
        for number in range(CYCLES):
            await receive(told, sending, chance.randrange(EVENTS_PER_CYCLE // 2, EVENTS_PER_CYCLE))
            strike = STRIKES[what][number % len(STRIKES[what])]
            await strike(made)
        accepted = await sending
        connection = await made.connect()
        await check_stored(connection, usages)
        assert sum(accepted) <= len(usages), "what was stored just before a kill is a duplicate when it is sent again"
        await check_rollups(made, connection)
        await connection.close(timeout=10)


async def receive(told: asyncio.Queue[int], sending: "asyncio.Future[list[int]]", count: int) -> None:
    """Wait until so many events have been acknowledged, or the sending has ended."""
    while count > 0 and not sending.done():
        receiving = asyncio.create_task(told.get())
        either: set[asyncio.Future[Any]] = {receiving, sending}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if receiving.done():
            count -= receiving.result()
        receiving.cancel()


async def check_stored(connection: Connection, usages: list[Usage]) -> None:
    rows = await connection.fetch(STORED)
    assert len(rows) == len(usages)
    sizes = {usage.id: usage.values.get("size") for usage in usages}
    assert {row["id"] for row in rows} == sizes.keys()
    for row in rows:
        size = sizes[row["id"]]
        assert str(row["measure"]) == (size if size else "None")


async def check_rollups(made: Scene, connection: Connection) -> None:
    """Compare with the events now, whatever is pending; and when all that dead processes left behind is folded."""
    assert await recount(connection) == []
    async with process(made.url) as heir:
        while await connection.fetchval("SELECT count(*) FROM pending_batches"):
            await connection.execute(OLD)
            await heir.fold()
    assert await recount(connection) == []
    assert await connection.fetchval(
        "SELECT sum(event_count) FROM rollup_buckets WHERE rollup_no = 1 AND grain = 24"
    ) == (await connection.fetchval("SELECT count(*) FROM events"))
