"""What it means that Postgres refused a write: the names of constraints, and the errors that they stand for.

A refused statement is undone by itself, so that the transaction can still look up who is in the way.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Final
from uuid import UUID

import asyncpg

from ratel.core.account import Attachment
from ratel.core.errors import AttachmentOverlap, InUse, PricingOverlap, ResourceNotFound
from ratel.core.pricing import OwnerKind, PricedKind, Pricing
from ratel.core.segment import segment_key
from ratel.store.pool import Connection

# --- A write names what does not exist --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reference:
    """What a foreign key of a written value leads to, and the dotted attribute of the value that names it."""

    resource: str
    attribute: str

    def id_of(self, value: object) -> str:
        """Return the id that the value names."""
        return str(attrgetter(self.attribute)(value))


REFERENCES: Final[Mapping[str, Reference]] = {
    "meters_product": Reference("product", "product_id"),
    "compound_aggregations_product": Reference("product", "product_id"),
    "counters_product": Reference("product", "product_id"),
    "plan_templates_product": Reference("product", "product_id"),
    "plans_account": Reference("account", "account_id"),
    "attachments_plan": Reference("plan", "plan_id"),
    "promotions_plan": Reference("plan", "plan_id"),
    "promotions_pricing": Reference("pricing", "pricing_id"),
    "grants_promotion": Reference("promotion", "promotion_id"),
    "add_ons_product": Reference("product", "product_id"),
    "purchases_add_on": Reference("add_on", "order.add_on_id"),
    "commitments_plan": Reference("plan", "schedule.plan_id"),
    "counter_adjustments_counter": Reference("counter", "adjustment.counter_id"),
}

# --- What is to be deleted is named by something ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """Who may name what is deleted, and the statement that finds one of them by the id of what is deleted."""

    resource: str
    select: str


# A meter's events are too many to look for one: the meter itself is named as the one with usage.
USES: Final[Mapping[str, Use]] = {
    "meters_product": Use("meter", "SELECT id FROM meters WHERE product_id = $1 LIMIT 1"),
    "compound_aggregations_product": Use(
        "compound_aggregation", "SELECT id FROM compound_aggregations WHERE product_id = $1 LIMIT 1"
    ),
    "counters_product": Use("counter", "SELECT id FROM counters WHERE product_id = $1 LIMIT 1"),
    "plan_templates_product": Use("plan_template", "SELECT id FROM plan_templates WHERE product_id = $1 LIMIT 1"),
    "aggregations_meter": Use("aggregation", "SELECT id FROM aggregations WHERE meter_id = $1 LIMIT 1"),
    "used_meters_meter": Use("usage", "SELECT id FROM meters WHERE id = $1"),
    "compound_operands_aggregation": Use(
        "compound_aggregation",
        "SELECT compound_aggregation_id FROM compound_operands WHERE aggregation_id = $1 LIMIT 1",
    ),
    "plans_template": Use("plan", "SELECT id FROM plans WHERE plan_template_id = $1 LIMIT 1"),
    "pricings_plan": Use("pricing", "SELECT id FROM pricings WHERE plan_id = $1 LIMIT 1"),
    "pricings_template": Use("pricing", "SELECT id FROM pricings WHERE plan_template_id = $1 LIMIT 1"),
    "pricings_aggregation": Use("pricing", "SELECT id FROM pricings WHERE aggregation_id = $1 LIMIT 1"),
    "pricings_compound": Use("pricing", "SELECT id FROM pricings WHERE compound_aggregation_id = $1 LIMIT 1"),
    "pricings_counter": Use("pricing", "SELECT id FROM pricings WHERE counter_id = $1 LIMIT 1"),
    "attachments_plan": Use("attachment", "SELECT id FROM attachments WHERE plan_id = $1 LIMIT 1"),
    "plan_group_plans_plan": Use("plan_group", "SELECT plan_group_id FROM plan_group_plans WHERE plan_id = $1 LIMIT 1"),
    "promotions_plan": Use("promotion", "SELECT id FROM promotions WHERE plan_id = $1 LIMIT 1"),
    "promotions_pricing": Use("promotion", "SELECT id FROM promotions WHERE pricing_id = $1 LIMIT 1"),
    "grants_promotion": Use("grant", "SELECT id FROM grants WHERE promotion_id = $1 LIMIT 1"),
    "add_ons_product": Use("add_on", "SELECT id FROM add_ons WHERE product_id = $1 LIMIT 1"),
    "commitments_plan": Use("commitment", "SELECT id FROM commitments WHERE fee_plan_id = $1 LIMIT 1"),
    "balance_transactions_balance": Use(
        "balance_transaction", "SELECT id FROM balance_transactions WHERE balance_id = $1 LIMIT 1"
    ),
    "purchases_add_on": Use("purchase", "SELECT id FROM purchases WHERE add_on_id = $1 LIMIT 1"),
    "counter_adjustments_counter": Use(
        "counter_adjustment",
        """
        SELECT accounts.id || '/' || counter_id || '/' || date
        FROM counter_adjustments JOIN accounts USING (account_no)
        WHERE counter_id = $1 LIMIT 1
        """,
    ),
}

# --- Schedules overlap ------------------------------------------------------------------------------------------------

# Both are spelt like their constraint, whose index answers them.
SELECT_PRICING_IN_THE_WAY: Final = """
    SELECT id FROM pricings
    WHERE coalesce('p' || plan_id, 't' || plan_template_id) = $1
        AND coalesce('a' || aggregation_id, 'c' || compound_aggregation_id, 'n' || counter_id) = $2
        AND segment_key = $3
        AND tstzrange(start_time, end_time) && tstzrange($4, $5)
        AND id <> $6
    ORDER BY start_time
    LIMIT 1
