"""The store's content for other programs:
tables as Parquet or CSV, MTEB result files, TREC runs and qrels.
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from leaderboard.atomic_files import atomic_write
from leaderboard.errors import LeaderboardError
from leaderboard.exchange import mteb_export, trec_export
from leaderboard.exchange.csv_text import defused_table
from leaderboard.storage import example_rows
from leaderboard.storage.store import Store

_WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "parquet": pyarrow.parquet.write_table,
    "csv": lambda table, path: pyarrow.csv.write_csv(defused_table(table), path),
}
FORMATS = (*_WRITERS, "mteb", "trec")


def export(store: Store, folder: Path, format: str, **where: object) -> list[Path]:
    """Write the runs that `where` chooses (as in `Store.runs`) to `folder`.

    Args:
        format: "parquet" or "csv", one file for each table; "mteb" (`mteb_export`), result files;
            or "trec" (`trec_export`), rankings and judgements.

    Returns:
        The files written.

    Raises:
        LeaderboardError: an unknown format or filter, nothing to write, or the folder cannot be
            written.
    """
    if format not in FORMATS:
        raise LeaderboardError(f"Unknown format {format!r}.", f"Valid: {', '.join(FORMATS)}.")
    if not store.runs(**where).num_rows:
        raise LeaderboardError("The results hold no such run.", "Type: embedlab runs list")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if format == "trec":
            return trec_export.write(store, folder, **where)
        content = store.tables(**where)
        if format == "mteb":
            return mteb_export.write(content, folder)
        if format == "csv":
            content["examples"] = example_rows.flat(content["examples"])
        paths = []
        for name, table in content.items():
            paths.append(folder / f"{name}.{format}")
            with atomic_write(paths[-1]) as temporary:
                _WRITERS[format](table, temporary)
        return paths
    except OSError as error:
        raise LeaderboardError(
            f"{folder} cannot be written: {error.strerror or error}.", "Choose another folder."
        ) from error
