"""The catalog over the wire: every method succeeds and fails, every reason occurs, nothing half-written stays."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.conftest import Served
from tests.server import example
from tests.server.example import Failure, call, create, create_anew, failure, field_of, time, update

NOUNS: dict[str, Callable[..., Any]] = {
    "Product": example.product,
    "Meter": example.meter,
    "Aggregation": example.aggregation,
    "CompoundAggregation": example.compound,
    "Counter": example.counter,
    "PlanTemplate": example.template,
    "Plan": example.plan,
    "Pricing": example.pricing,
    "PlanGroup": example.plan_group,
    "Promotion": example.promotion,
    "AddOn": partial(example.add_on, flat_price="5"),
}


@pytest.fixture(autouse=True)
async def anew(server: Served) -> None:
    await create_anew(server)


# --- What every noun does ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", NOUNS)
async def test_what_is_created_is_read_and_may_be_created_again(server: Served, noun: str) -> None:
    message = NOUNS[noun]()
    created = getattr(await create(server, noun, message), field_of(noun))
    again = getattr(await create(server, noun, message), field_of(noun))
    read = getattr(await call(server, f"Get{noun}", id=message.id), field_of(noun))
    assert created == again == read
    assert created.etag
    assert created.create_time == created.update_time
    # What comes back may be sent as it is: it means the same.
    assert getattr(await create(server, noun, read), field_of(noun)) == read


@pytest.mark.parametrize("noun", NOUNS)
async def test_the_same_id_with_other_content_is_a_conflict(server: Served, noun: str) -> None:
    await create(server, noun, NOUNS[noun]())
    other = NOUNS[noun](description="Other") if noun == "Pricing" else NOUNS[noun](name="Other")
    found = await failure(create(server, noun, other))
    assert (found.code, found.reason) == ("ALREADY_EXISTS", "ALREADY_EXISTS")
    assert found.metadata == {"resource": field_of(noun), "id": other.id}


@pytest.mark.parametrize("noun", NOUNS)
async def test_what_does_not_exist_is_not_found(server: Served, noun: str) -> None:
    message = NOUNS[noun](id="nothing")
    expected = Failure("NOT_FOUND", "NOT_FOUND", {"resource": field_of(noun), "id": "nothing"}, set())
    assert await failure(call(server, f"Get{noun}", id="nothing")) == expected
    assert await failure(update(server, noun, message)) == expected
    assert await failure(call(server, f"Delete{noun}", id="nothing")) == expected


@pytest.mark.parametrize("noun", NOUNS)
async def test_an_update_changes_what_the_mask_names(server: Served, noun: str) -> None:
    field = "description" if noun == "Pricing" else "name"
    old = getattr(await create(server, noun, NOUNS[noun]()), field_of(noun))
    changed = getattr(await update(server, noun, type(old)(id=old.id, **{field: "New"}), field), field_of(noun))
    expected = type(old)()
    expected.CopyFrom(old)
    setattr(expected, field, "New")
    expected.etag = changed.etag
    expected.update_time.CopyFrom(changed.update_time)
    assert changed == expected
    assert changed.etag != old.etag
    assert changed.update_time.ToNanoseconds() > old.update_time.ToNanoseconds()
    assert getattr(await call(server, f"Get{noun}", id=old.id), field_of(noun)) == changed
    # Again with what is stored: nothing to do, so nothing changes.
    assert getattr(await update(server, noun, changed), field_of(noun)) == changed


@pytest.mark.parametrize("noun", NOUNS)
async def test_another_etag_is_refused(server: Served, noun: str) -> None:
    message = NOUNS[noun]()
    await create(server, noun, message)
    message.etag = "0"
    expected = Failure("ABORTED", "ETAG_MISMATCH", {"resource": field_of(noun), "id": message.id}, set())
    assert await failure(update(server, noun, message)) == expected
    assert await failure(call(server, f"Delete{noun}", id=message.id, etag="0")) == expected


async def test_everything_is_deleted_from_the_top_down(server: Served) -> None:
    await create(server, "Pricing", example.pricing())
    await create(server, "Promotion", example.promotion())
    await create(server, "PlanGroup", example.plan_group())
    await create(server, "AddOn", NOUNS["AddOn"]())
    for noun in reversed(NOUNS):
        message = NOUNS[noun]()
        stored = getattr(await call(server, f"Get{noun}", id=message.id), field_of(noun))
        await call(server, f"Delete{noun}", id=message.id, etag=stored.etag)
        assert (await failure(call(server, f"Get{noun}", id=message.id))).code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("noun", "user", "user_id"),
    [
        ("Meter", "aggregation", "gb"),
        ("Aggregation", "compound_aggregation", "twice"),
        ("PlanTemplate", "plan", "gold"),
        ("Plan", "pricing", "p"),
        ("Pricing", "promotion", "of-p"),
        ("Counter", "pricing", "q"),
        ("CompoundAggregation", "pricing", "r"),
    ],
)
async def test_what_something_names_is_not_deleted(server: Served, noun: str, user: str, user_id: str) -> None:
    await create(server, "Pricing", example.pricing())
    await create(server, "Pricing", example.pricing(id="q", counter_id="seats"))
    await create(server, "Pricing", example.pricing(id="r", compound_aggregation_id="twice"))
    await create(server, "Promotion", example.promotion(id="of-p", pricing_id="p"))
    message = NOUNS[noun]()
    found = await failure(call(server, f"Delete{noun}", id=message.id))
    assert (found.code, found.reason) == ("FAILED_PRECONDITION", "IN_USE")
    expected = {"resource": field_of(noun), "id": message.id, "user_resource": user, "user_id": user_id}
    assert found.metadata == expected
    await call(server, f"Get{noun}", id=message.id)


async def test_a_product_is_not_deleted_while_anything_is_of_it(server: Served) -> None:
    found = await failure(call(server, "DeleteProduct", id="cloud"))
    assert found.reason == "IN_USE"
    assert (found.metadata["resource"], found.metadata["id"]) == ("product", "cloud")


@pytest.mark.parametrize("noun", NOUNS)
async def test_lists_page_by_id_and_refuse_tokens_from_elsewhere(server: Served, noun: str) -> None:
    for number in range(3):
        changed: dict[str, Any] = {"id": f"z{number}"}
        if noun == "Pricing":
            changed["start_time"], changed["end_time"] = time(f"203{number}-01-01"), time(f"203{number}-02-01")
        if noun == "PlanGroup":  # a plan is in one group
            await create(server, "Plan", example.plan(id=f"plan{number}"))
            changed["plan_ids"] = [f"plan{number}"]
        await create(server, noun, NOUNS[noun](**changed))
    plural = "pricings" if noun == "Pricing" else f"{field_of(noun)}s"
    method = f"List{noun}s" if noun != "Pricing" else "ListPricings"
    whole = [each.id for each in getattr(await call(server, method), plural)]
    assert whole[-3:] == ["z0", "z1", "z2"]
    pages, token = [], ""
    while True:
        answer = await call(server, method, page_size=2, page_token=token)
        pages.append([each.id for each in getattr(answer, plural)])
        token = answer.next_page_token
        if not token:
            break
        another = token
    assert [each for page in pages for each in page] == whole
    assert all(len(page) == 2 for page in pages[:-1])
    invalid = Failure("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", {}, {("page_token", "PAGE_TOKEN_INVALID")})
    elsewhere = "ListMeters" if noun != "Meter" else "ListCounters"
    assert await failure(call(server, elsewhere, page_token=another)) == invalid
    for broken in ("x", another[:-4], f"A{another[1:]}", "ü"):
        assert await failure(call(server, method, page_token=broken)) == invalid
    if noun not in ("Product", "PlanGroup"):
        filters = {"plan_id": "gold"} if noun in ("Pricing", "Promotion") else {"product_id": "cloud"}
        assert await failure(call(server, method, page_token=another, **filters)) == invalid
        assert [each.id for each in getattr(await call(server, method, **filters), plural)] == whole
        others = dict.fromkeys(filters, "other")
        assert not getattr(await call(server, method, **others), plural)
