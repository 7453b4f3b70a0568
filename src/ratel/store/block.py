"""Blocks of events in Postgres: copied straight into the table, in the hope that none of them is there.

What is likely to be there is asked for first (`core/recent.py`). If the hope was wrong, nothing is stored, and the
exact way (`store/usage.py`) must be taken, which knows no hope.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import numpy as np

from ratel.core.block import Block, Flags, Places
from ratel.core.event import is_hashed
from ratel.core.recent import Recent
from ratel.store.encoding import EVENT_COLUMNS, HEADER, TRAILER, EncodedEvents
from ratel.store.pool import Connection, Encoded, copy_in
from ratel.store.precedence import Precedence
from ratel.store.usage import compare

# Rows that are encoded before others get their turn: some milliseconds.
ROWS_PER_TURN = 5_000
# Citus says so in words only.
_TAKEN = "duplicate key value"


class KeyTaken(Exception):  # noqa: N818 -- a state, not a mistake
    """One of the keys is stored already, or twice among the events."""


def in_order(block: Block) -> Places:
    """Return the places in the order of keys.

    Raises:
        KeyTaken: two events have the same key and account.
    """
    order = block.order
    highs, lows, account_nos = block.highs[order], block.lows[order], block.account_nos[order]
    same: Flags = (highs[1:] == highs[:-1]) & (lows[1:] == lows[:-1]) & (account_nos[1:] == account_nos[:-1])
    if same.any():
        raise KeyTaken
    return order


def suspects_of(block: Block, order: Places, recent: Recent) -> Places:
    """Return the places of those events that may be stored already.

    Args:
        block: the events.
        order: their places, none of whose keys are the same.
        recent: knows which to look for.
    """
    return order[recent.suspects(block.highs, block.lows)[order]]


async def compare_suspects(
    connection: Connection, block: Block, suspects: Places, recent: Recent
) -> tuple[list[int], list[int]]:
    """Look for those events that may be stored already; in a batch's transaction, before it has stored anything.

    Returns:
        Places of the block: duplicates and conflicts.
    """
    events = block.take(suspects).events()
    found = await compare(connection, events)
    if any(is_hashed(events.keys[index]) for index in (*found.duplicates, *found.conflicts)):
        recent.beware()
    return suspects[found.duplicates].tolist(), suspects[found.conflicts].tolist()


@dataclass(frozen=True, slots=True)
class Copy:
    """Events that are about to be copied, the first of them encoded already.

    Attributes:
        block: in the order of keys.
        first: of its first `ROWS_PER_TURN` events.
    """

    block: Block
    first: EncodedEvents


def prepare_copy(block: Block) -> Copy:
    """Prepare to copy events, which are in the order of keys."""
    return Copy(block, EncodedEvents(_chunk(block, 0)))


async def copy_block(connection: Connection, batch_id: int, prepared: Copy, precedence: Precedence) -> None:
    """Store events, in the transaction that took the batch's id.

    Args:
        connection: see there.
        batch_id: of `next_pending_batch`.
        prepared: see there.
        precedence: of the event loop.

    Raises:
        KeyTaken: one is there already; the transaction is lost.
    """
    try:
        await copy_in(connection, "events", EVENT_COLUMNS, _encoded(prepared, batch_id, precedence))
    except asyncpg.PostgresError as error:
        if isinstance(error, asyncpg.UniqueViolationError) or _TAKEN in str(error):
            raise KeyTaken from error
        raise


async def _encoded(prepared: Copy, batch_id: int, precedence: Precedence) -> AsyncIterator[Encoded]:
    yield HEADER
    for start in range(0, len(prepared.block), ROWS_PER_TURN):
        await asyncio.sleep(0)
        with precedence:
            encoded = EncodedEvents(_chunk(prepared.block, start)) if start else prepared.first
            rows = encoded.of_batch(batch_id)
        yield rows
    yield TRAILER


def _chunk(block: Block, start: int) -> Block:
    """Return some events of a block, from a place on."""
    return (
        block if len(block) <= ROWS_PER_TURN else block.take(np.arange(start, min(start + ROWS_PER_TURN, len(block))))
    )
