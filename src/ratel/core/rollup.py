"""Rollups: sums of events by account, hour or day of UTC, and dimensions, always equal to a fold of the events.

`fold` is the only way from events to sums, for batches just written, for recovery, for backfills and for the edges of
windows alike; so two ways can never disagree.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias, TypeVar

from ratel.core.event import Events, Partial, value_key
from ratel.core.instant import DAY, HOUR, instant_from_microseconds
from ratel.core.layout import Layout
from ratel.core.meter import FieldKind, RollupDefinition
from ratel.core.money import ZERO, exact

Values: TypeAlias = tuple[str, ...]
"""A value for each dimension of a rollup, in their order; ``""`` for a missing one."""

_Key = TypeVar("_Key", bound=Hashable)

HOUR_GRAIN: Final = 1
DAY_GRAIN: Final = 24


# --- Definitions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rollup:
    """One rollup, ready to fold events of its meter."""

    rollup_no: int
    layout: Layout
    definition: RollupDefinition

    def segments(self, events: Events) -> list[Values]:
        """Return the values of the dimensions, one element for each event, all of which are of this meter."""
        dimensions = self.definition.dimensions
        if not dimensions:
            return [()] * len(events)
        columns = ([text or "" for text in self.layout.strings(events, name)] for name in dimensions)
        return list(zip(*columns, strict=True))


@dataclass(frozen=True, slots=True)
class Definitions:
    """What events are checked and folded by, as of one revision of the catalog.

    Attributes:
        layouts: of all meters, by meter id.
        rollups: all of them.
        least_key: events with a UUIDv7 below it are refused: others of that time may be gone.
    """

    revision: int
    layouts: Mapping[str, Layout]
    rollups: tuple[Rollup, ...]
    least_key: bytes = b""
    rollup_nos: frozenset[int] = field(init=False, repr=False, compare=False)
    by_meter: Mapping[int, Sequence[Rollup]] = field(init=False, repr=False, compare=False)
    _by_definition: Mapping[RollupDefinition, Rollup] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_meter: dict[int, list[Rollup]] = {}
        for rollup in self.rollups:
            by_meter.setdefault(rollup.layout.meter_no, []).append(rollup)
        object.__setattr__(self, "by_meter", by_meter)
        object.__setattr__(self, "rollup_nos", frozenset(rollup.rollup_no for rollup in self.rollups))
        object.__setattr__(self, "_by_definition", {rollup.definition: rollup for rollup in self.rollups})

    @property
    def meter_nos(self) -> frozenset[int]:
        """The numbers of all meters."""
        return frozenset(layout.meter_no for layout in self.layouts.values())

    def rollup(self, definition: RollupDefinition) -> Rollup:
        """Return the rollup of this definition.

        Raises:
            KeyError: there is none, so no aggregation of this revision needs it.
        """
        return self._by_definition[definition]


# --- Folding ----------------------------------------------------------------------------------------------------------


class Hour(NamedTuple):
    """One bucket of an account; ``start`` in microseconds since 1970."""

    rollup_no: int
    start: int
    segment: Values


ByAccount: TypeAlias = dict[int, dict[Hour, Partial]]


@exact
def fold(events: Events, rollups: Mapping[int, Sequence[Rollup]]) -> ByAccount:
    """Return what rollups keep of events, by account number and hour.

    Args:
        events: of any accounts and meters.
        rollups: by meter number; events of other meters are left out.
    """
    folded: ByAccount = {}
    for meter_no, part in _by_meter(events):
        hours = [time - time % HOUR for time in part.times]
        groups: dict[Values, dict[tuple[int, int, Values], list[int]]] = {}
        for rollup in rollups.get(meter_no, ()):
            dimensions = rollup.definition.dimensions
            if dimensions not in groups:
                groups[dimensions] = _grouped(zip(part.account_nos, hours, rollup.segments(part), strict=True))
            for (account_no, hour, segment), partial in _partials(rollup, part, groups[dimensions]):
                _add_times(partial, part, groups[dimensions][account_no, hour, segment])
                folded.setdefault(account_no, {})[Hour(rollup.rollup_no, hour, segment)] = partial
    return folded


@exact
def fold_segments(events: Events, rollup: Rollup) -> dict[Values, Partial]:
    """Return what a rollup keeps of events of its meter, whatever their account and time, by segment."""
    return dict(_partials(rollup, events, _grouped(rollup.segments(events))))


def _by_meter(events: Events) -> Iterable[tuple[int, Events]]:
    groups = _grouped(events.meter_nos)
    if len(groups) == 1:
        return [(events.meter_nos[0], events)]
    return ((meter_no, events.take(places)) for meter_no, places in groups.items())


def _grouped(keys: Iterable[_Key]) -> dict[_Key, list[int]]:
    """Return the places at which each key stands."""
    groups: dict[_Key, list[int]] = {}
    for place, key in enumerate(keys):
        group = groups.get(key)
        if group is None:
            groups[key] = [place]
        else:
            group.append(place)
    return groups


def _partials(rollup: Rollup, events: Events, groups: Mapping[_Key, list[int]]) -> Iterator[tuple[_Key, Partial]]:
    name = rollup.definition.field
    if not name:
        for key, places in groups.items():
            yield key, Partial(event_count=len(places), value_count=len(places))
    elif rollup.layout.places[name][0] is FieldKind.STRING:
        texts = rollup.layout.strings(events, name)
        for key, places in groups.items():
            yield key, _text_partial([texts[place] for place in places], keeps_values=rollup.definition.keeps_values)
    else:
        numbers = rollup.layout.numbers(events, name)
        for key, places in groups.items():
            partial = _number_partial(events, numbers, places)
            if rollup.definition.keeps_moment:
                partial.value_moment = _moment(events, numbers, places)
            yield key, partial


def _add_times(partial: Partial, events: Events, places: list[int]) -> None:
    times = events.times
    partial.min_event_time = partial.max_event_time = instant_from_microseconds(times[places[0]])
    if len(places) > 1:
        found = [times[place] for place in places]
        partial.min_event_time, partial.max_event_time = map(instant_from_microseconds, (min(found), max(found)))


def _text_partial(texts: list[str | None], *, keeps_values: bool) -> Partial:
    present = [text for text in texts if text]
    values = frozenset(map(value_key, set(present))) if keeps_values else frozenset()
    return Partial(event_count=len(texts), value_count=len(present), values=values)


def _number_partial(events: Events, numbers: Sequence[Decimal | None], places: list[int]) -> Partial:
    if len(places) == 1:  # most are, where usage is spread over many accounts
        return _one_number(events, numbers[places[0]], places[0])
    partial = Partial(event_count=len(places))
    found = [(number, place) for place in places if (number := numbers[place]) is not None]
    if not found:
        return partial
    present = [number for number, _ in found]
    partial.value_count = len(present)
    partial.value_sum = sum(present, ZERO)
    partial.value_min, partial.value_max = min(present), max(present)
    latest = _latest(events, [place for _, place in found])
    partial.latest_time = instant_from_microseconds(events.times[latest])
    partial.latest_id = events.id_at(latest)
    partial.latest_value = numbers[latest]
    return partial


def _one_number(events: Events, number: Decimal | None, place: int) -> Partial:
    if number is None:
        return Partial(1)
    time = instant_from_microseconds(events.times[place])
    return Partial(1, 1, number, number, number, time, events.id_at(place), number)


def _moment(events: Events, numbers: Sequence[Decimal | None], places: list[int]) -> Decimal:
    found = ((numbers[place], events.times[place]) for place in places)
    return sum((number * time for number, time in found if number is not None), ZERO)


def _latest(events: Events, places: list[int]) -> int:
    """Return the place of the greatest time, among several of the greatest id (R2.3)."""
    times = events.times
    last = max([times[place] for place in places])
    ties = [place for place in places if times[place] == last]
    return ties[0] if len(ties) == 1 else max(ties, key=events.id_at)


# --- Buckets ----------------------------------------------------------------------------------------------------------


class Bucket(NamedTuple):
    """What one row of the rollups stands for; ``start`` in microseconds since 1970."""

    account_no: int
    rollup_no: int
    grain: int
    start: int
    segment: Values


def buckets_of(by_account: ByAccount) -> dict[Bucket, Partial]:
    """Return the hours and the days that they make up; the hours' partials themselves, new ones for the days."""
    buckets: dict[Bucket, Partial] = {}
    for account_no, hours in by_account.items():
        for hour, partial in hours.items():
            buckets[Bucket(account_no, hour.rollup_no, HOUR_GRAIN, hour.start, hour.segment)] = partial
            day = Bucket(account_no, hour.rollup_no, DAY_GRAIN, hour.start - hour.start % DAY, hour.segment)
            buckets.setdefault(day, Partial()).merge(partial)
    return buckets


