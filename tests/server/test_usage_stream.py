"""Answers of a stream: in order, as many at once as are ready, and none waits for one behind it."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from ratel.core.errors import DatabaseUnavailable
from ratel.server.usage_stream import MESSAGES_IN_FLIGHT, Source, StreamEnd, answers_to

COUNT = 200


class Desk:
    """Takes numbers in, and answers them when it is told to, with what it was given."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[int]] = []
        self.source = Source(self.room, self.take_in, StreamEnd(asyncio.Event(), 600))
        self.seen: list[list[int]] = []
        self.reading = asyncio.create_task(self.read())

    async def room(self) -> None:
        """Have room for anything."""

    async def take_in(self, request: int) -> "asyncio.Future[int]":
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    async def read(self) -> None:
        async def requests() -> AsyncIterator[int]:
            for number in range(COUNT):
                yield number

        async for answered in answers_to(requests(), self.source):
            assert all(request == answer for request, answer in answered)
            self.seen.append([answer for _, answer in answered])

    @property
    def all_seen(self) -> list[int]:
        return [answer for each in self.seen for answer in each]


async def settle() -> None:
    """Let everything go on as far as it can."""
    for _ in range(3 * MESSAGES_IN_FLIGHT):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(5))
async def test_answers_come_in_order_and_wait_for_none_behind_them(seed: int) -> None:
    chance, desk, done = random.Random(seed), Desk(), set[int]()
    while len(done) < COUNT:
        await settle()
        first = next(number for number in range(COUNT) if number not in done)
        assert desk.all_seen == list(range(first))
        assert len(desk.answers) == min(first + MESSAGES_IN_FLIGHT, COUNT), "it reads as far as it may"
        open_ones = [number for number in range(len(desk.answers)) if number not in done]
        for number in chance.sample(open_ones, chance.randint(1, len(open_ones))):
            desk.answers[number].set_result(number)
            done.add(number)
    await desk.reading
    assert desk.all_seen == list(range(COUNT))
    assert max(map(len, desk.seen)) > 1


async def test_what_is_ready_together_is_one_answer() -> None:
    desk = Desk()
    await settle()
    for number, answer in enumerate(desk.answers):
        answer.set_result(number)
    await settle()
    assert desk.seen == [list(range(MESSAGES_IN_FLIGHT))]
    desk.reading.cancel()


async def test_a_message_that_fails_ends_the_stream_after_the_answers_before_it() -> None:
    desk = Desk()
    await settle()
    for number in (2, 1, 0, 4):
        desk.answers[number].set_result(number)
    desk.answers[3].set_exception(DatabaseUnavailable())
    with pytest.raises(DatabaseUnavailable):
        await desk.reading
    assert desk.seen == [[0, 1, 2]]
