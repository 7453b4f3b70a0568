"""Parents and children over the wire (R11.1)."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from ratel.account.v1 import account_pb2
from ratel.account.v1 import account_service_pb2 as pb
from ratel.account.v1.account_pb2 import Account
from ratel.core import account as core_account
from ratel.rating.v1.account_rating_pb2 import AccountRating
from ratel.rating.v1.bill_pb2 import Bill
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from tests.conftest import Served
from tests.server import example
from tests.server.billing import get, preview, ran, shown, use
from tests.server.example import Failure, create_anew, event, failure, time
from tests.server.test_account import invalid, not_found
from tests.server.test_charges import charge, message, rated
from tests.story import read_story
from tests.telling import Teller

T = """
    aggregation calls SUM n
    price calls 0:0.15 500:0.10
"""


async def create(server: Served, name: str, **changed: Any) -> Account:
    request = pb.CreateAccountRequest(account=example.account(id=name, **changed))
    return (await server.accounts.CreateAccount(request)).account


async def update(server: Served, account: Account, *paths: str) -> Account:
    request = pb.UpdateAccountRequest(account=account, update_mask=FieldMask(paths=paths))
    return (await server.accounts.UpdateAccount(request)).account


def unready(reason: str, **metadata: str) -> Failure:
    return Failure("FAILED_PRECONDITION", reason, metadata, set())


# --- Accounts ---------------------------------------------------------------------------------------------------------


async def test_a_child_is_created_once_read_and_listed(server: Served) -> None:
    await create_anew(server)
    breakdown = account_pb2.CHILD_BILLING_BREAKDOWN
    assert (await create(server, "group", child_billing=breakdown)).child_billing == breakdown
    child = await create(server, "north", parent_account_id="group", billed_with_parent=True)
    assert child == await create(server, "north", parent_account_id="group", billed_with_parent=True)
    assert (child.parent_account_id, child.billed_with_parent) == ("group", True)
    assert child.child_billing == account_pb2.CHILD_BILLING_SUMMARY
    await create(server, "south", parent_account_id="group")
    await create(server, "alone")
    first = await server.accounts.ListAccounts(pb.ListAccountsRequest(parent_account_id="group", page_size=1))
    request = pb.ListAccountsRequest(parent_account_id="group", page_token=first.next_page_token)
    second = await server.accounts.ListAccounts(request)
    assert [each.id for page in (first, second) for each in page.accounts] == ["north", "south"]
    assert first.accounts[0] == child
    assert not second.next_page_token
    unknown = server.accounts.ListAccounts(pb.ListAccountsRequest(parent_account_id="nobody"))
    assert await failure(unknown) == not_found("account", "nobody")


async def test_a_parent_is_set_once(server: Served) -> None:
    await create_anew(server)
    for name in ("group", "other", "north"):
        await create(server, name)
    mask = ("parent_account_id", "billed_with_parent")
    child = await update(server, Account(id="north", parent_account_id="group", billed_with_parent=True), *mask)
    assert (child.parent_account_id, child.billed_with_parent) == ("group", True)
    assert (await update(server, Account(id="north", name="N"), "name")).parent_account_id == "group"
    for wrong in (Account(id="north", parent_account_id="other"), Account(id="north")):
        found = await failure(update(server, wrong, *mask))
        assert found == invalid(("account.parent_account_id", "PARENT_FIXED"))


async def test_wrong_families_are_refused(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    await create_anew(server)
    await create(server, "group")
    await create(server, "north", parent_account_id="group")
    assert await failure(create(server, "x", parent_account_id="no")) == not_found("account", "no")
    found = await failure(create(server, "x", parent_account_id="x"))
    assert found == invalid(("account.parent_account_id", "PARENT_SELF"))
    found = await failure(create(server, "x", billed_with_parent=True))
    assert found == invalid(("account.billed_with_parent", "PARENT_MISSING"))
    found = await failure(create(server, "x", child_billing=7))
    assert found.violations == {("account.child_billing", "ENUM_DEFINED_ONLY")}
    grandchild = create(server, "x", parent_account_id="north")
    assert await failure(grandchild) == unready("PARENT_IS_CHILD", account_id="north")
    await create(server, "above")
    under = update(server, Account(id="group", parent_account_id="above"), "parent_account_id")
    assert await failure(under) == unready("ACCOUNT_HAS_CHILDREN", account_id="group")
    monkeypatch.setattr(core_account, "CHILDREN_MAX", 1)
    await create(server, "north", parent_account_id="group")  # again: it is one of them
    second = create(server, "south", parent_account_id="group")
    assert await failure(second) == unready("CHILDREN_TOO_MANY", account_id="group", count_max="1")


async def test_no_chain_comes_about_whoever_writes_at_once(server: Served) -> None:
    for number in range(12):
        names = [f"chain-{number}-{letter}" for letter in "abc"]
        for name in names:
            await create(server, name)
        links = zip(names, [*names[1:], names[0]], strict=True)
        updates = [
            update(server, Account(id=one, parent_account_id=other), "parent_account_id") for one, other in links
        ]
        ended = await asyncio.gather(*updates, return_exceptions=True)
        assert sum(isinstance(each, Account) for each in ended) == 1
        stub = server.accounts
        parents = [(await stub.GetAccount(pb.GetAccountRequest(id=each))).account.parent_account_id for each in names]
        assert sum(map(bool, parents)) == 1


async def test_the_database_itself_keeps_a_parent_from_having_one(server: Served) -> None:
    for name in ("top", "middle", "bottom"):
        await create(server, f"kept-{name}")
    connection = await asyncpg.connect(server.database_url)
    link = """
        UPDATE accounts
        SET version = version + 1, parent_account_no = CASE
            WHEN id = $1 THEN (SELECT account_no FROM accounts WHERE id = $2) ELSE parent_account_no
        END
        WHERE id IN ($1, $2)
    """
    await connection.execute(link, "kept-bottom", "kept-middle")
    for child, parent in (("kept-middle", "kept-top"), ("kept-top", "kept-bottom")):
        with pytest.raises(asyncpg.ForeignKeyViolationError) as caught:
            await connection.execute(link, child, parent)
        assert caught.value.constraint_name == "accounts_parent"
    await connection.close()


# --- Bills ------------------------------------------------------------------------------------------------------------


async def told(server: Served, prefix: str, text: str) -> Teller:
    teller = Teller(server, read_story(text), prefix)
    await teller.tell()
    return teller


def whose(bill: Bill | AccountRating) -> list[tuple[str, str]]:
    return [(each.account_id.rpartition("_")[2], each.amount) for each in bill.line_items]


async def test_late_usage_of_a_child_is_a_correction_on_the_bill_of_its_parent(server: Served) -> None:
    """R12.3."""
    text = f"{T}\nchild a\nattach 2024-06-01\nuse 2024-06-03 n=400 of=a"
    teller = await told(server, "late_", text)
    assert shown((await ran(server, "late_account", "2024-07-01")).bill) == []
    assert shown(await get(server, "late_account", "2024-07-01")) == [("USAGE", "60.00", False)]
    await use(teller, "child a\nuse 2024-06-04 n=300 of=a id=late")
    assert shown(await preview(server, "late_account", "2024-08-01")) == [("USAGE", "35.00", True)]
    assert shown(await preview(server, "late_a", "2024-08-01")) == []


async def test_parts_of_a_broken_down_amount_are_items_of_their_own(server: Served) -> None:
    """R12.3: of each account by itself, and what is due no more is taken back."""
    text = f"{T}\nfamily BREAKDOWN\nchild a\nchild b\nattach 2024-06-01\nuse 2024-06-03 n=300 of=a"
    teller = await told(server, "parts_", f"{text}\nuse 2024-06-03 n=400 of=b")
    bill = (await ran(server, "parts_account", "2024-07-01")).bill
    bill = await get(server, "parts_account", "2024-07-01")
    assert whose(bill) == [("a", "40.71"), ("b", "54.29")]
    assert [(each.share.whole_amount, each.share.quantity, each.share.whole_quantity) for each in bill.line_items] == [
        ("95.00", "300", "700"),
        ("95.00", "400", "700"),
    ]
    await use(teller, "use 2024-06-04 n=100 id=late")
    later = await preview(server, "parts_account", "2024-08-01")  # 105: 13.125, 39.375, 52.50
    assert whose(later) == [("account", "13.13"), ("a", "-1.34"), ("b", "-1.79")]
    assert [each.HasField("correction") for each in later.line_items] == [False, True, True]
    await update(server, Account(id="parts_account"), "child_billing")
    summary = await preview(server, "parts_account", "2024-08-01")
    assert whose(summary) == [("", "105.00"), ("a", "-40.71"), ("b", "-54.29")]


async def test_a_negative_amount_is_broken_down_to_the_cent(server: Served) -> None:
    """R11.1: what is given back is shared like what is charged; of a third of a cent the last takes what is left."""
    text = "aggregation calls SUM n\nprice calls 0:0.3333\nfamily BREAKDOWN\nchild a\nchild b\nattach 2024-06-01"
    used = "\n".join(f"use 2024-06-03 n=-1{of}" for of in ("", " of=a", " of=b"))
    await told(server, "back_", f"{text}\n{used}")
    bill = await preview(server, "back_account", "2024-07-01")
    assert whose(bill) == [("account", "-0.33"), ("a", "-0.33"), ("b", "-0.34")]
    assert [each.amount for each in bill.totals] == ["-1.00"]


async def test_a_child_is_billed_alone_or_with_its_parent(server: Served) -> None:
    text = """
        template standing_charge=20
        aggregation calls SUM n
        counter seats
        price calls 0:1 minimum=10
        price seats 0:1 total_in_arrears
        promotion half 50%
        grant half 2024-06-01
        child a with_parent
        child b
        attach 2024-06-01
        attach 2024-06-01 of=a trial=2024-06-16
        attach 2024-06-01 of=b
        level seats 2024-06-01 3 of=a
        level seats 2024-06-01 4
        use 2024-06-03 n=8 of=a
        use 2024-06-03 n=7 of=b
        use 2024-06-03 n=50
    """
    await told(server, "with_", text)
    await ran(server, "with_account", "2024-07-01")
    bill = await get(server, "with_account", "2024-07-01")
    assert [(kind, *pair) for (kind, _, _), pair in zip(shown(bill), whose(bill), strict=True)] == [
        ("USAGE", "", "50.00"),
        ("USAGE", "a", "8.00"),
        ("COUNTER_RUNNING_TOTAL", "", "4.00"),
        ("COUNTER_RUNNING_TOTAL", "a", "3.00"),
        ("STANDING_CHARGE", "", "20.00"),
        ("STANDING_CHARGE", "a", "20.00"),
        ("MINIMUM_SPEND", "a", "2.00"),
        ("PROMOTION", "a", "-20.50"),  # the trial: 8, and 15 of 30 days of 3, 20 and 2
        ("PROMOTION", "", "-37.00"),
        ("PROMOTION", "a", "-5.75"),  # half of what the trial leaves but for the minimum
    ]
    assert [each.amount for each in (await preview(server, "with_b", "2024-07-01")).totals] == ["30.00"]
    alone = await ran(server, "with_a", "2024-07-01")
    assert (alone.bill.etag, list(alone.bill.totals)) == ("", []), "nothing is due, so there is no bill"
    await update(server, Account(id="with_a"), "billed_with_parent")
    assert [each.amount for each in (await preview(server, "with_a", "2024-07-01")).totals] == ["12.50"]
    taken_back = (await preview(server, "with_account", "2024-08-01")).line_items
    found = [each.amount for each in taken_back if each.account_id == "with_a"]
    assert sorted(found) == ["-2.00", "-20.00", "-3.00", "-8.00", "20.50", "5.75"]


async def test_a_commitment_of_the_parent_pays_for_the_lines_of_its_children(server: Served) -> None:
    """R7.1, R7.4: pooled or of their own; what is left over is whose it is."""
    text = """
        aggregation calls SUM n
        price calls 0:1 overage=0:2
        child a with_parent
        child b
        commitment year 60 2024-06-01 2025-01-01 first=60 kinds=USAGE
        attach 2024-06-01
        attach 2024-06-01 of=a
        use 2024-06-03 n=10
        use 2024-06-03 n=30 of=b
        use 2024-06-04 n=40 of=a
    """
    await told(server, "paid_", text)
    bill = await preview(server, "paid_account", "2024-07-01")
    assert list(zip((kind for kind, _, _ in shown(bill)), whose(bill), strict=True)) == [
        ("USAGE", ("", "40.00")),
        ("USAGE", ("a", "20.00")),
        ("COMMITMENT_CONSUMED", ("", "-60.00")),
        ("OVERAGE_USAGE", ("a", "40.00")),
    ]


# --- Usage on a stream ------------------------------------------------------------------------------------------------


FAMILY = """
    aggregation calls SUM n
    aggregation last LATEST n
    price calls 0:0.333 10:0.1
    price last 0:1
    child a
    child b
    attach 2024-01-01
    attach 2024-06-10 2024-06-20 of=a
