"""All that is wrong with a request by itself: the contract's rules of shape and the core's rules, told at once."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from ratel.account.v1 import (
    account_pb2,
    ad_hoc_charge_pb2,
    attachment_pb2,
    balance_pb2,
    commitment_pb2,
    counter_adjustment_pb2,
    grant_pb2,
    purchase_pb2,
)
from ratel.catalog.v1 import (
    add_on_pb2,
    aggregation_pb2,
    catalog_service_pb2,
    counter_pb2,
    meter_pb2,
    plan_pb2,
    plan_template_pb2,
    pricing_pb2,
    product_pb2,
    promotion_pb2,
)
from ratel.core.errors import Invalid, Violation
from ratel.core.plan import PlanTemplate
from ratel.rating.v1 import billing_service_pb2, rating_service_pb2
from ratel.server.convert.account import account_from_proto, adjustment_from_proto, attachment_from_proto
from ratel.server.convert.bill import bill_key_from_proto
from ratel.server.convert.meter import (
    aggregation_from_proto,
    compound_from_proto,
    counter_from_proto,
    meter_from_proto,
    product_from_proto,
)
from ratel.server.convert.plan import plan_from_proto, plan_template_from_proto
from ratel.server.convert.prepayment import balance_from_proto, commitment_from_proto, fine_transaction_from_proto
from ratel.server.convert.pricing import pricing_from_proto
from ratel.server.convert.promotion import grant_from_proto, promotion_from_proto
from ratel.server.convert.purchase import add_on_from_proto, charge_from_proto, order_from_proto
from ratel.server.convert.quote import quote_to_proto
from ratel.server.convert.value import WIDEST_CURRENCY
from ratel.server.rating import Asked, asked_from_proto
from ratel.server.validation import check_message

# The fields that say which one an update means. All others are judged when they are merged with what is stored.
_IDENTITIES: Final = {"counter_adjustment": ("account_id", "counter_id", "date")}
_IDENTITY: Final = ("id",)

_UPDATE_MASK: Final = "update_mask"


def _template_from_proto(message: plan_template_pb2.PlanTemplate) -> PlanTemplate:
    # One without a currency is judged by the default one later, which only the store knows.
    return plan_template_from_proto(
        message, WIDEST_CURRENCY
    )  # by the default currency, which only the store knows, it is judged later


def _check_asked(request: Asked) -> None:
    if request.HasField("start_time") and request.HasField("end_time"):
        asked_from_proto(request)


_READERS: Final[Mapping[type[Message], Callable[[Any], object]]] = {
    product_pb2.Product: product_from_proto,
    meter_pb2.Meter: meter_from_proto,
    aggregation_pb2.Aggregation: aggregation_from_proto,
    aggregation_pb2.CompoundAggregation: compound_from_proto,
    counter_pb2.Counter: counter_from_proto,
    plan_template_pb2.PlanTemplate: _template_from_proto,
    plan_pb2.Plan: plan_from_proto,
    pricing_pb2.Pricing: pricing_from_proto,
    promotion_pb2.Promotion: promotion_from_proto,
    account_pb2.Account: account_from_proto,
    attachment_pb2.Attachment: attachment_from_proto,
    counter_adjustment_pb2.CounterAdjustment: adjustment_from_proto,
    grant_pb2.Grant: grant_from_proto,
    add_on_pb2.AddOn: add_on_from_proto,
    purchase_pb2.Purchase: order_from_proto,
    ad_hoc_charge_pb2.AdHocCharge: charge_from_proto,
    commitment_pb2.Commitment: commitment_from_proto,
    balance_pb2.Balance: balance_from_proto,
    balance_pb2.BalanceTransaction: fine_transaction_from_proto,
}
# Requests whose own fields the core judges: their methods do, and only a wrong shape would keep that from being told.
_ASKED: Final[Mapping[type[Message], Callable[[Any], object]]] = {
    rating_service_pb2.QuoteRequest: quote_to_proto,
    rating_service_pb2.RateAccountRequest: _check_asked,
    rating_service_pb2.RateAccountsRequest: _check_asked,
    billing_service_pb2.PreviewBillRequest: bill_key_from_proto,
    billing_service_pb2.RunBillingRequest: bill_key_from_proto,
    billing_service_pb2.GetBillRequest: bill_key_from_proto,
    billing_service_pb2.ApproveBillRequest: bill_key_from_proto,
    billing_service_pb2.RecalculateBillRequest: bill_key_from_proto,
    billing_service_pb2.LockBillRequest: bill_key_from_proto,
    billing_service_pb2.DeleteBillRequest: bill_key_from_proto,
}


def check_request(request: Message) -> None:
    """Check a request by itself: everything but what depends on what is stored.

    Raises:
        Invalid: with all mistakes.
    """
    shape = _violations(check_message, request)
    if not shape and not _has_nouns(request.DESCRIPTOR):
        return
    if isinstance(request, catalog_service_pb2.ValidatePricingRequest) and not shape:
        return  # what is wrong with the pricing is the answer
    if _UPDATE_MASK in request.DESCRIPTOR.fields_by_name:
        wrong = [violation for violation in shape if _is_of_frame(violation)]
    else:
        wrong = [*shape, *_outside(shape, _domain_violations(request))]
    if shape and (read := _ASKED.get(type(request))):
        wrong += _outside(shape, _violations(read, request))
    if wrong:
        raise Invalid(wrong)


def check_whole(message: Message, read: Callable[[Any], object]) -> None:
    """Check a message by its rules of shape and by the core.

    Raises:
        Invalid: with all mistakes.
    """
    shape = _violations(check_message, message)
    wrong = [*shape, *_outside(shape, _violations(read, message)), *_text_violations(message)]
    if wrong:
        raise Invalid(wrong)


@cache
def _has_nouns(kind: Descriptor) -> bool:
    """Tell whether requests of a kind may hold a message that the core judges."""
    nouns = {noun.DESCRIPTOR for noun in _READERS}
    return any(field.message_type in nouns for field in kind.fields)


def _domain_violations(request: Message) -> Iterable[Violation]:
    for field, value in request.ListFields():
        read = _READERS.get(type(value))
        if read is not None:
            found = [*_violations(read, value), *_text_violations(value)]
            yield from (violation.under(field.name) for violation in found)


def _text_violations(message: Message) -> Iterator[Violation]:
    """Yield the texts that Postgres cannot store: those that hold a zero character."""
    for path, part in _parts(message):
        if isinstance(part, Message):
            yield from (violation.under(path) for violation in _text_violations(part))
        elif isinstance(part, str) and "\0" in part:
            yield Violation(path, "TEXT_INVALID", "must not hold the character U+0000")


def _parts(message: Message) -> Iterator[tuple[str, object]]:
    """Yield what is set in a message, with its path; the elements of lists and maps one by one."""
    for field, value in message.ListFields():
        if isinstance(value, Mapping):
            yield from ((f"{field.name}[{json.dumps(key)}]", part) for key, part in value.items())
        elif field.is_repeated:
            yield from ((f"{field.name}[{index}]", part) for index, part in enumerate(value))
        else:
            yield field.name, value


def _violations(check: Callable[[Any], object], message: Message) -> tuple[Violation, ...]:
    try:
        check(message)
    except Invalid as error:
        return error.violations
    return ()


def _outside(shape: Iterable[Violation], domain: Iterable[Violation]) -> list[Violation]:
    """Return the domain's violations that no violation of shape explains: the same field, around it or inside."""
    fields = [violation.field for violation in shape]
    return [each for each in domain if not any(_is_near(each.field, field) for field in fields)]


def _is_near(one: str, other: str) -> bool:
    return one == other or one.startswith((f"{other}.", f"{other}[")) or other.startswith((f"{one}.", f"{one}["))


def _is_of_frame(violation: Violation) -> bool:
    """Tell whether a violation of an update is not about values that are yet to be merged."""
    field, dot, path = violation.field.partition(".")
    return not dot or field == _UPDATE_MASK or path in _IDENTITIES.get(field, _IDENTITY)
