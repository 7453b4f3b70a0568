"""Grants of promotions to accounts."""

from ratel.core.errors import PlanCustom
from ratel.core.promotion import Grant
from ratel.store.period import period_from_row
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row

INSERT = """
    INSERT INTO grants (id, start_time, end_time, priority, account_no, promotion_id, create_time, update_time)
    VALUES ($1, $2, $3, $4, (SELECT account_no FROM accounts WHERE accounts.id = $5), $6, $7, $7)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = """
    SELECT grants.*, accounts.id AS account_id FROM grants JOIN accounts USING (account_no) WHERE grants.id = $1
"""
PAGE = """
    SELECT grants.*, accounts.id AS account_id FROM grants JOIN accounts USING (account_no)
    WHERE accounts.id = $1 AND grants.id > $2
    ORDER BY grants.id LIMIT $3
"""
UPDATE = """
    UPDATE grants
    SET start_time = $2, end_time = $3, priority = $4, update_time = $5, etag = nextval('etags')
    WHERE id = $1
"""
DELETE = "DELETE FROM grants WHERE id = $1"
SELECT_CUSTOM_PLAN = """
    SELECT plans.id, account_id FROM promotions LEFT JOIN pricings ON pricings.id = pricing_id
        JOIN plans ON plans.id = coalesce(promotions.plan_id, pricings.plan_id)
    WHERE promotions.id = $1 AND account_id IS NOT NULL
"""


def _to_changes(grant: Grant) -> tuple[object, ...]:
    return grant.id, grant.period.start, grant.period.end, grant.priority


def _to_row(grant: Grant) -> tuple[object, ...]:
    return *_to_changes(grant), grant.account_id, grant.promotion_id


def grant_from_row(row: Row) -> Grant:
    """Return the grant of a row, which has its account's id beside."""
    return Grant(row["id"], row["account_id"], row["promotion_id"], period_from_row(row), row["priority"])


GRANTS = Resource("grant", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, grant_from_row)


async def check_grantable(connection: Connection, grant: Grant) -> None:
    """Check that a promotion does not act on a custom plan of another account (R3.4).

    Raises:
        PlanCustom: it does.
    """
    row = await connection.fetchrow(SELECT_CUSTOM_PLAN, grant.promotion_id)
    if row is not None and row["account_id"] != grant.account_id:
        raise PlanCustom(row["id"])
