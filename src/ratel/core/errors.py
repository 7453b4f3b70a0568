"""The tree of everything that can be wrong: trunks say what kind of failure, leaves say which one.

A trunk decides the status code (one table in the server), a leaf carries the ``reason`` that clients may rely on and
the metadata to act on. Messages are for people and may change. Every error can be pickled and copied.
"""

# ruff: noqa: N818 -- the tree names states ("not found"), an Error at the end of each would say nothing

# Errors are imported from here, the root and its first trunk too.
from ratel.core.invalid import FieldInvalid as FieldInvalid  # noqa: PLC0414
from ratel.core.invalid import Invalid as Invalid  # noqa: PLC0414
from ratel.core.invalid import Mistakes as Mistakes  # noqa: PLC0414
from ratel.core.invalid import RatelError as RatelError  # noqa: PLC0414
from ratel.core.invalid import Violation as Violation  # noqa: PLC0414


class FieldRequired(FieldInvalid):
    """A value that this request needs is missing."""

    reason = "FIELD_REQUIRED"


class DecimalInvalid(FieldInvalid):
    """The text is no plain decimal (R1.7): digits, at most one point, at most a minus before."""

    reason = "DECIMAL_INVALID"


class DecimalRange(FieldInvalid):
    """The decimal has more digits than allowed (R1.7), or lies outside what its field allows."""

    reason = "DECIMAL_RANGE"


class AmountDigits(FieldInvalid):
    """A fixed amount has more digits after the point than its currency (R1.7)."""

    reason = "AMOUNT_DIGITS"


class CurrencyUnknown(FieldInvalid):
    """The code is no ISO 4217 currency that money is paid in."""

    reason = "CURRENCY_UNKNOWN"


class ZoneUnknown(FieldInvalid):
    """The name is no time zone of the IANA database."""

    reason = "ZONE_UNKNOWN"


class DateInvalid(FieldInvalid):
    """The text is no date ``YYYY-MM-DD`` of the calendar."""

    reason = "DATE_INVALID"


class PeriodInvalid(FieldInvalid):
    """The end is not after the start, or a time lies outside the years 1 to 9999."""

    reason = "PERIOD_INVALID"


class FormulaInvalid(FieldInvalid):
    """The formula cannot be read (R2.6); metadata ``line`` and ``column`` count from 1."""

    reason = "FORMULA_INVALID"

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {message}", line=str(line), column=str(column))


class PageTokenInvalid(FieldInvalid):
    """The page token was not made by this method for this request."""

    reason = "PAGE_TOKEN_INVALID"

    def __init__(self, message: str = "must be the next_page_token of the same request", field: str = "page_token"):
        super().__init__(message, field)


class NotFound(RatelError):
    """Something that the request names does not exist."""

    reason = "NOT_FOUND"


class ResourceNotFound(NotFound):
    """No such resource; metadata ``resource`` (a singular noun) and ``id``."""

    def __init__(self, resource: str, resource_id: str) -> None:
        super().__init__(f"{_spoken(resource)} {resource_id!r} does not exist", resource=resource, id=resource_id)


class Conflict(RatelError):
    """The id is taken by something with other content."""

    reason = "CONFLICT"


class AlreadyExists(Conflict):
    """The same id exists with other content; metadata ``resource`` and ``id``. The same content is no error."""

    reason = "ALREADY_EXISTS"

    def __init__(self, resource: str, resource_id: str) -> None:
        message = f"{_spoken(resource)} {resource_id!r} exists with other content"
        super().__init__(message, resource=resource, id=resource_id)


class AdjustmentExists(Conflict):
    """The counter has another adjustment for this account and day (R8.1); metadata ``adjustment_id``."""

    reason = "ADJUSTMENT_EXISTS"

    def __init__(self, adjustment_id: str) -> None:
        message = f"adjustment {adjustment_id!r} already sets this counter for the account on that day"
        super().__init__(message, adjustment_id=adjustment_id)