"""
SELECT_ATTACHMENT_IN_THE_WAY: Final = """
    SELECT attachments.id FROM attachments
    WHERE account_no = (SELECT account_no FROM accounts WHERE id = $1)
        AND product_id = (
            SELECT product_id FROM plans JOIN plan_templates ON plan_templates.id = plan_template_id WHERE plans.id = $2
        )
        AND tstzrange(start_time, end_time) && tstzrange($3, $4)
        AND attachments.id <> $5
    ORDER BY start_time
    LIMIT 1
"""

OWNER_LETTERS: Final = {OwnerKind.PLAN: "p", OwnerKind.TEMPLATE: "t"}
PRICED_LETTERS: Final = {PricedKind.AGGREGATION: "a", PricedKind.COMPOUND: "c", PricedKind.COUNTER: "n"}


def _pricing_arguments(pricing: Pricing) -> tuple[object, ...]:
    owner = OWNER_LETTERS[pricing.owner.kind] + pricing.owner.id
    priced = PRICED_LETTERS[pricing.priced.kind] + pricing.priced.id
    period = pricing.period
    return owner, priced, UUID(bytes=segment_key(pricing.segment)), period.start, period.end, pricing.id


def _attachment_arguments(attachment: Attachment) -> tuple[object, ...]:
    period = attachment.period
    return attachment.account_id, attachment.plan_id, period.start, period.end, attachment.id


async def pricing_in_the_way(connection: Connection, pricing: Pricing) -> str | None:
    """Return the id of a pricing with which another one would overlap; None if there is none."""
    found: str | None = await connection.fetchval(SELECT_PRICING_IN_THE_WAY, *_pricing_arguments(pricing))
    return found


@asynccontextmanager
async def explaining_write(connection: Connection, value: object) -> AsyncIterator[None]:
    """Undo the block if a constraint refuses the value, and raise what the constraint stands for.

    Raises:
        ResourceNotFound: the value names something that does not exist.
        PricingOverlap: another pricing is in the way.
        AttachmentOverlap: another attachment is in the way.
    """
    try:
        async with connection.transaction():
            yield
    except asyncpg.ForeignKeyViolationError as error:
        reference = REFERENCES.get(error.constraint_name or "")
        if reference is None:
            raise
        raise ResourceNotFound(reference.resource, reference.id_of(value)) from None
    except asyncpg.ExclusionViolationError:
        if isinstance(value, Pricing):
            raise PricingOverlap(await pricing_in_the_way(connection, value) or "") from None
        if isinstance(value, Attachment):
            found = await connection.fetchval(SELECT_ATTACHMENT_IN_THE_WAY, *_attachment_arguments(value))
            raise AttachmentOverlap(found or "") from None
        raise


@asynccontextmanager
async def explaining_delete(connection: Connection, resource: str, resource_id: str) -> AsyncIterator[None]:
    """Undo the block if something names what it deletes, and say who does.

    Raises:
        InUse: something else names it.
    """
    try:
        async with connection.transaction():
            yield
    except asyncpg.ForeignKeyViolationError as error:
        use = USES.get(error.constraint_name or "")
        if use is None:
            raise
        user = await connection.fetchval(use.select, resource_id)
        raise InUse(resource, resource_id, use.resource, user or "") from None
