"""A scope made ready to be rated again and again: all that does not depend on usage is done once.

Only for what is plain: usage priced by the window, beside charges that do not depend on usage. Whatever else takes part
(minimums, credits, windows of which only the end is asked for, anything that this module does not know) is left to
`rate`, which says what is right: for the same usage both make the same line items.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias, cast

from ratel.core.account import Account, Attachment
from ratel.core.account_rating import AccountRating
from ratel.core.bill import LineItem, LineItemKind, PricedQuantity, Segment, UsageWorkings
from ratel.core.compiled import CompiledThing, InForce
from ratel.core.event import Partial
from ratel.core.meter import Aggregation, Method
from ratel.core.money import exact
from ratel.core.pricing import ApplyAs, PricedThing, Pricing, SpendLimits
from ratel.core.quantity import Quantity, Values, by_segment, merge, quantity_of
from ratel.core.rating.draft import ThingUsage, is_split, rounded
from ratel.core.rating.quote import average_unit_price, price_quantity
from ratel.core.rating.rate import rate
from ratel.core.rating.scope import RatingContext, Scope
from ratel.core.rating.taken import Taken
from ratel.core.rating.usage import usage_of_window
from ratel.core.window import Read, ThingPart, Window, end_of

_METHODS: Final = frozenset(
    (Method.SUM, Method.MIN, Method.MAX, Method.LATEST, Method.MEAN, Method.UNIQUE, Method.COUNT)
)
_Key: TypeAlias = tuple[int, str, str, Segment, datetime]


@dataclass(frozen=True, slots=True, eq=False)
class LineTemplate:
    """A line item of usage but for what usage decides; one object for each, to be known by identity.

    Attributes:
        item: the line item of no usage.
        key: orders line items as a rating does.
    """

    item: LineItem
    key: _Key

    def fill(self, priced: PricedQuantity, amount: Decimal) -> LineItem:
        """Return the line item of some usage."""
        workings = cast(UsageWorkings, self.item.workings)
        average = average_unit_price(priced.amount, priced.units)
        return replace(
            self.item,
            amount=amount,
            exact_amount=priced.amount,
            workings=replace(workings, through=priced, average_unit_price=average),
        )


class PricedLine(NamedTuple):
    """What makes a template a line item; the same object as long as the quantity is the same."""

    template: LineTemplate
    priced: PricedQuantity
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PreparedScope:
    """A scope whose usage can be rated quickly.

    Attributes:
        scope: the scope.
        rest: its rating without line items of usage, which come before all of these.
    """

    scope: Scope
    rest: AccountRating
    _things: tuple["_Thing", ...]
    _unattached: tuple[int, ...]

    @exact
    def lines(self, kept: Sequence[Mapping[Values, Partial]]) -> list[PricedLine] | None:
        """Return the line items of usage, in order; None where only `rate` can tell.

        Args:
            kept: what is kept of the account's events for each of ``scope.reads``, in their order.
        """
        for place in self._unattached:
            if any(partial.event_count for partial in kept[place].values()):
                return None
        found: list[PricedLine] = []
        for thing in self._things:
            lines = thing.lines(kept)
            if lines is None:
                return None
            found += lines
        return sorted(found, key=_key)


def _key(line: PricedLine) -> _Key:
    return line.template.key


def prepare(scope: Scope) -> PreparedScope | None:
    """Return a scope made ready; None if some of it is not plain."""
    if not _is_plain(scope):
        return None
    things: list[_Thing] = []
    reads = {read: place for place, read in enumerate(scope.reads)}
    places = {each.attachment.id: place for place, each in enumerate(scope.services)}
    for each in scope.thing_parts:
        if each.thing.aggregations:
            thing = _prepare_thing(each, places[each.part.service.attachment.id], reads)
            if thing is None:
                return None
            things.append(thing)
    rating = rate(scope, {})
    others = tuple(item for item in rating.line_items if item.kind is not LineItemKind.USAGE)
    unattached = tuple(reads[read] for read in scope.unattached)
    return PreparedScope(scope, replace(rating, line_items=others), tuple(things), unattached)


# --- What is plain ----------------------------------------------------------------------------------------------------


def _is_plain(scope: Scope) -> bool:
    """Tell whether nothing takes part but what is named here: made from that alone, all is equal to what is there."""
    known = scope.context
    account, attachments, adjustments = known.account, known.attachments, known.adjustments
    plans = [service.plan for service in scope.services]
    return (
        account
        == Account(
            account.id,
            account.name,
            account.epoch,
            account.currency,
            account.parent_id,
            billed_with_parent=account.billed_with_parent,
        )
        and all(account.currency in ("", plan.template.currency) for plan in plans)
        and all(
            each == Attachment(each.id, each.account_id, each.plan_id, each.period, each.epoch) for each in attachments
        )
        and known
        == RatingContext(
            account,
            attachments,
            adjustments,
            known.plans,
            known.meters,
            settings=known.settings,
            parent_coverages=known.parent_coverages,
        )
        and scope == Scope(known, scope.asked, scope.services, scope.parts, scope.thing_parts, scope.unattached)
        and all(plan.group is None for plan in plans)
        and all(plan.terms.minimum_spend is None and plan.terms.maximum_spend is None for plan in plans)
        and all(_is_plain_pricing(pricing) for plan in plans for thing in plan.things for _, pricing in thing.stretches)
    )


def _is_plain_pricing(pricing: Pricing) -> bool:
    return (
        pricing.spend == SpendLimits()
        and pricing.apply_as is ApplyAs.DEBIT
        and pricing
        == Pricing(
            pricing.id,
            pricing.owner,
            pricing.priced,
            pricing.period,
            pricing.bands,
            pricing.segment,
            pricing.segment_fields,
            pricing.pool,
            description=pricing.description,
            counter_terms=pricing.counter_terms,
        )
    )


def _is_plain_thing(thing: CompiledThing) -> bool:
    return (
        len(thing.aggregations) == 1
        and thing.aggregations[0].method in _METHODS
        and thing
        == CompiledThing(
            thing.priced,
            thing.name,
            thing.unit,
            thing.quantity_per_unit,
            thing.rounding,
            thing.segment_fields,
            thing.aggregations,
            stretches=thing.stretches,
            boundaries=thing.boundaries,
            in_force=thing.in_force,
        )
    )


# --- One thing in one part --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A window, and for each of its combinations the line item of the quantity that it had last."""

    thing_part: ThingPart
    window: Window
    place: int
    is_split: bool
    last: dict[Values, tuple[Quantity | None, PricedLine]] = field(default_factory=dict)

    def line(self, values: Values, partials: list[Partial]) -> PricedLine | None:
        """Return what a combination is charged, if anything."""
        thing, pricing = self.thing_part.thing, self.window.pricing
        partial = partials[0] if len(partials) == 1 else merge(partials)
        quantity = quantity_of(thing.aggregations[0].method, partial, self.window.period)
        if quantity is None and not self.is_split:
            default = thing.aggregations[0].default_quantity
            quantity = None if default is None else Quantity(default)
        if quantity is None and (self.is_split or not pricing.bands.charge_zero):
            return None
        known = self.last.get(values)
        if known is not None and known[0] == quantity:
            return known[1]
        priced = price_quantity(quantity, thing.quantity_per_unit, thing.rounding, pricing.bands)
        template = self._template(values) if known is None else known[1].template
        line = PricedLine(template, priced, rounded(self.thing_part.part.service, priced.amount))
        # Combinations are many where callers make them up; what is kept of them is bounded.
        if known is None and len(self.last) >= _COMBINATIONS_MAX:
            self.last.clear()
        self.last[values] = quantity, line
        return line

    def _template(self, values: Values) -> LineTemplate:
        """Make the template of a combination from the line item that some usage of it would have."""
        piece = next(each for each in self.thing_part.slices if self.window.period.contains(each.period.start))
        # Counts as something, whatever the method.
        some = Partial(1, 1, _SOME, _SOME, _SOME, piece.period.start, "", _SOME, frozenset((b"",)))
        usage = ThingUsage(self.thing_part, {self.window.pricing.segment: (Taken(piece, values, (some,)),)}, ())
        (item,) = usage_of_window(usage, self.window)
        priced = cast(PricedThing, item.priced)
        key = self.place, priced.kind, priced.id, item.segment, item.service.start
        return LineTemplate(item, key)


