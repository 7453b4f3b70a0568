"""What rating an account says: its line items, their totals, and what no line item stands for (R3.5, R12.1)."""

from dataclasses import dataclass
from decimal import Decimal

from ratel.core.bill import LineItem, Segment
from ratel.core.period import Period
from ratel.core.pricing import PricedThing


@dataclass(frozen=True, slots=True)
class UnpricedUsage:
    """Usage of a thing that the plan prices or ever priced, which no pricing takes, in time or segment (R3.5)."""

    attachment_id: str
    priced: PricedThing
    segment: Segment
    period: Period
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class UnattachedUsage:
    """Usage while the account is on no plan of the meter's product (R3.5)."""

    meter_id: str
    period: Period
    event_count: int


@dataclass(frozen=True, slots=True)
class AccountRating:
    """What an account's service inside a period costs (R12.1).

    Attributes:
        line_items: by kind in the order of computation, then attachment, priced thing, segment and time.
        totals: the sum of the line items in each currency, by currency code; none without line items.
    """

    account_id: str
    period: Period
    line_items: tuple[LineItem, ...]
    totals: tuple[tuple[str, Decimal], ...]
    unpriced_usages: tuple[UnpricedUsage, ...] = ()
    unattached_usages: tuple[UnattachedUsage, ...] = ()
