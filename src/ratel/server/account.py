"""The accounts' service: each method converts, works in one transaction, and converts back.

Whoever writes what is an account's locks the account first, so that writers of one account see each other's work.
"""

from collections.abc import Callable
from datetime import date, datetime

from ratel.account.v1 import account_service_pb2 as pb
from ratel.account.v1.account_service_pb2_grpc import AccountServiceServicer
from ratel.core.account import Attachment, keep_accumulation
from ratel.core.counter import AccountAdjustment
from ratel.core.errors import Invalid, Mistakes
from ratel.core.period import date_from_text
from ratel.core.promotion import Grant
from ratel.server import clock, noun
from ratel.server.account_noun import ACCOUNT, ATTACHMENT, COUNTER_ADJUSTMENT, GRANT, replace_attachment
from ratel.server.errors import Context
from ratel.server.page import page_size, position_of, token_after
from ratel.store import resource
from ratel.store.account import ACCOUNTS, lock_account
from ratel.store.adjustment import ADJUSTMENTS
from ratel.store.attachment import ATTACHMENTS
from ratel.store.grant import GRANTS
from ratel.store.pool import Connection, Database
from ratel.store.resource import Stored


class Accounts(AccountServiceServicer):
    """Answers the methods of accounts."""

    def __init__(self, database: Database, now: Callable[[], datetime] = clock.now) -> None:
        self._database = database
        self._now = now

    # --- Account ---

    async def CreateAccount(self, request: pb.CreateAccountRequest, context: Context) -> pb.CreateAccountResponse:
        async with self._database.transaction() as connection:
            stored = await noun.create(connection, ACCOUNT, request.account, self._now())
        return pb.CreateAccountResponse(account=ACCOUNT.message(stored))

    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.GetAccountResponse:
        async with self._database.connection() as connection:
            stored = await resource.get(connection, ACCOUNTS, request.id)
        return pb.GetAccountResponse(account=ACCOUNT.message(stored))

    async def ListAccounts(self, request: pb.ListAccountsRequest, context: Context) -> pb.ListAccountsResponse:
        async with self._database.connection() as connection:
            accounts, token = await noun.page(connection, ACCOUNT, request)
        return pb.ListAccountsResponse(accounts=accounts, next_page_token=token)

    async def UpdateAccount(self, request: pb.UpdateAccountRequest, context: Context) -> pb.UpdateAccountResponse:
        async with self._database.transaction() as connection:
            await lock_account(connection, request.account.id)
            old = await resource.get(connection, ACCOUNTS, request.account.id)
            stored = await noun.update(connection, ACCOUNT, old, request, self._now())
        return pb.UpdateAccountResponse(account=ACCOUNT.message(stored))

    # --- Attachment ---

    async def CreateAttachment(
        self, request: pb.CreateAttachmentRequest, context: Context
    ) -> pb.CreateAttachmentResponse:
        async with self._database.transaction() as connection:
            await lock_account(connection, request.attachment.account_id)
            stored = await noun.create(connection, ATTACHMENT, request.attachment, self._now())
        return pb.CreateAttachmentResponse(attachment=ATTACHMENT.message(stored))

    async def GetAttachment(self, request: pb.GetAttachmentRequest, context: Context) -> pb.GetAttachmentResponse:
        async with self._database.connection() as connection:
            stored = await resource.get(connection, ATTACHMENTS, request.id)
        return pb.GetAttachmentResponse(attachment=ATTACHMENT.message(stored))

    async def ListAttachments(self, request: pb.ListAttachmentsRequest, context: Context) -> pb.ListAttachmentsResponse:
        async with self._database.connection() as connection:
            await resource.get(connection, ACCOUNTS, request.account_id)
            attachments, token = await noun.page(connection, ATTACHMENT, request, request.account_id)
        return pb.ListAttachmentsResponse(attachments=attachments, next_page_token=token)

    async def UpdateAttachment(
        self, request: pb.UpdateAttachmentRequest, context: Context
    ) -> pb.UpdateAttachmentResponse:
        async with self._database.transaction() as connection:
            old = await _locked_attachment(connection, request.attachment.id)
            stored = await noun.update(connection, ATTACHMENT, old, request, self._now())
        return pb.UpdateAttachmentResponse(attachment=ATTACHMENT.message(stored))

    async def DeleteAttachment(
        self, request: pb.DeleteAttachmentRequest, context: Context
    ) -> pb.DeleteAttachmentResponse:
        async with self._database.transaction() as connection:
            resource.check_etag(ATTACHMENTS, await _locked_attachment(connection, request.id), request.etag)
            await resource.delete(connection, ATTACHMENTS, request.id)
        return pb.DeleteAttachmentResponse()

    async def ReplaceAttachment(
        self, request: pb.ReplaceAttachmentRequest, context: Context
    ) -> pb.ReplaceAttachmentResponse:
        async with self._database.transaction() as connection:
            old = await _locked_attachment(connection, request.id)
            new = await noun.admit(connection, ATTACHMENT, request.attachment)
            if request.keep_accumulation:
                new = keep_accumulation(old.value, new)
            try:
                ended, stored = await replace_attachment(connection, old, new, self._now())
            except Invalid as error:
                raise error.under(ATTACHMENTS.name) from None
        return pb.ReplaceAttachmentResponse(
            ended_attachment=ATTACHMENT.message(ended), attachment=ATTACHMENT.message(stored)
        )

    # --- Counter adjustment ---

    async def CreateCounterAdjustment(
        self, request: pb.CreateCounterAdjustmentRequest, context: Context
    ) -> pb.CreateCounterAdjustmentResponse:
        async with self._database.transaction() as connection:
            await lock_account(connection, request.counter_adjustment.account_id)
            stored = await noun.create(connection, COUNTER_ADJUSTMENT, request.counter_adjustment, self._now())
        return pb.CreateCounterAdjustmentResponse(counter_adjustment=COUNTER_ADJUSTMENT.message(stored))

    async def ListCounterAdjustments(
        self, request: pb.ListCounterAdjustmentsRequest, context: Context
    ) -> pb.ListCounterAdjustmentsResponse:
        counter_id, day = position_of(request, ["", date.min.isoformat()])
        size = page_size(request)
        arguments = request.account_id, request.counter_id, counter_id, date_from_text(day), size + 1
        async with self._database.connection() as connection:
            await resource.get(connection, ACCOUNTS, request.account_id)
            found = await resource.page(connection, ADJUSTMENTS, *arguments)
        token = token_after(request, _position(found[size - 1])) if len(found) > size else ""
        adjustments = map(COUNTER_ADJUSTMENT.message, found[:size])
        return pb.ListCounterAdjustmentsResponse(counter_adjustments=adjustments, next_page_token=token)

    async def UpdateCounterAdjustment(
        self, request: pb.UpdateCounterAdjustmentRequest, context: Context
    ) -> pb.UpdateCounterAdjustmentResponse:
        given = request.counter_adjustment
        async with self._database.transaction() as connection:
            await lock_account(connection, given.account_id)
            key = given.account_id, given.counter_id, _day(given.date, "counter_adjustment.date")
            old = await resource.get(connection, ADJUSTMENTS, *key)
            stored = await noun.update(connection, COUNTER_ADJUSTMENT, old, request, self._now())
        return pb.UpdateCounterAdjustmentResponse(counter_adjustment=COUNTER_ADJUSTMENT.message(stored))

    async def DeleteCounterAdjustment(
        self, request: pb.DeleteCounterAdjustmentRequest, context: Context
    ) -> pb.DeleteCounterAdjustmentResponse:
        key = request.account_id, request.counter_id, _day(request.date, "date")
        async with self._database.transaction() as connection:
            await lock_account(connection, request.account_id)
            await noun.get_to_delete(connection, COUNTER_ADJUSTMENT, request.etag, *key)
            await resource.delete(connection, ADJUSTMENTS, *key)
        return pb.DeleteCounterAdjustmentResponse()

    # --- Grant ---

    async def CreateGrant(self, request: pb.CreateGrantRequest, context: Context) -> pb.CreateGrantResponse:
        async with self._database.transaction() as connection:
            await lock_account(connection, request.grant.account_id)
            stored = await noun.create(connection, GRANT, request.grant, self._now())
        return pb.CreateGrantResponse(grant=GRANT.message(stored))

    async def GetGrant(self, request: pb.GetGrantRequest, context: Context) -> pb.GetGrantResponse:
        async with self._database.connection() as connection:
            stored = await resource.get(connection, GRANTS, request.id)
        return pb.GetGrantResponse(grant=GRANT.message(stored))

    async def ListGrants(self, request: pb.ListGrantsRequest, context: Context) -> pb.ListGrantsResponse:
        async with self._database.connection() as connection:
            await resource.get(connection, ACCOUNTS, request.account_id)
            grants, token = await noun.page(connection, GRANT, request, request.account_id)
        return pb.ListGrantsResponse(grants=grants, next_page_token=token)

    async def UpdateGrant(self, request: pb.UpdateGrantRequest, context: Context) -> pb.UpdateGrantResponse:
        async with self._database.transaction() as connection:
            old = await _locked_grant(connection, request.grant.id)
            stored = await noun.update(connection, GRANT, old, request, self._now())
        return pb.UpdateGrantResponse(grant=GRANT.message(stored))

    async def DeleteGrant(self, request: pb.DeleteGrantRequest, context: Context) -> pb.DeleteGrantResponse:
        async with self._database.transaction() as connection:
            resource.check_etag(GRANTS, await _locked_grant(connection, request.id), request.etag)
            await resource.delete(connection, GRANTS, request.id)
        return pb.DeleteGrantResponse()


async def _locked_grant(connection: Connection, grant_id: str) -> Stored[Grant]:
    """Return a grant, read again once its account is locked."""
    found = await resource.get(connection, GRANTS, grant_id)
    await lock_account(connection, found.value.account_id)
    return await resource.get(connection, GRANTS, grant_id)


async def _locked_attachment(connection: Connection, attachment_id: str) -> Stored[Attachment]:
    """Return an attachment, read again once its account is locked."""
    found = await resource.get(connection, ATTACHMENTS, attachment_id)
    await lock_account(connection, found.value.account_id)
    return await resource.get(connection, ATTACHMENTS, attachment_id)


def _day(text: str, field: str) -> date:
    mistakes = Mistakes()
    with mistakes.under(field):
        day = date_from_text(text)
    mistakes.check()
    return day


def _position(stored: Stored[AccountAdjustment]) -> tuple[str, str]:
    adjustment = stored.value.adjustment
    return adjustment.counter_id, adjustment.date.isoformat()
