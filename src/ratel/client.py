"""What a Python caller of Ratel wants: a channel that suits it, usage that arrives exactly once, errors to act on.

async with open_channel("127.0.0.1:7070") as channel:
    async for receipt in stream_usage(channel, events):
        for verdict in receipt.verdicts:
            print(receipt.events[verdict.index].event_id, verdict.reason)
"""

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import from_call
from uuid_utils import uuid7

from ratel.columns import columns_of
from ratel.usage.v1.usage_event_pb2 import EventVerdict, UsageEvent
from ratel.usage.v1.usage_service_pb2 import StreamUsageRequest, StreamUsageResponse, UsageAcknowledgement
from ratel.usage.v1.usage_service_pb2_grpc import UsageServiceStub

CHANNEL_OPTIONS = (
    # A rating with its workings, or a page of events, can be longer than gRPC's 4 MiB.
    ("grpc.max_receive_message_length", 64 * 2**20),
    # Finds servers that are gone without a word; not oftener than Ratel allows.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Comes back soon after a restart: gRPC's own wait grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
# Fewer events cost less as they are.
FEW_EVENTS = 50
UsageCall: TypeAlias = "grpc.aio.StreamStreamCall[StreamUsageRequest, StreamUsageResponse]"
# Said by the transport, not by Ratel, when a connection is lost.
TRANSPORT_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)


def open_channel(target: str) -> grpc.aio.Channel:
    """Return a plaintext channel to a server, or to the mesh's proxy beside the caller."""
    return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)


def create_event_id() -> str:
    """Return a new event id, a UUIDv7: the kind that Ratel stores fastest."""
    return str(uuid7())


@dataclass(frozen=True, slots=True)
class Pace:
    """How usage is sent.

    Attributes:
        events_per_message: At most so many events travel together; 1 to 10,000.
        bytes_per_message: A message is sent when it has grown to so many bytes.
        linger_seconds: An event waits so long for others to travel with.
        messages_in_flight: So many messages may wait for their acknowledgement; then nothing more is taken from the
            caller.
        is_columnar: Messages travel in columns where they can: the same for less.
        backoff_seconds: How long the first wait before another attempt is; each further one is twice as long.
        backoff_seconds_max: How long it is at most. The real wait is a random part of it, at least half.
    """

    events_per_message: int = 1_000
    bytes_per_message: int = 2**20
    linger_seconds: float = 0.02
    messages_in_flight: int = 16
    is_columnar: bool = True
    backoff_seconds: float = 0.1
    backoff_seconds_max: float = 10

    def backoff(self, attempt: int) -> float:
        """Return how many seconds to wait after so many attempts without an acknowledgement, from 0."""
        longest = min(self.backoff_seconds_max, self.backoff_seconds * 2 ** min(attempt, 32))
        # Spreads callers, and guards nothing.
        return random.uniform(longest / 2, longest)  # nosec B311


@dataclass(frozen=True, slots=True)
class Receipt:
    """Says that a message is durable.

    Attributes:
        events: Its events, with the ids that were given to those without one.
        accepted_count: How many of them were accepted now.
        verdicts: What became of the others; `index` counts in ``events``.
    """

    events: Sequence[UsageEvent]
    accepted_count: int
    verdicts: Sequence[EventVerdict]


async def stream_usage(
    channel: grpc.aio.Channel, events: Iterable[UsageEvent] | AsyncIterable[UsageEvent], pace: Pace | None = None
) -> AsyncIterator[Receipt]:
    """Send usage and yield a receipt for each message as soon as it is durable, in the order of the events.

    Whatever is not acknowledged is sent again, on new connections, until it is: servers may end, be killed or move in
    between. Nothing counts twice, because an event is known by its id. What is in flight is bounded, also by how fast
    the receipts are taken.

    Args:
        channel: See `open_channel`.
        events: Any number of events, for as long as it likes. An event without an id is given one.
        pace: How many travel together, and how long anything waits.

    Raises:
        grpc.aio.AioRpcError: The server refuses the stream for a reason that repeating does not heal; see `error_from`.
    """
    outbox = _Outbox(pace or Pace())
    filling = asyncio.create_task(outbox.fill(events))
    attempt = 0
    try:
        while not outbox.is_empty:
            try:
                async with _call(UsageServiceStub(channel), outbox) as call:
                    async for response in call:
                        attempt = 0
                        for acknowledgement in response.acknowledgements:
                            yield outbox.acknowledge(acknowledgement)
            except grpc.aio.AioRpcError as error:
                if not is_worth_repeating(error):
                    raise
            if not outbox.is_empty:
                await asyncio.sleep(outbox.pace.backoff(attempt))
                attempt += 1
        await filling
    finally:
        filling.cancel()


