"""Makes bills: of many accounts from one snapshot, stored if nobody else changed an account's bills meanwhile.

Nothing is locked while bills are computed. To store them the accounts are held for a moment, and those whose bills are
no longer what the snapshot showed are computed again: so two runs at once end as one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from ratel.core.bill_exchange import exchanges_to_bill
from ratel.core.billing import (
    BillKey,
    BillStatus,
    check_priced,
    make_bills,
    reopened,
)
from ratel.core.compiled import CompiledPlan
from ratel.core.errors import BillChanged, RatelError, ResourceNotFound
from ratel.core.rating.due import Due, due, known_period, survey_due
from ratel.core.rating.scope import RatingContext, Scope
from ratel.core.shape import moved_partials
from ratel.core.tail import Tail
from ratel.server import clock
from ratel.server.made_bill import Billed, Made, store_bills
from ratel.server.new_bill import NewBill, with_contents
from ratel.server.prepared_bill import PreparedBills, ReadyAccount
from ratel.store.bill import (
    History,
    StoredBill,
    check_etag,
    read_histories,
)
from ratel.store.pool import Connection, Database
from ratel.store.prepayment import Prepaid, read_prepaid
from ratel.store.purchase import Dated, read_dated
from ratel.store.rating import AccountSnapshot, PlanCache, RatingSnapshot, UsageSnapshot, rating_snapshot

TRIES_MAX: Final = 5
"""How often an account is computed before others are said to keep changing its bills."""


_READY_AT_ONCE: Final = 50
"""Bills that are made together of what is ready, until other calls go on: they take as long as two others."""

_NOTHING_DATED: Final = Dated((), ())
_NOTHING_PREPAID: Final = Prepaid((), ())
_NOTHING_ELSE: Final = Due((), (), ())
"""What is due beside the bill itself, where no usage is unpriced or unattached."""


class _Surveyed(NamedTuple):
    """An account before its usage is known.

    Attributes:
        scope: says what to read; of another account of its shape if there is something ready for that.
    """

    account: AccountSnapshot
    history: History
    context: RatingContext
    scope: Scope
    ready: ReadyAccount | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which bills to make, and how.

    Attributes:
        key: which bill of each account.
        target_currency: what they are to be in; empty: what was asked before, else as the account says.
        etags: of stored bills that are to be made again even if they are approved, by account.
        is_preview: whether nothing is to be stored: then nothing keeps a bill from being made.
    """

    key: BillKey
    target_currency: str = ""
    etags: Mapping[str, str] = field(default_factory=dict)
    is_preview: bool = False


class BillMaker:
    """Makes the bills of accounts.

    Args:
        database: Where everything is.
        cache: Compiled plans, for the life of the process.
        tail: What this process remembers of usage that is not in the rollups yet.
        prepared: What was made ready for accounts that are alike.
    """

    def __init__(self, database: Database, cache: PlanCache, tail: Tail, prepared: PreparedBills | None = None) -> None:
        self._database = database
        self._cache = cache
        self._tail = tail
        self._prepared = prepared or PreparedBills()

    async def preview(self, account_id: str, key: BillKey, target_currency: str) -> Made:
        """Make the bill of an account from one snapshot.

        Raises:
            ResourceNotFound: there is no such account.
            CurrencyRateMissing: there is no rate into the bill's currency.
        """
        asked = Asked(key, target_currency, is_preview=True)
        async with rating_snapshot(self._database, self._cache, self._tail) as snapshot:
            ((_, found),) = (await _make(snapshot, self._prepared, [account_id], asked)).items()
        if isinstance(found, Made):
            return found
        raise found if isinstance(found, RatelError) else AssertionError(found)

    async def run(self, ids: Sequence[str], key: BillKey, target_currency: str) -> dict[str, Billed | RatelError]:
        """Make and store the bills of some accounts; those that are approved or locked stay as they are."""
        return await self._run(ids, Asked(key, target_currency))

    async def recalculate(self, account_id: str, key: BillKey, etag: str) -> Billed:
        """Make a stored bill again; an approved one becomes pending.

        Raises:
            ResourceNotFound: there is no such account or bill.
            EtagMismatch: the bill is not as the caller read it.
            BillLocked: it never changes.
            LaterBillFixed: a later one is approved or locked.
            UsageUnpriced: no pricing takes some of its usage.
            CurrencyRateMissing: there is no rate into the bill's currency.
            BillChanged: others kept changing the account's bills.
        """
        (found,) = (await self._run([account_id], Asked(key, etags={account_id: etag}))).values()
        if isinstance(found, RatelError):
            raise found
        return found

    async def _run(self, ids: Sequence[str], asked: Asked) -> dict[str, Billed | RatelError]:
        results: dict[str, Billed | RatelError] = {}
        left = list(ids)
        for _ in range(TRIES_MAX):
            if not left:
                break
            async with rating_snapshot(self._database, self._cache, self._tail) as snapshot:
                found = await _make(snapshot, self._prepared, left, asked)
            made = {account_id: each for account_id, each in found.items() if isinstance(each, Made)}
            results |= {account_id: each for account_id, each in found.items() if not isinstance(each, Made)}
            stored = await store_bills(self._database, made, asked.key, clock.now())
            results |= stored
            left = [account_id for account_id in made if account_id not in stored]
        results |= {account_id: BillChanged() for account_id in left}
        return {account_id: results[account_id] for account_id in ids}


