"""The server as a whole: what it is made of, how it starts, and how it ends without losing anything.

Ending is orderly: health says NOT_SERVING, nobody new is let in, usage streams acknowledge what they have read and tell
their senders to connect elsewhere, everything else ends by itself, and after a bounded time the rest is cut off.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from ratel.config import Configuration
from ratel.core.errors import Unavailable
from ratel.server import metrics
from ratel.server.admission import Admission
from ratel.server.introspection import add_introspection
from ratel.server.logs import configure_logs
from ratel.server.memory import collect_less
from ratel.server.methods import Methods
from ratel.server.metrics import CallMetrics
from ratel.server.services import Service, open_services

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# What an old usage stream is left to acknowledge what it has read.
STREAM_END_SECONDS = 60
# What a server that is to end at once is left to let go of its database.
HURRY_SECONDS = 1
GRACE_MARGIN_SECONDS = 60
SWITCH_SECONDS = 0.0001
"""How long a thread that folds may keep the others waiting, each time they wake up; Python's own 5 ms are longer than a
call takes."""

log = structlog.get_logger()


class AddressTaken(Unavailable):
    """Something else listens on the address, or the machine has no such address; metadata ``address``."""

    reason = "ADDRESS_TAKEN"

    def __init__(self, address: str, variable: str) -> None:
        super().__init__(f"cannot listen on {address}: it is taken, or not of this machine. Set {variable} to another.")
        self.metadata["address"] = address


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers calls.

    Attributes:
        target: Where, such as ``127.0.0.1:7070``.
        metrics_target: Where its metrics are; empty for nowhere.
    """

    target: str
    metrics_target: str
    _server: grpc.aio.Server
    _health: health.aio.HealthServicer
    _admission: Admission
    _drain_seconds: int

    async def drain(self) -> None:
        """End in an orderly way, and wait until that is done."""
        await self._health.enter_graceful_shutdown()
        # From now on nobody new connects. Watchers of health stay until the end, so they are not waited for.
        # The grace does not end by itself: gRPC then cuts calls off, and crashes if the second stop was just faster.
        stopping = asyncio.create_task(self._server.stop(self._drain_seconds + GRACE_MARGIN_SECONDS))
        try:
            async with asyncio.timeout(self._drain_seconds):
                await self._admission.drain()
        except TimeoutError:
            log.warning("calls are cut off", drain_seconds=self._drain_seconds)
        await self._server.stop(None)
        await stopping


Meanwhile: TypeAlias = Callable[[RunningServer], Awaitable[None]]


@asynccontextmanager
async def running(configuration: Configuration, database_url: str) -> AsyncIterator[RunningServer]:
    """Run a server, and drain it at the end of the block.

    Raises:
        SchemaUnknown: The database's schema is not this program's.
        DatabaseUnavailable: The database cannot be reached.
        AddressTaken: It cannot listen where it was told to.
    """
    registry = metrics.create_registry()
    async with AsyncExitStack() as stack:
        admission = Admission(configuration.calls_max, configuration.streams_max, registry)
        services = await stack.enter_async_context(open_services(configuration, database_url, registry, admission))
        metrics_target = _start_metrics(stack, registry, configuration.metrics_listen)
        server = _create_server(configuration)
        quick = {f"/{service.name}/{name}": answer for service in services for name, answer in service.quick.items()}
        prompt = {f"/{service.name}/{name}": answer for service in services for name, answer in service.prompt.items()}
        methods = Methods(CallMetrics(registry), admission, quick, prompt)
        checks = await _register(methods, services)
        server.add_generic_rpc_handlers((methods,))
        target = _listen(server, configuration.listen)
        await server.start()
        running_server = RunningServer(target, metrics_target, server, checks, admission, configuration.drain_seconds)
        stack.push_async_callback(running_server.drain)
        collect_less()
        sys.setswitchinterval(SWITCH_SECONDS)
        log.info("serving", target=target, metrics=metrics_target)
        yield running_server


async def forever(_server: RunningServer) -> None:
    """Do nothing, and never return."""
    await asyncio.Event().wait()


async def serve(configuration: Configuration, database_url: str, meanwhile: Meanwhile = forever) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once what is left of that.

    Args:
        configuration: See there.
        database_url: The database.
        meanwhile: Runs while the server answers; when it returns, the server drains too.
    """
    configure_logs(configuration.log_level)
    told, hurried = asyncio.Event(), asyncio.Event()

    def be_told() -> None:
        (hurried if told.is_set() else told).set()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, be_told)
    serving = asyncio.create_task(_serve(configuration, database_url, meanwhile, told))
    hurry = asyncio.create_task(hurried.wait())
    await asyncio.wait({serving, hurry}, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if not serving.done():
        log.warning("ending at once")
        serving.cancel()
        await asyncio.wait({serving}, timeout=HURRY_SECONDS)
    else:
        serving.result()


async def _serve(configuration: Configuration, database_url: str, meanwhile: Meanwhile, told: asyncio.Event) -> None:
    async with running(configuration, database_url) as server:
        telling = asyncio.create_task(told.wait())
        working = asyncio.ensure_future(meanwhile(server))
        await asyncio.wait({telling, working}, return_when=asyncio.FIRST_COMPLETED)
        telling.cancel()
        if working.done():
            working.result()
        working.cancel()
        log.info("draining")


def _create_server(configuration: Configuration) -> grpc.aio.Server:
    size = configuration.message_bytes_max
    options = [
        ("grpc.so_reuseport", 0),  # a second server on the same port is a mistake, not help
        ("grpc.max_receive_message_length", size),
        ("grpc.max_send_message_length", size),
        ("grpc.max_connection_age_ms", 1000 * configuration.connection_age_seconds),
        # A stream ends by itself at the same age, which it reaches at twice that of its connection at the latest.
        ("grpc.max_connection_age_grace_ms", 1000 * (configuration.connection_age_seconds + STREAM_END_SECONDS)),
        # Finds peers that are gone without a word, and bears the pings of a mesh that does the same.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.enable_channelz", 1),
    ]
    return grpc.aio.server(options=options)


async def _register(methods: Methods, services: Sequence[Service]) -> health.aio.HealthServicer:
    checks = health.aio.HealthServicer()
    stand_in: Any = methods
    health_pb2_grpc.add_HealthServicer_to_server(checks, stand_in)
    for service in services:
        service.add(service.servicer, stand_in)
        await checks.set(service.name, health_pb2.HealthCheckResponse.SERVING)
    add_introspection(methods, [*(service.name for service in services), health.SERVICE_NAME])
    return checks


def _listen(server: grpc.aio.Server, address: str) -> str:
    """Bind an address and return it with the port that was taken."""
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise AddressTaken(address, "RATEL_LISTEN") from error
    return f"{address.rpartition(':')[0]}:{port}"


def _start_metrics(stack: AsyncExitStack, registry: CollectorRegistry, address: str) -> str:
    if not address:
        return ""
    try:
        port, stop = metrics.start_metrics(registry, address)
    except OSError as error:
        raise AddressTaken(address, "RATEL_METRICS_LISTEN") from error
    stack.callback(stop)
    return f"{address.rpartition(':')[0]}:{port}"
