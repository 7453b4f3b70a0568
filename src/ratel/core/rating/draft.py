"""What the passes share: usage sorted by the pricing that takes it, and the line items made so far."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

from ratel.core.bill import LineItem, Origin, Segment
from ratel.core.compiled import CompiledThing
from ratel.core.currency import Exchange
from ratel.core.event import Partial
from ratel.core.integral import Partials
from ratel.core.level import Levels
from ratel.core.meter import Aggregation
from ratel.core.money import ZERO, round_amount
from ratel.core.period import Period
from ratel.core.pricing import WILDCARD, Pricing
from ratel.core.quantity import Quantity, Values, by_segment, compound_quantity, merge, quantity_of
from ratel.core.rating.accumulation import Accumulated, accumulate
from ratel.core.rating.book import Book
from ratel.core.rating.remainder import Remainder, remainder_of
from ratel.core.rating.scope import Scope
from ratel.core.rating.taken import Sources, Taken
from ratel.core.window import Read, Service, ThingPart, reads_of


@dataclass(frozen=True, slots=True)
class ThingUsage:
    """One thing in one part with its usage; a counter has none.

    Attributes:
        by_segment: what the pricings of each segment take; by time, then values.
        accumulated: what has come together of each segment with a pricing that accumulates (R5).
        unpriced: what no pricing takes of what is asked for; by time, then values.
    """

    thing_part: ThingPart
    by_segment: Mapping[Values, tuple[Taken, ...]]
    unpriced: tuple[Taken, ...]
    accumulated: Accumulated = field(default_factory=dict)

    def taken_by(self, pricing: Pricing) -> tuple[Taken, ...]:
        """Return what a pricing takes: since it began to accumulate, if it does."""
        return (self.accumulated if pricing.accumulate else self.by_segment).get(pricing.segment, ())


def _every(item: LineItem) -> bool:
    return True


@dataclass(slots=True)
class Draft:
    """A rating on its way through the passes; each sees the line items of those before it.

    Attributes:
        levels: of the counters that have adjustments, by account and counter.
        includes: tells which charges are credited here: on a bill, those that fall due together.
        book: what is remembered from draft to draft.
        exchange: what brings its line items into one currency, before anything acts on several of them.
        invoice_time: when the day of a bill begins; far back if there is no bill.
    """

    scope: Scope
    thing_usages: tuple[ThingUsage, ...]
    levels: Mapping[tuple[str, str], Levels]
    line_items: list[LineItem] = field(default_factory=list)
    includes: Callable[[LineItem], bool] = _every
    book: Book = field(default_factory=Book)
    exchange: Exchange = Exchange()
    invoice_time: datetime = datetime.min.replace(tzinfo=UTC)
    _remainder: Remainder | None = None

    @property
    def remainder(self) -> Remainder:
        """What maximums and credits left of the line items so far; passes after the credits keep it true."""
        if self._remainder is None:
            apply_as = {each.id: each.apply_as for each in self.pricings.values()}
            self._remainder = remainder_of(self.line_items, apply_as)
        return self._remainder

    @property
    def pricings(self) -> Mapping[str, Pricing]:
        """The pricings of all windows, by id."""
        windows = (window for each in self.thing_usages for window in each.thing_part.windows)
        return {window.pricing.id: window.pricing for window in windows}

    def take_back(self, item: LineItem, amount: Decimal) -> LineItem:
        """Put a line item with so much less in the place of one, and return it (R7.4)."""
        less = replace(item, amount=item.amount - amount, taken_back=item.taken_back + amount)
        place = next(place for place, each in enumerate(self.line_items) if each is item)
        self.line_items[place] = less
        return less

    def in_order(self, line_items: Iterable[LineItem]) -> list[LineItem]:
        """Return line items by attachment, priced thing, segment and time."""
        places = {each.attachment.id: place for place, each in enumerate(self.scope.services)}

        def key(item: LineItem) -> tuple[int, str, str, Segment, datetime]:
            priced = (item.priced.kind, item.priced.id) if item.priced else ("", "")
            return places[item.origin.attachment_id], *priced, item.segment, item.service.start

        return sorted(line_items, key=key)


def sort_usage(thing_parts: Iterable[ThingPart], partials: Partials) -> Iterator[ThingUsage]:
    """Give each combination of each slice to the pricing that takes it (R2.4), part by part.

    Args:
        thing_parts: by service, then thing, then time.
        partials: what is kept of the events.
    """
    for _, parts in groupby(thing_parts, key=lambda each: (id(each.part.service), id(each.thing))):
        before: Accumulated = {}
        for each in parts:
            usage = _sort_part(each, partials, before)
            before = usage.accumulated
            yield usage


def _sort_part(thing_part: ThingPart, partials: Partials, before: Accumulated) -> ThingUsage:
    thing = thing_part.thing
    taken: dict[Values, list[Taken]] = {}
    unpriced: list[Taken] = []
    counted = [
        Taken(each, values, sources, reads[0].account_ids)
        for each in thing_part.slices
        for reads in zip(*(reads_of(aggregation.rollup, each) for aggregation in thing.aggregations), strict=True)
        for values, sources in _sources(thing, reads, partials).items()
    ]
    for each in counted:
        pricing = each.slice.in_force.taking(each.values)
        if pricing is not None:
            taken.setdefault(pricing.segment, []).append(each)
        elif each.slice.is_asked:
            unpriced.append(each)
    by_segment = {segment: tuple(found) for segment, found in taken.items()}
    return ThingUsage(thing_part, by_segment, tuple(unpriced), accumulate(thing, before, counted))


def _sources(thing: CompiledThing, reads: Sequence[Read], partials: Partials) -> dict[Values, Sources]:
    """Return what one read for each aggregation of a thing has brought."""
    kept = zip(thing.aggregations, reads, strict=True)
    counted = [by_segment(aggregation, partials.get(read, {})) for aggregation, read in kept]
    if thing.compound is None:
        return {values: (partial,) for values, partial in counted[0].items()}
    # Operands enter without their segments (R2.5).
    return {(): tuple(merge(found.values()) for found in counted)}


def merged(thing: CompiledThing, taken: Iterable[Taken]) -> Sources:
    """Return the usage of several combinations or slices together."""
    columns = zip(*(each.sources for each in taken), strict=True)
    return tuple(map(merge, columns)) or tuple(Partial() for _ in thing.aggregations)


def quantity_of_thing(thing: CompiledThing, sources: Sources, window: Period, *, has_default: bool) -> Quantity | None:
    """Return the quantity of a thing in a window; None when nothing counts and there is no default (R2.3, R2.5)."""
    if thing.compound is None:
        return _quantity(thing.aggregations[0], sources[0], window, has_default=has_default)
    return compound_quantity(
        thing.compound,
        {
            aggregation.id: _quantity(aggregation, partial, window, has_default=True)
            for aggregation, partial in zip(thing.aggregations, sources, strict=True)
        },
    )


def _quantity(aggregation: Aggregation, partial: Partial, window: Period, *, has_default: bool) -> Quantity | None:
    quantity = quantity_of(aggregation.method, partial, window)
    if quantity is None and has_default and aggregation.default_quantity is not None:
        return Quantity(aggregation.default_quantity)
    return quantity


# --- Making line items ------------------------------------------------------------------------------------------------


def origin_of(service: Service) -> Origin:
    """Return what charges for a service."""
    plan = service.plan
    plan_group_id = "" if plan.group is None else plan.group.id
    return Origin(plan.template.product_id, plan.plan.id, service.attachment.id, plan_group_id)


def rounded(service: Service, amount: Decimal) -> Decimal:
    """Round an exact amount as the plan's currency and the settings say (R1.7)."""
    return round_amount(amount, service.plan.template.currency, service.plan.settings.rounding_mode)


def segment_of(thing_part: ThingPart, values: Values) -> Segment:
    """Return the values with the names of their fields."""
    return tuple(zip(thing_part.thing.segment_fields, values, strict=True))


def name_of(thing_part: ThingPart, values: Values) -> str:
    """Return the thing's name, with the segment in parentheses (R3.6); a missing value is shown as ``""``."""
    listed = ", ".join(value or '""' for value in values)
    return f"{thing_part.thing.name} ({listed})" if values else thing_part.thing.name


def description_of(thing_part: ThingPart, pricing: Pricing, values: Values) -> str:
    """Return the pricing's own description, else the thing's name with the segment."""
    return pricing.description or name_of(thing_part, values)


def is_split(pricing: Pricing) -> bool:
    """Tell whether each combination that the pricing takes is priced by itself (R2.4)."""
    return WILDCARD in pricing.segment and not pricing.pool


def amounts(line_items: Iterable[LineItem]) -> Decimal:
    """Return the sum of rounded amounts, all in one currency."""
    return sum((item.amount for item in line_items), ZERO)
