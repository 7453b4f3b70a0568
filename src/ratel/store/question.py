"""What is asked of the rollups, made ready once, and what the rows of an answer come to.

A question may be asked again and again, and several of them at once: then their parts stand one after the other in the
parameters of one statement.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any, Final, NamedTuple, TypeAlias

from ratel.core.event import Events, Partial
from ratel.core.instant import instant_from_microseconds, microseconds_from_instant
from ratel.core.rollup import Rollup, Stretch, Values, fold_segments, stretches

# The places of a row's columns; rows may be plain tuples, which come inside the row of another statement. A part of an
# hour has the number of its rollup in place of a meter's.
KIND, PART, SEGMENT, EVENT_COUNT, VALUE_COUNT, VALUE_SUM, VALUE_MIN, VALUE_MAX = range(8)
LATEST_TIME, LATEST_ID, LATEST_VALUE, KEYS, ACCOUNT_NO, METER_NO, MEASURES, MOMENT = range(8, 16)
ROLLUP_NO: Final = METER_NO

Edge: TypeAlias = tuple[int, int, int]
"""A part of one hour: the number of a meter, start and end in microseconds since 1970."""

AccountNos: TypeAlias = tuple[int, ...]
"""The numbers of accounts, in the order in which the latest of their events come that have the same time and id."""


class Slice(NamedTuple):
    """What to read: the events of accounts together in ``[start, end)``, as a rollup keeps them.

    Attributes:
        keeps_latest: whether the latest value is needed; else it may be left out.
        keeps_extremes: whether the least and the greatest value are needed; else they may be left out.
    """

    account_nos: AccountNos
    rollup: Rollup
    start: datetime
    end: datetime
    keeps_latest: bool = True
    keeps_extremes: bool = True


@dataclass(slots=True, eq=False)
class Span:
    """One slice, however often it is asked for; times in microseconds since 1970."""

    account_nos: AccountNos
    rollup: Rollup
    start: int
    end: int
    keeps_latest: bool
    keeps_extremes: bool
    stretches: tuple[Stretch, ...]

    @property
    def edges(self) -> "Iterable[Edge]":
        """The stretches that are parts of hours, by meter and time."""
        return ((self.rollup.layout.meter_no, each.start, each.end) for each in self.stretches if not each.grain)


@dataclass(slots=True, eq=False)
class Window:
    """A span while it is read."""

    span: Span
    partials: dict[Values, Partial] = field(default_factory=dict)

    def add(self, account_no: int, segment: Values, partial: Partial) -> None:
        """Add what others keep too."""
        self.partials.setdefault(segment, Partial()).merge(self._told_apart(account_no, partial))

    def take(self, account_no: int, segment: Values, partial: Partial) -> None:
        """Add what nobody else has."""
        partial = self._told_apart(account_no, partial)
        known = self.partials.setdefault(segment, partial)
        if known is not partial:
            known.merge(partial)

    def _told_apart(self, account_no: int, partial: Partial) -> Partial:
        numbers = self.span.account_nos
        return partial if len(numbers) == 1 else partial.of_account(numbers.index(account_no))

    def holds_hour(self, start: int) -> bool:
        """Tell whether that hour is read from buckets, not from events."""
        return any(each.grain and each.start <= start < each.end for each in self.span.stretches)


_Columns: TypeAlias = tuple[list[int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Slices made ready to be read.

    Attributes:
        spans: the slices, equal ones once.
        places: of each slice among the spans.
        parts: the place of a span for each of its stretches of buckets.
        columns: the stretches of buckets: account, rollup, grain, and both ends in microseconds since 1970.
        start, end: of all spans; None without any.
    """

    spans: tuple[Span, ...]
    places: tuple[int, ...]
    parts: tuple[int, ...]
    columns: _Columns
    start: datetime | None
    end: datetime | None

    @property
    def has_edges(self) -> bool:
        """Whether it asks for any part of an hour."""
        return any(not each.grain for span in self.spans for each in span.stretches)

    def give(self, windows: Sequence[Window]) -> list[dict[Values, Partial]]:
        """Return what was read of each slice, not shared with another."""
        given: set[int] = set()
        return [_given_once(place, windows[place], given) for place in self.places]


def question_of(slices: Iterable[Slice]) -> Question:
    """Return the question that asks for slices of any accounts."""
    spans: dict[tuple[AccountNos, int, int, int], Span] = {}
    found = [_span_of(spans, each) for each in slices]
    numbers = {id(span): place for place, span in enumerate(spans.values())}
    parts = [
        (span, each, account_no)
        for span in spans.values()
        for each in span.stretches
        if each.grain
        for account_no in span.account_nos
    ]
    columns: _Columns = (
        [account_no for _, _, account_no in parts],
        [span.rollup.rollup_no for span, _, _ in parts],
        [each.grain for _, each, _ in parts],
        [each.start for _, each, _ in parts],
        [each.end for _, each, _ in parts],
    )
    return Question(
        spans=tuple(spans.values()),
        places=tuple(numbers[id(span)] for span in found),
        parts=tuple(numbers[id(span)] for span, _, _ in parts),
        columns=columns,
        start=instant_from_microseconds(min(span.start for span in found)) if found else None,
        end=instant_from_microseconds(max(span.end for span in found)) if found else None,
    )


