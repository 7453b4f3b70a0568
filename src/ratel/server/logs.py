"""Logs: one JSON object a line on standard error, for our own code and for libraries alike.

A line never holds amounts or values: an exception is logged by its type and its places in the code. What it says is
left out, unless it is an error of ours, because messages of libraries quote what they were given.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from ratel.core.errors import RatelError
from ratel.server.call import call_at_work

LIBRARY_MESSAGE_MAX = 500


def configure_logs(level: str) -> None:
    """Send every log line of this process to standard error as JSON, from one level on."""
    structlog.configure(
        processors=[
            _name_call,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _describe_exception,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=level, handlers=[_LibraryHandler()], force=True)


def _name_call(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put the call on whose behalf it is logged on a line."""
    call = call_at_work()
    if call is not None:
        event["request_id"], event["method"] = call.request_id, call.path
    return event


class _LibraryHandler(logging.Handler):
    """Passes on what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        # The text before its arguments are put in, which may be anything.
        text = str(record.msg)[:LIBRARY_MESSAGE_MAX]
        exception = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(record.levelno, text, logger=record.name, exc_info=exception)


def _describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = [describe_error(each) for each in _chain(error)]
    return event


def describe_error(error: BaseException) -> Mapping[str, object]:
    """Return what may be logged of an exception: its type and places, and what Postgres calls it."""
    described: dict[str, object] = {"type": type(error).__qualname__}
    if isinstance(error, RatelError):
        described["reason"] = error.reason
    for name in ("sqlstate", "constraint_name"):
        if getattr(error, name, None):
            described[name] = getattr(error, name)
    described["places"] = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return described


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what led to it, from the last to the first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _json(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=lambda value: type(value).__qualname__)
