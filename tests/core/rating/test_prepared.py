"""What is prepared rates as `rate` does: the same line items, in the same order, to the last digit."""

import re
from dataclasses import replace
from random import Random

import pytest

from ratel.core.account_rating import AccountRating
from ratel.core.compiled import compile_plan
from ratel.core.event import Partial
from ratel.core.rating.prepared import PreparedScope, prepare
from ratel.core.rating.rate import rate
from ratel.core.rating.scope import RatingContext, Scope, survey
from tests.core.rating.chance import story_text
from tests.core.rating.rated import catalog_of, partials_of
from tests.story import read_story
from tests.told import Story

PLAIN = """
    aggregation calls SUM size
    aggregation by_region COUNT size by=region
    counter n
    template standing_charge=20
    price calls 0:1 10:0.5
    price by_region 0:2 segment=*
    price by_region 0:3 segment=eu
    price n 0:7
    level n 2024-01-03 4
    attach 2024-01-01
    use 2024-01-04 size=4 region=eu
    use 2024-01-05 size=9.5 region=us
    use 2024-01-06 size=1
    rate 2024-01-01 2024-02-01
"""


NOT_PLAIN = (["compound", "c"], ["price", "c"], ["account", "currency=GBP"], ["group", "both"])


def scope_of(story: Story) -> Scope:
    catalog = catalog_of(story)
    plans = {plan_id: compile_plan(catalog, plan_id) for plan_id in catalog.plans}
    adjustments = tuple(each.adjustment for each in story.adjustments)
    context = RatingContext(story.account, tuple(story.attachments), adjustments, plans, (story.meter,))
    context = replace(context, settings=story.settings)
    assert story.asked is not None
    return survey(context, story.asked)


def check_equal(story: Story, prepared: PreparedScope) -> bool:
    """Compare, and tell whether the prepared scope rates the story by itself."""
    scope = prepared.scope
    partials = partials_of(story.meter, story.usages, scope.reads)
    plain = rate(scope, partials)
    lines = prepared.lines([partials[read] for read in scope.reads])
    if lines is None:
        assert plain.unpriced_usages or plain.unattached_usages
        return False
    filled = tuple(line.template.fill(line.priced, line.amount) for line in lines)
    assert [*map(repr, filled), *map(repr, prepared.rest.line_items)] == [*map(repr, plain.line_items)]
    assert (plain.unpriced_usages, plain.unattached_usages) == ((), ())
    return True


def plainer(text: str) -> str:
    """Leave out what is never plain, so that chance finds more of what is."""
    text = text.replace("WEIGHTED_SUM", "SUM")
    text = re.sub(r" (minimum|maximum|minimum_spend|maximum_spend|as)=\S+", "", text)
    lines = [line for line in text.splitlines() if line.split()[:2] not in NOT_PLAIN]
    return re.sub(r"(?m)^rate .*$", "rate 2023-12-01 2024-07-01", "\n".join(lines))


def test_chance_finds_no_difference() -> None:
    prepared_count = rated_count = 0
    for seed in range(900):
        text = story_text(Random(seed))
        story = read_story(plainer(text) if seed % 3 else text)
        prepared = prepare(scope_of(story))
        if prepared is not None:
            prepared_count += 1
            rated_count += check_equal(story, prepared)
    assert prepared_count > 300
    assert rated_count > 50


def test_a_plain_month_is_prepared_once_for_any_usage() -> None:
    story = read_story(PLAIN)
    prepared = prepare(scope_of(story))
    assert prepared is not None
    for keep in range(len(story.usages) + 1):
        usages = story.usages[:keep]
        story_now = read_story(PLAIN)
        story_now.usages[:] = usages
        assert check_equal(story_now, prepared)


def test_combinations_without_end_are_forgotten() -> None:
    prepared = prepare(scope_of(read_story(PLAIN)))
    assert prepared is not None
    some: dict[tuple[str, ...], Partial] = {(f"region-{number}",): Partial(1, 1) for number in range(300)}
    kept: list[dict[tuple[str, ...], Partial]] = [
        some if read.rollup.dimensions else {} for read in prepared.scope.reads
    ]
    lines = prepared.lines(kept)
    assert lines is not None
    assert [line.template.item.segment[0][1] for line in lines] == sorted(values[0] for values in some)


@pytest.mark.parametrize(
    "more",
    [
        "template minimum_spend=5",
        "price calls 0:1 minimum=5 from=2024-01-01 id=x",
        "price calls 0:1 as=GLOBAL_CREDIT id=x",
        "rate 2024-01-02 2024-02-01",
        "settings rates=USD:GBP:0.8\naccount currency=GBP",
        "compound c = calls - by_region\nprice c 0:1",
    ],
)
def test_what_is_not_plain_is_left_alone(more: str) -> None:
    word = " ".join(more.split()[:2])
    lines = [line for line in PLAIN.splitlines() if line.split()[:1] != ["rate"] or not more.startswith("rate")]
    kept = [line for line in lines if " ".join(line.split()[:2]) != word or more.startswith("compound")]
    assert prepare(scope_of(read_story("\n".join([*kept, *more.splitlines()])))) is None


def test_an_account_in_the_currency_of_its_plans_is_plain() -> None:
    story = read_story(f"{PLAIN}\naccount currency=USD")
    prepared = prepare(scope_of(story))
    assert prepared is not None
    assert check_equal(story, prepared)


def test_an_empty_rating_is_no_line() -> None:
    story = read_story(PLAIN)
    story.usages.clear()
    prepared = prepare(scope_of(story))
    assert prepared is not None
    assert isinstance(prepared.rest, AccountRating)
    assert prepared.lines([{} for _ in prepared.scope.reads]) == []
