"""The advisory locks that keep rollups in step with events; most are held to the end of a transaction.

Whoever needs more than one takes them in this order: the row of `catalog_revisions`, the fold lock, the ingest lock.
"""

# Changes of rollups happen one after the other: folds, backfills, and the creation of a rollup.
LOCK_FOLD = "SELECT pg_advisory_xact_lock(19539)"

# The same for whoever can do without; tells whether it was taken.
TRY_LOCK_FOLD = "SELECT pg_try_advisory_xact_lock(19539)"

# Shared by every transaction that takes a batch id and writes events; alone, none is under way, so that every batch id
# handed out so far is committed or void.
LOCK_INGEST_SHARED = "SELECT pg_advisory_xact_lock_shared(19540)"
LOCK_INGEST_ALONE = "SELECT pg_advisory_xact_lock(19540)"

# Partitions are made by one process at a time.
LOCK_PARTITIONS = "SELECT pg_advisory_xact_lock(19541)"

# The same as the first, for a session: held around a snapshot, which it must be older than.
LOCK_FOLD_SESSION = "SELECT pg_advisory_lock(19539)"
UNLOCK_FOLD_SESSION = "SELECT pg_advisory_unlock(19539)"
