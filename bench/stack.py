"""What is measured: an embedded Postgres, the service and the empty server as processes of their own, all fresh."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import grpc

from bench.accounts import create_accounts
from bench.workload import ACCOUNTS
from ratel.client import open_channel
from ratel.store.embedded import start_postgres
from ratel.store.pool import Connection

CATALOG = Path(__file__).parent / "catalog.yaml"
START_SECONDS = 30
END_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything that runs.

    Attributes:
        channel: to the service.
        echo: to the empty server.
        connection: to the service's database, for limits and for looking.
        server_pid: the service's process.
        curves: points that are measured for plots, by the curve's name: events, and events a second or milliseconds.
    """

    channel: grpc.aio.Channel
    echo: grpc.aio.Channel
    connection: Connection
    server_pid: int
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def memory_mb(self) -> int:
        """Return the resident memory of the service."""
        return self._status_mb("VmRSS")

    def peak_memory_mb(self) -> int:
        """Return the greatest resident memory that the service has had."""
        return self._status_mb("VmHWM")

    def _status_mb(self, name: str) -> int:
        status = Path(f"/proc/{self.server_pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        return int(found[1]) // 1024 if found else 0


@asynccontextmanager
async def running_stack() -> AsyncIterator[Stack]:
    """Run everything in a new folder, with catalog and accounts, and leave nothing behind."""
    with ExitStack() as processes:
        folder = Path(processes.enter_context(tempfile.TemporaryDirectory(prefix="ratel-bench-")))
        url = processes.enter_context(start_postgres(folder)).url
        target, echo_target = free_address(), free_address()
        service = {"RATEL_DATABASE_URL": url, "RATEL_LISTEN": target, "RATEL_METRICS_LISTEN": free_address()}
        run(["ratel", "migrate"], service)
        server = processes.enter_context(process(["ratel", "serve"], service | {"RATEL_LOG_LEVEL": "WARNING"}))
        processes.enter_context(process(["bench.echo", echo_target], {}))
        connection = await asyncpg.connect(url)
        async with open_channel(target) as channel, open_channel(echo_target) as echo:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.gather(_ready(channel), _ready(echo))
            run(["ratel", "apply", str(CATALOG), "--target", target], {})
            await create_accounts(channel, ACCOUNTS)
            yield Stack(channel, echo, connection, server.pid)
        await connection.close()


async def _ready(channel: grpc.aio.Channel) -> None:
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


def free_address() -> str:
    """Return an address on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


def _environment(variables: dict[str, str]) -> dict[str, str]:
    rest = {name: value for name, value in os.environ.items() if not name.startswith("RATEL_")}
    return rest | variables


def run(module: list[str], variables: dict[str, str]) -> None:
    """Run a module of Python to its end."""
    subprocess.run([sys.executable, "-m", *module], env=_environment(variables), check=True, timeout=START_SECONDS)


@contextmanager
def process(module: list[str], variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module of Python, and end it in an orderly way."""
    running = subprocess.Popen([sys.executable, "-m", *module], env=_environment(variables))
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
