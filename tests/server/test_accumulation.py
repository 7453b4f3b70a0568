"""Usage that accumulates, over the wire: what is owned, used and left, and what bills make of it (R5)."""

import pytest

from ratel.rating.v1.line_item_pb2 import Accumulation
from tests.cases.accumulation import CASES
from tests.conftest import Served
from tests.server.billing import get, ran
from tests.server.example import time
from tests.story import Story, read_story
from tests.telling import Teller

TOP_UP = CASES["case 29 (R5.4): a top-up, half a year"]


@pytest.fixture(scope="module")
def story() -> Story:
    return read_story(TOP_UP)


@pytest.fixture(scope="module")
async def teller(server: Served, story: Story) -> Teller:
    found = Teller(server, story, "top_up_")
    await found.tell()
    return found


async def test_a_top_up_shows_units_owned_used_and_left(teller: Teller) -> None:
    """Case 29 (R5.4)."""
    shown = [item.usage.accumulation for item in (await teller.rate()).line_items]
    assert [each.units_owned for each in shown] == ["4000", "6000", "8000", "8000", "10000", "16000"]
    assert [each.units_used for each in shown] == ["2800", "5300", "6300", "6300", "9700", "14700"]
    assert [each.units_left for each in shown] == ["1200", "700", "1700", "1700", "300", "1300"]
    assert {each.start_time.ToJsonString() for each in shown} == {"2024-07-01T00:00:00Z"}


async def test_what_is_left_can_be_asked_for_at_any_instant(teller: Teller) -> None:
    """R5.4: a rating that ends there."""

    async def left(day: str) -> Accumulation:
        rating = await teller.rate_period(time("2024-08-01"), time(day))
        return rating.line_items[-1].usage.accumulation

    assert (await left("2024-08-03")).units_left == "1200"
    assert (await left("2024-08-04")).units_left == "700"


async def test_without_blocks_nothing_is_owned(server: Served) -> None:
    teller = Teller(server, read_story(CASES["case 26 (R5.1): the third month alone"]), "plain_")
    await teller.tell()
    (item,) = (await teller.rate()).line_items
    assert (item.usage.accumulation.units_used, item.usage.accumulation.units_owned) == ("1100", "")
    assert (item.usage.before.units, item.usage.through.units) == ("500", "1100")


async def test_bills_of_a_top_up_charge_what_is_new(server: Served, teller: Teller, story: Story) -> None:
    """Case 29, billed month by month (R12.3)."""
    amounts = []
    for day in ("2024-08-01", "2024-09-01", "2024-10-01", "2024-11-01", "2024-12-01", "2025-01-01"):
        assert (await ran(server, teller.account_id, day)).changed
        amounts += [item.amount for item in (await get(server, teller.account_id, day)).line_items]
    assert amounts == [amount for _, amount in story.line_items]
