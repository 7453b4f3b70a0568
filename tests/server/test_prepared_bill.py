"""What is prepared bills as the plain path does: the same lines, and contents that are the same to the last byte."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import NamedTuple, TypeVar

import pytest

from ratel.account.v1.account_pb2 import Account
from ratel.account.v1.account_service_pb2 import CreateAccountRequest, CreateAttachmentRequest
from ratel.account.v1.attachment_pb2 import Attachment
from ratel.core.bill_exchange import exchanges_to_bill
from ratel.core.billing import BillInRow, BillKey, BillStatus, make_bills
from ratel.core.errors import PeriodInvalid
from ratel.core.period import Frequency
from ratel.core.rating.due import due, survey_due
from ratel.core.rating.scope import RatingContext
from ratel.core.shape import Moved, Shape, Shapes, moved_partials, moved_period
from ratel.core.tail import Tail
from ratel.server.bill_run import BillMaker
from ratel.server.convert.bill import line_to_proto
from ratel.server.made_bill import Billed
from ratel.server.new_bill import NewBill
from ratel.server.prepared_bill import PreparedBills, ReadyAccount
from ratel.store.pool import Database
from ratel.store.rating import PlanCache
from tests.conftest import Served
from tests.core.rating.billed import billed_context
from tests.core.rating.chance import DAYS, FIRST, story_text
from tests.core.rating.rated import partials_of
from tests.core.rating.test_prepared import PLAIN, plainer
from tests.server.billing import CALLS, told
from tests.story import read_story
from tests.telling import Teller
from tests.told import PLAN as STANDARD
from tests.told import Story, Usage

T = TypeVar("T")

MORE = """
    attach 2024-03-10 plan=gold
    plan gold standing_charge=5 standing_charge_in_advance=yes
