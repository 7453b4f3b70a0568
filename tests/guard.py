"""Triggers by which a database refuses a write that does not say, in its own transaction, that something changed.

What was rated before is given again as long as the catalog's revision, the accounts' versions and the usage are the
same (`store/moment.py`). So whatever a rating reads must move one of them when it is written; here each test that calls
a server which writes anything, by whichever method, proves that it does.
"""

import asyncpg

OF_CATALOG = (
    *("settings", "products", "meters", "aggregations", "compound_aggregations", "compound_operands", "counters"),
    *("plan_templates", "plans", "plan_groups", "plan_group_plans", "pricings", "priced_things", "promotions"),
)
OF_ACCOUNTS = ("attachments", "grants", "counter_adjustments")

# At the end of the transaction, when whatever must move has moved. A row is of this transaction if its xmin is.
GUARDS = """
CREATE FUNCTION moved_now(row_xmin xid) RETURNS boolean LANGUAGE sql AS $$
    SELECT row_xmin = pg_current_xact_id()::xid
$$;
CREATE FUNCTION check_revision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE moved boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE moved_now(xmin))', TG_ARGV[0]) INTO moved;
    IF NOT moved THEN
        RAISE '% did not move with %', TG_ARGV[0], TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION check_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM accounts WHERE account_no IN (OLD.account_no, NEW.account_no) AND NOT moved_now(xmin)) THEN
        RAISE 'the version of an account did not move with %', TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION check_family() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.version = OLD.version OR OLD.parent_account_no IS DISTINCT FROM NEW.parent_account_no AND EXISTS (
        SELECT FROM accounts
        WHERE account_no IN (OLD.parent_account_no, NEW.parent_account_no) AND NOT moved_now(xmin)
    ) THEN
        RAISE 'the version of an account or its parent did not move';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION check_batch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.account_nos <> ARRAY(
        SELECT DISTINCT account_no FROM events WHERE batch_id = NEW.batch_id ORDER BY account_no
    ) THEN
        RAISE 'a batch does not name the accounts of its events';
    END IF;
    RETURN NULL;
END $$;
"""
GUARD = """
    CREATE CONSTRAINT TRIGGER guarded AFTER {events} ON {table} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION {function}
"""


async def install_guards(database_url: str) -> None:
    """Let a database refuse what is not said from now on; again changes nothing."""
    connection = await asyncpg.connect(database_url)
    if not await connection.fetchval("SELECT to_regproc('moved_now')"):
        async with connection.transaction():
            await _install(connection)
    await connection.close()


async def _install(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.execute(GUARDS)
    changes = "INSERT OR UPDATE OR DELETE"
    guarded = [(table, changes, "check_revision('catalog_revisions')") for table in OF_CATALOG]
    guarded += [(table, changes, "check_version()") for table in OF_ACCOUNTS]
    guarded += [("accounts", "INSERT OR UPDATE", "check_family()")]
    guarded += [("rollups", "UPDATE", "check_revision('usage_revisions')")]
    guarded += [("event_retention", "UPDATE OF dropped_until", "check_revision('usage_revisions')")]
    guarded += [("pending_batches", "INSERT", "check_batch()")]
    for table, events, function in guarded:
        await connection.execute(GUARD.format(table=table, events=events, function=function))
