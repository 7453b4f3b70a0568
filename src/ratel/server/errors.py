"""How a failure leaves the server: one table of status codes, and google.rpc.Status with what a program needs.

The only place that catches everything. What is not an error of ours is a fault of ours: it is logged with its places in
the code, and the caller learns no more than that and the request's id.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import to_status

from ratel.core import errors
from ratel.core.errors import Invalid, RatelError, Violation

T = TypeVar("T")
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Quick: TypeAlias = Callable[[bytes], Awaitable[bytes | None]]
"""Answers a request by its bytes, as the method would; None where only the method can. Raises what that may raise."""
Prompt: TypeAlias = Callable[[bytes], bytes | None]
"""The same at once, and raises nothing: what is wrong with a request is for the method to say."""

DOMAIN = "ratel"
STATUS_CODES: Mapping[type[RatelError], grpc.StatusCode] = {
    errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.Conflict: grpc.StatusCode.ALREADY_EXISTS,
    errors.Unready: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Stale: grpc.StatusCode.ABORTED,
    errors.Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Denied: grpc.StatusCode.PERMISSION_DENIED,
}
# What may be worth repeating as it is, and after how many seconds.
RETRY_SECONDS: Mapping[type[RatelError], int] = {
    errors.Draining: 0,
    errors.TransactionConflict: 0,
    errors.Exhausted: 1,
    errors.Unavailable: 1,
}
# Details travel in a trailer, in base64, and clients take 8 KiB of trailers unless told otherwise.
VIOLATIONS_BYTES_MAX = 4096
MESSAGE_LENGTH_MAX = 500

log = structlog.get_logger()


async def answer_error(context: Context, error: Exception, request_id: str) -> NoReturn:
    """End a call with the status which says what its work raised.

    Raises:
        grpc.aio.AbortError: always, as gRPC wants it.
    """
    await context.abort_with_status(to_status(_status_to_answer(error, request_id)))
    raise AssertionError("a call goes on after its end")


def _status_to_answer(error: Exception, request_id: str) -> Status:
    if not isinstance(error, RatelError):
        log.error("failed", exc_info=error)
        return _internal_status(request_id)
    if isinstance(error, errors.Unavailable) and not isinstance(error, errors.Draining):
        log.warning("unavailable", reason=error.reason, exc_info=error.__cause__)
    return status_of(error, request_id)


def status_of(error: RatelError, request_id: str = "") -> Status:
    """Return an error of ours as google.rpc.Status: ErrorInfo first, then what else is known of it."""
    info = ErrorInfo(domain=DOMAIN, reason=error.reason, metadata=error.metadata)
    details: list[Message] = [info]
    if isinstance(error, Invalid):
        details.append(_bad_request(error.violations))
    delay = _of_trunk(RETRY_SECONDS, error)
    if delay is not None:
        details.append(RetryInfo(retry_delay=Duration(seconds=delay)))
    code = _of_trunk(STATUS_CODES, error) or grpc.StatusCode.UNKNOWN
    return _status(code, error.message, [*details, *_request_info(request_id)])


def _internal_status(request_id: str) -> Status:
    details = [ErrorInfo(domain=DOMAIN, reason="INTERNAL"), *_request_info(request_id)]
    return _status(grpc.StatusCode.INTERNAL, "an error inside the server, which its log describes", details)


def _status(code: grpc.StatusCode, message: str, details: Iterable[Message]) -> Status:
    if len(message) > MESSAGE_LENGTH_MAX:
        message = f"{message[:MESSAGE_LENGTH_MAX]} ..."
    status = Status(code=code.value[0], message=message)
    for each in details:
        status.details.add().Pack(each)
    return status


def _request_info(request_id: str) -> list[Message]:
    return [RequestInfo(request_id=request_id)] if request_id else []


def _bad_request(violations: Iterable[Violation]) -> BadRequest:
    """Return as many violations as a trailer can carry, and at the end how many more there are."""
    answer = BadRequest()
    size = left_out = 0
    for each in violations:
        violation = BadRequest.FieldViolation(field=each.field, reason=each.reason, description=each.message)
        size += violation.ByteSize()
        if size > VIOLATIONS_BYTES_MAX:
            left_out += 1
        else:
            answer.field_violations.append(violation)
    if left_out:
        answer.field_violations.add(reason="MORE", description=f"and {left_out} more")
    return answer


def _of_trunk(table: Mapping[type[RatelError], T], error: RatelError) -> T | None:
    """Return the entry of the nearest class of an error."""
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)
