"""The embedded PostgreSQL: a real server in a folder, started and stopped by Ratel, with nothing to set up.

A folder has at most one server. Whoever comes second attaches to it; only its owner stops it, and whoever comes after a
dead owner inherits it. Nothing that was committed is lost when any of the processes is killed.

Start it from the main thread and before any gRPC object exists: gRPC's threads do not survive a fork.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from ratel.core.errors import Unavailable
from ratel.store.installation import Command, Identity, Installation, find_identity, find_installation

DATABASE = "ratel"
START_SECONDS = 60
STOP_SECONDS = 30
# Nothing announces a change of the pid file, nor the end of a process that is not our child.
POLL_SECONDS = 1 / 100
# sockaddr_un holds 108 bytes with the final zero; PostgreSQL appends the name of the socket.
SOCKET_FOLDER_BYTES_MAX = 107 - len("/.s.PGSQL.5432")
SETTINGS = {
    # Reached through a socket that only its owner can open, never over a network.
    "listen_addresses": "",
    "port": "5432",  # only a part of the socket's name, but in the URL, where PGPORT would else decide
    "unix_socket_permissions": "0700",
    # Exactly once rests on these; said here so that no file can change them.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "100",
    "shared_buffers": "128MB",
    # Bulk ingest would otherwise checkpoint every few seconds.
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class PostgresFailed(Unavailable):
    """The embedded PostgreSQL does not start or stop; metadata ``log`` names the file that says why."""

    reason = "POSTGRES_FAILED"


@dataclass(slots=True)
class EmbeddedPostgres:
    """A running server. Leaving it as a context stops it, if this process owns it.

    Attributes:
        url: The server's database for asyncpg.
        folder: The folder that it was started in.
        owner: The lock that makes this process its owner; None if another process is.
    """

    url: str
    folder: Path
    owner: IO[bytes] | None
    child: subprocess.Popen[bytes] | None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server if this process owns it: connections end, what is committed stays."""
        if self.owner is None:
            return
        with _locked(self.folder), self.owner:
            _shut_down(self.folder / "postgres")
            if self.child is not None:
                self.child.wait(STOP_SECONDS)  # or it stays a zombie
            self.owner = None


def start_postgres(folder: Path) -> EmbeddedPostgres:
    """Start the server of a folder, or attach to the one that is running there.

    Args:
        folder: Made if missing. Holds the data (`postgres/`) and the log (`postgres.log`).

    Raises:
        PostgresMissing: No PostgreSQL is installed.
        PostgresFailed: It does not start.
    """
    folder = folder.absolute()
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    data, log = folder / "postgres", folder / "postgres.log"
    with _locked(folder), ExitStack() as undone:
        owner = _try_lock(folder / "owner.lock")
        if owner is not None:
            undone.enter_context(owner)
        child = None
        if _running_pid(data) is None:
            if owner is None:
                raise _failed("its owner is alive, perhaps in another container, but the server is not here", log)
            child = _launch(data, log)
        _await_ready(data, child, log)
        undone.pop_all()
        return EmbeddedPostgres(_url(data), folder, owner, child)


def _launch(data: Path, log: Path) -> subprocess.Popen[bytes]:
    version = int((data / "PG_VERSION").read_text()) if data.exists() else None
    installation, identity = find_installation(version), find_identity(data)
    with log.open("ab") as output:
        if version is None:
            _initialise(data, installation, identity, output)
        _clear_after_crash(data, log)
        return identity.popen(_command(data, installation, identity), output)


def _shut_down(data: Path) -> None:
    """End the server: fast, and if that takes too long at once, from which the next start recovers."""
    sockets = Path(_sockets(data) or data)
    for signal_number in (signal.SIGINT, signal.SIGQUIT):
        pid = _running_pid(data)
        if pid is None:
            break
        with suppress(ProcessLookupError):
            os.kill(pid, signal_number)
        if _wait_until(lambda: _running_pid(data) is None, STOP_SECONDS):
            break
    if sockets != data:
        shutil.rmtree(sockets, ignore_errors=True)


