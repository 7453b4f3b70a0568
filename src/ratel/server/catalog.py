"""The catalog's service: each method converts, works in one transaction, and converts back.

What a noun is and what it must fit stands in `catalog_noun`; the verbs stand in `noun`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from google.protobuf.message import Message

from ratel.catalog.v1 import catalog_service_pb2 as pb
from ratel.catalog.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from ratel.core.billing import check_not_billed
from ratel.core.errors import Mistakes
from ratel.core.pricing import Owner, OwnerKind
from ratel.core.schedule import schedule_entries
from ratel.server import clock, noun
from ratel.server.catalog_noun import (
    ADD_ON,
    AGGREGATION,
    COMPOUND_AGGREGATION,
    COUNTER,
    METER,
    PLAN,
    PLAN_GROUP,
    PLAN_TEMPLATE,
    PRICING,
    PRODUCT,
    PROMOTION,
    SETTINGS_NOUN,
)
from ratel.server.convert.schedule import period_cut_to_proto, plan_schedule_to_proto
from ratel.server.convert.value import instant_from_proto
from ratel.server.errors import Context
from ratel.server.noun import Noun
from ratel.server.pricing_draft import validate_pricing
from ratel.store import resource
from ratel.store.aggregation import delete_aggregation
from ratel.store.bill import billed_until
from ratel.store.effect import load_affected_plans, load_effect
from ratel.store.plan import PLANS
from ratel.store.pool import Database
from ratel.store.pricing import pricings_of_owners
from ratel.store.revision import move_revision

T = TypeVar("T")
M = TypeVar("M", bound=Message)


class Catalog(CatalogServiceServicer):
    """Answers the methods of the catalog."""

    def __init__(self, database: Database, now: Callable[[], datetime] = clock.now) -> None:
        self._database = database
        self._now = now

    async def _create(self, of: Noun[T, M], message: M) -> M:
        async with self._database.transaction() as connection:
            await move_revision(connection)
            return of.message(await noun.create(connection, of, message, self._now()))

    async def _get(self, of: Noun[T, M], *key: str) -> M:
        async with self._database.connection() as connection:
            return of.message(await resource.get(connection, of.resource, *key))

    async def _list(self, of: Noun[T, M], request: Message, *filters: str) -> tuple[list[M], str]:
        async with self._database.connection() as connection:
            return await noun.page(connection, of, request, *filters)

    async def _update(self, of: Noun[T, M], request: Any, *key: str) -> M:
        async with self._database.transaction() as connection:
            await move_revision(connection)
            old = await resource.get(connection, of.resource, *key)
            return of.message(await noun.update(connection, of, old, request, self._now()))

    async def _delete(self, of: Noun[T, M], request: Any) -> None:
        async with self._database.transaction() as connection:
            await move_revision(connection)
            await noun.get_to_delete(connection, of, request.etag, request.id)
            await resource.delete(connection, of.resource, request.id)

    # --- Product ---

    async def CreateProduct(self, request: pb.CreateProductRequest, context: Context) -> pb.CreateProductResponse:
        return pb.CreateProductResponse(product=await self._create(PRODUCT, request.product))

    async def GetProduct(self, request: pb.GetProductRequest, context: Context) -> pb.GetProductResponse:
        return pb.GetProductResponse(product=await self._get(PRODUCT, request.id))

    async def ListProducts(self, request: pb.ListProductsRequest, context: Context) -> pb.ListProductsResponse:
        products, token = await self._list(PRODUCT, request)
        return pb.ListProductsResponse(products=products, next_page_token=token)

    async def UpdateProduct(self, request: pb.UpdateProductRequest, context: Context) -> pb.UpdateProductResponse:
        return pb.UpdateProductResponse(product=await self._update(PRODUCT, request, request.product.id))

    async def DeleteProduct(self, request: pb.DeleteProductRequest, context: Context) -> pb.DeleteProductResponse:
        await self._delete(PRODUCT, request)
        return pb.DeleteProductResponse()

    # --- Meter ---

    async def CreateMeter(self, request: pb.CreateMeterRequest, context: Context) -> pb.CreateMeterResponse:
        return pb.CreateMeterResponse(meter=await self._create(METER, request.meter))

    async def GetMeter(self, request: pb.GetMeterRequest, context: Context) -> pb.GetMeterResponse:
        return pb.GetMeterResponse(meter=await self._get(METER, request.id))

    async def ListMeters(self, request: pb.ListMetersRequest, context: Context) -> pb.ListMetersResponse:
        meters, token = await self._list(METER, request, request.product_id)
        return pb.ListMetersResponse(meters=meters, next_page_token=token)

    async def UpdateMeter(self, request: pb.UpdateMeterRequest, context: Context) -> pb.UpdateMeterResponse:
        return pb.UpdateMeterResponse(meter=await self._update(METER, request, request.meter.id))

    async def DeleteMeter(self, request: pb.DeleteMeterRequest, context: Context) -> pb.DeleteMeterResponse:
        await self._delete(METER, request)
        return pb.DeleteMeterResponse()

    # --- Aggregation ---

    async def CreateAggregation(
        self, request: pb.CreateAggregationRequest, context: Context
    ) -> pb.CreateAggregationResponse:
        return pb.CreateAggregationResponse(aggregation=await self._create(AGGREGATION, request.aggregation))

    async def GetAggregation(self, request: pb.GetAggregationRequest, context: Context) -> pb.GetAggregationResponse:
        return pb.GetAggregationResponse(aggregation=await self._get(AGGREGATION, request.id))

    async def ListAggregations(
        self, request: pb.ListAggregationsRequest, context: Context
    ) -> pb.ListAggregationsResponse:
        aggregations, token = await self._list(AGGREGATION, request, request.product_id)
        return pb.ListAggregationsResponse(aggregations=aggregations, next_page_token=token)

    async def UpdateAggregation(
        self, request: pb.UpdateAggregationRequest, context: Context
    ) -> pb.UpdateAggregationResponse:
        return pb.UpdateAggregationResponse(
            aggregation=await self._update(AGGREGATION, request, request.aggregation.id)
        )

    async def DeleteAggregation(
        self, request: pb.DeleteAggregationRequest, context: Context
    ) -> pb.DeleteAggregationResponse:
        async with self._database.transaction() as connection:
            await move_revision(connection)
            old = await noun.get_to_delete(connection, AGGREGATION, request.etag, request.id)
            await delete_aggregation(connection, old.value)
        return pb.DeleteAggregationResponse()

    # --- CompoundAggregation ---

    async def CreateCompoundAggregation(
        self, request: pb.CreateCompoundAggregationRequest, context: Context
    ) -> pb.CreateCompoundAggregationResponse:
        return pb.CreateCompoundAggregationResponse(
            compound_aggregation=await self._create(COMPOUND_AGGREGATION, request.compound_aggregation)
        )

    async def GetCompoundAggregation(
        self, request: pb.GetCompoundAggregationRequest, context: Context
    ) -> pb.GetCompoundAggregationResponse:
        return pb.GetCompoundAggregationResponse(compound_aggregation=await self._get(COMPOUND_AGGREGATION, request.id))

    async def ListCompoundAggregations(
        self, request: pb.ListCompoundAggregationsRequest, context: Context
    ) -> pb.ListCompoundAggregationsResponse:
        compound_aggregations, token = await self._list(COMPOUND_AGGREGATION, request, request.product_id)
        return pb.ListCompoundAggregationsResponse(compound_aggregations=compound_aggregations, next_page_token=token)

    async def UpdateCompoundAggregation(
        self, request: pb.UpdateCompoundAggregationRequest, context: Context
    ) -> pb.UpdateCompoundAggregationResponse:
        return pb.UpdateCompoundAggregationResponse(
            compound_aggregation=await self._update(COMPOUND_AGGREGATION, request, request.compound_aggregation.id)
        )

    async def DeleteCompoundAggregation(
        self, request: pb.DeleteCompoundAggregationRequest, context: Context
    ) -> pb.DeleteCompoundAggregationResponse:
        await self._delete(COMPOUND_AGGREGATION, request)
        return pb.DeleteCompoundAggregationResponse()

    # --- Counter ---

    async def CreateCounter(self, request: pb.CreateCounterRequest, context: Context) -> pb.CreateCounterResponse:
        return pb.CreateCounterResponse(counter=await self._create(COUNTER, request.counter))

    async def GetCounter(self, request: pb.GetCounterRequest, context: Context) -> pb.GetCounterResponse:
        return pb.GetCounterResponse(counter=await self._get(COUNTER, request.id))

    async def ListCounters(self, request: pb.ListCountersRequest, context: Context) -> pb.ListCountersResponse:
        counters, token = await self._list(COUNTER, request, request.product_id)
        return pb.ListCountersResponse(counters=counters, next_page_token=token)

    async def UpdateCounter(self, request: pb.UpdateCounterRequest, context: Context) -> pb.UpdateCounterResponse:
        return pb.UpdateCounterResponse(counter=await self._update(COUNTER, request, request.counter.id))

    async def DeleteCounter(self, request: pb.DeleteCounterRequest, context: Context) -> pb.DeleteCounterResponse:
        await self._delete(COUNTER, request)
        return pb.DeleteCounterResponse()

    # --- PlanTemplate ---

    async def CreatePlanTemplate(
        self, request: pb.CreatePlanTemplateRequest, context: Context
    ) -> pb.CreatePlanTemplateResponse:
        return pb.CreatePlanTemplateResponse(plan_template=await self._create(PLAN_TEMPLATE, request.plan_template))

    async def GetPlanTemplate(self, request: pb.GetPlanTemplateRequest, context: Context) -> pb.GetPlanTemplateResponse:
        return pb.GetPlanTemplateResponse(plan_template=await self._get(PLAN_TEMPLATE, request.id))

    async def ListPlanTemplates(
        self, request: pb.ListPlanTemplatesRequest, context: Context
    ) -> pb.ListPlanTemplatesResponse:
        plan_templates, token = await self._list(PLAN_TEMPLATE, request, request.product_id)
        return pb.ListPlanTemplatesResponse(plan_templates=plan_templates, next_page_token=token)

    async def UpdatePlanTemplate(
        self, request: pb.UpdatePlanTemplateRequest, context: Context
    ) -> pb.UpdatePlanTemplateResponse:
        return pb.UpdatePlanTemplateResponse(
            plan_template=await self._update(PLAN_TEMPLATE, request, request.plan_template.id)
        )

    async def DeletePlanTemplate(
        self, request: pb.DeletePlanTemplateRequest, context: Context
    ) -> pb.DeletePlanTemplateResponse:
        await self._delete(PLAN_TEMPLATE, request)
        return pb.DeletePlanTemplateResponse()

    # --- Plan ---

    async def CreatePlan(self, request: pb.CreatePlanRequest, context: Context) -> pb.CreatePlanResponse:
        return pb.CreatePlanResponse(plan=await self._create(PLAN, request.plan))

    async def GetPlan(self, request: pb.GetPlanRequest, context: Context) -> pb.GetPlanResponse:
        return pb.GetPlanResponse(plan=await self._get(PLAN, request.id))

    async def ListPlans(self, request: pb.ListPlansRequest, context: Context) -> pb.ListPlansResponse:
        plans, token = await self._list(PLAN, request, request.product_id)
        return pb.ListPlansResponse(plans=plans, next_page_token=token)

    async def UpdatePlan(self, request: pb.UpdatePlanRequest, context: Context) -> pb.UpdatePlanResponse:
        return pb.UpdatePlanResponse(plan=await self._update(PLAN, request, request.plan.id))

    async def DeletePlan(self, request: pb.DeletePlanRequest, context: Context) -> pb.DeletePlanResponse:
        await self._delete(PLAN, request)
        return pb.DeletePlanResponse()

    # --- Pricing ---

    async def ValidatePricing(self, request: pb.ValidatePricingRequest, context: Context) -> pb.ValidatePricingResponse:
        async with self._database.snapshot() as connection:
            return await validate_pricing(connection, request)

    async def CreatePricing(self, request: pb.CreatePricingRequest, context: Context) -> pb.CreatePricingResponse:
        async with self._database.transaction() as connection:
            await move_revision(connection)
            stored = await noun.create(connection, PRICING, request.pricing, self._now())
            effect = await load_effect(connection, stored.value)
        return pb.CreatePricingResponse(
            pricing=PRICING.message(stored),
            affected_plan_ids=effect.plan_ids,
            period_cuts=map(period_cut_to_proto, effect.period_cuts),
            period_cut_count=effect.period_cut_count,
        )

    async def GetPricing(self, request: pb.GetPricingRequest, context: Context) -> pb.GetPricingResponse:
        return pb.GetPricingResponse(pricing=await self._get(PRICING, request.id))

    async def ListPricings(self, request: pb.ListPricingsRequest, context: Context) -> pb.ListPricingsResponse:
        pricings, token = await self._list(PRICING, request, request.plan_id, request.plan_template_id)
        return pb.ListPricingsResponse(pricings=pricings, next_page_token=token)

    async def UpdatePricing(self, request: pb.UpdatePricingRequest, context: Context) -> pb.UpdatePricingResponse:
        async with self._database.transaction() as connection:
            await move_revision(connection)
            old = await resource.get(connection, PRICING.resource, request.pricing.id)
            affected = await load_affected_plans(connection, old.value)
            stored = await noun.update(connection, PRICING, old, request, self._now())
            check_not_billed(old.value, stored.value, await billed_until(connection, old.value.id))
            effect = await load_effect(connection, stored.value)
        return pb.UpdatePricingResponse(
            pricing=PRICING.message(stored),
            affected_plan_ids=sorted({*affected, *effect.plan_ids}),
            period_cuts=map(period_cut_to_proto, effect.period_cuts),
            period_cut_count=effect.period_cut_count,
        )

    async def DeletePricing(self, request: pb.DeletePricingRequest, context: Context) -> pb.DeletePricingResponse:
        async with self._database.transaction() as connection:
            await move_revision(connection)
            old = await noun.get_to_delete(connection, PRICING, request.etag, request.id)
            affected = await load_affected_plans(connection, old.value)
            check_not_billed(old.value, None, await billed_until(connection, old.value.id))
            await resource.delete(connection, PRICING.resource, request.id)
        return pb.DeletePricingResponse(affected_plan_ids=affected)

    # --- Promotion ---

    async def CreatePromotion(self, request: pb.CreatePromotionRequest, context: Context) -> pb.CreatePromotionResponse:
        return pb.CreatePromotionResponse(promotion=await self._create(PROMOTION, request.promotion))

    async def GetPromotion(self, request: pb.GetPromotionRequest, context: Context) -> pb.GetPromotionResponse:
        return pb.GetPromotionResponse(promotion=await self._get(PROMOTION, request.id))

    async def ListPromotions(self, request: pb.ListPromotionsRequest, context: Context) -> pb.ListPromotionsResponse:
        promotions, token = await self._list(PROMOTION, request, request.plan_id)
        return pb.ListPromotionsResponse(promotions=promotions, next_page_token=token)

    async def UpdatePromotion(self, request: pb.UpdatePromotionRequest, context: Context) -> pb.UpdatePromotionResponse:
        return pb.UpdatePromotionResponse(promotion=await self._update(PROMOTION, request, request.promotion.id))

    async def DeletePromotion(self, request: pb.DeletePromotionRequest, context: Context) -> pb.DeletePromotionResponse:
        await self._delete(PROMOTION, request)
        return pb.DeletePromotionResponse()

    # --- Plan group ---

    async def CreatePlanGroup(self, request: pb.CreatePlanGroupRequest, context: Context) -> pb.CreatePlanGroupResponse:
        return pb.CreatePlanGroupResponse(plan_group=await self._create(PLAN_GROUP, request.plan_group))

    async def GetPlanGroup(self, request: pb.GetPlanGroupRequest, context: Context) -> pb.GetPlanGroupResponse:
        return pb.GetPlanGroupResponse(plan_group=await self._get(PLAN_GROUP, request.id))

    async def ListPlanGroups(self, request: pb.ListPlanGroupsRequest, context: Context) -> pb.ListPlanGroupsResponse:
        plan_groups, token = await self._list(PLAN_GROUP, request, request.plan_id)
        return pb.ListPlanGroupsResponse(plan_groups=plan_groups, next_page_token=token)

    async def UpdatePlanGroup(self, request: pb.UpdatePlanGroupRequest, context: Context) -> pb.UpdatePlanGroupResponse:
        return pb.UpdatePlanGroupResponse(plan_group=await self._update(PLAN_GROUP, request, request.plan_group.id))

    async def DeletePlanGroup(self, request: pb.DeletePlanGroupRequest, context: Context) -> pb.DeletePlanGroupResponse:
        await self._delete(PLAN_GROUP, request)
        return pb.DeletePlanGroupResponse()

    # --- Add-on ---

    async def CreateAddOn(self, request: pb.CreateAddOnRequest, context: Context) -> pb.CreateAddOnResponse:
        return pb.CreateAddOnResponse(add_on=await self._create(ADD_ON, request.add_on))

    async def GetAddOn(self, request: pb.GetAddOnRequest, context: Context) -> pb.GetAddOnResponse:
        return pb.GetAddOnResponse(add_on=await self._get(ADD_ON, request.id))

    async def ListAddOns(self, request: pb.ListAddOnsRequest, context: Context) -> pb.ListAddOnsResponse:
        add_ons, token = await self._list(ADD_ON, request, request.product_id)
        return pb.ListAddOnsResponse(add_ons=add_ons, next_page_token=token)

    async def UpdateAddOn(self, request: pb.UpdateAddOnRequest, context: Context) -> pb.UpdateAddOnResponse:
        return pb.UpdateAddOnResponse(add_on=await self._update(ADD_ON, request, request.add_on.id))

    async def DeleteAddOn(self, request: pb.DeleteAddOnRequest, context: Context) -> pb.DeleteAddOnResponse:
        await self._delete(ADD_ON, request)
        return pb.DeleteAddOnResponse()

    # --- The schedule of a plan ---

    async def GetPlanSchedule(self, request: pb.GetPlanScheduleRequest, context: Context) -> pb.GetPlanScheduleResponse:
        view_time = self._now()
        mistakes = Mistakes()
        if request.HasField("view_time"):
            with mistakes.under("view_time"):
                view_time = instant_from_proto(request.view_time)
        mistakes.check()
        async with self._database.snapshot() as connection:
            plan = (await resource.get(connection, PLANS, request.plan_id)).value
            stored = await pricings_of_owners(connection, [plan.id], [plan.plan_template_id])
        own = [each.value for each in stored if each.value.owner == Owner(OwnerKind.PLAN, plan.id)]
        inherited = [each.value for each in stored if each.value not in own]
        entries = schedule_entries(own, inherited, view_time)
        by_id = {each.value.id: each for each in stored}
        return pb.GetPlanScheduleResponse(plan_schedule=plan_schedule_to_proto(plan.id, view_time, entries, by_id))

    # --- Settings ---

    async def GetSettings(self, request: pb.GetSettingsRequest, context: Context) -> pb.GetSettingsResponse:
        return pb.GetSettingsResponse(settings=await self._get(SETTINGS_NOUN))

    async def UpdateSettings(self, request: pb.UpdateSettingsRequest, context: Context) -> pb.UpdateSettingsResponse:
        return pb.UpdateSettingsResponse(settings=await self._update(SETTINGS_NOUN, request))
