"""Metrics for Prometheus, in a registry that is passed around, served on a port of its own.

Calls have the names that go-grpc-prometheus made common, so that dashboards fit; the rest is `ratel_*`. Labels come
from closed sets only: methods of the contracts, status codes.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from platform import python_version
from types import TracebackType

import grpc
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from ratel.server.errors import Context

# From a cached read to a stream that lives as long as its connection.
CALL_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)
WAIT_SECONDS = (0.0001, 0.001, 0.01, 0.1, 1, 10)
METHOD_LABELS = ("grpc_type", "grpc_service", "grpc_method")
CODES = {code.value[0]: "".join(word.title() for word in code.name.split("_")) for code in grpc.StatusCode}
CODES[0] = "OK"


def create_registry() -> CollectorRegistry:
    """Return a registry that knows the process and the program's version."""
    # They would double every counter and histogram, and promtool takes them for counters with a wrong name.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    build = Info("ratel_build", "The version of Ratel and of the Python that runs it.", registry=registry)
    build.info({"version": version("ratel"), "python": python_version()})
    return registry


def create_pool_wait(registry: CollectorRegistry) -> Histogram:
    """Return the histogram of how long anybody waits for a connection to Postgres, by pool."""
    text = "Time that a piece of work waited for a free connection to Postgres, by whose connections they are."
    return Histogram("ratel_pool_wait_seconds", text, ["pool"], buckets=WAIT_SECONDS, registry=registry)


def start_metrics(registry: CollectorRegistry, address: str) -> tuple[int, Callable[[], None]]:
    """Serve a registry over HTTP in a thread.

    Returns:
        The port that it listens on, and what ends it.

    Raises:
        OSError: The address is taken or not of this machine.
    """
    host, _, port = address.rpartition(":")
    server, thread = start_http_server(int(port), host.strip("[]"), registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


@dataclass(frozen=True, slots=True)
class MethodMetrics:
    """What is counted for one method."""

    started: Counter
    received: Counter
    sent: Counter
    seconds: Histogram
    handled: Mapping[str, Counter]

    def observing(self, context: Context) -> "_Observation":
        """Return a context that counts one call: that it starts, how it ends, and how long it takes."""
        return _Observation(self, context)


class _Observation:
    """The context of `MethodMetrics.observing`: a class, because a generator costs three times as much a call."""

    __slots__ = ("_context", "_metrics", "_start")

    def __init__(self, metrics: MethodMetrics, context: Context) -> None:
        self._metrics = metrics
        self._context = context

    def __enter__(self) -> None:
        self._metrics.started.inc()
        self._start = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._metrics.seconds.observe(time.perf_counter() - self._start)
        self._metrics.handled[self._code_of(error)].inc()

    def _code_of(self, error: BaseException | None) -> str:
        if error is None:
            return "OK"
        if isinstance(error, grpc.aio.AbortError):
            return _name_of(self._context.code())
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            # The caller's deadline arrives as a cancellation, with exactly nothing left.
            return "DeadlineExceeded" if self._context.time_remaining() == 0 else "Canceled"
        return "Unknown"


class _Handled(dict[str, Counter]):
    """The counters of a method by status code, each made when it is first needed."""

    def __init__(self, counter: Counter, labels: tuple[str, str, str]) -> None:
        super().__init__()
        self._counter = counter
        self._labels = labels

    def __missing__(self, code: str) -> Counter:
        self[code] = self._counter.labels(*self._labels, code)
        return self[code]


class CallMetrics:
    """The metrics of all methods."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*METHOD_LABELS, *labels), registry=registry)

        self._started = counter("grpc_server_started", "Calls that began.")
        self._handled = counter("grpc_server_handled", "Calls that ended, by status code.", "grpc_code")
        self._received = counter("grpc_server_msg_received", "Messages received.")
        self._sent = counter("grpc_server_msg_sent", "Messages sent.")
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from the start of a call to its end.",
            METHOD_LABELS,
            buckets=CALL_SECONDS,
            registry=registry,
        )

    def of_method(self, path: str, kind: str) -> MethodMetrics:
        """Return the metrics of a method `/package.Service/Method` of a kind such as `unary` or `bidi_stream`."""
        service, _, method = path.removeprefix("/").partition("/")
        labels = (kind, service, method)
        return MethodMetrics(
            self._started.labels(*labels),
            self._received.labels(*labels),
            self._sent.labels(*labels),
            self._seconds.labels(*labels),
            _Handled(self._handled, labels),
        )


def _name_of(code: object) -> str:
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return CODES.get(number, "Unknown") if isinstance(number, int) else "Unknown"
