"""Families as rating reads them: what an account has, and what its children and its parent have (R11.1)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ratel.core.account import Account, Attachment
from ratel.core.counter import Adjustment
from ratel.core.family import Child, Coverage
from ratel.core.period import Period
from ratel.store.resource import Row


@dataclass(frozen=True, slots=True)
class Family:
    """The attachments of an account, and its children.

    Attributes:
        account_nos: of all of them, by id.
    """

    attachments: tuple[Attachment, ...]
    children: tuple[Child, ...]
    account_nos: Mapping[str, int]

    @property
    def all_attachments(self) -> Iterator[Attachment]:
        """Those of the account, and those of children that are charged with it."""
        yield from self.attachments
        for child in self.children:
            yield from child.attachments


def family_from_row(row: Row) -> Family:
    """Return the family of an account that is rated."""
    attachments = tuple(_attachment(row["id"], *each) for each in row["attachments"] or ())
    numbers = {row["id"]: row["account_no"]}
    children = []
    for child_id, account_no, _, name, epoch, is_billed_with_parent, attached, adjusted in row["children"] or ():
        numbers[child_id] = account_no
        account = Account(child_id, name, epoch, parent_id=row["id"], billed_with_parent=is_billed_with_parent)
        coverages = tuple(_coverage(product_id, *each[2:4]) for product_id, *each in attached or ())
        own = tuple(_attachment(child_id, *each) for _, *each in attached or ()) if is_billed_with_parent else ()
        children.append(Child(account, coverages, tuple(Adjustment(*each) for each in adjusted or ()), own))
    return Family(attachments, tuple(sorted(children, key=lambda each: each.account.id)), numbers)


def _attachment(
    account_id: str, attachment_id: str, plan_id: str, start_time: datetime, end_time: datetime | None, *rest: Any
) -> Attachment:
    return Attachment(attachment_id, account_id, plan_id, Period(start_time, end_time), *rest)


def coverages_from_row(row: Row) -> tuple[Coverage, ...]:
    """Return when the parent of an account that is rated is on plans."""
    return tuple(_coverage(*each) for each in row["parent_coverages"] or ())


def _coverage(product_id: str, start_time: datetime, end_time: datetime | None) -> Coverage:
    return Coverage(product_id, Period(start_time, end_time))
