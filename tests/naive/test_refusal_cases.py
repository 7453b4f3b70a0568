"""The cases of what is refused, and that no case of the table is left out, by the naive engine."""

import re
from dataclasses import replace
from pathlib import Path

from tests.naive.account import Adjustment
from tests.naive.refusal import is_adjusted, may_have_overage_bands, overlapping
from tests.naive.scene import bands, day, number, pricing


def test_cases_24_and_25_schedules_may_touch_and_not_overlap() -> None:
    known = pricing("calls", "0:1", "06-01 07-01")
    assert overlapping([known], pricing("calls", "0:2", "06-10 ")) == known.id
    assert overlapping([known], pricing("calls", "0:2", "07-01 ")) == ""
    assert overlapping([known], pricing("storage", "0:2", "06-10 ")) == ""


def test_case_34_overage_bands_are_cumulative_and_do_not_accumulate() -> None:
    usual = pricing("calls", "0:1", overage_bands=bands("0:2"))
    assert may_have_overage_bands(usual)
    assert not may_have_overage_bands(replace(usual, cumulative=False))
    assert not may_have_overage_bands(replace(usual, accumulate=True))
    assert not may_have_overage_bands(replace(usual, overage_bands=bands("0:1+2")))


def test_case_51_a_day_has_one_adjustment() -> None:
    known = Adjustment("seats", day("06-01"), number("15"))
    assert is_adjusted([known], replace(known, level=number("18")))
    assert not is_adjusted([known], replace(known, date=day("06-02")))


def test_no_case_is_left_out() -> None:
    found: set[int] = set()
    for path in Path(__file__).parent.glob("test_*_cases.py"):
        text = path.read_text()
        found |= {int(each) for each in re.findall(r"^ +([0-9]+) +\|", text, re.MULTILINE)}
        named = re.findall(r"def test_cases?_([0-9]+)(?:_and_([0-9]+))?_", text)
        found |= {int(each) for pair in named for each in pair if each}
    assert [number for number in range(1, 96) if number not in found] == []