# --- Computing --------------------------------------------------------------------------------------------------------


async def _make(
    snapshot: RatingSnapshot, prepared: PreparedBills, ids: Sequence[str], asked: Asked
) -> dict[str, Made | Billed | RatelError]:
    """Make the bills of some accounts from one snapshot."""
    key = asked.key
    accounts = await snapshot.accounts(ids, known_period(key.invoice_date))
    account_nos = [each.account_no for each in accounts.values()]
    histories = await read_histories(snapshot.connection, account_nos, key)
    dated = await read_dated(snapshot.connection, account_nos)
    prepaid = await read_prepaid(snapshot.connection, account_nos)
    fee_plans = await snapshot.plans({plan_id for each in prepaid.values() for plan_id in each.plan_ids})
    found: dict[str, Made | Billed | RatelError] = {}
    surveyed: dict[str, _Surveyed] = {}
    for account_id in ids:
        try:
            account = _existing(accounts.get(account_id), account_id)
            history = histories[account.account_no]
            stored = history.bills.get(key.invoice_date)
            if not asked.is_preview and _is_kept(account_id, stored, asked.etags):
                found[account_id] = Billed(stored, None, is_changed=False)
            else:
                context = _with_owed(account, dated[account.account_no], prepaid[account.account_no], fee_plans)
                ready = None
                if stored is None:
                    ready = prepared.of(context, account.revision, key, asked.target_currency)
                scope = survey_due(context, key.frequency, key.invoice_date) if ready is None else ready.scope
                surveyed[account_id] = _Surveyed(account, history, context, scope, ready)
        except RatelError as error:
            found[account_id] = error
    moved = [{} if each.ready is None else each.ready.moved for each in surveyed.values()]
    usages = await snapshot.usages([(each.account, each.scope) for each in surveyed.values()], moved)
    bills = await _ready_made(list(zip(surveyed.values(), usages, strict=True)))
    for (account_id, each), usage, bill in zip(surveyed.items(), usages, bills, strict=True):
        if bill is not None:
            found[account_id] = Made(each.account, each.history, _NOTHING_ELSE, (bill,))
            continue
        await asyncio.sleep(0)  # other calls go on between two accounts
        try:
            found[account_id] = await _made(snapshot.connection, each, usage, asked)
        except RatelError as error:
            found[account_id] = error
    return found


async def _ready_made(accounts: Sequence[tuple[_Surveyed, UsageSnapshot]]) -> list[NewBill | None]:
    """Make bills of what was made ready; None where that does not tell."""
    alike: dict[int, list[int]] = {}
    for place, (each, usage) in enumerate(accounts):
        if each.ready is not None and usage.lacks_until is None:
            alike.setdefault(id(each.ready.bill), []).append(place)
    found: list[NewBill | None] = [None] * len(accounts)
    for places in alike.values():
        for first in range(0, len(places), _READY_AT_ONCE):
            await asyncio.sleep(0)  # other calls go on
            some = places[first : first + _READY_AT_ONCE]
            own = [accounts[place] for place in some]
            ready = [each.ready for each, _ in own if each.ready is not None]
            kept = [usage.kept for _, usage in own]
            made = ready[0].bill.make(ready, kept, [each.history.row for each, _ in own])
            for place, bill in zip(some, made, strict=True):
                found[place] = bill
    return found


async def _made(connection: Connection, each: _Surveyed, usage: UsageSnapshot, asked: Asked) -> Made:
    """Make an account's bills, whatever it has."""
    key, row, scope, partials = asked.key, each.history.row, each.scope, usage.partials
    if each.ready is not None:
        scope = survey_due(each.context, key.frequency, key.invoice_date)
        partials = moved_partials(partials, each.ready.moved)
    exchanges = exchanges_to_bill(row, key.invoice_date, asked.target_currency, each.context)
    owed = due(scope, partials, key.invoice_date, exchanges)
    if not asked.is_preview:
        check_priced(owed)
    bills = make_bills(owed, row, key.invoice_date, exchanges)
    contents = await with_contents(connection, each.account.account_no, key, bills)
    return Made(each.account, each.history, owed, contents)


def _with_owed(
    account: AccountSnapshot, dated: Dated, prepaid: Prepaid, fee_plans: Mapping[str, CompiledPlan]
) -> RatingContext:
    """Return what an account's bills depend on: its rating, what falls due at an instant, and what pays."""
    context = account.context
    if dated == _NOTHING_DATED and prepaid == _NOTHING_PREPAID:
        return context
    return replace(
        context,
        plans=context.plans | {plan_id: fee_plans[plan_id] for plan_id in prepaid.plan_ids},
        purchases=dated.purchases,
        ad_hoc_charges=dated.ad_hoc_charges,
        commitments=prepaid.commitments,
        balances=prepaid.balances,
    )


def _existing(account: AccountSnapshot | None, account_id: str) -> AccountSnapshot:
    if account is None:
        raise ResourceNotFound("account", account_id)
    return account


def _is_kept(account_id: str, stored: StoredBill | None, etags: Mapping[str, str]) -> bool:
    """Tell whether a bill stays as it is: approved or locked, and nobody asked to make it again."""
    if account_id not in etags:
        return stored is not None and stored.status is not BillStatus.PENDING
    if stored is None:
        raise ResourceNotFound("bill", account_id)
    check_etag(stored, etags[account_id])
    reopened(stored.status)
    return False
