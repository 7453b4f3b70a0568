"""Every case through the public API of a whole server on a real Postgres; those about bands alone as quotes."""

import grpc
import pytest

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.client import error_from
from ratel.rating.v1.account_rating_pb2 import AccountRating
from ratel.rating.v1.line_item_pb2 import LineItemKind
from ratel.rating.v1.rating_service_pb2 import QuoteRequest
from ratel.server.convert.band import band_to_proto
from tests.cases.every import CASES
from tests.cases.prepayment import CASES as PREPAYMENT_CASES
from tests.conftest import Served
from tests.core.table import rows
from tests.server.billing import get, preview, ran, shown
from tests.story import read_story
from tests.telling import Teller
from tests.told import ACCOUNT, Story
from tests.words import bands_from_text

QUOTES = """
    bands                           | shape    | units  | amount | case
    0:0.15 500:0.10                 | tiered   | 700    | 95.00  | 1 (R1.2): 500x.15 + 200x.10
    0:0.15 500:0.10                 | tiered   | 500    | 75.00  | 2 (R1.1): the edge belongs below
    0:0.15 500:0.10                 | tiered   | 501    | 75.10  | 3 (R1.1): 75 + 1x.10
    0:0.15 500:0.10                 | volume   | 500    | 75.00  | 4 (R1.2): the first band
    0:0.15 500:0.10                 | volume   | 501    | 50.10  | 5 (R1.2): 501x.10
    0:12+0 4:25+0 6:50+0            | volume   | 4.0    | 12.00  | 6 (R1.1): up to 4
    0:12+0 4:25+0 6:50+0            | volume   | 4.0001 | 25.00  | 7 (R1.1): above 4
    0:12+0 4:25+0 6:50+0            | volume   | 6      | 25.00  | 8
    0:12+0 4:25+0 6:50+0            | volume   | 6.1    | 50.00  | 8
    0:12+0 4:25+0 6:50+0            | volume   | 0      | 0.00   | 9 (R1.4)
    0:12+0 4:25+0 6:50+0            | volume 0 | 0      | 12.00  | 9 (R1.4): zero is charged
    0:10+1 100:20+0.8 500:30+0.5    | tiered   | 100    | 110.00 | 10 (R1.2): 10+100
    0:10+1 100:20+0.8 500:30+0.5    | tiered   | 101    | 130.80 | 10 (R1.2): 110 + 20+.8
    0:10+1 100:20+0.8 500:30+0.5    | tiered   | 600    | 530.00 | 10 (R1.2): 110 + (20+320) + (30+50)
    0:10+1 100:20+0.8 500:30+0.5    | volume   | 101    | 100.80 | 11 (R1.2): 20+80.8
    0:10+1 100:20+0.8 500:30+0.5    | volume   | 600    | 330.00 | 11 (R1.2): 30+300
    0:0 100:0.05                    | tiered   | 250    | 7.50   | 13: 150x.05
    0:-0.02                         | tiered   | 1000   | -20.00 | 17 (R1.5)
    0:0 500:5/1000                  | tiered   | 2600   | 15.00  | 18 (R1.3): ceil(2100/1000) = 3
    0:25+0 100:20+0 1000:15+0       | tiered   | 200    | 45.00  | 19: 25+20
    0:25+0 100:20+0 1000:15+0       | tiered   | 100    | 25.00  | 19
    0:25+0 100:20+0 1000:15+0       | tiered   | 1000   | 45.00  | 19
    0:25+0 100:20+0 1000:15+0       | tiered   | 1001   | 60.00  | 19: 25+20+15
    0:1 100:0.5                     | volume   | 99.5   | 99.50  | 20: no hole between bands
    0:1 100:0.5                     | volume   | 100.5  | 50.25  | 20
"""


@pytest.mark.parametrize(("bands", "shape", "units", "amount", "case"), rows(QUOTES))
async def test_quote(server: Served, bands: str, shape: str, units: str, amount: str, case: str) -> None:
    request = QuoteRequest(
        quantity=units,
        cumulative="tiered" in shape,
        bands=map(band_to_proto, bands_from_text(bands.split())),
        charge_zero="0" in shape,
        currency="USD",
    )
    response = await server.rating.Quote(request)
    assert response.amount == amount


