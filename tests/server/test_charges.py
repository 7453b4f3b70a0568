"""RatingService.StreamCharges over the wire: what usage costs at the margin, recorded or only supposed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.catalog.v1 import aggregation_pb2
from ratel.catalog.v1.pricing_pb2 import Band
from ratel.client import error_from_status
from ratel.rating.v1.margin_pb2 import AccountMargin
from ratel.rating.v1.rating_service_pb2 import (
    RateAccountRequest,
    StreamChargesRequest,
    StreamChargesResponse,
)
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from ratel.usage.v1.usage_service_pb2 import ListUsageEventsRequest
from tests.conftest import Served, served
from tests.server.example import (
    account,
    aggregation,
    attachment,
    band,
    compound,
    create,
    create_example,
    event,
    failure,
    plan,
    pricing,
    submit,
    time,
    update,
)


def blocks(price: str) -> list[Band]:
    return [band("0", price, block_size="20")]


@pytest.fixture(scope="module", autouse=True)
async def example(server: Served) -> None:
    """Price sums, the greatest value in blocks, and sums by region."""
    await create_example(server)
    await create(server, "Aggregation", aggregation(id="most", method=aggregation_pb2.AGGREGATION_METHOD_MAX))
    await create(server, "Aggregation", aggregation(id="by", segment_fields=["region"]))
    await create(server, "Pricing", pricing(bands=[band("0", "0.333"), band("10", "0.1")], minimum_spend="5"))
    await create(server, "Pricing", pricing(id="top", bands=blocks("7"), aggregation_id="most"))
    await create(server, "Pricing", pricing(id="each", aggregation_id="by", segment={"region": "*"}))
    await create(server, "Pricing", pricing(id="eu", aggregation_id="by", segment={"region": "eu"}))


async def attach(server: Served, name: str, start: str = "2024-01-10", plan_id: str = "gold") -> None:
    await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=account(id=name)))
    placed = attachment(id=f"{name}-gold", account_id=name, plan_id=plan_id, start_time=time(start))
    await server.accounts.CreateAttachment(accounts.CreateAttachmentRequest(attachment=placed))


@pytest.fixture
async def own(server: Served) -> str:
    """Name an account of the test's own, on the plan."""
    name = f"own-{uuid4().hex}"
    await attach(server, name)
    return name


def sent_by(account_id: str, event_id: str = "", **changed: Any) -> UsageEvent:
    return event(event_id, account_id=account_id, **changed)


async def charge(server: Served, *requests: StreamChargesRequest) -> list[StreamChargesResponse]:
    return [answer async for answer in server.rating.StreamCharges(iter(requests))]


def message(*events: UsageEvent, record: bool = True, sequence: int = 0) -> StreamChargesRequest:
    return StreamChargesRequest(sequence=sequence, events=events, record=record)


async def rated(server: Served, margin: AccountMargin) -> dict[str, Any]:
    """What RateAccount says of the time of a margin: the total of the attachment, and by pricing."""
    request = RateAccountRequest(account_id=margin.account_id, start_time=margin.start_time, end_time=margin.end_time)
    rating = (await server.rating.RateAccount(request)).account_rating
    amounts: dict[str, Any] = {"": 0}
    for item in rating.line_items:
        if item.attachment_id == margin.attachment_id:
            for name in {"", item.pricing_id}:
                amounts[name] = amounts.get(name, 0) + _cents(item.amount)
    return amounts


def _cents(amount: str) -> int:
    return int(amount.replace(".", ""))


def random_event(chance: Random, *names: str) -> UsageEvent:
    when = Timestamp()
    when.FromDatetime(datetime(2024, 6, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(60 * 24 * 60)))
    return event(
        account_id=chance.choice(names),
        event_time=when,
        values={"gb": f"{chance.randrange(-3, 30)}.{chance.randrange(10)}", "region": chance.choice(("eu", "us", ""))},
    )


@pytest.mark.parametrize("seed", range(4))
async def test_the_last_answer_is_what_rate_account_says(server: Served, own: str, seed: int) -> None:
    """R12.1: of each bill period that is touched; and what is supposed is answered as if it had been recorded."""
    chance = Random(seed)
    later = f"later-{own}"
    await attach(server, later, "2024-06-16")
    for _ in range(5):
        events = [random_event(chance, own, later) for _ in range(chance.randrange(1, 6))]
        supposed, recorded, again = await charge(
            server, message(*events, record=False), message(*events), message(*events)
        )
        assert list(supposed.account_margins) == list(recorded.account_margins)
        assert (supposed.accepted_count, recorded.accepted_count, again.accepted_count) == (len(events), len(events), 0)
        attached = [
            each for each in events if each.account_id == own or each.event_time.seconds >= time("2024-06-16").seconds
        ]
        assert bool(recorded.account_margins) is bool(attached)
        for margin in again.account_margins:
            assert margin.amount_before == margin.amount_after
            assert all(each.amount_before == each.amount_after for each in margin.pricing_margins)
        for margin in recorded.account_margins:
            amounts = await rated(server, margin)
            assert _cents(margin.amount_after) == amounts.pop("")
            shown = {each.pricing_id: _cents(each.amount_after) for each in margin.pricing_margins}
            assert shown == {name: amounts.get(name, 0) for name in shown}
            assert {"p", "top"} <= shown.keys()


