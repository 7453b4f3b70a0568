"""R3, R4.3: what a plan says at an instant, and the windows that follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from tests.naive.account import Account, Attachment
from tests.naive.catalog import Catalog, Pricing, Terms, Thing
from tests.naive.grid import Grid

Segment = tuple[str, ...]


@dataclass(frozen=True)
class Window:
    """A stretch in which one pricing is in force."""

    pricing: Pricing
    start: datetime
    end: datetime


def owners(catalog: Catalog, plan: str) -> list[tuple[str, str]]:
    """R3.3: a plan's own pricings come before those of its template."""
    return [("PLAN", plan), ("TEMPLATE", catalog.template(plan).id)]


def pricings_of(catalog: Catalog, plan: str) -> list[Pricing]:
    return [pricing for pricing in catalog.pricings if pricing.owner in owners(catalog, plan)]


def priced_segments(catalog: Catalog, plan: str) -> list[tuple[Thing, Segment]]:
    """Everything that the plan or its template has a pricing for, at whatever time."""
    return sorted({(pricing.thing, pricing.segment) for pricing in pricings_of(catalog, plan)})


def in_force(catalog: Catalog, plan: str, thing: Thing, segment: Segment, at: datetime) -> Pricing | None:
    """R3.3: at each instant the plan's own pricing overrides the template's."""
    for owner in owners(catalog, plan):
        for pricing in catalog.pricings:
            is_meant = (pricing.owner, pricing.thing, pricing.segment) == (owner, thing, segment)
            if is_meant and pricing.start <= at < pricing.end:
                return pricing
    return None


def all_in_force(catalog: Catalog, plan: str, thing: Thing, at: datetime) -> list[Pricing]:
    """One pricing for each segment of a thing that has one at that instant."""
    found = (in_force(catalog, plan, *each, at) for each in priced_segments(catalog, plan) if each[0] == thing)
    return [pricing for pricing in found if pricing]


def windows(catalog: Catalog, plan: str, priced: tuple[Thing, Segment], start: datetime, end: datetime) -> list[Window]:
    """R4.3: [start, end) of one thing and segment, cut where the id of the pricing in force changes."""
    found: list[Window] = []
    for piece_start, piece_end in pieces(pricings_of(catalog, plan), start, end):
        pricing = in_force(catalog, plan, *priced, piece_start)
        if pricing and found and found[-1].pricing.id == pricing.id and found[-1].end == piece_start:
            found[-1] = Window(pricing, found[-1].start, piece_end)
        elif pricing:
            found.append(Window(pricing, piece_start, piece_end))
    return found


def pieces(pricings: Sequence[Pricing], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """[start, end) cut at every instant at which any of the pricings begins or ends."""
    cuts = {instant for pricing in pricings for instant in (pricing.start, pricing.end) if start < instant < end}
    instants = [start, *sorted(cuts), end]
    return list(pairwise(instants)) if start < end else []


def takes(pricing: Pricing, values: Segment) -> bool:
    """R2.4: * matches any value, also a missing one."""
    return all(wanted in ("*", value) for wanted, value in zip(pricing.segment, values, strict=True))


def belongs_to(pricings: Sequence[Pricing], values: Segment) -> Pricing | None:
    """R2.4: most literals win, ties by the order of the segment fields: a literal in the earlier field wins."""
    matching = [pricing for pricing in pricings if takes(pricing, values)]
    return max(matching, key=lambda each: (literals(each).count(True), literals(each)), default=None)


def literals(pricing: Pricing) -> list[bool]:
    return [value != "*" for value in pricing.segment]


def grid_of(catalog: Catalog, account: Account, attachment: Attachment) -> Grid:
    """R4.2: the epoch of the attachment, else of the account, else of the settings."""
    template, settings = catalog.template(attachment.plan), catalog.settings
    epoch = attachment.epoch or account.epoch or settings.epochs.get(template.frequency)
    return Grid(template.frequency, template.interval, epoch, settings.zone)


def terms_of(catalog: Catalog, plan: str) -> Terms:
    """R3.1: the plan's own value if set, 0 included; then the template's; then, for the switches, the settings'."""
    own, given, settings = catalog.plan(plan).terms, catalog.template(plan).terms, catalog.settings
    fallback = Terms(
        standing_in_advance=settings.standing_in_advance,
        standing_interval=1,
        standing_offset=0,
        minimum_in_advance=settings.minimum_in_advance,
    )
    values = {}
    for name in Terms.__dataclass_fields__:
        choices = [getattr(terms, name) for terms in (own, given, fallback)]
        values[name] = next((value for value in choices if value is not None), None)
    return Terms(**values)