class _Outbox:
    """What was taken from the caller and is not durable yet: sealed messages, and the one that still grows."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._sealed: dict[int, StreamUsageRequest] = {}
        self._growing = StreamUsageRequest(sequence=1)
        self._size = 0
        self._is_due = False
        self._is_complete = False
        self._changed = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether everything is durable and nothing more will come."""
        return self._is_complete and not self._sealed and not self._growing.events

    async def fill(self, events: Iterable[UsageEvent] | AsyncIterable[UsageEvent]) -> None:
        """Take all events from the caller, as fast as there is room."""
        try:
            if isinstance(events, AsyncIterable):
                async for event in events:
                    await self._add(event)
            else:
                for event in events:
                    await self._add(event)
        finally:
            self._is_complete = True
            self._seal_if_due()
            self._announce()

    async def unacknowledged(self) -> AsyncIterator[StreamUsageRequest]:
        """Yield every message that is not acknowledged, from the oldest on, also those still to come."""
        sequence = min(self._sealed, default=self._growing.sequence)
        while not self.is_empty:
            if sequence in self._sealed:
                yield self._message(sequence)
                sequence += 1
            elif self._is_complete and sequence == self._growing.sequence and not self._growing.events:
                return
            else:
                await self._changed.wait()

    def _message(self, sequence: int) -> StreamUsageRequest:
        """Return a sealed message as it travels."""
        simple = self._sealed[sequence]
        is_worth_it = self.pace.is_columnar and len(simple.events) >= FEW_EVENTS
        columns = columns_of(simple.events) if is_worth_it else None
        return simple if columns is None else StreamUsageRequest(sequence=sequence, columns=columns)

    def acknowledge(self, acknowledgement: UsageAcknowledgement) -> Receipt:
        """Forget a message that is durable."""
        message = self._sealed.pop(acknowledgement.sequence)
        self._seal_if_due()
        self._announce()
        return Receipt(message.events, acknowledgement.accepted_count, acknowledgement.verdicts)

    async def _add(self, event: UsageEvent) -> None:
        while self._is_full():
            await self._changed.wait()
        self._growing.events.append(event)
        if not event.event_id:
            self._growing.events[-1].event_id = create_event_id()
        self._size += event.ByteSize()
        if len(self._growing.events) == 1:
            loop = asyncio.get_running_loop()
            loop.call_later(self.pace.linger_seconds, self._linger, self._growing.sequence)
        if self._is_full():
            self._seal_if_due()
            await asyncio.sleep(0)  # a caller with a plain list would otherwise never let it be sent

    def _is_full(self) -> bool:
        return len(self._growing.events) >= self.pace.events_per_message or self._size >= self.pace.bytes_per_message

    def _linger(self, sequence: int) -> None:
        if sequence == self._growing.sequence:
            self._is_due = True
            self._seal_if_due()

    def _seal_if_due(self) -> None:
        is_due = self._is_due or self._is_full() or self._is_complete
        if not is_due or not self._growing.events or len(self._sealed) >= self.pace.messages_in_flight:
            return
        sequence = self._growing.sequence
        self._sealed[sequence] = self._growing
        self._growing = StreamUsageRequest(sequence=sequence + 1)
        self._size = 0
        self._is_due = False
        self._announce()

    def _announce(self) -> None:
        """Wake everybody who waits for a change."""
        self._changed.set()
        self._changed = asyncio.Event()


@asynccontextmanager
async def _call(stub: UsageServiceStub, outbox: _Outbox) -> AsyncIterator[UsageCall]:
    """Open a stream and write to it whatever is not acknowledged."""
    call = stub.StreamUsage()
    writing = asyncio.create_task(_write(call, outbox))
    try:
        yield call
    finally:
        writing.cancel()
        call.cancel()


async def _write(call: UsageCall, outbox: _Outbox) -> None:
    # When the call has failed, its reader learns why.
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        async for message in outbox.unacknowledged():
            await call.write(message)
        await call.done_writing()


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One mistake in one field of a request.

    Attributes:
        field: Its path, such as ``pricing.bands[2].lower_limit``; empty for the whole request.
        reason: UPPER_SNAKE_CASE, stable.
        description: What would be right, for a person.
    """

    field: str
    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class CallError:
    """Everything that Ratel says about a failure.

    Attributes:
        code: The number of the status code.
        message: For a person; may change.
        reason: Such as ``PRICING_OVERLAP``, stable; empty if Ratel itself did not answer.
        metadata: What a program needs to act on it, such as the id of the one in the way.
        violations: Every mistake of a request that is invalid.
        request_id: Finds the request in the server's log.
        retry_seconds: After how long repeating it as it is may help; None if it does not.
    """

    code: int
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[FieldViolation, ...] = ()
    request_id: str = ""
    retry_seconds: float | None = None


def error_from(error: grpc.aio.AioRpcError) -> CallError:
    """Return what a failed call says."""
    status = from_call(error)  # type: ignore[arg-type]  # it reads what both kinds of errors have
    if status is None:
        return CallError(error.code().value[0], error.details() or "")
    return error_from_status(status)


def error_from_status(status: Status) -> CallError:
    """Return what a status says, such as that of one account in RateAccounts."""
    info, bad, request, retry = ErrorInfo(), BadRequest(), RequestInfo(), RetryInfo()
    known: tuple[Message, ...] = (info, bad, request, retry)
    is_retry = False
    for detail in status.details:
        unpacked = next((message for message in known if detail.Unpack(message)), None)
        is_retry = is_retry or unpacked is retry
    return CallError(
        status.code,
        status.message,
        info.reason,
        dict(info.metadata),
        tuple(FieldViolation(each.field, each.reason, each.description) for each in bad.field_violations),
        request.request_id,
        retry.retry_delay.ToTimedelta().total_seconds() if is_retry else None,
    )


def is_worth_repeating(error: grpc.aio.AioRpcError) -> bool:
    """Return whether the same call may succeed later: the server says so, or the connection to it was lost."""
    said = error_from(error)
    return said.retry_seconds is not None or (not said.reason and error.code() in TRANSPORT_CODES)
