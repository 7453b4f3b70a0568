"""What is remembered from one bill day to the next while what is due is reckoned: replayed, never guessed."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from ratel.core.period import Period


@dataclass(slots=True)
class Granted:
    """What a grant has given so far.

    Attributes:
        total: of all bill periods.
        spends: of each bill period, what was left of the line items that it acted on.
        amounts: of each bill period, what it took off them.
    """

    total: Decimal = Decimal(0)
    spends: dict[Period, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    amounts: dict[Period, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, bill_period: Period, spend: Decimal, amount: Decimal) -> None:
        """Add what the grant acted on in a bill period, and what it took off."""
        self.total += amount
        self.spends[bill_period] += spend
        self.amounts[bill_period] += amount


@dataclass(slots=True)
class Book:
    """Made once for a rating, or for all that is due; every draft of it holds the same one.

    Attributes:
        granted: by grant id.
    """

    granted: dict[str, Granted] = field(default_factory=lambda: defaultdict(Granted))
