"""Messages in columns mean the same as simple ones, and what is checked by column is what is checked one by one."""

import random

import asyncpg
import grpc
import pytest

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.catalog.v1 import catalog_service_pb2
from ratel.columns import bits_of, columns_of
from ratel.core.columns import METERS_MAX, Columns, Known, sift
from ratel.core.errors import Invalid
from ratel.core.event import Events, event_key
from ratel.core.instant import DAY
from ratel.core.layout import Layout
from ratel.core.meter import FieldKind, read_fields
from ratel.core.submission import Checked, check_submission
from ratel.server.convert.columns import columns_from_events, columns_from_proto, events_of_columns
from ratel.server.convert.usage import submission_from_proto
from ratel.server.convert.wire import WireMessage, columns_from_wire, wire_message
from ratel.server.validation import violations_by_index
from ratel.usage.v1.usage_columns_pb2 import MeasureColumn, StringColumn, UsageColumns
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from ratel.usage.v1.usage_service_pb2 import StreamUsageRequest, StreamUsageResponse, SubmitUsageRequest
from tests.conftest import Served, acknowledgements
from tests.server.columns import random_event, with_numbers
from tests.server.example import account, create_example, event, failure, meter

PLAIN = Layout(
    2,
    read_fields(
        [
            ("region", FieldKind.STRING, "", ""),
            ("gb", FieldKind.MEASURE, "", ""),
            ("further", FieldKind.MEASURE, "", ""),
            ("tier", FieldKind.STRING, "", ""),
        ]
    ),
)
DERIVING = Layout(
    1,
    read_fields(
        [
            ("gb", FieldKind.MEASURE, "", ""),
            ("region", FieldKind.STRING, "", ""),
            ("tier", FieldKind.STRING, "", ""),
            ("mb", FieldKind.DERIVED, "", "gb * 1024"),
        ]
    ),
)
STORAGE = Layout(1, DERIVING.fields[:3])
LEAST_KEY = event_key("01907000-0000-7000-8000-000000000000")
TIME_MAX = 1_720_000_000_000_000 + 11 * DAY


def wire_of(events: list[UsageEvent]) -> WireMessage:
    message = wire_message(StreamUsageRequest(sequence=7, events=events).SerializeToString())
    assert message is not None
    assert (message.sequence, [UsageEvent.FromString(message.event(n)) for n in range(len(events))]) == (7, events)
    return message


def known(storage: Layout, least_key: bytes = b"") -> Known:
    return Known({"acme": 1, "other": 2}, {"storage": storage, "plain": PLAIN}, TIME_MAX, least_key)


def judged(events: list[UsageEvent], by: Known) -> Checked[Events]:
    """Check events one by one."""
    _, single = violations_by_index(SubmitUsageRequest(events=events), "events")
    submission = submission_from_proto(events, single)
    return check_submission(submission, by.accounts, by.layouts, by.time_max, least_key=by.least_key)


def check_alike(columns: Columns, events: list[UsageEvent], by: Known) -> int:
    """Compare what is told by column with what is told one by one, and return for how many events it was told so."""
    sifted, checked = sift(columns, by), judged(events, by)
    assert sorted([*sifted.places, *sifted.left]) == list(range(len(events)))
    assert set(checked.rejections) <= set(sifted.left)
    places = {place: index for index, place in enumerate(checked.places)}
    stored = checked.events.take([places[place] for place in sifted.places])
    block = sifted.block.events()
    assert block == stored
    assert [str(each) for each in block.measures] == [str(each) for each in stored.measures]
    return len(sifted.places)


