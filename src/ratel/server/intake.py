"""What is known of accounts and meters when events are checked: cached, and asked afresh before anything is refused."""

from collections.abc import Iterable
from datetime import timedelta

from ratel.core.instant import MICROSECONDS_MAX, microseconds_from_instant
from ratel.core.rollup import Definitions
from ratel.core.submission import Checked, Submission, check_submission
from ratel.server import clock
from ratel.store.definition import read_definitions
from ratel.store.pool import Connection, Database
from ratel.store.usage import read_account_nos

# About 100 bytes each. Accounts are never deleted and never change their number, so what is known stays right.
ACCOUNTS_MAX = 500_000


class Intake:
    """Checks submissions against the catalog and the accounts.

    Attributes:
        definitions: the last that were read; newer ones may exist.
    """

    definitions: Definitions

    def __init__(self, database: Database, future: timedelta) -> None:
        self._database = database
        self._future = future
        self._accounts: dict[str, int] = {}
        self.definitions = Definitions(-1, {}, ())

    async def refresh(self, connection: Connection) -> None:
        """Read the definitions if the catalog has changed."""
        read = await read_definitions(connection, self.definitions)
        if read.revision >= self.definitions.revision:  # others may have read meanwhile
            self.definitions = read

    async def check(self, submission: Submission) -> Checked:
        """Tell what can be stored; whatever is refused was asked of the database a moment ago."""
        await self._learn_accounts(submission.account_ids)
        definitions = self.definitions
        checked = self._check(submission)
        if len(checked.rejections) > len(submission.rejections):
            async with self._database.connection() as connection:
                await self.refresh(connection)
            if self.definitions is not definitions:
                checked = self._check(submission)
        return checked

    def _check(self, submission: Submission) -> Checked:
        latest = microseconds_from_instant(clock.now()) + self._future // timedelta(microseconds=1)
        return check_submission(submission, self._accounts, self.definitions.layouts, min(latest, MICROSECONDS_MAX))

    async def _learn_accounts(self, account_ids: Iterable[str]) -> None:
        unknown = {account_id for account_id in account_ids if account_id not in self._accounts}
        if not unknown:
            return
        async with self._database.connection() as connection:
            found = await read_account_nos(connection, unknown)
        # The oldest go; those of this message stay, for they are the newest.
        while self._accounts and len(self._accounts) + len(found) > ACCOUNTS_MAX:
            del self._accounts[next(iter(self._accounts))]
        self._accounts.update(found)
