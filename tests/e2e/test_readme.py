"""What the README shows is what happens: its bill, its calls, its Python."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from ratel.cli import app
from ratel.cli.yaml_file import parse_messages, read_yaml
from ratel.client import stream_usage
from ratel.usage.v1.usage_event_pb2 import UsageEvent
from tests.conftest import Served, command_environment

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLES = ROOT / "src" / "ratel" / "examples"
BIN = Path(sys.executable).parent
SECONDS = 60


def blocks(language: str) -> list[str]:
    """Return what stands in fences of a language."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in fences if name == language]


def words_of(table: str) -> list[list[str]]:
    """Return the words of each line, whatever the columns' widths."""
    lines = (re.sub(r"[^\w.:,-]", " ", line).split() for line in table.splitlines())
    return [words for words in lines if words]


async def run(*command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=command_environment(COLUMNS="100"), stdout=asyncio.subprocess.PIPE
    )
    written, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0
    return written.decode()


@pytest.fixture(scope="module")
async def example(server: Served) -> Served:
    """Give a server to which the example files were applied, twice."""
    for _ in range(2):
        applied = await run(BIN / "ratel", "apply", EXAMPLES / "hybrid.yaml", "--target", server.running.target)
        assert applied == "11 entries applied, 0 of them changed what was there.\n"
        events = parse_messages(UsageEvent, read_yaml(EXAMPLES / "hybrid_usage.yaml"), "usage")
        async for _ in stream_usage(server.channel, events):
            pass
    return server


async def test_the_bill_is_the_one_that_is_shown(example: Served) -> None:
    shown = await run(BIN / "ratel", "rate", "acme", "--period", "2024-07", "--target", example.running.target)
    (table,) = (block for block in blocks("") if "Line item" in block)
    assert words_of(shown) == words_of(table)


async def test_the_calls_work(example: Served) -> None:
    (block,) = (block for block in blocks("sh") if "buf curl" in block)
    for call in block.split("\n\n"):
        answer = await run("sh", "-c", call.replace("127.0.0.1:7070", example.running.target))
        if "--list-methods" in call:
            assert "ratel.rating.v1.RatingService/RateAccount" in answer.split()
        else:
            assert json.loads(answer)["accountRating"]["totals"] == [{"currency": "USD", "amount": "308.00"}]


async def test_the_python_works(example: Served) -> None:
    (block,) = blocks("python")
    answer = await run(sys.executable, "-c", block.replace("127.0.0.1:7070", example.running.target))
    assert answer == "308.00 USD\n"


def test_it_names_every_command_and_no_other() -> None:
    named = re.findall(r"^\| `ratel (\w+)", README, re.MULTILINE)
    assert sorted(named) == sorted(command.callback.__name__ for command in app.registered_commands if command.callback)


def test_what_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README):
        assert (ROOT / target).exists(), target
