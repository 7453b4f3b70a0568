"""The published and reckoned cases of accumulation and top-up, by the naive engine (R5)."""

from dataclasses import replace
from itertools import pairwise

import pytest

from tests.core.table import rows
from tests.naive.account import Account, Attachment, Event, LineItem
from tests.naive.catalog import Catalog
from tests.naive.rate import rate_account
from tests.naive.scene import T, account, at, dollars, number, pricing, scene, total, used

BLOCK = "0:2000/2000"
STAIRS = "0:25+0 100:20+0 1000:15+0"
YEAR = ["07-01", "08-01", "09-01", "10-01", "11-01", "12-01", "2025-01-01"]


def monthly(units: str) -> tuple[Event, ...]:
    """Use so many units in July, August, ... on the 3rd."""
    return used(" ".join(f"{7 + index:02}-03:{each}" for index, each in enumerate(units.split()) if each != "0"))


def items_of(catalog: Catalog, of: Account, months: int) -> list[LineItem | None]:
    """The one line item of each month, if it has one."""
    found = []
    for start, end in pairwise(YEAR[: months + 1]):
        items = rate_account(catalog, of, at(start), at(end)).items
        assert len(items) < 2
        found.append(items[0] if items else None)
    return found


def amounts(items: list[LineItem | None]) -> str:
    return " ".join(dollars(item.amount) if item else "-" for item in items)


CASES = f"""
    case | bands                    | how         | units                      | amounts
    26   | 0:.035 500:.03 1000:.025 | cumulative  | 400 100 600                | 14.00 3.50 17.50
    27   | 0:.10 1000:.08           | POSITIONAL  | 800 600                    | 80.00 48.00
    27   | 0:.10 1000:.08           | RETROACTIVE | 800 600                    | 80.00 32.00
    28   | 0:100+0 1000:400+0       | RETROACTIVE | 800 800 800                | 100.00 300.00 0.00
    29   | {BLOCK}                  | cumulative  | 2800 2500 1000 0 3400 5000 | 4000 2000 2000 0 2000 6000
    30   | {BLOCK}                  | standard    | 2800 2500 1000 0 3400 5000 | 4000 4000 2000 - 4000 6000
    31   | {BLOCK}                  | cumulative  | 2000                       | 2000.00
    31   | {BLOCK}                  | cumulative  | 2001                       | 4000.00
    33   | {STAIRS}                 | cumulative  | 60 30 20 900 100           | 25.00 0.00 20.00 15.00 0.00
    R5.1 | {T}                      | cumulative  | 0 400                      | - 60.00
    R5.2 | 0:10+.1 1000:5+.08       | POSITIONAL  | 800 600 100                | 90.00 53.00 8.00
"""


@pytest.mark.parametrize(("case", "bands", "how", "units", "expected"), rows(CASES))
def test_accumulation(case: str, bands: str, how: str, units: str, expected: str) -> None:
    mode = how if how.isupper() else ""
    catalog = scene(pricing("calls", bands, cumulative=not mode, accumulate=how != "standard", accumulation_mode=mode))
    of = account(monthly(units), stay="07-01 2025-07-01")
    assert amounts(items_of(catalog, of, len(units.split()))).replace(".00", "") == expected.replace(".00", ""), case


def test_case_29_says_what_is_left() -> None:
    catalog = scene(pricing("calls", BLOCK, accumulate=True))
    items = items_of(catalog, account(monthly("2800 2500 1000 0 3400 5000"), stay="07-01 2025-07-01"), 6)
    left = [item.units_owned - item.units for item in items if item and item.units_owned and item.units]
    assert left == [number(each) for each in ["1200", "700", "1700", "1700", "300", "1300"]]


def test_case_32_the_next_attachment_starts_from_zero() -> None:
    catalog = scene(pricing("calls", BLOCK, accumulate=True))
    first = Attachment("first", "plan", at("07-01"), at("08-01"))
    second = Attachment("second", "plan", at("08-01"))
    of = account(monthly("700 500"), attachments=(first, second))
    items = items_of(catalog, of, 2)
    assert amounts(items) == "2000.00 2000.00"
    assert items[1] is not None
    assert items[1].units_owned == 2000
    assert items[1].units == 500


def test_r4_1_an_attachment_can_keep_what_was_accumulated() -> None:
    catalog = scene(pricing("calls", BLOCK, accumulate=True))
    first = Attachment("first", "plan", at("07-01"), at("08-01"))
    second = Attachment("second", "plan", at("08-01"), accumulation_start=at("07-01"))
    assert amounts(items_of(catalog, account(monthly("700 500"), attachments=(first, second)), 2)) == "2000.00 0.00"


def test_case_83_a_new_price_does_not_reset() -> None:
    prices = (T, "01-01 07-16"), ("0:0.30 500:0.20", "07-16 ")
    catalog = scene(*(pricing("calls", *each, accumulate=True) for each in prices))
    of = account(used("07-03:400 07-20:400"), stay="07-01 ")
    answer = rate_account(catalog, of, at("07-01"), at("08-01"))
    assert [dollars(item.amount) for item in answer.items] == ["60.00", "90.00"]


def test_case_94_a_first_block_is_owned_from_the_start() -> None:
    catalog = scene(pricing("calls", BLOCK, accumulate=True, charge_zero=True))
    items = items_of(catalog, account(monthly("0 0 500 2000"), stay="07-01 "), 4)
    assert amounts(items) == "2000.00 0.00 0.00 2000.00"


def test_r5_1_rounding_never_adds_up() -> None:
    rounded = total("calls", per_unit=number("10"), rounding="UP")
    catalog = scene(pricing("calls", "0:1", accumulate=True), aggregations=(rounded,))
    assert amounts(items_of(catalog, account(monthly("5 5 5"), stay="07-01 "), 3)) == "1.00 0.00 1.00"


def test_r5_1_the_parts_of_a_period_add_up() -> None:
    catalog = scene(pricing("calls", T, accumulate=True))
    of = account(monthly("400 300"), stay="07-01 ")
    parts = [rate_account(catalog, of, at(start), at(end)) for start, end in (("07-01", "07-20"), ("07-20", "09-01"))]
    assert [dollars(answer.totals["USD"]) for answer in parts] == ["60.00", "35.00"]


def test_r5_1_a_wildcard_accumulates_each_combination() -> None:
    prices = pricing("use", "0:2 4:1", segment=("*",), accumulate=True)
    catalog = scene(prices, aggregations=(total("use", segment_fields=("region",)),))
    of = account(used("07-03:3", region="eu"), used("08-03:3", region="eu"), used("08-04:3", region="us"))
    of = replace(of, attachments=(Attachment("attachment", "plan", at("07-01")),))
    answer = rate_account(catalog, of, at("08-01"), at("09-01"))
    assert [(item.segment, dollars(item.amount)) for item in answer.items] == [(("eu",), "4.00"), (("us",), "6.00")]
