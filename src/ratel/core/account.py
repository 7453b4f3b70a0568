"""Accounts and the attachments that put them on plans (R4.1)."""

from dataclasses import dataclass
from datetime import date

from ratel.core.period import Period


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays."""

    id: str
    name: str
    epoch: date | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """Puts an account on a plan for a time."""

    id: str
    account_id: str
    plan_id: str
    period: Period
    epoch: date | None = None