@pytest.mark.parametrize("name", CASES)
async def test_case(server: Served, name: str) -> None:
    story = read_story(CASES[name])
    prefix = f"s{list(CASES).index(name)}_"
    teller = Teller(server, story, prefix)
    await teller.tell()
    rating = await teller.rate()
    found = [(LineItemKind.Name(item.kind).removeprefix("LINE_ITEM_KIND_"), item.amount) for item in rating.line_items]
    assert found == story.line_items
    unpriced = [(each.aggregation_id or each.compound_aggregation_id, each.quantity) for each in rating.unpriced_usages]
    assert unpriced == [(prefix + thing_id, quantity) for thing_id, quantity in story.unpriced]
    unattached = [(each.meter_id, str(each.event_count)) for each in rating.unattached_usages]
    assert unattached == [(prefix + meter_id, count) for meter_id, count in story.unattached]
    check_totals(rating, story)
    again = await teller.rate()  # by now the account is known, and what is plain is rated another way (R13)
    for each in (rating, again):
        each.ClearField("aggregation_ids_from_events")  # a backfill may have ended meanwhile
    assert again == rating


@pytest.mark.parametrize("name", PREPAYMENT_CASES)
async def test_billed_case(server: Served, name: str) -> None:
    story = read_story(PREPAYMENT_CASES[name])
    prefix = f"b{list(PREPAYMENT_CASES).index(name)}_"
    teller = Teller(server, story, prefix)
    await teller.tell()
    *earlier, last = story.invoice_dates
    for day in earlier:
        await ran(server, teller.account_id, day)
    bill = await preview(server, teller.account_id, last)
    assert [(kind, amount) for kind, amount, _ in shown(bill)] == story.line_items
    await ran(server, teller.account_id, last)
    assert (await get(server, teller.account_id, last)).line_items == bill.line_items  # R13


def check_totals(rating: AccountRating, story: Story) -> None:
    """Line items sum to the total (R13), in cents as in printed digits."""
    totals = {each.currency: each.amount for each in rating.totals}
    assert totals.keys() == ({story.account.currency or story.template.currency} if story.line_items else set())
    for total in totals.values():
        assert cents(total) == sum(cents(amount) for _, amount in story.line_items)


def cents(amount: str) -> int:
    return int(amount.replace(".", ""))


# --- What is refused --------------------------------------------------------------------------------------------------

OVERLAP = """
    aggregation calls SUM calls
    price calls 0:1 id=first from=2024-06-01 to=2024-07-01
    price calls 0:1 id=second from={start}
    counter seats
    level seats 2024-06-01 15
    level seats 2024-06-01 {level}
"""


async def test_pricings_do_not_overlap_but_touch(server: Served) -> None:
    """Cases 24 and 25 (R3.2)."""
    overlapping = Teller(server, read_story(OVERLAP.format(start="2024-06-10", level="18")), "overlapping_")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await overlapping.tell_catalog()
    error = error_from(caught.value)
    assert (error.reason, error.metadata["pricing_id"]) == ("PRICING_OVERLAP", "overlapping_first")
    await Teller(server, read_story(OVERLAP.format(start="2024-07-01", level="18")), "touching_").tell_catalog()


async def test_one_adjustment_a_day(server: Served) -> None:
    """Case 51 (R8.1)."""
    teller = Teller(server, read_story(OVERLAP.format(start="2024-07-01", level="18")), "adjusted_")
    await teller.tell_catalog()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await teller.tell_account()
    assert error_from(caught.value).reason == "ADJUSTMENT_EXISTS"
    request = accounts.ListCounterAdjustmentsRequest(account_id=f"adjusted_{ACCOUNT.id}")
    (kept,) = (await server.accounts.ListCounterAdjustments(request)).counter_adjustments
    assert kept.level == "15"
