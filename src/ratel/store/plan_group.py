"""Plan groups, with a row for each of their plans: a plan is in one group at most."""

from collections.abc import Sequence

from ratel.core.errors import ResourceNotFound
from ratel.core.period import Frequency
from ratel.core.plan_group import GroupedPlan, PlanGroup
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row

INSERT = """
    WITH inserted AS (
        INSERT INTO plan_groups (
            id, name, minimum_spend, minimum_spend_description, maximum_spend, maximum_spend_description, currency,
            create_time, update_time
        ) VALUES ($1, $2, $4, $5, $6, $7, $8, $9, $9)
        ON CONFLICT (id) DO NOTHING RETURNING id
    ), members AS (
        INSERT INTO plan_group_plans (plan_group_id, plan_id) SELECT id, unnest($3::text[]) FROM inserted
    )
    SELECT true FROM inserted
"""
SELECT = """
    SELECT plan_groups.*, ARRAY(
        SELECT plan_id FROM plan_group_plans WHERE plan_group_id = plan_groups.id ORDER BY plan_id
    ) AS plan_ids
    FROM plan_groups WHERE id = $1
"""
PAGE = """
    SELECT plan_groups.*, ARRAY(
        SELECT plan_id FROM plan_group_plans WHERE plan_group_id = plan_groups.id ORDER BY plan_id
    ) AS plan_ids
    FROM plan_groups
    WHERE ($1 = '' OR id = (SELECT plan_group_id FROM plan_group_plans WHERE plan_id = $1)) AND id > $2
    ORDER BY id LIMIT $3
"""
UPDATE = """
    WITH changed AS (
        UPDATE plan_groups
        SET name = $2, minimum_spend = $4, minimum_spend_description = $5, maximum_spend = $6,
            maximum_spend_description = $7, update_time = $8, etag = nextval('etags')
        WHERE id = $1
    ), gone AS (
        DELETE FROM plan_group_plans WHERE plan_group_id = $1 AND plan_id <> ALL($3::text[])
    )
    INSERT INTO plan_group_plans (plan_group_id, plan_id) SELECT $1, unnest($3::text[])
    ON CONFLICT (plan_id) DO NOTHING
"""
DELETE = "DELETE FROM plan_groups WHERE id = $1"
SELECT_PLANS_TO_GROUP = """
    SELECT plans.id, currency, bill_frequency, bill_interval, coalesce(plan_group_id, '') AS plan_group_id
    FROM plans
    JOIN plan_templates ON plan_templates.id = plan_template_id
    LEFT JOIN plan_group_plans ON plan_id = plans.id
    WHERE plans.id = ANY($1::text[])
"""
SELECT_OF_PLANS = """
    SELECT plan_groups.*, array_agg(plan_id ORDER BY plan_id) AS plan_ids
    FROM plan_groups JOIN plan_group_plans ON plan_group_id = id
    WHERE id IN (SELECT plan_group_id FROM plan_group_plans WHERE plan_id = ANY($1::text[]))
    GROUP BY id
"""


def _to_changes(group: PlanGroup) -> tuple[object, ...]:
    return (
        group.id,
        group.name,
        list(group.plan_ids),
        group.minimum_spend,
        group.minimum_spend_description,
        group.maximum_spend,
        group.maximum_spend_description,
    )


def _to_row(group: PlanGroup) -> tuple[object, ...]:
    return *_to_changes(group), group.currency


def plan_group_from_row(row: Row) -> PlanGroup:
    """Return the plan group of a row."""
    return PlanGroup(
        id=row["id"],
        name=row["name"],
        plan_ids=tuple(row["plan_ids"]),
        currency=row["currency"],
        minimum_spend=row["minimum_spend"],
        minimum_spend_description=row["minimum_spend_description"],
        maximum_spend=row["maximum_spend"],
        maximum_spend_description=row["maximum_spend_description"],
    )


PLAN_GROUPS = Resource("plan_group", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, plan_group_from_row)


async def plans_to_group(connection: Connection, plan_ids: Sequence[str]) -> list[GroupedPlan]:
    """Return what decides whether plans can be in a group.

    Raises:
        ResourceNotFound: one of them does not exist.
    """
    rows = {row["id"]: row for row in await connection.fetch(SELECT_PLANS_TO_GROUP, list(plan_ids))}
    for plan_id in plan_ids:
        if plan_id not in rows:
            raise ResourceNotFound("plan", plan_id)
    return [
        GroupedPlan(
            row["id"], row["currency"], Frequency(row["bill_frequency"]), row["bill_interval"], row["plan_group_id"]
        )
        for row in rows.values()
    ]


async def groups_of_plans(connection: Connection, plan_ids: Sequence[str]) -> dict[str, PlanGroup]:
    """Return the groups that plans are in, by the id of each of their plans."""
    groups = [plan_group_from_row(row) for row in await connection.fetch(SELECT_OF_PLANS, list(plan_ids))]
    return {plan_id: group for group in groups for plan_id in group.plan_ids}
