"""What an account pays with promotions, over the wire: line items with their workings, and bills (R9)."""

from typing import Any

from ratel.account.v1 import account_service_pb2 as pb
from ratel.catalog.v1.promotion_pb2 import GraduatedDiscount, SpendBand
from ratel.rating.v1.line_item_pb2 import LineItem, LineItemKind, PromotionWorkings
from ratel.rating.v1.rating_service_pb2 import RateAccountRequest
from tests.conftest import Served
from tests.server import example
from tests.server.billing import get, preview, ran, shown, told, use
from tests.server.example import create, create_example, event, submit, time


async def subscribe(server: Served, account_id: str, promotion: str, **changed: Any) -> None:
    """Attach an account of the test's own, and grant it a promotion."""
    await server.accounts.CreateAccount(pb.CreateAccountRequest(account=example.account(id=account_id)))
    attached = example.attachment(id=account_id, account_id=account_id, **changed)
    await server.accounts.CreateAttachment(pb.CreateAttachmentRequest(attachment=attached))
    granted = example.grant(id=promotion, account_id=account_id, promotion_id=promotion)
    await server.accounts.CreateGrant(pb.CreateGrantRequest(grant=granted))


async def rate(server: Served, account_id: str, start: str) -> list[LineItem]:
    """Rate a month."""
    end = time("2024-07-01") if start == "2024-06-01" else time("2024-08-01")
    request = RateAccountRequest(account_id=account_id, start_time=time(start), end_time=end)
    return list((await server.rating.RateAccount(request)).account_rating.line_items)


def graduated(*bands: tuple[str, str]) -> GraduatedDiscount:
    return GraduatedDiscount(bands=(SpendBand(lower_limit=limit, percentage=each) for limit, each in bands))


async def test_line_items_of_promotions_show_what_they_acted_on_and_how(server: Served) -> None:
    """R12.6: and what June was given counts in July."""
    await create_example(server)
    await create(server, "Pricing", example.pricing(bands=[example.band("0", "100")]))
    upward = example.promotion(graduated=graduated(("0", "10"), ("100", "20")), max_total="25")
    await create(server, "Promotion", upward)
    await subscribe(server, "apex", "tenth", trial_end_time=time("2024-06-16"))
    for day in ("06-10", "06-20", "07-10"):
        await submit(server, event(account_id="apex", event_time=time(f"2024-{day}")))
    usage, trial, june = await rate(server, "apex", "2024-06-01")
    assert (usage.amount, trial.amount, june.amount) == ("300.00", "-150.00", "-20.00")
    assert (trial.description, trial.promotion_id, trial.grant_id) == ("Trial", "", "")
    assert trial.promotion == PromotionWorkings(spend="150.00", earlier_spend="0.00", earlier_amount="0.00")
    assert (trial.service_start_time, trial.service_end_time) == (time("2024-06-01"), time("2024-06-16"))
    usage, july = await rate(server, "apex", "2024-07-01")
    assert (july.kind, july.amount, july.exact_amount) == (LineItemKind.LINE_ITEM_KIND_PROMOTION, "-5.00", "-20")
    assert (july.description, july.promotion_id, july.grant_id) == ("A tenth", "tenth", "tenth")
    assert (july.plan_id, july.attachment_id, july.pricing_id) == ("gold", "apex", "")
    assert july.promotion == PromotionWorkings(
        spend="150.00",
        earlier_spend="0.00",
        earlier_amount="0.00",
        graduated=graduated(("0.00", "10"), ("100.00", "20")),
        left="5.00",
    )


async def test_a_line_item_of_a_promotion_of_a_pricing_names_it(server: Served) -> None:
    await create_example(server)
    await create(server, "Aggregation", example.aggregation(id="gb_by", segment_fields=["region"]))
    await create(server, "Pricing", example.pricing(id="by", aggregation_id="gb_by", segment={"region": "*"}))
    half = example.promotion(id="half", pricing_id="by", segment={"region": "eu"}, percentage="50")
    await create(server, "Promotion", half)
    await subscribe(server, "borg", "half")
    for region in ("eu", "us"):
        await submit(server, event(account_id="borg", values={"gb": "10", "region": region}))
    *_, item = await rate(server, "borg", "2024-07-01")
    named = item.amount, item.pricing_id, item.aggregation_id, dict(item.segment)
    assert named == ("-2.50", "by", "gb_by", {"region": "eu"})
    assert item.promotion.percentage == "50"


CASE_88 = """
    aggregation calls SUM n
    price calls 0:1 id=price
    promotion half 50% total=80
    grant half 2024-06-01
    attach 2024-06-01
    use 2024-06-03 n=100
    use 2024-07-03 n=140
"""


async def test_bills_carry_promotions_and_put_them_right(server: Served) -> None:
    """Case 88 (R9.1); then June's usage that came late takes more of the 80, so July gets less."""
    async with told(server, "promoted_", CASE_88) as teller:
        await ran(server, "promoted_account", "2024-07-01")
        june = await get(server, "promoted_account", "2024-07-01")
        july = await preview(server, "promoted_account", "2024-08-01")
        assert shown(june) == [("USAGE", "100.00", False), ("PROMOTION", "-50.00", False)]
        assert shown(july) == [("USAGE", "140.00", False), ("PROMOTION", "-30.00", False)]
        await use(teller, "use 2024-06-20 n=20 id=late")
        await ran(server, "promoted_account", "2024-08-01")
        july = await get(server, "promoted_account", "2024-08-01")
        assert sorted(shown(july)) == [
            ("PROMOTION", "-10.00", True),
            ("PROMOTION", "-20.00", False),
            ("USAGE", "140.00", False),
            ("USAGE", "20.00", True),
        ]
        assert {each.grant_id for each in july.line_items} == {"", "promoted_grant-0"}
