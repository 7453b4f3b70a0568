"""Bills some accounts of a run, and puts what came of it into messages as they are sent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ratel.core.billing import BillKey
from ratel.core.currency import BillExchange, Exchange
from ratel.core.errors import RatelError
from ratel.rating.v1 import bill_pb2
from ratel.rating.v1 import billing_service_pb2 as pb
from ratel.server.bill_run import BillMaker
from ratel.server.convert.bill import add_warnings, stored_bill_to_proto, unstored_bill_to_proto
from ratel.server.errors import status_of
from ratel.server.made_bill import Billed

RESULTS_MAX: Final = 100
"""Accounts in one response: the contract says so, and each may have many warnings."""


class BilledPart(NamedTuple):
    """Some accounts of a chunk.

    Attributes:
        data: a RunBillingResponse that says what came of them, and not how far the run has come.
    """

    account_count: int
    data: bytes


class BilledChunk(NamedTuple):
    """What came of some accounts of a run, in their order.

    Attributes:
        outcomes: how many accounts were written, unchanged, failed.
    """

    parts: Sequence[BilledPart]
    outcomes: Mapping[str, int]


async def bill_chunk(maker: BillMaker, ids: Sequence[str], key: BillKey, target_currency: str) -> BilledChunk:
    """Make and store the bills of some accounts.

    Raises:
        DatabaseUnavailable: it cannot be reached; some bills may be stored.
    """
    found = list((await maker.run(ids, key, target_currency)).items())
    parts: list[BilledPart] = []
    for start in range(0, len(found), RESULTS_MAX):
        messages = [_message_of(account_id, key, each) for account_id, each in found[start : start + RESULTS_MAX]]
        data = pb.RunBillingResponse(billed_accounts=messages).SerializeToString()
        parts.append(BilledPart(len(messages), data))
    return BilledChunk(parts, Counter(_outcome(each) for _, each in found))


def _message_of(account_id: str, key: BillKey, found: Billed | RatelError) -> pb.BilledAccount:
    if isinstance(found, RatelError):
        return pb.BilledAccount(account_id=account_id, error=status_of(found))
    return pb.BilledAccount(
        account_id=account_id, bill=billed_to_proto(account_id, key, found), changed=found.is_changed
    )


def billed_to_proto(account_id: str, key: BillKey, billed: Billed) -> bill_pb2.Bill:
    """Return what came of an account as a bill without line items."""
    if billed.bill is not None:
        message = stored_bill_to_proto(billed.bill)
    else:
        revision = billed.made.account.revision if billed.made else 0
        exchange = billed.made.bills[-1].exchange if billed.made else BillExchange(key.invoice_date, Exchange())
        message = unstored_bill_to_proto(account_id, key, (), exchange, revision)
    return message if billed.made is None else add_warnings(message, billed.made.due)


def _outcome(found: Billed | RatelError) -> str:
    if isinstance(found, RatelError):
        return "failed"
    return "written" if found.is_changed else "unchanged"
