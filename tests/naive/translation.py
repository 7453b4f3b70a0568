"""The same facts in the core's own nouns: the only file here that knows the core, and it computes nothing."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from ratel.core import account as core_account
from ratel.core import band, counter, currency, meter, plan, plan_catalog, plan_group, prepayment, pricing, promotion
from ratel.core.bill import LineItemKind
from ratel.core.money import Rounding, RoundingMode
from ratel.core.period import Frequency, Period
from tests.naive.account import Account, Attachment
from tests.naive.catalog import (
    FOREVER,
    Aggregation,
    Band,
    Catalog,
    Compound,
    Meter,
    Plan,
    Pricing,
    Settings,
    Template,
    Terms,
    Thing,
)
from tests.naive.debts import Balance, Commitment, Grant, Limits


def decimal(value: Fraction) -> Decimal:
    """The same number; it must end after some digits."""
    numerator, denominator, digits = value.numerator, value.denominator, 0
    while denominator % 10 == 0:
        denominator, digits = denominator // 10, digits + 1
    while denominator != 1:
        factor = 5 if denominator % 2 == 0 else 2
        assert denominator % 2 == 0 or denominator % 5 == 0, f"{value} has no end"
        numerator, denominator, digits = numerator * factor, denominator * factor // 10, digits + 1
    sign = 1 if numerator < 0 else 0
    return Decimal((sign, tuple(map(int, str(abs(numerator)))), -digits))


def decimal_or_none(value: Fraction | None) -> Decimal | None:
    return None if value is None else decimal(value)


def plain(value: Decimal | None) -> Fraction | None:
    """The core's number as a fraction."""
    return None if value is None else Fraction(value)


def period(start: datetime, end: datetime) -> Period:
    return Period(start, None if end == FOREVER else end)


# --- Catalog ----------------------------------------------------------------------------------------------------------


def core_catalog(catalog: Catalog) -> plan_catalog.PlanCatalog:
    aggregations = {each.id: core_aggregation(each) for each in catalog.aggregations}
    counters = {each.thing.id for each in catalog.pricings if each.thing.kind == "COUNTER"}
    ever = [*catalog.ever_priced, *((each.owner, each.thing) for each in catalog.pricings)]
    return plan_catalog.PlanCatalog(
        core_settings(catalog.settings),
        {each.id: core_plan(each) for each in catalog.plans},
        {each.id: core_template(each) for each in catalog.templates},
        tuple(core_pricing(catalog, each) for each in catalog.pricings),
        frozenset((core_owner(owner), core_thing(thing)) for owner, thing in ever if thing.kind != "COUNTER"),
        aggregations,
        {each.id: core_compound(catalog, each) for each in catalog.compounds},
        {each: counter.Counter(each, "product", each) for each in counters},
        {each.id: core_meter(each) for each in catalog.meters},
        {each.id: core_group(catalog, each.group) for each in catalog.plans if each.group},
    )


def core_group(catalog: Catalog, group: str) -> plan_group.PlanGroup:
    return plan_group.PlanGroup(
        group,
        group,
        tuple(each.id for each in catalog.plans if each.group == group),
        catalog.template(next(each.id for each in catalog.plans if each.group == group)).currency,
        decimal_or_none(catalog.group_minimums.get(group)),
        maximum_spend=decimal_or_none(catalog.group_maximums.get(group)),
    )


def core_settings(settings: Settings) -> plan.Settings:
    return plan.Settings(
        time_zone=settings.zone,
        standing_charge_in_advance=settings.standing_in_advance,
        minimum_spend_in_advance=settings.minimum_in_advance,
        day_epoch=settings.epochs.get("DAILY"),
        week_epoch=settings.epochs.get("WEEKLY"),
        month_epoch=settings.epochs.get("MONTHLY"),
        year_epoch=settings.epochs.get("ANNUALLY"),
        rounding_mode=RoundingMode(settings.rounding),
        currency_rates=tuple(currency.CurrencyRate(*pair, decimal(rate)) for pair, rate in settings.rates.items()),
        commitment_fee_in_advance=settings.commitment_fees_in_advance,
    )


