"""UsageService on a real port: every verdict, acknowledgements in order, draining."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.catalog.v1 import catalog_service_pb2
from ratel.usage.v1 import usage_event_pb2
from ratel.usage.v1.usage_event_pb2 import EventVerdict
from ratel.usage.v1.usage_service_pb2 import StreamUsageRequest, SubmitUsageRequest
from tests.conftest import Served, acknowledgements, served
from tests.server.example import account, create_example, event, failure, meter, submit, time

DUPLICATE, REJECTED, CONFLICT = (
    usage_event_pb2.EVENT_OUTCOME_DUPLICATE,
    usage_event_pb2.EVENT_OUTCOME_REJECTED,
    usage_event_pb2.EVENT_OUTCOME_CONFLICT,
)


@pytest.fixture(scope="module", autouse=True)
async def example(server: Served) -> None:
    await create_example(server)


def shown(verdicts: Iterable[EventVerdict]) -> list[tuple[int, int, str, str]]:
    return [(each.index, each.outcome, each.reason, each.field) for each in verdicts]


# --- Verdicts ---------------------------------------------------------------------------------------------------------

WRONG = {
    "ACCOUNT_UNKNOWN account_id": event(account_id="nobody"),
    "METER_UNKNOWN meter_id": event(meter_id="nothing"),
    "EVENT_TIME_FUTURE event_time": event(event_time=time("2100-01-01")),
    "EVENT_TIME_INVALID event_time": event(event_time=Timestamp(seconds=2**60)),
    'FIELD_UNKNOWN values["bytes"]': event(values={"gb": "NaN", "bytes": "1"}),
    'FIELD_DERIVED values["mb"]': event(values={"mb": "1"}),
    'DECIMAL_INVALID values["gb"]': event(values={"gb": "1e999"}),
    'DECIMAL_RANGE values["gb"]': event(values={"gb": "0." + "1" * 19}),
    'STRING_INVALID values["region"]': event(values={"region": "a\0b"}),
    "STRING_PATTERN account_id": event(account_id="no spaces"),
    "STRING_PATTERN event_id": event("ünïcode"),
    "STRING_PATTERN meter_id": event(meter_id=""),
    'STRING_PATTERN values["1"]': event(values={"1": "1"}),
    'STRING_MAX_LEN values["region"]': event(values={"region": "x" * 257}),
    "MAP_MAX_PAIRS values": event(values={f"f{number}": "1" for number in range(65)}),
}


@pytest.mark.parametrize("said", WRONG)
async def test_every_mistake_is_a_verdict_and_harms_no_neighbour(server: Served, said: str) -> None:
    reason, field = said.split()
    response = await submit(server, event(), WRONG[said], event())
    assert (response.accepted_count, shown(response.verdicts)) == (2, [(1, REJECTED, reason, field)])
    assert response.verdicts[0].event_id == WRONG[said].event_id
    assert response.verdicts[0].message


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1_000", "+1", ".5", "1.", " 1", "٣", "1" * 39, "0x1", "1e2"])
async def test_malformed_decimals_are_refused(server: Served, text: str) -> None:
    response = await submit(server, event(values={"gb": text}))
    assert response.verdicts[0].reason in ("DECIMAL_INVALID", "DECIMAL_RANGE")


async def test_a_missing_time_is_a_verdict(server: Served) -> None:
    without = event()
    without.ClearField("event_time")
    assert shown((await submit(server, without)).verdicts) == [(0, REJECTED, "REQUIRED", "event_time")]


async def test_the_first_mistake_is_told_in_a_fixed_order(server: Served) -> None:
    everything: dict[str, Any] = {"account_id": "nobody", "meter_id": "nothing", "event_time": time("2100-01-01")}
    reasons = []
    for fixed in ([], ["account_id"], ["account_id", "meter_id"], list(everything)):
        wrong = {name: value for name, value in everything.items() if name not in fixed}
        response = await submit(server, event(values={"gb": "x", "mb": "1"}, **wrong))
        reasons.append(response.verdicts[0].reason)
    assert reasons == ["ACCOUNT_UNKNOWN", "METER_UNKNOWN", "EVENT_TIME_FUTURE", "DECIMAL_INVALID"]


async def test_a_formula_out_of_bounds_rejects_the_event(server: Served) -> None:
    stub = server.catalog
    huge = meter(id="huge")
    huge.fields[3].formula = "(gb * 10 ^ 40) ^ 2"
    await stub.CreateMeter(catalog_service_pb2.CreateMeterRequest(meter=huge))
    response = await submit(
        server, event(meter_id="huge", values={"gb": "1"}), event(meter_id="huge", values={"gb": "9" * 30})
    )
    assert (response.accepted_count, shown(response.verdicts)) == (
        1,
        [(1, REJECTED, "DERIVED_INVALID", 'values["mb"]')],
    )


async def test_repeats_and_conflicts(server: Served) -> None:
    """R13: sending an event again never changes anything."""
    first, other = event(), event()
    moved = event(first.event_id, event_time=time("2024-07-02"))
    response = await submit(server, first, first, moved, other)
    assert (response.accepted_count, shown(response.verdicts)) == (
        2,
        [(1, DUPLICATE, "", ""), (2, CONFLICT, "EVENT_CONFLICT", "")],
    )
    again = await submit(server, moved, other, event(account_id="nobody"))
    assert shown(again.verdicts) == [
        (0, CONFLICT, "EVENT_CONFLICT", ""),
        (1, DUPLICATE, "", ""),
        (2, REJECTED, "ACCOUNT_UNKNOWN", "account_id"),
    ]


async def test_what_is_created_counts_at_once(server: Served) -> None:
    new = [event(account_id="late"), event(meter_id="late"), event(meter_id="late", values={"new": "1"})]
    assert len((await submit(server, *new)).verdicts) == 3
    await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=account(id="late")))
    assert len((await submit(server, *new)).verdicts) == 2
    await server.catalog.CreateMeter(catalog_service_pb2.CreateMeterRequest(meter=meter(id="late")))
    response = await submit(server, *new)
    assert [each.reason for each in response.verdicts] == ["", "FIELD_UNKNOWN"]


async def test_all_who_use_a_new_meter_at_once_know_it(server: Served) -> None:
    for number in range(5):
        new = f"new-{number}"
        await server.catalog.CreateMeter(catalog_service_pb2.CreateMeterRequest(meter=meter(id=new)))
        answers = await asyncio.gather(*(submit(server, event(meter_id=new)) for _ in range(20)))
        assert [answer.accepted_count for answer in answers] == [1] * 20


async def test_a_message_that_is_wrong_itself_is_refused(server: Served) -> None:
    for events, field in (([], ""), ([event("e")] * 10_001, "events")):
        failed = await failure(server.usage.SubmitUsage(SubmitUsageRequest(events=events)))
        assert failed.code == "INVALID_ARGUMENT"
        assert {field for field, _ in failed.violations} == {field}


async def test_a_meter_deleted_before_its_first_event_is_unknown(server: Served) -> None:
    await server.catalog.CreateMeter(catalog_service_pb2.CreateMeterRequest(meter=meter(id="brief")))
    assert (await submit(server, event(meter_id="brief", values={"bad": ""}))).verdicts[0].reason == "FIELD_UNKNOWN"
    await server.catalog.DeleteMeter(catalog_service_pb2.DeleteMeterRequest(id="brief"))
    response = await submit(server, event(), event(meter_id="brief"))
    assert (response.accepted_count, shown(response.verdicts)) == (1, [(1, REJECTED, "METER_UNKNOWN", "meter_id")])


# --- Streams ----------------------------------------------------------------------------------------------------------


def messages(count: int, per: int = 10, first: int = 0) -> Iterator[StreamUsageRequest]:
    for number in range(first, first + count):
        yield StreamUsageRequest(sequence=number, events=[event() for _ in range(per)])


async def test_acknowledgements_come_in_order_and_after_the_commit(server: Served) -> None:
    sent = list(messages(50))
    sent[7].events[3].account_id = "nobody"
    connection = await asyncpg.connect(server.database_url)
    sequences = []
    async for answer in acknowledgements(server.usage.StreamUsage(iter(sent))):
        sequences.append(answer.sequence)
        ids = [each.event_id for each in sent[answer.sequence].events if each.account_id == "acme"]
        found = await connection.fetchval("SELECT count(*) FROM events WHERE event_key = ANY($1::uuid[])", ids)
        assert found == answer.accepted_count == 10 - (answer.sequence == 7)
    await connection.close()
    assert sequences == list(range(50))


async def test_a_wrong_message_ends_the_stream_after_the_answers_before_it(server: Served) -> None:
    call = server.usage.StreamUsage(iter([*messages(5), StreamUsageRequest(sequence=5), *messages(5, first=6)]))
    answers: list[int] = []

    async def read() -> None:
        async for answer in acknowledgements(call):
            answers.append(answer.sequence)  # noqa: PERF401 -- the stream ends with an error

    failed = await failure(read())
    assert (failed.code, answers) == ("INVALID_ARGUMENT", list(range(5)))


async def test_many_small_streams_share_commits(fresh_database_url: str) -> None:
    async with served(fresh_database_url) as own:
        await create_example(own)

        async def stream() -> int:
            call = own.usage.StreamUsage(messages(20, per=5))
            return sum([answer.accepted_count async for answer in acknowledgements(call)])

        counts = await asyncio.gather(*(stream() for _ in range(40)))
        connection = await asyncpg.connect(fresh_database_url)
        batches = await connection.fetchval("SELECT count(DISTINCT batch_id) FROM events")
        await connection.close()
        assert sum(counts) == 4_000
        assert batches < 400, "800 messages need fewer commits"


async def test_a_cancelled_stream_harms_nobody(server: Served) -> None:
    call = server.usage.StreamUsage(messages(100_000))
    async for answer in acknowledgements(call):
        if answer.sequence == 3:
            break
    call.cancel()
    assert (await submit(server, event())).accepted_count == 1


async def test_who_takes_no_answers_is_not_read_any_more(server: Served) -> None:
    """What is sent without reading stays with the sender: gRPC's flow control stops it, long before the end."""
    sent = 0

    async def endless() -> AsyncIterator[StreamUsageRequest]:
        nonlocal sent
        for message in itertools.cycle([StreamUsageRequest(events=[event(account_id="x" * 100)] * 1_000)]):
            sent += 1
            yield message

    call = server.usage.StreamUsage(endless())
    last = -1
    while sent != last:  # until nothing moves while others are answered
        last = sent
        for _ in range(20):
            await submit(server, event())
    assert sent < 400
    call.cancel()
    assert (await submit(server, event())).accepted_count == 1


