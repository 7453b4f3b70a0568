"""What is prepared bills as the plain path does: the same lines, and contents that are the same to the last byte."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest

from ratel.core.bill_exchange import exchanges_to_bill
from ratel.core.billing import BillInRow, BillKey, BillStatus, make_bills
from ratel.core.period import Frequency
from ratel.core.prepared_bill import shape_of
from ratel.core.rating.due import due, survey_due
from ratel.core.rating.scope import RatingContext
from ratel.core.tail import Tail
from ratel.server.bill_run import Billed, BillMaker
from ratel.server.convert.bill import line_to_proto
from ratel.server.new_bill import NewBill
from ratel.server.prepared_bill import PreparedBills, ReadyBill
from ratel.store.pool import Database
from ratel.store.rating import PlanCache
from tests.conftest import Served
from tests.core.rating.billed import billed_context
from tests.core.rating.chance import DAYS, FIRST, story_text
from tests.core.rating.rated import partials_of
from tests.core.rating.test_prepared import PLAIN, plainer
from tests.server.billing import CALLS, told
from tests.story import read_story
from tests.told import Story, Usage

MORE = """
    attach 2024-03-10 plan=gold
    plan gold standing_charge=5 standing_charge_in_advance=yes
"""

MONTHS = ((7, 3), (9, 3))
"""When a bill is run of what is in the test below, and how many lines it has."""


def other(context: RatingContext) -> RatingContext:
    """Return another account of the same shape."""
    account = replace(context.account, id="other", name="Other")
    attachments = tuple(replace(each, id=f"x.{each.id}", account_id="other") for each in context.attachments)
    return replace(context, account=account, attachments=attachments)


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
    lines = tuple(replace(line, item=None) for line in bill.lines)
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


def ready_bill(context: RatingContext, key: BillKey, target_currency: str = "") -> ReadyBill | None:
    return PreparedBills(accounts_min=1).of(context, 1, key, target_currency)


def check_equal(
    story: Story, ready: ReadyBill, whose: tuple[RatingContext, Sequence[BillInRow]], key: BillKey, usages: list[Usage]
) -> int:
    """Compare, and return how many lines there are."""
    context, row = whose
    found = ready.make(context, list(partials_of(story.meter, usages, ready.scope.reads).values()), row)
    plain = plain_bill(story, context, key, usages, row)
    if plain is None or found is None:
        assert found is None
        return 0
    assert found.lines == plain.lines
    assert found.contents == plain.contents
    assert found.digest == plain.digest
    assert (found.invoice_date, found.exchange) == (plain.invoice_date, plain.exchange)
    return len(found.lines)


def test_chance_finds_no_difference() -> None:
    prepared_count = line_count = carried_count = 0
    for seed in range(250):
        chance = Random(seed)
        text = story_text(chance)
        story = read_story(alike(text) if seed % 3 else text)
        context = billed_context(story)
        key = BillKey(story.template.frequency, FIRST + timedelta(days=chance.randrange(DAYS + 30)))
        ready = None if shape_of(context) is None else ready_bill(context, key)
        if ready is not None:
            prepared_count += 1
            row = row_before(story, context, key)
            carried_count += len(row)
            for whose in ((context, ()), (other(context), ()), (context, row)):
                for usages in (story.usages, story.usages[::2], []):
                    line_count += check_equal(story, ready, whose, key, usages)
    assert prepared_count > 100
    assert line_count > 250
    assert carried_count > 25


@pytest.mark.parametrize("day", [date(2024, 2, 1), date(2024, 2, 2), date(2024, 4, 1), date(2024, 6, 17)])
def test_the_bills_of_a_plain_account_are_made_of_what_is_ready(day: date) -> None:
    story = read_story(f"{PLAIN.replace('level n 2024-01-03 4', '')}\n{MORE}")
    context, key = billed_context(story), BillKey(Frequency.MONTHLY, day)
    assert shape_of(context) == shape_of(other(context))
    ready = ready_bill(context, key)
    assert ready is not None
    for keep in range(len(story.usages) + 1):
        for own in (context, other(context)):
            assert check_equal(story, ready, (own, ()), key, story.usages[:keep])


def test_what_is_not_plain_has_nothing_ready() -> None:
    text = PLAIN.replace("level n 2024-01-03 4", "")
    context, key = billed_context(read_story(text)), BillKey(Frequency.MONTHLY, date(2024, 2, 1))
    assert ready_bill(context, key) is not None
    assert ready_bill(context, key, "USD") is not None
    assert ready_bill(context, key, "GBP") is None, "there is a conversion, or a rate that is missing"
    assert ready_bill(context, replace(key, invoice_date=date(9999, 12, 31))) is None, "too many windows"
    for more in ("level n 2024-01-03 4", "promotion p 10%\ngrant p 2024-01-01", "template minimum_spend=5"):
        kept = [line for line in text.splitlines() if line.split()[:1] != more.split()[:1]]
        assert ready_bill(billed_context(read_story("\n".join([*kept, more]))), key) is None


def test_a_shape_is_made_ready_once_it_has_come_again_and_the_oldest_is_forgotten() -> None:
    context, key = billed_context(read_story("attach 2024-01-01")), BillKey(Frequency.MONTHLY, date(2024, 2, 1))
    known = PreparedBills()
    assert known.of(context, 1, key, "") is None
    ready = known.of(other(context), 1, key, "")
    assert ready is not None
    assert known.of(context, 1, key, "") is ready
    assert known.of(context, 2, key, "") is None, "of another revision nothing is known"
    for revision in range(3, 1_100):
        known.of(context, revision, key, "")
    assert known.of(context, 1, key, "") is None


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
