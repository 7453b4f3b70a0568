"""Accounts: known to callers by id, to events and distributed tables by number."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from ratel.core.account import Account, ChildBilling, check_family
from ratel.core.errors import ResourceNotFound
from ratel.core.plan import CreditKind
from ratel.core.pricing import Owner, OwnerKind
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row

INSERT = """
    INSERT INTO accounts (
        id, name, epoch, currency, child_billing, billed_with_parent, credit_application_order, parent_account_no,
        create_time, update_time
    ) VALUES (
        $1, $2, $3, $4, $5, $6, $7,
        (SELECT account_no FROM accounts WHERE id = $8),
        $9, $9
    )
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = """
    SELECT *, (SELECT id FROM accounts AS parents WHERE account_no = accounts.parent_account_no) AS parent_id
    FROM accounts WHERE id = $1
"""
PAGE = """
    SELECT *, (SELECT id FROM accounts AS parents WHERE account_no = accounts.parent_account_no) AS parent_id
    FROM accounts WHERE id > $1 ORDER BY id LIMIT $2
"""
PAGE_OF_CHILDREN = """
    SELECT *, $1 AS parent_id FROM accounts
    WHERE parent_account_no = (SELECT account_no FROM accounts WHERE id = $1) AND id > $2
    ORDER BY id LIMIT $3
"""
UPDATE = """
    UPDATE accounts
    SET name = $2, epoch = $3, currency = $4, child_billing = $5, billed_with_parent = $6,
        credit_application_order = $7, parent_account_no = (SELECT account_no FROM accounts WHERE id = $8),
        update_time = $9, etag = nextval('etags'), version = version + 1
    WHERE id = $1
"""
# Of two, always the same one first, so that none waits for the other.
LOCK_FAMILY = "SELECT account_no FROM accounts WHERE id = ANY($1::text[]) ORDER BY account_no FOR NO KEY UPDATE"
# In a statement of its own: only now does nobody else change who the parent is that the account has so far.
MOVE_FAMILY = """
    UPDATE accounts SET version = version + 1
    WHERE id = ANY($1::text[]) OR account_no = (SELECT parent_account_no FROM accounts WHERE id = $2)
"""
SELECT_CHILD_COUNT = """
    SELECT count(*) FROM accounts
    WHERE parent_account_no = (SELECT account_no FROM accounts WHERE id = $1) AND id <> $2
"""
SELECT_IDS_AFTER = "SELECT id FROM accounts WHERE id > $1 ORDER BY id LIMIT $2"
SELECT_CURRENCY_OF_PLANS = """
    SELECT currency FROM accounts
    WHERE currency <> ALL($1::text[]) AND account_no IN (
        SELECT account_no FROM attachments JOIN plans ON plans.id = plan_id WHERE plans.id = $2 OR plan_template_id = $3
    )
    ORDER BY currency LIMIT 1
"""
SELECT_COUNT = "SELECT count(*) FROM accounts"
SELECT_NO = "SELECT account_no FROM accounts WHERE id = $1"
# Writers of one account and all that is the account's go one after the other; foreign keys do not wait for them. What
# was read of the account is out of date from then on, see `store/moment.py`.
LOCK = "UPDATE accounts SET version = version + 1 WHERE id = $1 RETURNING account_no"


def _to_row(account: Account) -> tuple[object, ...]:
    order = [kind.value for kind in account.credit_application_order]
    family = account.child_billing.value, account.billed_with_parent, order, account.parent_id
    return account.id, account.name, account.epoch, account.currency, *family


def account_from_row(row: Row) -> Account:
    """Return the account of a row."""
    order = tuple(map(CreditKind, row["credit_application_order"]))
    family = row["parent_id"] or "", ChildBilling(row["child_billing"]), row["billed_with_parent"]
    return Account(row["id"], row["name"], row["epoch"], row["currency"], *family, order)


ACCOUNTS = Resource("account", INSERT, SELECT, PAGE, UPDATE, "", _to_row, _to_row, account_from_row)
CHILDREN: Final = replace(ACCOUNTS, page=PAGE_OF_CHILDREN)
"""The same, listed by their parent."""


async def lock_family(connection: Connection, account_id: str, parent_id: str) -> None:
    """Begin a write to an account and, if it is to have one, its parent: as far as there are any.

    All of them have changed then, and so has the parent that the account had.
    """
    await connection.execute(LOCK_FAMILY, [account_id, parent_id])
    await connection.execute(MOVE_FAMILY, [account_id, parent_id], account_id)


async def check_parent(connection: Connection, account: Account) -> None:
    """Check that an account may have its parent, with both locked.

    Raises:
        ResourceNotFound: there is no such parent.
        ParentIsChild: the parent has a parent.
        AccountHasChildren: the account is a parent.
        ChildrenTooMany: the parent has as many children as it may have.
    """
    row = await connection.fetchrow(SELECT, account.parent_id)
    if row is None:
        raise ResourceNotFound("account", account.parent_id)
    own_count = await connection.fetchval(SELECT_CHILD_COUNT, account.id, "")
    sibling_count = await connection.fetchval(SELECT_CHILD_COUNT, account.parent_id, account.id)
    check_family(account, account_from_row(row), own_count, sibling_count)


async def lock_account(connection: Connection, account_id: str) -> int:
    """Begin a write to what is an account's, and return its number: call it before anything else of it is read.

    Raises:
        ResourceNotFound: there is no such account.
    """
    return await _number(connection, LOCK, account_id)


async def account_no(connection: Connection, account_id: str) -> int:
    """Return the number of an account.

    Raises:
        ResourceNotFound: there is no such account.
    """
    return await _number(connection, SELECT_NO, account_id)


async def _number(connection: Connection, statement: str, account_id: str) -> int:
    number = await connection.fetchval(statement, account_id)
    if number is None:
        raise ResourceNotFound("account", account_id)
    return int(number)


async def ids_after(connection: Connection, account_id: str, count_max: int) -> list[str]:
    """Return the ids of the next accounts, by id."""
    return [row["id"] for row in await connection.fetch(SELECT_IDS_AFTER, account_id, count_max)]


async def currency_on_plans(connection: Connection, owner: Owner, known: Iterable[str]) -> str | None:
    """Return a currency of an account on a plan, or on one of a template's, that is not among some; None for none."""
    plan_id = owner.id if owner.kind is OwnerKind.PLAN else ""
    template_id = owner.id if owner.kind is OwnerKind.TEMPLATE else ""
    found: str | None = await connection.fetchval(SELECT_CURRENCY_OF_PLANS, ["", *known], plan_id, template_id)
    return found


async def count_accounts(connection: Connection) -> int:
    """Return how many accounts there are."""
    return int(await connection.fetchval(SELECT_COUNT))
