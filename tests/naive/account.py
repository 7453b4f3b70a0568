"""What the naive engine is told about an account, and what it answers: plain data, nothing checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction

from tests.naive.catalog import FOREVER, Thing


@dataclass(frozen=True)
class Event:
    """R2.1: what is missing is not in ``values``. R11.1: ``apart`` is when its account pays for itself."""

    id: str
    meter: str
    time: datetime
    values: Mapping[str, Fraction | str] = field(default_factory=dict)
    apart: tuple[tuple[datetime, datetime], ...] = ()

    def counted(self, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
        """What of a stretch is not apart."""
        left = [(start, end)] if start < end else []
        for first, last in self.apart:
            cut = [part for one, other in left for part in ((one, min(other, first)), (max(one, last), other))]
            left = [part for part in cut if part[0] < part[1]]
        return left


@dataclass(frozen=True)
class Attachment:
    """R4.1; ``accumulation_start`` is set by keep_accumulation, ``trial_end`` by R9.3."""

    id: str
    plan: str
    start: datetime
    end: datetime = FOREVER
    epoch: date | None = None
    accumulation_start: datetime | None = None
    trial_end: datetime | None = None


@dataclass(frozen=True)
class Adjustment:
    """R8.1."""

    counter: str
    date: date
    level: Fraction


@dataclass(frozen=True)
class Account:
    """Who pays."""

    id: str
    attachments: tuple[Attachment, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    events: tuple[Event, ...] = ()
    epoch: date | None = None
    currency: str = ""


@dataclass(frozen=True)
class LineItem:
    """One charge; the workings of usage are what the stretch began and ended with."""

    kind: str
    attachment: str
    plan: str
    product: str
    start: datetime
    end: datetime
    currency: str
    exact: Fraction
    amount: Fraction
    pricing: str = ""
    thing: Thing | None = None
    segment: tuple[str, ...] = ()
    quantity: Fraction | None = None
    units: Fraction | None = None
    units_before: Fraction | None = None
    units_owned: Fraction | None = None  # R5.4


@dataclass(frozen=True)
class Unpriced:
    """R3.5."""

    attachment: str
    thing: Thing
    segment: tuple[str, ...]
    start: datetime
    end: datetime
    quantity: Fraction


@dataclass(frozen=True)
class Answer:
    """R12.1: what service cost."""

    items: tuple[LineItem, ...]
    totals: Mapping[str, Fraction]  # by currency
    unpriced: tuple[Unpriced, ...]
    unattached: Mapping[str, int]  # number of events, by meter
    promotions: tuple[tuple[str, Fraction], ...] = ()  # what trials and grants took off, by name