"""


def sent_by(prefix: str, name: str, **changed: Any) -> UsageEvent:
    return event(account_id=prefix + name, meter_id=f"{prefix}meter", **changed)


def random_event(chance: Random, prefix: str) -> UsageEvent:
    when = Timestamp()
    when.FromDatetime(datetime(2024, 6, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(60 * 24 * 60)))
    values = {"n": f"{chance.randrange(-3, 30)}.{chance.randrange(10)}"}
    return sent_by(prefix, chance.choice(("account", "a", "b")), event_time=when, values=values)


@pytest.mark.parametrize("seed", range(3))
async def test_usage_of_children_touches_the_parent_that_pays(server: Served, seed: int) -> None:
    """R12.1: the last answer is what RateAccount says; what is supposed is answered as if it had been recorded."""
    chance, prefix = Random(seed), f"touched_{seed}_"
    await told(server, prefix, FAMILY)
    for _ in range(4):
        events = [random_event(chance, prefix) for _ in range(chance.randrange(1, 5))]
        supposed, recorded = await charge(server, message(*events, record=False), message(*events))
        assert list(supposed.account_margins) == list(recorded.account_margins)
        assert {each.account_id for each in recorded.account_margins} == {payer(prefix, each) for each in events}
        for margin in recorded.account_margins:
            amounts = await rated(server, margin)
            assert int(margin.amount_after.replace(".", "")) == amounts[""]


def payer(prefix: str, sent: UsageEvent) -> str:
    is_apart = time("2024-06-10").seconds <= sent.event_time.seconds < time("2024-06-20").seconds
    return prefix + ("a" if sent.account_id == f"{prefix}a" and is_apart else "account")


async def test_the_same_id_of_two_children_are_two_events(server: Served) -> None:
    await told(server, "twins_", FAMILY)
    values = {"a": {"n": "5"}, "b": {"n": "6"}}
    sent = [
        sent_by("twins_", name, event_id="same", event_time=time("2024-06-03"), values=values[name]) for name in "ba"
    ]
    supposed, recorded = await charge(server, message(*sent, record=False), message(*sent))
    (margin,) = supposed.account_margins
    assert list(recorded.account_margins) == [margin]
    assert (margin.account_id, margin.amount_before) == ("twins_account", "0.00")
    assert [each.amount_after for each in margin.pricing_margins] == ["3.43", "6.00"]  # 3.33 + 0.10; that of b
