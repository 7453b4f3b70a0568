"""Accounts that were rated before, read again in one statement; waiting callers share one.

What is known of an account is only a guess at what the database holds: the statement brings, of one moment, the
versions of the account and its family, and the usage that it would need. If they are still those by which it is known,
and so is the revision of the catalog, the usage is the answer; else, and wherever more must be read, the caller reads
everything afresh.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Generic, TypeAlias, TypeVar

from ratel.core.event import Partial
from ratel.core.period import Period
from ratel.core.quantity import Values
from ratel.core.tail import Tail
from ratel.store.moment import MOMENT, VERSIONS, Sight, moment_from_row, versions_of
from ratel.store.pool import Connection, Database
from ratel.store.quantity import READ_USAGE
from ratel.store.question import Asking, Question
from ratel.store.shared import SharedReads
from ratel.store.unfolded import add_remembered

T = TypeVar("T")


# The parameters of the first part come after those of the second.
READ_KNOWN = f"""
    SELECT {MOMENT} AS moment, {VERSIONS.format("$18")} AS versions,
        (SELECT array_agg(u) FROM ({READ_USAGE}) AS u) AS usage
"""  # nosec B608: made of constants

KNOWN_MAX: Final = 2_000
"""Accounts and periods that are remembered: about 50 MB."""

Kept: TypeAlias = Sequence[Mapping[Values, Partial]]
"""What is kept of an account's events for each of the reads of its scope, in their order."""


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """What is known of an account in a period.

    Attributes:
        sight: as it was seen last.
        question: its usage.
        value: what the caller made of it.
    """

    sight: Sight
    question: Question
    value: T


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What was found of a known account.

    Attributes:
        sight: of the account, as it was seen with its usage.
    """

    known: Known[T]
    kept: Kept
    sight: Sight


_Key: TypeAlias = tuple[str, Period]


class KnownAccounts(Generic[T]):
    """The accounts that are known.

    Args:
        database: where they are; its connections have settings for look-ups.
        tail: what this process remembers of usage.
        observe: told how many accounts were read together.
    """

    def __init__(self, database: Database, tail: Tail, observe: Callable[[int], None]) -> None:
        self._tail = tail
        self._observe = observe
        self._known: OrderedDict[_Key, Known[T]] = OrderedDict()
        self._reads: SharedReads[Period, Known[T], Found[T] | None] = SharedReads(database, self._read)

    def knows(self, account_id: str, asked: Period, sight: Sight) -> bool:
        """Tell whether an account is known as it is."""
        known = self._known.get((account_id, asked))
        return known is not None and known.sight.is_same_but_usage(sight.moment, sight.versions)

    def learn(self, account_id: str, asked: Period, known: Known[T]) -> None:
        """Remember an account, instead of what was known of it."""
        key = (account_id, asked)
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    async def read(self, account_id: str, asked: Period) -> Found[T] | None:
        """Return what is known of an account, with its usage of a moment; None if it must be read afresh.

        Raises:
            DatabaseUnavailable: it cannot be reached.
            Overloaded: no connection came free in time.
        """
        known = self._known.get((account_id, asked))
        return None if known is None else await self._reads.ask(asked, known)

    async def _read(self, connection: Connection, asked: Period, batch: Sequence[Known[T]]) -> list[Found[T] | None]:
        self._observe(len(batch))
        asking = Asking([known.question for known in batch])
        account_nos = list(chain.from_iterable(known.sight.account_nos for known in batch))
        parameters = asking.parameters(asked.start, asked.end or asked.start)
        (row,) = await connection.fetch(READ_KNOWN, *parameters, account_nos)
        rest, every = asking.take(row["usage"] or ()), asking.all_windows
        if rest.backfilling or rest.lacking(every) or add_remembered(self._tail, rest.pending, every):
            return [None] * len(batch)
        moment = moment_from_row(row)
        found = versions_of((known.sight for known in batch), row)
        return [
            Found(known, known.question.give(windows), sight._replace(moment=moment))
            if sight.is_same_but_usage(moment, versions)
            else None
            for known, windows, (sight, versions) in zip(batch, asking.windows, found, strict=True)
        ]
