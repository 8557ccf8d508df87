"""The embedded store: one DuckDB file, owned by one process.

Rows, entries and checkpoint are one transaction. DuckDB writes it to its write-ahead log and calls fdatasync on that
before COMMIT returns (whole row groups go to the database file, synced before the log), so what ``append`` returned
from survives kill -9 and power loss. The log is folded into the file when it exceeds 16 MiB, DuckDB's default: folding
rewrites the last, partly filled row group (122,880 rows) of every table, so doing it more often would only write more.

A mission is a DuckDB schema and a container a table. What is the store's own is in the schema ``ground``: the file's
``format``, a ``checkpoint`` a mission, the ``containers`` with their Arrow schemas and counts, and the ``journal`` of
alarms and events.
"""

from ground.stores.duckdb.store import FILE, DuckdbStore

__all__ = ["FILE", "DuckdbStore"]
