"""What rating reads: one snapshot, a fixed number of statements, and compiled plans that are never older than it.

The first statement brings the catalog's revision together with the accounts and all that is theirs. Plans that were
compiled under exactly this revision are taken as they are; only others are loaded, in the same snapshot.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice, repeat
from typing import Final, NamedTuple

from ratel.core.compiled import CompiledPlan, compile_plan
from ratel.core.counter import Adjustment
from ratel.core.errors import EventsDropped
from ratel.core.event import Partial
from ratel.core.integral import Partials
from ratel.core.meter import Aggregation, Meter, Method
from ratel.core.period import Period
from ratel.core.plan import Settings
from ratel.core.promotion import Grant, GrantedPromotion
from ratel.core.quantity import Values
from ratel.core.rating.scope import RatingContext, Scope
from ratel.core.rollup import Definitions
from ratel.core.shape import Moved
from ratel.core.tail import Tail
from ratel.core.window import Read
from ratel.store.account import account_from_row
from ratel.store.definition import read_definitions
from ratel.store.family import Family, coverages_from_row, family_from_row
from ratel.store.moment import MOMENT, Moment, Sight, moment_from_row
from ratel.store.plan_catalog import load_catalog
from ratel.store.pool import Connection, Database
from ratel.store.promotion import promotion_from_row
from ratel.store.quantity import read_partials
from ratel.store.question import AccountNos, Slice
from ratel.store.resource import Row

# The last table is distributed by account; the first row is there even without any account. What an account has is
# looked up account by account, by index: many accounts cost as much each as one. Attachments reach back to the first
# grant that still acts, since what it gave before may count; those of children to the beginning, since what accumulates
# for the parent does.
SELECT_ACCOUNTS = f"""
    SELECT revision, asked.*, attachments, adjustments, grants, children, parent_coverages, (SELECT {MOMENT}) AS moment
    FROM catalog_revisions
    LEFT JOIN (
        SELECT accounts.id, accounts.account_no, accounts.name, accounts.epoch, accounts.currency,
            accounts.credit_application_order, accounts.parent_account_no, accounts.child_billing,
            accounts.billed_with_parent, accounts.version, parents.id AS parent_id, parents.version AS parent_version
        FROM accounts LEFT JOIN accounts AS parents ON parents.account_no = accounts.parent_account_no
        WHERE accounts.id = ANY($1::text[])
    ) AS asked ON true
    LEFT JOIN LATERAL (
        SELECT array_agg((
                grants.id, promotion_id, start_time, end_time, priority, promotions.name, plan_id, pricing_id,
                segment_fields, segment_values, percentage, fixed_amount, lower_limits, percentages, currency,
                bill_period_count, max_per_period, max_total
            )) AS grants,
            min(start_time) FILTER (WHERE end_time IS NULL OR end_time > $2) AS granted_from
        FROM grants JOIN promotions ON promotions.id = promotion_id
        WHERE account_no = asked.account_no AND start_time < $3
    ) AS granted ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(
            (id, plan_id, start_time, end_time, epoch, trial_end_time, accumulation_start_time)
        ) AS attachments
        FROM attachments
        WHERE account_no = asked.account_no AND start_time < $3
            AND (end_time IS NULL OR end_time > least($2, granted_from))
    ) AS attached ON true
    LEFT JOIN LATERAL (
        SELECT array_agg((counter_id, date, level)) AS adjustments
        FROM counter_adjustments
        WHERE account_no = asked.account_no AND date <= $4
    ) AS adjusted ON true
    LEFT JOIN LATERAL (
        SELECT array_agg((
                id, account_no, version, name, epoch, billed_with_parent,
                (
                    SELECT array_agg((
                        product_id, id, plan_id, start_time, end_time, epoch, trial_end_time, accumulation_start_time
                    ))
                    FROM attachments WHERE account_no = members.account_no AND start_time < $3
                ),
                (
                    SELECT array_agg((counter_id, date, level))
                    FROM counter_adjustments WHERE account_no = members.account_no AND date <= $4
                )
            )) AS children
        FROM accounts AS members WHERE parent_account_no = asked.account_no
    ) AS family ON true
    LEFT JOIN LATERAL (
        SELECT array_agg((product_id, start_time, end_time)) AS parent_coverages
        FROM attachments
        WHERE account_no = asked.parent_account_no AND start_time < $3 AND (end_time IS NULL OR end_time > $2)
    ) AS parent ON true
"""  # nosec B608: made of a constant

PROMOTION_COLUMNS: Final = (
    *("name", "plan_id", "pricing_id", "segment_fields", "segment_values", "percentage", "fixed_amount"),
    *("lower_limits", "percentages", "currency", "bill_period_count", "max_per_period", "max_total"),
)
"""Of a grant's promotion, in the order of the statement."""

PLANS_MAX: Final = 2_000
"""Compiled plans that are kept: about 100 MB of plans with 20 pricings each."""


@dataclass(slots=True)
class _Known:
    """What was made of one revision of the catalog."""

    revision: int
    plans: OrderedDict[str, CompiledPlan] = field(default_factory=OrderedDict)
    meters: tuple[Meter, ...] | None = None
    settings: Settings = Settings()
    definitions: Definitions | None = None


