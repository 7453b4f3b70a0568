"""What callers create, read, list, change and delete: how each noun is read, checked and stored, and the verbs.

Every verb works in the transaction that it is given.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from ratel.core.errors import Invalid, Mistakes
from ratel.server.convert.value import stored_to_proto
from ratel.server.mask import Mask
from ratel.server.page import page_size, position_of, token_after
from ratel.server.request import check_whole
from ratel.store import resource
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Stored

T = TypeVar("T")
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Noun(Generic[T, M]):
    """One noun of the contracts.

    Attributes:
        resource: how it is stored; its name is also that of the field that holds it in requests.
        from_proto: reads a message and checks what can be checked without knowing what is stored.
        to_proto: writes a message, without what the store adds.
        admit: reads a message that `from_proto` accepts, checks it against what is stored, and returns what to store.
        create: stores it with all that belongs to it.
        mutable: the fields that an update may change.
        prepare: mends the message that an update has merged.
        check_change: raises if what was stored may not become what is to be stored.
    """

    resource: Resource[T]
    from_proto: Callable[[M], T]
    to_proto: Callable[[T], M]
    admit: Callable[[Connection, M], Awaitable[T]]
    create: Callable[[Connection, T, datetime], Awaitable[Stored[T]]]
    mutable: tuple[str, ...]
    prepare: Callable[[M, Mask], None] | None = None
    check_change: Callable[[T, T], None] | None = None

    def message(self, stored: Stored[T]) -> M:
        """Return the message of what is stored."""
        return stored_to_proto(stored, self.to_proto)


def admitted_by_itself(from_proto: Callable[[M], T]) -> Callable[[Connection, M], Awaitable[T]]:
    """Return the admission of a noun whose constraints say everything else."""

    async def admit(connection: Connection, message: M) -> T:
        return from_proto(message)

    return admit


def created_alone(of: Resource[T]) -> Callable[[Connection, T, datetime], Awaitable[Stored[T]]]:
    """Return the creation of a noun that nothing else belongs to."""

    async def create(connection: Connection, value: T, now: datetime) -> Stored[T]:
        return await resource.create(connection, of, value, now)

    return create


async def create(connection: Connection, noun: Noun[T, M], message: M, now: datetime) -> Stored[T]:
    """Create what a message says, or find that it is created already."""
    return await noun.create(connection, await admit(connection, noun, message), now)


async def page(connection: Connection, noun: Noun[T, M], request: Message, *filters: str) -> tuple[list[M], str]:
    """Return a page of a noun that has one id, and the token of the next page; an empty one on the last."""
    size = page_size(request)
    found = await resource.page(connection, noun.resource, *filters, *position_of(request, [""]), size + 1)
    token = token_after(request, [noun.resource.key_text(found[size - 1].value)]) if len(found) > size else ""
    return [noun.message(stored) for stored in found[:size]], token


async def update(connection: Connection, noun: Noun[T, M], old: Stored[T], request: Any, now: datetime) -> Stored[T]:
    """Change what a request's mask names of something that was read in this transaction."""
    given: Any = getattr(request, noun.resource.name)
    resource.check_etag(noun.resource, old, given.etag)
    changed = _changed(noun, noun.message(old), given, tuple(request.update_mask.paths))
    value = await admit(connection, noun, changed)
    if noun.check_change is not None:
        noun.check_change(old.value, value)
    return await resource.update(connection, noun.resource, old, value, now)


def _changed(noun: Noun[T, M], stored: M, given: M, paths: tuple[str, ...]) -> M:
    """Return what an update makes of what is stored, with all that is wrong by itself said at once."""
    mask = Mask(noun.resource.name, paths, noun.mutable)
    mistakes = Mistakes()
    mask.check(mistakes, stored, given)
    changed = mask.merge(stored, given)
    if noun.prepare is not None:
        noun.prepare(changed, mask)
    with mistakes.under(noun.resource.name):
        check_whole(changed, noun.from_proto)
    mistakes.check()
    return changed


async def admit(connection: Connection, noun: Noun[T, M], message: M) -> T:
    """Return what is to be stored for a message, with mistakes at the paths of its request."""
    try:
        return await noun.admit(connection, message)
    except Invalid as error:
        raise error.under(noun.resource.name) from None


async def get_to_delete(connection: Connection, noun: Noun[T, M], etag: str, *key: object) -> Stored[T]:
    """Return what is stored under a key, with the etag that it must have."""
    old = await resource.get(connection, noun.resource, *key)
    resource.check_etag(noun.resource, old, etag)
    return old
