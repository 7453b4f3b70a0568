"""Blocks of events in Postgres: copied straight into the table, in the hope that none of them is there.

What is likely to be there is asked for first (`core/recent.py`). If the hope was wrong, nothing is stored, and the
exact way (`store/usage.py`) must be taken, which knows no hope.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import numpy as np

from ratel.core.block import Block, Flags, Places
from ratel.core.event import is_hashed
from ratel.core.recent import Recent
from ratel.store.encoding import EVENT_COLUMNS, HEADER, TRAILER, chunks, encode_events
from ratel.store.pool import Connection, until_lost
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


async def compare_suspects(
    connection: Connection, block: Block, order: Places, recent: Recent
) -> tuple[Places, list[int], list[int]]:
    """Look for those events that may be stored already; in a transaction, and before it has stored anything.

    Args:
        connection: see there.
        block: the events.
        order: their places, none of whose keys are the same.
        recent: knows which to look for.

    Returns:
        Places of the block: what is to be stored, in its order; duplicates and conflicts.
    """
    suspects = order[recent.suspects(block.highs, block.lows)[order]]
    if not len(suspects):
        return order, [], []
    events = block.take(suspects).events()
    found = await compare(connection, events)
    there = [*found.duplicates, *found.conflicts]
    if any(is_hashed(events.keys[index]) for index in there):
        recent.beware()
    is_there = np.zeros(len(block), np.bool_)
    is_there[suspects[there]] = True
    return order[~is_there[order]], suspects[found.duplicates].tolist(), suspects[found.conflicts].tolist()


async def copy_block(connection: Connection, batch_id: int, block: Block) -> None:
    """Store events, in the transaction that took the batch's id.

    Args:
        connection: see there.
        batch_id: of `next_pending_batch`.
        block: in the order of keys.

    Raises:
        KeyTaken: one is there already; the transaction is lost.
    """
    try:
        source = _encoded(block, batch_id)
        copying = connection.copy_to_table("events", source=source, columns=EVENT_COLUMNS, format="binary")
        await until_lost(connection, copying)
    except asyncpg.PostgresError as error:
        if isinstance(error, asyncpg.UniqueViolationError) or _TAKEN in str(error):
            raise KeyTaken from error
        raise


async def _encoded(block: Block, batch_id: int) -> AsyncIterator[bytes]:
    yield HEADER
    for each in chunks(len(block), ROWS_PER_TURN):
        await asyncio.sleep(0)
        yield encode_events(block.take(np.arange(each.start, min(each.stop, len(block)))), batch_id)
    yield TRAILER
