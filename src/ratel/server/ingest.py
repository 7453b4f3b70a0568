"""Group commit: messages of all streams in one queue, written together, answered after their commit.

A message waits for no others: while nothing is being written it is a group by itself, and what arrives meanwhile is the
next. The queue is bounded, and who wants to add to a full one waits, and does not read.
"""

import asyncio
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from weakref import WeakSet

from ratel.core.block import Block, joined
from ratel.core.errors import Violation
from ratel.core.event import Events
from ratel.core.submission import Checked, keep_meters
from ratel.server.intake import Intake
from ratel.server.patience import patiently
from ratel.server.usage_metrics import OUTCOMES, UsageMetrics
from ratel.store.batch import Group, Writer, prepare_writing, write_group
from ratel.store.pool import Connection, Database, ReferenceMissing, Refused
from ratel.store.usage import Appended


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """What ingest takes at once.

    Attributes:
        group_events: Events committed together at most; the cost of a commit is then no longer felt.
        groups: Groups in flight: while one is being written the next is prepared.
        queued_events: Events read and not committed; a few groups, so that writing never waits for reading.
        queued_bytes: The same in bytes as sent; in memory they are some five times as large.
        pending_events: Events committed and not in the rollups; beyond, ingest waits for the rollups.
        retry_seconds: How long a group is tried while the database is away; then its senders are told.
    """

    group_events: int = 20_000
    groups: int = 2
    queued_events: int = 80_000
    queued_bytes: int = 32 * 2**20
    pending_events: int = 3_000_000
    retry_seconds: int = 30


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


