"""Contents of lines of bills, put together from what lines of one shape have in common and what each has of its own.

A message is its fields, one after the other by number. So what does not change is serialised once, and what does is put
in between: the same bytes as protobuf makes of the whole. All of it is text with a character for each byte: Python puts
texts together faster than bytes, and numbers are text already.
"""

from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from ratel.core.bill import UsageWorkings
from ratel.core.money import ZERO, text_from_decimal
from ratel.core.period import Period
from ratel.core.prepared_bill import NOWHERE, LineShape, Places, period_at
from ratel.core.rating.line_template import LineTemplate, ReachedLine
from ratel.core.rating.quote import average_unit_price
from ratel.core.shape import Instants
from ratel.rating.v1.line_item_pb2 import BandUsage, LineItem, PricedQuantity
from ratel.rating.v1.line_item_pb2 import UsageWorkings as UsageMessage
from ratel.server.convert.rating import line_item_to_proto, priced_quantity_to_proto
from ratel.server.convert.value import instant_to_proto

_CHARACTERS: Final = "latin-1"
_INSTANTS_MAX: Final = 4_096


class _Numbers(dict[int, str]):
    """Integers as protobuf writes them, so lengths too: seven bits in each byte, the lowest first."""

    def __missing__(self, number: int) -> str:
        rest, written = number, ""
        while rest > 0x7F:
            rest, written = rest >> 7, written + chr(rest & 0x7F | 0x80)
        self[number] = written + chr(rest)
        return self[number]


_NUMBERS: Final = _Numbers()


def _tag(message: type[Message], name: str) -> str:
    """Return what stands before a field."""
    field = message.DESCRIPTOR.fields_by_name[name]
    return _NUMBERS[field.number << 3 | (0 if field.type == FieldDescriptor.TYPE_INT32 else 2)]


def _sized(text: str) -> str:
    return _NUMBERS[len(text)] + text


def _text_of(message: Message) -> str:
    return message.SerializeToString(deterministic=True).decode(_CHARACTERS)


def _between(message: Message, after: str, before: str) -> str:
    """Return the fields of a message that stand between two; no name is its end."""
    names = message.DESCRIPTOR.fields_by_name
    part = type(message)()
    part.CopyFrom(message)
    for field, _ in message.ListFields():
        if (after and field.number <= names[after].number) or (before and field.number >= names[before].number):
            part.ClearField(field.name)
    return _text_of(part)


_ATTACHMENT_ID: Final = _tag(LineItem, "attachment_id")
_SERVICE: Final = _tag(LineItem, "service_start_time"), _tag(LineItem, "service_end_time")
_AMOUNT: Final = _tag(LineItem, "amount")
_EXACT_AMOUNT: Final = _tag(LineItem, "exact_amount")
_USAGE: Final = _tag(LineItem, "usage")
_LINE_NUMBER: Final = _tag(LineItem, "line_number")
_WINDOW: Final = _tag(UsageMessage, "window_start_time"), _tag(UsageMessage, "window_end_time")
_THROUGH: Final = _tag(UsageMessage, "through")
_AVERAGE: Final = _tag(UsageMessage, "average_unit_price")
_QUANTITY: Final = _tag(PricedQuantity, "quantity")
_UNITS: Final = _tag(PricedQuantity, "units")
_PRICED_AMOUNT: Final = _tag(PricedQuantity, "amount")
_BAND: Final = _tag(PricedQuantity, "band_usages")
_BAND_UNITS: Final = _tag(BandUsage, "units")
_BLOCK_COUNT: Final = _tag(BandUsage, "block_count")
_BAND_AMOUNT: Final = _tag(BandUsage, "amount")


def attachment_field(attachment_id: str) -> str:
    """Return the field of a line that names its attachment."""
    return _ATTACHMENT_ID + _sized(attachment_id.encode().decode(_CHARACTERS))


