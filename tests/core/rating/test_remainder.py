"""What maximums and credits leave of line items (R6.2, R6.4, R9.2)."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core.bill import LineItem, LineItemKind
from ratel.core.money import ZERO, amount_text, exact
from ratel.core.pricing import ApplyAs
from ratel.core.rating.remainder import Remainder, remainder_of
from tests.core.rating.chance import story_text
from tests.core.rating.rated import rate_story
from tests.story import read_story
from tests.told import Story

MAXIMUM = """
    template maximum_spend={maximum}
    aggregation a SUM a
    aggregation b SUM b
    aggregation c SUM c
    price a 0:1
    price b 0:{price}
    price c 0:1 as=GLOBAL_CREDIT
    use 2024-06-03 a=200 b=100 c={credit}
    attach 2024-06-01
    rate 2024-06-01 2024-07-01
"""


@exact
def remainder_of_story(story: Story) -> Remainder:
    apply_as: dict[str, ApplyAs] = {each.id: each.apply_as for each in story.pricings}
    return remainder_of(rate_story(story).line_items, apply_as)


def discounts_of(remainder: Remainder) -> list[LineItem]:
    """Return what took off charges, each once."""
    found = {id(each.item): each.item for charge in remainder.charges for each in charge.discounts}
    return list(found.values())


def left(text: str) -> str:
    """Return gross and net of each charge."""
    charges = remainder_of_story(read_story(text)).charges
    return " ".join(f"{amount_text(each.gross, 'USD')}:{amount_text(each.net, 'USD')}" for each in charges)


@pytest.mark.parametrize(
    ("maximum", "price", "credit", "expected"),
    [
        ("1000", "1", "0", "200.00:200.00 100.00:100.00"),
        ("200", "1", "0", "200.00:133.33 100.00:66.67"),  # 100 by two to one
        ("200", "1", "30", "200.00:113.33 100.00:56.67"),  # and 30 by what was left
        ("150", "-0.1", "0", "200.00:160.00 -10.00:-10.00"),  # a negative charge bears nothing
        ("1000", "1", "-5", "200.00:200.00 100.00:100.00 5.00:5.00"),  # a credit of the other sign charges
    ],
)
def test_each_bears_its_share(maximum: str, price: str, credit: str, expected: str) -> None:
    assert left(MAXIMUM.format(maximum=maximum, price=price, credit=credit)) == expected


def test_a_maximum_of_a_pricing_takes_off_that_pricing_in_that_period_only() -> None:
    text = """
        template standing_charge=20
        aggregation a SUM a
        aggregation b SUM b
        price a 0:1 maximum=40
        price b 0:1
        use 2024-06-03 a=50 b=50
        use 2024-07-03 a=30 b=10
        rate 2024-06-01 2024-08-01
    """
    assert left(text) == "50.00:40.00 30.00:30.00 50.00:50.00 10.00:10.00 20.00:20.00 20.00:20.00"


def test_a_maximum_of_a_plan_takes_off_that_attachment_only_and_no_standing_charge() -> None:
    text = """
        plan capped maximum_spend=60 standing_charge=50
        plan free
        aggregation a SUM a
        price a 0:1 on=template
        attach 2024-06-01 2024-06-16 plan=capped
        attach 2024-06-16 2024-07-01 plan=free
        use 2024-06-03 a=100
        use 2024-06-20 a=100
        rate 2024-06-01 2024-07-01
    """
    assert left(text) == "100.00:30.00 100.00:100.00 25.00:25.00"


def test_a_product_credit_leaves_other_products_alone_and_every_credit_other_currencies() -> None:
    remainder = remainder_of_story(read_story(MAXIMUM.format(maximum="1000", price="1", credit="30")))
    (credit,) = discounts_of(remainder)
    usage = remainder.charges[0].item
    beside = replace(usage, origin=replace(usage.origin, product_id="other"))
    abroad = replace(usage, currency="EUR")
    for apply_as, nets in ((ApplyAs.PRODUCT_CREDIT, [170, 200, 200]), (ApplyAs.GLOBAL_CREDIT, [185, 185, 200])):
        again = remainder_of([usage, beside, abroad, credit], {credit.pricing_id: apply_as})
        assert [each.net for each in again.charges] == nets


def test_what_a_maximum_cannot_take_off_is_a_negative_charge() -> None:
    """Of a bill, where what was compared may have been billed in advance."""
    (one, other) = (
        remainder_of_story(read_story(MAXIMUM.format(maximum=maximum, price="1", credit="0")))
        for maximum in ("1000", "60")
    )
    (maximum,) = [each for each in discounts_of(other) if each.kind is LineItemKind.MAXIMUM_SPEND]
    remainder = remainder_of([one.charges[1].item, maximum], {})
    assert [(each.item.kind, amount_text(each.net, "USD")) for each in remainder.charges] == [
        (LineItemKind.USAGE, "0.00"),
        (LineItemKind.MAXIMUM_SPEND, "-140.00"),
    ]
    assert [amount_text(share, "USD") for share in remainder.charges[0].discounts.values()] == ["100.00"]


@given(st.integers(min_value=0))
@settings(max_examples=60, deadline=None)
def test_what_is_left_sums_to_the_line_items(seed: int) -> None:
    """R13: and nothing is left that is below zero where the charge was not."""
    story = read_story(story_text(Random(seed)))
    rating, remainder = rate_story(story), remainder_of_story(story)
    assert sum((each.net for each in remainder.charges), ZERO) == sum((amount for _, amount in rating.totals), ZERO)
    assert all(each.net >= ZERO for each in remainder.charges if each.gross >= ZERO)
