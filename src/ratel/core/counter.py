"""Counters hold a level per account, set by adjustments from a day on (R8.1)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ratel.core.errors import DecimalRange
from ratel.core.money import ZERO


@dataclass(frozen=True, slots=True)
class Counter:
    """What has a level per account, such as seats."""

    id: str
    product_id: str
    name: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Sets the level of a counter from the start of a local day on.

    Raises:
        DecimalRange: the level is below 0.
    """

    counter_id: str
    date: date
    level: Decimal

    def __post_init__(self) -> None:
        if self.level < ZERO:
            raise DecimalRange("must not be below 0", "level")


@dataclass(frozen=True, slots=True)
class AccountAdjustment:
    """An adjustment of an account; identified by account, counter and date together."""

    account_id: str
    adjustment: Adjustment