class _Places(dict[int, int]):
    """Microseconds with their places from 1, in the order in which they were asked for: many parts share theirs."""

    def __missing__(self, microseconds: int) -> int:
        self[microseconds] = len(self) + 1
        return self[microseconds]


def _span_of(spans: dict[tuple[AccountNos, int, int, int], Span], wanted: Slice) -> Span:
    start, end, cuts = _cut(wanted.start, wanted.end)
    key = (wanted.account_nos, wanted.rollup.rollup_no, start, end)
    span = spans.get(key)
    if span is None:
        keeps = wanted.keeps_latest, wanted.keeps_extremes
        span = spans[key] = Span(wanted.account_nos, wanted.rollup, start, end, *keeps, cuts)
    span.keeps_latest |= wanted.keeps_latest
    span.keeps_extremes |= wanted.keeps_extremes
    return span


@lru_cache(1_000)  # many accounts are asked for the same months
def _cut(start: datetime, end: datetime) -> tuple[int, int, tuple[Stretch, ...]]:
    """Return the ends of a period in microseconds, and its stretches."""
    first, last = microseconds_from_instant(start), microseconds_from_instant(end)
    return first, last, tuple(stretches(first, last))


def _given_once(place: int, window: Window, given: set[int]) -> dict[Values, Partial]:
    """Return a window's partials, as copies if they were given before."""
    if place not in given:
        given.add(place)
        return window.partials
    copy = {segment: Partial() for segment in window.partials}
    for segment, partial in window.partials.items():
        copy[segment].merge(partial)
    return copy


# --- Answers ----------------------------------------------------------------------------------------------------------

_Edges: TypeAlias = dict[Edge, dict[int, list[Window]]]
"""Parts of hours, with the windows that share each by account number."""


class Asking:
    """Questions that are asked at once, and what their windows come to as rows are taken.

    Attributes:
        windows: of each question.
    """

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions
        self.windows = [[Window(span) for span in question.spans] for question in questions]
        pairs = list(zip(questions, self.windows, strict=True))
        self._owners = [
            (windows[place], account_no)
            for question, windows in pairs
            for place, account_no in zip(question.parts, question.columns[0], strict=True)
        ]
        self._edges = _edges_of(window for question, windows in pairs if question.has_edges for window in windows)
        self._edge_of = list(self._edges)

    @property
    def all_windows(self) -> list[Window]:
        """The windows of all questions."""
        return list(chain.from_iterable(self.windows))

    def parameters(self, start: datetime, end: datetime) -> tuple[object, ...]:
        """Return the parameters of a statement that answers.

        Args:
            start: stands where no question says since when.
            end: stands where no question says until when.
        """
        columns = zip(*(question.columns for question in self._questions), strict=True)
        accounts, rollups, grains, *times = (list(chain.from_iterable(each)) for each in columns)
        edges, places = self._edges, _Places()
        spans = [span for question in self._questions for span in question.spans]
        return (
            *(accounts, rollups, grains, *([places[each] for each in column] for column in times)),
            list(map(instant_from_microseconds, places)),
            sorted({span.rollup.rollup_no for span in spans if span.keeps_latest}),
            sorted({span.rollup.rollup_no for span in spans if span.rollup.definition.keeps_values}),
            [meter_no for meter_no, _, _ in edges],
            [instant_from_microseconds(first) for _, first, _ in edges],
            [instant_from_microseconds(last) for _, _, last in edges],
            list(accumulate(map(len, edges.values()))),
            list(chain.from_iterable(edges.values())),
            min((question.start for question in self._questions if question.start), default=start),
            max((question.end for question in self._questions if question.end), default=end),
            sorted({span.rollup.rollup_no for span in spans}),
            sorted({span.rollup.rollup_no for span in spans if span.keeps_extremes}),
        )

    def take(self, rows: Iterable[Any]) -> "Rest":
        """Add what is kept by rows of buckets and events to the windows, and return what the other rows say."""
        rest = Rest()
        events: list[Any] = []
        part_hours: list[Any] = []
        for row in rows:
            kind = row[KIND]
            partial_from_row = _KEPT.get(kind)
            if partial_from_row is not None:
                window, account_no = self._owners[row[PART] - 1]
                window.take(account_no, tuple(row[SEGMENT]), partial_from_row(row))
            elif kind == "part hour":
                part_hours.append(row)
            elif kind == "event":
                events.append(row)
            elif kind == "split hour":
                rest.split_hours.add((self._edge_of[row[PART] - 1], row[ACCOUNT_NO]))
            elif kind == "backfill":
                rest.backfilling.add(row[PART])
            elif kind == "dropped":
                rest.dropped_until = row[LATEST_TIME]
            elif kind == "incomplete":
                rest.complete_from[row[PART]] = row[LATEST_TIME]
            else:
                rest.pending[row[PART]] = kind == "dirty"
        self._add_part_hours(part_hours, rest.split_hours)
        self._add_events(events, rest.split_hours)
        return rest

    def _add_part_hours(self, rows: Iterable[Any], split: Container[tuple[Edge, int]]) -> None:
        """Add buckets that lie inside an edge, but for those of accounts whose events are read."""
        for row in rows:
            edge, account_no = self._edge_of[row[PART] - 1], row[ACCOUNT_NO]
            if (edge, account_no) not in split:
                for window in self._edges[edge].get(account_no, ()):
                    if window.span.rollup.rollup_no == row[ROLLUP_NO]:
                        window.take(account_no, tuple(row[SEGMENT]), _part_hour_from_row(row))

    def _add_events(self, rows: Iterable[Any], split: Container[tuple[Edge, int]]) -> None:
        """Fold the events of each edge and account for every window that shares it.

        Edges of the same time are read together, so events come of meters and accounts that nobody looked for there.
        """
        apart: dict[tuple[Edge, int], list[Any]] = {}
        for row in rows:
            _, start, end = self._edge_of[row[PART] - 1]
            apart.setdefault(((row[METER_NO], start, end), row[ACCOUNT_NO]), []).append(row)
        for (edge, account_no), own in apart.items():
            if (edge, account_no) in split:
                events = _events_from_rows(own)
                for window in self._edges[edge][account_no]:
                    for segment, partial in fold_segments(events, window.span.rollup).items():
                        window.take(account_no, segment, partial)


