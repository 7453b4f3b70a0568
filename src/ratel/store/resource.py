"""What is the same for everything that callers create, read, list, change and delete by id.

A `Resource` says how one noun is stored; the verbs here do the rest. Every write happens inside the caller's
transaction, and what Postgres refuses leaves as the error that the constraint's name stands for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

import asyncpg

from ratel.core.errors import AlreadyExists, EtagMismatch, ResourceNotFound
from ratel.store.constraint import explaining_delete, explaining_write
from ratel.store.pool import Connection

Row: TypeAlias = asyncpg.Record
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """A value as stored, and what the store knows about it."""

    value: T
    etag: str
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """How a noun is stored.

    Attributes:
        name: in errors; a singular noun.
        insert: takes `to_row` and the time; returns true if a row was inserted, nothing if its key was there.
        select: takes the key; locks nothing.
        page: takes filters, the key after which to start, and how many; by key.
        update: takes `to_changes` and the time; empty for what does not change.
        delete: takes the key; empty for what is kept for ever.
        to_row: every column that a caller decides, the key first.
        to_changes: the key, then every column that may change.
        key_length: how many columns the key has.
    """

    name: str
    insert: str
    select: str
    page: str
    update: str
    delete: str
    to_row: Callable[[T], tuple[object, ...]]
    to_changes: Callable[[T], tuple[object, ...]]
    from_row: Callable[[Row], T]
    key_length: int = 1

    def key(self, value: T) -> tuple[object, ...]:
        """Return what identifies a value."""
        return self.to_changes(value)[: self.key_length]

    def key_text(self, value: T) -> str:
        """Return what identifies a value, for people."""
        return _spoken(self.key(value))


async def create(connection: Connection, resource: Resource[T], value: T, now: datetime) -> Stored[T]:
    """Store a value, or return what is stored under its key if that has the same content.

    Raises:
        AlreadyExists: the key has other content.
        RatelError: what the constraint that refuses it stands for, such as `ResourceNotFound`.
    """
    async with explaining_write(connection, value):
        is_new = await connection.fetchval(resource.insert, *resource.to_row(value), now)
    stored = await get(connection, resource, *resource.key(value))
    if not is_new and stored.value != value:
        raise AlreadyExists(resource.name, resource.key_text(value))
    return stored


async def find(connection: Connection, resource: Resource[T], *key: object) -> Stored[T] | None:
    """Return what is stored under a key, if anything."""
    row = await connection.fetchrow(resource.select, *key)
    return None if row is None else stored_from_row(resource, row)


async def get(connection: Connection, resource: Resource[T], *key: object) -> Stored[T]:
    """Return what is stored under a key.

    Raises:
        ResourceNotFound: nothing.
    """
    stored = await find(connection, resource, *key)
    if stored is None:
        raise ResourceNotFound(resource.name, _spoken(key))
    return stored


async def page(connection: Connection, resource: Resource[T], *arguments: object) -> list[Stored[T]]:
    """Return some of what is stored, by key; the arguments are those of the resource's statement."""
    return [stored_from_row(resource, row) for row in await connection.fetch(resource.page, *arguments)]


async def update(connection: Connection, resource: Resource[T], old: Stored[T], value: T, now: datetime) -> Stored[T]:
    """Change what is stored to a value with the same key; a value that changes nothing leaves everything as it is.

    Args:
        connection: in a transaction that keeps others from writing the same since ``old`` was read.
        resource: the noun.
        old: as read.
        value: as it is to be.
        now: the time of the change.
    """
    if value == old.value:
        return old
    async with explaining_write(connection, value):
        await connection.execute(resource.update, *resource.to_changes(value), now)
    return await get(connection, resource, *resource.key(value))


async def delete(connection: Connection, resource: Resource[T], *key: object) -> None:
    """Delete what is stored under a key.

    Raises:
        InUse: something else names it.
    """
    async with explaining_delete(connection, resource.name, _spoken(key)):
        await connection.execute(resource.delete, *key)


def check_etag(resource: Resource[T], stored: Stored[T], etag: str) -> None:
    """Check that an etag, unless it is empty, is that of what is stored.

    Raises:
        EtagMismatch: it changed since.
    """
    if etag not in ("", stored.etag):
        raise EtagMismatch(resource.name, resource.key_text(stored.value))


def stored_from_row(resource: Resource[T], row: Row) -> Stored[T]:
    """Return the value of a row with what the store knows about it."""
    return Stored(resource.from_row(row), str(row["etag"]), row["create_time"], row["update_time"])


def _spoken(key: tuple[object, ...]) -> str:
    return "/".join(map(str, key))
