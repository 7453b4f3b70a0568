"""Quote: pure arithmetic behind a call, against an empty echo."""

from random import Random
from typing import TypeAlias

import grpc

from bench.figure import ECHO, Figure, Scale, echo_call, rates_in_turn
from bench.stack import Stack
from bench.workload import SEED
from ratel.catalog.v1 import pricing_pb2
from ratel.rating.v1 import rating_service_pb2

QuoteMethod: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, rating_service_pb2.QuoteResponse]"
QUOTE = "/ratel.rating.v1.RatingService/Quote"
CALLERS = 128
BANDS = (
    pricing_pb2.Band(lower_limit="0", unit_price="0.003"),
    pricing_pb2.Band(lower_limit="10000", unit_price="0.002"),
    pricing_pb2.Band(lower_limit="1000000", unit_price="0.001"),
)
QUOTES = 1_000


async def measure_quotes(stack: Stack, scale: Scale, wanted: set[str]) -> list[Figure]:
    """Measure quotes of three bands for quantities of all sizes."""
    if wanted and "quote" not in wanted:
        return []
    random = Random(SEED)
    requests = [
        rating_service_pb2.QuoteRequest(
            quantity=str(random.randint(0, 10 ** random.randint(1, 8))), cumulative=True, bands=BANDS, currency="USD"
        ).SerializeToString()
        for _ in range(QUOTES)
    ]
    method: QuoteMethod = stack.channel.unary_unary(
        QUOTE, response_deserializer=rating_service_pb2.QuoteResponse.FromString
    )
    echo = echo_call(stack.echo)

    async def quote(number: int) -> None:
        response = await method(requests[number % QUOTES])
        if not response.amount:
            raise AssertionError("nothing was quoted")

    limits, samples = [], []
    for _ in range(scale.runs):
        limit, sample = await rates_in_turn(echo, quote, CALLERS, scale.call_seconds)
        limits.append(limit)
        samples.append(sample)
    return [Figure("quote", "calls/s", ECHO, samples, limits)]
