"""What stands around every method of ours: metrics, errors, admission, and what is wrong with a request by itself.

Health, reflection and channelz pass untouched: they must answer when everything else is refused.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from uuid_utils import uuid7

from ratel.core.errors import FieldInvalid
from ratel.server.admission import Admission, Place
from ratel.server.errors import AnsweringErrors, Context
from ratel.server.message import stream_request
from ratel.server.metrics import CallMetrics, MethodMetrics
from ratel.server.request import check_request

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
FoundHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Method: TypeAlias = Callable[[Any, Context], Any]

OURS = "/ratel."
# Its events break rules one by one, and each has a verdict of its own.
SUBMIT_USAGE = "/ratel.usage.v1.UsageService/SubmitUsage"
# Messages that are not read by protobuf as a whole.
DESERIALIZERS: dict[str, Callable[[bytes], Any]] = {"/ratel.usage.v1.UsageService/StreamUsage": stream_request}
REQUEST_ID = "x-request-id"
REQUEST_ID_LENGTH_MAX = 128


class MessageMalformed(FieldInvalid):
    """The bytes are no message of the method's request."""

    reason = "MESSAGE_MALFORMED"


class Malformed:
    """Stands for a request that could not be read, until somebody can answer it."""


@dataclass(frozen=True, slots=True)
class Around:
    """What one method is wrapped in."""

    path: str
    metrics: MethodMetrics
    place: Place

    def read(self, request: Message | Malformed) -> Message:
        """Count a message that was received, and refuse one that could not be read."""
        self.metrics.received.inc()
        if isinstance(request, Malformed):
            raise MessageMalformed("the bytes are no message of this method")
        return request

    def check(self, request: Message | Malformed) -> Message:
        """Read the only message of a call and refuse what is wrong by itself."""
        message = self.read(request)
        if self.path != SUBMIT_USAGE:
            check_request(message)
        return message

    async def read_all(self, requests: AsyncIterator[Message | Malformed]) -> AsyncIterator[Message]:
        """Read a stream of messages, whose rules are the method's own business."""
        async for request in requests:
            yield self.read(request)


class Interceptor(grpc.aio.ServerInterceptor):
    """Wraps every method of ours, once."""

    def __init__(self, metrics: CallMetrics, admission: Admission) -> None:
        self._metrics = metrics
        self._admission = admission
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[FoundHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> FoundHandler:
        """Return a method's handler, wrapped if it is ours."""
        path = handler_call_details.method
        wrapped = self._wrapped.get(path)
        if wrapped is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        # No handler: gRPC answers UNIMPLEMENTED. Only what exists is kept, or callers could fill the memory.
        if handler is None or not path.startswith(OURS):
            return handler
        self._wrapped[path] = self._wrap(path, handler)
        return self._wrapped[path]

    def _wrap(self, path: str, handler: Handler) -> Handler:
        kind, attribute, make_handler, wrap = SHAPES[handler.request_streaming, handler.response_streaming]
        metrics = self._metrics.of_method(path, kind)
        around = Around(path, metrics, self._admission.place(is_stream=handler.request_streaming))
        read = around.read_all if handler.request_streaming else around.check
        answer = wrap(around, read, getattr(handler, attribute))
        wrapped: Handler = make_handler(
            answer, _reader(DESERIALIZERS.get(path, handler.request_deserializer)), handler.response_serializer
        )
        return wrapped


def _one(around: Around, read: Callable[[Any], Any], method: Method) -> Method:
    async def answer(request: Any, context: Context) -> Any:
        # A call leaves its place when it is answered, also with an error: what waits for that may cut off what is left.
        with around.metrics.observing(context), ExitStack() as leaving:
            async with AnsweringErrors(context, _name_call(around, context)):
                leaving.enter_context(around.place)
                response = await method(read(request), context)
            around.metrics.sent.inc()
            return response

    return answer


def _many(around: Around, read: Callable[[Any], Any], method: Method) -> Method:
    async def answer(request: Any, context: Context) -> AsyncIterator[Any]:
        with around.metrics.observing(context), ExitStack() as leaving:
            async with AnsweringErrors(context, _name_call(around, context)):
                leaving.enter_context(around.place)
                async for response in method(read(request), context):
                    yield response
                    around.metrics.sent.inc()

    return answer


SHAPES: dict[tuple[bool, bool], tuple[str, str, Callable[..., Any], Callable[..., Method]]] = {
    (False, False): ("unary", "unary_unary", grpc.unary_unary_rpc_method_handler, _one),
    (True, False): ("client_stream", "stream_unary", grpc.stream_unary_rpc_method_handler, _one),
    (False, True): ("server_stream", "unary_stream", grpc.unary_stream_rpc_method_handler, _many),
    (True, True): ("bidi_stream", "stream_stream", grpc.stream_stream_rpc_method_handler, _many),
}


def _reader(deserialize: Any) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return Malformed()

    return read


def _name_call(around: Around, context: Context) -> str:
    """Return what the caller or its proxy calls the request, or a new name, and put it on whatever is logged."""
    request_id = next(
        (
            value
            for key, value in context.invocation_metadata() or ()
            if key == REQUEST_ID and isinstance(value, str) and 0 < len(value) <= REQUEST_ID_LENGTH_MAX
        ),
        "",
    ) or str(uuid7())
    structlog.contextvars.bind_contextvars(request_id=request_id, method=around.path)
    return request_id
