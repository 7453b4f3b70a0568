"""A client in another language, which knows the contracts by reflection only: Node with grpc-js."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from ratel.account.v1.account_pb2 import Account
from ratel.account.v1.account_service_pb2 import CreateAccountRequest
from ratel.catalog.v1.catalog_service_pb2 import CreateMeterRequest, CreateProductRequest
from ratel.catalog.v1.meter_pb2 import FieldKind, Meter, MeterField
from ratel.catalog.v1.product_pb2 import Product
from tests.conftest import Served, do_without

CLIENT = Path(__file__).parent / "node"
INSTALL_SECONDS = 100


async def run(folder: Path, *command: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    written, complained = await asyncio.wait_for(process.communicate(), timeout=INSTALL_SECONDS)
    return process.returncode, written.decode(), complained.decode()


@pytest.fixture(scope="module")
async def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the client from its lock, in a folder of its own."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        do_without("node and npm are not installed: on Debian, apt install nodejs npm")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", ".npmrc", "client.mjs"):
        shutil.copy(CLIENT / name, folder)
    code, _, complained = await run(folder, npm, "ci")
    if code != 0:
        do_without(f"npm cannot install the client, perhaps without a network: {complained[-500:]}")
    return folder


@pytest.fixture(scope="module")
async def seen(server: Served, installed: Path) -> dict[str, object]:
    """Run the client once and give what it saw."""
    product = Product(id="cloud", name="Cloud")
    fields = [MeterField(name="gigabytes", kind=FieldKind.FIELD_KIND_MEASURE)]
    meter = Meter(id="storage", product_id="cloud", name="Storage", fields=fields)
    await server.catalog.CreateProduct(CreateProductRequest(product=product))
    await server.catalog.CreateMeter(CreateMeterRequest(meter=meter))
    await server.accounts.CreateAccount(CreateAccountRequest(account=Account(id="node", name="Node")))
    code, written, complained = await run(installed, "node", "client.mjs", server.running.target)
    assert (code, complained) == (0, "")
    result: dict[str, object] = json.loads(written)
    return result


async def test_reflection_shows_it_the_services(seen: dict[str, list[str]]) -> None:
    assert {"ratel.rating.v1.RatingService", "ratel.usage.v1.UsageService"} <= set(seen["services"])


async def test_it_quotes(seen: dict[str, dict[str, object]]) -> None:
    assert seen["quote"]["amount"] == "33.00"


async def test_it_streams_usage(seen: dict[str, list[dict[str, object]]]) -> None:
    first, second = seen["acknowledgements"]
    assert (first["sequence"], first["accepted_count"], first["verdicts"]) == ("1", 2, [])
    assert second["accepted_count"] == 0
    verdicts = second["verdicts"]
    assert isinstance(verdicts, list)
    assert [(verdict["outcome"], verdict["reason"]) for verdict in verdicts] == [
        ("EVENT_OUTCOME_DUPLICATE", ""),
        ("EVENT_OUTCOME_REJECTED", "ACCOUNT_UNKNOWN"),
    ]


async def test_it_reads_rich_errors(seen: dict[str, dict[str, object]]) -> None:
    refusal = seen["refusal"]
    assert refusal["code"] == "INVALID_ARGUMENT"
    details = refusal["details"]
    assert isinstance(details, list)
    info, bad, _ = details
    assert (info["type"], info["domain"], info["reason"]) == ("ErrorInfo", "ratel", "STRING_PATTERN")
    assert [each["field"] for each in bad["field_violations"]] == ["quantity", "bands[0].lower_limit"]