async def test_the_amounts_before_and_after(server: Served, own: str) -> None:
    events = [
        sent_by(own, values={"gb": "12", "region": "eu"}),
        sent_by(own, event_time=time("2024-08-01"), values={"gb": "30"}),
    ]
    (answer,) = await charge(server, message(*events, sequence=7))
    assert (answer.sequence, answer.accepted_count, list(answer.verdicts)) == (7, 2, [])
    july, august = answer.account_margins
    assert (july.account_id, july.attachment_id, july.plan_id, july.currency) == (own, f"{own}-gold", "gold", "USD")
    assert (july.start_time, july.end_time) == (time("2024-07-01"), time("2024-08-01"))
    assert (july.amount_before, july.amount_after) == ("5.00", "18.00")
    assert [(each.pricing_id, each.amount_before, each.amount_after) for each in july.pricing_margins] == [
        ("eu", "0.00", "6.00"),
        ("p", "5.00", "5.00"),
        ("top", "0.00", "7.00"),
    ]
    assert [each.pricing_id for each in august.pricing_margins] == ["each", "p", "top"]
    assert august.start_time == july.end_time


async def test_what_is_supposed_leaves_nothing_behind(server: Served, own: str) -> None:
    events = [event(f"e{number}", values={"gb": "9"}) for number in range(3)]
    first, second = await charge(server, message(*events, record=False), message(*events, record=False))
    assert first == second
    assert first.accepted_count == 3
    listed = ListUsageEventsRequest(account_id=own, start_time=time("2024-01-01"), end_time=time("2025-01-01"))
    assert not (await server.usage.ListUsageEvents(listed)).events


@pytest.mark.parametrize("record", [True, False])
async def test_wrong_events_have_verdicts_and_cost_nothing(server: Served, own: str, record: bool) -> None:
    await submit(server, sent_by(own, "known", values={"gb": "1"}), sent_by(own, "other", values={"gb": "1"}))
    events = [
        sent_by(own, "known", values={"gb": "1"}),
        sent_by(own, "other", values={"gb": "2"}),
        sent_by(own, values={"gb": "x"}),
        event(account_id="nobody"),
        sent_by(own, "new", values={"gb": "60"}),
        sent_by(own, "new", values={"gb": "60"}),
    ]
    (answer,) = await charge(server, message(*events, record=record))
    assert answer.accepted_count == 1
    assert [(each.index, each.reason) for each in answer.verdicts] == [
        (0, ""),
        (1, "EVENT_CONFLICT"),
        (2, "DECIMAL_INVALID"),
        (3, "ACCOUNT_UNKNOWN"),
        (5, ""),
    ]
    (margin,) = answer.account_margins
    (top,) = [each for each in margin.pricing_margins if each.pricing_id == "top"]
    assert (top.amount_before, top.amount_after) == ("7.00", "21.00")
    (nothing,) = await charge(server, message(*events[1:4], record=record))
    assert not nothing.account_margins


async def test_a_price_that_changes_in_mid_stream_is_seen_and_plans_are_compiled_once(server: Served, own: str) -> None:
    def misses() -> float:
        with urlopen(f"http://{server.running.metrics_target}/metrics") as page:
            lines = page.read().decode().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("ratel_plan_cache_misses_total")))

    sent: asyncio.Queue[StreamChargesRequest | None] = asyncio.Queue()

    async def requests() -> AsyncIterator[StreamChargesRequest]:
        while (request := await sent.get()) is not None:
            yield request

    answers = aiter(server.rating.StreamCharges(requests()))

    async def top_after() -> str:
        sent.put_nowait(message(sent_by(own, values={"gb": "1"})))
        (margin,) = (await anext(answers)).account_margins
        (found,) = [each.amount_after for each in margin.pricing_margins if each.pricing_id == "top"]
        return str(found)

    assert await top_after() == "7.00"
    before = misses()
    assert [await top_after() for _ in range(5)] == ["7.00"] * 5
    assert misses() == before
    changed = pricing(id="top", bands=blocks("8"), aggregation_id="most")
    await update(server, "Pricing", changed, "bands")
    assert [await top_after() for _ in range(5)] == ["8.00"] * 5
    assert misses() == before + 1
    await update(server, "Pricing", pricing(id="top", bands=blocks("7"), aggregation_id="most"), "bands")
    sent.put_nowait(None)
    assert [each async for each in answers] == []


