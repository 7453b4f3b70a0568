"""Plan templates, plans, their terms, and the settings."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

from ratel.catalog.v1 import plan_pb2, plan_template_pb2, settings_pb2
from ratel.core.currency import CurrencyRate
from ratel.core.errors import Mistakes
from ratel.core.money import ONE, RoundingMode, decimal_from_text, text_from_decimal
from ratel.core.period import Frequency
from ratel.core.plan import CreditKind, Plan, PlanTemplate, Settings, Terms
from ratel.server.convert.value import EnumPair, amount_to_text, date_to_text, optional_date_from_text

FREQUENCIES = EnumPair(
    Frequency, plan_template_pb2.BillFrequency.Name, plan_template_pb2.BillFrequency.Value, "BILL_FREQUENCY_"
)
ROUNDING_MODES = EnumPair(
    RoundingMode, settings_pb2.RoundingMode.Name, settings_pb2.RoundingMode.Value, "ROUNDING_MODE_"
)
CREDIT_KINDS = EnumPair(CreditKind, settings_pb2.CreditKind.Name, settings_pb2.CreditKind.Value, "CREDIT_KIND_")

_AMOUNTS: Final = ("standing_charge", "minimum_spend", "maximum_spend")
_EPOCHS: Final = ("day_epoch", "week_epoch", "month_epoch", "year_epoch")


def terms_from_proto(message: plan_template_pb2.PlanTerms) -> Terms:
    """Return the terms of a message: only what is set, 0 included. The fields have the same names.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    given: dict[str, Any] = {field.name: value for field, value in message.ListFields()}
    for name in _AMOUNTS:
        if name in given:
            with mistakes.under(name):
                given[name] = decimal_from_text(given[name])
    mistakes.check()
    return Terms(**given)


def terms_to_proto(terms: Terms) -> plan_template_pb2.PlanTerms:
    """Return the message of terms."""
    values: dict[str, Any] = {field.name: getattr(terms, field.name) for field in fields(terms)}
    return plan_template_pb2.PlanTerms(**values | {name: amount_to_text(values[name]) for name in _AMOUNTS})


def plan_template_from_proto(message: plan_template_pb2.PlanTemplate, default_currency: str = "USD") -> PlanTemplate:
    """Return the template of a message.

    Args:
        message: the message.
        default_currency: for a message that names none.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    frequency, terms = Frequency.MONTHLY, Terms()
    with mistakes.under("bill_frequency"):
        frequency = FREQUENCIES.from_proto(message.bill_frequency)
    with mistakes.under("terms"):
        terms = terms_from_proto(message.terms)
    with mistakes.under():
        template = PlanTemplate(
            id=message.id,
            product_id=message.product_id,
            name=message.name,
            currency=message.currency or default_currency,
            frequency=frequency,
            interval=message.bill_interval or 1,
            terms=terms,
        )
    mistakes.check()
    return template


def plan_template_to_proto(template: PlanTemplate) -> plan_template_pb2.PlanTemplate:
    """Return the message of a template."""
    return plan_template_pb2.PlanTemplate(
        id=template.id,
        product_id=template.product_id,
        name=template.name,
        currency=template.currency,
        bill_frequency=FREQUENCIES.to_proto(template.frequency),
        bill_interval=template.interval,
        terms=terms_to_proto(template.terms),
    )


def plan_from_proto(message: plan_pb2.Plan) -> Plan:
    """Return the plan of a message; whether its amounts fit the template's currency is not known here.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    terms = Terms()
    with mistakes.under("terms"):
        terms = terms_from_proto(message.terms)
    mistakes.check()
    return Plan(message.id, message.plan_template_id, message.name, message.account_id, terms)


def plan_to_proto(plan: Plan) -> plan_pb2.Plan:
    """Return the message of a plan."""
    return plan_pb2.Plan(
        id=plan.id,
        plan_template_id=plan.plan_template_id,
        name=plan.name,
        account_id=plan.account_id,
        terms=terms_to_proto(plan.terms),
    )


def credit_order_from_proto(kinds: Iterable[settings_pb2.CreditKind.ValueType]) -> tuple[CreditKind, ...]:
    """Return what pays first.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    found = []
    for index, kind in enumerate(kinds):
        with mistakes.under(f"[{index}]"):
            found.append(CREDIT_KINDS.from_proto(kind))
    mistakes.check()
    return tuple(found)


def settings_from_proto(message: settings_pb2.Settings) -> Settings:
    """Return the settings of a message.

    Raises:
        Invalid: with all mistakes.
    """
    mistakes = Mistakes()
    rounding_mode = RoundingMode.HALF_UP
    epochs: dict[str, Any] = {}
    rates: list[CurrencyRate] = []
    order: tuple[CreditKind, ...] = ()
    with mistakes.under("rounding_mode"):
        rounding_mode = ROUNDING_MODES.from_proto(message.rounding_mode)
    with mistakes.under("credit_application_order"):
        order = credit_order_from_proto(message.credit_application_order)
    for name in _EPOCHS:
        with mistakes.under(name):
            epochs[name] = optional_date_from_text(getattr(message, name))
    for index, each in enumerate(message.currency_rates):
        rate = ONE
        with mistakes.under(f"currency_rates[{index}].rate"):
            rate = decimal_from_text(each.rate)
        rates.append(CurrencyRate(each.from_currency, each.to_currency, rate))
    with mistakes.under():
        settings = Settings(
            time_zone=message.time_zone,
            default_currency=message.default_currency,
            standing_charge_in_advance=message.standing_charge_in_advance,
            minimum_spend_in_advance=message.minimum_spend_in_advance,
            rounding_mode=rounding_mode,
            currency_rates=tuple(rates),
            commitment_fee_in_advance=message.commitment_fee_in_advance,
            credit_application_order=order,
            **epochs,
        )
    mistakes.check()
    return settings


def settings_to_proto(settings: Settings) -> settings_pb2.Settings:
    """Return the message of the settings."""
    return settings_pb2.Settings(
        time_zone=settings.time_zone,
        default_currency=settings.default_currency,
        standing_charge_in_advance=settings.standing_charge_in_advance,
        minimum_spend_in_advance=settings.minimum_spend_in_advance,
        day_epoch=date_to_text(settings.day_epoch),
        week_epoch=date_to_text(settings.week_epoch),
        month_epoch=date_to_text(settings.month_epoch),
        year_epoch=date_to_text(settings.year_epoch),
        rounding_mode=ROUNDING_MODES.to_proto(settings.rounding_mode),
        currency_rates=map(currency_rate_to_proto, settings.currency_rates),
        commitment_fee_in_advance=settings.commitment_fee_in_advance,
        credit_application_order=map(CREDIT_KINDS.to_proto, settings.credit_application_order),
    )


def currency_rate_to_proto(rate: CurrencyRate) -> settings_pb2.CurrencyRate:
    """Return the message of a rate."""
    return settings_pb2.CurrencyRate(
        from_currency=rate.from_currency, to_currency=rate.to_currency, rate=text_from_decimal(rate.rate)
    )
