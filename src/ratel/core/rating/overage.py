"""Usage that is left to pay when all that could pay for it is used up (R7.4)."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, cast

from ratel.core.bill import LineItem, LineItemKind, OverageWorkings, SurchargeWorkings, UsageWorkings
from ratel.core.money import ZERO, divide, round_amount
from ratel.core.period import Period
from ratel.core.pricing import AccumulationMode, Pricing
from ratel.core.rating.draft import Draft, rounded
from ratel.core.rating.inside import Inside
from ratel.core.rating.remainder import Charge
from ratel.core.rating.source import Paid, Source
from ratel.core.window import end_of

_HUNDREDTH: Final = Decimal("0.01")


class Overages:
    """Splits line items of usage into what sources paid, which stays, and the rest, by another price."""

    def __init__(self, draft: Draft, inside: Inside) -> None:
        self._draft = draft
        self._exchange = draft.exchange
        self._inside = inside
        self._pricings = draft.pricings
        self._services = {each.attachment.id: each for each in draft.scope.services}
        self._usages: list[LineItem] = []
        self._surcharges: list[LineItem] = []

    @property
    def line_items(self) -> tuple[LineItem, ...]:
        """All overage, then all surcharges, each in the order of the line items that were split."""
        return (*self._usages, *self._surcharges)

    def split(self, charge: Charge, able: Sequence[Source], own: Sequence[Paid]) -> None:
        """Split a charge if overage has a price of its own, and some of what sources might pay is not paid.

        Args:
            charge: shrinks to what was paid, and with it what credits and promotions took off it.
            able: what may pay for it, in their order.
            own: what they paid; shrinks if less is left of the charge.
        """
        item = charge.item
        if item.kind is not LineItemKind.USAGE or charge.gross <= ZERO or not able:
            return
        pricing = self._pricings[item.pricing_id]
        percents = (each.agreement.overage_surcharge_percent for each in able)
        percent = next((each for each in percents if each is not None), None)
        if percent is None and pricing.overage_bands is None:
            return
        stretch = _stretch(item, able)
        paid = sum((each.amount for each in own), ZERO)
        if self._inside.net(charge, stretch) > paid:
            kept = divide(paid * charge.gross, charge.net * self._exchange.rate(item.own_currency))
            self._split_at(charge, own, _Split(pricing, percent, stretch, kept))

    def _split_at(self, charge: Charge, own: Sequence[Paid], split: "_Split") -> None:
        item, eligible = charge.item, self._inside.gross(charge, split.stretch)
        part = self._inside.usage(item, split.stretch)
        units_paid, units, exact_kept = split.units(cast(UsageWorkings, part.workings))
        kept = min(self._rounded(item, exact_kept), eligible)
        over = OverageWorkings(units_paid, units, eligible - kept, ())
        rate = self._exchange.rate(item.own_currency)
        amount, exact_amount = over.usage_amount, (part.exact_amount - exact_kept) * rate
        if split.percent is None and split.pricing.overage_bands is not None and units is not None:
            priced = split.pricing.overage_bands.price(units)
            over = replace(over, band_usages=priced.band_usages)
            amount, exact_amount = self._rounded(item, priced.amount), priced.amount * rate
        if over.usage_amount or amount:
            _keep(self._draft, charge, over.usage_amount)
            # What lies outside was never paid for.
            outside = divide((charge.gross - kept) * charge.net, charge.gross) if charge.gross else ZERO
            _give_back(self._draft, own, charge.net - round_amount(outside, item.currency))
            self._add(item, over, amount, exact_amount, split.percent)

    def _add(
        self, item: LineItem, over: OverageWorkings, amount: Decimal, exact_amount: Decimal, percent: Decimal | None
    ) -> None:
        usage = replace(
            item,
            kind=LineItemKind.OVERAGE_USAGE,
            description=f"{item.description} overage",
            amount=amount,
            exact_amount=exact_amount,
            workings=over,
            conversion=None,
        )
        self._usages.append(usage)
        if percent:
            exact_surcharge = amount * percent * _HUNDREDTH
            surcharge = replace(
                usage,
                kind=LineItemKind.OVERAGE_SURCHARGE,
                description=f"{item.description} overage surcharge",
                amount=round_amount(exact_surcharge, item.currency, self._exchange.mode),
                exact_amount=exact_surcharge,
                workings=SurchargeWorkings(amount, percent),
            )
            self._surcharges.append(surcharge)

    def _rounded(self, item: LineItem, amount: Decimal) -> Decimal:
        """Round an amount in the plan's currency, and bring it into that of the line item."""
        own = rounded(self._services[item.origin.attachment_id], amount)
        return self._exchange.amount(own, item.own_currency)


class _Split:
    """Where a line item of usage is split.

    Args:
        pricing: its pricing.
        percent: the surcharge, which comes before overage bands.
        stretch: of its service, in which sources might pay.
        kept: the exact part of its amount that was paid, promotions and credits put back.
    """

    def __init__(self, pricing: Pricing, percent: Decimal | None, stretch: Period, kept: Decimal) -> None:
        self.pricing = pricing
        self.percent = percent
        self.stretch = stretch
        self._kept = kept

    def units(self, workings: UsageWorkings) -> tuple[Decimal | None, Decimal | None, Decimal]:
        """Return how many units are paid, how many are not, and what the former come to, exactly.

        Args:
            workings: of the stretch.
        """
        if self.pricing.accumulation_mode is AccumulationMode.POSITIONAL:
            return None, None, self._kept
        spent = workings.before.amount if workings.before else ZERO
        through = workings.through.units
        units, amount = self.pricing.bands.within(spent + self._kept, through) if through > ZERO else (ZERO, spent)
        return units, through - units, min(amount - spent, self._kept)


def _stretch(item: LineItem, able: Sequence[Source]) -> Period:
    """Return what of a service lies between the first instant and the last at which sources might pay for it."""
    start = max(item.service.start, min(each.period.start for each in able))
    return Period(start, min(end_of(item.service), max(end_of(each.period) for each in able)))


def _keep(draft: Draft, charge: Charge, over: Decimal) -> None:
    """Shrink a charge by its overage, and what was taken off it in proportion.

    What a maximum spend took off stays: its other part is now taken off the overage.
    """
    gross = charge.gross - over
    for discount, share in charge.discounts.items():
        smaller = round_amount(divide(share * gross, charge.gross), charge.item.currency)
        if discount.item.kind is not LineItemKind.MAXIMUM_SPEND:
            discount.item = draft.take_back(discount.item, smaller - share)
        charge.discounts[discount] = smaller
    charge.item = draft.take_back(charge.item, over)
    charge.gross = gross


def _give_back(draft: Draft, own: Sequence[Paid], limit: Decimal) -> None:
    """Shrink payments, the last first, to a limit in all."""
    paid = sum((each.amount for each in own), ZERO)
    for each in reversed(own):
        back = min(each.amount, max(ZERO, paid - limit))
        each.amount -= back
        draft.book.consumed[each.source.key].add(-back, draft.exchange.rate(each.source.agreement.currency))
        paid -= back
