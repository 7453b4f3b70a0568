"""Plans."""

from ratel.core.plan import Plan
from ratel.store.plan_template import terms_from_row, terms_to_row
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row

INSERT = """
    INSERT INTO plans (
        id, name,
        standing_charge, standing_charge_in_advance, standing_charge_interval, standing_charge_offset,
        standing_charge_description,
        minimum_spend, minimum_spend_in_advance, minimum_spend_description, maximum_spend, maximum_spend_description,
        plan_template_id, account_id, create_time, update_time
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = "SELECT * FROM plans WHERE id = $1"
PAGE = """
    SELECT plans.* FROM plans JOIN plan_templates ON plan_templates.id = plan_template_id
    WHERE ($1 = '' OR product_id = $1) AND plans.id > $2
    ORDER BY plans.id LIMIT $3
"""
UPDATE = """
    UPDATE plans
    SET name = $2,
        standing_charge = $3, standing_charge_in_advance = $4, standing_charge_interval = $5,
        standing_charge_offset = $6, standing_charge_description = $7,
        minimum_spend = $8, minimum_spend_in_advance = $9, minimum_spend_description = $10,
        maximum_spend = $11, maximum_spend_description = $12,
        update_time = $13, etag = nextval('etags')
    WHERE id = $1
"""
DELETE = "DELETE FROM plans WHERE id = $1"
SELECT_OF_TEMPLATE = "SELECT * FROM plans WHERE plan_template_id = $1 ORDER BY id"


def _to_changes(plan: Plan) -> tuple[object, ...]:
    return plan.id, plan.name, *terms_to_row(plan.terms)


def _to_row(plan: Plan) -> tuple[object, ...]:
    return *_to_changes(plan), plan.plan_template_id, plan.account_id or None


def plan_from_row(row: Row) -> Plan:
    """Return the plan of a row."""
    return Plan(row["id"], row["plan_template_id"], row["name"], row["account_id"] or "", terms_from_row(row))


PLANS = Resource("plan", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, plan_from_row)


async def plans_of_template(connection: Connection, template_id: str) -> list[Plan]:
    """Return the plans that are made from a template, by id."""
    return [plan_from_row(row) for row in await connection.fetch(SELECT_OF_TEMPLATE, template_id)]
