"""Counter adjustments, identified by account, counter and date."""

from datetime import datetime

from ratel.core.counter import AccountAdjustment, Adjustment
from ratel.core.errors import AdjustmentExists, AlreadyExists
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row, Stored, create

INSERT = """
    INSERT INTO counter_adjustments (account_no, counter_id, date, level, create_time, update_time)
    VALUES ((SELECT account_no FROM accounts WHERE id = $1), $2, $3, $4, $5, $5)
    ON CONFLICT (account_no, counter_id, date) DO NOTHING RETURNING true
"""
SELECT = """
    SELECT counter_adjustments.*, accounts.id AS account_id FROM counter_adjustments JOIN accounts USING (account_no)
    WHERE accounts.id = $1 AND counter_id = $2 AND date = $3
"""
PAGE = """
    SELECT counter_adjustments.*, accounts.id AS account_id FROM counter_adjustments JOIN accounts USING (account_no)
    WHERE accounts.id = $1 AND ($2 = '' OR counter_id = $2) AND (counter_id, date) > ($3, $4)
    ORDER BY counter_id, date LIMIT $5
"""
UPDATE = """
    UPDATE counter_adjustments
    SET level = $4, update_time = $5, etag = nextval('etags')
    WHERE account_no = (SELECT account_no FROM accounts WHERE id = $1) AND counter_id = $2 AND date = $3
"""
DELETE = """
    DELETE FROM counter_adjustments
    WHERE account_no = (SELECT account_no FROM accounts WHERE id = $1) AND counter_id = $2 AND date = $3
"""


def _to_row(value: AccountAdjustment) -> tuple[object, ...]:
    return value.account_id, value.adjustment.counter_id, value.adjustment.date, value.adjustment.level


def adjustment_from_row(row: Row) -> AccountAdjustment:
    """Return the adjustment of a row, which has its account's id beside."""
    return AccountAdjustment(row["account_id"], Adjustment(row["counter_id"], row["date"], row["level"]))


ADJUSTMENTS = Resource(
    "counter_adjustment", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_row, adjustment_from_row, key_length=3
)


async def create_adjustment(
    connection: Connection, value: AccountAdjustment, now: datetime
) -> Stored[AccountAdjustment]:
    """Store an adjustment, see `resource.create`.

    Raises:
        AdjustmentExists: another level is set for the account, counter and day.
    """
    try:
        return await create(connection, ADJUSTMENTS, value, now)
    except AlreadyExists as error:
        raise AdjustmentExists(error.metadata["id"]) from None
