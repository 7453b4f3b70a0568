"""R12: bills, by the invoice dates of an account's plans, one after the other as if each had been run on time.

What is due up to a date is the sum of these; what a bill carries is that, less what earlier bills carried (R12.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial

from tests.naive.account import Account, Event, LineItem
from tests.naive.advance import due_items
from tests.naive.catalog import Catalog
from tests.naive.charge import ORDER, Charge, Discount, take_off
from tests.naive.commitment import Overage, Payment, Source, commitment_fees, draw_down, overage, sources
from tests.naive.debts import Debts
from tests.naive.exact import ZERO, money
from tests.naive.grid import Grid
from tests.naive.part import Part
from tests.naive.plan import grid_of, terms_of
from tests.naive.promotion import LONG_AGO, Promoted, promotions, trial
from tests.naive.purchase import due_time, purchase_price, setup_fee
from tests.naive.quantity import readings
from tests.naive.service import is_credit, with_credits

Key = tuple[object, ...]


class CurrencyRateMissingError(Exception):
    """R11.2: rates are not inverted."""


@dataclass(frozen=True)
class Line:
    """A line of a bill; what makes it the same on another bill is all but its amount."""

    kind: str
    of: tuple[object, ...]
    start: datetime
    end: datetime
    amount: Fraction

    @property
    def key(self) -> Key:
        return self.kind, self.of, self.start, self.end


@dataclass
class Book:
    """What is remembered from bill to bill."""

    catalog: Catalog
    account: Account
    debts: Debts
    events: Sequence[Event]
    sources: list[Source]
    promoted: Promoted = field(default_factory=Promoted)

    def rate(self, currency: str) -> Fraction:
        """R11.2: into the bill's currency."""
        if currency == self.debts.currency:
            return Fraction(1)
        if (currency, self.debts.currency) not in self.catalog.settings.rates:
            raise CurrencyRateMissingError(currency)
        return self.catalog.settings.rates[currency, self.debts.currency]

    def charge(self, item: LineItem, part: Part | None = None) -> Charge:
        """R11.2: a line item is converted when it is made, and rounded once more."""
        rate = self.rate(item.currency)
        rounding = self.catalog.settings.rounding
        own, bill = item.currency, self.debts.currency
        gross = item.amount if own == bill else money(item.amount * rate, bill, rounding)
        return Charge(replace(item, currency=self.debts.currency), rate, part, gross)


def bills(catalog: Catalog, account: Account, debts: Debts, until: datetime) -> list[tuple[datetime, list[Line]]]:
    """R12.1: the bill of every invoice date up to one, which is the last."""
    order = debts.credit_order or catalog.settings.credit_order
    book = Book(catalog, account, debts, readings(catalog, account.events), sources(debts, order))
    found, previous = [], datetime.min.replace(tzinfo=UTC)
    dated_days = {due_day(book, item.start) for item in dated_items(book)}
    for date in sorted({*invoice_dates(catalog, account, until), *(day for day in dated_days if day <= until)}):
        found.append((date, bill_lines(book, previous, date)))
        previous = date
    return found


def invoice_dates(catalog: Catalog, account: Account, until: datetime) -> list[datetime]:
    """The borders of all bill periods that an attachment has a part of, as far as they are not later."""
    dates = {until}
    for attachment in account.attachments:
        grid = grid_of(catalog, account, attachment)
        # A group of periods with one standing charge may end after the attachment.
        groups = terms_of(catalog, attachment.plan).standing_interval or 1
        number = grid.number_at(attachment.start)
        last = grid.number_at(min(attachment.end, until)) + groups + 1
        dates |= {grid.start(each) for each in range(number, last + 1)}
    return sorted(date for date in dates if date <= until)


