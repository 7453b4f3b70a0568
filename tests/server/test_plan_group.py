"""Plan groups over the wire: what is refused, what may change, and what they charge (R6.2)."""

from typing import Any

import pytest

from ratel.account.v1 import account_service_pb2 as accounts
from ratel.catalog.v1.plan_group_pb2 import PlanGroup
from ratel.catalog.v1.plan_template_pb2 import BILL_FREQUENCY_WEEKLY
from ratel.rating.v1.bill_pb2 import Bill
from ratel.rating.v1.rating_service_pb2 import RateAccountRequest
from tests.conftest import Served
from tests.server import example
from tests.server.billing import get, preview, run, shown
from tests.server.example import Failure, call, create, create_anew, failure, time, update

PLANS = ["gold", "tin"]


@pytest.fixture(autouse=True)
async def anew(server: Served) -> None:
    """Two plans of two products, beside three that do not go with them."""
    await create_anew(server)
    await create(server, "Product", example.product(id="phone"))
    templates: dict[str, dict[str, Any]] = {
        "phone": {"product_id": "phone"},
        "foreign": {"currency": "EUR"},
        "weekly": {"bill_frequency": BILL_FREQUENCY_WEEKLY},
        "rare": {"bill_interval": 2},
    }
    for name, changed in templates.items():
        await create(server, "PlanTemplate", example.template(id=name, **changed))
        await create(server, "Plan", example.plan(id="tin" if name == "phone" else name, plan_template_id=name))


async def group(server: Served, **changed: Any) -> PlanGroup:
    created: PlanGroup = (await create(server, "PlanGroup", example.plan_group(**changed))).plan_group
    return created


@pytest.mark.parametrize(
    ("changed", "violation"),
    [
        ({"plan_ids": ["gold", "foreign"]}, ("plan_ids", "CURRENCY_DIFFERENT")),
        ({"currency": "EUR"}, ("plan_ids", "CURRENCY_DIFFERENT")),
        ({"plan_ids": ["gold", "weekly"]}, ("plan_ids", "FREQUENCY_DIFFERENT")),
        ({"plan_ids": ["gold", "rare"]}, ("plan_ids", "FREQUENCY_DIFFERENT")),
        ({"plan_ids": []}, ("plan_ids", "REPEATED_MIN_ITEMS")),
        ({"plan_ids": ["gold", "gold"]}, ("plan_ids", "REPEATED_UNIQUE")),
        ({"minimum_spend": "1.005"}, ("minimum_spend", "AMOUNT_DIGITS")),
        ({"maximum_spend": "-1"}, ("maximum_spend", "STRING_PATTERN")),
        ({"minimum_spend": "2", "maximum_spend": "1"}, ("maximum_spend", "MAXIMUM_BELOW_MINIMUM")),
    ],
)
async def test_a_group_that_contradicts_itself_or_its_plans_is_refused(
    server: Served, changed: dict[str, Any], violation: tuple[str, str]
) -> None:
    found = await failure(group(server, **changed))
    assert (found.code, found.violations) == ("INVALID_ARGUMENT", {(f"plan_group.{violation[0]}", violation[1])})


async def test_a_plan_is_in_one_group(server: Served) -> None:
    first = await group(server, plan_ids=["tin", "gold"])
    assert (list(first.plan_ids), first.currency) == (PLANS, "USD")
    refused = await failure(group(server, id="other"))
    grouped = Failure("FAILED_PRECONDITION", "PLAN_GROUPED", {"plan_id": "gold", "plan_group_id": "all"}, set())
    assert refused == grouped
    assert (await failure(group(server, id="other", plan_ids=["lost"]))).metadata == {"resource": "plan", "id": "lost"}
    assert (await failure(call(server, "DeletePlan", id="tin"))).metadata["user_resource"] == "plan_group"
    # A plan that has left is free for another one.
    changed = (await update(server, "PlanGroup", PlanGroup(id="all", plan_ids=["tin"]), "plan_ids")).plan_group
    assert changed.plan_ids == ["tin"]
    await group(server, id="other")
    assert await failure(update(server, "PlanGroup", PlanGroup(id="all", plan_ids=PLANS), "plan_ids")) == Failure(
        "FAILED_PRECONDITION", "PLAN_GROUPED", {"plan_id": "gold", "plan_group_id": "other"}, set()
    )
    assert (await failure(update(server, "PlanGroup", PlanGroup(id="all", currency="EUR"), "currency"))).reason == (
        "FIELD_IMMUTABLE"
    )
    listed = (await call(server, "ListPlanGroups", plan_id="tin")).plan_groups
    assert [each.id for each in listed] == ["all"]
    assert [each.id for each in (await call(server, "ListPlanGroups")).plan_groups] == ["all", "other"]
    await call(server, "DeletePlanGroup", id="all")
    await call(server, "DeletePlan", id="tin")


async def test_plans_of_two_products_have_a_minimum_together(server: Served) -> None:
    """What the group charges names neither plan nor attachment; corrections follow when it changes (R12.3)."""
    await group(server, plan_ids=PLANS, minimum_spend="100", maximum_spend="500")
    for name, charge in (("gold", "30"), ("tin", "12.50")):
        minimum = example.plan(id=name, terms={"minimum_spend": charge})
        await update(server, "Plan", minimum, "terms.minimum_spend")
        attached = example.attachment(id=f"acme-{name}", plan_id=name, start_time=time("2024-06-01"))
        await server.accounts.CreateAttachment(accounts.CreateAttachmentRequest(attachment=attached))
    asked = RateAccountRequest(account_id="acme", start_time=time("2024-06-01"), end_time=time("2024-07-01"))
    rating = (await server.rating.RateAccount(asked)).account_rating
    assert [item.amount for item in rating.line_items] == ["30.00", "12.50", "57.50"]
    item = rating.line_items[-1]
    assert (item.plan_group_id, item.plan_id, item.attachment_id, item.product_id) == ("all", "", "", "")
    assert (item.description, item.spend.spend, item.spend.prorated_limit) == ("All minimum spend", "42.50", "100.00")
    assert {each.plan_group_id for each in rating.line_items} == {"all"}
    await run(server, ["acme"], "2024-07-01")
    assert shown(await get(server, "acme", "2024-07-01")) == [
        ("MINIMUM_SPEND", "30.00", False),
        ("MINIMUM_SPEND", "12.50", False),
        ("MINIMUM_SPEND", "57.50", False),
    ]
    changed = PlanGroup(id="all", minimum_spend="90", minimum_spend_description="Together")
    await update(server, "PlanGroup", changed, "minimum_spend", "minimum_spend_description")
    rated = (await server.rating.RateAccount(asked)).account_rating
    assert (rated.line_items[-1].amount, rated.line_items[-1].description) == ("47.50", "Together")
    later = await preview(server, "acme", "2024-08-01")
    assert corrections(later) == [("Together", "-10.00", "57.50", "47.50")]
    await call(server, "DeletePlanGroup", id="all")
    later = await preview(server, "acme", "2024-08-01")
    assert corrections(later) == [("All minimum spend", "-57.50", "57.50", "0.00")]


def corrections(bill: Bill) -> list[tuple[str, str, str, str]]:
    return [
        (item.description, item.amount, item.correction.carried_amount, item.correction.due_amount)
        for item in bill.line_items
        if item.HasField("correction")
    ]
