"""Workers make the bills of large runs: the same ones, whatever becomes of a worker, a server or a caller."""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import grpc
import pytest

from ratel.catalog.v1.plan_template_pb2 import BILL_FREQUENCY_MONTHLY
from ratel.client import error_from
from ratel.core.billing import BillKey
from ratel.core.period import Frequency, date_from_text
from ratel.rating.v1 import billing_service_pb2 as pb
from ratel.rating.v1.billing_service_pb2_grpc import BillingServiceStub
from ratel.server.bill_worker import BillWorkers, WorkerStart
from ratel.store.pool import PoolLimits
from tests.chaos.scene import free_targets
from tests.conftest import Served, command_environment, served
from tests.server.billing import CALLS, get, preview, responses_of, run, use
from tests.story import read_story
from tests.telling import Teller

DAY = "2024-07-01"
ENDED_SECONDS = 100
CREATE_ACCOUNTS = """
    INSERT INTO accounts (id, name, create_time, update_time)
    SELECT 'many_' || number, '', now(), now() FROM generate_series(1, 1200) AS number
"""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratel.server.billing.CHUNK_ACCOUNTS", 2)


@asynccontextmanager
async def told_to(database_url: str, prefix: str, count: int) -> AsyncIterator[tuple[Served, list[str]]]:
    """Give a server with two workers, and accounts of which each has other usage."""
    async with served(database_url, billing_processes=2) as server:
        ids = []
        for number in range(count):
            teller = Teller(server, read_story(CALLS), f"{prefix}{number}_")
            await teller.tell()
            await use(teller, f"use 2024-06-0{number + 1} n={number}.25 id=more")
            ids.append(teller.account_id)
        yield server, ids


def worker_pids() -> set[int]:
    return {process.pid for process in multiprocessing.active_children() if process.pid}


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(ENDED_SECONDS):
        while not is_so():  # noqa: ASYNC110 -- processes end without telling
            await asyncio.sleep(0)


async def test_workers_make_the_bills_that_the_server_makes(database_url: str) -> None:
    """R12.4: also of usage that is not folded yet, which a worker reads from the events of the server."""
    async with told_to(database_url, "same_", 7) as (server, ids):
        expected = [await preview(server, account_id, DAY) for account_id in ids]
        responses = await responses_of(server, ids, DAY)
        assert worker_pids(), "the run is large enough"
        assert [response.done_count for response in responses] == [2, 4, 6, 7]
        billed = [each for response in responses for each in response.billed_accounts]
        assert [each.account_id for each in billed] == ids
        assert all(each.changed for each in billed)
        for account_id, bill in zip(ids, expected, strict=True):
            made = await get(server, account_id, DAY)
            assert made.line_items == bill.line_items
            assert made.totals == bill.totals
        assert not any(each.changed for each in await run(server, ids, DAY))
    assert not worker_pids(), "they end with the server"


async def test_who_has_no_bill_is_told_why(database_url: str) -> None:
    async with told_to(database_url, "none_", 2) as (server, ids):
        found = await run(server, [*ids, "none_nobody"], DAY)
        assert [error.error.message for error in found] == ["", "", "account 'none_nobody' does not exist"]


async def test_a_run_goes_on_where_a_worker_was_lost(database_url: str) -> None:
    async with told_to(database_url, "lost_", 7) as (server, ids):
        asked = pb.RunBillingRequest(account_ids=ids, bill_frequency=BILL_FREQUENCY_MONTHLY, invoice_date=DAY)
        call = server.billing.RunBilling(asked)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await _kill_workers_of(call)
        failure = error_from(raised.value)
        assert (raised.value.code(), failure.reason) == (grpc.StatusCode.UNAVAILABLE, "WORKER_LOST")
        assert failure.retry_seconds == 1
        found = await run(server, ids, DAY)
        assert [each.HasField("error") for each in found] == [False] * len(ids)
        for account_id in ids:
            assert (await get(server, account_id, DAY)).line_items


async def _kill_workers_of(call: "grpc.aio.UnaryStreamCall[pb.RunBillingRequest, pb.RunBillingResponse]") -> None:
    """Kill the workers of a run at its first answer, and take what comes after it."""
    async for _ in call:
        for pid in worker_pids():
            os.kill(pid, signal.SIGKILL)


async def test_a_terminal_or_supervisor_does_not_end_them(database_url: str) -> None:
    async with told_to(database_url, "told_", 3) as (server, ids):
        await run(server, ids, DAY)
        before = worker_pids()
        for pid in before:
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        await run(server, ids, DAY)
        assert worker_pids() == before


async def test_workers_end_when_nobody_needs_them(database_url: str) -> None:
    workers = BillWorkers(WorkerStart(database_url, PoolLimits(), "INFO"), 1, idle_seconds=0)
    billed = await workers.bill(["nobody"], BillKey(Frequency.MONTHLY, date_from_text(DAY)), "")
    assert billed.outcomes == {"failed": 1}
    await until(lambda: not worker_pids())
    await workers.aclose()


async def test_they_end_when_their_server_is_killed(fresh_database_url: str) -> None:
    connection = await asyncpg.connect(fresh_database_url)
    await connection.execute(CREATE_ACCOUNTS)
    await connection.close()
    (target,) = free_targets(1)
    settings = {"RATEL_DATABASE_URL": fresh_database_url, "RATEL_LISTEN": target, "RATEL_METRICS_LISTEN": ""}
    command = (sys.executable, "-m", "ratel", "serve")
    server = await asyncio.create_subprocess_exec(*command, env=command_environment(**settings))
    try:
        async with grpc.aio.insecure_channel(target) as channel:
            asked = pb.RunBillingRequest(bill_frequency=BILL_FREQUENCY_MONTHLY, invoice_date=DAY)
            run_all = BillingServiceStub(channel).RunBilling(asked, wait_for_ready=True, timeout=ENDED_SECONDS)
            done = [response.done_count async for response in run_all]
        assert done[-1] == 1200
        pids = children_of(server.pid)
        assert len(pids) > 1, "workers are there"
    finally:
        server.kill()
        await server.wait()
    await until(lambda: not any(map(is_running, pids)))


def children_of(pid: int) -> Sequence[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    """Tell whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
