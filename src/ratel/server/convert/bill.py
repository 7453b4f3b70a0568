"""Bills and the lines that they carry."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache

from ratel.core.bill import sum_by_currency
from ratel.core.billing import BillKey, BillStatus, Line
from ratel.core.currency import BillExchange, CurrencyRate
from ratel.core.errors import Mistakes
from ratel.core.money import amount_text, exponent, text_from_decimal
from ratel.core.period import date_from_text
from ratel.core.rating.due import Due
from ratel.rating.v1 import bill_pb2, billing_service_pb2, line_item_pb2
from ratel.server.convert.plan import FREQUENCIES, currency_rate_to_proto
from ratel.server.convert.rating import (
    conversion_to_proto,
    line_item_to_proto,
    totals_to_proto,
    unattached_to_proto,
    unpriced_to_proto,
)
from ratel.server.convert.value import EnumPair, date_to_text, instant_to_proto
from ratel.store.bill import StoredBill

STATUSES = EnumPair(BillStatus, bill_pb2.BillStatus.Name, bill_pb2.BillStatus.Value, "BILL_STATUS_")

Keyed = (
    billing_service_pb2.PreviewBillRequest
    | billing_service_pb2.RunBillingRequest
    | billing_service_pb2.GetBillRequest
    | billing_service_pb2.ApproveBillRequest
    | billing_service_pb2.RecalculateBillRequest
    | billing_service_pb2.LockBillRequest
    | billing_service_pb2.DeleteBillRequest
)
"""The requests that name a frequency and an invoice date."""


def bill_key_from_proto(request: Keyed) -> BillKey:
    """Return which bill of an account a request means.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    with mistakes.under("bill_frequency"):
        frequency = FREQUENCIES.from_proto(request.bill_frequency)
    with mistakes.under("invoice_date"):
        invoice_date = date_from_text(request.invoice_date)
    mistakes.check()
    return BillKey(frequency, invoice_date)


def target_currency_from_proto(
    request: billing_service_pb2.PreviewBillRequest | billing_service_pb2.RunBillingRequest,
) -> str:
    """Return the currency that bills are asked to be in; it may be empty.

    Raises:
        Invalid: it is unknown.
    """
    mistakes = Mistakes()
    if request.target_currency:
        with mistakes.under("target_currency"):
            exponent(request.target_currency)
    mistakes.check()
    return request.target_currency


def line_to_proto(line: Line, first: line_item_pb2.LineItem | None) -> line_item_pb2.LineItem:
    """Return the message of a line.

    Args:
        line: as it is to be on a bill.
        first: the line that it corrects; needed for what is due no more.
    """
    message = line_item_pb2.LineItem()
    if line.item is not None:
        message.CopyFrom(line_item_to_proto(line.item))
    elif first is not None:
        message.CopyFrom(first)
    message.line_number = line.number
    message.currency = line.printed.currency
    message.amount = amount_text(line.printed.amount, line.printed.currency)
    message.exact_amount = text_from_decimal(line.printed.exact_amount)
    message.ClearField("bill_conversion")
    if line.billed is not None:
        message.bill_conversion.CopyFrom(conversion_to_proto(line.billed.conversion))
    if line.correction is not None:
        message.correction.CopyFrom(
            line_item_pb2.Correction(
                invoice_date=date_to_text(line.correction.place.invoice_date),
                line_number=line.correction.place.number,
                carried_amount=amount_text(line.correction.carried_amount, line.currency),
                due_amount=amount_text(line.correction.due_amount, line.currency),
            )
        )
    return message


def stored_bill_to_proto(bill: StoredBill, contents: Iterable[bytes] = ()) -> bill_pb2.Bill:
    """Return the message of a stored bill, with the contents of its lines or without."""
    message = bill_pb2.Bill()
    message.CopyFrom(
        _made(
            bill.key, bill.status, (bill.create_time, bill.update_time), bill.catalog_revision, is_stale=bill.is_stale
        )
    )
    message.account_id, message.etag = bill.account_id, bill.etag
    message.line_items.extend(map(line_item_pb2.LineItem.FromString, contents))
    message.totals.extend(totals_to_proto(bill.totals))
    _fill_exchange(message, bill.exchange)
    return message


@lru_cache(100)
def _made(
    key: BillKey, status: BillStatus, times: tuple[datetime, datetime], catalog_revision: int, *, is_stale: bool
) -> bill_pb2.Bill:
    """Return what all bills of a run have in common, never to be changed."""
    create_time, update_time = map(instant_to_proto, times)
    return bill_pb2.Bill(
        bill_frequency=FREQUENCIES.to_proto(key.frequency),
        invoice_date=date_to_text(key.invoice_date),
        status=STATUSES.to_proto(status),
        stale=is_stale,
        catalog_revision=catalog_revision,
        create_time=create_time,
        update_time=update_time,
    )


def _fill_exchange(message: bill_pb2.Bill, bill: BillExchange) -> None:
    """Say by what a bill is converted."""
    exchange = bill.exchange
    message.target_currency, message.currency = bill.target_currency, exchange.currency
    for each, rate in sorted(exchange.rates.items()):
        message.currency_rates.append(currency_rate_to_proto(CurrencyRate(each, exchange.currency, rate)))


def unstored_bill_to_proto(
    account_id: str, key: BillKey, lines: Sequence[Line], exchange: BillExchange, catalog_revision: int
) -> bill_pb2.Bill:
    """Return the message of a bill that is not stored, without its line items."""
    message = bill_pb2.Bill(
        account_id=account_id,
        bill_frequency=FREQUENCIES.to_proto(key.frequency),
        invoice_date=date_to_text(key.invoice_date),
        totals=totals_to_proto(sum_by_currency(line.printed for line in lines)),
        catalog_revision=catalog_revision,
    )
    _fill_exchange(message, exchange)
    return message


def add_warnings(bill: bill_pb2.Bill, due: Due) -> bill_pb2.Bill:
    """Add what the bill does not charge for."""
    bill.unpriced_usages.extend(map(unpriced_to_proto, due.unpriced_usages))
    bill.unattached_usages.extend(map(unattached_to_proto, due.unattached_usages))
    return bill
