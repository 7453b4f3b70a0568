"""BillingService: what accounts owe, made and kept."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from datetime import date
from functools import partial
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter

from ratel.core.billing import BillKey, BillStatus, approved, check_deletable, check_row, locked
from ratel.core.errors import Mistakes
from ratel.core.period import date_from_text
from ratel.rating.v1 import billing_service_pb2 as pb
from ratel.rating.v1 import line_item_pb2
from ratel.rating.v1.billing_service_pb2_grpc import BillingServiceServicer
from ratel.server import clock
from ratel.server.account_chunk import account_chunks
from ratel.server.bill_chunk import bill_chunk, billed_to_proto
from ratel.server.bill_run import BillMaker
from ratel.server.bill_worker import BillWorkers
from ratel.server.convert.bill import (
    STATUSES,
    add_warnings,
    bill_key_from_proto,
    stored_bill_to_proto,
    target_currency_from_proto,
    unstored_bill_to_proto,
)
from ratel.server.convert.plan import FREQUENCIES
from ratel.server.errors import Context
from ratel.server.page import page_size, position_of, token_after
from ratel.store import bill as store
from ratel.store.account import account_no, count_accounts, lock_account
from ratel.store.pool import Connection, Database

T = TypeVar("T")

CHUNK_ACCOUNTS = 500
"""Accounts that are computed from one snapshot and written in one transaction: few enough to see a run go on."""

CHUNKS_AT_ONCE = 2
"""Chunks under way in the server, or for each worker: while one waits, another one is computed."""


class BillingServicer(BillingServiceServicer):
    """Answers ratel.rating.v1.BillingService.

    Args:
        database: Where everything is.
        maker: Makes bills.
        workers: Make those of large runs.
        registry: Where bills are counted.
    """

    def __init__(self, database: Database, maker: BillMaker, workers: BillWorkers, registry: CollectorRegistry) -> None:
        self._database = database
        self._maker = maker
        self._workers = workers
        self._bills = Counter(
            "ratel_bills", "Accounts billed by runs, by what came of them.", ["outcome"], registry=registry
        )

    async def PreviewBill(self, request: pb.PreviewBillRequest, context: Context) -> pb.PreviewBillResponse:
        """Make a bill without storing it."""
        key = bill_key_from_proto(request)
        made = await self._maker.preview(request.account_id, key, target_currency_from_proto(request))
        last = made.bills[-1]
        bill = unstored_bill_to_proto(request.account_id, key, last.lines, last.exchange, made.account.revision)
        bill.line_items.extend(map(line_item_pb2.LineItem.FromString, last.contents))
        return pb.PreviewBillResponse(bill=add_warnings(bill, made.due))

    async def RunBilling(  # type: ignore[override]  # its messages are bytes already
        self, request: pb.RunBillingRequest, context: Context
    ) -> AsyncIterator[bytes]:
        """Make and store bills; only a few chunks of accounts are begun ahead of what the caller has taken."""
        key, target_currency = bill_key_from_proto(request), target_currency_from_proto(request)
        done, count = 0, len(request.account_ids)
        if not count:
            async with self._database.connection() as connection:
                count = await count_accounts(connection)
        chunks = account_chunks(self._database, request.account_ids, CHUNK_ACCOUNTS)
        is_large = count > CHUNK_ACCOUNTS and self._workers.count > 0
        bill = self._workers.bill if is_large else partial(bill_chunk, self._maker)
        runs = (bill(ids, key, target_currency) async for ids in chunks)
        async with aclosing(_ahead(runs, CHUNKS_AT_ONCE * (self._workers.count if is_large else 1))) as results:
            async for billed in results:
                for outcome, number in billed.outcomes.items():
                    self._bills.labels(outcome).inc(number)
                for part in billed.parts:
                    done += part.account_count
                    progress = pb.RunBillingResponse(done_count=done, account_count=max(count, done))
                    # Messages one after the other are one message that says what both say.
                    yield part.data + progress.SerializeToString()

    async def GetBill(self, request: pb.GetBillRequest, context: Context) -> pb.GetBillResponse:
        """Return a bill."""
        async with self._database.snapshot() as connection:
            bill = await _bill(connection, request.account_id, bill_key_from_proto(request))
            contents = await store.contents_of_bill(connection, bill)
        return pb.GetBillResponse(bill=stored_bill_to_proto(bill, contents))

    async def ListBills(self, request: pb.ListBillsRequest, context: Context) -> pb.ListBillsResponse:
        """Return a page of bills."""
        account_id, frequency, day = position_of(request, ["", "", date.min.isoformat()])
        size = page_size(request)
        after = account_id, frequency, date_from_text(day)
        async with self._database.connection() as connection:
            found = await store.page_of_bills(connection, _filter_of(request), after, size + 1)
        token = token_after(request, _position(found[size - 1])) if len(found) > size else ""
        return pb.ListBillsResponse(bills=map(stored_bill_to_proto, found[:size]), next_page_token=token)

    async def ApproveBill(self, request: pb.ApproveBillRequest, context: Context) -> pb.ApproveBillResponse:
        """Approve a bill."""
        key = bill_key_from_proto(request)
        async with self._database.transaction() as connection:
            await connection.execute(store.LOCK_CATALOG)
            bill = await _locked_bill(connection, request.account_id, key)
            store.check_etag(bill, request.etag)
            bill = await _in_status(connection, bill, approved(bill.status, is_stale=bill.is_stale))
        return pb.ApproveBillResponse(bill=stored_bill_to_proto(bill))

    async def RecalculateBill(self, request: pb.RecalculateBillRequest, context: Context) -> pb.RecalculateBillResponse:
        """Make a stored bill again."""
        billed = await self._maker.recalculate(request.account_id, bill_key_from_proto(request), request.etag)
        message = billed_to_proto(request.account_id, bill_key_from_proto(request), billed)
        if billed.made is not None:
            message.line_items.extend(map(line_item_pb2.LineItem.FromString, billed.made.bills[-1].contents))
        return pb.RecalculateBillResponse(bill=message)

    async def LockBill(self, request: pb.LockBillRequest, context: Context) -> pb.LockBillResponse:
        """Lock a bill."""
        key = bill_key_from_proto(request)
        async with self._database.transaction() as connection:
            bill = await _locked_bill(connection, request.account_id, key)
            store.check_etag(bill, request.etag)
            bill = await _in_status(connection, bill, locked(bill.status))
        return pb.LockBillResponse(bill=stored_bill_to_proto(bill))

    async def DeleteBill(self, request: pb.DeleteBillRequest, context: Context) -> pb.DeleteBillResponse:
        """Delete a bill."""
        key = bill_key_from_proto(request)
        async with self._database.transaction() as connection:
            bill = await _locked_bill(connection, request.account_id, key)
            store.check_etag(bill, request.etag)
            check_deletable(bill.status)
            history = (await store.read_histories(connection, [bill.account_no], key))[bill.account_no]
            check_row(history.row, key.invoice_date)
            await store.delete_bill(connection, bill)
            await store.mark_stale(connection, [(bill.account_no, key)], clock.now())
        return pb.DeleteBillResponse()


# --- One bill ---------------------------------------------------------------------------------------------------------


async def _bill(connection: Connection, account_id: str, key: BillKey) -> store.StoredBill:
    return await store.get_bill(connection, await account_no(connection, account_id), key)


async def _locked_bill(connection: Connection, account_id: str, key: BillKey) -> store.StoredBill:
    return await store.get_bill(connection, await lock_account(connection, account_id), key)


async def _in_status(connection: Connection, bill: store.StoredBill, status: BillStatus) -> store.StoredBill:
    """Store how far a bill has come, unless it has come so far already."""
    if bill.status is status:
        return bill
    await store.set_status(connection, bill, status, clock.now())
    return await store.get_bill(connection, bill.account_no, bill.key)


def _filter_of(request: pb.ListBillsRequest) -> store.BillFilter:
    mistakes = Mistakes()
    invoice_date = None
    with mistakes.under("invoice_date"):
        invoice_date = date_from_text(request.invoice_date) if request.invoice_date else None
    mistakes.check()
    return store.BillFilter(
        account_id=request.account_id,
        frequency=FREQUENCIES.from_proto(request.bill_frequency).value if request.bill_frequency else "",
        invoice_date=invoice_date,
        status=STATUSES.from_proto(request.status).value if request.status else "",
    )


def _position(bill: store.StoredBill) -> tuple[str, str, str]:
    return bill.account_id, bill.key.frequency.value, bill.key.invoice_date.isoformat()


# --- A run ------------------------------------------------------------------------------------------------------------


async def _ahead(runs: AsyncIterator[Coroutine[None, None, T]], count: int) -> AsyncGenerator[T]:
    """Yield what runs come to, in their order, while so many are under way."""
    under_way: deque[asyncio.Task[T]] = deque()
    try:
        async for run in runs:
            under_way.append(asyncio.create_task(run))
            if len(under_way) == count:
                yield await under_way.popleft()
        while under_way:
            yield await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
