"""Which currency each bill of an account is in, and by which rates its days are reckoned (R11.2)."""

from collections.abc import Sequence
from datetime import date

from ratel.core.billing import BillInRow
from ratel.core.currency import BillExchange, Exchanges, exchanges_of
from ratel.core.rating.scope import RatingContext


def exchanges_to_bill(
    row: Sequence[BillInRow], invoice_date: date, target_currency: str, context: RatingContext
) -> Exchanges:
    """Return by what the days of each bill are reckoned.

    A bill that stays keeps its rates. One that is made, or made again because it is stale, takes those of the settings,
    into the currency that it was asked to be in, else into the account's.

    Args:
        row: all stored bills of the account and frequency.
        invoice_date: of the last bill to make.
        target_currency: that it is asked to be in; empty: what its stored bill was asked to be in, if there is one.
        context: has the rates, and the account's currency.
    """
    bills = sorted(row, key=lambda each: each.invoice_date)
    found = [
        _made(each.invoice_date, each.exchange.target_currency, context) if each.is_stale else each.exchange
        for each in bills
        if each.invoice_date < invoice_date
    ]
    stored = next((each.exchange.target_currency for each in bills if each.invoice_date == invoice_date), "")
    last = _made(invoice_date, target_currency or stored, context)
    return exchanges_of([*found, last], context.settings.exchange)


def _made(invoice_date: date, target_currency: str, context: RatingContext) -> BillExchange:
    currency = target_currency or context.account.currency
    return BillExchange(invoice_date, context.settings.exchange(currency), target_currency)
