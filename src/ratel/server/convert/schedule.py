"""The schedule of a plan, and the bill periods that a pricing cuts; only sent, never received."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from ratel.catalog.v1 import catalog_service_pb2, plan_schedule_pb2
from ratel.core.period import Period
from ratel.core.pricing import PRICED_FIELDS, Pricing
from ratel.core.schedule import (
    PeriodCut,
    PricingOrigin,
    ScheduledPricing,
    ScheduleEntry,
    ScheduleState,
)
from ratel.server.convert.pricing import pricing_to_proto
from ratel.server.convert.value import EnumPair, instant_to_proto, optional_instant_to_proto, stored_to_proto
from ratel.store.resource import Stored

STATES = EnumPair(
    ScheduleState, plan_schedule_pb2.ScheduleState.Name, plan_schedule_pb2.ScheduleState.Value, "SCHEDULE_STATE_"
)
ORIGINS = EnumPair(
    PricingOrigin, plan_schedule_pb2.PricingOrigin.Name, plan_schedule_pb2.PricingOrigin.Value, "PRICING_ORIGIN_"
)

StoredPricings = Mapping[str, Stored[Pricing]]


def plan_schedule_to_proto(
    plan_id: str, view_time: datetime, entries: Iterable[ScheduleEntry], stored: StoredPricings
) -> plan_schedule_pb2.PlanSchedule:
    """Return the message of a schedule, whose pricings are stored under their ids."""
    return plan_schedule_pb2.PlanSchedule(
        plan_id=plan_id,
        view_time=instant_to_proto(view_time),
        entries=[_entry_to_proto(entry, stored) for entry in entries],
    )


def _entry_to_proto(entry: ScheduleEntry, stored: StoredPricings) -> plan_schedule_pb2.ScheduleEntry:
    fields = entry.pricings[0].pricing.segment_fields
    message = plan_schedule_pb2.ScheduleEntry(
        segment=dict(zip(fields, entry.segment, strict=True)),
        pricings=[_scheduled_to_proto(scheduled, stored) for scheduled in entry.pricings],
    )
    setattr(message, PRICED_FIELDS[entry.priced.kind], entry.priced.id)
    return message


def _scheduled_to_proto(scheduled: ScheduledPricing, stored: StoredPricings) -> plan_schedule_pb2.ScheduledPricing:
    return plan_schedule_pb2.ScheduledPricing(
        pricing=stored_to_proto(stored[scheduled.pricing.id], pricing_to_proto),
        state=STATES.to_proto(scheduled.state),
        origin=ORIGINS.to_proto(scheduled.origin),
        periods_in_force=map(_period_to_proto, scheduled.periods_in_force),
    )


def _period_to_proto(period: Period) -> plan_schedule_pb2.ScheduledPeriod:
    return plan_schedule_pb2.ScheduledPeriod(
        start_time=instant_to_proto(period.start), end_time=optional_instant_to_proto(period.end)
    )


def period_cut_to_proto(cut: PeriodCut) -> catalog_service_pb2.PeriodCut:
    """Return the message of a cut."""
    return catalog_service_pb2.PeriodCut(
        account_id=cut.account_id,
        attachment_id=cut.attachment_id,
        period_start_time=instant_to_proto(cut.period.start),
        period_end_time=optional_instant_to_proto(cut.period.end),
        cut_time=instant_to_proto(cut.time),
    )
