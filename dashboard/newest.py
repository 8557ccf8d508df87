"""The newest values that came in real time: what an operator takes a parameter to be now.

The store's newest sample by onboard time may have come by playback, or from before the onboard clock was set back;
what came last on a real-time channel did not. So where something came live since the start, it has precedence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ground.stores.longtable import LATEST, Name, as_float, as_text, by_container, stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dashboard.viewer import LiveBatch
    from ground.stores import Store


class Newest:
    """Keeps the last live batch of every container, as it came; it is read only when somebody asks."""

    def __init__(self) -> None:
        self._batches: dict[tuple[str, str], LiveBatch] = {}

    def take(self, batch: LiveBatch) -> None:
        """Take the place of the container's batch before."""
        self._batches[batch.mission, batch.container] = batch

    async def last(self, store: Store, mission: str, parameters: Sequence[str]) -> pa.Table:
        """As :meth:`ground.stores.Store.last`, in the order of ``parameters``; the store is asked for the rest only.

        Raises :class:`~ground.errors.StoreError`.
        """
        live = stack(self._rows(mission, parameters), LATEST)
        came = set(live["parameter"].to_pylist())
        rest = [name for name in parameters if name not in came]
        if came and not rest:
            return live
        both = pa.concat_tables([await store.last(mission, rest), live])
        return both.take(pc.sort_indices(pc.index_in(both["parameter"], pa.array(parameters, pa.string()))))

    def _rows(self, mission: str, parameters: Sequence[str]) -> Iterator[pa.Table]:
        for container, names in by_container(parameters).items():
            batch = self._batches.get((mission, container))
            if batch is None:
                continue
            try:
                with pa.ipc.open_stream(batch.schema + batch.payload) as reader:
                    rows = reader.read_all()
                rows.validate(full=True)
                found = [row for name in names if (row := _last(rows, name))]
            except (pa.ArrowException, OSError, LookupError, ValueError, TypeError):
                continue  # damaged on its way here, or without the columns of a row: the store has what was meant
            yield from found


def _last(rows: pa.Table, name: Name) -> pa.Table | None:
    """The last row of ``rows`` in which the parameter has a value, as a row of LATEST."""
    if name.parameter not in rows.schema.names:
        return None
    known = rows.filter(rows[name.parameter].is_valid())
    if not known.num_rows:
        return None
    row = known.slice(known.num_rows - 1)
    value = row[name.parameter].combine_chunks()
    return pa.table([[str(name)], row["time"], row["ert"], as_float(value), as_text(value)], schema=LATEST)
