"""What scores were computed from, example by example, as an Arrow table and back."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaderboard.records import Examples

SCHEMA = pa.schema(
    {
        "run_id": pa.string(),
        "name": pa.string(),
        "experiment": pa.int32(),
        "data": pa.list_(pa.float64()),
    }
)


def table(recorded: Sequence[tuple[str, Examples]]) -> pa.Table:
    """The rows of runs by their ids: one for each series and experiment."""
    rows = [
        (run_id, name, experiment, np.asarray(values, np.float64))
        for run_id, examples in recorded
        for name, series in examples.series.items()
        for experiment, values in enumerate(series)
    ]
    lengths = [len(values) for *_, values in rows]
    data = pa.ListArray.from_arrays(
        pa.array(np.cumsum([0, *lengths]), pa.int32()),
        pa.array(np.concatenate([np.empty(0), *(values for *_, values in rows)])),
    )
    keys = list(zip(*(row[:3] for row in rows), strict=True)) or [(), (), ()]
    columns = [pa.array(values, field.type) for values, field in zip(keys, SCHEMA, strict=False)]
    return pa.table([*columns, data], SCHEMA)


def records(rows: pa.Table) -> dict[str, Examples]:
    """The examples of each run, by its id, from rows in any order."""
    rows = rows.sort_by(
        [("run_id", "ascending"), ("name", "ascending"), ("experiment", "ascending")]
    )
    data = rows["data"].combine_chunks()
    series: dict[str, dict[str, list[np.ndarray]]] = {}
    offsets, values = data.offsets.to_numpy(), data.values.to_numpy()
    names = zip(rows["run_id"].to_pylist(), rows["name"].to_pylist(), strict=True)
    for (run_id, name), start, end in zip(names, offsets[:-1], offsets[1:], strict=True):
        series.setdefault(run_id, {}).setdefault(name, []).append(values[start:end])
    return {
        run_id: Examples({name: np.stack(parts) for name, parts in of_run.items()})
        for run_id, of_run in series.items()
    }


def flat(rows: pa.Table) -> pa.Table:
    """The same with a row for each example: what a file without lists takes."""
    data = rows["data"].combine_chunks()
    parents = pc.list_parent_indices(data)
    starts = np.cumsum([0, *pc.list_value_length(data).to_numpy()])
    place = np.arange(len(parents)) - starts[parents.to_numpy()]
    keys = rows.drop_columns("data").take(parents)
    return keys.append_column("example", pa.array(place)).append_column("value", data.flatten())
