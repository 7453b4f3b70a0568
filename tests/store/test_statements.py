"""Every statement of the store is one that Postgres understands, on the schema as it is."""

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pkgutil import iter_modules

import asyncpg
import pytest

from ratel import store
from ratel.store.constraint import REFERENCES, USES

VERBS = {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}
CONSTRAINTS = "SELECT conname FROM pg_constraint WHERE contype = $1"


def constants() -> Iterator[tuple[str, str]]:
    for module in iter_modules(store.__path__):
        for name, value in vars(import_module(f"ratel.store.{module.name}")).items():
            if name.isupper() and isinstance(value, str) and value.strip():
                yield f"{module.name}.{name}", value.strip()
    for name, use in USES.items():
        yield f"constraint.USES[{name}]", use.select.strip()


STAGES = {text for _, text in constants() if text.startswith("CREATE TEMPORARY TABLE")}
STATEMENTS = {name: text for name, text in constants() if text.split()[0] in VERBS and len(text.split()) > 1}


@pytest.fixture(scope="module")
async def connection(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    opened = await asyncpg.connect(database_url)
    for stage in STAGES:
        await opened.execute(stage)
    yield opened
    await opened.close()


@pytest.mark.parametrize("name", STATEMENTS)
async def test_the_statement_prepares(name: str, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.prepare(STATEMENTS[name])


async def test_every_foreign_key_of_the_catalog_has_a_meaning(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    names = {row["conname"] for row in await connection.fetch(CONSTRAINTS, b"f")}
    assert REFERENCES.keys() | USES.keys() <= names
    # Cascades, keys that the same statement has just read, and what is never deleted.
    silent = {
        "accounts_parent",
        "aggregations_rollup",
        "attachments_account",
        "attachments_product",
        "balances_account",
        "bills_account",
        "commitments_account",
        "compound_operands_compound",
        "counter_adjustments_account",
        "ad_hoc_charges_account",
        "grants_account",
        "purchases_account",
        "plan_group_plans_group",
        "plans_account",
        "priced_things_aggregation",
        "priced_things_compound",
        "priced_things_plan",
        "priced_things_template",
        "rollups_meter",
    }
    assert names - USES.keys() == silent
