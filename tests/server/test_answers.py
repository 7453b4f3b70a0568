"""Ratings that are asked for again: given as they were only if they would be made the same again."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.request import urlopen

from google.protobuf.field_mask_pb2 import FieldMask

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.account.v1.account_pb2 import Account
from ratel.account.v1.counter_adjustment_pb2 import CounterAdjustment
from ratel.catalog.v1.catalog_service_pb2 import UpdatePricingRequest
from ratel.catalog.v1.pricing_pb2 import Band, Pricing
from ratel.rating.v1.account_rating_pb2 import AccountRating
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from ratel.usage.v1.usage_service_pb2 import SubmitUsageRequest
from tests.conftest import Served, served
from tests.server.example import time
from tests.server.test_known import STORY, rate, rate_plainly
from tests.story import read_story
from tests.telling import Teller
from tests.told import METER

PREFIXES = ("a_", "b_")
STEPS = 150
CHANGES_FOLLOWED = 16


def repeated_count(server: Served) -> float:
    """Return how many ratings were given again as they were."""
    with urlopen(f"http://{server.running.metrics_target}/metrics") as page:
        lines = page.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("ratel_repeated_answers_total"))


async def use(server: Served, prefix: str, number: int) -> None:
    event = UsageEvent(
        account_id=f"{prefix}account",
        meter_id=f"{prefix}{METER}",
        event_id=f"event-{number}",
        event_time=time(f"2024-06-{1 + number % 30:02}T00:30:00Z"),
        values={"calls": str(1 + number), "region": "us"},
    )
    response = await server.usage.SubmitUsage(SubmitUsageRequest(events=[event]))
    assert response.accepted_count == 1


async def adjust(server: Served, prefix: str, number: int) -> None:
    found = CounterAdjustment(account_id=f"{prefix}account", counter_id=f"{prefix}seats", level=str(1 + number % 30))
    found.date = f"2024-06-{1 + number % 30:02}"
    request = accounts.CreateCounterAdjustmentRequest(counter_adjustment=found)
    await server.accounts.CreateCounterAdjustment(request)


async def reprice(server: Served, prefix: str, number: int) -> None:
    pricing = Pricing(id=f"{prefix}calls", bands=[Band(lower_limit="0", unit_price=str(number))])
    request = UpdatePricingRequest(pricing=pricing, update_mask=FieldMask(paths=["bands"]))
    await server.catalog.UpdatePricing(request)


async def bear(server: Served, prefix: str, number: int) -> None:
    """Give the account a child, after which it is no plain account any more."""
    child = Account(id=f"{prefix}child{number}", name="Child", parent_account_id=f"{prefix}account")
    await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=child))


async def nothing(server: Served, prefix: str, number: int) -> None:
    pass


CHANGES: dict[Callable[[Served, str, int], Awaitable[None]], int] = {nothing: 50, use: 35, adjust: 10, reprice: 5}


@asynccontextmanager
async def two_servers(database_url: str) -> AsyncIterator[list[Served]]:
    async with served(database_url) as one, served(database_url) as other:
        for prefix in PREFIXES:
            await Teller(one, read_story(STORY), prefix).tell()
        yield [one, other]


async def test_what_either_server_writes_shows_in_every_rating_after(fresh_database_url: str) -> None:
    """R13: usage, folded or not, levels and prices, among ratings that are asked for again and again."""
    chance = random.Random(3)
    async with two_servers(fresh_database_url) as servers:
        for number in range(STEPS):
            if number == 2 * STEPS // 3:
                await bear(servers[0], "b_", number)
            (change,) = chance.choices([*CHANGES], [*CHANGES.values()])
            await change(chance.choice(servers), chance.choice(PREFIXES), number)
            for _ in range(chance.randint(1, 4)):
                asked, plain = chance.choices(servers, k=2)
                account_id = f"{chance.choice(PREFIXES)}account"
                assert await rate(asked, account_id) == await rate_plainly(plain, account_id)
        assert sum(map(repeated_count, servers)), "everything was made again"


async def rate_again(server: Served, account_id: str) -> tuple[AccountRating, bool]:
    """Rate, and tell whether the rating was given as it was before."""
    before = repeated_count(server)
    found = await rate(server, account_id)
    return found, repeated_count(server) > before


async def test_what_is_asked_again_is_given_again_until_it_changes(fresh_database_url: str) -> None:
    """Whatever is written of the other account; one of them has a child, and is never rated from what is known."""
    async with two_servers(fresh_database_url) as servers:
        await bear(servers[0], "b_", 0)
        repeated = []
        for number in range(CHANGES_FOLLOWED):
            for server in servers:
                for prefix in PREFIXES:
                    await rate(server, f"{prefix}account")  # what was folded meanwhile counts as unknown
            own, other = PREFIXES if number % 2 else PREFIXES[::-1]
            change = (use, adjust)[number // 2 % 2]
            changed = await rate(servers[0], f"{own}account")
            await change(servers[number // 4 % 2], own, number)
            for server in servers:
                found, is_repeated = await rate_again(server, f"{own}account")
                assert found != changed
                assert not is_repeated
            followed = [await rate_again(server, f"{other}account") for server in servers]
            assert len({each.SerializeToString(deterministic=True) for each, _ in followed}) == 1
            repeated.append(all(is_repeated for _, is_repeated in followed))
        assert sum(repeated) > CHANGES_FOLLOWED // 2, repeated
