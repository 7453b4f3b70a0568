"""COMMITMENT_CONSUMED, BALANCE_CONSUMED, OVERAGE_USAGE, OVERAGE_SURCHARGE: who pays, and what if nobody can (R7).

Line items are paid in their order, each as far as what credits and promotions left of it lies inside a source (R7.3).
What is left of usage then is overage, where overage has a price of its own (R7.4).
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ratel.core.bill import DrawDownWorkings, LineItem, LineItemKind, Origin, Payment
from ratel.core.money import ZERO, divide, round_amount
from ratel.core.plan import CreditKind
from ratel.core.rating.draft import Draft
from ratel.core.rating.inside import Inside
from ratel.core.rating.overage import Overages
from ratel.core.rating.purchases import instant_at
from ratel.core.rating.remainder import Charge
from ratel.core.rating.source import Paid, Source, sources_of

_KINDS: Final = {
    CreditKind.COMMITMENT: LineItemKind.COMMITMENT_CONSUMED,
    CreditKind.BALANCE: LineItemKind.BALANCE_CONSUMED,
}


def draw_downs(draft: Draft) -> Iterator[LineItem]:
    """Yield what each source pays of the line items that fall due together, then the overage of these."""
    sources = sources_of(draft.scope.context)
    if not sources:
        return
    inside = Inside(draft)
    overages = Overages(draft, inside)
    paid: list[Paid] = []
    for charge in draft.remainder.charges:
        able = [source for source in sources if source.may_pay(charge.item, draft.exchange)]
        own = tuple(_pay(draft, inside, charge, able))
        overages.split(charge, able, own)
        paid += (each for each in own if each.amount)
    for source in sources:
        own = tuple(each for each in paid if each.source is source)
        if own:
            yield _consumed(draft, source, own)
    yield from overages.line_items


def _pay(draft: Draft, inside: Inside, charge: Charge, sources: Sequence[Source]) -> Iterator[Paid]:
    """Yield what each source pays of a charge: at most what of it lies inside, and never more than there is."""
    unpaid = charge.net
    for source in sources:
        rate = draft.exchange.rate(source.agreement.currency)
        left = source.left(draft.book, draft.invoice_time, rate)
        rounded_left = round_amount(left, charge.item.currency, draft.exchange.mode)
        amount = min(unpaid, rounded_left, inside.net(charge, source.period)) if left > ZERO else ZERO
        if amount > ZERO:
            unpaid -= amount
            draft.book.consumed[source.key].add(amount, rate)
            yield Paid(source, charge, amount)


def _consumed(draft: Draft, source: Source, paid: Sequence[Paid]) -> LineItem:
    agreement, instant = source.agreement, instant_at(draft.invoice_time)
    rate = draft.exchange.rate(agreement.currency)
    amount = sum((each.amount for each in paid), ZERO)
    left = source.left(draft.book, draft.invoice_time, rate)
    return LineItem(
        kind=_KINDS[source.kind],
        description=f"{agreement.name} rollover" if source.is_rollover else agreement.name,
        origin=Origin("", "", ""),
        pricing_id="",
        priced=None,
        segment=(),
        bill_period=instant,
        service=instant,
        currency=draft.exchange.target(agreement.currency),
        amount=-amount,
        exact_amount=-amount,
        workings=DrawDownWorkings(
            agreement.currency,
            round_amount(divide(left + amount, rate), agreement.currency),
            round_amount(divide(left, rate), agreement.currency),
            rate,
            tuple(map(_payment, paid)),
        ),
        source_id=f"{agreement.id}/rollover" if source.is_rollover else agreement.id,
    )


def _payment(paid: Paid) -> Payment:
    item = paid.charge.item
    return Payment(
        item.kind,
        item.description,
        item.origin.attachment_id,
        item.pricing_id,
        item.segment,
        item.service,
        paid.amount,
    )
