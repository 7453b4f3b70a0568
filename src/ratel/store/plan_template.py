"""Plan templates, and the terms that templates and plans store alike."""

from ratel.core.period import Frequency
from ratel.core.plan import PlanTemplate, Terms
from ratel.store.resource import Resource, Row

INSERT = """
    INSERT INTO plan_templates (
        id, name,
        standing_charge, standing_charge_in_advance, standing_charge_interval, standing_charge_offset,
        standing_charge_description,
        minimum_spend, minimum_spend_in_advance, minimum_spend_description, maximum_spend, maximum_spend_description,
        product_id, currency, bill_frequency, bill_interval, create_time, update_time
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = "SELECT * FROM plan_templates WHERE id = $1"
PAGE = "SELECT * FROM plan_templates WHERE ($1 = '' OR product_id = $1) AND id > $2 ORDER BY id LIMIT $3"
UPDATE = """
    UPDATE plan_templates
    SET name = $2,
        standing_charge = $3, standing_charge_in_advance = $4, standing_charge_interval = $5,
        standing_charge_offset = $6, standing_charge_description = $7,
        minimum_spend = $8, minimum_spend_in_advance = $9, minimum_spend_description = $10,
        maximum_spend = $11, maximum_spend_description = $12,
        update_time = $13, etag = nextval('etags')
    WHERE id = $1
"""
DELETE = "DELETE FROM plan_templates WHERE id = $1"


def terms_to_row(terms: Terms) -> tuple[object, ...]:
    """Return the columns of terms, in the order of the statements."""
    return (
        terms.standing_charge,
        terms.standing_charge_in_advance,
        terms.standing_charge_interval,
        terms.standing_charge_offset,
        terms.standing_charge_description,
        terms.minimum_spend,
        terms.minimum_spend_in_advance,
        terms.minimum_spend_description,
        terms.maximum_spend,
        terms.maximum_spend_description,
    )


def terms_from_row(row: Row) -> Terms:
    """Return the terms of a row."""
    return Terms(
        standing_charge=row["standing_charge"],
        standing_charge_in_advance=row["standing_charge_in_advance"],
        standing_charge_interval=row["standing_charge_interval"],
        standing_charge_offset=row["standing_charge_offset"],
        standing_charge_description=row["standing_charge_description"],
        minimum_spend=row["minimum_spend"],
        minimum_spend_in_advance=row["minimum_spend_in_advance"],
        minimum_spend_description=row["minimum_spend_description"],
        maximum_spend=row["maximum_spend"],
        maximum_spend_description=row["maximum_spend_description"],
    )


def _to_changes(template: PlanTemplate) -> tuple[object, ...]:
    return template.id, template.name, *terms_to_row(template.terms)


def _to_row(template: PlanTemplate) -> tuple[object, ...]:
    fixed = template.product_id, template.currency, template.frequency.value, template.interval
    return *_to_changes(template), *fixed


def plan_template_from_row(row: Row) -> PlanTemplate:
    """Return the template of a row."""
    return PlanTemplate(
        id=row["id"],
        product_id=row["product_id"],
        name=row["name"],
        currency=row["currency"],
        frequency=Frequency(row["bill_frequency"]),
        interval=row["bill_interval"],
        terms=terms_from_row(row),
    )


PLAN_TEMPLATES = Resource(
    "plan_template", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_changes, plan_template_from_row
)
