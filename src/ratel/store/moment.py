"""What was read, and whether it is still so: proven by one small statement, however much is written beside.

An answer depends on the catalog, on some accounts with all that is theirs, and on their usage. The catalog has a
revision and each account a version, which move with every write to them. Usage is only ever added to, batch by batch:
the number of batches ever committed is that of the pending ones and of those that were folded, so whoever knows each
pending batch that makes up the difference to the last look knows whose usage there is more of since. Where it is not
known, or something else has changed of usage, that of every account counts as changed.

A snapshot that sees more batches sees all that one with fewer sees, so numbers of batches put snapshots in order.

Where nobody writes at all, an even smaller statement proves that: who sees the same transactions sees the same rows.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Final, NamedTuple

from ratel.store.pool import Connection, Database
from ratel.store.resource import Row
from ratel.store.shared import SharedReads


class Moment(NamedTuple):
    """How far catalog and usage had come when a statement read them.

    Attributes:
        server_start: of Postgres. Another server may have counted as far: after a failover, or on a restored backup.
        revision: of the catalog.
        usage_count: grows with each batch, and with each other change of usage.
        snapshot: names the transactions that the statement saw, those before one but for some that are under way, and
            never those of another server. They are equal or not, and have no order.
    """

    server_start: datetime
    revision: int
    usage_count: int
    snapshot: str


class Sight(NamedTuple):
    """Accounts as they were seen.

    Attributes:
        moment: None if it cannot be told; then nothing can be.
        account_nos: of all whose usage or agreements matter.
        versions: of each of them.
    """

    moment: Moment | None
    account_nos: tuple[int, ...]
    versions: tuple[int, ...]

    def is_same_but_usage(self, moment: Moment | None, versions: tuple[int, ...]) -> bool:
        """Tell whether another moment shows the same, but perhaps other usage."""
        if self.moment is None or moment is None:
            return False
        is_same = self.moment.server_start == moment.server_start and self.moment.revision == moment.revision
        return is_same and self.versions == versions


SNAPSHOT: Final = "pg_current_snapshot()::text || ' ' || pg_postmaster_start_time()::text"


# Null where a snapshot does not say all: on a standby, and with Citus, whose nodes have snapshots of their own.
MOMENT: Final = f"""
    CASE WHEN NOT pg_is_in_recovery() AND current_setting('citus.version', true) IS NULL THEN (
        pg_postmaster_start_time(),
        (SELECT revision FROM catalog_revisions),
        (SELECT revision FROM usage_revisions) + (SELECT count(*) FROM pending_batches),
        {SNAPSHOT}
    ) END
"""  # nosec B608: made of a constant
SELECT_SNAPSHOT = f"SELECT {SNAPSHOT}"  # nosec B608: made of a constant
# Of the accounts of some sights, one after the other.
VERSIONS: Final = """
    ARRAY(
        SELECT (SELECT version FROM accounts WHERE account_no = a.account_no)
        FROM unnest({}::integer[]) AS a (account_no)
    )
"""
SELECT_NOW = f"""
    SELECT {MOMENT} AS moment, {VERSIONS.format("$1")} AS versions,
        ARRAY(SELECT batch_id FROM pending_batches) AS pending
"""  # nosec B608: made of constants
SELECT_ACCOUNTS_OF_BATCHES = "SELECT account_nos FROM pending_batches WHERE batch_id = ANY($1::bigint[])"

CHANGED_MAX: Final = 200_000
"""Accounts of which it is remembered that they have more usage: about 20 MB."""


def moment_from_row(row: Row) -> Moment | None:
    """Return the moment of a row that has `MOMENT` beside."""
    return None if row["moment"] is None else Moment(*row["moment"])


def versions_of(sights: Iterable[Sight], row: Row) -> Iterator[tuple[Sight, tuple[int, ...]]]:
    """Yield sights, each with the versions of its accounts in a row that has `VERSIONS` of all of them."""
    versions = iter(row["versions"])
    return ((sight, tuple(islice(versions, len(sight.account_nos)))) for sight in sights)


class UsageChanges:
    """Which accounts have more usage, as far as statements have shown: each later than the one before."""

    def __init__(self) -> None:
        self._last: Moment | None = None
        self._pending: frozenset[int] = frozenset()
        self._floor = 0
        self._changed: dict[int, int] = {}

    async def follow(self, connection: Connection, moment: Moment, pending: Collection[int]) -> None:
        """Take note of a later moment, with the ids of all batches that were pending then."""
        last, pending = self._last, frozenset(pending)
        if last is None or last.server_start != moment.server_start:
            self._forget(moment)
        elif moment.usage_count <= last.usage_count:
            return
        else:
            new = pending - self._pending
            rows = await connection.fetch(SELECT_ACCOUNTS_OF_BATCHES, list(new)) if new else []
            if len(rows) < moment.usage_count - last.usage_count or len(self._changed) > CHANGED_MAX:
                self._forget(moment)
            else:
                self._changed |= {number: moment.usage_count for row in rows for number in row["account_nos"]}
        self._last, self._pending = moment, pending

    def _forget(self, moment: Moment) -> None:
        """Let the usage of all accounts have changed."""
        self._floor = moment.usage_count
        self._changed.clear()

    def touches(self, sight: Sight) -> bool:
        """Tell whether any of the accounts is known to have, or may have, more usage than was seen."""
        if sight.moment is None or self._last is None or sight.moment.server_start != self._last.server_start:
            return False  # of another server nothing is known
        seen, changed = sight.moment.usage_count, self._changed
        return self._floor > seen or any(changed.get(number, 0) > seen for number in sight.account_nos)


class Sights:
    """Tells whether what was seen is still so.

    Args:
        database: outside transactions, each of whose statements sees a moment of its own.
    """

    def __init__(self, database: Database) -> None:
        self._reads: SharedReads[None, Sight, Sight | None] = SharedReads(database, self._look)
        self._changes = UsageChanges()
        self._snapshot = ""
        self._is_quiet = False

    async def renew(self, sight: Sight) -> Sight | None:
        """Return what was seen as of a moment between call and return, if it was still so; all who wait share it.

        Returns:
            The same sight if nothing has changed at all; None if what was seen may have changed.

        Raises:
            DatabaseUnavailable: it cannot be reached.
            Overloaded: no connection came free in time.
        """
        if sight.moment is None or self._changes.touches(sight):
            return None
        return await self._reads.ask(None, sight)

    async def _look(self, connection: Connection, _: None, sights: Sequence[Sight]) -> list[Sight | None]:
        """Look whether anything at all has changed, where that is rare, else what has."""
        if self._is_quiet:
            snapshot = await connection.fetchval(SELECT_SNAPSHOT)
            self._note(snapshot)
            if all(sight.moment is not None and sight.moment.snapshot == snapshot for sight in sights):
                return list(sights)
        account_nos = list(chain.from_iterable(sight.account_nos for sight in sights))
        (row,) = await connection.fetch(SELECT_NOW, account_nos)
        moment = moment_from_row(row)
        if moment is None:
            return [None] * len(sights)
        self._note(moment.snapshot)
        await self._changes.follow(connection, moment, row["pending"])
        return [
            sight._replace(moment=moment)
            if sight.is_same_but_usage(moment, versions) and not self._changes.touches(sight)
            else None
            for sight, versions in versions_of(sights, row)
        ]

    def _note(self, snapshot: str) -> None:
        """Take note of what a statement saw: where the last two saw the same, the next may well do so too."""
        self._is_quiet = snapshot == self._snapshot
        self._snapshot = snapshot
