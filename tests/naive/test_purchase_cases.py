"""The published and reckoned cases of one-time purchases, by the naive engine (R10)."""

from datetime import timedelta

import pytest

from tests.core.table import rows
from tests.naive.debts import AddOn, Purchase, Rate
from tests.naive.purchase import due_time, mistakes, price_per_increment, purchase_price, setup_fee
from tests.naive.scene import at, bands, dollars, number

PRICES = """
    case | flat | bands         | keep tier | quantity | amount
    62   | 5.00 | 0:0           | off       | 0        | 5.00
    63   | 0    | 0:5           | off       | 5        | 25.00
    64   | 0    | 0:0 10000:.10 | on        | 10001    | 1000.10
    64   | 0    | 0:0 10000:.10 | off       | 10001    | 0.10
    65   | 0    | 0:0 10000:.10 | on        | 10000    | 0.00
    65   | 0    | 0:0 10000:.10 | off       | 10000    | 0.00
    66   | 0    | 0:1 100:.5    | off       | 150      | 125.00
    66   | 0    | 0:1 100:.5    | on        | 150      | 75.00
    70   | 0    | 0:1           | off       | 10       | 10.00
"""


@pytest.mark.parametrize(("case", "flat", "prices", "keep", "quantity", "amount"), rows(PRICES))
def test_prices(case: str, flat: str, prices: str, keep: str, quantity: str, amount: str) -> None:
    add_on = AddOn("add-on", number(flat), rates=(Rate("unit", bands(prices), cumulative=keep == "off"),))
    assert dollars(purchase_price(add_on, {"unit": number(quantity)})) == amount, case


def test_case_67_quantities_that_break_a_rule_are_refused() -> None:
    ranges = AddOn("add-on", rates=(Rate("user", bands("0:1 100:.5"), minimum=number("5"), maximum=number("500")),))
    assert mistakes(ranges, {"user": number("4")}) == ["user: below the minimum"]
    assert mistakes(ranges, {"user": number("501")}) == ["user: above the maximum"]
    assert mistakes(ranges, {"user": number("4")}, is_further=True) == []
    fives = AddOn("add-on", rates=(Rate("user", bands("0:1"), minimum=number("5"), increment=number("5")),))
    assert mistakes(fives, {"user": number("7")}) == ["user: off the increment"]


def test_case_68_the_setup_fee_is_paid_once_while_active() -> None:
    add_on = AddOn("add-on", setup=number("20"), rates=(Rate("unit", bands("0:1")),))
    five = {"unit": number("5")}
    times = (("06-01", "06-20"), ("06-10", "06-20"), ("06-25", "2025-01-01"))
    bought = [Purchase(start, "add-on", at(start), five, cancelled=at(end)) for start, end in times]
    fees = [setup_fee(add_on, bought, each) or 0 for each in bought]
    assert [dollars(purchase_price(add_on, five) + fee) for fee in fees] == ["25.00", "5.00", "25.00"]


def test_case_69_rates_of_different_units_add_up() -> None:
    add_on = AddOn("add-on", rates=(Rate("call", bands("0:.10")), Rate("gigabyte", bands("0:1"))))
    assert purchase_price(add_on, {"call": number("100"), "gigabyte": number("10")}) == 20


def test_case_70_a_price_is_shown_per_increment() -> None:
    five = number("5")
    rate = Rate("users", bands("0:1"), minimum=five, increment=five, display_per_increment=True)
    amount, quantity = price_per_increment(rate, "USD")
    assert f"{dollars(amount)} per {quantity} {rate.unit}" == "5.00 per 5 users"


def test_r10_2_after_a_trial_everything_falls_due() -> None:
    add_on = AddOn("add-on", number("5"), trial=timedelta(days=14), grace=timedelta(days=2))
    assert due_time(add_on, Purchase("a", "add-on", at("06-01"))) == at("06-17")
    assert due_time(add_on, Purchase("a", "add-on", at("06-01"), cancelled=at("06-16"))) is None
