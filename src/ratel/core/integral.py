"""A level that events change: what it comes to while it lasts, from what is kept of the changes (R2.7).

Of the changes in a stretch of time two sums are kept, of the changes and of change times instant. With the sum of all
changes before, they tell the integral of the level over the stretch exactly, whatever the order of the events.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, TypeAlias

from ratel.core.event import Partial
from ratel.core.instant import microseconds_from_instant
from ratel.core.meter import RollupDefinition
from ratel.core.money import exact
from ratel.core.period import Period
from ratel.core.quantity import Values, merge
from ratel.core.window import Read, end_of

_Kept: TypeAlias = Mapping[Values, Partial]

Partials: TypeAlias = Mapping[Read, _Kept]
"""For each read, what is kept of the events by a value for each dimension of its rollup; nothing stands for none."""

BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
"""No event is earlier."""


def changes_read(wanted: Iterable[Read]) -> tuple[Read, ...]:
    """Return what must be read to know what is wanted: of a level all changes since the beginning, each once."""
    wanted = tuple(dict.fromkeys(wanted))
    others = (read for read in wanted if not read.rollup.keeps_moment)
    changes = (
        Read(rollup, piece, account_ids)
        for (rollup, account_ids), found in _periods(wanted).items()
        for piece in _pieces(found)
    )
    return (*others, *changes)


@exact
def with_integrals(wanted: Iterable[Read], partials: Partials) -> Partials:
    """Return what is kept for all that is wanted.

    Args:
        wanted: the reads that are asked for.
        partials: for each of `changes_read`.

    Returns:
        The same, and for each wanted read of a level its integral: partials whose ``value_sum`` is the level times the
        microseconds that it lasted, and whose ``value_count`` is 0 only if nothing ever happened. Those of neighbouring
        stretches merge into that of both.
    """
    periods = _periods(wanted)
    if not periods:
        return partials
    found = dict(partials)
    for (rollup, account_ids), asked in periods.items():
        pieces = list(_integrals((rollup, account_ids), asked, partials))
        places = {start: place for place, (start, _) in enumerate(pieces)}
        places[max(map(end_of, asked))] = len(pieces)
        for period in asked:
            inside = pieces[places[period.start] : places[end_of(period)]]
            found[Read(rollup, period, account_ids)] = _together(kept for _, kept in inside)
    return found


_Whose: TypeAlias = tuple[RollupDefinition, frozenset[str]]


def _periods(wanted: Iterable[Read]) -> dict[_Whose, list[Period]]:
    """Return the periods in which levels are wanted, apart for each rollup and accounts: all their changes count."""
    periods: dict[_Whose, list[Period]] = {}
    for read in wanted:
        if read.rollup.keeps_moment:
            periods.setdefault((read.rollup, read.account_ids), []).append(read.period)
    return periods


def _pieces(periods: Iterable[Period]) -> Iterator[Period]:
    """Yield all time from the beginning to the last end, cut wherever one of the periods begins or ends."""
    bounds = {bound for period in periods for bound in (period.start, end_of(period))}
    yield from (Period(*piece) for piece in pairwise(sorted({BEGINNING, *bounds})))


def _integrals(whose: _Whose, periods: Iterable[Period], partials: Partials) -> Iterator[tuple[datetime, _Kept]]:
    """Yield the start of each piece with the integrals of the levels in it."""
    rollup, account_ids = whose
    changes: dict[Values, Partial] = {}
    for piece in _pieces(periods):
        inside = partials.get(Read(rollup, piece, account_ids), {})
        nothing = Partial()
        levels = changes.keys() | inside.keys()
        yield (
            piece.start,
            {each: _integral(changes.get(each, nothing), inside.get(each, nothing), piece) for each in levels},
        )
        for values, partial in inside.items():
            changes.setdefault(values, Partial()).merge(partial)


def _integral(before: Partial, inside: Partial, piece: Period) -> Partial:
    """Integrate the level that changes before a piece made, and that changes inside it change from their instant on."""
    start, end = microseconds_from_instant(piece.start), microseconds_from_instant(end_of(piece))
    return Partial(
        event_count=inside.event_count,
        value_count=before.value_count + inside.value_count,
        value_sum=before.value_sum * (end - start) + inside.value_sum * end - inside.value_moment,
    )


def _together(pieces: Iterable[_Kept]) -> _Kept:
    apart: dict[Values, list[Partial]] = {}
    for kept in pieces:
        for values, partial in kept.items():
            apart.setdefault(values, []).append(partial)
    return {values: merge(partials) for values, partials in apart.items()}
