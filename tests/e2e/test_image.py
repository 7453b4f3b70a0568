"""The image holds what the service needs to run and nothing else, and never runs as root.

That its steps work is checked by deploy/check.
"""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
STEPS = [
    (instruction, argument)
    for instruction, _, argument in (
        line.partition(" ") for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines() if line and line[0] != "#"
    )
]


def locked(path: str) -> set[tuple[str, str]]:
    """Return the pins of a lock as they stand there: a package's name, and its version, marker and hashes.

    A package has a pin for each Python where the versions differ.
    """
    entries = re.split(r"\n(?=\S)", (ROOT / path).read_text().strip())
    return {(entry.partition("==")[0], entry) for entry in entries}


def needed(requirements: list[str]) -> set[str]:
    """Return the names of all packages that the requirements need on this machine, themselves included."""
    found: set[str] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or not (requirement.marker is None or requirement.marker.evaluate({"extra": extra})):
            continue
        found.add(name)
        further = map(Requirement, distribution(name).requires or [])
        waiting += [(each, extra) for each in further for extra in ("", *requirement.extras)]
    return found


def test_lock_is_part_of_the_projects_lock() -> None:
    assert locked("deploy/requirements.lock") - locked("requirements.lock") == set()


def test_lock_holds_what_the_service_needs_and_its_build_backend() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    here = {name for name, entry in locked("deploy/requirements.lock") if is_for_this_machine(entry)}
    assert here == needed(dependencies) | {"setuptools"}


def is_for_this_machine(entry: str) -> bool:
    requirement = Requirement(entry.partition("\\")[0].strip())
    return requirement.marker is None or requirement.marker.evaluate()


def test_both_stages_are_the_same_named_python() -> None:
    stages = [argument.partition(" ")[0] for instruction, argument in STEPS if instruction == "FROM"]
    assert stages == ["${PYTHON_IMAGE}"] * 2
    assert ("ARG", "PYTHON_IMAGE=python:3.11-slim-bookworm") in STEPS


def test_packages_are_installed_by_hash_only() -> None:
    installs = [argument for instruction, argument in STEPS if instruction == "RUN" and " install " in argument]
    assert len(installs) == 2
    assert all("--require-hashes" in each or "--no-deps" in each for each in installs)


def test_it_runs_as_the_user_of_the_manifests_without_a_shell() -> None:
    last = dict(STEPS[[instruction for instruction, _ in STEPS].index("FROM", 3) :])
    pod = yaml.safe_load((ROOT / "deploy" / "base" / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    context = pod["securityContext"]
    assert last["USER"] == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert last["ENTRYPOINT"].startswith("[")
    assert last["CMD"] == '["serve"]'
    assert "RUN" not in last


def test_it_listens_where_the_manifests_say() -> None:
    pod = yaml.safe_load((ROOT / "deploy" / "base" / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    container = pod["containers"][0]
    said = [argument for instruction, argument in STEPS if instruction == "ENV"][-1].split()
    assert {f"{each['name']}={each['value']}" for each in container["env"] if "value" in each} <= set(said)
    assert dict(STEPS)["EXPOSE"].split() == [str(port["containerPort"]) for port in container["ports"]]


def test_only_what_is_copied_reaches_the_builder() -> None:
    copied = [
        argument.split()[:-1] for instruction, argument in STEPS if instruction == "COPY" and "--from" not in argument
    ]
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {source for sources in copied for source in sources} == let_through
