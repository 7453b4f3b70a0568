"""The published and reckoned cases of bands and units, by the naive engine (R1)."""

import pytest

from tests.core.table import rows
from tests.naive.bands import price
from tests.naive.catalog import Terms
from tests.naive.exact import Quantity, money
from tests.naive.scene import T, account, bands, june, number, pricing, scene, shown, total, used

STEPS = "0:12+0 4:25+0 6:50+0"
CUSTOM = "0:10+1 100:20+0.8 500:30+0.5"

CASES = f"""
    case | bands                  | how         | units  | amount | arithmetic
    1    | {T}                    | cumulative  | 700    | 95.00  | 500x.15 + 200x.10
    2    | {T}                    | cumulative  | 500    | 75.00  | edge inclusive
    3    | {T}                    | cumulative  | 501    | 75.10  | 75 + 1x.10
    4    | {T}                    | volume      | 500    | 75.00  | first band
    5    | {T}                    | volume      | 501    | 50.10  | 501x.10
    6    | {STEPS}                | volume      | 4.0    | 12.00  | up to 4
    7    | {STEPS}                | volume      | 4.0001 | 25.00  | above 4
    8    | {STEPS}                | volume      | 6      | 25.00  | up to 6
    8    | {STEPS}                | volume      | 6.1    | 50.00  | above 6
    9    | {STEPS}                | volume      | 0      | 0.00   | no band entered
    9    | {STEPS}                | charge_zero | 0      | 12.00  | the first band entered
    10   | {CUSTOM}               | cumulative  | 100    | 110.00 | 10+100
    10   | {CUSTOM}               | cumulative  | 101    | 130.80 | 110 + 20+.8
    10   | {CUSTOM}               | cumulative  | 600    | 530.00 | 110 + (20+320) + (30+50)
    11   | {CUSTOM}               | volume      | 101    | 100.80 | 20+80.8
    11   | {CUSTOM}               | volume      | 600    | 330.00 | 30+300
    13   | 0:0 100:0.05           | cumulative  | 250    | 7.50   | 150x.05
    17   | 0:-0.02                | cumulative  | 1000   | -20.00 | a negative price
    18   | 0:0 500:5/1000         | cumulative  | 2600   | 15.00  | ceil(2100/1000)=3
    19   | 0:25+0 100:20+0 1000:15+0 | cumulative | 200  | 45.00  | 25+20
    19   | 0:25+0 100:20+0 1000:15+0 | cumulative | 100  | 25.00  | edge inclusive
    19   | 0:25+0 100:20+0 1000:15+0 | cumulative | 1000 | 45.00  | edge inclusive
    19   | 0:25+0 100:20+0 1000:15+0 | cumulative | 1001 | 60.00  | 25+20+15
    20   | 0:1 100:0.5            | volume      | 99.5   | 99.50  | no hole between bands
    20   | 0:1 100:0.5            | volume      | 100.5  | 50.25  | no hole between bands
    30   | 0:2000/2000            | cumulative  | 2800   | 4000.00 | two blocks
    30   | 0:2000/2000            | cumulative  | 2500   | 4000.00 | two blocks
    30   | 0:2000/2000            | cumulative  | 1000   | 2000.00 | one block
    30   | 0:2000/2000            | cumulative  | 0      | 0.00    | none
    30   | 0:2000/2000            | cumulative  | 3400   | 4000.00 | two blocks
    30   | 0:2000/2000            | cumulative  | 5000   | 6000.00 | three blocks
    R1.5 | 0:5+2 10:4+1           | cumulative  | -3     | -6.00   | the first unit price, no fixed price
    R1.5 | 0:8/250                | cumulative  | -600   | -16.00  | two whole blocks back
    R1.4 | 0:8/250                | charge_zero | 0      | 8.00    | the first block
"""


@pytest.mark.parametrize(("case", "prices", "how", "units", "amount", "arithmetic"), rows(CASES))
def test_bands(case: str, prices: str, how: str, units: str, amount: str, arithmetic: str) -> None:
    charged = price(bands(prices), number(units), cumulative=how == "cumulative", charge_zero=how == "charge_zero")
    assert money(charged, "USD") == number(amount), f"case {case}: {arithmetic}"


UNITS = """
    case | quantity | per unit | rounding | units | amount at .25
    14   | 48900    | 500      | UP       | 98    | 24.50
    14   | 48900    | 500      | DOWN     | 97    | 24.25
    14   | 48900    | 500      | NEAREST  | 98    | 24.50
    14   | 48900    | 500      | NONE     | 97.8  | 24.45
    15   | 5.1      | 1        | NEAREST  | 5     | 1.25
    15   | 3.5      | 1        | NEAREST  | 4     | 1.00
    15   | 2.5      | 1        | NEAREST  | 3     | 0.75
    16   | 500      | 500      | NONE     | 1     | 0.25
    81   | 1000     | 500      | UP       | 2     | 0.50
    81   | 1        | 3        | UP       | 1     | 0.25
    R1.6 | -2.5     | 1        | NEAREST  | -3    | -0.75
    R1.6 | -2.1     | 1        | UP       | -3    | -0.75
"""


@pytest.mark.parametrize(("case", "quantity", "per_unit", "rounding", "units", "amount"), rows(UNITS))
def test_units(case: str, quantity: str, per_unit: str, rounding: str, units: str, amount: str) -> None:
    counted = Quantity(number(quantity)).units(number(per_unit), rounding)
    assert counted == number(units), case
    assert money(price(bands("0:0.25"), counted, cumulative=True), "USD") == number(amount), case


def test_case_12_is_a_bill_of_three_usages_and_a_standing_charge() -> None:
    prices = pricing("calls", T), pricing("files", "0:0.50"), pricing("time", STEPS, cumulative=False)
    seconds = total("time", meter="n", method="MEAN")
    aggregations = total("calls"), total("files", method="COUNT", field="region"), seconds
    catalog = scene(*prices, terms=Terms(standing=number("20")), aggregations=aggregations)
    files = used(" ".join("06-06:" for _ in range(120)), region="eu")
    of = account(used("06-02:300 06-03:400"), files, used("06-04:3.5 06-05:4.5", meter="n"))
    assert shown(june(catalog, of)) == "95.00 60.00 12.00 20.00"
