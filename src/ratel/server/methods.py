"""Every method of the server by path; ours with what stands around them.

That is metrics, errors, admission, and what is wrong with a request by itself. Health, reflection and channelz pass
untouched: they must answer when everything else is refused.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message

from ratel.core.errors import FieldInvalid
from ratel.server.admission import Admission
from ratel.server.call import Call
from ratel.server.errors import Context, Prompt, Quick
from ratel.server.message import stream_request
from ratel.server.metrics import CallMetrics, MethodMetrics
from ratel.server.request import check_request

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
FoundHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Method: TypeAlias = Callable[[Any, Context], Any]

OURS: Final = "/ratel."
# Its events break rules one by one, and each has a verdict of its own.
SUBMIT_USAGE: Final = "/ratel.usage.v1.UsageService/SubmitUsage"
# Messages that are not read by protobuf as a whole.
DESERIALIZERS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "/ratel.usage.v1.UsageService/StreamUsage": stream_request
}


class MessageMalformed(FieldInvalid):
    """The bytes are no message of the method's request."""

    reason = "MESSAGE_MALFORMED"


class Malformed:
    """Stands for a request that could not be read, until somebody can answer it."""


class Methods(grpc.GenericRpcHandler):
    """What answers calls, each method of ours wrapped once.

    Stands where generated code expects a server, and takes methods by name only. To gRPC all of them are one handler:
    for each call, of whatever method, it looks at every method that is registered with it by name.

    Args:
        metrics: counts calls.
        admission: lets them in.
        quick: what answers methods, by path, before their requests are read.
        prompt: the same without ever waiting.
    """

    def __init__(
        self, metrics: CallMetrics, admission: Admission, quick: Mapping[str, Quick], prompt: Mapping[str, Prompt]
    ) -> None:
        self._metrics = metrics
        self._admission = admission
        self._quick = quick
        self._prompt = prompt
        self._handlers: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Take nothing: generated code gives the same methods by name as well."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Take the methods of a service."""
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self._handlers[path] = self._wrap(path, handler) if path.startswith(OURS) else handler

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> FoundHandler:
        """Return what answers a call; gRPC answers others with UNIMPLEMENTED."""
        return self._handlers.get(handler_call_details.method)

    def _wrap(self, path: str, handler: Handler) -> Handler:
        kind, attribute, make_handler, wrap = SHAPES[handler.request_streaming, handler.response_streaming]
        metrics = self._metrics.of_method(path, kind)
        deserialize = DESERIALIZERS.get(path, handler.request_deserializer)
        ahead = self._quick.get(path), self._prompt.get(path)
        around = Around(path, metrics, self._admission, handler.request_streaming, deserialize, *ahead)
        wrapped: Handler = make_handler(
            wrap(around, getattr(handler, attribute)),
            around.deserialize if handler.request_streaming else None,
            lambda response: response if type(response) is bytes else response.SerializeToString(),
        )
        return wrapped


@dataclass(frozen=True, slots=True)
class Around:
    """What one method is wrapped in.

    Attributes:
        is_stream: whether callers send many messages, for as long as they like.
        quick: answers before a request is read, where it can.
        prompt: the same without ever waiting.
    """

    path: str
    metrics: MethodMetrics
    admission: Admission
    is_stream: bool
    _deserialize: Any
    quick: Quick | None
    prompt: Prompt | None

    def deserialize(self, data: bytes) -> Message | Malformed:
        """Return a message of the method."""
        try:
            message: Message = self._deserialize(data)
            return message
        except DecodeError:
            return Malformed()

    def call(self, context: Context) -> Call:
        """Return the context of a call that begins now."""
        return Call(self.path, self.metrics, context)

    def enter(self, call: Call) -> None:
        """Let a call in, or refuse it."""
        call.leave = self.admission.enter(is_stream=self.is_stream)

    def read(self, request: Any, context: Context) -> Any:
        """Return what a method is given of its caller: a stream of messages or the only one, checked."""
        return Messages(self, context) if self.is_stream else self._check(self.deserialize(request))

    def _check(self, request: Message | Malformed) -> Message:
        message = self.counted(request)
        if self.path != SUBMIT_USAGE:
            check_request(message)
        return message

    def counted(self, request: Message | Malformed) -> Message:
        """Count a message that was received, and refuse one that could not be read."""
        self.metrics.received += 1
        if isinstance(request, Malformed):
            raise MessageMalformed("the bytes are no message of this method")
        return request


class Messages:
    """A stream of messages, whose rules are the method's own business.

    Read from the context: the generator that gRPC gives, within one of ours, costs more than to take a message in.
    """

    def __init__(self, around: Around, context: Context) -> None:
        self._around = around
        self._context: Any = context  # whose `read` the stubs give no type

    def __aiter__(self) -> "Messages":
        return self

    async def __anext__(self) -> Message:
        request = await self._context.read()
        if request is grpc.aio.EOF:
            raise StopAsyncIteration
        return self._around.counted(request)


def _one(around: Around, method: Method) -> Method:
    quick, prompt, admission, metrics = around.quick, around.prompt, around.admission, around.metrics

    async def answer(request: Any, context: Context) -> Any:
        if prompt is not None and admission.is_open:
            # It is over within one turn of the loop: it takes no place, and nothing is ever said of it.
            start = time.perf_counter()
            response = prompt(request)
            if response is not None:
                metrics.answer(time.perf_counter() - start)
                return response
        async with around.call(context) as call:
            around.enter(call)
            response = None if quick is None else await quick(request)
            if response is None:
                response = await method(around.read(request, context), context)
            else:
                around.metrics.received += 1
            around.metrics.sent += 1
            return response

    return answer


def _many(around: Around, method: Method) -> Method:
    async def answer(request: Any, context: Context) -> AsyncIterator[Any]:
        async with around.call(context) as call:
            around.enter(call)
            async for response in method(around.read(request, context), context):
                yield response
                around.metrics.sent += 1

    return answer


SHAPES: Final[Mapping[tuple[bool, bool], tuple[str, str, Callable[..., Any], Callable[..., Method]]]] = {
    (False, False): ("unary", "unary_unary", grpc.unary_unary_rpc_method_handler, _one),
    (True, False): ("client_stream", "stream_unary", grpc.stream_unary_rpc_method_handler, _one),
    (False, True): ("server_stream", "unary_stream", grpc.unary_stream_rpc_method_handler, _many),
    (True, True): ("bidi_stream", "stream_stream", grpc.stream_stream_rpc_method_handler, _many),
}
