"""The settings: one row, there from the start; currency rates are parallel arrays, one element each."""

from ratel.core.currency import CurrencyRate
from ratel.core.money import RoundingMode
from ratel.core.plan import CreditKind, Settings
from ratel.store.resource import Resource, Row

SELECT = "SELECT * FROM settings"
UPDATE = """
    UPDATE settings
    SET time_zone = $1, default_currency = $2, standing_charge_in_advance = $3, minimum_spend_in_advance = $4,
        day_epoch = $5, week_epoch = $6, month_epoch = $7, year_epoch = $8, rounding_mode = $9,
        from_currencies = $10, to_currencies = $11, currency_rates = $12, commitment_fee_in_advance = $13,
        credit_application_order = $14, update_time = $15, etag = nextval('etags')
"""


def _to_row(settings: Settings) -> tuple[object, ...]:
    return (
        settings.time_zone,
        settings.default_currency,
        settings.standing_charge_in_advance,
        settings.minimum_spend_in_advance,
        settings.day_epoch,
        settings.week_epoch,
        settings.month_epoch,
        settings.year_epoch,
        settings.rounding_mode.value,
        [each.from_currency for each in settings.currency_rates],
        [each.to_currency for each in settings.currency_rates],
        [each.rate for each in settings.currency_rates],
        settings.commitment_fee_in_advance,
        [kind.value for kind in settings.credit_application_order],
    )


def settings_from_row(row: Row) -> Settings:
    """Return the settings of a row."""
    return Settings(
        time_zone=row["time_zone"],
        default_currency=row["default_currency"],
        standing_charge_in_advance=row["standing_charge_in_advance"],
        minimum_spend_in_advance=row["minimum_spend_in_advance"],
        day_epoch=row["day_epoch"],
        week_epoch=row["week_epoch"],
        month_epoch=row["month_epoch"],
        year_epoch=row["year_epoch"],
        rounding_mode=RoundingMode(row["rounding_mode"]),
        currency_rates=tuple(map(CurrencyRate, row["from_currencies"], row["to_currencies"], row["currency_rates"])),
        commitment_fee_in_advance=row["commitment_fee_in_advance"],
        credit_application_order=tuple(map(CreditKind, row["credit_application_order"])),
    )


SETTINGS = Resource("settings", "", SELECT, "", UPDATE, "", _to_row, _to_row, settings_from_row, key_length=0)
