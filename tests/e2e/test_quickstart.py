"""The first thing that anybody does with Ratel, and the command `serve` as an orchestrator sees it."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import command_environment

RATEL = [sys.executable, "-m", "ratel"]
# Wide, so that no line of the table is broken.
ENVIRONMENT = command_environment(RATEL_LISTEN="127.0.0.1:0", RATEL_METRICS_LISTEN="127.0.0.1:0", COLUMNS="120")
SECONDS = 90


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for the embedded Postgres that another user may enter, if we are root."""
    made = tmp_path_factory.mktemp("quickstart")
    for parent in (made, made.parent, made.parent.parent):
        parent.chmod(0o755)
    return made


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RATEL, *arguments],
        cwd=folder,
        env=ENVIRONMENT | settings,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def started(folder: Path, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*RATEL, *arguments],
        cwd=folder,
        env=ENVIRONMENT | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=SECONDS)


def amounts(text: str) -> list[str]:
    return re.findall(r"(\d+\.\d\d) USD", text)


def test_the_example_comes_to_308_dollars_however_often_it_runs(folder: Path) -> None:
    first = run(folder, "quickstart", "--once")
    assert (first.returncode, first.stderr) == (0, "")
    assert "Migrated: 0001_initial.sql." in first.stdout
    assert "2 events accepted." in first.stdout
    assert amounts(first.stdout) == ["33.00", "275.00", "308.00"]
    assert re.search(r"above 0 to 50\D+50\D+0\.5\D+25\b", first.stdout)
    assert re.search(r"above 50\D+20\D+0\.4\D+8\b", first.stdout)

    again = run(folder, "quickstart", "--once")
    assert (again.returncode, again.stderr) == (0, "")
    assert "Migrated" not in again.stdout
    assert "0 of them changed what was there" in again.stdout
    assert "2 events duplicate." in again.stdout
    table = first.stdout.index("acme, 2024-07")
    assert again.stdout[again.stdout.index("acme, 2024-07") :] == first.stdout[table:]


def test_it_serves_until_it_is_interrupted_and_says_how_to_call_it(folder: Path) -> None:
    with started(folder, "quickstart") as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C ends it" in line:
                break
        target = re.search(r"answers on (127\.0\.0\.1:\d+)", said)
        assert target is not None
        assert f"http://{target[1]}/ratel.rating.v1.RatingService/RateAccount" in said
        assert "/metrics" in said
        shown = run(folder, "rate", "acme", "--period", "2024-07", "--target", target[1])
        assert amounts(shown.stdout) == ["33.00", "275.00", "308.00"]
        wrong = run(folder, "rate", "nobody", "--period", "2024-07", "--target", target[1])
        assert (wrong.returncode, wrong.stderr) == (1, "NOT_FOUND: account 'nobody' does not exist\n")
        taken = run(folder, "quickstart", "--once", RATEL_LISTEN=target[1])
        assert taken.returncode == 1
        assert f"cannot listen on {target[1]}" in taken.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=SECONDS) == 0


def test_serve_ends_on_sigterm_and_logs_json(folder: Path) -> None:
    with started(folder, "serve") as process:
        assert process.stderr is not None
        assert '"event":"serving"' in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS) == 0
        assert '"event":"draining"' in process.stderr.read()


def test_serve_refuses_a_database_without_a_schema(empty_database_url: str, folder: Path) -> None:
    refused = run(folder, "serve", RATEL_DATABASE_URL=empty_database_url)
    assert refused.returncode == 1
    assert "run `ratel migrate`" in refused.stderr
    assert "Traceback" not in refused.stderr
    migrated = run(folder, "migrate", RATEL_DATABASE_URL=empty_database_url)
    assert (migrated.returncode, migrated.stdout.splitlines()[0]) == (0, "applied 0001_initial.sql")
    assert run(folder, "recount", RATEL_DATABASE_URL=empty_database_url).returncode == 0


def test_a_database_that_is_not_there_is_named_without_a_traceback(folder: Path) -> None:
    refused = run(folder, "serve", RATEL_DATABASE_URL=f"postgresql://ratel@/ratel?host={folder}")
    assert refused.returncode == 1
    assert refused.stderr.startswith("the database does not answer")
    assert "Traceback" not in refused.stderr


def test_a_misspelt_variable_is_refused(folder: Path) -> None:
    refused = run(folder, "serve", RATEL_LISTN="127.0.0.1:7070")
    assert refused.returncode == 1
    assert "RATEL_LISTN: there is no such variable" in refused.stderr


def test_a_catalog_file_with_mistakes_says_where(folder: Path) -> None:
    wrong = folder / "wrong.yaml"
    wrong.write_text("products:\n  - {id: p, name: P}\n  - {id: q, nmae: Q}\n")
    refused = run(folder, "apply", str(wrong), "--target", "127.0.0.1:1")
    assert refused.returncode == 1
    assert "products[1]" in refused.stderr
    assert "nmae" in refused.stderr
