"""What a story made by chance says."""

from dataclasses import dataclass
from datetime import datetime

from tests.naive.account import Account
from tests.naive.catalog import Catalog
from tests.naive.debts import Balance, Commitment, Grant


@dataclass(frozen=True)
class Story:
    """What both engines are told, and what they are asked."""

    catalog: Catalog
    account: Account
    asked: tuple[datetime, datetime]
    grants: tuple[Grant, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    balances: tuple[Balance, ...] = ()
    credit_order: tuple[str, ...] = ()
