"""Ratings of prepared scopes: messages that are made once, and filled with what usage decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ratel.core.bill import PricedQuantity, sum_by_currency
from ratel.core.event import Partial
from ratel.core.money import EXACT, text_from_decimal
from ratel.core.quantity import Values
from ratel.core.rating.prepared import LineTemplate, PreparedScope, PricedLine
from ratel.core.rating.quote import average_unit_price
from ratel.rating.v1 import account_rating_pb2, line_item_pb2
from ratel.server.convert.rating import account_rating_to_proto, band_usage_to_proto, line_item_to_proto

_MESSAGES_MAX: Final = 500


class PreparedRating:
    """Answers for one prepared scope as of one revision of the catalog."""

    def __init__(self, prepared: PreparedScope, revision: int) -> None:
        self._prepared = prepared
        self._head = account_rating_to_proto(replace(prepared.rest, line_items=(), totals=()), revision, ())
        self._rest = [line_item_to_proto(item) for item in prepared.rest.line_items]
        self._rest_totals = dict(sum_by_currency(prepared.rest.line_items))
        self._messages: dict[LineTemplate, _Message] = {}

    def fill(self, message: account_rating_pb2.AccountRating, kept: Sequence[Mapping[Values, Partial]]) -> bool:
        """Write the rating of some usage into an empty message; tell whether that is possible.

        Args:
            message: stays empty if it is not.
            kept: what is kept of the account's events for each of the scope's reads, in their order.
        """
        lines = self._prepared.lines(kept)
        if lines is None:
            return False
        message.CopyFrom(self._head)
        totals = dict(self._rest_totals)
        for line in lines:
            _fill(message.line_items.add(), self._message_of(line.template), line)
            currency = line.template.item.currency
            totals[currency] = EXACT.add(totals[currency], line.amount) if currency in totals else line.amount
        message.line_items.extend(self._rest)
        for currency, total in sorted(totals.items()):
            message.totals.add(currency=currency, amount=format(total, "f"))
        return True

    def _message_of(self, template: LineTemplate) -> "_Message":
        found = self._messages.get(template)
        if found is None:
            if len(self._messages) >= _MESSAGES_MAX:
                self._messages.clear()  # of combinations that callers make up there are as many as they like
            found = self._messages[template] = _message_of(template)
        return found


@dataclass(frozen=True, slots=True)
class _Message:
    """A line item's message without what usage decides, and the band usages of bands that are passed in full."""

    message: line_item_pb2.LineItem
    passed: list[line_item_pb2.BandUsage] = field(default_factory=list)


def _message_of(template: LineTemplate) -> _Message:
    message = line_item_to_proto(template.item)
    for name in ("amount", "exact_amount"):
        message.ClearField(name)
    message.usage.ClearField("average_unit_price")
    message.usage.through.CopyFrom(line_item_pb2.PricedQuantity())
    return _Message(message)


def _fill(message: line_item_pb2.LineItem, template: _Message, line: PricedLine) -> None:
    priced = line.priced
    message.CopyFrom(template.message)
    message.amount = format(line.amount, "f")
    message.exact_amount = amount = text_from_decimal(priced.amount)
    usage = message.usage
    average = average_unit_price(priced.amount, priced.units)
    if average is not None:
        usage.average_unit_price = text_from_decimal(average)
    through = usage.through
    if priced.quantity is not None:
        through.quantity = text_from_decimal(priced.quantity)
    through.units = text_from_decimal(priced.units)
    through.amount = amount
    _fill_bands(through, template, priced)


def _fill_bands(through: line_item_pb2.PricedQuantity, template: _Message, priced: PricedQuantity) -> None:
    """Add the band usages: those before the last are the same whatever the units."""
    *passed, last = priced.band_usages or (None,)
    for usage in passed[len(template.passed) :]:
        if usage is not None:
            template.passed.append(band_usage_to_proto(usage))
    through.band_usages.extend(template.passed[: len(passed)])
    if last is not None:
        through.band_usages.append(band_usage_to_proto(last))
