"""What an account owes at an instant: purchases of add-ons, and charges that somebody wrote down (R10.2, R12.2)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ratel.core.add_on import AddOn, check_quantities
from ratel.core.errors import Mistakes
from ratel.core.money import check_amount


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller decides of a purchase.

    Attributes:
        quantities: by unit, in the order of units.
    """

    id: str
    account_id: str
    add_on_id: str
    time: datetime
    quantities: tuple[tuple[str, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Purchase:
    """A purchase as it was made.

    Attributes:
        add_on: as it was then: what becomes of it later does not change the purchase.
        pays_setup_fee: whether the account had no active purchase of the add-on.
        cancel_time: when it ended; None while it is active.
    """

    order: Order
    add_on: AddOn
    pays_setup_fee: bool
    cancel_time: datetime | None = None

    @property
    def due_time(self) -> datetime | None:
        """When everything falls due: as trial and grace are over; None if it was cancelled before."""
        due = self.order.time + timedelta(days=self.add_on.trial_days + self.add_on.grace_days)
        return None if self.cancel_time is not None and self.cancel_time < due else due


def buy(order: Order, add_on: AddOn, *, is_further: bool) -> Purchase:
    """Return a purchase.

    Args:
        order: see there.
        add_on: what it names.
        is_further: whether the account has an active purchase of it at that time.

    Raises:
        Invalid: with all mistakes of its quantities.
    """
    check_quantities(add_on, dict(order.quantities), is_further=is_further)
    return Purchase(order, add_on, pays_setup_fee=not is_further and add_on.setup_fee is not None)


def check_cancel(purchase: Purchase, cancel_time: datetime) -> None:
    """Check that a purchase may end at an instant.

    Raises:
        Invalid: that is before it was made.
    """
    mistakes = Mistakes()
    if cancel_time < purchase.order.time:
        mistakes.add("cancel_time", "CANCEL_EARLIER", "must not be before purchase_time")
    mistakes.check()


@dataclass(frozen=True, slots=True)
class AdHocCharge:
    """An amount that an account owes, or with a negative one is given, from an instant on.

    Raises:
        Invalid: with all mistakes: an unknown currency, an amount with too many digits.
    """

    id: str
    account_id: str
    time: datetime
    currency: str
    amount: Decimal
    description: str

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        with mistakes.under("amount"):
            object.__setattr__(self, "amount", check_amount(self.amount, self.currency))
        mistakes.check()
