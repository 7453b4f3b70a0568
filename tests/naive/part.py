"""R4.2: an attachment's part of one bill period, and what of it is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from tests.naive.account import Account, Attachment, Event, LineItem
from tests.naive.catalog import Catalog, Pricing
from tests.naive.exact import divide, money
from tests.naive.grid import days
from tests.naive.plan import Segment, Window, grid_of, priced_segments, windows

Stretch = tuple[datetime, datetime]


def overlap(one: Stretch, other: Stretch) -> Stretch | None:
    start, end = max(one[0], other[0]), min(one[1], other[1])
    return (start, end) if start < end else None


@dataclass(frozen=True)
class Part:
    """One attachment in one bill period; ``stretch`` is where they meet."""

    catalog: Catalog
    account: Account
    attachment: Attachment
    events: Sequence[Event]
    period: Stretch
    stretch: Stretch
    asked: Stretch

    @property
    def zone(self) -> str:
        return self.catalog.settings.zone

    @property
    def currency(self) -> str:
        return self.catalog.template(self.attachment.plan).currency

    def windows(self, kinds: Sequence[str]) -> list[Window]:
        """R4.3: of all things of these kinds, each thing and segment by itself."""
        catalog, plan = self.catalog, self.attachment.plan
        priced = [each for each in priced_segments(catalog, plan) if each[0].kind in kinds]
        return [window for each in priced for window in windows(catalog, plan, each, *self.stretch)]

    def prorated(self, amount: Fraction, *stretches: Stretch) -> Fraction:
        """R4.4: days of the part / days of the period."""
        part, whole = sum(days(*stretch, self.zone) for stretch in stretches), days(*self.period, self.zone)
        return amount if part == whole else divide(amount * part, whole)

    def rounded(self, amount: Fraction) -> Fraction:
        return money(amount, self.currency, self.catalog.settings.rounding)

    def item(self, kind: str, stretch: Stretch, exact: Fraction, amount: Fraction | None = None) -> LineItem:
        """R1.7: a line item is rounded once, when it is made."""
        rounded = self.rounded(exact) if amount is None else amount
        attachment, product = self.attachment, self.catalog.template(self.attachment.plan).product
        return LineItem(kind, attachment.id, attachment.plan, product, *stretch, self.currency, exact, rounded)


def parts(catalog: Catalog, account: Account, events: Sequence[Event], asked: Stretch) -> list[Part]:
    """Every attachment in every bill period, as far as it is asked for."""
    found = []
    for attachment in account.attachments:
        grid = grid_of(catalog, account, attachment)
        inside = overlap((attachment.start, attachment.end), asked)
        for number in grid.numbers(*inside) if inside else []:
            stretch = overlap(grid.period(number), (attachment.start, attachment.end))
            assert stretch
            found.append(Part(catalog, account, attachment, events, grid.period(number), stretch, asked))
    return found


def segment_shown(pricing: Pricing, only: Segment | None) -> Segment:
    return pricing.segment if only is None else only
