"""The accounts' service: each method converts, works in one transaction, and converts back.

Whoever writes what is an account's locks the account first, so that writers of one account see each other's work.
"""

from dataclasses import replace
from datetime import date

from ratel.account.v1 import account_service_pb2 as pb
from ratel.core.account import Attachment, keep_accumulation
from ratel.core.counter import AccountAdjustment
from ratel.core.errors import Invalid, Mistakes
from ratel.core.period import date_from_text
from ratel.core.promotion import Grant
from ratel.core.purchase import AdHocCharge, check_cancel
from ratel.server import noun
from ratel.server.account_noun import (
    ACCOUNT,
    AD_HOC_CHARGE,
    ATTACHMENT,
    CHILD,
    COUNTER_ADJUSTMENT,
    GRANT,
    replace_attachment,
)
from ratel.server.convert.purchase import order_from_proto, purchase_to_proto
from ratel.server.convert.value import instant_from_proto, stored_to_proto
from ratel.server.errors import Context
from ratel.server.page import page_size, position_of, token_after
from ratel.server.prepayment import Prepayments
from ratel.store import resource
from ratel.store.account import ACCOUNTS, lock_account, lock_family
from ratel.store.adjustment import ADJUSTMENTS
from ratel.store.attachment import ATTACHMENTS
from ratel.store.grant import GRANTS
from ratel.store.pool import Connection
from ratel.store.purchase import AD_HOC_CHARGES, PURCHASES, create_purchase
from ratel.store.resource import Stored


