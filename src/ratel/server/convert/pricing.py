"""Pricings."""

from typing import Any, Final

from ratel.catalog.v1 import pricing_pb2
from ratel.core.band import pricing_type
from ratel.core.errors import FieldRequired, Mistakes
from ratel.core.money import decimal_from_text
from ratel.core.pricing import (
    OWNER_FIELDS,
    PRICED_FIELDS,
    AccumulationMode,
    ApplyAs,
    CounterTerms,
    Owner,
    OwnerKind,
    PricedKind,
    PricedThing,
    Pricing,
    SpendLimits,
)
from ratel.server.convert.band import PRICING_TYPES, band_to_proto, bands_from_proto, overage_bands_from_proto
from ratel.server.convert.value import (
    EnumPair,
    amount_to_text,
    instant_to_proto,
    optional_instant_to_proto,
    period_from_proto,
)

ACCUMULATION_MODES = EnumPair(
    AccumulationMode, pricing_pb2.AccumulationMode.Name, pricing_pb2.AccumulationMode.Value, "ACCUMULATION_MODE_"
)
APPLY_AS = EnumPair(ApplyAs, pricing_pb2.ApplyAs.Name, pricing_pb2.ApplyAs.Value, "APPLY_AS_")


def pricing_from_proto(message: pricing_pb2.Pricing) -> Pricing:
    """Return the pricing of a message, its segment by name; which order the aggregation has is not known here.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    parts: dict[str, Any] = {}
    for part, read in _PARTS.items():
        with mistakes.under():
            parts[part] = read(message)
    with mistakes.under("apply_as"):
        parts["apply_as"] = APPLY_AS.from_proto(message.apply_as, ApplyAs.DEBIT)
    if message.accumulation_mode:
        with mistakes.under("accumulation_mode"):
            parts["accumulation_mode"] = ACCUMULATION_MODES.from_proto(message.accumulation_mode)
    with mistakes.under():
        parts["overage_bands"] = overage_bands_from_proto(message.overage_bands)
    mistakes.check()
    fields = sorted(message.segment)
    return Pricing(
        id=message.id,
        segment=tuple(message.segment[field] for field in fields),
        segment_fields=tuple(fields),
        pool=message.pool,
        description=message.description,
        accumulate=message.accumulate,
        **parts,
    )


def pricing_to_proto(pricing: Pricing) -> pricing_pb2.Pricing:
    """Return the message of a pricing."""
    spend = pricing.spend
    is_counter = pricing.priced.kind is PricedKind.COUNTER
    named = {
        OWNER_FIELDS[pricing.owner.kind]: pricing.owner.id,
        PRICED_FIELDS[pricing.priced.kind]: pricing.priced.id,
    }
    message = pricing_pb2.Pricing(
        id=pricing.id,
        segment=dict(zip(pricing.segment_fields, pricing.segment, strict=True)),
        pool=pricing.pool,
        start_time=instant_to_proto(pricing.period.start),
        end_time=optional_instant_to_proto(pricing.period.end),
        cumulative=pricing.bands.cumulative,
        pricing_type=PRICING_TYPES.to_proto(pricing_type(pricing.bands)),
        bands=map(band_to_proto, pricing.bands.bands),
        charge_zero=pricing.bands.charge_zero,
        minimum_spend=amount_to_text(spend.minimum),
        minimum_spend_in_advance=spend.minimum_in_advance,
        minimum_spend_description=spend.minimum_description,
        maximum_spend=amount_to_text(spend.maximum),
        maximum_spend_description=spend.maximum_description,
        description=pricing.description,
        apply_as=APPLY_AS.to_proto(pricing.apply_as),
        counter_terms=_counter_terms_to_proto(pricing.counter_terms) if is_counter else None,
        accumulate=pricing.accumulate,
        overage_bands=map(band_to_proto, pricing.overage_bands.bands if pricing.overage_bands else ()),
    )
    if pricing.accumulation_mode is not None:
        message.accumulation_mode = ACCUMULATION_MODES.to_proto(pricing.accumulation_mode)
    for field, value in named.items():
        setattr(message, field, value)
    return message


def _owner_from_proto(message: pricing_pb2.Pricing) -> Owner:
    match message.WhichOneof("owner"):
        case "plan_id":
            return Owner(OwnerKind.PLAN, message.plan_id)
        case "plan_template_id":
            return Owner(OwnerKind.TEMPLATE, message.plan_template_id)
        case None:
            raise FieldRequired("must be a plan or a template", "owner")


def _priced_from_proto(message: pricing_pb2.Pricing) -> PricedThing:
    match message.WhichOneof("priced"):
        case "aggregation_id":
            return PricedThing(PricedKind.AGGREGATION, message.aggregation_id)
        case "compound_aggregation_id":
            return PricedThing(PricedKind.COMPOUND, message.compound_aggregation_id)
        case "counter_id":
            return PricedThing(PricedKind.COUNTER, message.counter_id)
        case None:
            raise FieldRequired("must be an aggregation, a compound aggregation or a counter", "priced")


def _spend_from_proto(message: pricing_pb2.Pricing) -> SpendLimits:
    mistakes = Mistakes()
    minimum = maximum = None
    if message.HasField("minimum_spend"):
        with mistakes.under("minimum_spend"):
            minimum = decimal_from_text(message.minimum_spend)
    if message.HasField("maximum_spend"):
        with mistakes.under("maximum_spend"):
            maximum = decimal_from_text(message.maximum_spend)
    mistakes.check()
    return SpendLimits(
        minimum=minimum,
        minimum_in_advance=message.minimum_spend_in_advance if message.HasField("minimum_spend_in_advance") else None,
        minimum_description=message.minimum_spend_description,
        maximum=maximum,
        maximum_description=message.maximum_spend_description,
    )


def _counter_terms_from_proto(message: pricing_pb2.Pricing) -> CounterTerms:
    # The fields have the same names, and only those that are set are listed.
    return CounterTerms(**{field.name: value for field, value in message.counter_terms.ListFields()})


def _counter_terms_to_proto(terms: CounterTerms) -> pricing_pb2.CounterTerms:
    return pricing_pb2.CounterTerms(
        running_total_in_advance=terms.running_total_in_advance,
        prorate_running_total=terms.prorate_running_total,
        prorate_debit=terms.prorate_debit,
        prorate_credit=terms.prorate_credit,
    )


_PARTS: Final = {
    "owner": _owner_from_proto,
    "priced": _priced_from_proto,
    "period": period_from_proto,
    "bands": bands_from_proto,
    "spend": _spend_from_proto,
    "counter_terms": _counter_terms_from_proto,
}
