"""Calls BillingService for an account that a story tells of."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from ratel.catalog.v1.plan_template_pb2 import BILL_FREQUENCY_MONTHLY
from ratel.rating.v1 import billing_service_pb2 as pb
from ratel.rating.v1.bill_pb2 import (
    BILL_STATUS_PENDING,
    Bill,
)
from ratel.rating.v1.line_item_pb2 import LineItemKind
from tests.conftest import Served
from tests.story import read_story
from tests.telling import Teller

PENDING = BILL_STATUS_PENDING
CALLS = """
    aggregation calls SUM n
    price calls 0:0.15 500:0.10 id=price
    attach 2024-06-01
    use 2024-06-03 n=400
    use 2024-07-03 n=100
"""


def keyed(account_id: str, day: str, **more: Any) -> dict[str, Any]:
    return {"account_id": account_id, "bill_frequency": BILL_FREQUENCY_MONTHLY, "invoice_date": day, **more}


async def responses_of(server: Served, ids: Sequence[str], day: str, **more: Any) -> list[pb.RunBillingResponse]:
    usual: dict[str, Any] = {"account_ids": ids, "bill_frequency": BILL_FREQUENCY_MONTHLY, "invoice_date": day}
    return [each async for each in server.billing.RunBilling(pb.RunBillingRequest(**usual | more))]


async def run(server: Served, ids: Sequence[str], day: str, **more: Any) -> list[pb.BilledAccount]:
    return [each for response in await responses_of(server, ids, day, **more) for each in response.billed_accounts]


async def ran(server: Served, account_id: str, day: str) -> pb.BilledAccount:
    (found,) = await run(server, [account_id], day)
    return found


async def get(server: Served, account_id: str, day: str) -> Bill:
    return (await server.billing.GetBill(pb.GetBillRequest(**keyed(account_id, day)))).bill


async def preview(server: Served, account_id: str, day: str) -> Bill:
    return (await server.billing.PreviewBill(pb.PreviewBillRequest(**keyed(account_id, day)))).bill


async def approve(server: Served, account_id: str, day: str, **more: Any) -> Bill:
    return (await server.billing.ApproveBill(pb.ApproveBillRequest(**keyed(account_id, day, **more)))).bill


async def recalculate(server: Served, account_id: str, day: str, **more: Any) -> Bill:
    return (await server.billing.RecalculateBill(pb.RecalculateBillRequest(**keyed(account_id, day, **more)))).bill


async def lock(server: Served, account_id: str, day: str, **more: Any) -> Bill:
    return (await server.billing.LockBill(pb.LockBillRequest(**keyed(account_id, day, **more)))).bill


async def delete(server: Served, account_id: str, day: str, **more: Any) -> None:
    await server.billing.DeleteBill(pb.DeleteBillRequest(**keyed(account_id, day, **more)))


async def use(teller: Teller, text: str) -> None:
    """Send late usage of the story ``CALLS``."""
    await teller.tell_usage(read_story(f"aggregation calls SUM n\n{text}").usages)


def shown(bill: Bill) -> list[tuple[str, str, bool]]:
    """Return kind, amount and whether it is a correction, of each line item."""
    return [
        (LineItemKind.Name(each.kind).removeprefix("LINE_ITEM_KIND_"), each.amount, each.HasField("correction"))
        for each in bill.line_items
    ]


def total(*bills: Bill) -> Decimal:
    return sum((Decimal(each.amount) for bill in bills for each in bill.line_items), Decimal(0))


@asynccontextmanager
async def told(server: Served, prefix: str, text: str = CALLS) -> AsyncIterator[Teller]:
    teller = Teller(server, read_story(text), prefix)
    await teller.tell()
    yield teller