def _initialise(data: Path, installation: Installation, identity: Identity, output: IO[bytes]) -> None:
    """Make the data folder beside its place and move it there whole, so that a half-made one is never used."""
    new = data.with_name("postgres.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    identity.own(new)
    initdb: Command = [installation.folder / "initdb", "--pgdata", new, "--username", DATABASE, "--auth", "trust"]
    # C: text sorts by its bytes, the same on every machine.
    _run(identity, [*initdb, "--encoding", "UTF8", "--locale", "C", "--data-checksums"], output)
    single: Command = [installation.folder / "postgres", "--single", "-D", new, "-c", "exit_on_error=on", "postgres"]
    _run(identity, single, output, f"CREATE DATABASE {DATABASE}\n")
    new.rename(data)


def _run(identity: Identity, command: Command, output: IO[bytes], typed: str = "") -> None:
    with tempfile.TemporaryFile() as source:
        source.write(typed.encode())
        source.seek(0)
        code = identity.popen(command, output, source).wait(START_SECONDS)
    if code != 0:
        raise _failed(f"{Path(command[0]).name} ended with {code}", Path(output.name))


def _clear_after_crash(data: Path, log: Path) -> None:
    """Wait for what a killed server left behind, then remove its pid file and the lock of its socket.

    Its backends end by themselves, but hold the shared memory until then. The pid in both files may by now belong to
    anybody, above all in a container, or to a zombie: PostgreSQL would take that for a running server.
    """
    if not _wait_until(lambda: not _pids_in(data), START_SECONDS):
        raise _failed(f"processes {_pids_in(data)} of a server that was killed do not end", log)
    # In the data folder, or in one that was made for this server alone.
    (Path(_sockets(data) or data) / f".s.PGSQL.{SETTINGS['port']}.lock").unlink(missing_ok=True)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _command(data: Path, installation: Installation, identity: Identity) -> Command:
    sockets = str(data)
    if len(os.fsencode(data)) > SOCKET_FOLDER_BYTES_MAX:
        sockets = tempfile.mkdtemp(prefix="ratel-")
        identity.own(Path(sockets))
    settings = SETTINGS | {"unix_socket_directories": sockets}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [installation.folder / "postgres", "-D", data, *options]


def _await_ready(data: Path, child: subprocess.Popen[bytes] | None, log: Path) -> None:
    def is_settled() -> bool:
        return _is_ready(data) or (child is not None and child.poll() is not None)

    _wait_until(is_settled, START_SECONDS)
    if not _is_ready(data):
        raise _failed("it ended at once" if child and child.returncode is not None else "it does not get ready", log)


def _is_ready(data: Path) -> bool:
    lines = _pid_file(data)
    return len(lines) > 7 and lines[7].strip() == "ready" and _running_pid(data) is not None


def _url(data: Path) -> str:
    # The running server's own word, since the second process did not choose it.
    return f"postgresql://{DATABASE}@/{DATABASE}?host={quote(_sockets(data), safe='')}&port={SETTINGS['port']}"


def _sockets(data: Path) -> str:
    lines = _pid_file(data)
    return lines[4] if len(lines) > 4 else ""


def _pid_file(data: Path) -> list[str]:
    """Lines: pid, data folder, start time, port, socket folder, address, shared memory, status."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _running_pid(data: Path) -> int | None:
    lines = _pid_file(data)
    pid = int(lines[0]) if lines else None
    return pid if pid in _pids_in(data) else None


def _pids_in(data: Path) -> list[int]:
    """Return the processes that work in a data folder: every process of its server does, and nobody else."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == data.resolve():
                found.append(int(process.name))
    return found


def _wait_until(is_done: Callable[[], bool], seconds: int) -> bool:
    end = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time start or stop the server of a folder."""
    held: list[IO[bytes]] = []

    def is_held() -> bool:
        lock = _try_lock(folder / "start.lock")
        held.extend([lock] if lock else [])
        return lock is not None

    if not _wait_until(is_held, START_SECONDS + STOP_SECONDS):
        raise _failed("another process has been starting or stopping it for too long", folder / "postgres.log")
    with held[0]:
        yield


def _try_lock(path: Path) -> IO[bytes] | None:
    # The lock goes with the process, however it ends.
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _failed(what: str, log: Path) -> PostgresFailed:
    with suppress(OSError):
        last = log.read_text(errors="replace").splitlines()[-5:]
        what = "\n  ".join([what, *last])
    return PostgresFailed(f"the embedded PostgreSQL failed: {what}\nIts log: {log}", log=str(log))
