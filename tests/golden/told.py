"""What a golden bill's story says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

TIERS: Final = "price calls 0:0.15 500:0.10"


@dataclass(frozen=True, slots=True)
class Told:
    """A story and its bill.

    Attributes:
        reckoning: how the total comes about, a line for each step.
        invoice_date: of the bill.
        total: of the bill.
        earlier: invoice dates of bills that are made before.
        late: usage, in the language of stories, that arrives after the earlier bills.
        add_on: text of an add-on as JSON that the account buys, with the day and quantities; empty for none.
        charges: ad-hoc charges: id, day, amount; in dollars.
    """

    text: str
    invoice_date: str
    total: str
    reckoning: Sequence[str]
    earlier: Sequence[str] = ()
    late: str = ""
    add_on: str = ""
    charges: Sequence[tuple[str, str, str]] = field(default=())
