"""Metrics for Prometheus, in a registry that is passed around, served on a port of its own.

Calls have the names that go-grpc-prometheus made common, so that dashboards fit; the rest is `ratel_*`. Labels come
from closed sets only: methods of the contracts, status codes.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from itertools import accumulate
from platform import python_version

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

# From a cached read to a stream that lives as long as its connection.
CALL_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)
WAIT_SECONDS = (0.0001, 0.001, 0.01, 0.1, 1, 10)
METHOD_LABELS = ("grpc_type", "grpc_service", "grpc_method")


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


class MethodMetrics:
    """What is counted of one method: plain numbers, which the event loop alone writes, and Prometheus reads.

    Attributes:
        labels: the kind, such as `unary` or `bidi_stream`, the service and the method.
        started: calls.
        received: messages.
        sent: messages.
        handled: calls that ended, by status code.
        taken: how many of them took at most as long as each of `CALL_SECONDS`, but longer than the one before; at the
            end those that took longer than all.
        seconds: what they took together.
    """

    __slots__ = ("handled", "labels", "received", "seconds", "sent", "started", "taken")

    def __init__(self, labels: tuple[str, str, str]) -> None:
        self.labels = labels
        self.started = self.received = self.sent = 0
        self.handled: dict[str, int] = {}
        self.taken = [0] * (len(CALL_SECONDS) + 1)
        self.seconds = 0.0

    def answer(self, seconds: float) -> None:
        """Count a call that was answered as soon as it began."""
        self.started += 1
        self.received += 1
        self.sent += 1
        self.end("OK", seconds)

    def end(self, code: str, seconds: float) -> None:
        """Count a call that ended."""
        self.handled[code] = self.handled.get(code, 0) + 1
        self.taken[bisect_left(CALL_SECONDS, seconds)] += 1
        self.seconds += seconds


class CallMetrics(Collector):
    """The metrics of all methods that were called.

    Counted by ourselves: counters of the library take a lock each, which for a quick call is a tenth of its work.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._methods: list[MethodMetrics] = []
        registry.register(self)

    def of_method(self, path: str, kind: str) -> MethodMetrics:
        """Return the metrics of a method `/package.Service/Method` of a kind such as `unary` or `bidi_stream`."""
        service, _, method = path.removeprefix("/").partition("/")
        self._methods.append(MethodMetrics((kind, service, method)))
        return self._methods[-1]

    def collect(self) -> Iterable[Metric]:
        """Return everything for Prometheus; called from its thread."""
        called = [each for each in self._methods if each.started]
        handled = CounterMetricFamily(
            "grpc_server_handled", "Calls that ended, by status code.", labels=(*METHOD_LABELS, "grpc_code")
        )
        seconds = HistogramMetricFamily(
            "grpc_server_handling_seconds", "Time from the start of a call to its end.", labels=METHOD_LABELS
        )
        bounds = [*map(floatToGoString, (*CALL_SECONDS, math.inf))]
        for each in called:
            for code, count in each.handled.copy().items():
                handled.add_metric((*each.labels, code), count)
            buckets = list(zip(bounds, accumulate(each.taken), strict=True))
            seconds.add_metric(each.labels, buckets, each.seconds)
        return (
            _counter("grpc_server_started", "Calls that began.", ((each.labels, each.started) for each in called)),
            handled,
            _counter("grpc_server_msg_received", "Messages received.", ((e.labels, e.received) for e in called)),
            _counter("grpc_server_msg_sent", "Messages sent.", ((each.labels, each.sent) for each in called)),
            seconds,
        )


def _counter(name: str, text: str, counts: Iterable[tuple[Sequence[str], int]]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=METHOD_LABELS)
    for labels, count in counts:
        family.add_metric(labels, count)
    return family