class PlanCache:
    """Compiled plans of the newest revision that any snapshot has shown.

    Args:
        observe: told after each lookup how many plans were there, how many were not, and the revision.
        plans_max: beyond it those used longest ago are dropped.
    """

    def __init__(self, observe: Callable[[int, int, int], None] | None = None, plans_max: int = PLANS_MAX) -> None:
        self._known = _Known(0)
        self._observe = observe
        self._plans_max = plans_max

    def at(self, revision: int) -> _Known:
        """Return what is known of a revision; of one older than what is kept nothing is, and nothing stays."""
        if revision > self._known.revision:
            self._known = _Known(revision)
        return self._known if revision == self._known.revision else _Known(revision)

    async def plans(self, connection: Connection, known: _Known, plan_ids: Iterable[str]) -> dict[str, CompiledPlan]:
        """Return compiled plans, each looked up once; in a snapshot that shows the revision that is known."""
        wanted = set(plan_ids)
        there = {plan_id: known.plans[plan_id] for plan_id in wanted & known.plans.keys()}
        missing = sorted(wanted - there.keys())
        if missing or known.meters is None:
            catalog = await load_catalog(connection, missing)
            known.meters, known.settings = tuple(catalog.meters.values()), catalog.settings
            there |= {plan_id: compile_plan(catalog, plan_id) for plan_id in missing}
        if self._observe is not None:
            self._observe(len(wanted) - len(missing), len(missing), known.revision)
        for plan_id, plan in there.items():
            known.plans[plan_id] = plan
            known.plans.move_to_end(plan_id)
        while len(known.plans) > self._plans_max:
            known.plans.popitem(last=False)
        return there


class AccountSnapshot(NamedTuple):
    """An account as the snapshot shows it.

    Attributes:
        revision: of the catalog.
        account_nos: of the account and its children, by id.
        sight: of the account and all of its family: as long as it holds, so does all of this.
    """

    account_no: int
    context: RatingContext
    revision: int
    account_nos: Mapping[str, int]
    sight: Sight

    def numbers(self, account_ids: Iterable[str]) -> AccountNos:
        """Return the numbers of accounts of the family, by their ids; of none that of the account itself."""
        return tuple(self.account_nos[each] for each in sorted(account_ids)) or (self.account_no,)


class UsageSnapshot(NamedTuple):
    """The usage that a scope needs.

    Attributes:
        reads: the scope's.
        kept: for each of them, in their order.
        aggregation_ids_from_events: the aggregations whose rollups are not complete, by id.
        definitions: by which it was read.
        lacks_until: before which something of it may not be known any more.
    """

    reads: tuple[Read, ...]
    kept: Sequence[Mapping[Values, Partial]]
    aggregation_ids_from_events: tuple[str, ...]
    definitions: Definitions
    lacks_until: datetime | None = None

    @property
    def partials(self) -> Partials:
        """What is kept for each of the scope's reads.

        Raises:
            EventsDropped: some of it cannot be known any more.
        """
        if self.lacks_until is not None:
            raise EventsDropped(self.lacks_until.isoformat())
        return dict(zip(self.reads, self.kept, strict=True))


