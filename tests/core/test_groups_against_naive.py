"""Both engines agree on what plan groups add to ratings and bills (R6.2)."""

import pytest

from tests.core.naive_rating import core_promotions, core_rows, naive_rows, rate_by_core
from tests.core.test_against_naive import BATCH, PART, differences, naive_answer
from tests.core.test_bills_against_naive import core_rows as core_lines
from tests.core.test_bills_against_naive import last_date
from tests.core.test_bills_against_naive import naive_rows as naive_lines
from tests.naive.grouped import grouped_story
from tests.naive.translation import plain


@pytest.mark.parametrize("first", range(0, PART, BATCH))
def test_ratings_agree(first: int) -> None:
    for seed in range(first, min(first + BATCH, PART)):
        told = grouped_story(seed)
        rating, answer = rate_by_core(told.catalog, told.account, *told.asked, told.grants), naive_answer(told)
        assert differences(naive_rows(answer), core_rows(rating)) == "", f"story {seed}"
        assert list(answer.promotions) == core_promotions(rating), f"story {seed}"
        assert answer.totals == {currency: plain(total) for currency, total in rating.totals}, f"story {seed}"


@pytest.mark.parametrize("first", range(0, PART, BATCH))
def test_bills_agree(first: int) -> None:
    for seed in range(first, min(first + BATCH, PART)):
        told = grouped_story(seed)
        until = last_date(told)
        assert core_lines(told, until) == naive_lines(told, until), f"story {seed}"


def test_chance_leaves_nothing_out() -> None:
    """What never occurs proves nothing."""
    items = [item for seed in range(60) for item in naive_answer(grouped_story(seed)).items]
    assert {item.kind for item in items if not item.attachment} == {"MINIMUM_SPEND", "MAXIMUM_SPEND"}