async def test_a_bill_period_that_cannot_be_rated_says_why_and_harms_no_other(server: Served, own: str) -> None:
    await create(server, "CompoundAggregation", compound(id="huge", formula="gb ^ 64"))
    await create(server, "Plan", plan(id="wild"))
    await create(server, "Pricing", pricing(id="of_huge", plan_id="wild", compound_aggregation_id="huge"))
    wild = f"wild-{own}"
    await attach(server, wild, plan_id="wild")
    small, great = sent_by(wild, values={"gb": "2"}), sent_by(wild, values={"gb": "9" * 38})
    (answer,) = await charge(server, message(small))
    assert not answer.account_margins[0].HasField("error")
    for record in (False, True):
        one, other = (await charge(server, message(great, sent_by(own), record=record)))[0].account_margins
        assert (one.account_id, one.HasField("error")) == (own, False)
        assert error_from_status(other.error).reason == "FORMULA_RANGE"
        assert not other.amount_after


# --- Streams ----------------------------------------------------------------------------------------------------------


async def read_all(server: Served, requests: Any, answers: list[int]) -> None:
    async for answer in server.rating.StreamCharges(requests):
        answers.append(answer.sequence)  # noqa: PERF401 -- the stream ends with an error


async def test_a_wrong_message_ends_the_stream_after_the_answers_before_it(server: Served, own: str) -> None:
    requests = [
        message(sent_by(own), sequence=0),
        message(sent_by(own), sequence=1),
        message(sequence=2),
        message(sent_by(own)),
    ]
    answers: list[int] = []
    failed = await failure(read_all(server, iter(requests), answers))
    assert (failed.code, failed.violations) == ("INVALID_ARGUMENT", {("events", "REPEATED_MIN_ITEMS")})
    assert answers == [0, 1]


async def test_events_of_too_many_bill_periods_are_refused_before_they_are_recorded(server: Served, own: str) -> None:
    old = f"old-{own}"
    await attach(server, old, "1900-01-01")
    events = [
        event(account_id=old, event_time=time(f"{1900 + number // 12}-{1 + number % 12:02}-01"))
        for number in range(1_001)
    ]
    failed = await failure(read_all(server, iter([message(*events)]), []))
    assert (failed.code, failed.violations) == ("INVALID_ARGUMENT", {("events", "MARGINS_TOO_MANY")})
    listed = ListUsageEventsRequest(account_id=old, start_time=time("1900-01-01"), end_time=time("2025-01-01"))
    assert not (await server.usage.ListUsageEvents(listed)).events


async def test_who_takes_no_answers_is_not_read_any_more(server: Served, own: str) -> None:
    """GRPC's flow control stops the sender, long before the end; others are served meanwhile."""
    sent = 0

    async def endless() -> AsyncIterator[StreamChargesRequest]:
        nonlocal sent
        while True:
            sent += 1
            yield message(*[event(account_id="x" * 100)] * 1_000, record=False)

    call = server.rating.StreamCharges(endless())
    last = -1
    while sent != last:
        last = sent
        for _ in range(20):
            await submit(server, sent_by(own))
    assert sent < 400
    call.cancel()
    (answer,) = await charge(server, message(sent_by(own)))
    assert answer.accepted_count == 1


async def test_streams_are_told_to_go_when_the_server_drains(fresh_database_url: str) -> None:
    async with served(fresh_database_url) as own:
        await create_example(own)
        answered, drained = asyncio.Event(), asyncio.Event()

        async def source() -> AsyncIterator[StreamChargesRequest]:
            yield message(event())
            await drained.wait()

        async def read() -> None:
            async for answer in own.rating.StreamCharges(source()):
                assert answer.accepted_count == 1
                answered.set()

        reading = asyncio.create_task(failure(read()))
        await answered.wait()
        await own.running.drain()
        failed = await reading
        drained.set()
        assert (failed.code, failed.reason) == ("UNAVAILABLE", "DRAINING")


async def test_a_deadline_ends_the_stream_and_what_was_answered_stays(server: Served, own: str) -> None:
    never = asyncio.Event()

    async def source() -> AsyncIterator[StreamChargesRequest]:
        yield message(sent_by(own, "timely", values={"gb": "4"}))
        await never.wait()

    answers: list[int] = []

    async def read() -> None:
        async for answer in server.rating.StreamCharges(source(), timeout=2):
            answers.append(answer.accepted_count)  # noqa: PERF401 -- the stream ends with an error

    failed = await failure(read())
    never.set()
    assert (failed.code, answers) == ("DEADLINE_EXCEEDED", [1])
    (again,) = await charge(server, message(sent_by(own, "timely", values={"gb": "4"})))
    assert again.accepted_count == 0
