"""Every case of a bill, by the core alone."""

import pytest

from ratel.core.billing import BillInRow
from tests.cases.prepayment import CASES
from tests.core.rating.billed import run, shown
from tests.story import read_story


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    story = read_story(CASES[name])
    row: list[BillInRow] = []
    for day in story.invoice_dates:
        row = run(story, row, day)
    assert [(kind, amount) for kind, amount, _ in shown(row[-1])] == story.line_items
