"""One call of a method of ours while it is at work: what it is called in the log, and how it ends.

Most calls end well and are never spoken of, so a name is made only for those that are.
"""

import asyncio
import time
from contextvars import ContextVar
from types import TracebackType
from typing import Final

import grpc
from uuid_utils import uuid7

from ratel.server.admission import Leave
from ratel.server.errors import Context, answer_error
from ratel.server.metrics import MethodMetrics

REQUEST_ID: Final = "x-request-id"
REQUEST_ID_LENGTH_MAX: Final = 128
CODES: Final = {code.value[0]: "".join(word.title() for word in code.name.split("_")) for code in grpc.StatusCode}
CODES[0] = "OK"


class Call:
    """A context that ends a call with the status which says what its block raises, and counts it.

    A class, because a generator costs three times as much.

    Attributes:
        path: of its method.
        leave: gives its place back; None as long as it has none.
    """

    __slots__ = ("_context", "_metrics", "_request_id", "_start", "leave", "path")

    def __init__(self, path: str, metrics: MethodMetrics, context: Context) -> None:
        self.path = path
        self.leave: Leave | None = None
        self._metrics = metrics
        self._context: Context | None = context
        self._request_id = ""
        self._start = time.perf_counter()
        metrics.started += 1
        _at_work.set(self)

    @property
    def request_id(self) -> str:
        """What the caller or its proxy calls the request, else a new name; empty if nobody asked before it ended."""
        if not self._request_id and self._context is not None:
            self._request_id = _sent_name(self._context) or str(uuid7())
        return self._request_id

    async def __aenter__(self) -> "Call":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        context = self._context
        if error is None or context is None:
            self._end("OK")
        elif not isinstance(error, Exception) or isinstance(error, grpc.aio.AbortError):
            # Cancellation passes; so does the end of a call that was answered already.
            self._end(_code_of(error, context))
        else:
            try:
                await answer_error(context, error, self.request_id)
            except BaseException as last:
                self._end(_code_of(last, context))
                raise

    def _end(self, code: str) -> None:
        """Leave its place, now that it is answered, also with an error: who waits for that may cut off what is left."""
        if self.leave is not None:
            self.leave()
        self._metrics.end(code, time.perf_counter() - self._start)
        self._context = None  # what it has begun may outlive it, and must not keep it from being freed


_at_work: Final[ContextVar[Call | None]] = ContextVar("call", default=None)


def call_at_work() -> Call | None:
    """Return the call on whose behalf something is done."""
    return _at_work.get()


def _sent_name(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID and isinstance(value, str) and 0 < len(value) <= REQUEST_ID_LENGTH_MAX:
            return value
    return ""


def _code_of(error: BaseException, context: Context) -> str:
    if isinstance(error, grpc.aio.AbortError):
        code: object = context.code()
        number = code.value[0] if isinstance(code, grpc.StatusCode) else code
        return CODES.get(number, "Unknown") if isinstance(number, int) else "Unknown"
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        # The caller's deadline arrives as a cancellation, with exactly nothing left.
        return "DeadlineExceeded" if context.time_remaining() == 0 else "Canceled"
    return "Unknown"
