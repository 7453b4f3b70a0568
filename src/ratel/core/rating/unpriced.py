"""Usage that nobody pays for: no pricing takes it, or no attachment covers it (R3.5). Nothing is silently free."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from ratel.core.account_rating import UnattachedUsage, UnpricedUsage
from ratel.core.integral import Partials
from ratel.core.period import Period
from ratel.core.quantity import Values
from ratel.core.rating.draft import Draft, merged, quantity_of_thing, segment_of
from ratel.core.rating.scope import Scope
from ratel.core.rating.taken import Taken
from ratel.core.window import Slice, ThingPart


def unpriced_usages(draft: Draft) -> Iterator[UnpricedUsage]:
    """Yield, by attachment, thing, bill period and combination, each stretch in which usage is not priced."""
    for thing_usage in draft.thing_usages:
        thing_part = thing_usage.thing_part
        for values, found in groupby(sorted(thing_usage.unpriced, key=_values), key=_values):
            taken = tuple(found)
            for stretch in _stretches(thing_part, values):
                inside = [each for each in taken if each.slice in stretch]
                yield from _unpriced(thing_part, values, stretch, inside)


def _values(taken: Taken) -> Values:
    return taken.values


def _stretches(thing_part: ThingPart, values: Values) -> Iterator[Sequence[Slice]]:
    """Yield the neighbouring slices that are asked for and in which no pricing takes the combination."""
    for is_free, slices in groupby(
        thing_part.slices, key=lambda piece: piece.is_asked and piece.in_force.taking(values) is None
    ):
        if is_free:
            yield tuple(slices)


def _unpriced(
    thing_part: ThingPart, values: Values, stretch: Sequence[Slice], taken: Iterable[Taken]
) -> Iterator[UnpricedUsage]:
    sources = merged(thing_part.thing, taken)
    if not any(partial.value_count for partial in sources):
        return  # a default, or a formula without usage, is no usage
    period = Period(stretch[0].period.start, stretch[-1].period.end)
    quantity = quantity_of_thing(thing_part.thing, sources, period, has_default=False)
    # A level that is back at 0 would else be listed for ever.
    if quantity is not None and (quantity.numerator or not thing_part.thing.is_level):
        yield UnpricedUsage(
            attachment_id=thing_part.part.service.attachment.id,
            priced=thing_part.thing.priced,
            segment=segment_of(thing_part, values),
            period=period,
            quantity=quantity.value,
        )


def unattached_usages(scope: Scope, partials: Partials) -> Iterator[UnattachedUsage]:
    """Yield, by meter and time, each stretch in which the account is on no plan of the meter's product, with usage."""
    for read in scope.unattached:
        count = sum(partial.event_count for partial in partials.get(read, {}).values())
        if count:
            yield UnattachedUsage(read.rollup.meter_id, read.period, count)
