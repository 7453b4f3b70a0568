"""A scope made ready to be rated again and again: all that does not depend on usage is done once.

Only for what is plain: usage priced by the window, beside charges that do not depend on usage. Whatever else takes part
(minimums, credits, windows of which only the end is asked for, anything that this module does not know) is left to
`rate`, which says what is right: for the same usage both make the same line items.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias, cast

from ratel.core.account import Account, Attachment
from ratel.core.account_rating import AccountRating
from ratel.core.bill import LineItemKind
from ratel.core.compiled import CompiledThing, InForce
from ratel.core.event import Partial
from ratel.core.meter import Aggregation, Method
from ratel.core.money import exact
from ratel.core.pricing import ApplyAs, PricedThing, Pricing, SpendLimits
from ratel.core.quantity import Quantity, Values, by_segment, merge, quantity_of
from ratel.core.rating.draft import ThingUsage, is_split
from ratel.core.rating.line_template import LineKey, LineTemplate, PricedLine
from ratel.core.rating.rate import rate
from ratel.core.rating.scope import RatingContext, Scope
from ratel.core.rating.taken import Taken
from ratel.core.rating.usage import usage_of_window
from ratel.core.window import Read, ThingPart, Window, end_of

_METHODS: Final = frozenset(
    (Method.SUM, Method.MIN, Method.MAX, Method.LATEST, Method.MEAN, Method.UNIQUE, Method.COUNT)
)
Kept: TypeAlias = Sequence[Mapping[Values, Partial]]
"""What is kept of an account's events for each of a scope's reads, in their order."""


class CountedLine(NamedTuple):
    """A line item of usage that some accounts have.

    Attributes:
        places: of these among all accounts.
        quantities: of each; None where nothing counts, and is charged for.
    """

    template: LineTemplate
    places: Sequence[int]
    quantities: Sequence[Quantity | None]


class Counted(NamedTuple):
    """What was counted of some accounts.

    Attributes:
        lines: in the order of a rating.
        untold: the places of accounts of which only `rate` can tell; they may be in lines too.
    """

    lines: Sequence[CountedLine]
    untold: Set[int]


@dataclass(frozen=True, slots=True)
class PreparedScope:
    """A scope whose usage can be rated quickly, that of many accounts as that of one.

    Attributes:
        scope: the scope.
        rest: its rating without line items of usage, which come before all of these.
    """

    scope: Scope
    rest: AccountRating
    _things: tuple["_Thing", ...]
    _unattached: tuple[int, ...]

    @exact
    def lines(self, kept: Kept) -> list[PricedLine] | None:
        """Return the line items of usage, in order; None where only `rate` can tell."""
        counted = self.count([kept])
        if counted.untold:
            return None
        return [line.template.priced(line.quantities[0]) for line in counted.lines]

    @exact
    def count(self, kept: Sequence[Kept]) -> Counted:
        """Return the line items of usage that accounts have, with what was counted for each."""
        untold = {
            place
            for place, own in enumerate(kept)
            for read in self._unattached
            if any(partial.event_count for partial in own[read].values())
        }
        lines = [line for thing in self._things for line in thing.count(kept, untold)]
        return Counted(sorted(lines, key=_key), untold)


def _key(line: CountedLine) -> LineKey:
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


_Found: TypeAlias = dict[int, list[Partial]]
"""What was found of a combination, by the account's place."""


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A window, and the templates of its combinations.

    Attributes:
        place: of its service.
        default: the quantity where nothing counts.
        is_zero_charged: whether there is a line then even without a default.
    """

    thing_part: ThingPart
    window: Window
    place: int
    is_split: bool
    default: Quantity | None
    is_zero_charged: bool
    templates: dict[Values, LineTemplate] = field(default_factory=dict)

    def combination(self, values: Values) -> Values:
        """Return by what usage is told apart."""
        return values if self.is_split else self.window.pricing.segment

    def count(self, values: Values, found: _Found, account_count: int) -> CountedLine | None:
        """Return what a combination is charged for; None for nothing."""
        method, period = self.thing_part.thing.aggregations[0].method, self.window.period
        default, is_zero_charged = self.default, self.is_zero_charged
        places: list[int] = []
        quantities: list[Quantity | None] = []
        for place in found if self.is_split else range(account_count):
            partials = found.get(place, _NOTHING)
            partial = partials[0] if len(partials) == 1 else merge(partials)
            quantity = quantity_of(method, partial, period) or default
            if quantity is not None or is_zero_charged:
                places.append(place)
                quantities.append(quantity)
        return CountedLine(self._template_of(values), places, quantities) if places else None

    def _template_of(self, values: Values) -> LineTemplate:
        found = self.templates.get(values)
        if found is None:
            # Combinations are many where callers make them up; what is kept of them is bounded.
            if len(self.templates) >= _COMBINATIONS_MAX:
                self.templates.clear()
            found = self.templates[values] = self._template(values)
        return found

    def _template(self, values: Values) -> LineTemplate:
        """Make the template of a combination from the line item that some usage of it would have."""
        piece = next(each for each in self.thing_part.slices if self.window.period.contains(each.period.start))
        # Counts as something, whatever the method.
        some = Partial(1, 1, _SOME, _SOME, _SOME, piece.period.start, "", _SOME, frozenset((b"",)))
        usage = ThingUsage(self.thing_part, {self.window.pricing.segment: (Taken(piece, values, (some,)),)}, ())
        (item,) = usage_of_window(usage, self.window)
        priced = cast(PricedThing, item.priced)
        key = self.place, priced.kind, priced.id, item.segment, item.service.start
        return LineTemplate(item, key, self.thing_part, self.window.pricing.bands)


_SOME: Final = Decimal(1)
_COMBINATIONS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class _Slice:
    """A slice, and which window takes which of its combinations, as what combination of its own: None for none."""

    place: int
    in_force: InForce
    windows: Mapping[Values, _Window]
    known: dict[Values, tuple[_Window, Values] | None] = field(default_factory=dict)

    def taking(self, values: Values) -> tuple[_Window, Values] | None:
        try:
            return self.known[values]
        except KeyError:
            pricing = self.in_force.taking(values)
            window = None if pricing is None else self.windows.get(pricing.segment)
            if len(self.known) >= _COMBINATIONS_MAX:
                self.known.clear()
            found = self.known[values] = None if window is None else (window, window.combination(values))
            return found


@dataclass(frozen=True, slots=True)
class _Thing:
    aggregation: Aggregation
    is_as_kept: bool
    windows: tuple[_Window, ...]
    slices: tuple[_Slice, ...]

    def count(self, kept: Sequence[Kept], untold: set[int]) -> Iterator[CountedLine]:
        """Yield the lines of all windows; accounts of which some usage belongs to none are then in ``untold``."""
        taken: dict[_Window, dict[Values, _Found]] = {window: {} for window in self.windows}
        for piece in self.slices:
            for place, own in enumerate(kept):
                for values, partial in self._counted(own[piece.place]):
                    taking = piece.taking(values)
                    if taking is not None:
                        window, combination = taking
                        taken[window].setdefault(combination, {}).setdefault(place, []).append(partial)
                    elif partial.value_count:  # events that carry no value are no usage
                        untold.add(place)
        for window, combinations in taken.items():
            nothing: dict[Values, _Found] = {} if window.is_split else {window.window.pricing.segment: {}}
            for values, found in (combinations or nothing).items():
                line = window.count(values, found, len(kept))
                if line is not None:
                    yield line

    def _counted(self, kept: Mapping[Values, Partial]) -> Iterable[tuple[Values, Partial]]:
        return kept.items() if self.is_as_kept else by_segment(self.aggregation, kept).items()


_NOTHING: Final = [Partial()]


def _prepare_thing(thing_part: ThingPart, place: int, reads: Mapping[Read, int]) -> _Thing | None:
    """Return a thing made ready; None if it is not plain, or its windows reach back before what is asked for."""
    thing = thing_part.thing
    if not _is_plain_thing(thing) or any(window.origin != window.asked.start for window in thing_part.windows):
        return None
    windows = tuple(_prepare_window(thing_part, window, place) for window in thing_part.windows)
    aggregation = thing.aggregations[0]
    slices = []
    for each in thing_part.slices:
        start = each.period.start
        inside = [own for own in windows if own.window.origin <= start < end_of(own.window.asked)]
        by_pricing = {own.window.pricing.segment: own for own in inside}
        slices.append(_Slice(reads[Read(aggregation.rollup, each.period)], each.in_force, by_pricing))
    is_as_kept = aggregation.filter is None and aggregation.rollup.dimensions == aggregation.segment_fields
    return _Thing(aggregation, is_as_kept, windows, tuple(slices))


def _prepare_window(thing_part: ThingPart, window: Window, place: int) -> _Window:
    default, is_apart = thing_part.thing.aggregations[0].default_quantity, is_split(window.pricing)
    return _Window(
        thing_part,
        window,
        place,
        is_split=is_apart,
        default=None if is_apart or default is None else Quantity(default),
        is_zero_charged=window.pricing.bands.charge_zero and not is_apart,
    )
