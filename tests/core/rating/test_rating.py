"""What line items say, in which order they come, and what bounds a rating."""

from dataclasses import replace

import pytest

from ratel.core.bill import LineItem, UsageWorkings
from ratel.core.compiled import compile_plan
from ratel.core.errors import Invalid
from ratel.core.money import amount_text, exact
from ratel.core.rating.credits import usage_credits
from ratel.core.rating.rate import PASSES, SERVICE_PASSES, add_passes, empty_draft
from ratel.core.rating.scope import survey
from tests.core.rating.rated import catalog_of, context_of, partials_of, rate_story
from tests.core.table import rows
from tests.story import read_story
from tests.told import Story

DESCRIPTIONS = """
    story                                                                    | description
    price a 0:1                                                              | A
    price a 0:1 description=Calls_to_us                                      | Calls to us
    price b 0:1 segment=eu,*                                                 | B (eu, x)
    price b 0:1 segment=eu,* pool                                            | B (eu, *)
    price b 0:1 segment=eu,* description=Europe                              | Europe
    price n 0:1                                                              | N
    template standing_charge=1                                               | Standing charge
    template standing_charge=1 standing_charge_description=Basic             | Basic
    template minimum_spend=100                                               | Plan minimum spend
    plan plan minimum_spend=100 minimum_spend_description=Floor              | Floor
    price c 0:1 minimum=100                                                  | C minimum spend
    price d 0:1 segment=eu,* minimum=100                                     | D (eu, *) minimum spend
"""
THINGS = """
    aggregation a SUM size
    aggregation b SUM size by=region,kind
    aggregation c SUM nothing
    aggregation d SUM nothing by=region,kind
    counter n
    {line}
    level n 2024-06-01 1
    use 2024-06-03 size=1 region=eu kind=x
    rate 2024-06-01 2024-07-01
"""


CREDIT = """
    aggregation a SUM a
    aggregation b SUM b
    aggregation c SUM c
    price a 0:1
    price b 0:1
    price c 0:1 as={apply_as}
    use 2024-06-03 a=40 b=10 c=60
    rate 2024-06-01 2024-07-01
"""


@pytest.mark.parametrize(("apply_as", "expected"), [("PRODUCT_CREDIT", "-10.00"), ("GLOBAL_CREDIT", "-50.00")])
def test_a_product_credit_is_capped_by_its_product_alone(apply_as: str, expected: str) -> None:
    """R6.4: the first line item is made one of another product."""
    credit = credit_beside_another_product(read_story(CREDIT.format(apply_as=apply_as)))
    assert isinstance(credit.workings, UsageWorkings)
    assert amount_text(credit.amount, "USD") == expected
    assert credit.workings.uncapped_amount == -60


@exact
def credit_beside_another_product(story: Story) -> LineItem:
    catalog = catalog_of(story)
    assert story.asked is not None
    scope = survey(context_of(story, {each: compile_plan(catalog, each) for each in catalog.plans}), story.asked)
    draft = empty_draft(scope, partials_of(story.meter, story.usages, scope.reads))
    add_passes(draft, SERVICE_PASSES)
    first = draft.line_items[0]
    draft.line_items[0] = replace(first, origin=replace(first.origin, product_id="other"))
    (credit,) = usage_credits(draft)
    return credit


@pytest.mark.parametrize(("line", "description"), rows(DESCRIPTIONS))
def test_description(line: str, description: str) -> None:
    """R3.6: given ones, else names with segments."""
    (item,) = rate_story(read_story(THINGS.format(line=line))).line_items
    assert item.description == description


def test_the_passes_are_the_order_of_computation() -> None:
    """R12.2: each looks at the line items before it, so their order is that of the answer."""
    text = """
        template standing_charge=1 minimum_spend=100
        aggregation a SUM size
        counter n
        price a 0:1 minimum=10
        price n 0:1
        aggregation z SUM size
        price z 0:1 as=GLOBAL_CREDIT
        level n 2024-06-01 1
        level n 2024-06-16 3
        use 2024-06-03 size=2
        rate 2024-06-01 2024-07-01
        -> USAGE 2.00
        -> COUNTER_RUNNING_TOTAL 1.00
        -> COUNTER_ADJUSTMENT_DEBIT 1.00 2x15/30
        -> STANDING_CHARGE 1.00
        -> MINIMUM_SPEND 8.00 the pricing's
        -> MINIMUM_SPEND 88.00 the plan's: 100-2-1-1-8
        -> USAGE_CREDIT -2.00
    """
    story = read_story(text)
    found = [(item.kind.value, amount_text(item.amount, "USD")) for item in rate_story(story).line_items]
    assert found == story.line_items
    names = [each.__name__ for each in PASSES]
    assert names == [
        "usage",
        "counters",
        "standing_charges",
        "pricing_spends",
        "plan_spends",
        "group_spends",
        "usage_credits",
        "promotions",
    ]


def test_a_total_may_be_negative() -> None:
    """R6.5: only the caps of credits stop at zero."""
    text = """
        aggregation a SUM size
        price a 0:-3
        aggregation z SUM size
        price z 0:1 as=PRODUCT_CREDIT
        use 2024-06-03 size=10
        rate 2024-06-01 2024-07-01
    """
    rating = rate_story(read_story(text))
    assert [str(item.amount) for item in rating.line_items] == ["-30.00", "0.00"]
    assert [(currency, str(total)) for currency, total in rating.totals] == [("USD", "-30.00")]


def test_the_work_of_one_rating_is_bounded() -> None:
    text = "template frequency=DAILY\naggregation a SUM size\naggregation b SUM size\nprice a 0:1\nprice b 0:1\n"
    with pytest.raises(Invalid) as caught:
        rate_story(read_story(f"{text}attach 2010-01-01\nrate 2014-01-01 2023-12-31"))
    (violation,) = caught.value.violations
    assert (violation.field, violation.reason) == ("end_time", "WINDOW_COUNT")
