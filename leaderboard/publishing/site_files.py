"""A site on the disk: data files named by their content first, the page that names them last, so
that a run that is killed leaves the site as it was.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from leaderboard.atomic_files import atomic_write
from leaderboard.errors import LeaderboardError
from leaderboard.exchange.csv_text import defused
from leaderboard.publishing.boards import Board, packed
from leaderboard.publishing.front_page import STATIC, Site, html
from leaderboard.tables.table import Column

PAGE = "index.html"
_DATA = "data"
_OURS = re.compile(r"\.?[a-z0-9-]+\.[0-9a-f]{12}\.(css|csv|js)(\.part)?")
_MARK = b'<meta name="generator" content="embedlab '


def write(folder: Path, site: Site, boards: Iterable[Board]) -> list[Path]:
    """Write the site, and remove the data files of the one that was there.

    Args:
        folder: made where there is none; files of others in it, a server's settings, stay.
        site: its heading and how it was made.
        boards: one at least, asked for one by one.

    Returns:
        The files of the site, the page first.

    Raises:
        LeaderboardError: the folder holds something else than a site of embedlab.
        OSError: the disk is full, or the folder cannot be written; an old site is as it was.
    """
    refuse_foreign(folder)
    boards = iter(boards)
    first = next(boards)
    (folder / _DATA).mkdir(parents=True, exist_ok=True)
    css, *scripts = (_static(folder, name) for name in ("site.css", "tables.js", "site.js"))
    entries = [_entry(folder, board) for board in chain([first], boards)]
    page = folder / PAGE
    with atomic_write(page) as file:
        file.write_text(html(site, first, entries, css, scripts), encoding="utf-8")
    named = [css, *scripts, *(entry[form] for entry in entries for form in ("data", "csv"))]
    files = [folder / name for name in dict.fromkeys(named)]
    for old in (folder / _DATA).iterdir():
        if old not in files and _OURS.fullmatch(old.name):
            old.unlink()
    return [page, *files]


def refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds files, and no site of embedlab.

    Raises:
        LeaderboardError: so it is, or it is a file.
    """
    hint = "Choose a new folder: --out FOLDER"
    if not folder.exists():
        return
    if not folder.is_dir():
        raise LeaderboardError(f"{folder} is a file, no folder.", hint)
    page = folder / PAGE
    if page.is_file():
        if _MARK not in page.read_bytes():
            raise LeaderboardError(f"{page} is no page that embedlab wrote.", hint)
        return
    begun = [*(folder / _DATA).iterdir()] if (folder / _DATA).is_dir() else []
    others = [path for path in folder.iterdir() if path.name not in (_DATA, f".{PAGE}.part")]
    if foreign := [*others, *(path for path in begun if not _OURS.fullmatch(path.name))]:
        raise LeaderboardError(f"{folder} holds other files: {foreign[0].name}, for one.", hint)


def _entry(folder: Path, board: Board) -> dict[str, Any]:
    """Write a leaderboard's files, and say where they lie."""
    slug = re.sub("[^a-z0-9]+", "-", board.title.lower()).strip("-")[:40] or "board"
    content = json.dumps(packed(board), allow_nan=False, separators=(",", ":"))
    return {
        "title": board.title,
        "coverage": board.coverage,
        "rows": board.rows,
        "tasks": len(board.tasks[0].cells),
        "data": _named(folder, slug, "js", f"embedlabBoard({content})\n"),
        "csv": _named(folder, slug, "csv", _csv(board)),
    }


def _static(folder: Path, name: str) -> str:
    stem, _, suffix = name.partition(".")
    return _named(folder, stem, suffix, (STATIC / name).read_text(encoding="utf-8"))


def _named(folder: Path, stem: str, suffix: str, text: str) -> str:
    """Write a file whose name has a digest of what it holds; gives its place in the folder."""
    content = text.encode()
    digest = hashlib.sha256(content).hexdigest()[:12]
    place = f"{_DATA}/{stem}.{digest}.{suffix}"
    if not (folder / place).is_file():
        with atomic_write(folder / place) as file:
            file.write_bytes(content)
    return place


def _csv(board: Board) -> str:
    """Every column, as the page shows it; a text that a spreadsheet would run is text there."""
    columns = [column for column in board.columns.values() if column.filled]
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow([defused(column.name) for column in columns])
    lines.writerows(
        [_csv_cell(column, cell) for column, cell in zip(columns, cells, strict=True)]
        for cells in zip(*(column.cells for column in columns), strict=True)
    )
    return written.getvalue()


def _csv_cell(column: Column, cell: Any) -> str:
    return defused(cell) if isinstance(cell, str) else column.text(cell).replace(",", "")
