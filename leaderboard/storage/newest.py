"""What came into the store last: runs, and imports as a whole."""

from datetime import datetime, timedelta
from os.path import commonpath
from typing import NamedTuple

import pandas as pd

from leaderboard.storage.store import Store

_PAUSE = timedelta(minutes=10)  # without a file, after which the next one is of another import
# Runs out of imported files are dated as those are: they came when their files were read.
_RUNS = """
    SELECT id, model, layer, dim, "precision", settings, "index", task, main_metric, main_score,
        source, created
    FROM results
    WHERE source IN ('', 'trec') OR NOT EXISTS (SELECT 1 FROM imported)
    ORDER BY created DESC, id LIMIT ?
"""
_FILES = """
    SELECT count(*) AS files, sum(coalesce(runs, 0))::BIGINT AS runs, min(file) AS first_file,
        max(file) AS last_file, min(created) AS began, max(created) AS ended
    FROM imported GROUP BY date_trunc('minute', created) ORDER BY began DESC
"""


class Import(NamedTuple):
    """Files that were read one after the other; the times are UTC."""

    files: int
    runs: int
    where: str  # the file, or the folder that all lay in; empty where that is not known
    began: datetime
    ended: datetime


def runs(store: Store, count: int) -> pd.DataFrame:
    """The newest runs that did not come out of imported files, newest first."""
    frame: pd.DataFrame = store.query(_RUNS, [count]).to_pandas()
    return frame


def imports(store: Store, count: int) -> list[Import]:
    """The newest imports, newest first."""
    found: list[Import] = []
    for row in store.query(_FILES).to_pylist():
        files = [name for name in (row["first_file"], row["last_file"]) if name]
        where = commonpath(files) if files else ""
        each = Import(row["files"], row["runs"], where, row["began"], row["ended"])
        if found and found[-1].began - each.ended <= _PAUSE:
            found[-1] = _joined(each, found[-1])
        elif len(found) == count:
            break
        else:
            found.append(each)
    return found


def _joined(first: Import, then: Import) -> Import:
    places = [each.where for each in (first, then) if each.where]
    where = commonpath(places) if places else ""
    return Import(first.files + then.files, first.runs + then.runs, where, first.began, then.ended)