class Unready(RatelError):
    """What is stored does not allow this now; something else must change first."""

    reason = "UNREADY"


class EventsDropped(Unready):
    """A cut through an hour's usage, or a new aggregation, needs events that are gone; metadata ``dropped_until``."""

    reason = "EVENTS_DROPPED"

    def __init__(self, until: str) -> None:
        message = f"events before {until} may be gone, and what the rollups keep of them does not tell this"
        super().__init__(message, dropped_until=until)


class PricingOverlap(Unready):
    """Another pricing of the same thing and segment is in force in that time (R3.2); metadata ``pricing_id``."""

    reason = "PRICING_OVERLAP"

    def __init__(self, pricing_id: str) -> None:
        message = f"pricing {pricing_id!r} already prices the same thing and segment in part of that time"
        super().__init__(message, pricing_id=pricing_id)


class AttachmentOverlap(Unready):
    """The account is on another plan of the product in that time (R4.1); metadata ``attachment_id``."""

    reason = "ATTACHMENT_OVERLAP"

    def __init__(self, attachment_id: str) -> None:
        message = f"attachment {attachment_id!r} already has the account on a plan of this product in part of that time"
        super().__init__(message, attachment_id=attachment_id)


class InUse(Unready):
    """Something else names it, so it stays (R3.5).

    Metadata ``resource`` and ``id`` name what was to go, ``user_resource`` and ``user_id`` one that uses it.
    """

    reason = "IN_USE"

    def __init__(self, resource: str, resource_id: str, user_resource: str, user_id: str) -> None:
        super().__init__(
            f"{_spoken(resource)} {resource_id!r} is used by {_spoken(user_resource)} {user_id!r}",
            resource=resource,
            id=resource_id,
            user_resource=user_resource,
            user_id=user_id,
        )


class PlanCustom(Unready):
    """A custom plan attaches to no account but its own (R3.4); metadata ``plan_id``."""

    reason = "PLAN_CUSTOM"

    def __init__(self, plan_id: str) -> None:
        super().__init__(f"plan {plan_id!r} is made for another account", plan_id=plan_id)


class PlanGrouped(Unready):
    """A plan is in one plan group at most (R6.2); metadata ``plan_id`` and ``plan_group_id``."""

    reason = "PLAN_GROUPED"

    def __init__(self, plan_id: str, plan_group_id: str) -> None:
        message = f"plan {plan_id!r} is in plan group {plan_group_id!r} already"
        super().__init__(message, plan_id=plan_id, plan_group_id=plan_group_id)


class FieldsFixed(Unready):
    """A meter's fields may be added to, not changed, removed or put in another order; metadata ``meter_id``."""

    reason = "FIELDS_FIXED"

    def __init__(self, meter_id: str) -> None:
        message = f"the fields of meter {meter_id!r} may only be added to, at their end"
        super().__init__(message, meter_id=meter_id)


class FormulaRange(Unready):
    """A formula's result on these values has more digits than can be kept exactly (R2.6)."""

    reason = "FORMULA_RANGE"


class UsageUnpriced(Unready):
    """Usage is due that no pricing takes, so that no bill can be made (R3.5).

    Metadata ``attachment_id``, ``priced_id``, ``start_time`` and ``quantity`` of the first, ``count`` of all.
    """

    reason = "USAGE_UNPRICED"

    def __init__(self, priced_id: str, **metadata: str) -> None:
        message = f"usage of {priced_id!r} has no pricing: preview the bill to see all of it"
        super().__init__(message, priced_id=priced_id, **metadata)


class CurrencyRateMissing(Unready):
    """The settings have no rate from one currency into another (R11.2); metadata ``from_currency``, ``to_currency``."""

    reason = "CURRENCY_RATE_MISSING"

    def __init__(self, from_currency: str, to_currency: str) -> None:
        message = f"the settings have no rate from {from_currency} to {to_currency}; rates are not turned round"
        super().__init__(message, from_currency=from_currency, to_currency=to_currency)


