"""Every case, by the core alone."""

import pytest

from ratel.core.money import amount_text, text_from_decimal
from tests.cases.every import CASES
from tests.core.rating.rated import rate_story
from tests.story import read_story


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    story = read_story(CASES[name])
    rating = rate_story(story)
    found = [(item.kind.value, amount_text(item.amount, item.currency)) for item in rating.line_items]
    assert found == story.line_items
    unpriced = [(each.priced.id, text_from_decimal(each.quantity)) for each in rating.unpriced_usages]
    assert unpriced == story.unpriced
    assert [(each.meter_id, str(each.event_count)) for each in rating.unattached_usages] == story.unattached
