"""PURCHASE, SETUP_FEE, AD_HOC: what falls due at an instant, beside all service (R10.2, R12.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ratel.core.add_on import price_quantities
from ratel.core.bill import LineItem, LineItemKind, Origin, PurchaseWorkings
from ratel.core.money import RoundingMode, round_amount
from ratel.core.period import Period
from ratel.core.purchase import AdHocCharge, Purchase
from ratel.core.rating.scope import RatingContext


@dataclass(frozen=True, slots=True)
class Dated:
    """What line items of one source share."""

    source_id: str
    description: str
    time: datetime
    currency: str
    product_id: str = ""

    def item(
        self, kind: LineItemKind, exact_amount: Decimal, mode: RoundingMode, workings: PurchaseWorkings | None = None
    ) -> LineItem:
        """Return a line item; runs inside `money.EXACT`."""
        instant = instant_at(self.time)
        return LineItem(
            kind=kind,
            description=self.description,
            origin=Origin(self.product_id, "", ""),
            pricing_id="",
            priced=None,
            segment=(),
            bill_period=instant,
            service=instant,
            currency=self.currency,
            amount=round_amount(exact_amount, self.currency, mode),
            exact_amount=exact_amount,
            workings=workings,
            source_id=self.source_id,
        )


def instant_at(time: datetime) -> Period:
    """Return the service of what falls due at an instant."""
    return Period(time, time + timedelta.resolution)


def dated_items(context: RatingContext) -> Iterator[LineItem]:
    """Yield the line items of all purchases, then of all ad-hoc charges, each by time, then id. In `money.EXACT`."""
    mode = context.settings.rounding_mode
    for purchase in sorted(context.purchases, key=lambda each: (each.order.time, each.order.id)):
        yield from _purchase_items(purchase, mode)
    for charge in sorted(context.ad_hoc_charges, key=lambda each: (each.time, each.id)):
        yield _charge_item(charge, mode)


def _purchase_items(purchase: Purchase, mode: RoundingMode) -> Iterator[LineItem]:
    """Yield what a purchase costs, and its setup fee; nothing if it was cancelled while it was free."""
    add_on, time = purchase.add_on, purchase.due_time
    if time is None:
        return
    dated = Dated(purchase.order.id, add_on.name, time, add_on.currency, add_on.product_id)
    workings = price_quantities(add_on, dict(purchase.order.quantities))
    yield dated.item(LineItemKind.PURCHASE, workings.amount, mode, workings)
    if purchase.pays_setup_fee and add_on.setup_fee is not None:
        yield dated.item(LineItemKind.SETUP_FEE, add_on.setup_fee, mode)


def _charge_item(charge: AdHocCharge, mode: RoundingMode) -> LineItem:
    dated = Dated(charge.id, charge.description, charge.time, charge.currency)
    return dated.item(LineItemKind.AD_HOC, charge.amount, mode)
