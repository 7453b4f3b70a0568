"""Attachments of accounts to plans."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime

from ratel.core.account import Attachment
from ratel.core.errors import PeriodInvalid, ResourceNotFound
from ratel.core.period import Grid, local_date
from ratel.core.plan import Plan, PlanTemplate, Settings, bill_grid
from ratel.core.schedule import PeriodCut
from ratel.store.period import period_from_row
from ratel.store.plan import plan_from_row
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row

INSERT = """
    INSERT INTO attachments (
        id, start_time, end_time, epoch, trial_end_time, account_no, plan_id, accumulation_start_time, product_id,
        create_time, update_time
    ) VALUES (
        $1, $2, $3, $4, $5,
        (SELECT account_no FROM accounts WHERE accounts.id = $6),
        $7, $8,
        (SELECT product_id FROM plans JOIN plan_templates ON plan_templates.id = plan_template_id WHERE plans.id = $7),
        $9, $9
    )
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = """
    SELECT attachments.*, accounts.id AS account_id FROM attachments JOIN accounts USING (account_no)
    WHERE attachments.id = $1
"""
PAGE = """
    SELECT attachments.*, accounts.id AS account_id FROM attachments JOIN accounts USING (account_no)
    WHERE accounts.id = $1 AND attachments.id > $2
    ORDER BY attachments.id LIMIT $3
"""
UPDATE = """
    UPDATE attachments
    SET start_time = $2, end_time = $3, epoch = $4, trial_end_time = $5, update_time = $6, etag = nextval('etags')
    WHERE id = $1
"""
DELETE = "DELETE FROM attachments WHERE id = $1"
# Keeps the plan from being deleted until the attachment names it.
SELECT_PLAN = """
    SELECT plans.*, product_id FROM plans JOIN plan_templates ON plan_templates.id = plan_template_id
    WHERE plans.id = $1 FOR KEY SHARE OF plans
"""
SELECT_EPOCHS_AT = """
    SELECT DISTINCT coalesce(attachments.epoch, accounts.epoch, $3) AS epoch
    FROM attachments JOIN accounts USING (account_no)
    WHERE plan_id = any($1::text[]) AND start_time < $2 AND (end_time IS NULL OR end_time > $2)
"""
SELECT_CUT_AT = """
    SELECT accounts.id AS account_id, attachments.id, start_time, end_time,
        coalesce(attachments.epoch, accounts.epoch, $3) AS epoch, count(*) OVER () AS cut_count
    FROM attachments JOIN accounts USING (account_no)
    WHERE plan_id = any($1::text[]) AND start_time < $2 AND (end_time IS NULL OR end_time > $2)
        AND coalesce(attachments.epoch, accounts.epoch, $3) = any($4::date[])
    ORDER BY accounts.id, attachments.id
    LIMIT $5
"""


def _to_changes(attachment: Attachment) -> tuple[object, ...]:
    period = attachment.period
    return attachment.id, period.start, period.end, attachment.epoch, attachment.trial_end


def _to_row(attachment: Attachment) -> tuple[object, ...]:
    return *_to_changes(attachment), attachment.account_id, attachment.plan_id, attachment.accumulation_start


def attachment_from_row(row: Row) -> Attachment:
    """Return the attachment of a row, which has its account's id beside."""
    times = row["trial_end_time"], row["accumulation_start_time"]
    return Attachment(row["id"], row["account_id"], row["plan_id"], period_from_row(row), row["epoch"], *times)


ATTACHMENTS = Resource("attachment", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, attachment_from_row)


async def plan_to_attach(connection: Connection, plan_id: str) -> tuple[Plan, str]:
    """Return a plan and the id of its product, and keep both until the transaction ends.

    Raises:
        ResourceNotFound: there is no such plan.
    """
    row = await connection.fetchrow(SELECT_PLAN, plan_id)
    if row is None:
        raise ResourceNotFound("plan", plan_id)
    return plan_from_row(row), row["product_id"]


@dataclass(frozen=True, slots=True)
class BillCalendar:
    """The bill periods of some plans of one template, for whichever epoch."""

    template: PlanTemplate
    settings: Settings

    def grid(self, epoch: date | None) -> Grid:
        """Return the grid that an epoch anchors; None means the settings'."""
        return bill_grid(self.template, self.settings, epoch)

    def default_epoch(self) -> date:
        """Return the epoch of those who have none."""
        return local_date(self.grid(None).boundary(0), self.settings.time_zone)


async def periods_cut_at(
    connection: Connection, plan_ids: Sequence[str], calendar: BillCalendar, time: datetime, count_max: int
) -> tuple[list[PeriodCut], int]:
    """Return bill periods of attached accounts that hold an instant strictly inside.

    Returns:
        At most ``count_max`` of them, by account and attachment, and how many there are in all.
    """
    default = calendar.default_epoch()
    epochs = [row["epoch"] for row in await connection.fetch(SELECT_EPOCHS_AT, plan_ids, time, default)]
    periods = {}
    for epoch in epochs:
        with suppress(PeriodInvalid):  # a bill period that reaches out of the calendar is no bill's
            periods[epoch] = calendar.grid(epoch).period_at(time)
    cut = [epoch for epoch, period in periods.items() if period.start != time]
    # One row at the least: the first brings the count of all.
    rows = await connection.fetch(SELECT_CUT_AT, plan_ids, time, default, cut, max(1, count_max))
    cuts = [PeriodCut(row["account_id"], row["id"], periods[row["epoch"]], time) for row in rows[:count_max]]
    return cuts, rows[0]["cut_count"] if rows else 0
