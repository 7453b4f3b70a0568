"""One event a message over many streams, against an empty bidirectional echo of as many."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc

from bench.echo import STREAM as ECHO
from bench.figure import Figure, Scale, time_of
from bench.ingest import fold, send
from bench.stack import Stack
from bench.workload import Source, messages

STREAMS = 64
AGAINST = f"an empty bidirectional echo of the same messages, {STREAMS} streams"


async def measure_single(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure messages per second until the last is answered."""
    if wanted and "ingest_single" not in wanted:
        return []
    source, count = Source(), scale.ingest_events // 5
    rates: list[float] = []
    limits: list[float] = []
    for _ in range(scale.runs + 1):
        encoded = messages(source.recent(count), 1)
        streams = [encoded[number::STREAMS] for number in range(STREAMS)]
        limits.append(count / await time_of(_echo(stack.echo, streams)))
        rates.append(count / await time_of(send(stack, streams, count)))
        await fold(stack.connection)
    return [Figure("ingest_single", "events/s", AGAINST, rates[1:], limits[1:])]


async def _echo(channel: grpc.aio.Channel, streams: Sequence[Sequence[bytes]]) -> None:
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(ECHO)

    async def send_stream(encoded: Sequence[bytes]) -> None:
        async def requests() -> AsyncIterator[bytes]:
            for each in encoded:
                yield each

        async for _ in method(requests()):
            pass

    await asyncio.gather(*(send_stream(each) for each in streams))
