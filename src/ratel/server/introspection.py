"""What lets a stranger look into a running server: reflection and channelz."""

from collections.abc import Sequence

import grpc
from google.protobuf import descriptor_pool
from grpc_channelz.v1.channelz import add_channelz_servicer
from grpc_channelz.v1.channelz_pb2 import DESCRIPTOR as CHANNELZ
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
# Version 1 has the messages of v1alpha, byte for byte, and some clients know nothing else.
REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"


def add_introspection(server: grpc.aio.Server, service_names: Sequence[str]) -> None:
    """Let a server describe the services of these names and itself."""
    add_channelz_servicer(server)
    names = [*service_names, *(service.full_name for service in CHANNELZ.services_by_name.values()), REFLECTION]
    reflection = ReflectionServicer(names, descriptor_pool.Default())
    handler = grpc.stream_stream_rpc_method_handler(
        reflection.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, handlers) for name in (REFLECTION, REFLECTION_V1))
    )
