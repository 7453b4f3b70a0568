"""A server in a process of its own that is told to end, politely and not."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from ratel.account.v1.account_service_pb2 import ListAccountsRequest
from ratel.account.v1.account_service_pb2_grpc import AccountServiceStub
from ratel.client import open_channel
from tests.conftest import command_environment

SECONDS = 60


@asynccontextmanager
async def started(url: str, folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Start a server that would drain for a minute, and give it and its target."""
    settings = {"RATEL_DATABASE_URL": url, "RATEL_LISTEN": "127.0.0.1:0", "RATEL_METRICS_LISTEN": ""}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ratel", "serve"),
        env=command_environment(**settings, RATEL_DRAIN_SECONDS="60"),
        cwd=folder,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process, (await logged(process, "serving"))["target"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def logged(process: asyncio.subprocess.Process, event: str) -> dict[str, str]:
    """Wait until a server has logged an event."""
    assert process.stderr is not None
    while line := await process.stderr.readline():
        entry: dict[str, str] = json.loads(line)
        if entry["event"] == event:
            return entry
    raise AssertionError(f"the server ended without {event!r}")


async def test_a_second_signal_does_not_wait_for_calls(database_url: str, tmp_path: Path) -> None:
    blocker = await asyncpg.connect(database_url)
    async with (
        asyncio.timeout(SECONDS),
        started(database_url, tmp_path) as (process, target),
        blocker.transaction(),
        open_channel(target) as channel,
    ):
        await blocker.execute("LOCK TABLE accounts")
        call = AccountServiceStub(channel).ListAccounts(ListAccountsRequest())
        while not await blocker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            pass
        process.send_signal(signal.SIGTERM)
        await logged(process, "draining")
        process.send_signal(signal.SIGTERM)
        await logged(process, "ending at once")
        assert await process.wait() == 0
        assert (await call.code()).name == "UNAVAILABLE"
    await blocker.close()


async def test_a_server_without_calls_ends_at_the_first(database_url: str, tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS), started(database_url, tmp_path) as (process, _):
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
