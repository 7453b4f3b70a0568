"""The schema's versions: plain SQL files, each applied once, in one transaction, in the order of its name.

A file that was applied somewhere is never changed again: its hash stays in the database, and both migrating and
serving refuse a database whose history is another.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from ratel.core.errors import DatabaseUnavailable, SchemaUnknown

LOCK_NUMBER = 0x726174656C  # "ratel"
WAIT_SECONDS = 300
POLLS_PER_SECOND = 10

# A lock that waits would deadlock with CREATE INDEX CONCURRENTLY of another migrator, so it is asked for repeatedly.
TRY_LOCK = "SELECT pg_try_advisory_lock($1)"
UNLOCK = "SELECT pg_advisory_unlock($1)"
CREATE_HISTORY = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        name text COLLATE "C" CONSTRAINT schema_migrations_pkey PRIMARY KEY,
        sha256 text NOT NULL,
        apply_time timestamptz NOT NULL DEFAULT now()
    )
"""
HISTORY_EXISTS = "SELECT to_regclass('schema_migrations') IS NOT NULL"
SELECT_HISTORY = "SELECT name, sha256 FROM schema_migrations ORDER BY name"
INSERT_HISTORY = "INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migrations folder."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The file's hash, in lower-case hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations() -> list[Migration]:
    """Return the migrations of this program in their order."""
    folder = files("ratel.store") / "migrations"
    found = sorted((each for each in folder.iterdir() if each.name.endswith(".sql")), key=lambda each: each.name)
    return [Migration(each.name, each.read_text(encoding="utf-8")) for each in found]


async def migrate(connection: asyncpg.Connection, migrations: list[Migration] | None = None) -> list[str]:
    """Bring the schema to this program's version and return the names of the migrations applied, oldest first.

    Any number of processes may do so at once: one works, the others wait and then find nothing to do.

    Raises:
        SchemaUnknown: The database was migrated by a newer program, or by another file of the same name.
        DatabaseUnavailable: Another process has been migrating for five minutes.
    """
    migrations = read_migrations() if migrations is None else migrations
    await _lock(connection)
    try:
        await connection.execute(CREATE_HISTORY)
        pending = _pending(migrations, await _read_history(connection))
        for migration in pending:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(INSERT_HISTORY, migration.name, migration.sha256)
        return [migration.name for migration in pending]
    finally:
        await connection.fetchval(UNLOCK, LOCK_NUMBER)


async def check_schema(connection: asyncpg.Connection, migrations: list[Migration] | None = None) -> None:
    """Raise SchemaUnknown unless the schema is exactly this program's."""
    migrations = read_migrations() if migrations is None else migrations
    history = await _read_history(connection)
    if _pending(migrations, history):
        found = f"at {max(history)}" if history else "empty"
        raise SchemaUnknown(found, f"at {migrations[-1].name} (run `ratel migrate`)")


async def _lock(connection: asyncpg.Connection) -> None:
    for _ in range(WAIT_SECONDS * POLLS_PER_SECOND):
        if await connection.fetchval(TRY_LOCK, LOCK_NUMBER):
            return
        await asyncio.sleep(1 / POLLS_PER_SECOND)
    raise DatabaseUnavailable("another process has been migrating the schema for too long")


async def _read_history(connection: asyncpg.Connection) -> dict[str, str]:
    if not await connection.fetchval(HISTORY_EXISTS):
        return {}
    return {row["name"]: row["sha256"] for row in await connection.fetch(SELECT_HISTORY)}


def _pending(migrations: list[Migration], history: dict[str, str]) -> list[Migration]:
    """Return what is still to be applied to a history, if that is the beginning of this program's."""
    known = {migration.name: migration for migration in migrations}
    for name, sha256 in history.items():
        if name not in known:
            raise SchemaUnknown(f"at {name}", f"at {migrations[-1].name} (this program is older than the database)")
        if known[name].sha256 != sha256:
            raise SchemaUnknown(f"made by another {name}", "by this program's")
    return [migration for migration in migrations if migration.name not in history]