class LineContents:
    """The contents of one line of accounts of a shape.

    Args:
        shape: the line.
        template: of one that depends on usage.
    """

    def __init__(self, shape: LineShape, template: LineTemplate | None) -> None:
        message = line_item_to_proto(shape.item)
        self._shape = shape
        self._template = template
        self._head = _between(message, "", "attachment_id")
        self._segment = _between(message, "attachment_id", "service_start_time")
        self._service = _between(message, "segment", "currency")
        self._currency = _between(message, "service_end_time", "amount")
        self._amounts = _between(message, "currency", "line_number")
        self._end = _between(message, "line_number", "")
        self._rest = _between(message, "usage", "line_number")
        self._window = _between(message.usage, "", "through")
        self._unit = _between(message.usage, "through", "average_unit_price")
        self._bands: dict[tuple[int, bool], _Band] = {}

    def of(self, number: int, attachment: str, instants: Instants, line: ReachedLine | None) -> bytes:
        """Return the content of a line.

        Args:
            number: on the bill.
            attachment: its field, see there.
            instants: of the account.
            line: what usage makes of the line; None of one that does not depend on usage.
        """
        shape, service = self._shape, self._service
        if shape.service_places != NOWHERE:
            service = _times(_SERVICE, shape.item.service, shape.service_places, instants)
        own = self._amounts if line is None else self._usage(line, instants)
        text = (
            f"{self._head}{attachment}{self._segment}{service}{self._currency}{own}"
            f"{_LINE_NUMBER}{_NUMBERS[number]}{self._end}"
        )
        return text.encode(_CHARACTERS)

    def _usage(self, line: ReachedLine, instants: Instants) -> str:
        """Return the fields of a line from the amounts to the number."""
        shape, window = self._shape, self._window
        if shape.window_places != NOWHERE:
            workings = cast(UsageWorkings, shape.item.workings)
            window = _times(_WINDOW, workings.window, shape.window_places, instants)
        amount, exact_amount = str(line.amount), text_from_decimal(line.exact_amount)
        average = average_unit_price(line.exact_amount, line.units)
        average_field = "" if average is None else _AVERAGE + _sized(text_from_decimal(average))
        through = self._through(line, exact_amount)
        usage = f"{window}{_THROUGH}{_NUMBERS[len(through)]}{through}{self._unit}{average_field}"
        return (
            f"{_AMOUNT}{_NUMBERS[len(amount)]}{amount}{_EXACT_AMOUNT}{_NUMBERS[len(exact_amount)]}{exact_amount}"
            f"{_USAGE}{_NUMBERS[len(usage)]}{usage}{self._rest}"
        )

    def _through(self, line: ReachedLine, exact_amount: str) -> str:
        """Return the quantity with what its bands make of it."""
        quantity, units, reached, _, total = line
        units_text = text_from_decimal(units)
        quantity_field = ""
        if quantity is not None:
            value = quantity.value
            text = units_text if value == units else text_from_decimal(value)
            quantity_field = f"{_QUANTITY}{_NUMBERS[len(text)]}{text}"
        fields = (
            f"{quantity_field}{_UNITS}{_NUMBERS[len(units_text)]}{units_text}"
            f"{_PRICED_AMOUNT}{_NUMBERS[len(exact_amount)]}{exact_amount}"
        )
        if reached is None:
            return fields
        key = reached.place, units < ZERO
        band = self._bands.get(key) or self._band_of(key, line)
        count, inside = reached.block_count, reached.units
        inside_text = units_text if inside == units else text_from_decimal(inside)
        amount = exact_amount if reached.amount == total else text_from_decimal(reached.amount)
        blocks = "" if count is None else _BLOCK_COUNT + _sized(text_from_decimal(count))
        usage = (
            f"{band.limits}{_BAND_UNITS}{_NUMBERS[len(inside_text)]}{inside_text}{blocks}{band.prices}"
            f"{_BAND_AMOUNT}{_NUMBERS[len(amount)]}{amount}"
        )
        return f"{fields}{band.passed}{_BAND}{_NUMBERS[len(usage)]}{usage}"

    def _band_of(self, key: tuple[int, bool], line: ReachedLine) -> "_Band":
        """Return what is the same for all units that end in a band; negative ones do not pay for entering it."""
        template = cast(LineTemplate, self._template)
        *passed, last = priced_quantity_to_proto(template.priced(line.quantity).priced).band_usages
        self._bands[key] = band = _Band(
            "".join(_BAND + _sized(_text_of(each)) for each in passed),
            _between(last, "", "units"),
            _between(last, "block_count", "amount"),
        )
        return band


class _Band(NamedTuple):
    """What is the same for all units that end in a band.

    Attributes:
        passed: the bands before it.
        limits, prices: of itself.
    """

    passed: str
    limits: str
    prices: str


def _times(tags: tuple[str, str], period: Period, places: Places, instants: Instants) -> str:
    """Return the fields of a period of an account."""
    return "".join(tag + _instant(each) for tag, each in zip(tags, period_at(period, places, instants), strict=True))


@lru_cache(_INSTANTS_MAX)  # an account has few, but each in many lines
def _instant(instant: datetime) -> str:
    return _sized(_text_of(instant_to_proto(instant)))
