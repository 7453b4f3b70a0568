"""The table of a rating: every kind of workings can be followed by a person."""

import io
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.json_format import ParseDict
from rich.console import Console

from ratel.cli.bill import bill_table
from ratel.cli.failure import CommandFailed
from ratel.cli.rate import days_of
from ratel.rating.v1.account_rating_pb2 import AccountRating

JULY = {"start_time": "2024-07-01T00:00:00Z", "end_time": "2024-08-01T00:00:00Z"}
SERVICE = {"service_start_time": JULY["start_time"], "service_end_time": JULY["end_time"], "currency": "USD"}


def shown(zone: str = "UTC", **rating: object) -> list[str]:
    """Return the lines of a rating's table without its frame and spaces."""
    console = Console(width=100, record=True, file=io.StringIO())
    message = ParseDict({"account_id": "acme", **JULY, **rating}, AccountRating())
    for part in bill_table(message, "2024-07", ZoneInfo(zone)):
        console.print(part)
    lines = (line.replace("│", " ").split() for line in console.export_text().splitlines())
    return [" ".join(words) for words in lines]


def lines_of(kind: str, zone: str = "UTC", **item: object) -> list[str]:
    """Return the lines of one line item below its kind."""
    full = {"kind": f"LINE_ITEM_KIND_{kind}", "description": "It", "amount": "1.00", **SERVICE, **item}
    lines = shown(zone, line_items=[full])
    return lines[lines.index(kind) + 1 : -1]


def band(lower: str, upper: str, units: str, price: str, amount: str) -> dict[str, str]:
    return {"lower_limit": lower, "upper_limit": upper, "units": units, "unit_price": price, "amount": amount}


def test_usage_shows_units_blocks_and_what_was_before() -> None:
    blocks = band("10", "", "5", "3", "7") | {"block_count": "2", "fixed_price": "1"}
    through = {"quantity": "15000", "units": "15", "band_usages": [band("0", "10", "10", "2", "20"), blocks]}
    before = {"quantity": "1000", "units": "1", "band_usages": [band("0", "10", "1", "2", "2")]}
    usage = {"quantity_per_unit": "1000", "unit": "k", "through": through, "before": before}
    assert lines_of("USAGE", usage=usage, segment={"region": "eu", "tier": ""}) == [
        "region: eu",
        "tier: missing",
        "15000 / 1000 = 15 k",
        "above 0 to 10 10 2 20",
        "above 10 5 in 2 blocks 1 + 3 7",
        "less what was before: 1000 / 1000 = 1 k",
        "above 0 to 10 1 2 2",
    ]


def test_what_was_converted_shows_what_it_was() -> None:
    """R11.2."""
    conversion = {"currency": "USD", "amount": "1.25", "exact_amount": "1.25", "rate": "0.8"}
    usage = {"quantity_per_unit": "1", "unit": "k", "through": {"quantity": "5", "units": "5"}}
    assert lines_of("USAGE", usage=usage, conversion=conversion) == ["5 k", "1.25 USD x 0.8"]


def test_a_counter_shows_its_change_and_its_days() -> None:
    counter = {
        "level": "12",
        "previous_level": "10",
        "date": "2024-07-11",
        "band_usages": [band("0", "", "12", "2", "24")],
        "previous_band_usages": [band("0", "", "10", "2", "20")],
        "prorated": True,
        "period_amount": "4",
        "days": 21,
        "period_days": 31,
    }
    assert lines_of("COUNTER_ADJUSTMENT_DEBIT", counter=counter) == [
        "level 10 to 12 on 2024-07-11",
        "above 0 12 2 24",
        "less the level before",
        "above 0 10 2 20",
        "21 of 31 days 4",
    ]


def test_charges_and_spends_show_their_days() -> None:
    charge = {"period_amount": "31", "days": 1, "period_days": 31}
    assert lines_of("STANDING_CHARGE", standing_charge=charge) == ["1 of 31 days 31"]
    spend = {"limit": "62", "prorated_limit": "2.00", "spend": "1.00", "days": 1, "period_days": 31}
    assert lines_of("MINIMUM_SPEND", spend=spend) == ["1 of 31 days 62", "limit 2.00, spend 1.00"]


def test_a_service_that_is_not_the_whole_period_shows_its_days_in_the_zone() -> None:
    part = {"service_start_time": "2024-07-09T22:00:00Z", "service_end_time": "2024-07-31T12:30:00Z"}
    assert lines_of("USAGE", "Europe/Berlin", **part) == ["2024-07-10 to 2024-07-31 14:30"]


def test_totals_and_what_nobody_pays_for_come_last() -> None:
    lines = shown(
        totals=[{"currency": "EUR", "amount": "2.00"}, {"currency": "USD", "amount": "1.00"}],
        unpriced_usages=[{"attachment_id": "a", "aggregation_id": "gb", "quantity": "3"}],
        unattached_usages=[{"meter_id": "storage", "event_count": "7"}],
    )
    assert [line for line in lines if line.startswith("Total")] == ["Total 2.00 EUR", "Total 1.00 USD"]
    assert lines[-2:] == [
        "Not priced: 3 of gb in attachment a",
        "Without an attachment: 7 events of meter storage",
    ]


@pytest.mark.parametrize(
    ("period", "first", "after"),
    [
        ("2024", date(2024, 1, 1), date(2025, 1, 1)),
        ("2024-07", date(2024, 7, 1), date(2024, 8, 1)),
        ("2024-12", date(2024, 12, 1), date(2025, 1, 1)),
        ("2024-02-29", date(2024, 2, 29), date(2024, 3, 1)),
    ],
)
def test_a_period_is_a_year_month_or_day(period: str, first: date, after: date) -> None:
    assert days_of(period) == (first, after)


@pytest.mark.parametrize("period", ["", "24", "2024-13", "2024-7", "2023-02-29", "9999", "9999-12-31", "٢٠٢٤"])
def test_anything_else_is_no_period(period: str) -> None:
    with pytest.raises(CommandFailed, match="is no year, month or day"):
        days_of(period)


def test_a_part_shows_whose_it_is_and_what_the_whole_is() -> None:
    """R11.1."""
    share = {"whole_amount": "95.00", "quantity": "300", "whole_quantity": "700"}
    assert lines_of("USAGE", account_id="north", share=share) == ["account: north", "300 of 700, of 95.00 USD"]