@dataclass(slots=True, eq=False)
class Ticket:
    """A message in the queue."""

    checked: Checked[Events | Block]
    size: int
    outcome: asyncio.Future[Outcome]
    event_count: int
    enter_time: float = field(default_factory=time.perf_counter)

    def fail(self, error: BaseException) -> None:
        """Tell the sender, if it still waits."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            self.outcome.exception()  # a sender that is gone does not ask, and that is no warning


class Ingest:
    """The queue and what writes it. `close` ends it after everything queued is written."""

    def __init__(
        self, database: Database, writer: Writer, intake: Intake, metrics: UsageMetrics, limits: IngestLimits
    ) -> None:
        self._database = database
        self._writer = writer
        self._intake = intake
        self._metrics = metrics
        self._limits = limits
        self._queue: deque[Ticket] = deque()
        self._queued_events = 0
        self._queued_bytes = 0
        self._pending_events = 0
        self._revision = 0
        self._is_closing = False
        self._changed = asyncio.Condition()
        self._prepared: WeakSet[Connection] = WeakSet()
        self._flights: list[asyncio.Task[None]] = []
        metrics.queued_events.set_function(lambda: self._queued_events)
        metrics.queued_bytes.set_function(lambda: self._queued_bytes)

    def start(self) -> None:
        """Begin to write what is queued."""
        self._flights = [asyncio.create_task(self._fly()) for _ in range(self._limits.groups)]

    async def close(self) -> None:
        """Write what is queued, then end; nothing may be added any more."""
        async with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        await asyncio.gather(*self._flights)

    async def room(self) -> None:
        """Wait until the queue is not full: before that there is no sense in reading."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_full(0, 0))

    async def add(self, checked: Checked[Events | Block], size: int) -> asyncio.Future[Outcome]:
        """Queue a message as soon as there is room, and return what will become of it.

        Args:
            checked: Of the message.
            size: Of the message as sent, in bytes.
        """
        ticket = Ticket(checked, size, asyncio.get_running_loop().create_future(), len(checked.places))
        if not ticket.event_count:
            self._conclude([ticket], Appended())
            return ticket.outcome
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_full(ticket.event_count, size))
            self._queue.append(ticket)
            self._queued_events += ticket.event_count
            self._queued_bytes += size
            self._changed.notify_all()
        return ticket.outcome

    async def note_pending(self, event_count: int) -> None:
        """Take note of how many events are not in the rollups."""
        async with self._changed:
            self._pending_events = event_count
            self._changed.notify_all()

    @property
    def pending_events(self) -> int:
        """About how many events are not in the rollups."""
        return self._pending_events

    def _is_full(self, events: int, size: int) -> bool:
        """Tell whether there is no room for so much more; when nothing is queued there is room for anything."""
        return self._queued_events > 0 and (
            self._queued_events + max(events, 1) > self._limits.queued_events
            or self._queued_bytes + size > self._limits.queued_bytes
        )

    # --- Groups ---

    async def _fly(self) -> None:
        """Write one group after the other."""
        while tickets := await self._next_group():
            writing = asyncio.create_task(self._write(tickets))
            await asyncio.wait({writing})  # whatever its error, the senders hear it, and this goes on
            error = writing.exception()
            for ticket in tickets:
                if error is not None:
                    ticket.fail(error)

    async def _next_group(self) -> list[Ticket]:
        """Return the oldest messages that fit into one group; nothing when all is over."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: (
                    (self._queue and self._pending_events < self._limits.pending_events)
                    or (self._is_closing and not self._queue)
                )
            )
            tickets: list[Ticket] = []
            left = self._limits.group_events
            while self._queue and (not tickets or self._queue[0].event_count <= left):
                tickets.append(self._queue.popleft())
                left -= tickets[-1].event_count
            self._changed.notify_all()
            return tickets

    async def _write(self, tickets: list[Ticket]) -> None:
        """Write a group and tell its senders; one that Postgres refuses is taken apart, so that it harms no other."""
        start = time.perf_counter()
        try:
            for ticket in tickets:
                self._metrics.group_wait.observe(start - ticket.enter_time)
            self._conclude(tickets, await self._append(tickets))
            self._metrics.commit.observe(time.perf_counter() - start)
            self._metrics.group_events.observe(sum(ticket.event_count for ticket in tickets))
        except Refused:
            if len(tickets) == 1:
                raise
            await self._write_apart(tickets)
        finally:
            async with self._changed:
                self._queued_events -= sum(ticket.event_count for ticket in tickets)
                self._queued_bytes -= sum(ticket.size for ticket in tickets)
                self._changed.notify_all()

    async def _write_apart(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            try:
                self._conclude([ticket], await self._append([ticket]))
            except Refused as error:
                ticket.fail(error)

    async def _append(self, tickets: list[Ticket]) -> Appended:
        """Write a group, again and again until the database has said what became of it."""
        batch_ids: list[int] = []
        while True:
            group = Group(_joined(tickets), batch_ids)
            try:
                attempt = partial(self._try, group)
                return await patiently(attempt, self._limits.retry_seconds, self._metrics.commit_retries.inc)
            except ReferenceMissing:
                # A meter was deleted between check and commit: nothing of this attempt is stored.
                if not await self._reject_deleted_meters(tickets):
                    raise

    async def _try(self, group: Group) -> Appended:
        async with self._database.connection() as connection:
            await self._prepare(connection)
            appended = await write_group(connection, self._writer, group, self._intake.definitions)
        self._revision = max(self._revision, group.revision)
        self._pending_events += len(appended.stored)
        return appended

    async def _reject_deleted_meters(self, tickets: Sequence[Ticket]) -> bool:
        """Reject the events of meters that are gone, and tell whether there were any."""
        await self._intake.read()
        meter_nos = self._intake.definitions.by_meter.keys()
        before = sum(len(ticket.checked.places) for ticket in tickets)
        for ticket in tickets:
            ticket.checked = keep_meters(ticket.checked, meter_nos)
        return sum(len(ticket.checked.places) for ticket in tickets) < before

    async def _prepare(self, connection: Connection) -> None:
        """Make a connection ready, and the definitions fresh if the last group saw that they are not."""
        if connection not in self._prepared:
            await prepare_writing(connection)
            self._prepared.add(connection)
        if self._revision > self._intake.definitions.revision:
            await self._intake.refresh(connection)

    def _conclude(self, tickets: Sequence[Ticket], appended: Appended) -> None:
        """Tell senders what became of their messages; places of what was appended count over all of them."""
        starts = list(accumulate((len(ticket.checked.places) for ticket in tickets), initial=0))
        duplicates: list[list[int]] = [[] for _ in tickets]
        conflicts: list[list[int]] = [[] for _ in tickets]
        for places, found in ((appended.duplicates, duplicates), (appended.conflicts, conflicts)):
            for place in places:
                index = bisect_right(starts, place) - 1
                found[index].append(tickets[index].checked.places[place - starts[index]])
        for index, ticket in enumerate(tickets):
            accepted_count = len(ticket.checked.places) - len(duplicates[index]) - len(conflicts[index])
            outcome = Outcome(accepted_count, duplicates[index], conflicts[index], ticket.checked.rejections)
            self._count(outcome)
            if not ticket.outcome.done():
                ticket.outcome.set_result(outcome)

    def _count(self, outcome: Outcome) -> None:
        numbers = (outcome.accepted_count, *map(len, (outcome.duplicates, outcome.rejections, outcome.conflicts)))
        for name, number in zip(OUTCOMES, numbers, strict=True):
            self._metrics.events.labels(name).inc(number)


def _joined(tickets: Sequence[Ticket]) -> Events | Block:
    """Return the events of all messages; as a block if all of them are blocks."""
    parts = [ticket.checked.events for ticket in tickets]
    blocks = [part for part in parts if isinstance(part, Block)]
    if len(blocks) == len(parts):
        return joined(blocks)
    events = Events()
    for part in parts:
        events.extend(part.events() if isinstance(part, Block) else part)
    return events
