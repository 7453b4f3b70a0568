"""A message of usage as it was sent, and what is wrong with its events (R2.1): each stands or falls by itself."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ratel.core.block import Block, joined
from ratel.core.errors import Invalid, Violation
from ratel.core.event import Events, event_key, is_hashed
from ratel.core.layout import Layout


@dataclass(frozen=True, slots=True)
class Submission:
    """Events as they were sent, one element of each column for each event.

    Attributes:
        times: microseconds since 1970.
        values: of fields, by name.
        rejections: what is wrong with the shape of single events, by place; nothing else is asked of those.
    """

    account_ids: list[str]
    meter_ids: list[str]
    event_ids: list[str]
    times: list[int]
    values: list[Mapping[str, str]]
    rejections: Mapping[int, Violation] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.event_ids)


E_co = TypeVar("E_co", bound=Events | Block, covariant=True)  # events of which nothing is changed


@dataclass(frozen=True, slots=True)
class Checked(Generic[E_co]):
    """What of a submission can be stored.

    Attributes:
        events: those without a mistake, in the order of the submission.
        places: the place of each of them in the submission.
        rejections: the first mistake of each other event, by place.
    """

    events: E_co
    places: Sequence[int]
    rejections: dict[int, Violation]

    @property
    def sent_count(self) -> int:
        """How many events were sent."""
        return len(self.events) + len(self.rejections)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message; places count in the message.

    Attributes:
        accepted_count: Events stored now.
        duplicates: Places of those that were there.
        conflicts: Places of those that are there with other content.
        rejections: What is wrong with the others, by place.
    """

    accepted_count: int
    duplicates: Sequence[int] = ()
    conflicts: Sequence[int] = ()
    rejections: dict[int, Violation] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether every event was stored now."""
        return not (self.duplicates or self.conflicts or self.rejections)


def check_submission(
    submission: Submission,
    accounts: Mapping[str, int],
    layouts: Mapping[str, Layout],
    time_max: int,
    least_key: bytes = b"",
) -> Checked[Events]:
    """Tell the events that can be stored from those that are wrong.

    The first mistake of an event counts, in this order: its shape, ACCOUNT_UNKNOWN, METER_UNKNOWN, EVENT_TIME_FUTURE,
    its values (see `Layout.place_values`), EVENT_ID_EXPIRED.

    Args:
        submission: what was sent.
        accounts: the number of each account, by id.
        layouts: of all meters, by id.
        time_max: the last instant that an event may have, in microseconds since 1970.
        least_key: keys below it are those of ids whose events may be gone, so that a repeat would count again.
    """
    events, places, rejections = Events(), list[int](), dict(submission.rejections)
    columns = (submission.account_ids, submission.meter_ids, submission.times, submission.values)
    for place, (account_id, meter_id, time, values) in enumerate(zip(*columns, strict=True)):
        if place in rejections:
            continue
        account_no, layout = accounts.get(account_id), layouts.get(meter_id)
        if account_no is None or layout is None or time > time_max:
            rejections[place] = _mistake(account_no, layout)
            continue
        try:
            measure, further, strings = layout.place_values(values)
        except Invalid as error:
            rejections[place] = error.violations[0]
            continue
        places.append(place)
        events.times.append(time)
        events.account_nos.append(account_no)
        events.meter_nos.append(layout.meter_no)
        events.measures.append(measure)
        events.further_measures.append(further)
        events.strings.append(strings)
    _add_identities(events, [submission.event_ids[place] for place in places])
    return _unexpired(Checked(events, places, rejections), least_key)


def _unexpired(checked: Checked[Events], least_key: bytes) -> Checked[Events]:
    kept = [index for index, key in enumerate(checked.events.keys) if key >= least_key]
    if len(kept) == len(checked.places):
        return checked
    places = [checked.places[index] for index in kept]
    expired = Violation("event_id", "EVENT_ID_EXPIRED", "is of a time whose events are no longer kept")
    gone = dict.fromkeys(set(checked.places) - set(places), expired)
    return Checked(checked.events.take(kept), places, checked.rejections | gone)


def keep_meters(checked: Checked[Events | Block], meter_nos: Collection[int]) -> Checked[Events | Block]:
    """Reject those events whose meter is none of these: it was deleted since they were checked."""
    kept = [index for index, meter_no in enumerate(checked.events.meter_nos) if meter_no in meter_nos]
    places = [checked.places[index] for index in kept]
    gone = dict.fromkeys(set(checked.places) - set(places), _mistake(0, None))
    return Checked(checked.events.take(kept), places, checked.rejections | gone)


def side_by_side(parts: Sequence[tuple[Checked[Events | Block], int]]) -> Checked[Events | Block]:
    """Return several submissions as one; places count over all of them.

    Args:
        parts: each with the number of its events, those that are wrong included.
    """
    if len(parts) == 1:
        return parts[0][0]
    if not any(checked.rejections for checked, _ in parts):
        whole = _joined([checked.events for checked, _ in parts])
        return Checked(whole, range(len(whole)), {})
    places: list[int] = []
    rejections: dict[int, Violation] = {}
    start = 0
    for checked, count in parts:
        places += [start + place for place in checked.places] if start else checked.places
        rejections |= {start + place: violation for place, violation in checked.rejections.items()}
        start += count
    return Checked(_joined([checked.events for checked, _ in parts]), places, rejections)


def _joined(parts: Sequence[Events | Block]) -> Events | Block:
    """Return all events; as a block if all are blocks."""
    blocks = [part for part in parts if isinstance(part, Block)]
    if len(blocks) == len(parts):
        return joined(blocks)
    events = Events()
    for part in parts:
        events.extend(part.events() if isinstance(part, Block) else part)
    return events


def _mistake(account_no: int | None, layout: Layout | None) -> Violation:
    if account_no is None:
        return Violation("account_id", "ACCOUNT_UNKNOWN", "must be an account")
    if layout is None:
        return Violation("meter_id", "METER_UNKNOWN", "must be a meter")
    return Violation("event_time", "EVENT_TIME_FUTURE", "is too far in the future")


def _add_identities(events: Events, event_ids: list[str]) -> None:
    keys = [event_key(event_id) for event_id in event_ids]
    events.keys.extend(keys)
    events.ids.extend(event_id if is_hashed(key) else None for key, event_id in zip(keys, event_ids, strict=True))
