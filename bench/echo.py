"""An empty gRPC server, the limit of every call: it sends back the bytes that it got.

Usage: python -m bench.echo ADDRESS
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import uvloop

UNARY = "/bench.Echo/Unary"
STREAM = "/bench.Echo/Stream"


async def unary(request: bytes, context: object) -> bytes:
    """Answer one call."""
    return request


async def stream(requests: AsyncIterator[bytes], context: object) -> AsyncIterator[bytes]:
    """Answer each message of a stream."""
    async for request in requests:
        yield request


async def serve(address: str) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.stream_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1]))
