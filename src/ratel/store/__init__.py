"""The Postgres room: the only one that knows SQL, and the embedded server's start and stop."""
