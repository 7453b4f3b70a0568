"""Usage between the contract and the core: messages become columns at once, and verdicts are made only where needed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from ratel.core.errors import Violation
from ratel.core.event import Events
from ratel.core.instant import (
    MICROSECONDS_MAX,
    MICROSECONDS_MIN,
    MICROSECONDS_PER_SECOND,
    instant_from_microseconds,
)
from ratel.core.layout import Layout
from ratel.core.limits import ID_LENGTH_MAX
from ratel.core.meter import Aggregation, FieldKind
from ratel.core.money import text_from_decimal
from ratel.core.period import Period
from ratel.core.quantity import Values
from ratel.core.submission import Outcome, Submission
from ratel.core.usage_query import UsageGrain
from ratel.server.convert.value import EnumPair, instant_to_proto
from ratel.usage.v1 import usage_event_pb2 as pb
from ratel.usage.v1 import usage_service_pb2 as service_pb

_NANOS_PER_MICROSECOND = 1_000
_NANOS_PER_SECOND = 1_000_000_000
_NO_TIME = 0

GRAINS = EnumPair(UsageGrain, service_pb.UsageGrain.Name, service_pb.UsageGrain.Value, "USAGE_GRAIN_")


def submission_from_proto(
    messages: Sequence[pb.UsageEvent], violations: Mapping[int, Sequence[Violation]]
) -> Submission:
    """Return the events of a message in columns.

    Args:
        messages: the events.
        violations: of the contract's rules, by place.
    """
    rejections = {place: found[0] for place, found in violations.items()}
    times = []
    for place, message in enumerate(messages):
        time = _microseconds(message)
        if time is None:
            rejections.setdefault(
                place, Violation("event_time", "EVENT_TIME_INVALID", "must lie in the years 1 to 9999")
            )
        times.append(_NO_TIME if time is None else time)
    return Submission(
        [message.account_id for message in messages],
        [message.meter_id for message in messages],
        [message.event_id for message in messages],
        times,
        [{name: message.values[name] for name in message.values} for message in messages],
        rejections,
    )


def _microseconds(message: pb.UsageEvent) -> int | None:
    time = message.event_time
    microseconds = time.seconds * MICROSECONDS_PER_SECOND + time.nanos // _NANOS_PER_MICROSECOND
    is_valid = 0 <= time.nanos < _NANOS_PER_SECOND and MICROSECONDS_MIN <= microseconds <= MICROSECONDS_MAX
    return microseconds if is_valid else None


def verdicts_to_proto(outcome: Outcome, event_id: Callable[[int], str]) -> Iterator[pb.EventVerdict]:
    """Yield the verdicts on the events that were not plainly accepted, by place.

    Args:
        outcome: of a message.
        event_id: tells the id of the event at a place, as sent.
    """
    verdicts: dict[int, pb.EventVerdict] = {}
    for place in outcome.duplicates:
        verdicts[place] = pb.EventVerdict(
            outcome=pb.EVENT_OUTCOME_DUPLICATE, message="is stored already, with the same content"
        )
    for place in outcome.conflicts:
        verdicts[place] = pb.EventVerdict(
            outcome=pb.EVENT_OUTCOME_CONFLICT,
            reason="EVENT_CONFLICT",
            message="is stored already, with other content, which stays",
        )
    for place, violation in outcome.rejections.items():
        verdicts[place] = pb.EventVerdict(
            outcome=pb.EVENT_OUTCOME_REJECTED,
            reason=violation.reason,
            field=violation.field,
            message=violation.message,
        )
    for place, verdict in sorted(verdicts.items()):
        verdict.index = place
        verdict.event_id = event_id(place)[:ID_LENGTH_MAX]
        yield verdict


def events_to_proto(events: Events, account_id: str, layouts: Mapping[str, Layout]) -> Iterable[pb.UsageEvent]:
    """Yield stored events of one account."""
    meter_ids = {layout.meter_no: meter_id for meter_id, layout in layouts.items()}
    for place, meter_no in enumerate(events.meter_nos):
        meter_id = meter_ids[meter_no]
        yield pb.UsageEvent(
            account_id=account_id,
            meter_id=meter_id,
            event_id=events.id_at(place),
            event_time=instant_to_proto(instant_from_microseconds(events.times[place])),
            values=_values(events.take([place]), layouts[meter_id]),
        )


def _values(event: Events, layout: Layout) -> dict[str, str]:
    """Return the values that one event was sent with, numbers in their shortest form."""
    values = {}
    for field in layout.fields:
        if field.kind is FieldKind.STRING:
            text = layout.strings(event, field.name)[0]
            if text is not None:
                values[field.name] = text
        elif field.kind is FieldKind.MEASURE:
            number = layout.numbers(event, field.name)[0]
            if number is not None:
                values[field.name] = text_from_decimal(number)
    return values


def quantity_to_proto(
    aggregation: Aggregation, stretch: Period, values: Values, quantity: Decimal
) -> service_pb.UsageQuantity:
    """Return one quantity of one stretch and combination of values."""
    return service_pb.UsageQuantity(
        aggregation_id=aggregation.id,
        segment=dict(zip(aggregation.segment_fields, values, strict=True)),
        start_time=instant_to_proto(stretch.start),
        end_time=instant_to_proto(stretch.end or stretch.start),
        quantity=text_from_decimal(quantity),
    )
