"""What is known of accounts and meters when events are checked: cached, and asked afresh before anything is refused."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import filterfalse

from ratel.core.columns import Columns, Known, Sifted, sift
from ratel.core.event import Events
from ratel.core.instant import MICROSECONDS_MAX, microseconds_from_instant
from ratel.core.rollup import Definitions
from ratel.core.submission import Checked, Submission, check_submission
from ratel.server import clock
from ratel.server.patience import patiently
from ratel.store.definition import read_definitions
from ratel.store.pool import Connection, Database
from ratel.store.precedence import Precedence
from ratel.store.usage import read_account_nos

# About 100 bytes each. Accounts are never deleted and never change their number, so what is known stays right.
ACCOUNTS_MAX = 500_000
# How long a look-up is tried while the database is away; then the sender is told.
LOOK_UP_SECONDS = 10


class Intake:
    """Checks submissions against the catalog and the accounts.

    Attributes:
        definitions: the last that were read; newer ones may exist.
        precedence: of the event loop, over threads that fold what it has taken in.
    """

    definitions: Definitions

    def __init__(self, database: Database, future: timedelta, precedence: Precedence) -> None:
        self._database = database
        self._future = future
        self._accounts: dict[str, int] = {}
        self.definitions = Definitions(-1, {}, ())
        self.precedence = precedence

    async def refresh(self, connection: Connection) -> None:
        """Read the definitions if the catalog has changed."""
        read = await read_definitions(connection, self.definitions)
        if read.revision >= self.definitions.revision:  # others may have read meanwhile
            self.definitions = read

    async def read(self) -> None:
        """Read the definitions if the catalog has changed; patient with the database."""
        await patiently(self._refresh, LOOK_UP_SECONDS)

    async def check(self, submission: Submission) -> Checked[Events]:
        """Tell what can be stored; whatever is refused was asked of the database a moment ago.

        Raises:
            DatabaseUnavailable: it could not be asked.
        """
        accounts = await self._read_accounts(submission.account_ids)
        definitions = self.definitions
        checked = self._check(submission, accounts)
        if len(checked.rejections) > len(submission.rejections):
            await self.read()
            if self.definitions is not definitions:
                checked = self._check(submission, await self._read_accounts(submission.account_ids))
        return checked

    async def sift(self, columns: Columns) -> Sifted:
        """Tell what can be stored as it is; whatever is left must go through `check`.

        Raises:
            DatabaseUnavailable: it could not be asked for accounts.
        """
        accounts = await self._read_accounts(columns.account_ids)
        definitions = self.definitions
        with self.precedence:
            return sift(columns, Known(accounts, definitions.layouts, self._time_max(), definitions.least_key))

    def _check(self, submission: Submission, accounts: Mapping[str, int]) -> Checked[Events]:
        known = self.definitions
        return check_submission(submission, accounts, known.layouts, self._time_max(), least_key=known.least_key)

    def _time_max(self) -> int:
        latest = microseconds_from_instant(clock.now()) + self._future // timedelta(microseconds=1)
        return min(latest, MICROSECONDS_MAX)

    async def _read_accounts(self, account_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the numbers of those that exist, and perhaps of others; to be used at once, before they may change."""
        unknown = set(filterfalse(self._accounts.__contains__, account_ids))
        if not unknown:
            return self._accounts
        known = {account_id: self._accounts[account_id] for account_id in {*account_ids} - unknown}
        found = await patiently(partial(self._find_accounts, unknown), LOOK_UP_SECONDS)
        while self._accounts and len(self._accounts) + len(found) > ACCOUNTS_MAX:
            del self._accounts[next(iter(self._accounts))]  # the oldest
        self._accounts.update(found)
        return known | found

    async def _find_accounts(self, account_ids: Collection[str]) -> dict[str, int]:
        async with self._database.connection() as connection:
            return await read_account_nos(connection, account_ids)

    async def _refresh(self) -> None:
        async with self._database.connection() as connection:
            await self.refresh(connection)
