"""Accounts that are known from an earlier call: rated as if they were not, whatever has changed since."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.request import urlopen

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.account.v1.account_pb2 import Account
from ratel.account.v1.attachment_pb2 import Attachment
from ratel.account.v1.counter_adjustment_pb2 import CounterAdjustment
from ratel.account.v1.grant_pb2 import Grant
from ratel.catalog.v1.catalog_service_pb2 import CreatePromotionRequest, UpdatePricingRequest, UpdateSettingsRequest
from ratel.catalog.v1.promotion_pb2 import Promotion
from ratel.catalog.v1.settings_pb2 import CurrencyRate, Settings
from ratel.rating.v1.account_rating_pb2 import AccountRating
from ratel.rating.v1.rating_service_pb2 import RateAccountRequest, RateAccountsRequest
from ratel.server.convert.account import adjustment_to_proto
from ratel.server.convert.pricing import pricing_to_proto
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from ratel.usage.v1.usage_service_pb2 import StreamUsageRequest, SubmitUsageRequest
from tests.conftest import Served, acknowledgements
from tests.server.example import time
from tests.story import read_story
from tests.telling import Teller
from tests.told import METER, PLAN

STORY = """
    template standing_charge=20
    aggregation calls SUM calls
    aggregation by_region COUNT calls by=region
    counter seats
    price calls 0:1 100:0.5 id=calls
    price by_region 0:2 segment=*
    price seats 0:3
    attach 2024-01-01 id=x
    use 2024-06-03T12:30 calls=10 region=eu
    use 2024-06-20 calls=5 region=us
    rate 2024-06-01 2024-07-01
"""
JUNE = {"start_time": time("2024-06-01T00:00:00Z"), "end_time": time("2024-07-01T00:00:00Z")}


async def told(server: Served, prefix: str) -> str:
    """Tell the story and return the account's id."""
    await Teller(server, read_story(STORY), prefix).tell()
    return f"{prefix}account"


async def rate(server: Served, account_id: str) -> AccountRating:
    return (await server.rating.RateAccount(RateAccountRequest(account_id=account_id, **JUNE))).account_rating


async def rate_plainly(server: Served, account_id: str) -> AccountRating:
    """Rate by the call that keeps nothing from before."""
    request = RateAccountsRequest(account_ids=[account_id], **JUNE)
    (response,) = [each async for each in server.rating.RateAccounts(request)]
    return response.account_rating


def read_count(server: Served) -> float:
    """Return how many accounts were read as known."""
    with urlopen(f"http://{server.running.metrics_target}/metrics") as page:
        lines = page.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("ratel_read_accounts_sum"))


async def use_elsewhere(server: Served, prefix: str) -> None:
    """Let the account have usage that its rating does not count: no answer is given again as it was."""
    event = UsageEvent(account_id=f"{prefix}account", meter_id=prefix + METER, event_id="elsewhere")
    event.event_time.CopyFrom(time("2024-02-05T00:00:00Z"))
    await server.usage.SubmitUsage(SubmitUsageRequest(events=[event]))


async def send(server: Served, account_id: str, meter_id: str, first: int, count: int, **values: str) -> None:
    async def requests() -> AsyncIterator[StreamUsageRequest]:
        events = [
            UsageEvent(
                account_id=account_id,
                meter_id=meter_id,
                event_id=f"more-{number}",
                event_time=time("2024-06-05T00:00:00Z"),
                values=values,
            )
            for number in range(first, first + count)
        ]
        yield StreamUsageRequest(events=events)

    async for each in acknowledgements(server.usage.StreamUsage(requests())):
        assert each.accepted_count == count


async def use(server: Served, prefix: str) -> None:
    await send(server, f"{prefix}account", prefix + METER, 0, 3, calls="7", region="ap")


async def end(server: Served, prefix: str) -> None:
    attachment = Attachment(id=f"{prefix}x", end_time=time("2024-06-10T00:00:00Z"))
    mask = FieldMask(paths=["end_time"])
    await server.accounts.UpdateAttachment(accounts.UpdateAttachmentRequest(attachment=attachment, update_mask=mask))


async def adjust(server: Served, prefix: str) -> None:
    story = read_story(f"level seats 2024-06-11 4\n{STORY}")
    message = adjustment_to_proto(replace(story.adjustments[0], account_id=f"{prefix}account"))
    message.counter_id = prefix + message.counter_id
    await server.accounts.CreateCounterAdjustment(accounts.CreateCounterAdjustmentRequest(counter_adjustment=message))


async def reprice(server: Served, prefix: str) -> None:
    pricing = pricing_to_proto(read_story(STORY).pricings[0])
    for field in ("id", "plan_id", "plan_template_id", "aggregation_id"):
        if getattr(pricing, field):
            setattr(pricing, field, prefix + getattr(pricing, field))
    pricing.bands[0].unit_price = "9"
    await server.catalog.UpdatePricing(UpdatePricingRequest(pricing=pricing))


async def promote(server: Served, prefix: str) -> None:
    promotion = Promotion(id=f"{prefix}half", name="Half", plan_id=f"{prefix}{PLAN}", percentage="50")
    await server.catalog.CreatePromotion(CreatePromotionRequest(promotion=promotion))
    grant = Grant(id=f"{prefix}g", account_id=f"{prefix}account", promotion_id=promotion.id)
    grant.start_time.CopyFrom(time("2024-06-01T00:00:00Z"))
    await server.accounts.CreateGrant(accounts.CreateGrantRequest(grant=grant))


