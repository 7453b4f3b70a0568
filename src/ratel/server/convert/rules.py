"""What of an event may break a rule of the contract; the rules stand in the contracts, and are only read from there."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from buf.validate import validate_pb2
from ratel.core.block import Flags, Texts
from ratel.core.columns import TextColumn
from ratel.usage.v1 import usage_event_pb2 as pb


def _rules_of(name: str) -> validate_pb2.FieldRules:
    return pb.UsageEvent.DESCRIPTOR.fields_by_name[name].GetOptions().Extensions[validate_pb2.field]


_EVENT_ID: Final = re.compile(_rules_of("event_id").string.pattern)
_TEXT_LENGTH_MAX: Final = _rules_of("values").map.values.string.max_len
VALUES_MAX: Final = _rules_of("values").map.max_pairs


def shape_doubts(ids: Texts | None, columns: Sequence[TextColumn], count: int) -> Flags | None:
    """Tell which events may break a rule of the contract; None if none does."""
    doubtful = np.zeros(count, np.bool_)
    if ids is not None:
        doubtful |= np.array([each is not None and not _EVENT_ID.fullmatch(each) for each in ids.tolist()])
    for column in columns:
        if any(len(text) > _TEXT_LENGTH_MAX for text in column.texts):
            doubtful |= np.array([*(len(text) > _TEXT_LENGTH_MAX for text in column.texts), False])[column.codes]
    return doubtful if doubtful.any() else None
