"""What is remembered from one bill day to the next while what is due is reckoned: replayed, never guessed."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from ratel.core.currency import Tally
from ratel.core.period import Period
from ratel.core.plan import CreditKind

SourceKey: TypeAlias = tuple[CreditKind, str, bool]
"""Names what pays: a commitment, or a balance in its term or, with true, after it."""


@dataclass(slots=True)
class Granted:
    """What a grant has given so far, in the currencies of the bills.

    Attributes:
        total: of all bill periods.
        spends: of each bill period, what was left of the line items that it acted on.
        amounts: of each bill period, what it took off them.
    """

    total: Tally = field(default_factory=Tally)
    spends: dict[Period, Tally] = field(default_factory=lambda: defaultdict(Tally))
    amounts: dict[Period, Tally] = field(default_factory=lambda: defaultdict(Tally))

    def add(self, bill_period: Period, rate: Decimal, spend: Decimal, amount: Decimal) -> None:
        """Add what the grant acted on in a bill period, and what it took off, at the rate of the plan's currency."""
        self.total.add(amount, rate)
        self.spends[bill_period].add(spend, rate)
        self.amounts[bill_period].add(amount, rate)


@dataclass(slots=True)
class Book:
    """Made once for a rating, or for all that is due; every draft of it holds the same one.

    Attributes:
        granted: by grant id.
        consumed: of each source, in the currencies of the bills.
    """

    granted: dict[str, Granted] = field(default_factory=lambda: defaultdict(Granted))
    consumed: dict[SourceKey, Tally] = field(default_factory=lambda: defaultdict(Tally))
