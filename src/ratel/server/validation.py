"""The rules of shape: what the contracts themselves say about required fields, lengths, formats and ranges.

The only module that knows protovalidate, whose Python runtime is an alpha. It validates ordinary protobuf messages in
place, and caches each message's compiled rules for the life of the process.
"""

import json
import re

import protovalidate
from google.protobuf.message import Message

from ratel.core.errors import Invalid, Violation


def check_message(message: Message) -> None:
    """Raise Invalid with every rule of the contract that a message breaks, with paths like `bands[2].unit_price`."""
    found = protovalidate.collect_violations(message)
    if found:
        raise Invalid(tuple(_violation(each, 0) for each in found))


def violations_by_index(message: Message, field: str) -> tuple[list[Violation], dict[int, list[Violation]]]:
    """Return the broken rules of a message, those inside an element of one repeated field apart, by index.

    Args:
        message: The message to validate.
        field: The name of a repeated field of the message.

    Returns:
        What is wrong with the message itself, with full paths; and what is wrong with single elements, with
        paths that start inside the element. Elements that break no rule are absent.
    """
    whole: list[Violation] = []
    single: dict[int, list[Violation]] = {}
    for each in protovalidate.collect_violations(message):
        index = _index_in(each, field)
        if index is None:
            whole.append(_violation(each, 0))
        else:
            single.setdefault(index, []).append(_violation(each, 1))
    return whole, single


def _index_in(violation: protovalidate.Violation, field: str) -> int | None:
    path = violation.proto.field
    if path is None or not path.elements or path.elements[0].field_name != field:
        return None
    subscript = path.elements[0].subscript
    return subscript.value if subscript is not None and subscript.field == "index" else None


def _violation(violation: protovalidate.Violation, skipped: int) -> Violation:
    proto = violation.proto
    elements = proto.field.elements if proto.field is not None else []
    path = ".".join(_path_element(each) for each in elements[skipped:])
    return Violation(path, _reason(proto.rule_id), f"{proto.message}{' (its key)' if proto.for_key else ''}")


def _path_element(element: protovalidate.FieldPathElementPb) -> str:
    if element.subscript is None:
        return element.field_name
    return f"{element.field_name}[{json.dumps(element.subscript.value)}]"


def _reason(rule_id: str) -> str:
    """`string.pattern` is STRING_PATTERN: reasons are upper snake case in google.rpc.ErrorInfo."""
    return re.sub(r"[^A-Z0-9]+", "_", rule_id.upper())
