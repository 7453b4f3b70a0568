"""Usage that nobody pays for: no pricing takes it, or no attachment covers it (R3.5). Nothing is silently free."""

from collections.abc import Iterator
from itertools import groupby

from ratel.core.bill import UnattachedUsage, UnpricedUsage
from ratel.core.period import Period
from ratel.core.quantity import Values
from ratel.core.rating.draft import Draft, Partials, Taken, ThingUsage, merged, quantity_of_thing, segment_of
from ratel.core.rating.scope import Scope


def unpriced_usages(draft: Draft) -> Iterator[UnpricedUsage]:
    """Yield, by attachment, thing, bill period and combination, each stretch in which usage is not priced."""
    for thing_usage in draft.thing_usages:
        for _, found in groupby(sorted(thing_usage.unpriced, key=_values), key=_values):
            for stretch in _stretches(found):
                yield from _unpriced(thing_usage, stretch)


def _values(taken: Taken) -> Values:
    return taken.values


def _stretches(taken: Iterator[Taken]) -> Iterator[list[Taken]]:
    """Yield the neighbouring slices of one combination together; they come by time."""
    stretch: list[Taken] = []
    for each in taken:
        if stretch and stretch[-1].slice.period.end != each.slice.period.start:
            yield stretch
            stretch = []
        stretch.append(each)
    if stretch:
        yield stretch


def _unpriced(thing_usage: ThingUsage, stretch: list[Taken]) -> Iterator[UnpricedUsage]:
    thing_part = thing_usage.thing_part
    sources = merged(thing_part.thing, stretch)
    if not any(partial.value_count for partial in sources):
        return  # a default, or a formula without usage, is no usage
    quantity = quantity_of_thing(thing_part.thing, sources, has_default=False)
    if quantity is not None:
        yield UnpricedUsage(
            attachment_id=thing_part.part.service.attachment.id,
            priced=thing_part.thing.priced,
            segment=segment_of(thing_part, stretch[0].values),
            period=Period(stretch[0].slice.period.start, stretch[-1].slice.period.end),
            quantity=quantity.value,
        )


def unattached_usages(scope: Scope, partials: Partials) -> Iterator[UnattachedUsage]:
    """Yield, by meter and time, each stretch in which the account is on no plan of the meter's product, with usage."""
    for read in scope.unattached:
        count = sum(partial.event_count for partial in partials.get(read, {}).values())
        if count:
            yield UnattachedUsage(read.rollup.meter_id, read.period, count)
