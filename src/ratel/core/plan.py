"""Plan templates, plans, and what a plan inherits (R3.1, R3.3)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ratel.core.money import RoundingMode
from ratel.core.period import Frequency


@dataclass(frozen=True, slots=True)
class Terms:
    """What a template sets and a plan may override, field by field: a value that is set wins, 0 included."""

    standing_charge: Decimal | None = None
    standing_charge_in_advance: bool | None = None
    standing_charge_interval: int | None = None
    standing_charge_offset: int | None = None
    standing_charge_description: str | None = None
    minimum_spend: Decimal | None = None
    minimum_spend_in_advance: bool | None = None
    minimum_spend_description: str | None = None
    maximum_spend: Decimal | None = None
    maximum_spend_description: str | None = None


@dataclass(frozen=True, slots=True)
class PlanTemplate:
    """What plans are made from."""

    id: str
    product_id: str
    name: str
    currency: str
    frequency: Frequency
    interval: int = 1
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class Plan:
    """What accounts are put on; ``account_id`` names the one account of a custom plan, else it is empty."""

    id: str
    plan_template_id: str
    name: str
    account_id: str = ""
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for the whole deployment (R3.7)."""

    time_zone: str = "UTC"
    default_currency: str = "USD"
    standing_charge_in_advance: bool = False
    minimum_spend_in_advance: bool = False
    day_epoch: date | None = None
    week_epoch: date | None = None
    month_epoch: date | None = None
    year_epoch: date | None = None
    rounding_mode: RoundingMode = RoundingMode.HALF_UP
