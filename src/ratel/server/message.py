"""A message of usage, simple or in columns: read, and checked by column as far as that goes.

Events that cannot be told by column are judged one by one as simple events, which decides what is said of them. If any
of them is right after all, the whole message goes that way.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import TypeAlias

from google.protobuf.message import DecodeError

from ratel.core.block import Block
from ratel.core.columns import Columns
from ratel.core.errors import Invalid, Violation
from ratel.core.event import Events
from ratel.core.limits import EVENTS_PER_MESSAGE_MAX
from ratel.core.submission import Checked
from ratel.server.convert.columns import columns_from_events, columns_from_proto, event_id_of_columns, events_of_columns
from ratel.server.convert.usage import submission_from_proto
from ratel.server.convert.wire import WireMessage, columns_from_wire, wire_message
from ratel.server.intake import Intake
from ratel.server.validation import violations_by_index
from ratel.usage.v1 import usage_service_pb2 as pb
from ratel.usage.v1.usage_event_pb2 import UsageEvent

StreamedMessage: TypeAlias = pb.StreamUsageRequest | WireMessage
UsageMessage: TypeAlias = StreamedMessage | pb.SubmitUsageRequest
SmallMessage: TypeAlias = Sequence[UsageEvent] | WireMessage
EventsAt: TypeAlias = Callable[[Sequence[int]], Sequence[UsageEvent | None]]

_MALFORMED = Violation("", "MESSAGE_MALFORMED", "is no usage event")

FEW_EVENTS = 200
MANY_EVENTS = 2_000
"""Messages of at most so many simple events are checked together; of more, if they are read by column."""


def stream_request(data: bytes) -> StreamedMessage:
    """Return a message as it is read best: by protobuf only if it is not one of simple events."""
    return wire_message(data) or pb.StreamUsageRequest.FromString(data)


async def read_usage(request: UsageMessage, intake: Intake) -> Checked[Events | Block] | SmallMessage:
    """Return what of a message can be stored; a small one as it is, to be checked together with others.

    Raises:
        Invalid: the message itself is wrong, not only some of its events.
        DatabaseUnavailable: what the events name could not be looked up.
    """
    if isinstance(request, WireMessage):
        if len(request) <= MANY_EVENTS:
            return request
        if len(request) <= EVENTS_PER_MESSAGE_MAX:
            return await check_small([request], intake)
        request = pb.StreamUsageRequest.FromString(request.data)
    if request.HasField("columns") or not 0 < len(request.events) <= EVENTS_PER_MESSAGE_MAX:
        _check_whole(request)
        with intake.precedence:
            columns = _columns_of(request)
        return await _check(columns, partial(events_of_columns, request.columns), intake)
    if len(request.events) <= FEW_EVENTS:
        return request.events
    return await check_small([request.events], intake)


async def check_small(messages: Sequence[SmallMessage], intake: Intake) -> Checked[Events | Block]:
    """Tell what of messages of simple events can be stored; places count over all of them.

    Raises:
        DatabaseUnavailable: what the events name could not be looked up.
    """
    wires = [each for each in messages if isinstance(each, WireMessage)]
    if len(wires) == len(messages):
        with intake.precedence:
            columns = columns_from_wire(wires)
        return await _check(columns, partial(_events_of_wires, wires), intake)
    with intake.precedence:
        events = [event for each in messages for event in _events_of(each)]
        columns = columns_from_events(events)
    return await _check(columns, lambda places: [events[place] for place in places], intake)


def _events_of(message: SmallMessage) -> Sequence[UsageEvent]:
    if isinstance(message, WireMessage):
        return pb.StreamUsageRequest.FromString(message.data).events
    return message


def _events_of_wires(messages: Sequence[WireMessage], places: Sequence[int]) -> list[UsageEvent | None]:
    """Return events as protobuf reads them; None for what it does not."""
    firsts = list(accumulate(map(len, messages), initial=0))
    found: list[UsageEvent | None] = []
    for place in places:
        index = bisect_right(firsts, place) - 1
        try:
            found.append(UsageEvent.FromString(messages[index].event(place - firsts[index])))
        except DecodeError:
            found.append(None)
    return found


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
    """Return the id of an event of a message, as sent; empty if it cannot be read."""
    if isinstance(request, WireMessage):
        (event,) = _events_of_wires([request], [place])
        return "" if event is None else event.event_id
    return (
        event_id_of_columns(request.columns, place) if request.HasField("columns") else request.events[place].event_id
    )


def _columns_of(request: pb.StreamUsageRequest | pb.SubmitUsageRequest) -> Columns:
    try:
        return columns_from_proto(request.columns)
    except Invalid as error:
        raise error.under("columns") from None


def _check_whole(request: pb.StreamUsageRequest | pb.SubmitUsageRequest) -> None:
    whole, _ = violations_by_index(request, "events")
    if whole:
        raise Invalid(whole)


async def _judge(events: Sequence[UsageEvent | None], intake: Intake) -> Checked[Events]:
    message = pb.SubmitUsageRequest(events=[UsageEvent() if event is None else event for event in events])
    _, single = violations_by_index(message, "events")
    single |= {place: [_MALFORMED] for place, event in enumerate(events) if event is None}
    return await intake.check(submission_from_proto(message.events, single))
