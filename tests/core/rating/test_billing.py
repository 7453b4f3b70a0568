"""Bills: due less carried, whatever happens in between (R12.3, R12.4, R13)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core.billing import (
    BillInRow,
    BillStatus,
    approved,
    check_deletable,
    check_not_billed,
    check_row,
    locked,
    reopened,
)
from ratel.core.errors import BillApproved, BillLocked, BillPending, BillStale, LaterBillFixed, PricingBilled
from ratel.core.period import Period, start_of_day
from tests.core.rating.billed import due_of, run, shown, total
from tests.core.rating.chance import FIRST, story_text
from tests.story import read_story


def bills(text: str, *dates: str) -> list[list[tuple[str, str, bool]]]:
    story = read_story(text)
    row: list[BillInRow] = []
    for each in dates:
        row = run(story, row, each)
    return [shown(bill) for bill in row]


def test_case_35_a_part_of_the_standing_charge_in_arrears_and_in_advance() -> None:
    in_arrears = "template standing_charge=20\nattach 2024-01-17"
    assert bills(in_arrears, "2024-02-01") == [[("STANDING_CHARGE", "9.68", False)]]
    in_advance = "template standing_charge=20 standing_charge_in_advance=yes\nattach 2024-01-17"
    assert bills(in_advance, "2024-01-01", "2024-02-01") == [
        [],
        [("STANDING_CHARGE", "9.68", False), ("STANDING_CHARGE", "20.00", False)],
    ]


@pytest.mark.parametrize(("used", "refund"), [("800", "-800.00"), ("1200", "-1000.00")])
def test_case_37_a_minimum_in_advance_over_two_bills(used: str, refund: str) -> None:
    """R6.3: so the period nets the greater of minimum and charge."""
    text = f"""
        template minimum_spend=1000 minimum_spend_in_advance=yes
        aggregation calls SUM n
        price calls 0:1
        attach 2024-06-01 2024-07-01
        use 2024-06-03 n={used}
    """
    assert bills(text, "2024-06-01", "2024-07-01") == [
        [("MINIMUM_SPEND", "1000.00", False)],
        [("USAGE", f"{used}.00", False), ("MINIMUM_SPEND_REFUND", refund, False)],
    ]


def test_case_52_storage_and_licences() -> None:
    text = """
        aggregation storage SUM gb
        counter licences
        price storage 0:0.5 50:0.4
        price licences 0:20 10:15 total_in_arrears
        level licences 2024-07-01 15
        attach 2024-07-01
        use 2024-07-03 gb=50
        use 2024-07-20 gb=20
    """
    assert bills(text, "2024-08-01") == [[("USAGE", "33.00", False), ("COUNTER_RUNNING_TOTAL", "275.00", False)]]


def test_a_running_total_in_advance_is_billed_as_its_period_begins() -> None:
    text = "counter seats\nprice seats 0:2\nlevel seats 2024-07-01 15\nattach 2024-07-01"
    total_of_month = [("COUNTER_RUNNING_TOTAL", "30.00", False)]
    assert bills(text, "2024-07-01", "2024-08-01") == [total_of_month, total_of_month]


def test_case_85_every_two_periods_from_the_second_on() -> None:
    text = "template standing_charge=20 standing_charge_interval=2 standing_charge_offset=1\nattach 2024-01-01"
    dates = ("2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "2024-06-01")
    amounts = [[amount for _, amount, _ in bill] for bill in bills(text, *dates)]
    assert amounts == [[], [], ["20.00"], [], ["20.00"]]


def test_late_usage_is_a_correction_on_the_next_bill() -> None:
    text = "aggregation calls SUM n\nprice calls 0:0.15 500:0.10\nattach 2024-06-01 2024-07-01\nuse 2024-06-03 n=400"
    row = run(read_story(text), [], "2024-07-01")
    row = run(read_story(text + "\nuse 2024-06-30 n=300"), row, "2024-08-01")
    (line,) = row[1].lines
    assert line.correction is not None
    correction = line.correction
    assert [line.amount, correction.carried_amount, correction.due_amount] == [Decimal(each) for each in (35, 60, 95)]
    assert (line.correction.place.invoice_date, line.correction.place.number) == (date(2024, 7, 1), 1)
    assert (line.number, line.exact_amount, line.item is not None) == (1, Decimal(35), True)


def test_an_attachment_that_ends_after_it_was_billed_in_advance_is_put_right() -> None:
    text = "template standing_charge=30 standing_charge_in_advance=yes\nattach 2024-06-01"
    row = run(read_story(text), [], "2024-06-01")
    row = run(read_story(text + " 2024-06-16"), row, "2024-07-01")
    assert shown(row[1]) == [("STANDING_CHARGE", "15.00", False), ("STANDING_CHARGE", "-30.00", True)]


def test_a_run_that_was_missed_is_made_up_for() -> None:
    text = "template standing_charge=30\nattach 2024-06-01"
    assert bills(text, "2024-09-01") == [[("STANDING_CHARGE", "30.00", False)] * 3]


def test_credits_are_capped_by_what_falls_due_with_them_however_late_it_is_billed() -> None:
    text = """
        aggregation a SUM x
        aggregation b SUM y
        price a 0:1
        price b 0:1 as=GLOBAL_CREDIT
        attach 2024-06-01
        use 2024-06-02 x=10
        use 2024-06-02 y=100
        use 2024-07-02 x=50
    """
    timely = [[("USAGE", "10.00", False), ("USAGE_CREDIT", "-10.00", False)], [("USAGE", "50.00", False)]]
    assert bills(text, "2024-07-01", "2024-08-01") == timely
    assert bills(text, "2024-08-01") == [[*timely[0], *timely[1]]]


def test_an_earlier_bill_that_is_run_later_makes_the_later_one_stale_and_both_right() -> None:
    text = "template standing_charge=30\nattach 2024-06-01"
    story = read_story(text)
    row = run(story, [], "2024-08-01")
    row = run(story, row, "2024-07-01")
    assert [bill.is_stale for bill in row] == [False, True]
    assert total(run(story, row, "2024-08-01")) == "60.00"


def test_what_is_stale_is_made_again_before_the_bills_after_it_in_whatever_order_they_are_found() -> None:
    """R12.4: the second bill corrected the first; once that one is right by itself, there is nothing to correct."""
    text = "aggregation calls SUM n\nprice calls 0:0.15 500:0.10\nattach 2024-06-01\nuse 2024-06-03 n=400"
    row = run(read_story(text), [], "2024-07-01")
    story = read_story(text + "\nuse 2024-06-30 n=300\nuse 2024-08-03 n=10")
    row = run(story, row, "2024-08-01")
    assert shown(row[1]) == [("USAGE", "35.00", True)]
    row = run(story, row, "2024-07-01")
    assert [bill.is_stale for bill in row] == [False, True]
    row = run(story, row[::-1], "2024-09-01")
    assert [shown(bill) for bill in row] == [[("USAGE", "95.00", False)], [], [("USAGE", "1.50", False)]]
    assert not any(bill.is_stale for bill in row)


@given(st.integers(min_value=0))
@settings(max_examples=40, deadline=None)
def test_the_sum_of_all_bills_does_not_depend_on_when_they_were_run(seed: int) -> None:
    chance = Random(seed)
    text = story_text(chance)
    whole = read_story(text)
    days = sorted(chance.sample(range(140), 4))
    row: list[BillInRow] = []
    for day in days[: chance.randrange(4)]:
        # What was known then: some usage and adjustments came later, and an attachment had no end yet.
        known = replace(
            whole,
            usages=[each for each in whole.usages if chance.random() < 0.6],
            adjustments=[each for each in whole.adjustments if chance.random() < 0.6],
            attachments=[
                *whole.attachments[:-1],
                replace(whole.attachments[-1], period=Period(whole.attachments[-1].period.start)),
            ],
        )
        row = run(known, row, str(FIRST + timedelta(days=day)))
    last = str(FIRST + timedelta(days=140))
    row = run(whole, row, last)
    expected = sum(each.item.amount for each in due_of(whole, last).items)
    assert sum(line.amount for bill in row for line in bill.lines) == expected, text
    assert run(whole, row, last) == row


def test_what_a_bill_may_become() -> None:
    assert approved(BillStatus.PENDING, is_stale=False) is BillStatus.APPROVED
    assert locked(BillStatus.APPROVED) is BillStatus.LOCKED
    assert reopened(BillStatus.APPROVED) is BillStatus.PENDING
    with pytest.raises(BillStale):
        approved(BillStatus.PENDING, is_stale=True)
    with pytest.raises(BillPending):
        locked(BillStatus.PENDING)
    for change in (reopened, check_deletable):
        with pytest.raises(BillLocked):
            change(BillStatus.LOCKED)
    with pytest.raises(BillApproved):
        check_deletable(BillStatus.APPROVED)


def test_nothing_changes_before_a_bill_that_is_approved() -> None:
    row = run(read_story("template standing_charge=30\nattach 2024-06-01"), [], "2024-08-01")
    fixed = [replace(row[0], status=BillStatus.APPROVED)]
    check_row(fixed, date(2024, 8, 1))
    with pytest.raises(LaterBillFixed):
        check_row(fixed, date(2024, 7, 1))


def test_a_pricing_that_was_billed_is_fixed() -> None:
    (pricing,) = read_story("aggregation a SUM x\nprice a 0:1").pricings
    until = datetime(2024, 7, 1, tzinfo=UTC)
    check_not_billed(pricing, None, None)
    described = replace(pricing, description="other", period=Period(pricing.period.start, until))
    check_not_billed(pricing, described, until)
    early = replace(pricing, period=Period(pricing.period.start, start_of_day(date(2024, 6, 30), "UTC")))
    dearer = replace(pricing, bands=replace(pricing.bands, charge_zero=True))
    for changed in (None, early, dearer):
        with pytest.raises(PricingBilled):
            check_not_billed(pricing, changed, until)
