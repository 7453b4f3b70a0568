"""How long one message waits for its acknowledgement, against one COPY transaction of as many rows."""

import asyncio
import time

import grpc

from bench.figure import Figure, Scale, percentile, time_of
from bench.ingest import copy_rows, fold, read_numbers, usage_method
from bench.stack import Stack
from bench.workload import Source, copies, messages
from ratel.usage.v1.usage_service_pb2 import StreamUsageResponse

EVENTS_PER_MESSAGE = 1_000
# Messages and COPYs take turns: what one in a hundred meets (a new file of WAL, a slow fsync) comes and goes with time.
MESSAGES_PER_TURN = 100
LIMIT = f"one COPY transaction of {EVENTS_PER_MESSAGE:,} rows into the same table; lower is better"


async def measure_latency(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure one stream with one message in flight: the median, and what 99 of 100 stay below."""
    if wanted and not wanted & {"ack_latency", "ack_latency_median"}:
        return []
    numbers = await read_numbers(stack.connection)
    source = Source()
    waits: list[list[float]] = [[] for _ in range(scale.runs)]
    limits: list[list[float]] = [[] for _ in range(scale.runs)]
    for wait, limit in zip(waits, limits, strict=True):
        for start in range(0, scale.latency_messages, MESSAGES_PER_TURN):
            count = EVENTS_PER_MESSAGE * min(MESSAGES_PER_TURN, scale.latency_messages - start)
            encoded = copies(source.recent(count), EVENTS_PER_MESSAGE, numbers)
            sent = messages(source.recent(count), EVENTS_PER_MESSAGE)
            limit.extend([1_000 * await time_of(copy_rows(stack.connection, each)) for each in encoded])
            wait.extend(await _waits(stack.channel, sent))
            await fold(stack.connection)
    return [
        Figure(
            name, "ms", LIMIT, [percentile(run, percent) for run in waits], [percentile(run, percent) for run in limits]
        )
        for name, percent in (("ack_latency", 99), ("ack_latency_median", 50))
    ]


async def _waits(channel: grpc.aio.Channel, encoded: list[bytes]) -> list[float]:
    """Return the milliseconds from sending each message to its acknowledgement."""
    call = usage_method(channel)()
    found = []
    for each in encoded:
        start = time.perf_counter()
        await call.write(each)
        response = await call.read()
        if not isinstance(response, StreamUsageResponse):
            raise AssertionError("the stream has ended")
        if [each.accepted_count for each in response.acknowledgements] != [EVENTS_PER_MESSAGE]:
            raise AssertionError("a message was not accepted")
        found.append(1_000 * (time.perf_counter() - start))
    await call.done_writing()
    await asyncio.wait_for(call.code(), timeout=10)
    return found
