"""The engine agrees with the naive one on accounts made by chance, line item by line item (R1 to R4, R6, R8, R12.1).

`RATEL_TEST_STORIES` says how many; a story is made from its number, so that a failure can be seen again.
"""

import os
from collections.abc import Callable, Sequence

import pytest

from tests.core.naive_rating import (
    core_promotions,
    core_rows,
    core_warnings,
    naive_rows,
    naive_warnings,
    rate_by_core,
)
from tests.naive.account import Answer
from tests.naive.catalog import Pricing
from tests.naive.rate import rate_account
from tests.naive.scene import account, at, pricing, scene, total, used
from tests.naive.stories import story
from tests.naive.told import Story
from tests.naive.translation import plain

COUNT = int(os.environ.get("RATEL_TEST_STORIES", "2000" if os.environ.get("CI") else "150"))
PART = max(COUNT // 5, 150)
"""How many stories of a special kind."""
BATCH = 25

KINDS = {
    "USAGE",
    "USAGE_CREDIT",
    "STANDING_CHARGE",
    "MINIMUM_SPEND",
    "MINIMUM_SPEND_REFUND",
    "MAXIMUM_SPEND",
    "COUNTER_RUNNING_TOTAL",
    "COUNTER_ADJUSTMENT_DEBIT",
    "COUNTER_ADJUSTMENT_CREDIT",
}
METHODS = {"SUM", "MIN", "MAX", "LATEST", "MEAN", "UNIQUE", "COUNT", "WEIGHTED_SUM"}
PRICINGS: dict[str, Callable[[Pricing], bool]] = {
    "pooled": lambda each: each.pool,
    "zero is charged": lambda each: each.charge_zero,
    "of a template": lambda each: each.owner[0] == "TEMPLATE",
    "of a compound": lambda each: each.thing.kind == "COMPOUND",
    "volume": lambda each: not each.cumulative,
    "blocks": lambda each: any(band.block for band in each.bands),
    "a literal and a wildcard": lambda each: len(set(each.segment)) == 2 and "*" in each.segment,
}


def naive_answer(told: Story) -> Answer:
    return rate_account(told.catalog, told.account, *told.asked, told.grants)


@pytest.mark.parametrize("first", range(0, COUNT, BATCH))
def test_both_engines_agree(first: int) -> None:
    for seed in range(first, min(first + BATCH, COUNT)):
        told = story(seed)
        rating, answer = rate_by_core(told.catalog, told.account, *told.asked, told.grants), naive_answer(told)
        assert differences(naive_rows(answer), core_rows(rating)) == "", f"story {seed}"
        assert list(answer.promotions) == core_promotions(rating), f"story {seed}"
        assert naive_warnings(answer) == core_warnings(rating), f"story {seed}"
        assert answer.totals == {currency: plain(total) for currency, total in rating.totals}, f"story {seed}"


def differences(naive: Sequence[object], core: Sequence[object]) -> str:
    lines = [f"only naive: {row}" for row in naive if row not in core]
    lines += [f"only core: {row}" for row in core if row not in naive]
    lines += ["some rows come more than once"] if not lines and naive != core else []
    return "\n".join(lines)


def test_a_gap_is_named_whole_whatever_cuts_other_segments() -> None:
    """R3.5: no pricing takes the region before June 20; that another region's price changes in between cuts nothing."""
    prices = (
        pricing("use", "0:1", "01-01 06-10", segment=("us",)),
        pricing("use", "0:1", "06-10 ", segment=("us",)),
        pricing("use", "0:1", "06-20 ", segment=("eu",)),
    )
    catalog = scene(*prices, aggregations=(total("use", segment_fields=("region",)),))
    of = account(used("06-05:3 06-25:1", region="eu"))
    rating = rate_by_core(catalog, of, at("06-01"), at("07-01"))
    assert [(each.period.start, each.period.end) for each in rating.unpriced_usages] == [(at("06-01"), at("06-20"))]


def test_chance_leaves_nothing_out() -> None:
    """What never occurs proves nothing."""
    told = [story(seed) for seed in range(60)]
    answers = [naive_answer(each) for each in told]
    items = [item for answer in answers for item in answer.items]
    assert {item.kind for item in items} == KINDS
    charged = {(item.pricing, item.thing) for item in items}
    pricings = [each for story in told for each in story.catalog.pricings if (each.id, each.thing) in charged]
    assert [name for name, holds in PRICINGS.items() if not any(map(holds, pricings))] == []
    assert {each.method for story in told for each in story.catalog.aggregations} == METHODS
    assert any(answer.unpriced for answer in answers)
    assert any(answer.unattached for answer in answers)
    assert any(item.units_before for item in items)
    promoted = {name.split()[0] for answer in answers for name, _ in answer.promotions}
    assert promoted >= {"trial", "grant0", "grant1", "grant2"}
