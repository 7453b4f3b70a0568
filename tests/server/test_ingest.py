"""Ingest when things go wrong around it: a database that stalls, connections that are cut, an event that is poison."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.request import urlopen

import asyncpg
import grpc
from prometheus_client import CollectorRegistry

from ratel.server.ingest import IngestLimits
from ratel.server.metering import CONNECTIONS, open_metering
from ratel.server.usage import UsageServicer
from ratel.server.usage_stream import StreamEnd
from ratel.store.pool import Database, PoolLimits
from ratel.store.recount import recount
from ratel.usage.v1.usage_service_pb2 import StreamUsageRequest
from ratel.usage.v1.usage_service_pb2_grpc import UsageServiceStub, add_UsageServiceServicer_to_server
from tests.conftest import Served, acknowledgements, served
from tests.server.example import create_example, event, failure, submit
from tests.server.test_usage import messages

# All of ratel's connections but this.
CUT = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'ratel' AND pid <> pg_backend_pid()
"""
STALL = "SELECT pg_advisory_lock(19540)"
GO_ON = "SELECT pg_advisory_unlock(19540)"
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
COUNT = "SELECT count(*) FROM events"


@asynccontextmanager
async def example(url: str) -> AsyncIterator[tuple[Served, "asyncpg.Connection[asyncpg.Record]"]]:
    """Run a server, and give a connection beside it."""
    async with served(url) as own:
        await create_example(own)
        connection = await asyncpg.connect(url)
        try:
            yield own, connection
        finally:
            await connection.close(timeout=10)


def metric(server: Served, name: str) -> float:
    with urlopen(f"http://{server.running.metrics_target}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


@asynccontextmanager
async def metered(url: str, limits: IngestLimits) -> AsyncIterator[UsageServiceStub]:
    """Run UsageService alone, with a narrow queue and windows of gRPC that do not widen by themselves."""
    database = Database(url, PoolLimits(connections_max=CONNECTIONS))
    end = StreamEnd(asyncio.Event(), 600)
    narrow = [("grpc.http2.bdp_probe", 0)]
    async with open_metering(database, CollectorRegistry(), timedelta(hours=24), limits) as metering:
        server = grpc.aio.server(options=narrow)
        add_UsageServiceServicer_to_server(UsageServicer(database, metering, end), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=narrow) as channel:
            await channel.channel_ready()  # or a busy machine takes the time to connect for that of a full queue
            yield UsageServiceStub(channel)
        await server.stop(5)
    await database.close()


async def test_while_postgres_stalls_senders_wait_and_nothing_is_lost(fresh_database_url: str) -> None:
    async with example(fresh_database_url) as (_, connection):
        pass
    connection = await asyncpg.connect(fresh_database_url)
    await connection.execute(STALL)
    async with metered(fresh_database_url, IngestLimits(queued_events=2_000)) as stub:
        sent = 0

        def source() -> Iterator[StreamUsageRequest]:
            nonlocal sent
            for message in messages(100, per=100):
                sent += 1
                yield message

        async def stream() -> int:
            return sum([answer.accepted_count async for answer in acknowledgements(stub.StreamUsage(source()))])

        streaming = [asyncio.create_task(stream()) for _ in range(4)]
        last, quiet = -1, 0
        while quiet < 200:  # until nothing has been sent for many a round trip to Postgres
            last, quiet = sent, quiet + 1 if sent == last else 0
            assert await connection.fetchval(WAITING) <= 2
        assert 20 <= sent < 100, "20 messages fill the queue, and each stream has some more on the way"
        await connection.execute(GO_ON)
        assert sum(await asyncio.gather(*streaming)) == await connection.fetchval(COUNT) == 40_000
    await connection.close()


async def test_connections_that_are_cut_lose_and_repeat_nothing(fresh_database_url: str) -> None:
    """Who loses its connection tries again: the sender sees only acceptance, and everything is there once."""
    async with example(fresh_database_url) as (own, connection):
        is_over = asyncio.Event()

        async def cut() -> int:
            cuts = 0
            while not is_over.is_set():
                cuts += await connection.fetchval(CUT)
                before = await connection.fetchval(COUNT)
                while not is_over.is_set() and await connection.fetchval(COUNT) < before + 100:
                    pass
            return cuts

        async def stream() -> int:
            answers = acknowledgements(own.usage.StreamUsage(messages(100, per=50)))
            return sum([answer.accepted_count async for answer in answers])

        cutting = asyncio.create_task(cut())
        accepted = sum(await asyncio.gather(*(stream() for _ in range(4))))
        is_over.set()
        assert await cutting > 4
        assert accepted == await connection.fetchval(COUNT) == 20_000
        assert metric(own, "ratel_commit_retries_total") > 0
        assert await recount(connection) == []


async def test_what_is_durable_together_is_acknowledged_together_but_for_verdicts(fresh_database_url: str) -> None:
    async with example(fresh_database_url) as (own, connection):
        await connection.execute(STALL)
        first = asyncio.create_task(submit(own, event()))  # what comes meanwhile is one group
        while metric(own, "ratel_queued_events") < 1:
            await connection.execute("SELECT 1")
        sent = list(messages(20, per=2))
        for wrong in (4, 5, 11):
            sent[wrong].events[1].account_id = "nobody"
        call = own.usage.StreamUsage(iter(sent))
        while metric(own, "ratel_queued_events") < 41:
            await connection.execute("SELECT 1")
        await connection.execute(GO_ON)
        sequences = [[each.sequence for each in response.acknowledgements] async for response in call]
        assert sequences == [[*range(5)], [5], [*range(6, 12)], [*range(12, 20)]]
        assert (await first).accepted_count == 1


async def test_poison_harms_only_its_own_message(fresh_database_url: str) -> None:
    """What passes the checks and is refused by Postgres all the same is the server's fault: its sender hears that."""
    async with example(fresh_database_url) as (own, connection):
        await connection.execute("ALTER TABLE events ADD CONSTRAINT poison CHECK (event_id IS DISTINCT FROM 'poison')")
        await connection.execute(STALL)
        poison = asyncio.create_task(failure(submit(own, event(), event("poison"))))
        others = [asyncio.create_task(submit(own, event())) for _ in range(10)]
        while metric(own, "ratel_queued_events") < 12:
            await connection.execute("SELECT 1")
        await connection.execute(GO_ON)
        assert (await poison).code == "INTERNAL"
        assert [answer.accepted_count for answer in await asyncio.gather(*others)] == [1] * 10
        assert await connection.fetchval(COUNT) == 10


async def test_who_ends_while_others_wait_leaves_no_trace(fresh_database_url: str) -> None:
    async with example(fresh_database_url) as (own, connection):
        await connection.execute(STALL)
        call = own.usage.StreamUsage(messages(5))
        while metric(own, "ratel_queued_events") < 50:
            await connection.execute("SELECT 1")
        call.cancel()
        await connection.execute(GO_ON)
        assert (await submit(own, event())).accepted_count == 1
        while metric(own, "ratel_queued_events"):
            await connection.execute("SELECT 1")
        assert await connection.fetchval(COUNT) == 51, "what was read is stored, acknowledged or not"
