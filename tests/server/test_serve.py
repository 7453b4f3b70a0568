"""The server as a whole: what everybody may ask it, how it refuses, what it measures, and how it ends."""

import asyncio
import io
import logging
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.request import urlopen

import asyncpg
import grpc
import pytest
import structlog
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from ratel.account.v1.account_pb2 import Account
from ratel.account.v1.account_service_pb2 import CreateAccountRequest, GetAccountRequest, ListAccountsRequest
from ratel.catalog.v1.pricing_pb2 import Band
from ratel.client import CallError, error_from
from ratel.core.errors import SchemaUnknown
from ratel.rating.v1.rating_service_pb2 import QuoteRequest
from ratel.server.logs import configure_logs
from ratel.server.serve import AddressTaken
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from ratel.usage.v1.usage_service_pb2 import StreamUsageRequest, StreamUsageResponse
from tests.conftest import Served, do_without, served

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = [
    "ratel.account.v1.AccountService",
    "ratel.catalog.v1.CatalogService",
    "ratel.rating.v1.BillingService",
    "ratel.rating.v1.RatingService",
    "ratel.usage.v1.UsageService",
]
STANDARD = ["grpc.channelz.v1.Channelz", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"]
USAGE = StreamUsageRequest(sequence=1, events=[UsageEvent(event_id="e")])


async def read(call: Any) -> Any:
    """Return the next message of a stream, whose type the stubs do not know."""
    return await call.read()


def sequences_of(response: StreamUsageResponse) -> list[int]:
    return [each.sequence for each in response.acknowledgements]


async def failure_of(call: Any) -> CallError:
    """Return how a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return error_from(caught.value)


def health_of(server: Served) -> Any:
    """Return the stub of health, whose types know nothing of asyncio."""
    return health_pb2_grpc.HealthStub(server.channel)


def raw(call: Any) -> Any:
    """Return a method that takes and gives bytes, for which the stubs have no type."""
    return call


def code_of(failure: CallError) -> str:
    return next(code.name for code in grpc.StatusCode if code.value[0] == failure.code)


@asynccontextmanager
async def locked_accounts(url: str) -> AsyncIterator[Callable[[], Coroutine[Any, Any, None]]]:
    """Make every call that reads accounts wait; give what waits until one does."""
    connection, other = await asyncpg.connect(url), await asyncpg.connect(url)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"

    async def until_one_waits() -> None:
        async with asyncio.timeout(10):
            while not await other.fetchval(waiting):
                pass

    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE accounts")
            yield until_one_waits
    finally:
        await connection.close()
        await other.close()


async def metrics_of(server: Served) -> str:
    def read() -> str:
        with urlopen(f"http://{server.running.metrics_target}/metrics") as response:
            return str(response.read().decode())

    return await asyncio.to_thread(read)


# --- What everybody may ask -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_health_knows_the_whole_and_every_service(server: Served, service: str) -> None:
    health = health_of(server)
    assert (await health.Check(health_pb2.HealthCheckRequest(service=service))).status == SERVING


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_names_every_service(server: Served, version: str) -> None:
    method = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    call = server.channel.stream_stream(
        method,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    (response,) = [each async for each in call]
    names = [service.name for service in response.list_services_response.service]
    assert sorted(names) == sorted([*SERVICES, *STANDARD])


async def test_channelz_counts_calls(server: Served) -> None:
    channelz = channelz_pb2_grpc.ChannelzStub(cast(grpc.Channel, server.channel))
    servers = await channelz.GetServers(channelz_pb2.GetServersRequest())
    assert any(each.data.calls_started for each in servers.server)


# --- How it refuses ---------------------------------------------------------------------------------------------------


async def test_an_invalid_request_names_every_field_and_the_request(server: Served) -> None:
    request = QuoteRequest(quantity="1e999", bands=[Band(lower_limit="x")], currency="usd")
    failure = await failure_of(server.rating.Quote(request, metadata=(("x-request-id", "mine"),)))
    assert (code_of(failure), failure.request_id) == ("INVALID_ARGUMENT", "mine")
    fields = {(violation.field, violation.reason) for violation in failure.violations}
    assert fields == {
        ("quantity", "STRING_PATTERN"),
        ("bands[0].lower_limit", "STRING_PATTERN"),
        ("currency", "STRING_PATTERN"),
        ("cumulative", "FIELD_REQUIRED"),
    }
    assert failure.retry_seconds is None


async def test_more_mistakes_than_a_trailer_holds_are_counted(server: Served) -> None:
    bands = [Band(lower_limit="x", unit_price="y")] * 100
    failure = await failure_of(server.rating.Quote(QuoteRequest(quantity="1", cumulative=True, bands=bands)))
    *named, rest = failure.violations
    assert rest.reason == "MORE"
    assert f"and {200 - len(named)} more" == rest.description


async def test_what_does_not_exist_is_named(server: Served) -> None:
    failure = await failure_of(server.accounts.GetAccount(GetAccountRequest(id="nobody")))
    assert (code_of(failure), failure.reason) == ("NOT_FOUND", "NOT_FOUND")
    assert failure.metadata == {"resource": "account", "id": "nobody"}
    assert failure.request_id


async def test_bytes_that_are_no_message_are_an_invalid_argument(server: Served) -> None:
    for method in ("rating.v1.RatingService/Quote", "usage.v1.UsageService/SubmitUsage"):
        failure = await failure_of(raw(server.channel.unary_unary(f"/ratel.{method}"))(b"\xff\xff"))
        assert (code_of(failure), failure.reason) == ("INVALID_ARGUMENT", "MESSAGE_MALFORMED")
    stream = raw(server.channel.stream_stream("/ratel.usage.v1.UsageService/StreamUsage"))([b"\xff\xff"])
    assert (await failure_of(stream.read())).reason == "MESSAGE_MALFORMED"


async def test_an_unknown_method_is_unimplemented(server: Served) -> None:
    failure = await failure_of(raw(server.channel.unary_unary("/ratel.rating.v1.RatingService/Guess"))(b""))
    assert code_of(failure) == "UNIMPLEMENTED"


async def test_a_message_that_is_too_long_is_refused(database_url: str) -> None:
    async with served(database_url, message_bytes_max=1024) as server:
        failure = await failure_of(server.accounts.GetAccount(GetAccountRequest(id="x" * 2000)))
        assert code_of(failure) == "RESOURCE_EXHAUSTED"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.BytesIO]:
    """Give what is logged, as it is in a server."""
    stream = io.TextIOWrapper(io.BytesIO())
    handlers = logging.getLogger().handlers[:]
    with monkeypatch.context() as changed:
        changed.setattr("sys.stderr", stream)
        configure_logs("INFO")
    yield stream.buffer
    structlog.reset_defaults()
    logging.getLogger().handlers = handlers


async def test_a_fault_of_ours_is_logged_and_not_told(fresh_database_url: str, written: io.BytesIO) -> None:
    async with served(fresh_database_url) as server:
        connection = await asyncpg.connect(fresh_database_url)
        await connection.execute("ALTER TABLE accounts RENAME TO customers")
        await connection.close()
        call = server.accounts.GetAccount(GetAccountRequest(id="secret"), metadata=(("x-request-id", "r-1"),))
        failure = await failure_of(call)
    assert (code_of(failure), failure.reason, failure.request_id) == ("INTERNAL", "INTERNAL", "r-1")
    assert "accounts" not in failure.message
    logged = written.getvalue().decode()
    assert '"type":"UndefinedTableError"' in logged
    assert '"request_id":"r-1"' in logged
    assert "store/account.py" in logged or "store/resource.py" in logged
    assert "secret" not in logged


async def test_a_lost_database_is_unavailable_and_found_again(fresh_database_url: str) -> None:
    async with served(fresh_database_url) as server:
        await server.accounts.ListAccounts(ListAccountsRequest())
        connection = await asyncpg.connect(fresh_database_url)
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        await connection.execute(f"SELECT pg_terminate_backend(pid) {others}")
        await connection.close()
        for _ in range(3):  # a connection whose end has not been heard of yet fails once
            try:
                await server.accounts.ListAccounts(ListAccountsRequest())
                break
            except grpc.aio.AioRpcError as error:
                failure = error_from(error)
                assert (code_of(failure), failure.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
                assert failure.retry_seconds == 1
        else:
            pytest.fail("the database is back")


# --- Limits -----------------------------------------------------------------------------------------------------------


async def test_more_calls_than_places_are_refused_but_not_health(database_url: str) -> None:
    async with served(database_url, calls_max=1) as server, locked_accounts(database_url) as until_one_waits:
        slow = server.accounts.ListAccounts(ListAccountsRequest())
        await until_one_waits()
        failure = await failure_of(server.rating.Quote(QuoteRequest()))
        assert (code_of(failure), failure.reason, failure.retry_seconds) == ("RESOURCE_EXHAUSTED", "OVERLOADED", 1)
        health = health_of(server)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == SERVING
        slow.cancel()


async def test_more_streams_than_places_are_refused(database_url: str) -> None:
    async with served(database_url, streams_max=1) as server:
        first = server.usage.StreamUsage()
        await first.write(USAGE)
        assert sequences_of(await read(first)) == [1]
        second = server.usage.StreamUsage()
        failure = await failure_of(second.read())
        assert (code_of(failure), failure.reason) == ("RESOURCE_EXHAUSTED", "STREAM_LIMIT")
        await first.done_writing()
        assert await first.read() is grpc.aio.EOF
        third = server.usage.StreamUsage()
        await third.write(USAGE)
        assert sequences_of(await read(third)) == [1]
        third.cancel()


async def test_a_deadline_ends_the_work_in_the_database_too(database_url: str) -> None:
    async with served(database_url) as server, locked_accounts(database_url) as until_one_waits:
        call = server.accounts.ListAccounts(ListAccountsRequest(), timeout=0.5)
        await until_one_waits()
        assert code_of(await failure_of(call)) == "DEADLINE_EXCEEDED"
        other = await asyncpg.connect(database_url)
        async with asyncio.timeout(10):
            while await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                pass
        await other.close()
        ended = 'grpc_server_handled_total{grpc_code="DeadlineExceeded",grpc_method="ListAccounts"'
        assert ended in await metrics_of(server)


# --- What it measures -------------------------------------------------------------------------------------------------


async def test_calls_are_counted_and_timed(server: Served) -> None:
    await server.accounts.CreateAccount(CreateAccountRequest(account=Account(id="counted", name="Counted")))
    await failure_of(server.accounts.GetAccount(GetAccountRequest(id="nobody")))
    text = await metrics_of(server)
    labels = 'grpc_method="CreateAccount",grpc_service="ratel.account.v1.AccountService",grpc_type="unary"'
    for name in ("started", "msg_received", "msg_sent"):
        assert f"grpc_server_{name}_total{{{labels}}} 1.0" in text
    assert f'grpc_server_handled_total{{grpc_code="OK",{labels}}} 1.0' in text
    assert f"grpc_server_handling_seconds_count{{{labels}}} 1.0" in text
    assert 'grpc_code="NotFound",grpc_method="GetAccount"' in text
    for name in ("ratel_build_info{", "ratel_pool_wait_seconds_count", "ratel_calls_at_work 0.0", "process_cpu"):
        assert name in text


async def test_promtool_finds_nothing_to_complain_of(server: Served) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        do_without("promtool is not installed: on Debian, apt install prometheus")
    await failure_of(server.accounts.GetAccount(GetAccountRequest(id="nobody")))
    text = await metrics_of(server)
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


# --- How it starts and ends -------------------------------------------------------------------------------------------


async def test_draining_ends_streams_after_their_acknowledgements_and_lets_nobody_in(database_url: str) -> None:
    async with served(database_url) as server:
        watch = health_of(server).Watch(health_pb2.HealthCheckRequest())
        assert (await read(watch)).status == SERVING
        stream = server.usage.StreamUsage()
        for sequence in range(1, 21):
            await stream.write(StreamUsageRequest(sequence=sequence, events=USAGE.events))
        first = sequences_of(await read(stream))
        draining = asyncio.create_task(server.running.drain())
        assert (await read(watch)).status == NOT_SERVING
        acknowledged, failure = await rest_of(stream)
        assert first + acknowledged == list(range(1, 1 + len(first + acknowledged)))
        assert (code_of(failure), failure.reason, failure.retry_seconds) == ("UNAVAILABLE", "DRAINING", 0)
        await draining
        assert code_of(await failure_of(server.rating.Quote(QuoteRequest()))) == "UNAVAILABLE"


async def rest_of(stream: Any) -> tuple[list[int], CallError]:
    """Return the sequences that are still acknowledged, and how the stream fails."""
    sequences: list[int] = []
    try:
        while True:
            sequences += sequences_of(await stream.read())
    except grpc.aio.AioRpcError as error:
        return sequences, error_from(error)


async def test_draining_waits_for_calls_at_work_but_not_for_ever(database_url: str) -> None:
    async with (
        served(database_url, drain_seconds=1) as server,
        locked_accounts(database_url) as until_one_waits,
    ):
        call = server.accounts.ListAccounts(ListAccountsRequest())
        await until_one_waits()
        draining = asyncio.create_task(server.running.drain())
        failure = await failure_of(call)
        assert code_of(failure) == "UNAVAILABLE"
        await draining


async def test_a_call_at_work_is_answered_while_draining(database_url: str) -> None:
    async with served(database_url) as server:
        async with locked_accounts(database_url) as until_one_waits:
            call = server.accounts.ListAccounts(ListAccountsRequest())
            await until_one_waits()
            draining = asyncio.create_task(server.running.drain())
        await call
        await draining


async def test_a_taken_address_is_named(server: Served) -> None:
    for settings in ({"listen": server.running.target}, {"metrics_listen": server.running.metrics_target}):
        with pytest.raises(AddressTaken) as caught:
            async with served(server.database_url, **settings):
                pytest.fail("it is taken")
        assert next(iter(settings.values())) in str(caught.value)


async def test_an_unknown_schema_is_refused(empty_database_url: str) -> None:
    with pytest.raises(SchemaUnknown, match="ratel migrate"):
        async with served(empty_database_url):
            pytest.fail("there is no schema")