class RatingSnapshot:
    """One moment of the database, as rating reads it."""

    def __init__(self, connection: Connection, cache: PlanCache, tail: Tail) -> None:
        self._connection = connection
        self._cache = cache
        self._tail = tail
        self._known = _Known(0)
        self._moment: Moment | None = None

    @property
    def connection(self) -> Connection:
        """The connection that shows this moment, for what else is to be read of it."""
        return self._connection

    async def accounts(self, ids: Sequence[str], asked: Period) -> dict[str, AccountSnapshot]:
        """Return those of the accounts that exist, by id, with what their rating in a period depends on but usage.

        All plans are looked up at once, however many accounts are on them.
        """
        rows = await self._connection.fetch(SELECT_ACCOUNTS, *account_parameters(ids, asked))
        self._known = self._cache.at(rows[0]["revision"])
        self._moment = moment_from_row(rows[0])
        rows = [row for row in rows if row["id"] is not None]
        families = {row["id"]: family_from_row(row) for row in rows}
        attached = (each for found in families.values() for each in found.all_attachments)
        plans = await self._cache.plans(self._connection, self._known, {each.plan_id for each in attached})
        return {row["id"]: self._account_from_row(row, families[row["id"]], plans) for row in rows}

    async def plans(self, plan_ids: Iterable[str]) -> dict[str, CompiledPlan]:
        """Return more plans, by id, after `accounts`; none of them is missing."""
        return await self._cache.plans(self._connection, self._known, plan_ids)

    async def usage(self, account: AccountSnapshot, scope: Scope) -> UsageSnapshot:
        """Return the usage that an account's scope needs, read in one statement."""
        (found,) = await self.usages([(account, scope)])
        return found

    async def usages(
        self, scopes: Sequence[tuple[AccountSnapshot, Scope]], moved: Sequence[Moved] = ()
    ) -> list[UsageSnapshot]:
        """Return the usage that the scopes of accounts need, in their order, all read in one statement.

        Args:
            scopes: accounts, each with what of it is rated; an account may come several times.
            moved: for each of them, which instants the account has in place of those of the scope.
        """
        definitions = await self._definitions()
        reads: dict[int, tuple[Read, ...]] = {}
        alike: dict[int, list[Slice]] = {}  # accounts that are alike share a scope, which then reads of one alone
        slices: list[list[Slice]] = []
        for (account, scope), own in zip(scopes, moved or repeat({}), strict=False):
            found = alike.get(id(scope))
            if found is None:
                reads[id(scope)] = scope.reads
                found = list(slices_of(account, scope, definitions))
                if not any(read.account_ids for read in reads[id(scope)]):
                    alike[id(scope)] = found
            if id(scope) in alike:
                found = [_of_account(account.account_no, each, own) for each in found]
            slices.append(found)
        reading = await read_partials(self._connection, self._tail, [each for own in slices for each in own])
        partials = iter(reading.partials)
        return [
            UsageSnapshot(
                reads[id(scope)],
                list(islice(partials, len(own))),
                _from_events(scope, definitions, reading.backfilling),
                definitions,
                reading.lacks_until(own),
            )
            for (_, scope), own in zip(scopes, slices, strict=True)
        ]

    async def _definitions(self) -> Definitions:
        if self._known.definitions is None:
            self._known.definitions = await read_definitions(self._connection)
        return self._known.definitions

    def _account_from_row(self, row: Row, family: Family, plans: dict[str, CompiledPlan]) -> AccountSnapshot:
        context = RatingContext(
            account_from_row(row),
            family.attachments,
            tuple(Adjustment(*each) for each in row["adjustments"] or ()),
            plans,
            self._known.meters or (),
            tuple(_granted_from_row(row)),
            self._known.settings,
            children=family.children,
            parent_coverages=coverages_from_row(row),
        )
        sight = Sight(self._moment, *zip(*_versions_from_row(row), strict=True))
        return AccountSnapshot(row["account_no"], context, self._known.revision, family.account_nos, sight)


def _versions_from_row(row: Row) -> Iterator[tuple[int, int]]:
    """Yield number and version of an account, its parent and its children."""
    yield row["account_no"], row["version"]
    if row["parent_account_no"] is not None:
        yield row["parent_account_no"], row["parent_version"]
    yield from (each[1:3] for each in row["children"] or ())


@asynccontextmanager
async def rating_snapshot(database: Database, cache: PlanCache, tail: Tail) -> AsyncIterator[RatingSnapshot]:
    """Hold one moment of the database for the length of the block."""
    async with database.snapshot() as connection:
        yield RatingSnapshot(connection, cache, tail)


def slices_of(account: AccountSnapshot, scope: Scope, definitions: Definitions) -> Iterator[Slice]:
    """Yield what to read of an account and its children for each of the scope's reads."""
    aggregations = list(_aggregations(scope))
    latest = {each.rollup for each in aggregations if each.method is Method.LATEST}
    extremes = {each.rollup for each in aggregations if each.method in (Method.MIN, Method.MAX)}
    for read in scope.reads:
        rollup, period, numbers = definitions.rollup(read.rollup), read.period, account.numbers(read.account_ids)
        end = period.end or period.start
        yield Slice(numbers, rollup, period.start, end, read.rollup in latest, read.rollup in extremes)


def _of_account(account_no: int, other: Slice, moved: Moved) -> Slice:
    """Return the same slice of another account."""
    start, end = moved.get(other.start, other.start), moved.get(other.end, other.end)
    return Slice((account_no,), other.rollup, start, end, other.keeps_latest, other.keeps_extremes)


def _from_events(scope: Scope, definitions: Definitions, backfilling: frozenset[int]) -> tuple[str, ...]:
    if not backfilling:
        return ()
    found = {each.id for each in _aggregations(scope) if definitions.rollup(each.rollup).rollup_no in backfilling}
    return tuple(sorted(found))


def _aggregations(scope: Scope | None) -> Iterator[Aggregation]:
    while scope is not None:
        yield from (each for thing_part in scope.thing_parts for each in thing_part.thing.aggregations)
        scope = scope.before


def _granted_from_row(row: Row) -> Iterable[GrantedPromotion]:
    for grant_id, promotion_id, start_time, end_time, priority, *columns in row["grants"] or ():
        grant = Grant(grant_id, row["id"], promotion_id, Period(start_time, end_time), priority)
        promotion = promotion_from_row({"id": promotion_id, **dict(zip(PROMOTION_COLUMNS, columns, strict=True))})
        yield GrantedPromotion(grant, promotion)


def account_parameters(ids: Sequence[str], asked: Period) -> tuple[object, ...]:
    """Return the parameters of `SELECT_ACCOUNTS`."""
    return list(ids), asked.start, asked.end, _last_day(asked)


def _last_day(asked: Period) -> date:
    """Return a day that is no earlier than the last local day of the period, whatever the time zone."""
    end = asked.end or asked.start
    return min(end, datetime.max.replace(tzinfo=end.tzinfo) - timedelta(days=2)).date() + timedelta(days=1)
