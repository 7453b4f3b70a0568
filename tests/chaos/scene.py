"""Servers and a Postgres of their own, which a test may kill at any moment and start again at the same address."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from ratel.client import Pace, open_channel, stream_usage
from ratel.store.migrate import migrate
from ratel.store.pool import Connection
from ratel.usage.v1.usage_event_pb2 import EventOutcome, UsageEvent
from tests.conftest import command_environment
from tests.store.metering import create_accounts, create_meter, create_rollup, definition

# Ends with its parent, because it then reads the end of its input.
POSTGRES = """
import sys
from pathlib import Path
from ratel.store.embedded import start_postgres

with start_postgres(Path(sys.argv[1])) as postgres:
    print(postgres.url, flush=True)
    sys.stdin.read()
"""
BACKENDS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
PACE = Pace(events_per_message=100, messages_in_flight=8, backoff_seconds=0.05, backoff_seconds_max=0.5)


def free_targets(count: int) -> list[str]:
    """Return addresses that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    targets = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return targets


async def start(*command: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # what ends the tests by a signal leaves it the time to clean up
    )


class Supervised:
    """A server that is started again whenever it has ended, killed or because Postgres was away when it started."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._is_over = False
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while not self._is_over:
            command = (sys.executable, "-m", "ratel", "serve")
            self._process = await start(*command, environment=self._environment)
            await self._process.communicate()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def end(self) -> None:
        self._is_over = True
        self.kill()
        await self._running


class Scene:
    """One Postgres and some servers on it."""

    def __init__(self, folder: Path, server_count: int) -> None:
        self.targets = free_targets(server_count)
        self.url = ""
        self.servers: list[Supervised] = []
        self._folder = folder
        self._postgres: asyncio.subprocess.Process | None = None

    async def start_postgres(self) -> None:
        command = (sys.executable, "-c", POSTGRES, str(self._folder))
        self._postgres = await start(*command, environment=dict(os.environ))
        assert self._postgres.stdout is not None
        self.url = (await self._postgres.stdout.readline()).decode().strip()
        assert self.url, "Postgres did not start"

    def start_servers(self) -> None:
        for target in self.targets:
            settings = {"RATEL_DATABASE_URL": self.url, "RATEL_LISTEN": target, "RATEL_METRICS_LISTEN": ""}
            self.servers.append(Supervised(command_environment(**settings)))

    async def kill_postgres(self) -> None:
        """Kill the postmaster, so that nothing is said goodbye to, and start it again on what is on disk."""
        assert self._postgres is not None
        pid = int((self._folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        self._postgres.kill()
        await self._postgres.wait()
        await self.start_postgres()

    async def cut_connections(self) -> None:
        connection = await self.connect()
        await connection.execute(BACKENDS)
        await connection.close(timeout=10)

    async def connect(self) -> Connection:
        """Connect, as soon as a Postgres that was just killed has recovered."""
        async with asyncio.timeout(60):
            while True:
                try:
                    return await asyncpg.connect(self.url)
                except (OSError, asyncpg.PostgresError):
                    await asyncio.sleep(0)

    async def end(self) -> None:
        await asyncio.gather(*(server.end() for server in self.servers))
        if self._postgres is not None:
            await self._postgres.communicate(b"")


@asynccontextmanager
async def scene(server_count: int) -> AsyncIterator[Scene]:
    """Start Postgres with a small catalog, and servers on it."""
    folder = Path(tempfile.mkdtemp(prefix="ratel-chaos-"))
    folder.chmod(0o755)  # Postgres may have to run as nobody
    made = Scene(folder, server_count)
    try:
        await made.start_postgres()
        connection = await made.connect()
        await migrate(connection)
        await create_meter(connection, "m")
        await create_accounts(connection, "a", "b")
        for which in (definition("size"), definition("size", "region"), definition("user", "region", values=True)):
            await create_rollup(connection, which)
        await connection.close(timeout=10)
        made.start_servers()
        yield made
    finally:
        await made.end()
        shutil.rmtree(folder)


async def send(target: str, events: list[UsageEvent], told: asyncio.Queue[int]) -> int:
    """Send events until all are durable; tell how many each receipt accepted, and return how many in all."""
    accepted = 0
    async with open_channel(target) as channel:
        async for receipt in stream_usage(channel, events, PACE):
            assert {verdict.outcome for verdict in receipt.verdicts} <= {EventOutcome.EVENT_OUTCOME_DUPLICATE}
            accepted += receipt.accepted_count
            told.put_nowait(len(receipt.events))
    return accepted
