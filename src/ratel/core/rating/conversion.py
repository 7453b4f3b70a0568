"""Line items in the currency of the account or of the bill that they are for (R11.2)."""

from dataclasses import replace

from ratel.core.bill import Conversion, LineItem
from ratel.core.currency import Exchange
from ratel.core.rating.draft import Draft


def converted(item: LineItem, exchange: Exchange) -> LineItem:
    """Return a line item in the currency that it is brought into, with what it was; runs inside `money.EXACT`.

    Raises:
        CurrencyRateMissing: there is no rate.
    """
    target = exchange.target(item.currency)
    if target == item.currency:
        return item
    rate = exchange.rate(item.currency)
    return replace(
        item,
        currency=target,
        amount=exchange.amount(item.amount, item.currency),
        exact_amount=item.amount * rate,
        conversion=Conversion(item.currency, item.amount, item.exact_amount, rate),
    )


def convert(draft: Draft) -> None:
    """Bring all line items of a draft into its currency: whatever acts on several finds them in one.

    Raises:
        CurrencyRateMissing: there is no rate for one of them.
    """
    if draft.exchange.currency:
        draft.line_items[:] = [converted(item, draft.exchange) for item in draft.line_items]
