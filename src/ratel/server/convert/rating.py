"""Ratings, their line items and workings."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from ratel.core.account_rating import AccountRating, UnattachedUsage, UnpricedUsage
from ratel.core.band import BandUsage
from ratel.core.bill import (
    Accumulation,
    Conversion,
    CounterWorkings,
    DrawDownWorkings,
    LineItem,
    LineItemKind,
    OverageWorkings,
    PricedQuantity,
    PromotionWorkings,
    PurchaseWorkings,
    Share,
    SpendWorkings,
    StandingChargeWorkings,
    SurchargeWorkings,
    UsageWorkings,
)
from ratel.core.money import (
    amount_text,
    text_from_decimal,
)
from ratel.core.pricing import PRICED_FIELDS
from ratel.rating.v1 import account_rating_pb2, line_item_pb2
from ratel.server.convert.meter import ROUNDINGS
from ratel.server.convert.pricing import ACCUMULATION_MODES
from ratel.server.convert.promotion import promotion_workings_to_proto
from ratel.server.convert.value import (
    EnumPair,
    amount_to_text,
    date_to_text,
    instant_to_proto,
    optional_instant_to_proto,
)

KINDS = EnumPair(LineItemKind, line_item_pb2.LineItemKind.Name, line_item_pb2.LineItemKind.Value, "LINE_ITEM_KIND_")

# What falls due at an instant, and the fields that name what made it, as many as its source's id has parts.
_AT_AN_INSTANT = {
    LineItemKind.PURCHASE: ("purchase_id",),
    LineItemKind.SETUP_FEE: ("purchase_id",),
    LineItemKind.AD_HOC: ("ad_hoc_charge_id",),
    LineItemKind.COMMITMENT_FEE: ("commitment_id",),
    LineItemKind.COMMITMENT_CONSUMED: ("commitment_id",),
    LineItemKind.BALANCE_FEE: ("balance_id", "balance_transaction_id"),
    LineItemKind.BALANCE_CONSUMED: ("balance_id",),
}


# --- Ratings ----------------------------------------------------------------------------------------------------------


def account_rating_to_proto(
    rating: AccountRating, revision: int, aggregation_ids_from_events: Iterable[str]
) -> account_rating_pb2.AccountRating:
    """Return the message of a rating."""
    return account_rating_pb2.AccountRating(
        account_id=rating.account_id,
        start_time=instant_to_proto(rating.period.start),
        end_time=optional_instant_to_proto(rating.period.end),
        line_items=map(line_item_to_proto, rating.line_items),
        totals=totals_to_proto(rating.totals),
        unpriced_usages=map(unpriced_to_proto, rating.unpriced_usages),
        unattached_usages=map(unattached_to_proto, rating.unattached_usages),
        aggregation_ids_from_events=aggregation_ids_from_events,
        catalog_revision=revision,
    )


def totals_to_proto(totals: Iterable[tuple[str, Decimal]]) -> list[account_rating_pb2.CurrencyTotal]:
    """Return the messages of the totals in each currency."""
    return [
        account_rating_pb2.CurrencyTotal(currency=currency, amount=amount_text(total, currency))
        for currency, total in totals
    ]


def unpriced_to_proto(unpriced: UnpricedUsage) -> account_rating_pb2.UnpricedUsage:
    """Return the message of usage that no pricing takes."""
    message = account_rating_pb2.UnpricedUsage(
        attachment_id=unpriced.attachment_id,
        segment=dict(unpriced.segment),
        start_time=instant_to_proto(unpriced.period.start),
        end_time=optional_instant_to_proto(unpriced.period.end),
        quantity=text_from_decimal(unpriced.quantity),
    )
    setattr(message, PRICED_FIELDS[unpriced.priced.kind], unpriced.priced.id)
    return message


def unattached_to_proto(unattached: UnattachedUsage) -> account_rating_pb2.UnattachedUsage:
    """Return the message of usage outside every attachment."""
    return account_rating_pb2.UnattachedUsage(
        meter_id=unattached.meter_id,
        start_time=instant_to_proto(unattached.period.start),
        end_time=optional_instant_to_proto(unattached.period.end),
        event_count=unattached.event_count,
    )


def line_item_to_proto(item: LineItem) -> line_item_pb2.LineItem:
    """Return the message of a line item."""
    message = line_item_pb2.LineItem(
        kind=KINDS.to_proto(item.kind),
        description=item.description,
        product_id=item.origin.product_id,
        plan_id=item.origin.plan_id,
        attachment_id=item.origin.attachment_id,
        plan_group_id=item.origin.plan_group_id,
        pricing_id=item.pricing_id,
        segment=dict(item.segment),
        service_start_time=instant_to_proto(item.service.start),
        service_end_time=None if item.kind in _AT_AN_INSTANT else optional_instant_to_proto(item.service.end),
        currency=item.currency,
        amount=amount_text(item.amount, item.currency),
        exact_amount=text_from_decimal(item.exact_amount),
        account_id=item.account_id,
        share=None if item.share is None else _share_to_proto(item.share, item.currency),
        **_workings_to_proto(item),
    )
    if item.priced is not None:
        setattr(message, PRICED_FIELDS[item.priced.kind], item.priced.id)
    for name, part in zip(_AT_AN_INSTANT.get(item.kind, ()), item.source_id.split("/"), strict=False):
        setattr(message, name, part)
    if item.taken_back:
        message.taken_back = amount_text(item.taken_back, item.currency)
    if item.conversion is not None:
        message.conversion.CopyFrom(conversion_to_proto(item.conversion))
    return message


def conversion_to_proto(conversion: Conversion) -> line_item_pb2.Conversion:
    """Return the message of where an amount comes from."""
    return line_item_pb2.Conversion(
        currency=conversion.currency,
        amount=amount_text(conversion.amount, conversion.currency),
        exact_amount=text_from_decimal(conversion.exact_amount),
        rate=text_from_decimal(conversion.rate),
    )


def _share_to_proto(share: Share, currency: str) -> line_item_pb2.Share:
    return line_item_pb2.Share(
        whole_amount=amount_text(share.whole_amount, currency),
        quantity=text_from_decimal(share.quantity),
        whole_quantity=text_from_decimal(share.whole_quantity),
    )


# --- Workings ---------------------------------------------------------------------------------------------------------


def _workings_to_proto(item: LineItem) -> dict[str, Any]:
    """Return the workings by the name of their field."""
    found: dict[str, Any] = {}
    match item.workings:
        case UsageWorkings() as workings:
            found["usage"] = _usage_to_proto(workings, item.currency)
        case CounterWorkings() as workings:
            found["counter"] = _counter_to_proto(workings)
        case StandingChargeWorkings() as workings:
            found["standing_charge"] = _standing_charge_to_proto(workings)
        case SpendWorkings() as workings:
            found["spend"] = _spend_to_proto(workings, item.own_currency)
        case PromotionWorkings() as workings:
            found |= {"promotion_id": workings.promotion_id, "grant_id": workings.grant_id}
            found["promotion"] = promotion_workings_to_proto(workings, item.currency)
        case PurchaseWorkings() as workings:
            found["purchase"] = purchase_workings_to_proto(workings)
        case DrawDownWorkings() as workings:
            found["draw_down"] = _draw_down_to_proto(workings, item.currency)
        case OverageWorkings() as workings:
            found["overage"] = _overage_to_proto(workings, item.currency)
        case SurchargeWorkings() as workings:
            found["surcharge"] = _surcharge_to_proto(workings, item.currency)
    return found


def purchase_workings_to_proto(workings: PurchaseWorkings) -> line_item_pb2.PurchaseWorkings:
    """Return the message of how a purchase became an amount."""
    return line_item_pb2.PurchaseWorkings(
        flat_price=amount_to_text(workings.flat_price) or "",
        rates=(
            line_item_pb2.PurchasedRate(
                unit=rate.unit,
                cumulative=rate.cumulative,
                priced_quantity=priced_quantity_to_proto(rate.priced),
            )
            for rate in workings.rates
        ),
    )


def _usage_to_proto(workings: UsageWorkings, currency: str) -> line_item_pb2.UsageWorkings:
    uncapped = workings.uncapped_amount
    return line_item_pb2.UsageWorkings(
        window_start_time=instant_to_proto(workings.window.start),
        window_end_time=optional_instant_to_proto(workings.window.end),
        through=priced_quantity_to_proto(workings.through),
        before=None if workings.before is None else priced_quantity_to_proto(workings.before),
        quantity_per_unit=text_from_decimal(workings.quantity_per_unit),
        rounding=ROUNDINGS.to_proto(workings.rounding),
        unit=workings.unit,
        cumulative=workings.cumulative,
        average_unit_price=_optional_text(workings.average_unit_price),
        uncapped_amount="" if uncapped is None else amount_text(uncapped, currency),
        accumulation=None if workings.accumulation is None else accumulation_to_proto(workings.accumulation),
    )


def accumulation_to_proto(accumulation: Accumulation) -> line_item_pb2.Accumulation:
    """Return the message of how far usage has come."""
    message = line_item_pb2.Accumulation(
        start_time=instant_to_proto(accumulation.start),
        units_used=text_from_decimal(accumulation.units_used),
        units_owned=_optional_text(accumulation.units_owned),
        units_left=_optional_text(accumulation.units_left),
    )
    if accumulation.mode is not None:
        message.mode = ACCUMULATION_MODES.to_proto(accumulation.mode)
    return message


def priced_quantity_to_proto(priced: PricedQuantity) -> line_item_pb2.PricedQuantity:
    """Return the message of a quantity with what its bands make of it."""
    return line_item_pb2.PricedQuantity(
        quantity=_optional_text(priced.quantity),
        units=text_from_decimal(priced.units),
        amount=text_from_decimal(priced.amount),
        band_usages=map(_band_usage_to_proto, priced.band_usages),
    )


def fill_priced_quantity(
    message: line_item_pb2.PricedQuantity,
    priced: PricedQuantity,
    before: Sequence[BandUsage],
    passed: list[line_item_pb2.BandUsage],
) -> None:
    """Write a quantity with what its bands make of it over a message.

    Args:
        message: of any quantity.
        priced: the quantity.
        before: the band usages that the message has.
        passed: the messages of the band usages before the last, which are the same whatever the units; as far as they
            are known, and then more.
    """
    # Equal decimals have one text, and most of these are equal.
    message.quantity = _optional_text(priced.quantity)
    message.units = message.quantity if priced.units == priced.quantity else text_from_decimal(priced.units)
    message.amount = text_from_decimal(priced.amount)
    usages = priced.band_usages
    if _end_in_one_band(before, usages):
        usage, last = usages[-1], message.band_usages[-1]
        last.units = message.units if usage.units == priced.units else text_from_decimal(usage.units)
        last.block_count = _optional_text(usage.block_count)
        last.amount = message.amount if usage.amount == priced.amount else text_from_decimal(usage.amount)
        return
    count = max(len(usages) - 1, 0)
    passed += map(_band_usage_to_proto, usages[len(passed) : count])
    del message.band_usages[:]
    message.band_usages.extend(passed[:count])
    message.band_usages.extend(map(_band_usage_to_proto, usages[count:]))


def _end_in_one_band(some: Sequence[BandUsage], others: Sequence[BandUsage]) -> bool:
    """Tell whether usages of the same bands end in the same one, so that only what it is charged may differ."""
    if not some or not others:
        return False
    one, other = some[-1], others[-1]
    return one.lower_limit is other.lower_limit and one.fixed_price is other.fixed_price


def _band_usage_to_proto(usage: BandUsage) -> line_item_pb2.BandUsage:
    return line_item_pb2.BandUsage(
        lower_limit=text_from_decimal(usage.lower_limit),
        upper_limit=_optional_text(usage.upper_limit),
        units=text_from_decimal(usage.units),
        block_count=_optional_text(usage.block_count),
        unit_price=text_from_decimal(usage.unit_price),
        fixed_price=text_from_decimal(usage.fixed_price),
        amount=text_from_decimal(usage.amount),
    )


def _counter_to_proto(workings: CounterWorkings) -> line_item_pb2.CounterWorkings:
    return line_item_pb2.CounterWorkings(
        level=text_from_decimal(workings.level),
        previous_level=_optional_text(workings.previous_level),
        band_usages=map(_band_usage_to_proto, workings.band_usages),
        previous_band_usages=map(_band_usage_to_proto, workings.previous_band_usages),
        period_amount=text_from_decimal(workings.period_amount),
        prorated=workings.prorated,
        days=workings.days,
        period_days=workings.period_days,
        date=date_to_text(workings.day),
    )


def _standing_charge_to_proto(workings: StandingChargeWorkings) -> line_item_pb2.StandingChargeWorkings:
    return line_item_pb2.StandingChargeWorkings(
        period_amount=text_from_decimal(workings.period_amount), days=workings.days, period_days=workings.period_days
    )


def _spend_to_proto(workings: SpendWorkings, currency: str) -> line_item_pb2.SpendWorkings:
    return line_item_pb2.SpendWorkings(
        limit=text_from_decimal(workings.limit),
        prorated_limit=amount_text(workings.prorated_limit, currency),
        spend=amount_text(workings.spend, currency),
        days=workings.days,
        period_days=workings.period_days,
    )


def _draw_down_to_proto(workings: DrawDownWorkings, currency: str) -> line_item_pb2.DrawDownWorkings:
    return line_item_pb2.DrawDownWorkings(
        currency=workings.currency,
        left_before=amount_text(workings.left_before, workings.currency),
        left_after=amount_text(workings.left_after, workings.currency),
        rate="" if workings.currency == currency else text_from_decimal(workings.rate),
        payments=(
            line_item_pb2.Payment(
                kind=KINDS.to_proto(each.kind),
                description=each.description,
                attachment_id=each.attachment_id,
                pricing_id=each.pricing_id,
                segment=dict(each.segment),
                service_start_time=instant_to_proto(each.service.start),
                service_end_time=optional_instant_to_proto(each.service.end),
                amount=amount_text(each.amount, currency),
            )
            for each in workings.payments
        ),
    )


def _surcharge_to_proto(workings: SurchargeWorkings, currency: str) -> line_item_pb2.SurchargeWorkings:
    return line_item_pb2.SurchargeWorkings(
        overage_amount=amount_text(workings.overage_amount, currency), percent=text_from_decimal(workings.percent)
    )


def _overage_to_proto(workings: OverageWorkings, currency: str) -> line_item_pb2.OverageWorkings:
    return line_item_pb2.OverageWorkings(
        units_paid=_optional_text(workings.units_paid),
        units=_optional_text(workings.units),
        usage_amount=amount_text(workings.usage_amount, currency),
        band_usages=map(_band_usage_to_proto, workings.band_usages),
    )


def _optional_text(value: Decimal | None) -> str:
    return "" if value is None else text_from_decimal(value)
