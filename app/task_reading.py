"""What the page Task reads, kept until the store changes."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import streamlit as st

from app import reading
from app.settings import settings
from leaderboard.plain_json import from_json


def described(task: str) -> dict[str, Any]:
    """What mteb says of a task, else its runs; keys as `embedlab tasks show` has them."""
    path = Path(settings().tasks)
    known = _described(str(path), path.stat().st_mtime_ns if path.is_file() else 0)
    by_mteb = {key: value for key, value in known.get(task, {}).items() if value is not None}
    return _by_its_runs(settings().db, reading.stamp(), task) | by_mteb


@st.cache_resource(max_entries=2, show_spinner=False)
def _described(path: str, changed: int) -> dict[str, Any]:
    try:
        read = from_json(Path(path).read_bytes()) if changed else {}
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


@st.cache_resource(max_entries=64, show_spinner=False)
def _by_its_runs(db: str, stamp: reading.Stamp, task: str) -> dict[str, Any]:
    rows = reading.store().query("SELECT * FROM tasks WHERE name = ?", [task]).to_pylist()
    languages = {each for row in rows for each in json.loads(row["details"]).get("languages") or ()}
    several = {key: sorted({row[key] for row in rows}) for key in ("split", "subset", "revision")}
    return {
        "type": rows[0]["type"] if rows else None,
        "metric": rows[0]["main_metric"] if rows else None,
        "languages": sorted(map(str, languages)),
        "splits": several["split"],
        "subsets": several["subset"],
        "revision": ", ".join(filter(None, several["revision"])),
    }


def sample(task: str, count: int) -> list[tuple[str, str]]:
    """Queries and a relevant document of each, where a run here has kept them."""
    kept = [each for each in reading.judged_tasks().values() if each.name == task]
    texts = reading.texts(kept[0]) if kept else None
    if texts is None:
        return []
    pairs = (
        (texts.queries[query], texts.documents[id])
        for query, judged in texts.qrels.items()
        for id in islice((id for id in judged if judged[id] > 0 and id in texts.documents), 1)
        if query in texts.queries
    )
    return list(islice(pairs, count))