def add_hours(total: ByAccount, added: ByAccount) -> None:
    """Merge the partials of further events into a total, which shares none of them."""
    for account_no, hours in added.items():
        into = total.setdefault(account_no, {})
        for hour, partial in hours.items():
            into.setdefault(hour, Partial()).merge(partial)


# --- Windows ----------------------------------------------------------------------------------------------------------


class Stretch(NamedTuple):
    """A part of a window that is read in one way: buckets of a grain, or with grain 0 what lies in a part of one hour.

    ``start`` and ``end`` in microseconds since 1970, half-open.
    """

    grain: int
    start: int
    end: int


def stretches(start: int, end: int) -> list[Stretch]:
    """Cut ``[start, end)`` into whole days, whole hours around them, and parts of hours at the edges, by time."""
    first_hour, last_hour = start + -start % HOUR, end - end % HOUR
    if first_hour > last_hour:
        return _present([Stretch(0, start, end)])
    first_day, last_day = first_hour + -first_hour % DAY, last_hour - last_hour % DAY
    if first_day >= last_day:
        middle = [Stretch(HOUR_GRAIN, first_hour, last_hour)]
    else:
        middle = [
            Stretch(HOUR_GRAIN, first_hour, first_day),
            Stretch(DAY_GRAIN, first_day, last_day),
            Stretch(HOUR_GRAIN, last_day, last_hour),
        ]
    return _present([Stretch(0, start, first_hour), *middle, Stretch(0, last_hour, end)])


def _present(cuts: list[Stretch]) -> list[Stretch]:
    return [cut for cut in cuts if cut.start < cut.end]
