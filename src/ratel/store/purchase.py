"""Purchases of add-ons and ad-hoc charges: what falls due at an instant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ratel.core.add_on import AddOn
from ratel.core.errors import AlreadyExists
from ratel.core.purchase import AdHocCharge, Order, Purchase, buy
from ratel.store.add_on import ADD_ONS, add_on_from_row, json_from_rates
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row, Stored, create, get, stored_from_row

INSERT = """
    INSERT INTO purchases (
        id, cancel_time, account_no, add_on_id, purchase_time, units, quantities, pays_setup_fee, product_id, name,
        currency, flat_price, setup_fee, rates, trial_days, grace_days, create_time, update_time
    ) VALUES (
        $1, $2, (SELECT account_no FROM accounts WHERE accounts.id = $3), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
        $14, $15, $16, $17, $17
    )
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = """
    SELECT purchases.*, accounts.id AS account_id FROM purchases JOIN accounts USING (account_no)
    WHERE purchases.id = $1
"""
PAGE = """
    SELECT purchases.*, accounts.id AS account_id FROM purchases JOIN accounts USING (account_no)
    WHERE accounts.id = $1 AND purchases.id > $2
    ORDER BY purchases.id LIMIT $3
"""
UPDATE = "UPDATE purchases SET cancel_time = $2, update_time = $3, etag = nextval('etags') WHERE id = $1"
SELECT_ACTIVE = """
    SELECT EXISTS (
        SELECT FROM purchases JOIN accounts USING (account_no)
        WHERE accounts.id = $1 AND add_on_id = $2 AND purchase_time <= $3 AND (cancel_time IS NULL OR cancel_time > $3)
    )
"""
SELECT_OF_ACCOUNTS = """
    SELECT purchases.*, accounts.id AS account_id FROM purchases JOIN accounts USING (account_no)
    WHERE account_no = ANY($1::integer[])
"""
INSERT_CHARGE = """
    INSERT INTO ad_hoc_charges (id, charge_time, amount, description, account_no, currency, create_time, update_time)
    VALUES ($1, $2, $3, $4, (SELECT account_no FROM accounts WHERE accounts.id = $5), $6, $7, $7)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT_CHARGE = """
    SELECT ad_hoc_charges.*, accounts.id AS account_id FROM ad_hoc_charges JOIN accounts USING (account_no)
    WHERE ad_hoc_charges.id = $1
"""
PAGE_CHARGES = """
    SELECT ad_hoc_charges.*, accounts.id AS account_id FROM ad_hoc_charges JOIN accounts USING (account_no)
    WHERE accounts.id = $1 AND ad_hoc_charges.id > $2
    ORDER BY ad_hoc_charges.id LIMIT $3
"""
UPDATE_CHARGE = """
    UPDATE ad_hoc_charges
    SET charge_time = $2, amount = $3, description = $4, update_time = $5, etag = nextval('etags')
    WHERE id = $1
"""
DELETE_CHARGE = "DELETE FROM ad_hoc_charges WHERE id = $1"
SELECT_CHARGES_OF_ACCOUNTS = """
    SELECT ad_hoc_charges.*, accounts.id AS account_id FROM ad_hoc_charges JOIN accounts USING (account_no)
    WHERE account_no = ANY($1::integer[])
"""


# --- Purchases --------------------------------------------------------------------------------------------------------


def _to_changes(purchase: Purchase) -> tuple[object, ...]:
    return purchase.order.id, purchase.cancel_time


def _to_row(purchase: Purchase) -> tuple[object, ...]:
    order, add_on = purchase.order, purchase.add_on
    return (
        *_to_changes(purchase),
        order.account_id,
        order.add_on_id,
        order.time,
        [unit for unit, _ in order.quantities],
        [quantity for _, quantity in order.quantities],
        purchase.pays_setup_fee,
        add_on.product_id,
        add_on.name,
        add_on.currency,
        add_on.flat_price,
        add_on.setup_fee,
        json_from_rates(add_on.rates),
        add_on.trial_days,
        add_on.grace_days,
    )


def purchase_from_row(row: Row) -> Purchase:
    """Return the purchase of a row, which has its account's id beside."""
    quantities = tuple(zip(row["units"], row["quantities"], strict=True))
    order = Order(row["id"], row["account_id"], row["add_on_id"], row["purchase_time"], quantities)
    return Purchase(order, add_on_from_row(row, "add_on_id"), row["pays_setup_fee"], row["cancel_time"])


PURCHASES = Resource("purchase", INSERT, SELECT, PAGE, UPDATE, "", _to_row, _to_changes, purchase_from_row)


async def create_purchase(connection: Connection, order: Order, now: datetime) -> Stored[Purchase]:
    """Buy an add-on for a locked account; an order that was carried out already returns what was bought.

    Raises:
        ResourceNotFound: there is no such add-on.
        AlreadyExists: the id is taken by another order.
        Invalid: the quantities break a rule of the add-on.
    """
    row = await connection.fetchrow(SELECT, order.id)
    if row is not None:
        stored = stored_from_row(PURCHASES, row)
        if stored.value.order != order:
            raise AlreadyExists(PURCHASES.name, order.id)
        return stored
    add_on: AddOn = (await get(connection, ADD_ONS, order.add_on_id)).value
    is_further = await connection.fetchval(SELECT_ACTIVE, order.account_id, order.add_on_id, order.time)
    return await create(connection, PURCHASES, buy(order, add_on, is_further=is_further), now)


# --- Ad-hoc charges ---------------------------------------------------------------------------------------------------


def _charge_to_changes(charge: AdHocCharge) -> tuple[object, ...]:
    return charge.id, charge.time, charge.amount, charge.description


def _charge_to_row(charge: AdHocCharge) -> tuple[object, ...]:
    return *_charge_to_changes(charge), charge.account_id, charge.currency


def charge_from_row(row: Row) -> AdHocCharge:
    """Return the charge of a row, which has its account's id beside."""
    amounts = row["currency"], row["amount"], row["description"]
    return AdHocCharge(row["id"], row["account_id"], row["charge_time"], *amounts)


AD_HOC_CHARGES = Resource(
    "ad_hoc_charge",
    INSERT_CHARGE,
    SELECT_CHARGE,
    PAGE_CHARGES,
    UPDATE_CHARGE,
    DELETE_CHARGE,
    _charge_to_row,
    _charge_to_changes,
    charge_from_row,
)


# --- For bills --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dated:
    """What of an account falls due at an instant."""

    purchases: tuple[Purchase, ...]
    ad_hoc_charges: tuple[AdHocCharge, ...]


async def read_dated(connection: Connection, account_nos: Sequence[int]) -> dict[int, Dated]:
    """Return what of some accounts falls due at an instant, by account number."""
    purchases: dict[int, list[Purchase]] = {number: [] for number in account_nos}
    charges: dict[int, list[AdHocCharge]] = {number: [] for number in account_nos}
    for row in await connection.fetch(SELECT_OF_ACCOUNTS, account_nos):
        purchases[row["account_no"]].append(purchase_from_row(row))
    for row in await connection.fetch(SELECT_CHARGES_OF_ACCOUNTS, account_nos):
        charges[row["account_no"]].append(charge_from_row(row))
    return {number: Dated(tuple(purchases[number]), tuple(charges[number])) for number in account_nos}
