"""Tells a story to a server through its public API, as a caller would.

Stories that share a server have a prefix for all their ids.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.account.v1.balance_pb2 import Balance
from ratel.account.v1.commitment_pb2 import Commitment
from ratel.catalog.v1 import catalog_service_pb2 as catalog
from ratel.core.product import Product
from ratel.core.window import end_of
from ratel.rating.v1.account_rating_pb2 import AccountRating
from ratel.rating.v1.rating_service_pb2 import RateAccountRequest
from ratel.server.convert.account import account_to_proto, adjustment_to_proto, attachment_to_proto
from ratel.server.convert.meter import (
    aggregation_to_proto,
    compound_to_proto,
    counter_to_proto,
    meter_to_proto,
    product_to_proto,
)
from ratel.server.convert.plan import plan_template_to_proto, plan_to_proto, settings_to_proto
from ratel.server.convert.plan_group import plan_group_to_proto
from ratel.server.convert.prepayment import balance_to_proto, commitment_to_proto, transaction_to_proto
from ratel.server.convert.pricing import pricing_to_proto
from ratel.server.convert.promotion import grant_to_proto, promotion_to_proto
from ratel.server.convert.value import instant_to_proto
from ratel.usage.v1.usage_event_pb2 import EventOutcome, UsageEvent
from ratel.usage.v1.usage_service_pb2 import StreamUsageRequest
from tests.conftest import Served, acknowledgements
from tests.told import ACCOUNT, METER, PRODUCT, Story, Usage

M = TypeVar("M", bound=Message)
P = TypeVar("P", Commitment, Balance)


class Teller:
    """One story and the server that hears it."""

    def __init__(self, server: Served, story: Story, prefix: str = "") -> None:
        self._server = server
        self._story = story
        self._prefix = prefix

    @property
    def account_id(self) -> str:
        """The account's id on the server."""
        return self._prefix + ACCOUNT.id

    async def tell(self) -> None:
        """Create all that the story has, then stream its usage, twice and in other batches."""
        await self.tell_catalog()
        await self.tell_account()
        await self.tell_usage(self._story.usages)

    async def tell_usage(self, usages: Sequence[Usage]) -> None:
        """Stream usage, twice and in other batches."""
        events = [event for usage in usages for event in self._events(usage)]
        await self._stream([*_batches(events, 7), *_batches(events[::-1], 11)])

    async def tell_catalog(self) -> None:
        """Write the settings and create the catalog."""
        stub, story, own = self._server.catalog, self._story, self._own
        await stub.UpdateSettings(catalog.UpdateSettingsRequest(settings=settings_to_proto(story.settings)))
        product = product_to_proto(Product(PRODUCT, "Product"))
        await stub.CreateProduct(catalog.CreateProductRequest(product=own(product)))
        await stub.CreateMeter(catalog.CreateMeterRequest(meter=own(meter_to_proto(story.meter))))
        for aggregation in map(aggregation_to_proto, story.aggregations.values()):
            await stub.CreateAggregation(catalog.CreateAggregationRequest(aggregation=own(aggregation)))
        for compound in map(compound_to_proto, story.compounds.values()):
            compound.formula = re.sub(
                "|".join(story.aggregations), lambda name: self._prefix + name[0], compound.formula
            )
            request = catalog.CreateCompoundAggregationRequest(compound_aggregation=own(compound))
            await stub.CreateCompoundAggregation(request)
        for counter in map(counter_to_proto, story.counters.values()):
            await stub.CreateCounter(catalog.CreateCounterRequest(counter=own(counter)))
        template = plan_template_to_proto(story.template)
        await stub.CreatePlanTemplate(catalog.CreatePlanTemplateRequest(plan_template=own(template)))
        for plan in map(plan_to_proto, story.plans):
            await stub.CreatePlan(catalog.CreatePlanRequest(plan=own(plan)))
        for group in map(plan_group_to_proto, story.groups):
            group.plan_ids[:] = [self._prefix + plan_id for plan_id in group.plan_ids]
            await stub.CreatePlanGroup(catalog.CreatePlanGroupRequest(plan_group=own(group)))
        for pricing in map(pricing_to_proto, story.pricings):
            await stub.CreatePricing(catalog.CreatePricingRequest(pricing=own(pricing)))
        for promotion in map(promotion_to_proto, story.promotions.values()):
            await stub.CreatePromotion(catalog.CreatePromotionRequest(promotion=own(promotion)))

    async def tell_account(self) -> None:
        """Create the account and its children, their attachments and adjustments."""
        stub, own = self._server.accounts, self._own
        for account in map(account_to_proto, (self._story.account, *self._story.children.values())):
            await stub.CreateAccount(accounts.CreateAccountRequest(account=own(account)))
        for attachment in map(attachment_to_proto, self._story.attachments):
            await stub.CreateAttachment(accounts.CreateAttachmentRequest(attachment=own(attachment)))
        for grant in map(grant_to_proto, self._story.grants):
            await stub.CreateGrant(accounts.CreateGrantRequest(grant=own(grant)))
        for commitment in map(commitment_to_proto, self._story.commitments):
            if commitment.HasField("fee_schedule"):
                own(commitment.fee_schedule)
            await stub.CreateCommitment(accounts.CreateCommitmentRequest(commitment=self._owned(commitment)))
        for book in self._story.balances:
            balance = self._owned(balance_to_proto(book.balance))
            await stub.CreateBalance(accounts.CreateBalanceRequest(balance=balance))
            for transaction in map(transaction_to_proto, book.transactions):
                request = accounts.CreateBalanceTransactionRequest(balance_transaction=own(transaction))
                await stub.CreateBalanceTransaction(request)
        for each in self._story.adjustments:
            adjusting = accounts.CreateCounterAdjustmentRequest(counter_adjustment=own(adjustment_to_proto(each)))
            await stub.CreateCounterAdjustment(adjusting)

    async def rate(self) -> AccountRating:
        """Rate what the story asks for."""
        asked = self._story.asked
        assert asked is not None
        return await self.rate_period(instant_to_proto(asked.start), instant_to_proto(end_of(asked)))

    async def rate_period(self, start_time: Timestamp, end_time: Timestamp) -> AccountRating:
        """Rate any period."""
        request = RateAccountRequest(account_id=self._story.asked_id, start_time=start_time, end_time=end_time)
        return (await self._server.rating.RateAccount(self._own(request))).account_rating

    async def _stream(self, batches: Sequence[Sequence[UsageEvent]]) -> None:
        async def requests() -> AsyncIterator[StreamUsageRequest]:
            for sequence, events in enumerate(batches):
                yield StreamUsageRequest(sequence=sequence, events=events)

        async for told in acknowledgements(self._server.usage.StreamUsage(requests())):
            refused = [each for each in told.verdicts if each.outcome != EventOutcome.EVENT_OUTCOME_DUPLICATE]
            assert not refused, refused

    def _events(self, usage: Usage) -> Iterator[UsageEvent]:
        for event_id in usage.ids:
            event = UsageEvent(account_id=usage.account_id, meter_id=METER, event_id=event_id, values=usage.values)
            event.event_time.CopyFrom(instant_to_proto(usage.time))
            yield self._own(event)

    def _own(self, message: M) -> M:
        """Put the prefix before all ids that are set."""
        for field, value in message.ListFields():
            if field.name == "id" or field.name.endswith("_id"):
                setattr(message, field.name, self._prefix + value)
        return message

    def _owned(self, message: P) -> P:
        """Put the prefix before the products of a commitment or balance too."""
        message.product_ids[:] = [self._prefix + each for each in message.product_ids]
        return self._own(message)


def _batches(events: Sequence[UsageEvent], size: int) -> Iterator[Sequence[UsageEvent]]:
    return (events[start : start + size] for start in range(0, len(events), size))
