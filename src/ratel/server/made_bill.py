"""Bills that were made, and how they are stored: only for accounts whose bills nobody else changed meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, TypeAlias

from ratel.core.bill import sum_by_currency
from ratel.core.billing import BillKey, BillStatus, check_row
from ratel.core.errors import RatelError
from ratel.core.rating.due import Due
from ratel.server.new_bill import NewBill
from ratel.store.bill import NO_BILLS, History, StoredBill, lock_versions, mark_stale, write_bills
from ratel.store.bill_copy import BillWrite
from ratel.store.pool import Database
from ratel.store.rating import AccountSnapshot


class Made(NamedTuple):
    """What a snapshot makes of an account.

    Attributes:
        bills: by invoice date: stale ones before the one that was asked for, and that one as the last.
    """

    account: AccountSnapshot
    history: History
    due: Due
    bills: tuple[NewBill, ...]


class Billed(NamedTuple):
    """What came of an account.

    Attributes:
        bill: as stored; None when nothing is due and nothing was stored.
        made: what it was made from; None of a bill that is approved or locked, which stays as it is.
        is_changed: whether something was written.
    """

    bill: StoredBill | None
    made: Made | None
    is_changed: bool


async def store_bills(
    database: Database, made: Mapping[str, Made], key: BillKey, now: datetime
) -> dict[str, Billed | RatelError]:
    """Store what was made, and return what came of it but for accounts whose bills others changed meanwhile."""
    results: dict[str, Billed | RatelError] = {}
    writes: dict[str, list[BillWrite]] = {}
    for account_id, each in made.items():
        try:
            changes = _changes(each, key)
        except RatelError as error:
            results[account_id] = error
            continue
        if changes:
            writes[account_id] = changes
        else:
            results[account_id] = Billed(each.history.bills.get(key.invoice_date), each, is_changed=False)
    if writes:
        results |= await _write(
            database, {account_id: (made[account_id], writes[account_id]) for account_id in writes}, now
        )
    return results


def _changes(made: Made, key: BillKey) -> list[BillWrite]:
    """Return which bills are to be written.

    Raises:
        LaterBillFixed: one of them would change, and a later one is approved or locked.
    """
    writes: list[BillWrite] = []
    for bill in made.bills:
        stored = made.history.bills.get(bill.invoice_date)
        is_same = stored is not None and _is_same(stored, bill) and stored.status is BillStatus.PENDING
        if not is_same and (stored is not None or bill.lines):
            check_row(made.history.row, bill.invoice_date)
        if (stored is None and not bill.lines) or (is_same and stored is not None and not stored.is_stale):
            continue
        writes.append(
            BillWrite(
                account_no=made.account.account_no,
                key=key if bill.invoice_date == key.invoice_date else replace(key, invoice_date=bill.invoice_date),
                digest=bill.digest,
                totals=sum_by_currency([line.billed or line for line in bill.lines]),
                exchange=bill.exchange,
                catalog_revision=made.account.revision,
                lines=bill.lines,
                contents=bill.contents,
                is_new=stored is None,
            )
        )
    return writes


def _is_same(stored: StoredBill, bill: NewBill) -> bool:
    """Tell whether a bill would be stored as it is, but for rates that nothing on it is converted by."""
    before, now = stored.exchange, bill.exchange
    is_in_same = (before.target_currency, before.exchange.currency) == (now.target_currency, now.exchange.currency)
    return is_in_same and stored.digest == bill.digest


_Writes: TypeAlias = Mapping[str, tuple[Made, Sequence[BillWrite]]]


async def _write(database: Database, wanted: _Writes, now: datetime) -> dict[str, Billed]:
    """Write bills of the accounts whose bills are still what the snapshot showed."""
    account_nos = sorted(made.account.account_no for made, _ in wanted.values())
    frequency = next(write.key.frequency for _, writes in wanted.values() for write in writes)
    async with database.transaction() as connection:
        versions = await lock_versions(connection, account_nos, frequency)
        unchanged = {
            account_id: (made, writes)
            for account_id, (made, writes) in wanted.items()
            if versions.get(made.account.account_no, NO_BILLS) == made.history.version
        }
        writes = [write for _, own in unchanged.values() for write in own]
        etags = iter(await write_bills(connection, writes, now))
        later = [
            (made.account.account_no, made.bills[-1].invoice_date)
            for made, _ in unchanged.values()
            if any(day > made.bills[-1].invoice_date for day in made.history.bills)
        ]
        await mark_stale(connection, [(number, BillKey(frequency, day)) for number, day in later], now)
    results: dict[str, Billed] = {}
    for account_id, (made, own) in unchanged.items():
        stored = {write.key.invoice_date: _stored(made, write, next(etags), now) for write in own}
        day = made.bills[-1].invoice_date
        bill = stored.get(day) or made.history.bills.get(day)
        results[account_id] = Billed(bill, made, is_changed=day in stored)
    return results


def _stored(made: Made, write: BillWrite, etag: str, now: datetime) -> StoredBill:
    before = made.history.bills.get(write.key.invoice_date)
    return StoredBill(
        account_id=made.account.context.account.id,
        account_no=write.account_no,
        key=write.key,
        status=BillStatus.PENDING,
        is_stale=False,
        digest=write.digest,
        totals=write.totals,
        exchange=write.exchange,
        catalog_revision=write.catalog_revision,
        etag=etag,
        create_time=now if before is None else before.create_time,
        update_time=now,
    )