def core_meter(given: Meter) -> meter.Meter:
    declared = [(each.name, meter.FieldKind(each.kind), "", each.formula) for each in given.fields]
    return meter.Meter(given.id, given.product, given.id, meter.read_fields(declared))


def core_aggregation(given: Aggregation) -> meter.Aggregation:
    return meter.Aggregation(
        given.id,
        given.meter,
        given.id,
        meter.Method(given.method),
        given.field,
        decimal_or_none(given.default),
        decimal(given.per_unit),
        Rounding(given.rounding),
        filter=meter.Filter(*given.filter) if given.filter else None,
        segment_fields=given.segment_fields,
    )


def core_compound(catalog: Catalog, given: Compound) -> meter.CompoundAggregation:
    formula = meter.read_formula(given.formula)
    operand = next(each for each in catalog.aggregations if each.id in formula.names)
    return meter.CompoundAggregation(
        given.id,
        catalog.meter(operand.meter).product,
        given.id,
        formula,
        decimal(given.per_unit),
        Rounding(given.rounding),
        null_as_zero=given.null_as_zero,
    )


def core_terms(terms: Terms) -> plan.Terms:
    return plan.Terms(
        standing_charge=decimal_or_none(terms.standing),
        standing_charge_in_advance=terms.standing_in_advance,
        standing_charge_interval=terms.standing_interval,
        standing_charge_offset=terms.standing_offset,
        minimum_spend=decimal_or_none(terms.minimum),
        minimum_spend_in_advance=terms.minimum_in_advance,
        maximum_spend=decimal_or_none(terms.maximum),
    )


def core_template(given: Template) -> plan.PlanTemplate:
    frequency = Frequency(given.frequency)
    terms = core_terms(given.terms)
    return plan.PlanTemplate(given.id, given.product, given.id, given.currency, frequency, given.interval, terms)


def core_plan(given: Plan) -> plan.Plan:
    return plan.Plan(given.id, given.template, given.id, terms=core_terms(given.terms))


def core_thing(thing: Thing) -> pricing.PricedThing:
    return pricing.PricedThing(pricing.PricedKind(thing.kind), thing.id)


def core_owner(owner: tuple[str, str]) -> pricing.Owner:
    return pricing.Owner(pricing.OwnerKind(owner[0]), owner[1])


def core_pricing(catalog: Catalog, given: Pricing) -> pricing.Pricing:
    fields = catalog.aggregation(given.thing.id).segment_fields if given.thing.kind == "AGGREGATION" else ()
    terms = given.counter
    return pricing.Pricing(
        given.id,
        core_owner(given.owner),
        core_thing(given.thing),
        period(given.start, given.end),
        core_bands(given),
        given.segment,
        fields,
        given.pool,
        pricing.SpendLimits(
            minimum=decimal_or_none(given.minimum),
            minimum_in_advance=given.minimum_in_advance,
            maximum=decimal_or_none(given.maximum),
        ),
        apply_as=pricing.ApplyAs(given.apply_as),
        accumulate=given.accumulate,
        accumulation_mode=pricing.AccumulationMode(given.accumulation_mode) if given.accumulation_mode else None,
        overage_bands=band.Bands(cumulative=True, bands=tuple(map(core_band, given.overage_bands)))
        if given.overage_bands
        else None,
        counter_terms=pricing.CounterTerms(
            terms.in_advance, terms.prorate_total, terms.prorate_debit, terms.prorate_credit
        ),
    )


def core_bands(given: Pricing) -> band.Bands:
    return band.Bands(given.cumulative, tuple(map(core_band, given.bands)), charge_zero=given.charge_zero)


