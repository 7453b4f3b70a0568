"""The nouns of accounts: what may change, and what each must fit that is stored already."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from ratel.account.v1 import (
    account_pb2,
    ad_hoc_charge_pb2,
    attachment_pb2,
    balance_pb2,
    commitment_pb2,
    counter_adjustment_pb2,
    grant_pb2,
)
from ratel.core.account import Account, Attachment, check_custom, check_same_parent, end_for
from ratel.core.counter import AccountAdjustment
from ratel.core.errors import Mistakes
from ratel.core.prepayment import Balance, BalanceTransaction, Commitment, check_transaction
from ratel.core.promotion import Grant
from ratel.core.purchase import AdHocCharge
from ratel.server.convert import account as convert
from ratel.server.convert.prepayment import (
    balance_from_proto,
    balance_to_proto,
    commitment_from_proto,
    commitment_to_proto,
    fine_transaction_from_proto,
    transaction_from_proto,
    transaction_to_proto,
)
from ratel.server.convert.promotion import grant_from_proto, grant_to_proto
from ratel.server.convert.purchase import charge_from_proto, charge_to_proto
from ratel.server.noun import Noun, admitted_by_itself, created_alone
from ratel.store import resource
from ratel.store.account import ACCOUNTS, CHILDREN, check_parent
from ratel.store.adjustment import ADJUSTMENTS, create_adjustment
from ratel.store.attachment import ATTACHMENTS, plan_to_attach
from ratel.store.grant import GRANTS, check_grantable
from ratel.store.pool import Connection
from ratel.store.prepayment import BALANCE_TRANSACTIONS, BALANCES, COMMITMENTS, balance_of, check_transactions
from ratel.store.purchase import AD_HOC_CHARGES
from ratel.store.resource import Stored


async def _admit_account(connection: Connection, message: account_pb2.Account) -> Account:
    account = convert.account_from_proto(message)
    if account.parent_id:
        await check_parent(connection, account)
    return account


ACCOUNT: Final[Noun[Account, account_pb2.Account]] = Noun(
    ACCOUNTS,
    convert.account_from_proto,
    convert.account_to_proto,
    admit=_admit_account,
    create=created_alone(ACCOUNTS),
    mutable=(
        "name",
        "epoch",
        "currency",
        "parent_account_id",
        "child_billing",
        "billed_with_parent",
        "credit_application_order",
    ),
    check_change=check_same_parent,
)
CHILD: Final = replace(ACCOUNT, resource=CHILDREN)
"""An account in the list of its parent's children."""


async def _admit_attachment(connection: Connection, message: attachment_pb2.Attachment) -> Attachment:
    attachment = convert.attachment_from_proto(message)
    plan, _ = await plan_to_attach(connection, attachment.plan_id)
    check_custom(attachment, plan)
    return attachment


ATTACHMENT: Final = Noun(
    ATTACHMENTS,
    convert.attachment_from_proto,
    convert.attachment_to_proto,
    admit=_admit_attachment,
    create=created_alone(ATTACHMENTS),
    mutable=("start_time", "end_time", "epoch", "trial_end_time"),
)
COUNTER_ADJUSTMENT: Final[Noun[AccountAdjustment, counter_adjustment_pb2.CounterAdjustment]] = Noun(
    ADJUSTMENTS,
    convert.adjustment_from_proto,
    convert.adjustment_to_proto,
    admit=admitted_by_itself(convert.adjustment_from_proto),
    create=create_adjustment,
    mutable=("level",),
)


AD_HOC_CHARGE: Final[Noun[AdHocCharge, ad_hoc_charge_pb2.AdHocCharge]] = Noun(
    AD_HOC_CHARGES,
    charge_from_proto,
    charge_to_proto,
    admit=admitted_by_itself(charge_from_proto),
    create=created_alone(AD_HOC_CHARGES),
    mutable=("charge_time", "amount", "description"),
)


COMMITMENT: Final[Noun[Commitment, commitment_pb2.Commitment]] = Noun(
    COMMITMENTS,
    commitment_from_proto,
    commitment_to_proto,
    admit=admitted_by_itself(commitment_from_proto),
    create=created_alone(COMMITMENTS),
    mutable=(
        *("name", "amount", "start_time", "end_time", "fees", "fee_schedule", "product_ids", "line_item_kinds"),
        "overage_surcharge_percent",
    ),
)


async def _admit_balance(connection: Connection, message: balance_pb2.Balance) -> Balance:
    balance = balance_from_proto(message)
    await check_transactions(connection, balance)
    return balance


BALANCE: Final = Noun(
    BALANCES,
    balance_from_proto,
    balance_to_proto,
    admit=_admit_balance,
    create=created_alone(BALANCES),
    mutable=(
        *("name", "start_time", "end_time", "rollover_amount", "rollover_end_time", "product_ids", "line_item_kinds"),
        "overage_surcharge_percent",
    ),
)


async def _admit_transaction(connection: Connection, message: balance_pb2.BalanceTransaction) -> BalanceTransaction:
    balance = await balance_of(connection, message.balance_id)
    transaction = transaction_from_proto(message, balance.currency)
    check_transaction(transaction, balance)
    return transaction


BALANCE_TRANSACTION: Final = Noun(
    BALANCE_TRANSACTIONS,
    fine_transaction_from_proto,
    transaction_to_proto,
    admit=_admit_transaction,
    create=created_alone(BALANCE_TRANSACTIONS),
    mutable=(),
)


async def _admit_grant(connection: Connection, message: grant_pb2.Grant) -> Grant:
    grant = grant_from_proto(message)
    await check_grantable(connection, grant)
    return grant


GRANT: Final = Noun(
    GRANTS,
    grant_from_proto,
    grant_to_proto,
    admit=_admit_grant,
    create=created_alone(GRANTS),
    mutable=("start_time", "end_time", "priority"),
)


async def replace_attachment(
    connection: Connection, old: Stored[Attachment], new: Attachment, now: datetime
) -> tuple[Stored[Attachment], Stored[Attachment]]:
    """End an attachment of a locked account where the next one starts, and store that; a repeat changes nothing.

    Raises:
        Invalid: the new one is of another account or product, or does not start inside the old one.
    """
    mistakes = Mistakes()
    with mistakes.under():
        ended = end_for(old.value, new)
    _, product_id = await plan_to_attach(connection, new.plan_id)
    _, old_product_id = await plan_to_attach(connection, old.value.plan_id)
    if product_id != old_product_id:
        mistakes.add("plan_id", "PRODUCT_DIFFERENT", "must be a plan of the same product as the attachment that ends")
    mistakes.check()
    stored = await resource.update(connection, ATTACHMENTS, old, ended, now)
    return stored, await resource.create(connection, ATTACHMENTS, new, now)
