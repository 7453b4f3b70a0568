"""What the naive engine is told beyond plans and usage: prepayments, balances, promotions, purchases (R7, R9, R10)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from tests.naive.catalog import FOREVER, Band


@dataclass(frozen=True)
class Limits:
    """R7.1: what a source may pay for; nothing named means all."""

    products: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Schedule:
    """R7.1: fees every n bill periods of a plan; the first one if it is set."""

    plan: str
    every: int = 1
    first: Fraction | None = None


@dataclass(frozen=True)
class Commitment:
    """R7.1: fees are dates with amounts, or follow a plan's periods."""

    id: str
    amount: Fraction
    start: datetime
    end: datetime
    fees: tuple[tuple[datetime, Fraction], ...] = ()
    schedule: Schedule | None = None
    fees_in_advance: bool | None = None
    limits: Limits = Limits()
    surcharge: Fraction | None = None  # percent (R7.4)
    currency: str = "USD"


@dataclass(frozen=True)
class Transaction:
    """R7.2: into the balance, or out of it if negative; it may carry a fee."""

    time: datetime
    amount: Fraction
    fee: Fraction | None = None


@dataclass(frozen=True)
class Balance:
    """R7.2."""

    id: str
    transactions: tuple[Transaction, ...]
    start: datetime
    end: datetime
    rollover_amount: Fraction = Fraction(0)
    rollover_end: datetime | None = None
    limits: Limits = Limits()
    surcharge: Fraction | None = None
    currency: str = "USD"


@dataclass(frozen=True)
class Grant:
    """R9.1: a promotion, given from an instant on.

    The promotion acts on a plan, or on one pricing and perhaps one segment of it, for n bill periods or without end.
    Its kind is PERCENTAGE, GRADUATED or FIXED; graduated percentages are of the spend above each limit.
    """

    id: str
    time: datetime
    kind: str
    value: Fraction = Fraction(0)
    graduated: tuple[tuple[Fraction, Fraction], ...] = ()  # above so much spend, so many percent
    plan: str = ""
    pricing: str = ""
    segment: tuple[str, ...] | None = None
    periods: int | None = None
    end: datetime = FOREVER
    priority: int = 0
    max_per_period: Fraction | None = None
    max_total: Fraction | None = None


@dataclass(frozen=True)
class Rate:
    """R10.1: the price of one unit of an add-on."""

    unit: str
    bands: tuple[Band, ...]
    cumulative: bool = True
    minimum: Fraction | None = None
    maximum: Fraction | None = None
    increment: Fraction | None = None
    display_per_increment: bool = False


@dataclass(frozen=True)
class AddOn:
    """R10.1."""

    id: str
    flat: Fraction | None = None
    setup: Fraction | None = None
    rates: tuple[Rate, ...] = ()
    trial: timedelta = timedelta()
    grace: timedelta = timedelta()
    currency: str = "USD"


@dataclass(frozen=True)
class Purchase:
    """R10.2: of quantities by unit, ended by cancelling."""

    id: str
    add_on: str
    time: datetime
    quantities: Mapping[str, Fraction] = field(default_factory=dict)
    cancelled: datetime = FOREVER


@dataclass(frozen=True)
class AdHoc:
    """R12.2: a charge that somebody wrote down."""

    id: str
    time: datetime
    amount: Fraction
    currency: str = "USD"


@dataclass(frozen=True)
class Debts:
    """All that an account's bill is made of, beside the service on its plans."""

    commitments: tuple[Commitment, ...] = ()
    balances: tuple[Balance, ...] = ()
    grants: tuple[Grant, ...] = ()
    add_ons: tuple[AddOn, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    ad_hoc: tuple[AdHoc, ...] = ()
    credit_order: tuple[str, ...] = ()  # of the account, else of the settings
    currency: str = "USD"  # of the bill