"""

MONTHS = ((7, 3), (9, 3))
"""When a bill is run of what is in the test below, and how many lines it has."""


def other(context: RatingContext, moved: Moved | None = None) -> RatingContext:
    """Return another account, whose attachments may begin and end at other instants."""
    account = replace(context.account, id="other", name="Other")
    attachments = tuple(
        replace(each, id=f"x.{each.id}", account_id="other", period=moved_period(each.period, moved or {}))
        for each in context.attachments
    )
    return replace(context, account=account, attachments=attachments)


def elsewhere(chance: Random, context: RatingContext, key: BillKey) -> RatingContext | None:
    """Return an account of the same shape that came and went at other instants; None if chance finds none."""
    shapes = Shapes(key)
    shape, instants = found(shapes.of(context))
    for days in (20, 20, 3, 3, 1, 1):
        moves = [instant + chance.uniform(-1, 1) * timedelta(days=days) for instant in instants]
        with suppress(PeriodInvalid):  # one that ends before it begins
            another = other(context, dict(zip(instants, moves, strict=True)))
            if moves and found(shapes.of(another))[0] == shape:
                return another
    return None


def found(value: T | None) -> T:
    assert value is not None
    return value


def plain_bill(
    story: Story, context: RatingContext, key: BillKey, usages: list[Usage], row: Sequence[BillInRow] = ()
) -> NewBill | None:
    """Make a bill the plain way; None if some usage is not on it, or it corrects another one."""
    scope = survey_due(context, key.frequency, key.invoice_date)
    exchanges = exchanges_to_bill(row, key.invoice_date, "", context)
    owed = due(scope, partials_of(story.meter, usages, scope.reads), key.invoice_date, exchanges)
    bill = make_bills(owed, row, key.invoice_date, exchanges)[-1]
    if any(line.correction for line in bill.lines):
        return None
    contents = [line_to_proto(line, None).SerializeToString(deterministic=True) for line in bill.lines]
    lines = tuple(line._replace(item=None) for line in bill.lines)
    return None if owed.unpriced_usages or owed.unattached_usages else NewBill(bill.exchange, lines, tuple(contents))


def alike(text: str) -> str:
    """Leave out what accounts have of their own, so that chance finds more that are of one shape."""
    lines = [line for line in plainer(text).splitlines() if line.split()[0] not in ("promotion", "grant", "level")]
    return re.sub(r" trial=\S+", "", "\n".join(lines))


def row_before(story: Story, context: RatingContext, key: BillKey) -> list[BillInRow]:
    """Return what stands in the row if a bill of a month ago was made of all usage."""
    earlier = replace(key, invoice_date=key.invoice_date - timedelta(days=31))
    bill = plain_bill(story, context, earlier, story.usages)
    lines = () if bill is None else bill.lines
    if bill is None or not lines:
        return []
    return [BillInRow(earlier.invoice_date, BillStatus.APPROVED, is_stale=False, lines=lines, exchange=bill.exchange)]


def ready_account(context: RatingContext, key: BillKey, target_currency: str = "") -> ReadyAccount | None:
    return PreparedBills(accounts_min=1).of(context, 1, key, target_currency)


class Case(NamedTuple):
    """An account with the usage that it has, and the bills that it had before."""

    own: ReadyAccount
    usages: list[Usage]
    row: Sequence[BillInRow] = ()


def check_equal(story: Story, key: BillKey, cases: Sequence[Case]) -> list[int]:
    """Compare bills of accounts of one shape that are made together, and return how many lines each has."""
    kept = [
        list(
            partials_of(
                story.meter, each.usages, moved_partials({read: {} for read in each.own.scope.reads}, each.own.moved)
            ).values()
        )
        for each in cases
    ]
    made = cases[0].own.bill.make([each.own for each in cases], kept, [each.row for each in cases])
    counts: list[int] = []
    for bill, (own, usages, row) in zip(made, cases, strict=True):
        plain = plain_bill(story, own.context, key, usages, row)
        if plain is None or bill is None:
            assert bill is None
            counts.append(0)
            continue
        assert bill.lines == plain.lines
        assert bill.contents == plain.contents
        assert bill.digest == plain.digest
        assert (bill.invoice_date, bill.exchange) == (plain.invoice_date, plain.exchange)
        counts.append(len(bill.lines))
    return counts


def test_chance_finds_no_difference() -> None:
    prepared_count = line_count = carried_count = moved_count = moved_line_count = 0
    for seed in range(250):
        chance = Random(seed)
        text = story_text(chance)
        story = read_story(alike(text) if seed % 3 else text)
        context = billed_context(story)
        key = BillKey(story.template.frequency, FIRST + timedelta(days=chance.randrange(DAYS + 30)))
        known = PreparedBills(accounts_min=1)
        ready = known.of(context, 1, key, "")
        if ready is not None:
            prepared_count += 1
            row = row_before(story, context, key)
            carried_count += len(row)
            another = found(known.of(other(context), 1, key, ""))
            moved = elsewhere(chance, context, key)
            cases: list[Case] = []
            for usages in (story.usages, story.usages[::2], []):
                cases += Case(ready, usages), Case(another, usages), Case(ready, usages, row)
            line_count += sum(check_equal(story, key, cases))
            line_count += sum(check_equal(story, key, cases[-1:]))
            if moved is not None:
                moved_ready = found(known.of(moved, 1, key, ""))
                assert moved_ready.scope is ready.scope
                moved_count += 1
                cases += (Case(moved_ready, usages) for usages in (story.usages, story.usages[::2], []))
                moved_line_count += sum(check_equal(story, key, chance.sample(cases, len(cases))))
    assert prepared_count > 100
    assert line_count > 250
    assert carried_count > 25
    assert moved_count > 50
    assert moved_line_count > 100


@pytest.mark.parametrize("day", [date(2024, 2, 1), date(2024, 2, 2), date(2024, 4, 1), date(2024, 6, 17)])
def test_the_bills_of_a_plain_account_are_made_of_what_is_ready(day: date) -> None:
    story = read_story(f"{PLAIN.replace('level n 2024-01-03 4', '')}\n{MORE}")
    context, key = billed_context(story), BillKey(Frequency.MONTHLY, day)
    known = PreparedBills(accounts_min=1)
    accounts = [found(known.of(own, 1, key, "")) for own in (context, other(context))]
    cases = [Case(own, story.usages[:keep]) for own in accounts for keep in range(len(story.usages) + 1)]
    assert all(check_equal(story, key, cases))


def test_accounts_that_came_between_the_same_marks_are_of_one_shape() -> None:
    text = PLAIN.replace("level n 2024-01-03 4", "")
    shapes = Shapes(BillKey(Frequency.MONTHLY, date(2024, 3, 1)))

    def shape(start: str, *more: str) -> Shape:
        lines = [text.replace("attach 2024-01-01", f"attach {start}"), *more]
        return found(shapes.of(billed_context(read_story("\n".join(lines)))))[0]

    assert shape("2024-01-02T03:04:05") == shape("2024-01-31T23:59:59.999999")
    first = shape("2024-01-01")
    assert first == shape("2024-01-01")
    apart = ("2024-01-01T00:00:00.000001", "2024-02-01", "2024-02-01T12:00:00", "2024-03-01", "2024-03-01T12:00:00")
    assert len({first, *map(shape, apart)}) == 1 + len(apart)
    ended = "2024-01-02 2024-02-20"
    assert shape(ended) == shape("2024-01-05 2024-02-03")
    assert shape(ended) not in (shape("2024-01-02"), shape("2024-01-02 2024-01-05"))


def test_what_is_not_plain_has_nothing_ready() -> None:
    text = PLAIN.replace("level n 2024-01-03 4", "")
    context, key = billed_context(read_story(text)), BillKey(Frequency.MONTHLY, date(2024, 2, 1))
    assert ready_account(context, key) is not None
    assert ready_account(context, key, "USD") is not None
    assert ready_account(context, key, "GBP") is None, "there is a conversion, or a rate that is missing"
    assert ready_account(context, replace(key, invoice_date=date(9999, 12, 31))) is None, "too many windows"
    for more in ("level n 2024-01-03 4", "promotion p 10%\ngrant p 2024-01-01", "template minimum_spend=5"):
        kept = [line for line in text.splitlines() if line.split()[:1] != more.split()[:1]]
        assert ready_account(billed_context(read_story("\n".join([*kept, more]))), key) is None


def test_a_shape_is_made_ready_once_it_has_come_again_and_the_oldest_is_forgotten() -> None:
    context, key = billed_context(read_story("attach 2024-01-01")), BillKey(Frequency.MONTHLY, date(2024, 2, 1))
    known = PreparedBills()
    assert known.of(context, 1, key, "") is None
    ready = known.of(other(context), 1, key, "")
    assert ready is not None
    assert found(known.of(context, 1, key, "")).scope is ready.scope
    assert known.of(context, 2, key, "") is None, "of another revision nothing is known"
    for revision in range(3, 1_100):
        known.of(context, revision, key, "")
    assert known.of(context, 1, key, "") is None


def test_shapes_are_forgotten_when_they_have_too_many_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    key, text = BillKey(Frequency.MONTHLY, date(2024, 4, 1)), PLAIN.replace("level n 2024-01-03 4", "")
    one, other_one = (
        billed_context(read_story(text.replace("attach 2024-01-01", f"attach {day}")))
        for day in ("2024-01-01", "2024-02-10")
    )
    for most, is_kept in ((1_000, True), (20, False)):
        monkeypatch.setattr("ratel.server.prepared_bill._WINDOWS_MAX", most)
        known = PreparedBills(accounts_min=1)
        first = found(known.of(one, 1, key, "")).scope
        assert found(known.of(one, 1, key, "")).scope is first
        assert found(known.of(other_one, 1, key, "")).scope is not first
        assert (found(known.of(one, 1, key, "")).scope is first) == is_kept


async def test_a_run_stores_what_the_plain_path_makes(server: Served) -> None:
    """From the same snapshot, whether anything was made ready or not."""
    text = CALLS.replace("aggregation", "template standing_charge=5 standing_charge_in_advance=yes\n    aggregation")
    async with told(server, "prepared_", text) as teller:
        database = Database(server.database_url)
        ready, plain = (
            BillMaker(database, PlanCache(), Tail(), PreparedBills(accounts_min)) for accounts_min in (1, 1_000)
        )
        for key, count in ((BillKey(Frequency.MONTHLY, date(2024, month, 1)), count) for month, count in MONTHS):
            seen = [await maker.preview(teller.account_id, key, "") for maker in (ready, plain)]
            (billed,) = (await ready.run([teller.account_id], key, "")).values()
            again = await plain.recalculate(teller.account_id, key, "")
            (own,), (other_way,) = (each.bills for each in seen)
            assert own.contents == other_way.contents
            assert len(own.lines) == count
            assert isinstance(billed, Billed)
            assert billed.bill is not None
            assert billed.bill.digest == other_way.digest
            assert not again.is_changed
        await database.close()


async def test_accounts_that_came_at_other_instants_share_what_is_ready(server: Served) -> None:
    """With usage in the hours that their attachments cut, late usage, and usage before all service."""
    text = CALLS.replace("aggregation", "template standing_charge=5 standing_charge_in_advance=yes\n    aggregation")
    text = text.replace("attach 2024-06-01", "attach 2024-06-03T00:20:30.5 2024-08-07T10:00:01")
    starts = {"later": "2024-06-20T22:59:59", "early": "2024-06-10T08:30:00"}
    async with told(server, "moved_", text) as teller:
        for name, start in starts.items():
            await attach(server, "moved_", name, (start, "2024-08-20T00:30:00"))
        lines = "use 2024-06-20T22:59:59.5 n=7\nuse 2024-07-05 n=13\nuse 2024-08-02 n=11"
        await use_of(teller, "later", lines)
        await use_of(teller, "account", "use 2024-08-02 n=1")
        await use_of(teller, "early", f"{lines}\nuse 2024-06-10T08:10:00 n=17")
        ids = [teller.account_id, "moved_later", "moved_early"]
        database = Database(server.database_url)
        ready, plain = (
            BillMaker(database, PlanCache(), Tail(), PreparedBills(accounts_min)) for accounts_min in (1, 1_000)
        )
        for day in (date(2024, 7, 1), date(2024, 8, 1), date(2024, 9, 1)):
            key = BillKey(Frequency.MONTHLY, day)
            made = {each: (await plain.preview(each, key, "")).bills[-1] for each in ids}
            for account_id, billed in (await ready.run(ids, key, "")).items():
                assert isinstance(billed, Billed)
                assert billed.bill is not None
                assert billed.bill.digest == made[account_id].digest
            corrections = [line for line in made["moved_later"].lines if line.correction]
            assert len(corrections) == (day.month > 7)
            await use_of(teller, "later", f"use 2024-06-21T0{day.month - 7}:00:00 n=19")
        await database.close()


async def attach(server: Served, prefix: str, name: str, times: tuple[str, str]) -> None:
    """Create an account on the plan of a story."""
    account = Account(id=prefix + name, name=name)
    await server.accounts.CreateAccount(CreateAccountRequest(account=account))
    attachment = Attachment(id=prefix + name, account_id=prefix + name, plan_id=prefix + STANDARD)
    for field, time in zip((attachment.start_time, attachment.end_time), times, strict=True):
        field.FromJsonString(f"{time}Z")
    await server.accounts.CreateAttachment(CreateAttachmentRequest(attachment=attachment))


async def use_of(teller: Teller, name: str, text: str) -> None:
    """Send usage of another account than the story's."""
    usages = read_story(f"aggregation calls SUM n\n{text}").usages
    await teller.tell_usage(
        [replace(each, account_id=name, ids=(f"{name}-{each.time.timestamp()}",)) for each in usages]
    )
