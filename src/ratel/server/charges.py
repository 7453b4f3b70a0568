"""What messages of usage cost at the margin, whether they are recorded or only supposed (R12.1).

Of a message that is recorded, before and after are two moments of the database; of one that is supposed they are one,
with the events added to what was read.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, TypeAlias

from ratel.core.errors import Invalid, RatelError
from ratel.core.event import Events
from ratel.core.integral import Partials
from ratel.core.limits import MARGINS_MAX
from ratel.core.rating.due import known_period
from ratel.core.rating.margin import (
    Amounts,
    MarginsTooMany,
    Touched,
    added_by,
    amounts_of,
    places_paid_by_parent,
    pricings_taking,
    together,
    touched_periods,
)
from ratel.core.rating.rate import rate
from ratel.core.rating.scope import RatingContext, Scope, survey
from ratel.core.submission import Checked, Outcome
from ratel.rating.v1 import margin_pb2
from ratel.rating.v1 import rating_service_pb2 as pb
from ratel.server.convert.margin import add_amounts, touched_to_proto
from ratel.server.convert.usage import submission_from_proto, verdicts_to_proto
from ratel.server.errors import status_of
from ratel.server.metering import Metering
from ratel.server.validation import violations_by_index
from ratel.store.pool import Database
from ratel.store.rating import AccountSnapshot, PlanCache, RatingSnapshot, UsageSnapshot, rating_snapshot
from ratel.store.usage import compare

ALWAYS: Final = known_period(date.max)
"""Holds all bill periods that events may lie in."""

_Key: TypeAlias = tuple[int, str, datetime]


@dataclass(frozen=True, slots=True)
class _Surveyed:
    """A bill period that is touched, and what its rating needs."""

    account: AccountSnapshot
    touched: Touched
    scope: Scope
    usage: UsageSnapshot

    @property
    def key(self) -> _Key:
        """What it is known by, whenever it is read."""
        return self.account.account_no, self.touched.attachment.id, self.touched.period.start

    def amounts(self, partials: Partials) -> Amounts | RatelError:
        """Return what it comes to with some usage, or why it cannot be rated."""
        try:
            return amounts_of(rate(self.scope, partials), self.touched.attachment)
        except RatelError as error:
            return error

    def added(self, events: Events) -> Partials:
        """Return what would be kept of events, of any accounts, beside what is."""
        return added_by(self.scope, events, self.usage.definitions, self.account.numbers)

    def margin(
        self, before: Amounts | RatelError, after: Amounts | RatelError, events: Events
    ) -> margin_pb2.AccountMargin:
        """Return the message of what it came to, and comes to now that there are some events."""
        context = self.account.context
        message = touched_to_proto(self.touched, context.plans[self.touched.attachment.plan_id], context.exchange)
        if isinstance(after, RatelError):
            message.error.CopyFrom(status_of(after))
        elif isinstance(before, RatelError):
            message.error.CopyFrom(status_of(before))
        else:
            add_amounts(message, before, after, pricings_taking(self.scope, self.added(events)))
        return message


class Charging:
    """Answers the messages of StreamCharges, of any stream.

    Args:
        database: for reads.
        cache: compiled plans.
        metering: takes usage in.
    """

    def __init__(self, database: Database, cache: PlanCache, metering: Metering) -> None:
        self._database = database
        self._cache = cache
        self._metering = metering

    async def take_in(self, request: pb.StreamChargesRequest) -> "asyncio.Future[pb.StreamChargesResponse]":
        """Work a message off: only then the next one is read, since what that costs depends on this one.

        Raises:
            Invalid: the message itself is wrong, not only some of its events.
        """
        whole, single = violations_by_index(request, "events")
        if whole:
            raise Invalid(whole)
        checked = await self._metering.intake.check(submission_from_proto(request.events, single))
        answer: asyncio.Future[pb.StreamChargesResponse] = asyncio.get_running_loop().create_future()
        answer.set_result(await (self._record if request.record else self._suppose)(request, checked))
        return answer

    async def _record(self, request: pb.StreamChargesRequest, checked: Checked[Events]) -> pb.StreamChargesResponse:
        async with self._snapshot() as snapshot:
            surveyed = await self._survey(snapshot, request, checked, range(len(checked.places)))
        before: dict[_Key, Amounts | RatelError] = {}
        for each in surveyed:
            before[each.key] = each.amounts(each.usage.partials)
            await asyncio.sleep(0)  # other calls go on between two bill periods
        outcome = await (await self._metering.ingest.add(checked, request.ByteSize()))
        wrong = {*outcome.conflicts, *outcome.rejections}
        kept = [index for index, place in enumerate(checked.places) if place not in wrong]
        async with self._snapshot() as snapshot:
            surveyed = await self._survey(snapshot, request, checked, kept)
        response = _response(request, outcome)
        for each in surveyed:
            after = each.amounts(each.usage.partials)
            margin = each.margin(before.get(each.key, Amounts()), after, checked.events.take(kept))
            response.account_margins.append(margin)
            await asyncio.sleep(0)
        return response

    async def _suppose(self, request: pb.StreamChargesRequest, checked: Checked[Events]) -> pb.StreamChargesResponse:
        async with self._snapshot() as snapshot:
            compared = await compare(snapshot.connection, checked.events)
            kept = sorted([*compared.stored, *compared.duplicates])
            surveyed = await self._survey(snapshot, request, checked, kept)
        duplicates = [checked.places[each] for each in compared.duplicates]
        conflicts = [checked.places[each] for each in compared.conflicts]
        response = _response(request, Outcome(len(compared.stored), duplicates, conflicts, checked.rejections))
        new = checked.events.take(compared.stored)
        for each in surveyed:
            partials = each.usage.partials
            before, after = each.amounts(partials), each.amounts(together(partials, each.added(new)))
            response.account_margins.append(each.margin(before, after, checked.events.take(kept)))
            await asyncio.sleep(0)
        return response

    def _snapshot(self) -> AbstractAsyncContextManager[RatingSnapshot]:
        return rating_snapshot(self._database, self._cache, self._metering.tail)

    async def _survey(
        self, snapshot: RatingSnapshot, request: pb.StreamChargesRequest, checked: Checked[Events], kept: Sequence[int]
    ) -> list[_Surveyed]:
        """Read what some of the events touch, in three statements whatever they are; by account id.

        Raises:
            MarginsTooMany: there are more than `MARGINS_MAX` bill periods.
        """
        by_account: dict[str, list[int]] = {}
        for index in kept:
            by_account.setdefault(request.events[checked.places[index]].account_id, []).append(index)
        accounts = await snapshot.accounts(sorted(by_account), ALWAYS)
        accounts |= await self._parents(snapshot, accounts, checked, by_account)
        found: list[tuple[AccountSnapshot, Touched, Scope]] = []
        for account_id, account in sorted(accounts.items()):
            context, events = account.context, checked.events.take(by_account[account_id])
            await asyncio.sleep(0)  # other calls go on between two accounts
            for touched in touched_periods(context, self._product_ids(context), events):
                if len(found) == MARGINS_MAX:
                    raise MarginsTooMany(f"must lie in at most {MARGINS_MAX} bill periods", "events")
                found.append((account, touched, survey(context, touched.period)))
        usages = await snapshot.usages([(account, scope) for account, _, scope in found])
        return [_Surveyed(*each, usage) for each, usage in zip(found, usages, strict=True)]

    async def _parents(
        self,
        snapshot: RatingSnapshot,
        accounts: Mapping[str, AccountSnapshot],
        checked: Checked[Events],
        by_account: dict[str, list[int]],
    ) -> dict[str, AccountSnapshot]:
        """Return the parents that pay for some of the events, and add these to theirs (R11.1)."""
        taken: dict[str, list[int]] = {}
        for account_id, account in accounts.items():
            context, places = account.context, by_account[account_id]
            if context.parent_coverages:
                paid = places_paid_by_parent(context, self._product_ids(context), checked.events.take(places))
                taken.setdefault(context.account.parent_id, []).extend(places[each] for each in paid)
        for parent_id, places in taken.items():
            by_account.setdefault(parent_id, []).extend(places)
        missing = sorted(parent_id for parent_id, places in taken.items() if places and parent_id not in accounts)
        return await snapshot.accounts(missing, ALWAYS) if missing else {}

    def _product_ids(self, context: RatingContext) -> dict[int, str]:
        """Return the products of meters, by their number."""
        layouts = self._metering.intake.definitions.layouts
        return {layouts[each.id].meter_no: each.product_id for each in context.meters if each.id in layouts}


def _response(request: pb.StreamChargesRequest, outcome: Outcome) -> pb.StreamChargesResponse:
    return pb.StreamChargesResponse(
        sequence=request.sequence,
        accepted_count=outcome.accepted_count,
        verdicts=verdicts_to_proto(outcome, lambda place: request.events[place].event_id),
    )