def core_band(given: Band) -> band.Band:
    return band.Band(decimal(given.lower), decimal(given.unit), decimal(given.fixed), decimal_or_none(given.block))


# --- Account ----------------------------------------------------------------------------------------------------------


def core_account_of(given: Account, credit_order: Sequence[str] = ()) -> core_account.Account:
    order = tuple(map(plan.CreditKind, credit_order))
    return core_account.Account(given.id, given.id, given.epoch, given.currency, credit_application_order=order)


def core_attachment(owner: Account, given: Attachment) -> core_account.Attachment:
    stay = period(given.start, given.end)
    return core_account.Attachment(
        given.id, owner.id, given.plan, stay, given.epoch, given.trial_end, given.accumulation_start
    )


def core_granted(catalog: Catalog, owner: Account, given: Grant) -> promotion.GrantedPromotion:
    """The promotion of a grant, as one of its own."""
    fields: tuple[str, ...] = ()
    if given.pricing:
        thing = next(each.thing for each in catalog.pricings if each.id == given.pricing)
        fields = catalog.aggregation(thing.id).segment_fields if given.segment else ()
    bands = (promotion.SpendBand(decimal(limit), decimal(percent)) for limit, percent in given.graduated)
    worths: dict[str, promotion.Worth] = {
        "PERCENTAGE": promotion.Percentage(decimal(given.value or Fraction(1))),
        "FIXED": promotion.FixedAmount(decimal(given.value or Fraction(1))),
    }
    worth = worths.get(given.kind) or promotion.Graduated(tuple(bands))
    made = promotion.Promotion(
        given.id,
        given.id,
        worth,
        given.plan,
        given.pricing,
        tuple(zip(fields, given.segment or (), strict=True)),
        bill_period_count=given.periods,
        max_per_period=decimal_or_none(given.max_per_period),
        max_total=decimal_or_none(given.max_total),
    )
    stay = period(given.time, given.end)
    return promotion.GrantedPromotion(promotion.Grant(given.id, owner.id, given.id, stay, given.priority), made)


def core_commitment(owner: Account, given: Commitment) -> prepayment.Commitment:
    schedule = None
    if given.schedule:
        first = decimal_or_none(given.schedule.first)
        schedule = prepayment.FeeSchedule(given.schedule.plan, given.schedule.every, first, given.fees_in_advance)
    return prepayment.Commitment(
        given.id,
        owner.id,
        given.id,
        given.currency,
        decimal(given.amount),
        Period(given.start, given.end),
        tuple(prepayment.Fee(time, decimal(amount)) for time, amount in given.fees),
        schedule,
        core_limits(given.limits),
        decimal_or_none(given.surcharge),
    )


def core_balance(owner: Account, given: Balance) -> prepayment.BalanceBook:
    made = prepayment.Balance(
        given.id,
        owner.id,
        given.id,
        given.currency,
        Period(given.start, given.end),
        decimal(given.rollover_amount),
        given.rollover_end,
        core_limits(given.limits),
        decimal_or_none(given.surcharge),
    )
    transactions = (
        prepayment.BalanceTransaction(
            f"{given.id}-{number}", given.id, each.time, given.currency, decimal(each.amount), decimal_or_none(each.fee)
        )
        for number, each in enumerate(given.transactions)
    )
    return prepayment.BalanceBook(made, tuple(transactions))


def core_limits(given: Limits) -> prepayment.PaymentLimits:
    return prepayment.PaymentLimits(tuple(given.products), tuple(map(LineItemKind, given.kinds)))


def core_adjustments(given: Account) -> tuple[counter.Adjustment, ...]:
    return tuple(counter.Adjustment(each.counter, each.date, decimal(each.level)) for each in given.adjustments)


def event_values(values: dict[str, Fraction | str]) -> dict[str, str]:
    """What an event carries, as it is sent."""
    return {name: value if isinstance(value, str) else format(decimal(value), "f") for name, value in values.items()}
