"""R11.1: an account pools the usage of its children where they have no attachment of their own."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction

from tests.naive.account import Account, Adjustment, Event, LineItem
from tests.naive.catalog import FOREVER, Catalog, Thing
from tests.naive.exact import ZERO, allocate
from tests.naive.grid import local_date
from tests.naive.plan import all_in_force, belongs_to
from tests.naive.quantity import between, combination, counting, quantity, readings
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
            events += [replace(named(child, event), apart=self.apart(child, event)) for event in child.events]
        return replace(self.parent, events=tuple(events), adjustments=tuple(self.adjustments()))

    def apart(self, child: Account, event: Event) -> tuple[tuple[datetime, datetime], ...]:
        """For each product and instant: when the child has an attachment of its own."""
        return self.own(child, self.catalog.meter(event.meter).product)

    def own(self, child: Account, product: str) -> tuple[tuple[datetime, datetime], ...]:
        attachments = child.attachments
        return tuple(
            (each.start, each.end) for each in attachments if self.catalog.template(each.plan).product == product
        )

    def adjustments(self) -> list[Adjustment]:
        """The sum of the levels on each day on which one of them may change."""
        zone, members = self.catalog.settings.zone, (self.parent, *self.children)
        days = {each.date for member in members for each in member.adjustments}
        for child in self.children:
            for each in child.attachments:
                days.add(local_date(each.start, zone))
                days |= {local_date(each.end, zone)} if each.end < FOREVER else set()
        counters = {each.counter for member in members for each in member.adjustments}
        return [Adjustment(counter, day, self.level(counter, day)) for counter in counters for day in sorted(days)]

    def level(self, counter: str, day: date) -> Fraction:
        """R4.4: a stay begins with the day on which it starts, and the one on which it ends is not its own."""
        zone, level = self.catalog.settings.zone, level_on(self.parent, counter, day)
        product = next(
            (self.product(each.owner) for each in self.catalog.pricings if each.thing == Thing("COUNTER", counter)), ""
        )
        for child in self.children:
            stays = self.own(child, product)
            if not any(
                local_date(start, zone) <= day and (end == FOREVER or day < local_date(end, zone))
                for start, end in stays
            ):
                level += level_on(child, counter, day)
        return level

    def product(self, owner: tuple[str, str]) -> str:
        templates = {each.id: each.product for each in self.catalog.templates}
        templates |= {each.id: templates[each.template] for each in self.catalog.plans}
        return templates[owner[1]]

    def breakdown(self, item: LineItem) -> dict[str, Fraction]:
        """A line item of SUM or COUNT split by share of quantity, the largest remainder to the currency's unit."""
        assert item.thing
        aggregation = self.catalog.aggregation(item.thing.id)
        shares = {}
        for member in (self.parent, *self.children):
            own = [replace(event, apart=self.apart(member, event)) for event in member.events]
            if member is self.parent:
                own = list(member.events)
            counted = counting(aggregation, between(readings(self.catalog, own), item.start, item.end))
            counted = [event for event in counted if self.is_of(item, combination(aggregation, event), event)]
            if counted:
                share = quantity(aggregation, counted)
                shares[member.id] = share.shown if share else ZERO
        if not sum(shares.values(), ZERO):
            return {self.parent.id: item.amount}
        amounts = allocate(item.amount, list(shares.values()), item.currency)
        return dict(zip(shares, amounts, strict=True))

    def is_of(self, item: LineItem, values: tuple[str, ...], event: Event) -> bool:
        """R2.4: an event belongs to the pricing of the line item; under a wildcard also by its combination."""
        assert item.thing
        pricing = belongs_to(all_in_force(self.catalog, item.plan, item.thing, event.time), values)
        if pricing is None or pricing.id != item.pricing:
            return False
        return "*" not in pricing.segment or pricing.pool or values == item.segment


def named(member: Account, event: Event) -> Event:
    """An event is its account and its id."""
    return replace(event, id=f"{event.id}\0{member.id}")
