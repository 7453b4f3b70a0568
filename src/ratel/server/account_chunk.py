"""The accounts that a call asks for, some at a time."""

from collections.abc import AsyncIterator, Sequence

from ratel.store.account import ids_after
from ratel.store.pool import Database


async def account_chunks(database: Database, account_ids: Sequence[str], size: int) -> AsyncIterator[Sequence[str]]:
    """Yield the ids asked for, in their order; if there are none, those of all accounts, by id."""
    for start in range(0, len(account_ids), size):
        yield account_ids[start : start + size]
    last = "" if not account_ids else None
    while last is not None:
        async with database.connection() as connection:
            ids = await ids_after(connection, last, size)
        if ids:
            yield ids
        last = ids[-1] if ids else None