def bill_lines(book: Book, previous: datetime, date: datetime) -> list[Line]:
    """R12.2: the order of computation."""
    due: list[tuple[LineItem, Part | None]] = [*due_items(book.catalog, book.account, book.events, date)]
    due += [(item, None) for item in dated_items(book) if previous < due_day(book, item.start) <= date]
    charges = [book.charge(item, part) for item, part in due]
    charges.sort(key=partial(place, book.account))
    discounts, charges, _ = credited(book, charges)
    for attachment in book.account.attachments:
        discounts += trial(charges, attachment)
    discounts += promotions(charges, book.debts.grants, book.promoted)
    payments, excess = [], []
    for charge in charges:
        own = draw_down(charge, book.sources, date, book.rate, book.catalog.settings.rounding)
        payments += own
        excess += [found for found in [overage(charge, book.sources, own)] if found]
    return shown_lines(charges, discounts, payments, excess, date)


def place(account: Account, charge: Charge) -> tuple[object, ...]:
    """R12.2: among the line items, by which ties are broken: kind, attachment, priced thing, segment, time."""
    item = charge.item
    kind = "COUNTER_RUNNING_TOTAL" if item.kind.startswith("COUNTER") else item.kind
    start = min((each.start for each in account.attachments if each.id == item.attachment), default=LONG_AGO)
    thing = (item.thing.kind, item.thing.id) if item.thing else ("", "")
    return (
        ORDER.index(kind),
        not item.pricing,
        not item.attachment,
        start,
        item.attachment,
        thing,
        item.segment,
        item.start,
    )


def dated_items(book: Book) -> list[LineItem]:
    """R7.1, R7.2, R10.2, R12.2: what is due at an instant: purchases, setup fees, ad-hoc charges and fees."""
    debts = book.debts
    found = []
    for purchase in debts.purchases:
        add_on = next(each for each in debts.add_ons if each.id == purchase.add_on)
        due, fee = due_time(add_on, purchase), setup_fee(add_on, debts.purchases, purchase)
        if due:
            amount = purchase_price(add_on, purchase.quantities)
            found.append(dated("PURCHASE", purchase.id, due, amount, add_on.currency))
            found += [dated("SETUP_FEE", purchase.id, due, fee, add_on.currency)] if fee else []
    found += [dated("AD_HOC", each.id, each.time, each.amount, each.currency) for each in debts.ad_hoc]
    for commitment in debts.commitments:
        for time, amount in commitment_fees(book.catalog, book.account, commitment):
            found.append(dated("COMMITMENT_FEE", commitment.id, time, amount, commitment.currency))
    for balance in debts.balances:
        for each in balance.transactions:
            found += [dated("BALANCE_FEE", balance.id, each.time, each.fee, balance.currency)] if each.fee else []
    return found


def due_day(book: Book, time: datetime) -> datetime:
    """Where the account's own bill periods next begin, of the frequency of its first attachment."""
    first = min(book.account.attachments, key=lambda each: (each.start, each.id), default=None)
    frequency = book.catalog.template(first.plan).frequency if first else "MONTHLY"
    settings = book.catalog.settings
    grid = Grid(frequency, 1, book.account.epoch or settings.epochs.get(frequency), settings.zone)
    number = grid.number_at(time)
    return time if grid.start(number) == time else grid.start(number + 1)


def dated(kind: str, of: str, time: datetime, amount: Fraction, currency: str) -> LineItem:
    return LineItem(kind, "", "", "", time, time, currency, amount, amount, pricing=of)


