"""The embedded store: one DuckDB file, owned by one process.

Rows and checkpoint are one transaction. DuckDB writes a transaction to its write-ahead log and calls fdatasync on it
before COMMIT returns (whole row groups go to the database file, synced before the log), so what ``append`` returned
from survives kill -9 and power loss. The log is folded into the file when it exceeds 16 MiB, DuckDB's default: folding
rewrites the last, partly filled row group (122,880 rows) of every table, so doing it more often would only write more.
"""

from ground.stores.duckdb.store import FILE, DuckdbStore

__all__ = ["FILE", "DuckdbStore"]