_SOME: Final = Decimal(1)
_COMBINATIONS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class _Slice:
    """A slice, and which window takes a combination: None for none."""

    place: int
    in_force: InForce
    windows: Mapping[Values, _Window]
    known: dict[Values, _Window | None] = field(default_factory=dict)

    def taking(self, values: Values) -> _Window | None:
        try:
            return self.known[values]
        except KeyError:
            pricing = self.in_force.taking(values)
            if len(self.known) >= _COMBINATIONS_MAX:
                self.known.clear()
            self.known[values] = None if pricing is None else self.windows.get(pricing.segment)
            return self.known[values]


@dataclass(frozen=True, slots=True)
class _Thing:
    aggregation: Aggregation
    is_as_kept: bool
    windows: tuple[_Window, ...]
    slices: tuple[_Slice, ...]

    def lines(self, kept: Sequence[Mapping[Values, Partial]]) -> list[PricedLine] | None:
        """Return the line items of all windows; None if some usage belongs to none."""
        taken: dict[_Window, dict[Values, list[Partial]]] = {window: {} for window in self.windows}
        for piece in self.slices:
            for values, partial in self._counted(kept[piece.place]):
                window = piece.taking(values)
                if window is None:
                    if partial.value_count:
                        return None
                    continue  # events that carry no value are no usage
                apart = values if window.is_split else window.window.pricing.segment
                taken[window].setdefault(apart, []).append(partial)
        return list(_lines(taken))

    def _counted(self, kept: Mapping[Values, Partial]) -> Iterable[tuple[Values, Partial]]:
        return kept.items() if self.is_as_kept else by_segment(self.aggregation, kept).items()


def _lines(taken: dict[_Window, dict[Values, list[Partial]]]) -> Iterator[PricedLine]:
    for window, found in taken.items():
        nothing = {} if found or window.is_split else {window.window.pricing.segment: _NOTHING}
        for values, partials in (found or nothing).items():
            line = window.line(values, partials)
            if line is not None:
                yield line


_NOTHING: Final = [Partial()]


def _prepare_thing(thing_part: ThingPart, place: int, reads: Mapping[Read, int]) -> _Thing | None:
    """Return a thing made ready; None if it is not plain, or its windows reach back before what is asked for."""
    thing = thing_part.thing
    if not _is_plain_thing(thing) or any(window.origin != window.asked.start for window in thing_part.windows):
        return None
    windows = tuple(_Window(thing_part, window, place, is_split(window.pricing)) for window in thing_part.windows)
    aggregation = thing.aggregations[0]
    slices = []
    for each in thing_part.slices:
        start = each.period.start
        inside = [own for own in windows if own.window.origin <= start < end_of(own.window.asked)]
        by_pricing = {own.window.pricing.segment: own for own in inside}
        slices.append(_Slice(reads[Read(aggregation.rollup, each.period)], each.in_force, by_pricing))
    is_as_kept = aggregation.filter is None and aggregation.rollup.dimensions == aggregation.segment_fields
    return _Thing(aggregation, is_as_kept, windows, tuple(slices))
