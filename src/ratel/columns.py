"""Usage in columns, as a Python sender makes it: from simple events, which it says at a fraction of what they cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from ratel.usage.v1.usage_columns_pb2 import UsageColumns
from ratel.usage.v1.usage_event_pb2 import UsageEvent

# Of one message, as its contract says.
COLUMNS_MAX = 64
_MICROSECONDS_MAX = 2**63 - 1


@dataclass(slots=True)
class _Dictionary:
    """Texts, each once, and the place of its own for each event."""

    texts: dict[str, int] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.places.append(self.texts.setdefault(text, len(self.texts)))


def columns_of(events: Sequence[UsageEvent]) -> UsageColumns | None:
    """Return events in columns; None if they have more fields, or stranger times, than columns can say.

    They get the same verdicts as the simple ones, and nothing else is stored of them.
    """
    accounts, meters, values = _Dictionary(), _Dictionary(), dict[str, _Dictionary]()
    carriers: dict[str, list[int]] = {}
    columns = UsageColumns()
    for place, event in enumerate(events):
        accounts.add(event.account_id)
        meters.add(event.meter_id)
        for name, text in event.values.items():
            if name not in values:
                if len(values) == COLUMNS_MAX or not name:
                    return None
                values[name], carriers[name] = _Dictionary(), []
            values[name].add(text)
            carriers[name].append(place)
        time = event.event_time
        microseconds = time.seconds * 1_000_000 + time.nanos // 1_000
        if not 0 <= time.nanos < 1_000_000_000 or abs(microseconds) > _MICROSECONDS_MAX:
            return None
        if not microseconds and not event.HasField("event_time"):
            return None
        columns.event_times.append(microseconds)
    columns.account_ids.extend(accounts.texts)
    columns.accounts.extend(accounts.places)
    columns.meter_ids.extend(meters.texts)
    if len(meters.texts) > 1:
        columns.meters.extend(meters.places)
    _add_ids(columns, [event.event_id for event in events])
    for name, found in values.items():
        _add_strings(columns, name, found, carriers[name])
    return columns


def _add_ids(columns: UsageColumns, ids: Sequence[str]) -> None:
    """Add the ids, as UUIDs if all are written like one."""
    try:
        raw = bytes.fromhex("".join(ids).replace("-", ""))
    except ValueError:
        raw = b""
    texts = (str(UUID(bytes=raw[start : start + 16])) for start in range(0, len(raw), 16))
    if len(raw) == 16 * len(ids) and all(text == each for text, each in zip(texts, ids, strict=True)):
        columns.event_uuids = raw
    else:
        columns.event_ids.extend(ids)


def _add_strings(columns: UsageColumns, name: str, found: _Dictionary, carriers: Sequence[int]) -> None:
    count = len(columns.event_times)
    column = columns.strings.add(field=name)
    column.texts.extend(found.texts)
    if len(carriers) == count:
        column.values.extend(found.places)
        return
    values = [0] * count
    for place, value in zip(carriers, found.places, strict=True):
        values[place] = value
    column.values.extend(values)
    column.present = bits_of(carriers, count)


def bits_of(places: Iterable[int], count: int) -> bytes:
    """Return the bits of a column that only the events at some places carry."""
    bits = bytearray((count + 7) // 8)
    for place in places:
        bits[place // 8] |= 1 << place % 8
    return bytes(bits)
