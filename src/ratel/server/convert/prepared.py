"""Ratings of prepared scopes: messages that are made once, and filled with what usage decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ratel.core.bill import sum_by_currency
from ratel.core.event import Partial
from ratel.core.money import EXACT, text_from_decimal
from ratel.core.quantity import Values
from ratel.core.rating.line_template import LineTemplate, PricedLine
from ratel.core.rating.prepared import PreparedScope
from ratel.core.rating.quote import average_unit_price
from ratel.rating.v1 import account_rating_pb2, line_item_pb2
from ratel.server.convert.rating import account_rating_to_proto, fill_priced_quantity, line_item_to_proto

_MESSAGES_MAX: Final = 500


class PreparedRating:
    """Answers for one prepared scope as of one revision of the catalog."""

    def __init__(self, prepared: PreparedScope, revision: int) -> None:
        self._prepared = prepared
        self._head = account_rating_to_proto(replace(prepared.rest, line_items=(), totals=()), revision, ())
        self._rest = [line_item_to_proto(item) for item in prepared.rest.line_items]
        self._rest_totals = dict(sum_by_currency(prepared.rest.line_items))
        self._messages: dict[LineTemplate, FilledMessage] = {}

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
            message.line_items.append(self._message_of(line.template).of(line))
            currency = line.template.item.currency
            totals[currency] = EXACT.add(totals[currency], line.amount) if currency in totals else line.amount
        message.line_items.extend(self._rest)
        for currency, total in sorted(totals.items()):
            message.totals.add(currency=currency, amount=format(total, "f"))
        return True

    def _message_of(self, template: LineTemplate) -> "FilledMessage":
        found = self._messages.get(template)
        if found is None:
            if len(self._messages) >= _MESSAGES_MAX:
                self._messages.clear()  # of combinations that callers make up there are as many as they like
            found = self._messages[template] = FilledMessage(line_item_to_proto(template.item))
        return found


@dataclass(slots=True)
class FilledMessage:
    """A line item's message, as of the usage that it was filled with last.

    Attributes:
        passed: the band usages of the bands that are passed in full, as far as they were needed.
    """

    message: line_item_pb2.LineItem
    passed: list[line_item_pb2.BandUsage] = field(default_factory=list)
    line: PricedLine | None = None

    def of(self, line: PricedLine) -> line_item_pb2.LineItem:
        """Return the message of a line item."""
        if line is not self.line:
            self._fill(line)
            self.line = line
        return self.message

    def _fill(self, line: PricedLine) -> None:
        """Write over everything that usage decides."""
        message, usage = self.message, self.message.usage
        before = () if self.line is None else self.line.priced.band_usages
        fill_priced_quantity(usage.through, line.priced, before, self.passed)
        message.amount = format(line.amount, "f")
        message.exact_amount = usage.through.amount
        average = average_unit_price(line.priced.amount, line.priced.units)
        usage.average_unit_price = "" if average is None else text_from_decimal(average)