@pytest.mark.parametrize("wrong", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("storage", [STORAGE, DERIVING])
@pytest.mark.parametrize("least_key", [b"", LEAST_KEY])
def test_every_shape_of_a_message_means_the_same(wrong: float, storage: Layout, least_key: bytes) -> None:
    chance, by, told = random.Random(7), known(storage, least_key), 0
    for _ in range(25):
        events = [random_event(chance, wrong) for _ in range(chance.choice((1, 7, 40)))]
        told += check_alike(columns_from_events(events), events, by)
        split = chance.randrange(len(events) + 1)
        wires = [wire_of(part) for part in (events[:split], events[split:]) if part]
        told += check_alike(columns_from_wire(wires), events, by)
        message = columns_of(events)
        if message is None:
            continue
        told += check_alike(columns_from_proto(message), events, by)
        numbers = with_numbers(message, "gb", 2)
        if numbers is not None:
            said = events_of_columns(numbers, range(len(events)))
            check_alike(columns_from_proto(numbers), said, by)
    assert told > 5


def test_columns_say_what_simple_events_say() -> None:
    chance = random.Random(11)
    for _ in range(50):
        events = [random_event(chance, 0.1) for _ in range(10)]
        message = columns_of(events)
        if message is not None:
            said = events_of_columns(message, range(10))
            for each in events:
                each.event_time.nanos -= each.event_time.nanos % 1_000  # finer digits are dropped either way
            assert said == events


def test_many_meters_are_left_to_be_judged_one_by_one() -> None:
    layouts = {f"m{number}": Layout(number + 1, PLAIN.fields) for number in range(METERS_MAX + 1)}
    events = [event(meter_id=meter_id, account_id="acme", values={"gb": "1"}) for meter_id in layouts]
    sifted = sift(columns_from_events(events), Known({"acme": 1}, layouts, TIME_MAX))
    assert len(sifted.left) == len(events)


# --- Through the server -----------------------------------------------------------------------------------------------

STORED = """
    SELECT event_key, event_time, meter_no, measure::text, measures::text[], strings, event_id
    FROM events JOIN accounts USING (account_no) WHERE id = $1 ORDER BY 1
"""


async def test_both_shapes_have_the_same_verdicts_and_store_the_same(server: Served) -> None:
    await create_example(server)
    plain = meter(id="plain")
    del plain.fields[3:]
    await server.catalog.CreateMeter(catalog_service_pb2.CreateMeterRequest(meter=plain))
    for account_id in ("simple", "columnar"):
        await server.accounts.CreateAccount(accounts.CreateAccountRequest(account=account(id=account_id)))
    chance = random.Random(3)
    for wrong in (0.0, 0.02, 0.02, 0.3):
        events = [random_event(chance, wrong) for _ in range(60)]
        events += chance.sample(events, 5)
        answers = []
        for account_id in ("simple", "columnar"):
            for each in events:
                each.account_id = account_id if each.account_id in ("acme", "simple") else each.account_id
            columns = columns_of(events) if account_id == "columnar" else None
            asked = SubmitUsageRequest(columns=columns) if columns else SubmitUsageRequest(events=events)
            answers.append(await server.usage.SubmitUsage(asked))
        assert answers[0] == answers[1]
    connection = await asyncpg.connect(server.database_url)
    stored = [await connection.fetch(STORED, account_id) for account_id in ("simple", "columnar")]
    await connection.close(timeout=10)
    assert stored[0] == stored[1]
    assert len(stored[0]) > 50


async def test_wrong_columns_are_a_mistake_of_the_message(server: Served) -> None:
    failed = await failure(server.usage.SubmitUsage(SubmitUsageRequest(columns=spoiled(accounts=[0]))))
    assert (failed.code, failed.violations) == ("INVALID_ARGUMENT", {("columns.accounts", "COLUMN_LENGTH")})
    both = SubmitUsageRequest(events=[event()], columns=good())
    failed = await failure(server.usage.SubmitUsage(both))
    assert (failed.code, failed.violations) == ("INVALID_ARGUMENT", {("", "MESSAGE_ONEOF")})


# --- Odd bytes --------------------------------------------------------------------------------------------------------


def spoil(chance: random.Random, data: bytes) -> bytes:
    """Return bytes with some of them changed, left out or put in."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 3))):
        place = chance.randrange(len(found))
        kind = chance.randrange(3)
        if kind == 0:
            found[place] = chance.randrange(256)
        elif kind == 1:
            del found[place]
        else:
            found.insert(place, chance.randrange(256))
    return bytes(found)


def test_bytes_are_read_as_protobuf_reads_them_or_left_to_it() -> None:
    chance, by, read = random.Random(23), known(STORAGE), 0
    for _ in range(2_000):
        events = [random_event(chance, 0.02) for _ in range(3)]
        message = wire_message(spoil(chance, StreamUsageRequest(sequence=1, events=events).SerializeToString()))
        if message is None:
            continue
        sifted = sift(columns_from_wire([message]), by)
        said = [UsageEvent.FromString(message.event(place)) for place in sifted.places]
        read += len(said)
        checked = judged(said, by)
        assert not checked.rejections
        assert sifted.block.events() == checked.events
    assert read > 500


async def test_an_event_that_is_none_is_rejected_alone(server: Served) -> None:
    await create_example(server)
    good, bad = event().SerializeToString(), b"\x0a\x02\xff\xff"
    data = b"".join(bytes([0x12, len(each)]) + each for each in (good, bad))
    method: grpc.aio.StreamStreamMultiCallable[bytes, StreamUsageResponse] = server.channel.stream_stream(
        "/ratel.usage.v1.UsageService/StreamUsage", response_deserializer=StreamUsageResponse.FromString
    )
    (told,) = [each async for each in acknowledgements(method(iter([data])))]
    assert told.accepted_count == 1
    assert [(each.index, each.reason) for each in told.verdicts] == [(1, "MESSAGE_MALFORMED")]


# --- What is wrong with a message itself ------------------------------------------------------------------------------


def good() -> UsageColumns:
    found = columns_of([event(values={"gb": "1", "region": "eu"}) for _ in range(9)])
    assert found is not None
    found.measures.append(MeasureColumn(field="more", values=[1] * 9))
    return found


def spoiled(**changed: object) -> UsageColumns:
    message = good()
    for name in changed:
        message.ClearField(name)  # type: ignore[arg-type]
    message.MergeFrom(UsageColumns(**changed))  # type: ignore[arg-type]
    return message


WRONG = {
    "event_uuids COLUMN_LENGTH": spoiled(event_uuids=bytes(15 * 9)),
    "event_ids COLUMN_LENGTH": spoiled(event_uuids=b"", event_ids=["a"]),
    "accounts COLUMN_LENGTH": spoiled(accounts=[0]),
    "accounts COLUMN_PLACE": spoiled(accounts=[1] * 9),
    "meters COLUMN_PLACE": spoiled(meters=[0] * 8 + [7]),
    "measures[0].values COLUMN_LENGTH": spoiled(measures=[MeasureColumn(field="new", values=[1])]),
    "measures[0].decimals COLUMN_LENGTH": spoiled(measures=[MeasureColumn(field="new", decimals=["1"])]),
    "measures[0].present COLUMN_LENGTH": spoiled(measures=[MeasureColumn(field="new", values=[1] * 9, present=b"1")]),
    "measures[1].field COLUMN_REPEATED": spoiled(measures=[MeasureColumn(field="new", values=[1] * 9)] * 2),
    "strings[0].values COLUMN_PLACE": spoiled(strings=[StringColumn(field="new", texts=["1"], values=[1] * 9)]),
    "strings[0].values COLUMN_LENGTH": spoiled(strings=[StringColumn(field="new", texts=["1"], values=[0] * 8)]),
}


@pytest.mark.parametrize("said", WRONG)
def test_columns_that_do_not_belong_together_are_refused(said: str) -> None:
    field, reason = said.split()
    with pytest.raises(Invalid) as caught:
        columns_from_proto(WRONG[said])
    assert [(each.field, each.reason) for each in caught.value.violations] == [(field, reason)]


def test_bits_count_from_the_lowest_of_the_first_byte() -> None:
    assert bits_of([0, 9], 10) == bytes([1, 2])
    column = MeasureColumn(field="gb", values=range(10), present=bits_of([0, 9], 10))
    message = UsageColumns(account_ids=["a"], meter_ids=["m"], event_ids=["e"] * 10, event_times=[1] * 10)
    message.measures.append(column)
    assert len(columns_from_proto(message)) == 10
    carried = [place for place, each in enumerate(events_of_columns(message, range(10))) if "gb" in each.values]
    assert carried == [0, 9]
