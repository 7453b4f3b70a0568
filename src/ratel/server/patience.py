"""Patience with the database: what may be repeated is repeated while it is away, for a bounded time."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ratel.core.errors import DatabaseUnavailable, Overloaded, TransactionConflict

RETRY_SECONDS_MIN = 0.02
RETRY_SECONDS_MAX = 1.0

T = TypeVar("T")


def _ignore() -> None:
    """Count nothing."""


async def patiently(work: Callable[[], Awaitable[T]], seconds: float, tell: Callable[[], None] = _ignore) -> T:
    """Do a piece of work that may be repeated, again and again until the database has answered.

    Args:
        work: Does all of it, each time; with exactly the same effect however often.
        seconds: After so long the last failure is final.
        tell: Called before each repetition.

    Raises:
        DatabaseUnavailable: It has not answered in time.
    """
    deadline = time.monotonic() + seconds
    longest = RETRY_SECONDS_MIN
    while True:
        try:
            return await work()
        except (DatabaseUnavailable, Overloaded, TransactionConflict) as error:
            if time.monotonic() > deadline:
                raise DatabaseUnavailable from error
        tell()
        await asyncio.sleep(random.uniform(longest / 2, longest))  # nosec B311: spreads attempts, guards nothing
        longest = min(RETRY_SECONDS_MAX, longest * 2)
