"""The core against a second, naive implementation, on accounts made by chance."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ratel.core.bill import AccountRating
from ratel.core.pricing import PricedKind
from tests.core.rating.chance import story_text
from tests.core.rating.rated import rate_story
from tests.naive_rating import naive_items, naive_unpriced
from tests.story import read_story


def rows(rating: AccountRating) -> list[tuple[object, ...]]:
    return sorted(
        (
            item.kind.value,
            item.pricing_id,
            tuple(value for _, value in item.segment),
            item.service.start,
            int(item.amount * 100),
        )
        for item in rating.line_items
    )


@given(st.integers(min_value=0))
@settings(max_examples=50, deadline=None)
def test_both_implementations_agree(seed: int) -> None:
    text = story_text(Random(seed))
    story = read_story(text)
    assert story.asked is not None
    rating = rate_story(story)
    expected = sorted(
        (item.kind, item.pricing_id, item.values, item.start, item.cents) for item in naive_items(story, story.asked)
    )
    assert rows(rating) == expected, text
    unpriced = {
        (each.priced.id, tuple(value for _, value in each.segment))
        for each in rating.unpriced_usages
        if each.priced.kind is PricedKind.AGGREGATION
    }
    assert unpriced == naive_unpriced(story, story.asked).keys(), text