@dataclass(slots=True)
class Rest:
    """What an answer says beside the buckets.

    Attributes:
        pending: the batches that are not in the buckets, each with whether its events were changed.
        split_hours: parts of hours that are read from events, by account.
        backfilling: numbers of the rollups that are not complete.
        dropped_until: events before it may be gone.
        complete_from: from where on rollups know all, of those that do not know everything.
    """

    pending: dict[int, bool] = field(default_factory=dict)
    split_hours: set[tuple[Edge, int]] = field(default_factory=set)
    backfilling: set[int] = field(default_factory=set)
    dropped_until: datetime | None = None
    complete_from: dict[int, datetime] = field(default_factory=dict)

    def lacking(self, windows: Iterable[Window]) -> dict[AccountNos, datetime]:
        """Return the accounts of which something is not known any more, each with until when that may be so.

        That is what is read from events that may be gone: split hours, and rollups that are not complete; and what a
        rollup that was made later never knew.
        """
        lacking: dict[AccountNos, datetime] = {}
        if self.dropped_until is None and not self.complete_from:
            return lacking
        for window in windows:
            span = window.span
            untils = [self.complete_from.get(span.rollup.rollup_no), self._dropped_until(span)]
            found = [until for until in untils if until and microseconds_from_instant(until) > span.start]
            if found:
                lacking[span.account_nos] = max([*found, lacking.get(span.account_nos, found[0])])
        return lacking

    def _dropped_until(self, span: Span) -> datetime | None:
        if self.dropped_until is None or span.rollup.rollup_no in self.backfilling:
            return self.dropped_until
        until = microseconds_from_instant(self.dropped_until)
        reads = (
            edge for edge in span.edges for account_no in span.account_nos if (edge, account_no) in self.split_hours
        )
        return self.dropped_until if any(start < until for _, start, _ in reads) else None


def _edges_of(windows: Iterable[Window]) -> _Edges:
    edges: _Edges = {}
    for window in windows:
        for edge in window.span.edges:
            for account_no in window.span.account_nos:
                edges.setdefault(edge, {}).setdefault(account_no, []).append(window)
    return edges


def _bucket_from_row(row: Any) -> Partial:
    partial = Partial(*row[EVENT_COUNT:LATEST_TIME])
    if row[MOMENT]:
        partial.value_moment = row[MOMENT]
    return partial


def _latest_from_row(row: Any) -> Partial:
    return Partial(latest_time=row[LATEST_TIME], latest_id=row[LATEST_ID], latest_value=row[LATEST_VALUE])


def _values_from_row(row: Any) -> Partial:
    return Partial(values=frozenset(key.bytes for key in row[KEYS]))


def _part_hour_from_row(row: Any) -> Partial:
    partial = _bucket_from_row(row)
    partial.latest_time, partial.latest_id, partial.latest_value = (
        row[LATEST_TIME],
        row[LATEST_ID] or "",
        row[LATEST_VALUE],
    )
    if row[KEYS]:
        partial.values = _values_from_row(row).values
    return partial


_KEPT: Final = {"bucket": _bucket_from_row, "latest": _latest_from_row, "values": _values_from_row}


def _events_from_rows(rows: Sequence[Any]) -> Events:
    """Return the events of rows of kind 'event', which stand in the columns of a bucket."""
    return Events(
        keys=[row[KEYS][0].bytes for row in rows],
        ids=[row[LATEST_ID] for row in rows],
        times=[microseconds_from_instant(row[LATEST_TIME]) for row in rows],
        account_nos=[row[ACCOUNT_NO] for row in rows],
        meter_nos=[row[METER_NO] for row in rows],
        measures=[row[VALUE_SUM] for row in rows],
        further_measures=[row[MEASURES] for row in rows],
        strings=[row[SEGMENT] for row in rows],
    )
