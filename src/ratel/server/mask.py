"""Field masks: which fields an update changes, and what the whole is then."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from google.protobuf.message import Message

from ratel.core.errors import Mistakes

M = TypeVar("M", bound=Message)

# A mask may name them, since clients send back what they were given, and nothing comes of it.
_SERVER_FIELDS: Final = frozenset({"etag", "create_time", "update_time"})


@dataclass(frozen=True, slots=True)
class Mask:
    """What an update changes of a message.

    Attributes:
        field: where the message stands in its request.
        paths: as sent; none means every field that may change.
        mutable: the fields that may change.
    """

    field: str
    paths: tuple[str, ...]
    mutable: tuple[str, ...]

    def check(self, mistakes: Mistakes, stored: Message, given: Message) -> None:
        """Note paths that lead nowhere, and values that would change but never do."""
        for index, path in enumerate(self.paths):
            if not _leads_somewhere(stored, path):
                message = f"must name fields of {stored.DESCRIPTOR.name}, which has no {path!r}"
                mistakes.add(f"update_mask.paths[{index}]", "MASK_PATH_UNKNOWN", message)
        for name in self._fixed_names(given):
            if _value(given, name) != _value(stored, name):
                mistakes.add(f"{self.field}.{name}", "FIELD_IMMUTABLE", "must stay as it is: it never changes")

    def merge(self, stored: M, given: M) -> M:
        """Return what is stored with the fields of the mask as they were given."""
        result = type(stored)()
        result.CopyFrom(stored)
        for path in self.paths or self.mutable:
            if _head(path) in self.mutable and _leads_somewhere(stored, path):
                _copy(given, result, path.split("."))
        return result

    def names(self, name: str) -> bool:
        """Tell whether a field, or something inside it, is to change."""
        return any(_head(path) == name for path in self.paths or self.mutable)

    def _fixed_names(self, given: Message) -> list[str]:
        """Return the fields that the caller names, or sets where nothing is named, and that never change."""
        known = {field.name for field in given.DESCRIPTOR.fields}
        named = set(map(_head, self.paths)) if self.paths else {field.name for field, _ in given.ListFields()}
        return sorted((named & known) - {*self.mutable, *_SERVER_FIELDS})


def _head(path: str) -> str:
    return path.partition(".")[0]


def _leads_somewhere(message: Message, path: str) -> bool:
    name, dot, rest = path.partition(".")
    field = message.DESCRIPTOR.fields_by_name.get(name)
    if field is None or not dot:
        return field is not None
    return field.message_type is not None and not field.is_repeated and _leads_somewhere(getattr(message, name), rest)


def _value(message: Message, name: str) -> object:
    """Return the value of a field, None if it is not set."""
    return next((value for field, value in message.ListFields() if field.name == name), None)


def _copy(source: Message, target: Message, path: Sequence[str]) -> None:
    name, *rest = path
    if rest:
        _copy(getattr(source, name), getattr(target, name), rest)
        return
    target.ClearField(name)
    value = _value(source, name)
    if isinstance(value, str | int | bool):
        setattr(target, name, value)
    elif value is not None:  # a message, a list or a map
        getattr(target, name).MergeFrom(value)
