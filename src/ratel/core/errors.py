"""The tree of everything that can be wrong: trunks say what kind of failure, leaves say which one.

A trunk decides the status code (one table in the server), a leaf carries the ``reason`` that clients may rely on and
the metadata to act on. Messages are for people and may change. Every error can be pickled and copied.
"""

# ruff: noqa: N818 -- the tree names states ("not found"), an Error at the end of each would say nothing

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self


class RatelError(Exception):
    """Anything that Ratel refuses or cannot do.

    Attributes:
        reason: UPPER_SNAKE_CASE, stable, one per kind of mistake.
        message: one sentence for a person, without amounts or secrets.
        metadata: what a program needs to act on it, such as the id of the one in the way.
    """

    reason: str = "UNKNOWN"
    message: str
    metadata: dict[str, str]

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Callable[..., "RatelError"], tuple[type["RatelError"], dict[str, object]]]:
        # Leaves have constructors of their own, so the state is restored rather than the call repeated.
        return _restored, (type(self), dict(self.__dict__))


def _restored(kind: type[RatelError], state: dict[str, object]) -> RatelError:
    error = kind.__new__(kind, state["message"])
    error.__dict__.update(state)
    return error


# --- The request is wrong by itself -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Violation:
    """One mistake in one field.

    Attributes:
        field: the path from the request's root, such as ``bands[2].lower_limit``; empty for the whole.
        reason: UPPER_SNAKE_CASE.
        message: what would be right, for a person.
    """

    field: str
    reason: str
    message: str

    def under(self, prefix: str) -> "Violation":
        """Return the same mistake, seen from the message that holds it at ``prefix``."""
        return replace(self, field=_joined(prefix, self.field))

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def _joined(prefix: str, field: str) -> str:
    if not prefix or not field or field.startswith("["):
        return prefix + field
    return f"{prefix}.{field}"


class Invalid(RatelError):
    """The request is wrong whatever is stored: change it before sending it again.

    Carries all mistakes of the request, at least one. Its reason is theirs if they share one, else ``INVALID``.
    """

    reason = "INVALID"
    violations: tuple[Violation, ...]

    def __init__(self, violations: Iterable[Violation], **metadata: str) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(map(str, self.violations)), **metadata)
        reasons = {violation.reason for violation in self.violations}
        if len(reasons) == 1:
            self.reason = reasons.pop()

    def under(self, prefix: str) -> Self:
        """Return the same error with every path seen from the message that holds it at ``prefix``."""
        moved = copy(self)
        moved.violations = tuple(violation.under(prefix) for violation in self.violations)
        moved.message = "; ".join(map(str, moved.violations))
        return moved


class Mistakes:
    """Collects every mistake of one request, so that its sender learns them all at once."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def __bool__(self) -> bool:
        return bool(self._violations)

    def add(self, field: str, reason: str, message: str) -> None:
        """Note one mistake."""
        self._violations.append(Violation(field, reason, message))

    def extend(self, invalid: Invalid) -> None:
        """Note all mistakes of an error that was caught."""
        self._violations += invalid.violations

    def under(self, prefix: str = "") -> "_Under":
        """Return a context that swallows an `Invalid` raised inside and notes it with ``prefix`` before its paths.

        What the block was to assign is then unassigned: use it only after `check`.
        """
        return _Under(self, prefix)

    def check(self) -> None:
        """Raise one `Invalid` with all that was noted, if anything was."""
        if self._violations:
            raise Invalid(self._violations)


class _Under:
    """The context of `Mistakes.under`."""

    def __init__(self, mistakes: Mistakes, prefix: str) -> None:
        self._mistakes = mistakes
        self._prefix = prefix

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, Invalid):
            return False
        self._mistakes.extend(error.under(self._prefix))
        return True


class FieldInvalid(Invalid):
    """One field is wrong; the leaf says how. ``field`` may stay empty and be filled by `Invalid.under`."""

    def __init__(self, message: str, field: str = "", **metadata: str) -> None:
        super().__init__((Violation(field, type(self).reason, message),), **metadata)


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


# --- What the request names is not there ------------------------------------------------------------------------------


class NotFound(RatelError):
    """Something that the request names does not exist."""

    reason = "NOT_FOUND"


class ResourceNotFound(NotFound):
    """No such resource; metadata ``resource`` (a singular noun) and ``id``."""

    def __init__(self, resource: str, resource_id: str) -> None:
        super().__init__(f"{_spoken(resource)} {resource_id!r} does not exist", resource=resource, id=resource_id)


# --- What the request makes is there already, otherwise ---------------------------------------------------------------


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


# --- The state does not allow it --------------------------------------------------------------------------------------


class Unready(RatelError):
    """What is stored does not allow this now; something else must change first."""

    reason = "UNREADY"


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


class FieldsFixed(Unready):
    """A meter's fields may be added to, not changed, removed or put in another order; metadata ``meter_id``."""

    reason = "FIELDS_FIXED"

    def __init__(self, meter_id: str) -> None:
        message = f"the fields of meter {meter_id!r} may only be added to, at their end"
        super().__init__(message, meter_id=meter_id)


class FormulaRange(Unready):
    """A formula's result on these values has more digits than can be kept exactly (R2.6)."""

    reason = "FORMULA_RANGE"


class SchemaUnknown(Unready):
    """The database's schema is not the one that this version works with; metadata ``found`` and ``wanted``."""

    reason = "SCHEMA_UNKNOWN"

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(f"the database's schema is {found}, not {wanted}", found=found, wanted=wanted)


# --- Somebody else was faster -----------------------------------------------------------------------------------------


class Stale(RatelError):
    """It changed since it was read: read it again, then repeat."""

    reason = "STALE"


class EtagMismatch(Stale):
    """The etag is not the stored one's; metadata ``resource`` and ``id``."""

    reason = "ETAG_MISMATCH"

    def __init__(self, resource: str, resource_id: str) -> None:
        message = f"{_spoken(resource)} {resource_id!r} has changed since it was read"
        super().__init__(message, resource=resource, id=resource_id)


# --- Not now, not here, not you ---------------------------------------------------------------------------------------


class Exhausted(RatelError):
    """A limit on how much at once is reached: repeat later, or ask for less."""

    reason = "EXHAUSTED"


class Overloaded(Exhausted):
    """The server has as much work in hand as it takes at once."""

    reason = "OVERLOADED"

    def __init__(self, message: str = "the server has as much work as it takes at once") -> None:
        super().__init__(message)


class StreamLimit(Exhausted):
    """The server has as many usage streams open as it takes."""

    reason = "STREAM_LIMIT"

    def __init__(self, message: str = "the server has as many usage streams open as it takes") -> None:
        super().__init__(message)


class Unavailable(RatelError):
    """It cannot be done at the moment: repeat, perhaps elsewhere."""

    reason = "UNAVAILABLE"


class Draining(Unavailable):
    """The server is about to end: connect again and go on there."""

    reason = "DRAINING"

    def __init__(self, message: str = "the server is about to end, connect again") -> None:
        super().__init__(message)


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or its connection was lost before the answer came."""

    reason = "DATABASE_UNAVAILABLE"

    def __init__(self, message: str = "the database does not answer") -> None:
        super().__init__(message)


class Denied(RatelError):
    """The caller may not do this."""

    reason = "DENIED"


def _spoken(resource: str) -> str:
    return resource.replace("_", " ")
