"""Replay deploy/Dockerfile without a container engine, in a folder that stands for the image's root.

Usage: python deploy/image.py

Proves that the lock and the copied sources install by themselves, with nothing of this machine's packages, and that
every module of the service can be imported from what is left. The base image and the engine are not proved.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The only folders that the Dockerfile writes to.
FOLDERS = re.compile(r"(?<![\w./])/(?=(?:opt|build)\b)")
IMPORT_ALL = """
import importlib, importlib.util, pkgutil, ratel
for module in pkgutil.walk_packages(ratel.__path__, "ratel."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert not any(map(importlib.util.find_spec, ("pip", "setuptools", "pytest"))), "more than the service needs"
"""


def read_steps() -> list[tuple[str, str]]:
    """Return instruction and argument of each line of the Dockerfile, continued lines joined."""
    lines = (line for line in (ROOT / "deploy" / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    steps = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [(instruction, argument) for instruction, _, argument in (step.partition(" ") for step in steps) if argument]


def replay(image: Path) -> list[str]:
    """Carry out each step under ``image``; return the command that the image would run."""
    folder, entrypoint = image, [""]
    steps = ((instruction, FOLDERS.sub(f"{image}/", argument)) for instruction, argument in read_steps())
    for instruction, argument in steps:
        if instruction == "WORKDIR":
            folder = Path(argument)
            folder.mkdir(parents=True)
        elif instruction == "RUN":
            run(argument, folder)
        elif instruction == "COPY" and not argument.startswith("--from="):
            copy(shlex.split(argument), folder)
        elif instruction == "ENTRYPOINT":
            entrypoint = re.findall(r'"([^"]+)"', argument)
    return entrypoint


def copy(words: list[str], folder: Path) -> None:
    """Copy what .dockerignore lets through."""
    *sources, target = words
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for source in sources:
        if f"!{source}" not in (ROOT / ".dockerignore").read_text().splitlines():
            sys.exit(f"deploy/image.py: .dockerignore keeps {source} from the builder")
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / target, ignore=ignored)
        else:
            shutil.copy(ROOT / source, folder / target)


def run(command: str, folder: Path) -> None:
    """Run one line in a shell, with this Python first and none of its packages."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RATEL_", "VIRTUAL_ENV"))
    }
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-euc", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"deploy/image.py: {command}\n{done.stdout}{done.stderr}")


def main() -> None:
    """Replay, then import everything and ask the entry point for help, in an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        image = Path(name).resolve()
        entrypoint = replay(image)
        empty = image / "empty"
        empty.mkdir()
        run(shlex.join([str(image / "opt/ratel/bin/python"), "-c", IMPORT_ALL]), empty)
        run(shlex.join([*entrypoint, "--help"]), empty)
    print("deploy/Dockerfile: its steps install the service, and nothing else")


if __name__ == "__main__":
    main()
