"""Catalog files: read as text, applied in order, again without effect, and with changes."""

from pathlib import Path

import pytest
from rich.console import Console

from ratel.catalog.v1.catalog_service_pb2 import GetProductRequest, GetSettingsRequest
from ratel.cli.apply import Entry, apply_entries, describe, read_catalog
from ratel.cli.failure import CommandFailed
from ratel.cli.yaml_file import read_yaml
from tests.conftest import Served

CONSOLE = Console(quiet=True)
CATALOG = """
meters:
  - id: calls
    product_id: phone
    name: Calls
    fields: [{name: minutes, kind: FIELD_KIND_MEASURE}]
products:
  - {id: phone, name: Phone}
settings: {time_zone: Europe/Berlin}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "catalog.yaml"
    made.write_text(CATALOG)
    return made


async def apply(server: Served, entries: list[Entry]) -> str:
    return describe(await apply_entries(server.channel, entries, CONSOLE))


def test_scalars_stay_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "scalars.yaml"
    path.write_text("[0.10, 1e3, 2024-07-01, yes, true, null, '', 010]")
    assert read_yaml(path) == ["0.10", "1e3", "2024-07-01", "yes", True, None, "", "010"]


def test_entries_come_in_the_order_in_which_they_name_each_other(path: Path) -> None:
    assert [entry.place for entry in read_catalog(path)] == ["settings", "products[0]", "meters[0]"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "must say for each kind"),
        ("customers: []", "there is no kind customers"),
        ("products: {id: p}", "products: must be a list"),
        ("products: [{id: p, nmae: P}]", r"products\[0\]"),
        ("products: [p]", r"products\[0\]"),
        ("pricings: [{start_time: soon}]", r"pricings\[0\]"),
        ("products: [", "catalog.yaml"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(path: Path, text: str, said: str) -> None:
    path.write_text(text)
    with pytest.raises(CommandFailed, match=said):
        read_catalog(path)


async def test_applying_again_changes_nothing_and_applying_a_change_changes_that(server: Served, path: Path) -> None:
    for _ in range(2):
        assert await apply(server, read_catalog(path)) == "3 entries applied, 0 of them changed what was there."
    path.write_text(CATALOG.replace("name: Phone", "name: Telephone"))
    assert await apply(server, read_catalog(path)) == "3 entries applied, 1 of them changed what was there."
    assert (await server.catalog.GetProduct(GetProductRequest(id="phone"))).product.name == "Telephone"
    settings = (await server.catalog.GetSettings(GetSettingsRequest())).settings
    assert (settings.time_zone, settings.default_currency) == ("Europe/Berlin", "USD")


async def test_what_the_server_refuses_is_named_with_its_fields(server: Served, path: Path) -> None:
    await apply(server, read_catalog(path))
    path.write_text("counters: [{id: c, product_id: nothing, name: C}]")
    with pytest.raises(CommandFailed, match=r"counters\[0\] is refused. NOT_FOUND: product 'nothing' does not exist"):
        await apply(server, read_catalog(path))
    path.write_text(CATALOG.replace("minutes", "seconds"))
    with pytest.raises(CommandFailed, match=r"meters\[0\] is refused. FIELDS_FIXED"):
        await apply(server, read_catalog(path))
    path.write_text("products: [{id: 'a b'}]")
    with pytest.raises(CommandFailed, match=r"(?s)products\[0\] is refused.*product.id: .*product.name: "):
        await apply(server, read_catalog(path))


PROMOTED = """
products: [{id: phone, name: Phone}]
plan_templates: [{id: basic, product_id: phone, name: Basic, bill_frequency: BILL_FREQUENCY_MONTHLY}]
plans: [{id: gold, plan_template_id: basic, name: Gold}]
accounts: [{id: acme, name: Acme}]
grants: [{id: g, account_id: acme, promotion_id: welcome, start_time: 2024-06-01T00:00:00Z}]
plan_groups: [{id: all, name: All, plan_ids: [gold], minimum_spend: 100.00}]
promotions:
  - {id: welcome, name: Welcome, plan_id: gold, fixed_amount: 5.00, max_total: 25.00}
  - {id: upward, name: Upward, plan_id: gold, graduated: {bands: [{lower_limit: 0, percentage: 10}]}}
"""


async def test_promotions_grants_and_plan_groups_are_kinds_of_entries(server: Served, path: Path) -> None:
    """R6.2, R9.1."""
    path.write_text(PROMOTED)
    for _ in range(2):
        assert await apply(server, read_catalog(path)) == "8 entries applied, 0 of them changed what was there."
    path.write_text(PROMOTED.replace("25.00", "30.00"))
    assert await apply(server, read_catalog(path)) == "8 entries applied, 1 of them changed what was there."


FAMILY = """
accounts:
  - {id: north, name: North, parent_account_id: group, billed_with_parent: true}
  - {id: group, name: Group, child_billing: CHILD_BILLING_BREAKDOWN}
"""


async def test_parents_come_before_their_children(server: Served, path: Path) -> None:
    """R11.1."""
    path.write_text(FAMILY)
    assert [entry.place for entry in read_catalog(path)] == ["accounts[1]", "accounts[0]"]
    for _ in range(2):
        assert await apply(server, read_catalog(path)) == "2 entries applied, 0 of them changed what was there."
    path.write_text(FAMILY.replace("parent_account_id: group, billed_with_parent: true", "epoch: '2024-01-31'"))
    with pytest.raises(CommandFailed, match=r"accounts\[0\] is refused. PARENT_FIXED"):
        await apply(server, read_catalog(path))
