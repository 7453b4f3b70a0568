"""What lets a stranger look into a running server: reflection and channelz."""

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from grpc_channelz.v1._async import ChannelzServicer
from grpc_channelz.v1.channelz_pb2 import DESCRIPTOR as CHANNELZ
from grpc_channelz.v1.channelz_pb2_grpc import add_ChannelzServicer_to_server
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from ratel.server.methods import Methods

REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
# Version 1 has the messages of v1alpha, byte for byte, and some clients know nothing else.
REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"


def add_introspection(methods: Methods, service_names: Sequence[str]) -> None:
    """Let a server describe the services of these names and itself."""
    stand_in: Any = methods
    add_ChannelzServicer_to_server(ChannelzServicer(), stand_in)
    names = [*service_names, *(service.full_name for service in CHANNELZ.services_by_name.values()), REFLECTION]
    reflection = ReflectionServicer(names, descriptor_pool.Default())
    handler = grpc.stream_stream_rpc_method_handler(
        reflection.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = {"ServerReflectionInfo": handler}
    for name in (REFLECTION, REFLECTION_V1):
        methods.add_registered_method_handlers(name, handlers)
