"""UsageService: takes usage in, and shows what is stored."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from functools import partial

from ratel.core.errors import EventsDropped, ResourceNotFound
from ratel.core.instant import instant_from_microseconds
from ratel.core.integral import changes_read, with_integrals
from ratel.core.limits import USAGE_STRETCHES_MAX
from ratel.core.submission import Outcome
from ratel.core.usage_query import UsageGrain, quantities_of, split
from ratel.core.window import Read, end_of
from ratel.server.convert.usage import (
    GRAINS,
    events_to_proto,
    quantity_to_proto,
    verdicts_to_proto,
)
from ratel.server.convert.value import period_from_proto
from ratel.server.convert.wire import WireMessage
from ratel.server.errors import Context
from ratel.server.message import StreamedMessage, UsageMessage, event_id_at, read_usage
from ratel.server.metering import Metering
from ratel.server.page import page_size, position_of, token_after
from ratel.server.usage_stream import Source, StreamEnd, answers_to
from ratel.store.aggregation import AGGREGATIONS
from ratel.store.definition import read_definitions
from ratel.store.pool import Connection, Database
from ratel.store.quantity import read_partials
from ratel.store.question import Slice
from ratel.store.resource import get
from ratel.store.settings import SETTINGS
from ratel.store.usage import EventPage, list_events, read_account_nos
from ratel.usage.v1 import usage_service_pb2 as pb
from ratel.usage.v1 import usage_service_pb2_grpc


class UsageServicer(usage_service_pb2_grpc.UsageServiceServicer):
    """Answers ratel.usage.v1.UsageService.

    Args:
        database: for reads.
        metering: takes usage in.
        end: of streams.
    """

    def __init__(self, database: Database, metering: Metering, end: StreamEnd) -> None:
        self._database = database
        self._metering = metering
        self._source: Source[StreamedMessage, Outcome] = Source(metering.ingest.room, self._take_in, end)

    async def StreamUsage(
        self, requests: AsyncIterator[StreamedMessage], context: Context
    ) -> AsyncIterator[pb.StreamUsageResponse]:
        """Take usage in, message after message; each is acknowledged when it is durable, in order."""
        async for answered in answers_to(requests, self._source):
            for response in _responses(answered):
                yield response

    async def SubmitUsage(self, request: pb.SubmitUsageRequest, context: Context) -> pb.SubmitUsageResponse:
        """Take one message of usage in."""
        outcome = await (await self._take_in(request))
        verdicts = verdicts_to_proto(outcome, partial(event_id_at, request))
        return pb.SubmitUsageResponse(accepted_count=outcome.accepted_count, verdicts=verdicts)

    async def _take_in(self, request: UsageMessage) -> "asyncio.Future[Outcome]":
        """Read a message and queue it.

        Raises:
            Invalid: the message itself is wrong, not only some of its events.
        """
        size = len(request.data) if isinstance(request, WireMessage) else request.ByteSize()
        message = await read_usage(request, self._metering.intake)
        return await self._metering.ingest.add(message, size)

    async def ListUsageEvents(self, request: pb.ListUsageEventsRequest, context: Context) -> pb.ListUsageEventsResponse:
        """List stored events."""
        asked, count = period_from_proto(request), page_size(request)
        start, after_id = position_of(request, (asked.start.isoformat(), ""))
        async with self._database.snapshot() as connection:
            account_no = await _account_no(connection, request.account_id)
            layouts = (await read_definitions(connection, self._metering.intake.definitions)).layouts
            if request.meter_id and request.meter_id not in layouts:
                raise ResourceNotFound("meter", request.meter_id)
            meter_no = layouts[request.meter_id].meter_no if request.meter_id else None
            page = EventPage(account_no, meter_no, (datetime.fromisoformat(start), after_id), asked.end or asked.start)
            events = await list_events(connection, page, count + 1)
        messages = list(events_to_proto(events, request.account_id, layouts))
        token = ""
        if len(messages) > count:
            last = instant_from_microseconds(events.times[count - 1])
            token = token_after(request, (last.isoformat(), events.id_at(count - 1)))
        return pb.ListUsageEventsResponse(events=messages[:count], next_page_token=token)

    async def QueryUsage(self, request: pb.QueryUsageRequest, context: Context) -> pb.QueryUsageResponse:
        """Return quantities."""
        asked, grain = period_from_proto(request), GRAINS.from_proto(request.grain, UsageGrain.WHOLE)
        count_max = USAGE_STRETCHES_MAX // len(request.aggregation_ids)
        async with self._database.snapshot() as connection:
            account_no = await _account_no(connection, request.account_id)
            aggregations = [(await get(connection, AGGREGATIONS, each)).value for each in request.aggregation_ids]
            zone = (await get(connection, SETTINGS)).value.time_zone
            definitions = await read_definitions(connection, self._metering.intake.definitions)
            stretches = split(asked, grain, zone, count_max)
            rollups = {aggregation.id: definitions.rollup(aggregation.rollup) for aggregation in aggregations}
            wanted = [Read(aggregation.rollup, stretch) for aggregation in aggregations for stretch in stretches]
            reads = changes_read(wanted)
            slices = [
                Slice((account_no,), definitions.rollup(read.rollup), read.period.start, end_of(read.period))
                for read in reads
            ]
            reading = await read_partials(connection, self._metering.tail, slices)
        if until := reading.lacks_until(slices):
            raise EventsDropped(until.isoformat())
        partials = with_integrals(wanted, dict(zip(reads, reading.partials, strict=True)))
        asked_of = ((aggregation, stretch) for aggregation in aggregations for stretch in stretches)
        quantities = (
            quantity_to_proto(aggregation, stretch, values, quantity)
            for aggregation, stretch in asked_of
            for values, quantity in quantities_of(
                aggregation, partials[Read(aggregation.rollup, stretch)], stretch
            ).items()
        )
        unready = (each for each, rollup in rollups.items() if rollup.rollup_no in reading.backfilling)
        return pb.QueryUsageResponse(quantities=quantities, aggregation_ids_from_events=sorted(unready))


def _responses(answered: Sequence[tuple[StreamedMessage, Outcome]]) -> Iterator[pb.StreamUsageResponse]:
    """Yield acknowledgements together, but verdicts of one message at most: more could be longer than callers take."""
    response = pb.StreamUsageResponse()
    for request, outcome in answered:
        told = response.acknowledgements.add(sequence=request.sequence, accepted_count=outcome.accepted_count)
        if not outcome.is_plain:
            told.verdicts.extend(verdicts_to_proto(outcome, partial(event_id_at, request)))
            yield response
            response = pb.StreamUsageResponse()
    if response.acknowledgements:
        yield response


async def _account_no(connection: Connection, account_id: str) -> int:
    found = await read_account_nos(connection, [account_id])
    if account_id not in found:
        raise ResourceNotFound("account", account_id)
    return found[account_id]
