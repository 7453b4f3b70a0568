"""A real Postgres for the tests: one server a run, and a migrated database of one's own in milliseconds."""

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import grpc
import pytest

from ratel.account.v1.account_service_pb2_grpc import AccountServiceStub
from ratel.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from ratel.config import Configuration
from ratel.rating.v1.billing_service_pb2_grpc import BillingServiceStub
from ratel.rating.v1.rating_service_pb2_grpc import RatingServiceStub
from ratel.server.serve import RunningServer, running
from ratel.store.migrate import migrate
from ratel.usage.v1.usage_service_pb2 import StreamUsageResponse, UsageAcknowledgement
from ratel.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from tests.guard import install_guards

# A process of its own, which sees the end of its input when the run ends, however it ends: nothing stays behind.
SERVE = """
import shutil, sys
from pathlib import Path
from ratel.store.embedded import start_postgres

folder = Path(sys.argv[1])
with start_postgres(folder) as postgres:
    print(postgres.url, flush=True)
    sys.stdin.read()
shutil.rmtree(folder)
"""


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Name a server whose user may create databases: the run's own, or that of RATEL_TEST_DATABASE_URL."""
    given = os.environ.get("RATEL_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="ratel-tests-"))
    folder.chmod(0o755)  # the server may have to run as nobody
    command = [sys.executable, "-c", SERVE, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url, "the embedded PostgreSQL did not start, see above"
        yield url
        server.communicate(timeout=60)


@pytest.fixture(scope="session")
async def migrated_database(postgres_url: str) -> AsyncIterator[str]:
    """Name a migrated database to copy; nobody stays connected to it."""
    async with created_database(postgres_url, "template0") as url:
        connection = await asyncpg.connect(url)
        await migrate(connection)
        await connection.close()
        yield urlsplit(url).path[1:]


@pytest.fixture(scope="module")
async def database_url(postgres_url: str, migrated_database: str) -> AsyncIterator[str]:
    """Name a migrated, empty database which the tests of a module share."""
    async with created_database(postgres_url, migrated_database) as url:
        yield url


@pytest.fixture
async def fresh_database_url(postgres_url: str, migrated_database: str) -> AsyncIterator[str]:
    """Name a migrated, empty database which a test has for itself."""
    async with created_database(postgres_url, migrated_database) as url:
        yield url


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """Name a database without any schema."""
    async with created_database(postgres_url, "template0") as url:
        yield url


@asynccontextmanager
async def created_database(server_url: str, template: str) -> AsyncIterator[str]:
    """Make a copy of a database, and drop it in the end even if somebody is still connected."""
    name = f"test_{uuid4().hex}"
    await execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    await execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


async def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def do_without(reason: str) -> NoReturn:
    """Skip a test that lacks a tool; in CI, which installs them all, that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def command_environment(**settings: str) -> dict[str, str]:
    """Return the environment for a command `ratel`: this one's, without the settings of whoever runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RATEL_")}
    return inherited | settings


@dataclass(frozen=True, slots=True)
class Served:
    """A real server on a free port, and what a test calls it with.

    Attributes:
        running: The server itself: its targets, and `drain`.
        database_url: Its database, for what no method shows.
        channel: For services and calls beside the stubs.
    """

    running: RunningServer
    database_url: str
    channel: grpc.aio.Channel
    catalog: CatalogServiceStub
    accounts: AccountServiceStub
    usage: UsageServiceStub
    rating: RatingServiceStub
    billing: BillingServiceStub


@asynccontextmanager
async def served(database_url: str, **settings: object) -> AsyncIterator[Served]:
    """Run a server on a database, with other settings than a test's usual ones where a test needs them."""
    usual = {"listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0", "drain_seconds": 5}
    configuration = Configuration.model_validate(usual | settings)
    async with running(configuration, database_url) as server, grpc.aio.insecure_channel(server.target) as channel:
        await install_guards(database_url)
        yield Served(
            server,
            database_url,
            channel,
            CatalogServiceStub(channel),
            AccountServiceStub(channel),
            UsageServiceStub(channel),
            RatingServiceStub(channel),
            BillingServiceStub(channel),
        )


async def acknowledgements(responses: AsyncIterable[StreamUsageResponse]) -> AsyncIterator[UsageAcknowledgement]:
    """Yield what a usage stream acknowledges, message by message, however much of it came at once."""
    async for response in responses:
        assert 1 <= len(response.acknowledgements) <= 64
        assert not any(each.verdicts for each in response.acknowledgements[:-1])
        for each in response.acknowledgements:
            yield each


@pytest.fixture(scope="module")
async def server(database_url: str) -> AsyncIterator[Served]:
    """Give a server whose database the tests of a module share."""
    async with served(database_url) as running_server:
        yield running_server
