"""The accounts that are measured, all on the plan of catalog.yaml for ever."""

import asyncio
from collections.abc import Sequence

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from ratel.account.v1 import account_pb2, account_service_pb2, account_service_pb2_grpc, attachment_pb2

PLAN = "standard"
CALLS_AT_ONCE = 8


async def create_accounts(channel: grpc.aio.Channel, account_ids: Sequence[str]) -> None:
    """Create accounts and attach them."""
    stub = account_service_pb2_grpc.AccountServiceStub(channel)
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def create(account_id: str) -> None:
        account = account_pb2.Account(id=account_id, name=account_id)
        attachment = attachment_pb2.Attachment(
            id=account_id, account_id=account_id, plan_id=PLAN, start_time=Timestamp(seconds=0)
        )
        async with places:
            await stub.CreateAccount(account_service_pb2.CreateAccountRequest(account=account))
            await stub.CreateAttachment(account_service_pb2.CreateAttachmentRequest(attachment=attachment))

    await asyncio.gather(*map(create, account_ids))