def credited(book: Book, charges: Sequence[Charge]) -> tuple[list[Discount], list[Charge], list[LineItem]]:
    """R6.2, R6.4: what maximums and credits take off the charges, the charges that are left, and the credits.

    They take from the charges by their shares in what they were compared with.
    """
    discounts, catalog = [], book.catalog
    kept = [each for each in charges if each.item.kind != "MAXIMUM_SPEND" and not is_credit(catalog, each.item)]
    for each in [each for each in charges if each.item.kind == "MAXIMUM_SPEND"]:
        item = each.item
        shares = [(one, one.net) for one in kept if one.net > 0 and same_spend(one, each)]
        amount = min(-each.gross, sum((share for _, share in shares), ZERO))
        name = f"maximum {item.attachment} {item.pricing} {item.start} {item.end}"
        discounts += [take_off("MAXIMUM_SPEND", name, amount, shares)] if shares else []
        # What was compared may be on another bill: what cannot be taken off is a negative charge by itself.
        kept += [replace(each, gross=each.gross + amount)] if each.gross + amount else []
    # A product's credits take from what maximums left of it, those of plan groups too.
    items = [replace(each.item, amount=each.net) for each in kept]
    items += [replace(each.item, amount=each.gross) for each in charges if is_credit(catalog, each.item)]
    credit_items = with_credits(catalog, book.account, items)[len(kept) :]
    for number, item in enumerate(credit_items):
        if item.amount > 0:
            kept.append(Charge(item, Fraction(1), None, item.amount))
            continue
        apply_as = next(each.apply_as for each in catalog.pricings if each.id == item.pricing)
        same = [one for one in kept if one.item.currency == item.currency]
        shares = [(one, one.net) for one in same if apply_as == "GLOBAL_CREDIT" or one.item.product == item.product]
        if item.amount < 0:
            discounts.append(take_off("USAGE_CREDIT", f"credit {item.pricing} {number}", -item.amount, shares))
    return discounts, kept, credit_items


def same_spend(one: Charge, maximum: Charge) -> bool:
    """Whether a maximum spend caps this charge: both are of the same attachment, or plan group, and bill period."""
    item, part, other = one.item, one.part, maximum.part
    if part is None or other is None or item.kind == "STANDING_CHARGE" or part.period != other.period:
        return False
    if not maximum.item.attachment:
        return maximum.item.plan in (item.plan, part.catalog.plan(part.attachment.plan).group)
    return item.attachment == maximum.item.attachment and maximum.item.pricing in ("", item.pricing)


def shown_lines(
    charges: Sequence[Charge],
    discounts: Sequence[Discount],
    payments: Sequence[Payment],
    excess: Sequence[Overage],
    date: datetime,
) -> list[Line]:
    """All line items that are not zero, in the order of R12.2."""
    lines = [line_of(each.item.kind, each.item, each.gross) for each in charges]
    lines += [Line(each.kind, (each.id,), date, date, each.amount) for each in discounts]
    for source in dict.fromkeys(each.source for each in payments):
        consumed = sum((each.amount for each in payments if each.source is source), ZERO)
        of = (source.id, "rollover" if source.before else "")
        lines.append(Line(f"{source.kind}_CONSUMED", of, date, date, -consumed))
    lines += [line_of("OVERAGE_USAGE", each.charge.item, each.amount) for each in excess]
    lines += [line_of("OVERAGE_SURCHARGE", each.charge.item, each.surcharge) for each in excess]
    return sorted((line for line in lines if line.amount), key=lambda line: ORDER.index(line.kind))


def line_of(kind: str, item: LineItem, amount: Fraction) -> Line:
    of = (item.attachment, item.plan, item.pricing, item.thing, item.segment)
    return Line(kind, of, item.start, item.end, amount)


# --- Corrections ------------------------------------------------------------------------------------------------------


@dataclass
class Ledger:
    """R12.3: bills that are really run, whenever and with whatever is known by then."""

    carried: dict[Key, Fraction] = field(default_factory=dict)

    def run(self, catalog: Catalog, account: Account, debts: Debts, date: datetime) -> dict[Key, Fraction]:
        """What is due up to the date by this snapshot, less what earlier bills carried of the same item."""
        due: dict[Key, Fraction] = {}
        for _, lines in bills(catalog, account, debts, date):
            for line in lines:
                due[line.key] = due.get(line.key, ZERO) + line.amount
        difference = {key: due.get(key, ZERO) - self.carried.get(key, ZERO) for key in {*due, *self.carried}}
        self.carried = due
        return {key: amount for key, amount in difference.items() if amount}
