"""Laws that hold for every account (R13), on accounts made by chance."""

import operator
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core.account_rating import AccountRating
from ratel.core.band import Band, Bands
from ratel.core.bill import (
    CounterWorkings,
    LineItem,
    LineItemKind,
    SpendWorkings,
    StandingChargeWorkings,
    UsageWorkings,
)
from ratel.core.compiled import compile_plan
from ratel.core.event import Partial
from ratel.core.integral import Partials
from ratel.core.money import ZERO, divide, exact, round_amount
from ratel.core.period import Period
from ratel.core.pricing import ApplyAs, Pricing, SpendLimits
from ratel.core.rating.rate import rate
from ratel.core.rating.scope import survey
from tests.core.rating.chance import story_text
from tests.core.rating.rated import catalog_of, context_of, own_items, partials_of, rate_story
from tests.story import read_story
from tests.told import Story

SEEDS = st.integers(min_value=0)
LAW = settings(max_examples=25, deadline=None)


def story_of(seed: int) -> Story:
    return read_story(story_text(Random(seed)))


def asked_of(story: Story) -> tuple[datetime, datetime]:
    assert story.asked is not None
    assert story.asked.end is not None
    return story.asked.start, story.asked.end


@given(SEEDS)
@LAW
def test_rating_twice_is_equal(seed: int) -> None:
    story = story_of(seed)
    assert rate_story(story) == rate_story(story)


@given(SEEDS)
@LAW
def test_neither_order_nor_repetition_of_events_matters(seed: int) -> None:
    story = story_of(seed)
    expected = rate_story(story)
    Random(seed).shuffle(story.usages)
    story.usages += story.usages[::2]
    assert rate_story(story) == expected


@given(SEEDS)
@LAW
def test_the_batching_of_events_does_not_matter(seed: int) -> None:
    """Partials of any batches merge into the partial of all."""
    story = story_of(seed)
    catalog = catalog_of(story)
    plans = {plan_id: compile_plan(catalog, plan_id) for plan_id in catalog.plans}
    context = context_of(story, plans)
    scope = survey(context, Period(*asked_of(story)))
    whole = partials_of(story.meter, story.usages, scope.reads)
    batches = [partials_of(story.meter, story.usages[first::3], scope.reads) for first in (2, 0, 1)]
    assert rate(scope, merged(batches)) == rate(scope, whole)


@exact
def merged(batches: list[Partials]) -> Partials:
    together: dict[object, dict[tuple[str, ...], Partial]] = defaultdict(dict)
    for batch in batches:
        for read, segments in batch.items():
            for values, partial in segments.items():
                together[read].setdefault(values, Partial()).merge(partial)
    return together  # type: ignore[return-value]  # the keys are the batches' own


@given(SEEDS)
@LAW
def test_a_cut_where_the_pricing_stays_changes_nothing(seed: int) -> None:
    """A pricing that begins elsewhere, of another thing or segment, cuts what is read, not what is charged."""
    story = story_of(seed)
    expected = rate_story(story).line_items
    start, end = asked_of(story)
    beside = {(each.owner, each.priced): each for each in story.pricings if each.segment}
    story.pricings += [bystander(pricing, start + (end - start) / 3) for pricing in beside.values()]
    assert tuple(item for item in rate_story(story).line_items if item.pricing_id != "bystander") == expected


def bystander(pricing: Pricing, instant: datetime) -> Pricing:
    """Return a pricing of the same thing, for nothing, for a segment that no usage has, from an instant on."""
    return replace(
        pricing,
        id="bystander",
        segment=("nobody",) * len(pricing.segment),
        pool=False,
        period=Period(instant),
        bands=Bands(cumulative=True, bands=(Band(ZERO, ZERO),)),
        spend=SpendLimits(),
        apply_as=ApplyAs.DEBIT,
    )


@given(SEEDS)
@LAW
def test_line_items_sum_to_the_total(seed: int) -> None:
    rating = rate_story(story_of(seed))
    total = sum((item.amount for item in rating.line_items), ZERO)
    assert sum((amount for _, amount in rating.totals), ZERO) == total


@given(SEEDS)
@LAW
def test_an_amount_is_converted_by_its_rate(seed: int) -> None:
    """R11.2: all line items are in the account's currency, each rounded once more."""
    story = story_of(seed)
    for item in rate_story(story).line_items:
        assert item.currency == (story.account.currency or story.template.currency)
        if item.conversion and item.kind is not LineItemKind.USAGE_CREDIT:
            assert item.exact_amount == exact(operator.mul)(item.conversion.amount, item.conversion.rate)
            assert item.amount == round_amount(item.exact_amount, item.currency)


