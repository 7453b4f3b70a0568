"""Commitments, balances and their transactions: what pays for charges."""

from collections.abc import Sequence
from dataclasses import dataclass

from ratel.core.bill import LineItemKind
from ratel.core.errors import ResourceNotFound
from ratel.core.prepayment import (
    Balance,
    BalanceBook,
    BalanceTransaction,
    Commitment,
    Fee,
    FeeSchedule,
    PaymentLimits,
    check_transaction,
)
from ratel.store.period import period_from_row
from ratel.store.pool import Connection
from ratel.store.resource import Resource, Row

INSERT_COMMITMENT = """
    INSERT INTO commitments (
        id, name, amount, start_time, end_time, fee_times, fee_amounts, fee_plan_id, fee_period_count, fee_first_amount,
        fee_in_advance, product_ids, line_item_kinds, overage_surcharge_percent, currency, account_no, create_time,
        update_time
    ) VALUES (
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
        (SELECT account_no FROM accounts WHERE accounts.id = $16), $17, $17
    )
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT_COMMITMENT = """
    SELECT commitments.*, accounts.id AS account_id FROM commitments JOIN accounts USING (account_no)
    WHERE commitments.id = $1
"""
PAGE_COMMITMENTS = """
    SELECT commitments.*, accounts.id AS account_id FROM commitments JOIN accounts USING (account_no)
    WHERE accounts.id = $1 AND commitments.id > $2
    ORDER BY commitments.id LIMIT $3
"""
UPDATE_COMMITMENT = """
    UPDATE commitments
    SET name = $2, amount = $3, start_time = $4, end_time = $5, fee_times = $6, fee_amounts = $7, fee_plan_id = $8,
        fee_period_count = $9, fee_first_amount = $10, fee_in_advance = $11, product_ids = $12, line_item_kinds = $13,
        overage_surcharge_percent = $14, update_time = $15, etag = nextval('etags')
    WHERE id = $1
"""
DELETE_COMMITMENT = "DELETE FROM commitments WHERE id = $1"
INSERT_BALANCE = """
    INSERT INTO balances (
        id, name, start_time, end_time, rollover_amount, rollover_end_time, product_ids, line_item_kinds,
        overage_surcharge_percent, currency, account_no, create_time, update_time
    ) VALUES (
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, (SELECT account_no FROM accounts WHERE accounts.id = $11), $12, $12
    )
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT_BALANCE = """
    SELECT balances.*, accounts.id AS account_id FROM balances JOIN accounts USING (account_no)
    WHERE balances.id = $1
"""
PAGE_BALANCES = """
    SELECT balances.*, accounts.id AS account_id FROM balances JOIN accounts USING (account_no)
    WHERE accounts.id = $1 AND balances.id > $2
    ORDER BY balances.id LIMIT $3
"""
UPDATE_BALANCE = """
    UPDATE balances
    SET name = $2, start_time = $3, end_time = $4, rollover_amount = $5, rollover_end_time = $6, product_ids = $7,
        line_item_kinds = $8, overage_surcharge_percent = $9, update_time = $10, etag = nextval('etags')
    WHERE id = $1
"""
DELETE_BALANCE = "DELETE FROM balances WHERE id = $1"
INSERT_TRANSACTION = """
    INSERT INTO balance_transactions (
        id, balance_id, transaction_time, amount, fee, description, create_time, update_time
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT_TRANSACTION = """
    SELECT balance_transactions.*, currency FROM balance_transactions JOIN balances ON balances.id = balance_id
    WHERE balance_transactions.id = $1
"""
PAGE_TRANSACTIONS = """
    SELECT balance_transactions.*, currency FROM balance_transactions JOIN balances ON balances.id = balance_id
    WHERE balance_id = $1 AND balance_transactions.id > $2
    ORDER BY balance_transactions.id LIMIT $3
"""
DELETE_TRANSACTION = "DELETE FROM balance_transactions WHERE id = $1"
SELECT_TRANSACTIONS = """
    SELECT balance_transactions.*, currency FROM balance_transactions JOIN balances ON balances.id = balance_id
    WHERE balance_id = $1 ORDER BY transaction_time, balance_transactions.id
"""
SELECT_COMMITMENTS_OF_ACCOUNTS = """
    SELECT commitments.*, accounts.id AS account_id FROM commitments JOIN accounts USING (account_no)
    WHERE account_no = ANY($1::integer[])
"""
SELECT_BALANCES_OF_ACCOUNTS = """
    SELECT balances.*, accounts.id AS account_id FROM balances JOIN accounts USING (account_no)
    WHERE account_no = ANY($1::integer[])
"""
SELECT_TRANSACTIONS_OF_ACCOUNTS = """
    SELECT balance_transactions.*, currency FROM balances JOIN balance_transactions ON balance_id = balances.id
    WHERE account_no = ANY($1::integer[])
    ORDER BY transaction_time, balance_transactions.id
"""


# --- Commitments ------------------------------------------------------------------------------------------------------


def _commitment_to_changes(commitment: Commitment) -> tuple[object, ...]:
    schedule = commitment.schedule
    return (
        commitment.id,
        commitment.name,
        commitment.amount,
        commitment.period.start,
        commitment.period.end,
        [fee.time for fee in commitment.fees],
        [fee.amount for fee in commitment.fees],
        schedule and schedule.plan_id,
        schedule and schedule.period_count,
        schedule and schedule.first_amount,
        schedule and schedule.in_advance,
        *_limits_to_row(commitment.limits),
        commitment.overage_surcharge_percent,
    )


def _commitment_to_row(commitment: Commitment) -> tuple[object, ...]:
    return *_commitment_to_changes(commitment), commitment.currency, commitment.account_id


def commitment_from_row(row: Row) -> Commitment:
    """Return the commitment of a row, which has its account's id beside."""
    schedule = None
    if row["fee_plan_id"] is not None:
        columns = ("fee_plan_id", "fee_period_count", "fee_first_amount", "fee_in_advance")
        schedule = FeeSchedule(*(row[column] for column in columns))
    return Commitment(
        id=row["id"],
        account_id=row["account_id"],
        name=row["name"],
        currency=row["currency"],
        amount=row["amount"],
        period=period_from_row(row),
        fees=tuple(map(Fee, row["fee_times"], row["fee_amounts"])),
        schedule=schedule,
        limits=_limits_from_row(row),
        overage_surcharge_percent=row["overage_surcharge_percent"],
    )


