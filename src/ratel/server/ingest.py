"""Group commit: messages of all streams in one queue, written together, answered after their commit.

A message waits for no others: while nothing is being written it is a group by itself, and what arrives meanwhile is the
next. The queue is bounded, and who wants to add to a full one waits, and does not read. Small messages are checked
together, by the group; the price of looking at columns is then paid once.
"""

import asyncio
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import accumulate
from weakref import WeakSet

from ratel.core.block import Block
from ratel.core.event import Events
from ratel.core.submission import Checked, Outcome, keep_meters, side_by_side
from ratel.server.intake import Intake
from ratel.server.message import SmallMessage, check_small
from ratel.server.patience import patiently
from ratel.server.usage_metrics import OUTCOMES, UsageMetrics
from ratel.store.batch import Group, Writer, prepare_writing, write_group
from ratel.store.pool import Connection, Database, ReferenceMissing, Refused
from ratel.store.usage import Appended

# Events of small messages that are checked at once: some milliseconds, then others get their turn.
EVENTS_PER_TURN = 4_000

# Events for which a fold need not wait for its time, once nothing came for so long. Between one message and the next
# of somebody who waits for each answer it would make the next wait, and small folds cost several times as much.
EVENTS_TO_FOLD = 20_000
SETTLE_SECONDS = 0.02

# A group with fewer waits for the one in flight: a group costs some milliseconds, however small it is.
EVENTS_BESIDE_GROUP = 1_000


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """What ingest takes at once.

    Attributes:
        group_events: Events committed together at most; the cost of a commit is then no longer felt.
        groups: Groups in flight: while one is being written the next is prepared.
        queued_events: Events read and not committed; a few groups, so that writing never waits for reading.
        queued_bytes: The same in bytes as sent; in memory they are some five times as large.
        pending_events: Events committed and not in the rollups; beyond, ingest waits for the rollups. So many are
            remembered (`core/tail.py`), so that they need not be read again.
        retry_seconds: How long a group is tried while the database is away; then its senders are told.
    """

    group_events: int = 20_000
    groups: int = 2
    queued_events: int = 80_000
    queued_bytes: int = 32 * 2**20
    pending_events: int = 1_500_000
    retry_seconds: int = 30


