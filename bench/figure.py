"""What is measured, and how a figure is made of several runs."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TypeAlias

import grpc

from bench.echo import UNARY

Call: TypeAlias = Callable[[int], Awaitable[object]]
"""Makes the call of a number."""

TURNS = 4
ECHO = "an empty echo, as many callers"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        runs: times that figure and limit are measured, one after the other.
        ingest_events: events in each run of ingest.
        long_factor: times as many where much is sent.
        grown_events: events that an empty table grows by.
        growth_steps: between which the rate is noted.
        call_seconds: how long calls are made for a rate of calls.
        latency_messages: messages whose acknowledgement is timed in each run.
        growth_events: events of the month that is rated: few and many.
        billed_accounts: accounts that are billed in each run.
    """

    runs: int
    ingest_events: int
    long_factor: int
    grown_events: int
    growth_steps: int
    call_seconds: float
    latency_messages: int
    growth_events: tuple[int, ...]
    billed_accounts: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and the limit that it is compared with.

    Attributes:
        name: stable.
        unit: of ``samples`` and ``limits``.
        against: says what the limit is.
        samples: the figure in each run.
        limits: the limit in the same runs.
    """

    name: str
    unit: str
    against: str
    samples: Sequence[float]
    limits: Sequence[float]

    @property
    def ratios(self) -> list[float]:
        """Figure to limit, run by run: what drifts between runs is in both."""
        return [sample / limit for sample, limit in zip(self.samples, self.limits, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)

    @property
    def spread(self) -> float:
        """How far the ratios lie apart: greatest less least, over their median."""
        return (max(self.ratios) - min(self.ratios)) / self.ratio


def percentile(samples: Sequence[float], percent: int) -> float:
    """Return the sample below which so many percent of them lie."""
    return quantiles(samples, n=100, method="inclusive")[percent - 1]


async def time_of(work: Awaitable[object]) -> float:
    """Return how many seconds something takes."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


def echo_call(channel: grpc.aio.Channel) -> Call:
    """Return what calls the empty server."""
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(UNARY)

    async def call(_: int) -> None:
        await method(b"")

    return call


async def calls_per_second(call: Call, callers: int, seconds: float) -> float:
    """Return how many calls end per second while so many callers call without a pause."""
    count = 0
    end = time.perf_counter() + seconds

    async def caller(number: int) -> None:
        nonlocal count
        while time.perf_counter() < end:
            await call(number)
            count += 1
            number += callers

    taken = await time_of(asyncio.gather(*(caller(number) for number in range(callers))))
    return count / taken


async def rates_in_turn(limit: Call, call: Call, callers: int, seconds: float) -> tuple[float, float]:
    """Return calls per second of a limit and of what is compared with it, by turns: machines change by the second."""
    found: list[tuple[float, float]] = []
    for _ in range(TURNS):
        each = await calls_per_second(limit, callers, seconds / TURNS)
        found.append((each, await calls_per_second(call, callers, seconds / TURNS)))
    limits, samples = zip(*found, strict=True)
    return sum(limits) / TURNS, sum(samples) / TURNS