class PricingBilled(Unready):
    """The pricing rated an approved or locked bill, so it is fixed (R3.5); metadata ``pricing_id``."""

    reason = "PRICING_BILLED"

    def __init__(self, pricing_id: str) -> None:
        message = f"pricing {pricing_id!r} rated a bill that is approved: only descriptions and a later end may change"
        super().__init__(message, pricing_id=pricing_id)


class BillPending(Unready):
    """The bill is not approved yet."""

    reason = "BILL_PENDING"
    message = "the bill is not approved yet"


class BillApproved(Unready):
    """The bill is approved: recalculate it first, which makes it pending."""

    reason = "BILL_APPROVED"
    message = "the bill is approved: recalculate it first"


class BillLocked(Unready):
    """The bill is locked and never changes."""

    reason = "BILL_LOCKED"
    message = "the bill is locked"


class BillStale(Unready):
    """An earlier bill has changed since: recalculate this one first."""

    reason = "BILL_STALE"
    message = "an earlier bill has changed since: recalculate this one first"


class LaterBillFixed(Unready):
    """A later bill is approved or locked, so this one may not change (R12.4); metadata ``invoice_date`` of that one."""

    reason = "LATER_BILL_FIXED"

    def __init__(self, invoice_date: str) -> None:
        message = f"the bill of {invoice_date} is approved already: what has changed will be on the one after it"
        super().__init__(message, invoice_date=invoice_date)


class SchemaUnknown(Unready):
    """The database's schema is not the one that this version works with; metadata ``found`` and ``wanted``."""

    reason = "SCHEMA_UNKNOWN"

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(f"the database's schema is {found}, not {wanted}", found=found, wanted=wanted)


class Stale(RatelError):
    """It changed since it was read: read it again, then repeat."""

    reason = "STALE"


class EtagMismatch(Stale):
    """The etag is not the stored one's; metadata ``resource`` and ``id``."""

    reason = "ETAG_MISMATCH"

    def __init__(self, resource: str, resource_id: str) -> None:
        message = f"{_spoken(resource)} {resource_id!r} has changed since it was read"
        super().__init__(message, resource=resource, id=resource_id)


class TransactionConflict(Stale):
    """Postgres gave up the transaction for another that ran at the same time: nothing of it is stored."""

    reason = "TRANSACTION_CONFLICT"

    def __init__(self, message: str = "another transaction was in the way; nothing was written") -> None:
        super().__init__(message)


class BillChanged(Stale):
    """Others kept changing the account's bills while this one was made."""

    reason = "BILL_CHANGED"
    message = "others kept changing the account's bills meanwhile"


class Exhausted(RatelError):
    """A limit on how much at once is reached: repeat later, or ask for less."""

    reason = "EXHAUSTED"


class Overloaded(Exhausted):
    """The server has as much work in hand as it takes at once."""

    reason = "OVERLOADED"
    message = "the server has as much work as it takes at once"


class StreamLimit(Exhausted):
    """The server has as many usage streams open as it takes."""

    reason = "STREAM_LIMIT"
    message = "the server has as many usage streams open as it takes"


class Unavailable(RatelError):
    """It cannot be done at the moment: repeat, perhaps elsewhere."""

    reason = "UNAVAILABLE"


class Draining(Unavailable):
    """The server is about to end: connect again and go on there."""

    reason = "DRAINING"
    message = "the server is about to end, connect again"


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or its connection was lost before the answer came."""

    reason = "DATABASE_UNAVAILABLE"
    message = "the database does not answer"


class WorkerLost(Unavailable):
    """A process that made bills for a run ended before its answer came."""

    reason = "WORKER_LOST"
    message = "a process of the run ended; what it has stored stays, so the run may be repeated"


class Denied(RatelError):
    """The caller may not do this."""

    reason = "DENIED"


def _spoken(resource: str) -> str:
    return resource.replace("_", " ")