@dataclass(slots=True, eq=False)
class Ticket:
    """A message in the queue.

    Attributes:
        message: checked already, or the events of a small one.
        size: as sent, in bytes.
    """

    message: Checked[Events | Block] | SmallMessage
    size: int
    event_count: int
    answered: "asyncio.Future[Outcome]"
    enter_time: float = field(default_factory=time.perf_counter)

    def tell(self, outcome: Outcome) -> None:
        """Tell the sender, if it still waits."""
        if not self.answered.done():
            self.answered.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Tell the sender that it failed, if it still waits."""
        if not self.answered.done():
            self.answered.set_exception(error)
            self.answered.exception()  # a sender that is gone does not ask, and that is no warning


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
        self._waiting: list[asyncio.Future[None]] = []
        self._settling: asyncio.Future[None] | None = None
        self._group_count = 0
        self._events_in_flight = 0
        self._prepared: WeakSet[Connection] = WeakSet()
        self._flights: list[asyncio.Task[None]] = []
        self._outcomes = [metrics.events.labels(name) for name in OUTCOMES]
        metrics.queued_events.set_function(lambda: self._queued_events)
        metrics.queued_bytes.set_function(lambda: self._queued_bytes)

    def start(self) -> None:
        """Begin to write what is queued."""
        self._flights = [asyncio.create_task(self._fly()) for _ in range(self._limits.groups)]

    async def close(self) -> None:
        """Write what is queued, then end; nothing may be added any more."""
        self._is_closing = True
        self._announce()
        await asyncio.gather(*self._flights)

    async def room(self) -> None:
        """Wait until the queue is not full: before that there is no sense in reading."""
        while self._is_full(0, 0):
            await self._change()

    async def add(self, message: Checked[Events | Block] | SmallMessage, size: int) -> "asyncio.Future[Outcome]":
        """Queue a message as soon as there is room, and return what will become of it.

        Args:
            message: checked, or the events of a small one, which are checked with others.
            size: of the message as sent, in bytes.
        """
        count = message.sent_count if isinstance(message, Checked) else len(message)
        ticket = Ticket(message, size, count, asyncio.get_running_loop().create_future())
        while self._is_full(count, size):
            await self._change()
        self._queue.append(ticket)
        self._queued_events += count
        self._queued_bytes += size
        if not self._should_gather():
            self._announce()
        return ticket.answered

    def note_pending(self, event_count: int) -> None:
        """Take note of how many events are not in the rollups."""
        self._pending_events = event_count
        self._announce()

    async def settled(self) -> None:
        """Wait until there was nothing to write for a while and is much to fold: the machine has time for it."""
        count = -1
        while count != self._group_count or self._queued_events:
            while self._queued_events or self._pending_events < EVENTS_TO_FOLD:
                self._settling = asyncio.get_running_loop().create_future()
                await self._settling
            count = self._group_count
            await asyncio.sleep(SETTLE_SECONDS)

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

    async def _change(self) -> None:
        """Wait until anything has changed."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    def _announce(self) -> None:
        """Wake everybody who waits for a change."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

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
        while not self._queue or self._pending_events >= self._limits.pending_events or self._should_gather():
            if self._is_closing and not self._queue:
                return []
            await self._change()
        tickets: list[Ticket] = []
        left = self._limits.group_events
        while self._queue and (not tickets or self._queue[0].event_count <= left):
            tickets.append(self._queue.popleft())
            left -= tickets[-1].event_count
        self._events_in_flight += sum(ticket.event_count for ticket in tickets)
        return tickets

    def _should_gather(self) -> bool:
        """Tell whether what is queued is little, and something is in flight whose end it can wait for."""
        return self._events_in_flight > 0 and self._queued_events - self._events_in_flight < EVENTS_BESIDE_GROUP

    async def _write(self, tickets: list[Ticket]) -> None:
        """Write a group and tell its senders; one that Postgres refuses is taken apart, so that it harms no other."""
        start = time.perf_counter()
        self._group_count += 1
        try:
            self._metrics.group_wait.observe(start - tickets[0].enter_time)
            await self._append(tickets)
            self._metrics.commit.observe(time.perf_counter() - start)
            self._metrics.group_events.observe(sum(ticket.event_count for ticket in tickets))
        except Refused:
            if len(tickets) == 1:
                raise
            await self._write_apart(tickets)
        finally:
            count = sum(ticket.event_count for ticket in tickets)
            self._events_in_flight -= count
            self._queued_events -= count
            self._queued_bytes -= sum(ticket.size for ticket in tickets)
            self._announce()
            if not self._queued_events and self._settling is not None and not self._settling.done():
                self._settling.set_result(None)

    async def _write_apart(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            try:
                await self._append([ticket])
            except Refused as error:
                ticket.fail(error)

    async def _append(self, tickets: list[Ticket]) -> None:
        """Write a group, again and again until the database has said what became of it, and tell its senders."""
        checked = await self._check(tickets)
        batch_ids: list[int] = []
        while len(checked.events):
            group = Group(checked.events, batch_ids)
            try:
                attempt = partial(self._try, group)
                appended = await patiently(attempt, self._limits.retry_seconds, self._metrics.commit_retries.inc)
            except ReferenceMissing:
                # A meter was deleted between check and commit: nothing of this attempt is stored.
                await self._intake.read()
                before, checked = checked, keep_meters(checked, self._intake.definitions.meter_nos)
                if len(checked.events) == len(before.events):
                    raise
            else:
                self._conclude(tickets, checked, appended)
                return
        self._conclude(tickets, checked, Appended())

    async def _check(self, tickets: Sequence[Ticket]) -> Checked[Events | Block]:
        """Check those messages that are not checked yet, some at a time; places count over all of them."""
        parts: list[tuple[Checked[Events | Block], int]] = []
        small: list[SmallMessage] = []
        count = 0
        for ticket in tickets:
            if small and (isinstance(ticket.message, Checked) or count >= EVENTS_PER_TURN):
                parts.append((await check_small(small, self._intake), count))
                small, count = [], 0
                await asyncio.sleep(0)
            if isinstance(ticket.message, Checked):
                parts.append((ticket.message, ticket.event_count))
            else:
                small.append(ticket.message)
                count += ticket.event_count
        if small:
            parts.append((await check_small(small, self._intake), count))
        return side_by_side(parts)

    async def _try(self, group: Group) -> Appended:
        async with self._database.connection() as connection:
            await self._prepare(connection)
            appended = await write_group(connection, self._writer, group, self._intake.definitions)
        self._revision = max(self._revision, group.revision)
        self._pending_events += len(appended.stored)
        return appended

    async def _prepare(self, connection: Connection) -> None:
        """Make a connection ready, and the definitions fresh if the last group saw that they are not."""
        if connection not in self._prepared:
            await prepare_writing(connection)
            self._prepared.add(connection)
        if self._revision > self._intake.definitions.revision:
            await self._intake.refresh(connection)

    # --- Answers ---

    def _conclude(self, tickets: Sequence[Ticket], checked: Checked[Events | Block], appended: Appended) -> None:
        """Tell senders what became of their messages."""
        starts = list(accumulate((ticket.event_count for ticket in tickets), initial=0))
        duplicates = _apart([checked.places[place] for place in appended.duplicates], starts)
        conflicts = _apart([checked.places[place] for place in appended.conflicts], starts)
        rejected = _apart(list(checked.rejections), starts)
        for index, ticket in enumerate(tickets):
            if not duplicates and not conflicts and not rejected:
                ticket.tell(_accepted(ticket.event_count))
                continue
            start, wrong = starts[index], rejected.get(index, [])
            found, other = duplicates.get(index, []), conflicts.get(index, [])
            rejections = {place: checked.rejections[start + place] for place in wrong}
            accepted_count = ticket.event_count - len(found) - len(other) - len(wrong)
            ticket.tell(Outcome(accepted_count, found, other, rejections))
        others = [len(appended.duplicates), len(checked.rejections), len(appended.conflicts)]
        for counter, number in zip(self._outcomes, [starts[-1] - sum(others), *others], strict=True):
            counter.inc(number)


@lru_cache(maxsize=256)
def _accepted(count: int) -> Outcome:
    """Return the outcome of so many events that were all stored now: of most messages, and many have as many."""
    return Outcome(count)


def _apart(places: Sequence[int], starts: Sequence[int]) -> dict[int, list[int]]:
    """Return places in a group as places in its messages, by the message's place."""
    found: dict[int, list[int]] = {}
    for place in places:
        index = bisect_right(starts, place) - 1
        found.setdefault(index, []).append(place - starts[index])
    return found
