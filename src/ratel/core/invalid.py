"""The root of the error tree, and what is wrong with a request: violations, collected so that all are told at once."""

# ruff: noqa: N818 -- the tree names states ("not found"), an Error at the end of each would say nothing

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, replace
from typing import Self


class RatelError(Exception):
    """Anything that Ratel refuses or cannot do.

    Attributes:
        reason: UPPER_SNAKE_CASE, stable, one per kind of mistake.
        message: one sentence for a person, without amounts or secrets; a leaf may have one of its own.
        metadata: what a program needs to act on it, such as the id of the one in the way.
    """

    reason: str = "UNKNOWN"
    message: str = ""
    metadata: dict[str, str]

    def __init__(self, message: str = "", **metadata: str) -> None:
        self.message = message or self.message
        self.metadata = metadata
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Callable[..., "RatelError"], tuple[type["RatelError"], dict[str, object]]]:
        # Leaves have constructors of their own, so the state is restored rather than the call repeated.
        return _restored, (type(self), dict(self.__dict__))


def _restored(kind: type[RatelError], state: dict[str, object]) -> RatelError:
    error = kind.__new__(kind, state["message"])
    error.__dict__.update(state)
    return error


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


@dataclass(slots=True)  # not frozen: there is one for each field of each request, and frozen ones take twice as long
class _Under:
    """The context of `Mistakes.under`."""

    mistakes: Mistakes
    prefix: str

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, traceback: object) -> bool:
        if not isinstance(error, Invalid):
            return False
        self.mistakes.extend(error.under(self.prefix))
        return True


class FieldInvalid(Invalid):
    """One field is wrong; the leaf says how. ``field`` may stay empty and be filled by `Invalid.under`."""

    def __init__(self, message: str, field: str = "", **metadata: str) -> None:
        super().__init__((Violation(field, type(self).reason, message),), **metadata)
