"""Whoever asks gets the answer to the own question, however many ask at once, and statements are shared."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from ratel.store.pool import Connection, Database
from ratel.store.shared import BATCH_MAX, SharedReads

ASKED_COUNT = 1_000
SELECT = "SELECT array_agg($1 || n ORDER BY place) FROM unnest($2::integer[]) WITH ORDINALITY AS u (n, place)"


class Reader:
    """Says kind and number of each question, and notes how many came together."""

    def __init__(self, database: Database) -> None:
        self.sizes: list[int] = []
        self.reads: SharedReads[str, int, str] = SharedReads(database, self.read)

    async def read(self, connection: Connection, kind: str, numbers: Sequence[int]) -> Sequence[str]:
        self.sizes.append(len(numbers))
        answers: list[str] = await connection.fetchval(SELECT, kind, numbers)
        return answers


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[Reader]:
    database = Database(database_url)
    yield Reader(database)
    await database.close()


async def test_many_share_statements_with_others_of_their_kind(reader: Reader) -> None:
    asked = [(f"kind {number % 3} ", number) for number in range(ASKED_COUNT)]
    answers = await asyncio.gather(*(reader.reads.ask(*each) for each in asked))
    assert answers == [f"{kind}{number}" for kind, number in asked]
    assert reader.sizes[0] == 1, "the first does not wait for others"
    assert max(reader.sizes) == BATCH_MAX
    assert sum(reader.sizes) == ASKED_COUNT


async def test_who_asks_alone_has_a_statement_alone(reader: Reader) -> None:
    for number in range(3):
        assert await reader.reads.ask("", number) == str(number)
    assert reader.sizes == [1, 1, 1]


async def test_who_comes_a_little_later_shares_the_next_statement(reader: Reader) -> None:
    """It waits for a few turns of the loop, in which a call that was just begun comes to its question."""
    calls = [asyncio.ensure_future(reader.reads.ask("", 0)) for _ in range(2)]
    await calls[0]
    calls += [asyncio.ensure_future(reader.reads.ask("", number)) for number in range(1, 4)]
    await asyncio.gather(*calls)
    assert reader.sizes == [1, 4]


async def test_a_statement_for_nobody_is_not_made(reader: Reader) -> None:
    calls = [asyncio.ensure_future(reader.reads.ask("", number)) for number in range(3)]
    await asyncio.sleep(0)
    for call in calls[1:]:
        call.cancel()
    assert await calls[0] == "0"
    assert await reader.reads.ask("", 9) == "9"
    assert reader.sizes == [1, 1]
