"""Example files that `ratel quickstart` shows: a catalog, and usage."""
