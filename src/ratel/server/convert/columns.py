"""Columns of usage between the contract and the core: of columnar messages, of simple ones, and back to simple ones.

What may break a rule of the contract is marked as doubtful here; the rules themselves stand in the contracts, and are
only read from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import numpy as np

from ratel.core.block import MISSING, Flags, Int32s, Places
from ratel.core.columns import Column, Columns, NumberColumn, TextColumn
from ratel.core.errors import Invalid, Mistakes, Violation
from ratel.core.event import KEY_BYTES
from ratel.core.instant import MICROSECONDS_MAX, MICROSECONDS_MIN, MICROSECONDS_PER_SECOND
from ratel.core.keys import keys_of_ids, keys_of_uuids
from ratel.server.convert.rules import VALUES_MAX, shape_doubts
from ratel.usage.v1 import usage_columns_pb2 as columns_pb
from ratel.usage.v1 import usage_event_pb2 as pb

_NANOS_PER_MICROSECOND: Final = 1_000
_NANOS_PER_SECOND: Final = 1_000_000_000

# Beyond so many fields in one message its events are judged one by one: a column costs as much as its message is long.
_COLUMNS_MAX: Final = 256


# --- From columnar messages -------------------------------------------------------------------------------------------


def columns_from_proto(message: columns_pb.UsageColumns) -> Columns:
    """Return the columns of a message.

    Raises:
        Invalid: they do not belong together: COLUMN_LENGTH, COLUMN_PLACE, COLUMN_REPEATED; paths start in the columns.
    """
    count = len(message.event_times)
    mistakes = Mistakes()
    _check_ids(message, count, mistakes)
    accounts = _places(message.accounts, "accounts", (count, len(message.account_ids)), mistakes)
    meters = _places(message.meters, "meters", (count, len(message.meter_ids)), mistakes)
    values: list[Column] = []
    names: set[str] = set()
    for place, measure in enumerate(message.measures):
        with mistakes.under(f"measures[{place}]"):
            values.append(_measure_column(measure, count, names))
    for place, string in enumerate(message.strings):
        with mistakes.under(f"strings[{place}]"):
            values.append(_string_column(string, count, names))
    mistakes.check()
    keys = keys_of_uuids(message.event_uuids) if message.event_uuids else keys_of_ids(message.event_ids)
    times = np.array(message.event_times, np.int64)
    doubtful = shape_doubts(keys[2], [each for each in values if isinstance(each, TextColumn)], count)
    identities = (message.account_ids, accounts, message.meter_ids, meters)
    return Columns(*identities, *keys, times=times, values=values, doubtful=doubtful)


def _check_ids(message: columns_pb.UsageColumns, count: int, mistakes: Mistakes) -> None:
    if message.event_uuids and len(message.event_uuids) != count * KEY_BYTES:
        mistakes.add("event_uuids", "COLUMN_LENGTH", "must have 16 bytes for each of event_times")
    if message.event_ids and len(message.event_ids) != count:
        mistakes.add("event_ids", "COLUMN_LENGTH", "must be as many as event_times")


def _places(column: Sequence[int], name: str, counts: tuple[int, int], mistakes: Mistakes) -> Places:
    """Return places among ids, all the first if there are none."""
    count, id_count = counts
    places: Places = np.array(column, np.int64) if column else np.zeros(count, np.int64)
    if len(places) != count:
        mistakes.add(name, "COLUMN_LENGTH", "must be as many as event_times, or none")
    elif count and int(places.max()) >= id_count:
        mistakes.add(name, "COLUMN_PLACE", "must be places among the ids")
    return places


def _measure_column(column: columns_pb.MeasureColumn, count: int, names: set[str]) -> Column:
    present = _present(column.present, count)
    _check_name(column.field, names)
    if column.decimals:
        _check_length("decimals", len(column.decimals), count)
        codes = np.arange(count, dtype=np.int32)
        return TextColumn(
            column.field, column.decimals, codes if present is None else np.where(present, codes, MISSING)
        )
    _check_length("values", len(column.values), count)
    return NumberColumn(column.field, column.scale, np.array(column.values, np.int64), present)


def _string_column(column: columns_pb.StringColumn, count: int, names: set[str]) -> Column:
    present = _present(column.present, count)
    _check_name(column.field, names)
    _check_length("values", len(column.values), count)
    places = np.array(column.values, np.int64)
    if count and int(places.max()) >= len(column.texts):
        raise _wrong("values", "COLUMN_PLACE", "must be places among the texts")
    return TextColumn(column.field, column.texts, _where(present, places.astype(np.int32)))


def _where(present: Flags | None, codes: Int32s) -> Int32s:
    return codes if present is None else np.where(present, codes, np.int32(MISSING))


def _present(bits: bytes, count: int) -> Flags | None:
    if not bits:
        return None
    if len(bits) != (count + 7) // 8:
        raise _wrong("present", "COLUMN_LENGTH", "must have one bit for each of event_times, or none")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count, bitorder="little").astype(np.bool_)


def _check_name(name: str, names: set[str]) -> None:
    if name in names:
        raise _wrong("field", "COLUMN_REPEATED", "must be in no other column")
    names.add(name)


def _check_length(name: str, length: int, count: int) -> None:
    if length != count:
        raise _wrong(name, "COLUMN_LENGTH", "must be as many as event_times")


def _wrong(name: str, reason: str, message: str) -> Invalid:
    return Invalid([Violation(name, reason, message)])


# --- From simple messages ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Growing:
    """Texts of a field, event after event."""

    codes: list[int]
    texts: dict[str, int] = field(default_factory=dict)


def columns_from_events(messages: Sequence[pb.UsageEvent]) -> Columns:
    """Return simple events in columns."""
    count = len(messages)
    accounts: dict[str, int] = {}
    meters: dict[str, int] = {}
    columns: dict[str, _Growing] = {}
    account_places, meter_places, ids, times, doubts = [], [], [], [], []
    for place, message in enumerate(messages):
        account_places.append(accounts.setdefault(message.account_id, len(accounts)))
        meter_places.append(meters.setdefault(message.meter_id, len(meters)))
        ids.append(message.event_id)
        times.append(_microseconds(message))
        values = message.values
        for name, text in values.items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = _Growing([MISSING] * (count if len(columns) < _COLUMNS_MAX else 0))
            if column.codes:
                column.codes[place] = column.texts.setdefault(text, len(column.texts))
            else:
                doubts.append(place)
        if times[-1] < MICROSECONDS_MIN or len(values) > VALUES_MAX:
            doubts.append(place)
    found = [
        TextColumn(name, list(each.texts), np.array(each.codes, np.int32))
        for name, each in columns.items()
        if each.codes
    ]
    highs, lows, texts = keys_of_ids(ids)
    doubtful = shape_doubts(texts, found, count)
    if doubts:
        doubtful = np.zeros(count, np.bool_) if doubtful is None else doubtful
        doubtful[doubts] = True
    return Columns(
        *(list(accounts), np.array(account_places, np.int64), list(meters), np.array(meter_places, np.int64)),
        *(highs, lows, texts),
        times=np.array(times, np.int64),
        values=found,
        doubtful=doubtful,
    )


def _microseconds(message: pb.UsageEvent) -> int:
    """Return the time; one before all times if it is missing or no time at all."""
    time = message.event_time
    seconds, nanos = time.seconds, time.nanos
    microseconds = seconds * MICROSECONDS_PER_SECOND + nanos // _NANOS_PER_MICROSECOND
    is_time = 0 <= nanos < _NANOS_PER_SECOND and MICROSECONDS_MIN <= microseconds <= MICROSECONDS_MAX
    is_there = bool(microseconds) or message.HasField("event_time")
    return microseconds if is_time and is_there else MICROSECONDS_MIN - 1


# --- To simple messages -----------------------------------------------------------------------------------------------


def events_of_columns(message: columns_pb.UsageColumns, places: Sequence[int]) -> list[pb.UsageEvent]:
    """Return the events at these places as simple ones, which mean exactly the same."""
    count = len(message.event_times)
    measures = [(column, _present(column.present, count)) for column in message.measures]
    strings = [(column, _present(column.present, count)) for column in message.strings]
    events = []
    for place in places:
        event = pb.UsageEvent(
            account_id=message.account_ids[message.accounts[place] if message.accounts else 0],
            meter_id=message.meter_ids[message.meters[place] if message.meters else 0],
            event_id=event_id_of_columns(message, place),
        )
        seconds, microseconds = divmod(message.event_times[place], MICROSECONDS_PER_SECOND)
        event.event_time.seconds, event.event_time.nanos = seconds, microseconds * _NANOS_PER_MICROSECOND
        for measure, present in measures:
            if present is None or present[place]:
                event.values[measure.field] = _decimal_text(measure, place)
        for string, present in strings:
            if present is None or present[place]:
                event.values[string.field] = string.texts[string.values[place]]
        events.append(event)
    return events


def event_id_of_columns(message: columns_pb.UsageColumns, place: int) -> str:
    """Return the id of one event."""
    if message.event_ids:
        return message.event_ids[place]
    return str(UUID(bytes=message.event_uuids[place * KEY_BYTES : (place + 1) * KEY_BYTES]))


def _decimal_text(column: columns_pb.MeasureColumn, place: int) -> str:
    if column.decimals:
        return column.decimals[place]
    value, scale = column.values[place], column.scale
    if not scale:
        return str(value)
    digits = f"{abs(value):0{scale + 1}}"
    return f"{'-' if value < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"