async def test_streams_are_told_to_go_when_the_server_drains(fresh_database_url: str) -> None:
    async with served(fresh_database_url) as own:
        await create_example(own)
        go_on, drained = asyncio.Event(), asyncio.Event()
        answers: list[int] = []

        async def source() -> AsyncIterator[StreamUsageRequest]:
            for message in messages(20):
                yield message
            go_on.set()
            await drained.wait()

        async def read() -> None:
            async for answer in acknowledgements(own.usage.StreamUsage(source())):
                answers.append(answer.accepted_count)  # noqa: PERF401 -- the stream ends with an error

        reading = asyncio.create_task(failure(read()))
        await go_on.wait()
        await own.running.drain()
        failed = await reading
        drained.set()
        assert (failed.code, failed.reason) == ("UNAVAILABLE", "DRAINING")
    connection = await asyncpg.connect(fresh_database_url)
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM pending_batches) AS pending"
    )
    await connection.close()
    assert row is not None
    assert sum(answers) <= row["events"] <= 200
    assert row["pending"] == 0, "the last fold left nothing to do"


async def test_an_old_stream_is_told_to_go(fresh_database_url: str) -> None:
    async with served(fresh_database_url, connection_age_seconds=1) as own:
        await create_example(own)
        never = asyncio.Event()

        async def source() -> AsyncIterator[StreamUsageRequest]:
            for message in messages(2):
                yield message
            await never.wait()

        async def read() -> None:
            async for answer in acknowledgements(own.usage.StreamUsage(source())):
                assert answer.accepted_count == 10

        failed = await failure(read())
        never.set()
        assert (failed.code, failed.reason) == ("UNAVAILABLE", "DRAINING")
