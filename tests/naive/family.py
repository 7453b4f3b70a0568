"""R11.1: an account pools the usage of its children where they have no attachment of their own."""

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from tests.naive.account import Account, Adjustment, Event, LineItem
from tests.naive.catalog import Catalog
from tests.naive.exact import ZERO, allocate
from tests.naive.grid import local_date, start_of_day
from tests.naive.quantity import between, counting, quantity, readings
from tests.naive.service import level_on


@dataclass(frozen=True)
class Family:
    """A parent and its children."""

    catalog: Catalog
    parent: Account
    children: tuple[Account, ...]

    def pooled(self) -> Account:
        """The parent with all that it pays for: events, and counter levels added up."""
        events = [named(self.parent, event) for event in self.parent.events]
        for child in self.children:
            events += [named(child, event) for event in child.events if self.pays_for(child, event)]
        return replace(self.parent, events=tuple(events), adjustments=tuple(self.adjustments()))

    def pays_for(self, child: Account, event: Event) -> bool:
        """For each product and instant: only if the child has no attachment."""
        product = self.catalog.meter(event.meter).product
        return not any(
            each.start <= event.time < each.end and self.catalog.template(each.plan).product == product
            for each in child.attachments
        )

    def adjustments(self) -> list[Adjustment]:
        """The sum of the levels on each day on which one of them may change."""
        zone, members = self.catalog.settings.zone, (self.parent, *self.children)
        days = {each.date for member in members for each in member.adjustments}
        for child in self.children:
            for each in child.attachments:
                days |= {local_date(each.start, zone), local_date(each.end, zone)}
        counters = {each.counter for member in members for each in member.adjustments}
        return [Adjustment(counter, day, self.level(counter, day)) for counter in counters for day in sorted(days)]

    def level(self, counter: str, day: date) -> Fraction:
        level = level_on(self.parent, counter, day)
        start = start_of_day(day, self.catalog.settings.zone)
        for child in self.children:
            if not any(each.start <= start < each.end for each in child.attachments):
                level += level_on(child, counter, day)
        return level

    def breakdown(self, item: LineItem) -> dict[str, Fraction]:
        """A line item of SUM or COUNT split by share of quantity, the largest remainder to the currency's unit."""
        assert item.thing
        aggregation = self.catalog.aggregation(item.thing.id)
        shares = {}
        for member in (self.parent, *self.children):
            own = [event for event in member.events if member is self.parent or self.pays_for(member, event)]
            counted = counting(aggregation, between(readings(self.catalog, own), item.start, item.end))
            share = quantity(aggregation, counted)
            shares[member.id] = share.shown if share else ZERO
        amounts = allocate(item.amount, list(shares.values()), item.currency)
        return dict(zip(shares, amounts, strict=True))


def named(member: Account, event: Event) -> Event:
    """An event is its account and its id."""
    return replace(event, id=f"{event.id}\0{member.id}")