@given(SEEDS, st.integers(1, 9))
@LAW
def test_parts_of_a_period_sum_to_the_whole_for_usage(seed: int, tenths: int) -> None:
    """R12.1: wherever the period asked is cut, even inside a window or a day; before anything is converted."""
    story = story_of(seed)
    start, end = asked_of(story)
    middle = start + (end - start) * tenths / 10
    whole = usage_of(rate_story(story, Period(start, end)))
    parts = usage_of(rate_story(story, Period(start, middle)), rate_story(story, Period(middle, end)))
    assert parts == whole


def usage_of(*ratings: AccountRating) -> dict[object, Decimal]:
    """Sum usage by window and segment; credits, which are capped, are left out, and so are sums of nothing."""
    sums: dict[object, Decimal] = defaultdict(Decimal)
    for item in (item for rating in ratings for item in own_items(rating) if item.kind is LineItemKind.USAGE):
        assert isinstance(item.workings, UsageWorkings)
        sums[item.origin, item.pricing_id, item.segment, item.workings.window] += item.amount
    return {key: amount for key, amount in sums.items() if amount}


@given(SEEDS)
@LAW
def test_what_is_prorated_loses_no_day(seed: int) -> None:
    """The days of the parts of a bill period add up to it, wherever the period asked is cut."""
    story = story_of(seed)
    start, end = asked_of(story)
    middle = start + timedelta(seconds=(end - start).total_seconds() // 2)
    whole = days_of(rate_story(story, Period(start, end)))
    parts = days_of(rate_story(story, Period(start, middle)), rate_story(story, Period(middle, end)))
    assert parts == whole


def days_of(*ratings: AccountRating) -> int:
    standing = (
        item.workings for rating in ratings for item in rating.line_items if item.kind is LineItemKind.STANDING_CHARGE
    )
    return sum(workings.days for workings in standing if isinstance(workings, StandingChargeWorkings))


@given(SEEDS)
@LAW
def test_a_minimum_nets_the_greater_of_minimum_and_charge(seed: int) -> None:
    for item in own_items(rate_story(story_of(seed))):
        if isinstance(item.workings, SpendWorkings):
            net = item.workings.spend + item.amount
            assert net == item.workings.prorated_limit
            assert (item.amount > 0) is (item.kind is LineItemKind.MINIMUM_SPEND)


@given(SEEDS)
@LAW
def test_usage_can_be_reckoned_again_from_the_line_item_alone(seed: int) -> None:
    """R1.7, R12.6: bands sum to each end, units of the bands to the units, the ends to the amount."""
    for item in own_items(rate_story(story_of(seed))):
        if item.kind is LineItemKind.USAGE:
            assert isinstance(item.workings, UsageWorkings)
            check_workings(item, item.workings)


@given(SEEDS)
@LAW
def test_counters_can_be_reckoned_again_from_the_line_item_alone(seed: int) -> None:
    """R8.3, R12.6."""
    for item in own_items(rate_story(story_of(seed))):
        if isinstance(item.workings, CounterWorkings):
            check_counter(item, item.workings)


@exact
def check_counter(item: LineItem, workings: CounterWorkings) -> None:
    before = sum((band.amount for band in workings.previous_band_usages), ZERO)
    period_amount = sum((band.amount for band in workings.band_usages), ZERO) - before
    assert workings.period_amount == period_amount
    charged = divide(period_amount * workings.days, Decimal(workings.period_days))
    if item.kind is not LineItemKind.USAGE_CREDIT:
        assert item.amount == round_amount(charged, item.currency)


@exact
def check_workings(item: LineItem, workings: UsageWorkings) -> None:
    ends = [priced for priced in (workings.through, workings.before) if priced]
    for priced in ends:
        assert sum((band.amount for band in priced.band_usages), ZERO) == priced.amount
        assert sum((band.units for band in priced.band_usages), ZERO) == priced.units
    through, *before = (round_amount(priced.amount, item.currency) for priced in ends)
    assert item.amount == through - sum(before, ZERO)
    units = workings.through.units - (workings.before.units if workings.before else ZERO)
    assert workings.average_unit_price == (divide(item.exact_amount, units) if units else None)