async def convert(server: Served, prefix: str) -> None:
    rates = [CurrencyRate(from_currency="USD", to_currency="GBP", rate="0.8")]
    mask = FieldMask(paths=["currency_rates"])
    await server.catalog.UpdateSettings(
        UpdateSettingsRequest(settings=Settings(currency_rates=rates), update_mask=mask)
    )
    account = Account(id=f"{prefix}account", currency="GBP")
    mask = FieldMask(paths=["currency"])
    await server.accounts.UpdateAccount(accounts.UpdateAccountRequest(account=account, update_mask=mask))


async def adopt(server: Served, prefix: str) -> None:
    """Give the account a parent that is on the plan where the account was not, so that nothing is unattached."""
    parent = Account(id=f"{prefix}parent", name="Parent")
    await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=parent))
    child = Account(id=f"{prefix}account", parent_account_id=parent.id)
    mask = FieldMask(paths=["parent_account_id"])
    await server.accounts.UpdateAccount(accounts.UpdateAccountRequest(account=child, update_mask=mask))
    await attach(server, prefix, parent.id)


async def attach(server: Served, prefix: str, account_id: str) -> None:
    placed = Attachment(id=f"{account_id}-x", account_id=account_id, plan_id=f"{prefix}{PLAN}")
    placed.start_time.CopyFrom(time("2024-06-01T00:00:00Z"))
    await server.accounts.CreateAttachment(accounts.CreateAttachmentRequest(attachment=placed))


async def bear(server: Served, prefix: str) -> None:
    """Give the account a child that has used something."""
    child = Account(id=f"{prefix}child", name="Child", parent_account_id=f"{prefix}account")
    await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=child))
    await send(server, child.id, prefix + METER, 0, 3, calls="7", region="ap")


@pytest.mark.parametrize("change", [use, end, adjust, reprice, promote, convert, bear])
async def test_what_changed_is_seen_at_once(server: Served, change: Callable[[Served, str], Awaitable[None]]) -> None:
    prefix = f"known_{change.__name__}_"
    account_id = await told(server, prefix)
    first = await rate(server, account_id)
    before = read_count(server)
    await use_elsewhere(server, prefix)
    assert await rate(server, account_id) == first == await rate_plainly(server, account_id)
    assert read_count(server) > before, "the account was not known"
    await change(server, prefix)
    changed = await rate_plainly(server, account_id)
    assert changed != first
    for _ in range(3):
        assert await rate(server, account_id) == changed


@pytest.mark.parametrize("change", ["use", "adjust", "attach"])
async def test_what_changed_of_a_child_is_seen_at_once(server: Served, change: str) -> None:
    """R11.1: of the parent, which is rated anew each time, as long as it has children."""
    prefix = f"kin_{change}_"
    account_id, child_id = await told(server, prefix), f"{prefix}child"
    await bear(server, prefix)
    first = await rate(server, account_id)
    if change == "use":
        await send(server, child_id, prefix + METER, 3, 3, calls="7", region="ap")
    elif change == "adjust":
        request = CounterAdjustment(account_id=child_id, counter_id=f"{prefix}seats", date="2024-06-11", level="4")
        await server.accounts.CreateCounterAdjustment(
            accounts.CreateCounterAdjustmentRequest(counter_adjustment=request)
        )
    else:
        await attach(server, prefix, child_id)
    changed = await rate_plainly(server, account_id)
    assert changed != first
    assert await rate(server, account_id) == changed


async def test_what_a_parent_covers_of_a_known_account_is_seen_at_once(server: Served) -> None:
    """R11.1, R3.5: the account was attached until June 10; now its parent pays for the rest."""
    prefix = "adopted_"
    account_id = await told(server, prefix)
    await end(server, prefix)
    first = await rate(server, account_id)
    assert first.unattached_usages
    await adopt(server, prefix)
    for _ in range(3):
        found = await rate(server, account_id)
        assert not found.unattached_usages
        assert list(found.line_items) == list(first.line_items)
    before = read_count(server)
    await use_elsewhere(server, prefix)
    assert await rate(server, account_id) == found
    assert read_count(server) > before, "a child is known too"


async def test_what_is_acknowledged_is_in_every_rating_after(server: Served) -> None:
    """R13: while events come in and are folded, many callers at once, and each sees all of the past."""
    account_id = await told(server, "stream_")
    await rate(server, account_id)
    sent = acknowledged = 15
    is_done = False

    async def write() -> None:
        nonlocal sent, acknowledged, is_done
        for number in range(60):
            sent += 10
            await send(server, account_id, f"stream_{METER}", number * 10, 10, calls="1")
            acknowledged = sent
        is_done = True

    async def read() -> int:
        count = 0
        while not is_done:
            least = acknowledged
            rating = await rate(server, account_id)
            (item,) = (each for each in rating.line_items if each.pricing_id == "stream_calls")
            assert least <= Decimal(item.usage.through.quantity) <= sent
            count += 1
        return count

    writing = asyncio.create_task(write())
    counts: list[Any] = await asyncio.gather(*(read() for _ in range(8)))
    await writing
    assert sum(counts) > 20
    assert await rate(server, account_id) == await rate_plainly(server, account_id)


async def test_a_caller_who_leaves_takes_nobody_along(server: Served) -> None:
    account_id = await told(server, "leaving_")
    expected = await rate(server, account_id)
    calls = [asyncio.ensure_future(rate(server, account_id)) for _ in range(30)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    for place, found in enumerate(ended):
        assert found == expected or (place % 3 == 0 and isinstance(found, asyncio.CancelledError))