class Accounts(Prepayments):
    """Answers the methods of accounts."""

    # --- Account ---

    async def CreateAccount(self, request: pb.CreateAccountRequest, context: Context) -> pb.CreateAccountResponse:
        async with self._database.transaction() as connection:
            await lock_family(connection, request.account.id, request.account.parent_account_id)
            stored = await noun.create(connection, ACCOUNT, request.account, self._now())
        return pb.CreateAccountResponse(account=ACCOUNT.message(stored))

    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.GetAccountResponse:
        async with self._database.connection() as connection:
            stored = await resource.get(connection, ACCOUNTS, request.id)
        return pb.GetAccountResponse(account=ACCOUNT.message(stored))

    async def ListAccounts(self, request: pb.ListAccountsRequest, context: Context) -> pb.ListAccountsResponse:
        async with self._database.connection() as connection:
            if request.parent_account_id:
                await resource.get(connection, ACCOUNTS, request.parent_account_id)
                accounts, token = await noun.page(connection, CHILD, request, request.parent_account_id)
            else:
                accounts, token = await noun.page(connection, ACCOUNT, request)
        return pb.ListAccountsResponse(accounts=accounts, next_page_token=token)

    async def UpdateAccount(self, request: pb.UpdateAccountRequest, context: Context) -> pb.UpdateAccountResponse:
        async with self._database.transaction() as connection:
            await lock_family(connection, request.account.id, request.account.parent_account_id)
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

    # --- Purchase ---

    async def CreatePurchase(self, request: pb.CreatePurchaseRequest, context: Context) -> pb.CreatePurchaseResponse:
        order = order_from_proto(request.purchase)
        async with self._database.transaction() as connection:
            await lock_account(connection, order.account_id)
            try:
                stored = await create_purchase(connection, order, self._now())
            except Invalid as error:
                raise error.under(PURCHASES.name) from None
        return pb.CreatePurchaseResponse(purchase=stored_to_proto(stored, purchase_to_proto))

    async def GetPurchase(self, request: pb.GetPurchaseRequest, context: Context) -> pb.GetPurchaseResponse:
        async with self._database.connection() as connection:
            stored = await resource.get(connection, PURCHASES, request.id)
        return pb.GetPurchaseResponse(purchase=stored_to_proto(stored, purchase_to_proto))

    async def ListPurchases(self, request: pb.ListPurchasesRequest, context: Context) -> pb.ListPurchasesResponse:
        (after,), size = position_of(request, [""]), page_size(request)
        async with self._database.connection() as connection:
            await resource.get(connection, ACCOUNTS, request.account_id)
            found = await resource.page(connection, PURCHASES, request.account_id, after, size + 1)
        token = token_after(request, (found[size - 1].value.order.id,)) if len(found) > size else ""
        purchases = (stored_to_proto(each, purchase_to_proto) for each in found[:size])
        return pb.ListPurchasesResponse(purchases=purchases, next_page_token=token)

    async def CancelPurchase(self, request: pb.CancelPurchaseRequest, context: Context) -> pb.CancelPurchaseResponse:
        mistakes = Mistakes()
        with mistakes.under("cancel_time"):
            cancel_time = instant_from_proto(request.cancel_time)
        mistakes.check()
        async with self._database.transaction() as connection:
            found = await resource.get(connection, PURCHASES, request.id)
            await lock_account(connection, found.value.order.account_id)
            stored = await resource.get(connection, PURCHASES, request.id)
            resource.check_etag(PURCHASES, stored, request.etag)
            if stored.value.cancel_time is None:
                check_cancel(stored.value, cancel_time)
                cancelled = replace(stored.value, cancel_time=cancel_time)
                stored = await resource.update(connection, PURCHASES, stored, cancelled, self._now())
        return pb.CancelPurchaseResponse(purchase=stored_to_proto(stored, purchase_to_proto))

    # --- Ad-hoc charge ---

    async def CreateAdHocCharge(
        self, request: pb.CreateAdHocChargeRequest, context: Context
    ) -> pb.CreateAdHocChargeResponse:
        async with self._database.transaction() as connection:
            await lock_account(connection, request.ad_hoc_charge.account_id)
            stored = await noun.create(connection, AD_HOC_CHARGE, request.ad_hoc_charge, self._now())
        return pb.CreateAdHocChargeResponse(ad_hoc_charge=AD_HOC_CHARGE.message(stored))

    async def GetAdHocCharge(self, request: pb.GetAdHocChargeRequest, context: Context) -> pb.GetAdHocChargeResponse:
        async with self._database.connection() as connection:
            stored = await resource.get(connection, AD_HOC_CHARGES, request.id)
        return pb.GetAdHocChargeResponse(ad_hoc_charge=AD_HOC_CHARGE.message(stored))

    async def ListAdHocCharges(
        self, request: pb.ListAdHocChargesRequest, context: Context
    ) -> pb.ListAdHocChargesResponse:
        async with self._database.connection() as connection:
            await resource.get(connection, ACCOUNTS, request.account_id)
            charges, token = await noun.page(connection, AD_HOC_CHARGE, request, request.account_id)
        return pb.ListAdHocChargesResponse(ad_hoc_charges=charges, next_page_token=token)

    async def UpdateAdHocCharge(
        self, request: pb.UpdateAdHocChargeRequest, context: Context
    ) -> pb.UpdateAdHocChargeResponse:
        async with self._database.transaction() as connection:
            old = await _locked_charge(connection, request.ad_hoc_charge.id)
            stored = await noun.update(connection, AD_HOC_CHARGE, old, request, self._now())
        return pb.UpdateAdHocChargeResponse(ad_hoc_charge=AD_HOC_CHARGE.message(stored))

    async def DeleteAdHocCharge(
        self, request: pb.DeleteAdHocChargeRequest, context: Context
    ) -> pb.DeleteAdHocChargeResponse:
        async with self._database.transaction() as connection:
            resource.check_etag(AD_HOC_CHARGES, await _locked_charge(connection, request.id), request.etag)
            await resource.delete(connection, AD_HOC_CHARGES, request.id)
        return pb.DeleteAdHocChargeResponse()


async def _locked_grant(connection: Connection, grant_id: str) -> Stored[Grant]:
    """Return a grant, read again once its account is locked."""
    found = await resource.get(connection, GRANTS, grant_id)
    await lock_account(connection, found.value.account_id)
    return await resource.get(connection, GRANTS, grant_id)


async def _locked_charge(connection: Connection, charge_id: str) -> Stored[AdHocCharge]:
    found = await resource.get(connection, AD_HOC_CHARGES, charge_id)
    await lock_account(connection, found.value.account_id)
    return await resource.get(connection, AD_HOC_CHARGES, charge_id)


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
