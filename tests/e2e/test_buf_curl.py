"""A stranger's generic client, written in Go: buf curl, which knows the contracts by reflection only."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from ratel.account.v1.account_pb2 import Account
from ratel.account.v1.account_service_pb2 import CreateAccountRequest
from ratel.catalog.v1.catalog_service_pb2 import CreateMeterRequest, CreateProductRequest
from ratel.catalog.v1.meter_pb2 import FieldKind, Meter, MeterField
from ratel.catalog.v1.product_pb2 import Product
from tests.conftest import Served

BUF = Path(sys.executable).parent / "buf"
QUOTE = {
    "quantity": "70",
    "cumulative": True,
    "currency": "USD",
    "bands": [{"lower_limit": "0", "unit_price": "0.5"}, {"lower_limit": "50", "unit_price": "0.4"}],
}
EVENT = {
    "account_id": "curl",
    "meter_id": "storage",
    "event_time": "2024-07-05T09:00:00Z",
    "values": {"gigabytes": "1.5"},
}


@pytest.fixture(scope="module")
async def metered(server: Served) -> Served:
    """Give a server that knows an account and a meter."""
    product = Product(id="cloud", name="Cloud")
    fields = [MeterField(name="gigabytes", kind=FieldKind.FIELD_KIND_MEASURE)]
    meter = Meter(id="storage", product_id="cloud", name="Storage", fields=fields)
    await server.catalog.CreateProduct(CreateProductRequest(product=product))
    await server.catalog.CreateMeter(CreateMeterRequest(meter=meter))
    await server.accounts.CreateAccount(CreateAccountRequest(account=Account(id="curl", name="Curl")))
    return server


async def curl(server: Served, method: str, *messages: object, **options: str) -> tuple[int, str, str]:
    """Call a method, or ask about the server, and return the exit code and what was written."""
    url = f"http://{server.running.target}{method}"
    arguments = ["curl", "--protocol", "grpc", "--http2-prior-knowledge", url]
    arguments += [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value) if word]
    if messages:
        arguments += ["--data", "@-"]
    process = await asyncio.create_subprocess_exec(
        BUF, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    given = "\n".join(map(json.dumps, messages)).encode()
    written, complained = await asyncio.wait_for(process.communicate(given), timeout=60)
    assert process.returncode is not None
    return process.returncode, written.decode(), complained.decode()


async def test_it_lists_services_and_methods(server: Served) -> None:
    code, listed, _ = await curl(server, "", list_services="")
    assert code == 0
    assert "ratel.rating.v1.RatingService" in listed.split()
    code, listed, _ = await curl(server, "", list_methods="")
    assert code == 0
    assert "ratel.usage.v1.UsageService/StreamUsage" in listed.split()


async def test_it_quotes(server: Served) -> None:
    code, written, complained = await curl(server, "/ratel.rating.v1.RatingService/Quote", QUOTE)
    assert (code, complained) == (0, "")
    quote = json.loads(written)
    assert quote["amount"] == "33.00"
    assert [band["amount"] for band in quote["pricedQuantity"]["bandUsages"]] == ["25", "8"]


async def test_it_streams_usage(metered: Served) -> None:
    messages = [
        {"sequence": 1, "events": [EVENT | {"event_id": "a"}, EVENT | {"event_id": "b"}]},
        {"sequence": 2, "events": [EVENT | {"event_id": "c"}, EVENT | {"event_id": "d", "account_id": "nobody"}]},
    ]
    code, written, complained = await curl(metered, "/ratel.usage.v1.UsageService/StreamUsage", *messages)
    assert (code, complained) == (0, "")
    decoder, acknowledgements = json.JSONDecoder(), []
    while written := written.lstrip():
        response, end = decoder.raw_decode(written)
        acknowledgements += response["acknowledgements"]
        written = written[end:]
    first, second = acknowledgements
    assert first == {"sequence": "1", "acceptedCount": 2}
    assert second["acceptedCount"] == 1
    assert [(verdict["index"], verdict["reason"]) for verdict in second["verdicts"]] == [(1, "ACCOUNT_UNKNOWN")]


async def test_it_is_told_what_is_wrong(server: Served) -> None:
    wrong = QUOTE | {"quantity": "1e999"}
    code, _, complained = await curl(server, "/ratel.rating.v1.RatingService/Quote", wrong)
    assert code != 0
    error = json.loads(complained)
    assert error["code"] == "invalid_argument"
    assert "quantity" in error["message"]
    assert [detail["type"].rpartition(".")[2] for detail in error["details"]] == [
        "ErrorInfo",
        "BadRequest",
        "RequestInfo",
    ]
