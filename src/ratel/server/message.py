"""A message of usage, simple or in columns: read, and checked by column as far as that goes.

Events that cannot be told by column are judged one by one as simple events, which decides what is said of them. If any
of them is right after all, the whole message goes that way.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from ratel.core.block import Block
from ratel.core.columns import Columns
from ratel.core.errors import Invalid
from ratel.core.event import Events
from ratel.core.limits import EVENTS_PER_MESSAGE_MAX
from ratel.core.submission import Checked
from ratel.server.convert.columns import columns_from_events, columns_from_proto, event_id_of_columns, events_of_columns
from ratel.server.convert.usage import submission_from_proto
from ratel.server.intake import Intake
from ratel.server.validation import violations_by_index
from ratel.usage.v1 import usage_service_pb2 as pb
from ratel.usage.v1.usage_event_pb2 import UsageEvent

UsageMessage: TypeAlias = pb.StreamUsageRequest | pb.SubmitUsageRequest
EventsAt: TypeAlias = Callable[[Sequence[int]], Sequence[UsageEvent]]

FEW_EVENTS = 200
"""Messages of at most so many simple events are checked together."""


async def read_usage(request: UsageMessage, intake: Intake) -> Checked[Events | Block] | Sequence[UsageEvent]:
    """Return what of a message can be stored; of a small one its events, to be checked together with others.

    Raises:
        Invalid: the message itself is wrong, not only some of its events.
        DatabaseUnavailable: what the events name could not be looked up.
    """
    if request.HasField("columns") or not 0 < len(request.events) <= EVENTS_PER_MESSAGE_MAX:
        _check_whole(request)
        columns = _columns_of(request)
        return await _check(columns, partial(events_of_columns, request.columns), intake)
    if len(request.events) <= FEW_EVENTS:
        return request.events
    return await check_events(request.events, intake)


async def check_events(events: Sequence[UsageEvent], intake: Intake) -> Checked[Events | Block]:
    """Tell what of simple events can be stored.

    Raises:
        DatabaseUnavailable: what the events name could not be looked up.
    """
    return await _check(columns_from_events(events), lambda places: [events[place] for place in places], intake)


async def _check(columns: Columns, events_at: EventsAt, intake: Intake) -> Checked[Events | Block]:
    sifted = await intake.sift(columns)
    if not sifted.left:
        return Checked(sifted.block, sifted.places, {})
    judged = await _judge(events_at(sifted.left), intake)
    if judged.places:
        return await _judge(events_at(range(len(columns))), intake)
    rejections = {place: judged.rejections[index] for index, place in enumerate(sifted.left)}
    return Checked(sifted.block, sifted.places, rejections)


def event_id_at(request: UsageMessage, place: int) -> str:
    """Return the id of an event of a message, as sent."""
    return (
        event_id_of_columns(request.columns, place) if request.HasField("columns") else request.events[place].event_id
    )


def _columns_of(request: UsageMessage) -> Columns:
    try:
        return columns_from_proto(request.columns)
    except Invalid as error:
        raise error.under("columns") from None


def _check_whole(request: UsageMessage) -> None:
    whole, _ = violations_by_index(request, "events")
    if whole:
        raise Invalid(whole)


async def _judge(events: Sequence[UsageEvent], intake: Intake) -> Checked[Events]:
    message = pb.SubmitUsageRequest(events=events)
    _, single = violations_by_index(message, "events")
    return await intake.check(submission_from_proto(message.events, single))