def _limits_to_row(limits: PaymentLimits) -> tuple[object, ...]:
    return list(limits.product_ids), [kind.value for kind in limits.kinds]


def _limits_from_row(row: Row) -> PaymentLimits:
    return PaymentLimits(tuple(row["product_ids"]), tuple(map(LineItemKind, row["line_item_kinds"])))


COMMITMENTS = Resource(
    "commitment",
    INSERT_COMMITMENT,
    SELECT_COMMITMENT,
    PAGE_COMMITMENTS,
    UPDATE_COMMITMENT,
    DELETE_COMMITMENT,
    _commitment_to_row,
    _commitment_to_changes,
    commitment_from_row,
)


# --- Balances ---------------------------------------------------------------------------------------------------------


def _balance_to_changes(balance: Balance) -> tuple[object, ...]:
    return (
        balance.id,
        balance.name,
        balance.period.start,
        balance.period.end,
        balance.rollover_amount,
        balance.rollover_end,
        *_limits_to_row(balance.limits),
        balance.overage_surcharge_percent,
    )


def _balance_to_row(balance: Balance) -> tuple[object, ...]:
    return *_balance_to_changes(balance), balance.currency, balance.account_id


def balance_from_row(row: Row) -> Balance:
    """Return the balance of a row, which has its account's id beside."""
    return Balance(
        id=row["id"],
        account_id=row["account_id"],
        name=row["name"],
        currency=row["currency"],
        period=period_from_row(row),
        rollover_amount=row["rollover_amount"],
        rollover_end=row["rollover_end_time"],
        limits=_limits_from_row(row),
        overage_surcharge_percent=row["overage_surcharge_percent"],
    )


BALANCES = Resource(
    "balance",
    INSERT_BALANCE,
    SELECT_BALANCE,
    PAGE_BALANCES,
    UPDATE_BALANCE,
    DELETE_BALANCE,
    _balance_to_row,
    _balance_to_changes,
    balance_from_row,
)


def _transaction_to_row(transaction: BalanceTransaction) -> tuple[object, ...]:
    return (
        transaction.id,
        transaction.balance_id,
        transaction.time,
        transaction.amount,
        transaction.fee,
        transaction.description,
    )


def transaction_from_row(row: Row) -> BalanceTransaction:
    """Return the transaction of a row, which has its balance's currency beside."""
    amounts = row["currency"], row["amount"], row["fee"]
    return BalanceTransaction(row["id"], row["balance_id"], row["transaction_time"], *amounts, row["description"])


BALANCE_TRANSACTIONS = Resource(
    "balance_transaction",
    INSERT_TRANSACTION,
    SELECT_TRANSACTION,
    PAGE_TRANSACTIONS,
    "",
    DELETE_TRANSACTION,
    _transaction_to_row,
    _transaction_to_row,
    transaction_from_row,
)


async def balance_of(connection: Connection, balance_id: str) -> Balance:
    """Return the balance that a transaction names.

    Raises:
        ResourceNotFound: there is none.
    """
    row = await connection.fetchrow(SELECT_BALANCE, balance_id)
    if row is None:
        raise ResourceNotFound(BALANCES.name, balance_id)
    return balance_from_row(row)


async def check_transactions(connection: Connection, balance: Balance) -> None:
    """Check that the transactions of a balance fit it as it is to be.

    Raises:
        Invalid: one is outside.
    """
    for row in await connection.fetch(SELECT_TRANSACTIONS, balance.id):
        check_transaction(transaction_from_row(row), balance)


# --- For bills --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prepaid:
    """What pays for an account's charges."""

    commitments: tuple[Commitment, ...]
    balances: tuple[BalanceBook, ...]

    @property
    def plan_ids(self) -> set[str]:
        """The plans of fee schedules."""
        return {each.schedule.plan_id for each in self.commitments if each.schedule is not None}


async def read_prepaid(connection: Connection, account_nos: Sequence[int]) -> dict[int, Prepaid]:
    """Return what pays for the charges of some accounts, by account number."""
    commitments: dict[int, list[Commitment]] = {number: [] for number in account_nos}
    balances: dict[int, list[Balance]] = {number: [] for number in account_nos}
    transactions: dict[str, list[BalanceTransaction]] = {}
    for row in await connection.fetch(SELECT_COMMITMENTS_OF_ACCOUNTS, account_nos):
        commitments[row["account_no"]].append(commitment_from_row(row))
    for row in await connection.fetch(SELECT_BALANCES_OF_ACCOUNTS, account_nos):
        balances[row["account_no"]].append(balance_from_row(row))
    if any(balances.values()):
        for row in await connection.fetch(SELECT_TRANSACTIONS_OF_ACCOUNTS, account_nos):
            transactions.setdefault(row["balance_id"], []).append(transaction_from_row(row))
    return {
        number: Prepaid(
            tuple(commitments[number]),
            tuple(BalanceBook(each, tuple(transactions.get(each.id, ()))) for each in balances[number]),
        )
        for number in account_nos
    }
