"""Rankings and texts: Parquet files in the folder beside the results file.

    results.files/rankings/<run id>.parquet     query, rank, document, score
    results.files/texts/<task>/<table>-*.parquet     append-only parts of queries, qrels,
    documents and answers

Every page of a file has a checksum that is compared when it is read, and what stands in a file's
head has a digest:
a changed bit is an error, not another ranking.

A file is complete before it gets its name, and gets its name before the row that tells of it: a
killed writer leaves at most a file without a row, which `Store.prune` removes.
"""

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leaderboard.errors import LeaderboardError
from leaderboard.records import Ranking, Task, Texts

_TEXT_TABLES = {
    "queries": pa.schema({"id": pa.string(), "text": pa.string()}),
    "qrels": pa.schema({"query": pa.string(), "document": pa.string(), "relevance": pa.int32()}),
    "documents": pa.schema({"id": pa.string(), "text": pa.string()}),
    "answers": pa.schema({"query": pa.string(), "answer": pa.string(), "place": pa.int32()}),
}
_NONE = -1  # the place of an answer to a question that has none


class Files:
    """The folder `root` of one store."""

    def __init__(self, root: Path):
        self.root = root

    def ranking_path(self, run_id: str) -> Path:
        """Where a run's ranking is, or would be.

        Raises:
            LeaderboardError: the id could lead outside the folder.
        """
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", run_id):
            raise LeaderboardError(
                f"{run_id[:80]!r} cannot be a run's id.",
                "An id is up to 64 letters, digits, hyphens and underscores.",
            )
        return self.root / "rankings" / f"{run_id}.parquet"

    def write_ranking(self, run_id: str, ranking: Ranking) -> Path:
        """Write a ranking under a temporary name; rename it to `ranking_path` to make it count."""
        queries, ranks = np.nonzero(ranking.rows >= 0)
        documents, positions = np.unique(ranking.rows[queries, ranks], return_inverse=True)
        names = pa.array([ranking.document_ids[row] for row in documents], pa.string())
        table = pa.table(
            {
                "query": pa.DictionaryArray.from_arrays(
                    queries.astype(np.int32), pa.array(ranking.query_ids, pa.string())
                ),
                "rank": pa.array(ranks.astype(np.int32)),
                "document": pa.DictionaryArray.from_arrays(positions.astype(np.int32), names),
                "score": pa.array(ranking.scores[queries, ranks].astype(np.float32)),
            }
        )
        # Queries without any result have no row;
        # their ids are kept so that the record comes back whole.
        query_ids, depth = json.dumps(list(ranking.query_ids)), str(ranking.rows.shape[1])
        table = table.replace_schema_metadata(
            {
                "queries": query_ids,
                "depth": depth,
                "digest": _digest(query_ids.encode(), depth.encode()),
            }
        )
        return _write(table, self.ranking_path(run_id))

    def copy_ranking(self, run_id: str, source: Path) -> Path:
        """Copy a ranking file of another store, as `write_ranking` writes one,
        once all of it has been read.
        """
        temporary = _temporary(self.ranking_path(run_id))
        shutil.copyfile(source, temporary)
        try:
            with _readable(source):
                self._ranking(_read(temporary), None)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def read_ranking(self, run_id: str, query_ids: list[str] | None = None) -> Ranking:
        """A run's ranking, or that of some of its queries;
        `document_ids` holds the ranked documents only.
        """
        chosen = None if query_ids is None else pc.field("query").isin(query_ids)
        with _readable(self.ranking_path(run_id)) as path:
            return self._ranking(_read(path, chosen), query_ids)

    def _ranking(self, table: pa.Table, query_ids: list[str] | None) -> Ranking:
        metadata = table.schema.metadata
        if metadata.get(b"digest", b"").decode() not in (
            "",
            _digest(metadata[b"queries"], metadata[b"depth"]),
        ):
            raise ValueError("its queries do not match their digest")
        queries = json.loads(metadata[b"queries"])
        if query_ids is not None:
            queries = [query for query in queries if query in set(query_ids)]
        position = pc.index_in(
            table["query"].cast(pa.string()), pa.array(queries, pa.string())
        ).to_numpy()
        documents = table["document"].cast(pa.string()).unique()
        shape = (len(queries), int(metadata[b"depth"]))
        rows, scores = np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32)
        places = position, table["rank"].to_numpy()
        rows[places] = pc.index_in(table["document"].cast(pa.string()), documents).to_numpy()
        scores[places] = table["score"].to_numpy()
        return Ranking(queries, documents.to_pylist(), rows, scores)

    def add_texts(self, task: Task, texts: Texts) -> None:
        """Add what the task's parts do not hold yet. Call it while the store is locked."""
        folder = self._texts_folder(task)
        rows: dict[str, list[tuple[Any, ...]]] = {
            "queries": list(texts.queries.items()),
            "qrels": [
                (q, d, grade) for q, judged in texts.qrels.items() for d, grade in judged.items()
            ],
            "documents": list(texts.documents.items()),
            "answers": [
                (query, answer, place)
                for query, right in texts.answers.items()
                for place, answer in (enumerate(right) if right else [(_NONE, "")])
            ],
        }
        for name, schema in _TEXT_TABLES.items():
            keys = schema.names[:-1]
            known = set(
                zip(
                    *(column.to_pylist() for column in _parts(folder, name).select(keys).columns),
                    strict=True,
                )
            )
            new = [row for row in rows[name] if row[: len(keys)] not in known]
            if new:
                columns = [
                    pa.array(values, kind)
                    for values, kind in zip(zip(*new, strict=True), schema.types, strict=True)
                ]
                path = folder / f"{name}-{uuid.uuid4().hex}.parquet"
                _write(pa.table(columns, schema), path).replace(path)

    def read_texts(self, task: Task) -> Texts | None:
        """The texts of a task, or None where none were kept."""
        folder = self._texts_folder(task)
        if not folder.is_dir():
            return None
        queries, qrels, documents, answers = (
            _parts(folder, name).to_pydict() for name in _TEXT_TABLES
        )
        judged: dict[str, dict[str, int]] = {}
        for query, document, relevance in zip(*qrels.values(), strict=True):
            judged.setdefault(query, {})[document] = relevance
        right: dict[str, list[str]] = {}
        for query, answer, place in zip(*answers.values(), strict=True):
            right.setdefault(query, []).extend([answer] * (place != _NONE))
        return Texts(
            dict(zip(*queries.values(), strict=True)),
            judged,
            dict(zip(*documents.values(), strict=True)),
            right,
        )

    def orphans(self, run_ids: set[str], before: float) -> list[Path]:
        """Rankings of none of these runs,
        and unfinished files last written before the time `before`.
        """
        rankings = [
            path for path in self.root.glob("rankings/*.parquet") if path.stem not in run_ids
        ]
        return rankings + [
            path for path in self.root.glob("**/*.part") if path.stat().st_mtime < before
        ]

    def _texts_folder(self, task: Task) -> Path:
        identity = "\n".join((task.name, task.revision, task.split, task.subset))
        readable = re.sub(r"[^A-Za-z0-9_-]+", "-", task.name)[:60]
        return self.root / "texts" / f"{readable}-{sha256(identity.encode()).hexdigest()[:16]}"


def _parts(folder: Path, name: str) -> pa.Table:
    tables = []
    for part in sorted(folder.glob(f"{name}-*.parquet")):
        with _readable(part) as path:
            tables.append(_read(path))
            if not tables[-1].schema.equals(_TEXT_TABLES[name]):
                raise ValueError("its columns are others")
    return pa.concat_tables(
        [_TEXT_TABLES[name].empty_table(), *(table.replace_schema_metadata() for table in tables)]
    )


def _read(path: Path, chosen: pc.Expression | None = None) -> pa.Table:
    """The rows of a file, or the chosen ones.

    Raises:
        ValueError: it has lost rows.
    """
    with pq.ParquetFile(path) as file:
        facts = file.metadata
        counted = {
            facts.num_rows,
            sum(facts.row_group(number).num_rows for number in range(facts.num_row_groups)),
        }
        written = (file.schema_arrow.metadata or {}).get(b"rows")
    if counted != {facts.num_rows if written is None else int(written)}:
        raise ValueError("it does not have as many rows as were written")
    return pq.read_table(path, filters=chosen, page_checksum_verification=True)


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    """A file to read; that it is not there, or damaged, becomes one error."""
    try:
        yield path
    except FileNotFoundError:
        raise LeaderboardError(
            f"The file {path} is not there.",
            f"Copy the folder {path.parents[1]} beside the store again.",
        ) from None
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        problem = str(error).partition("\n")[0]
        raise LeaderboardError(
            f"The file {path} is damaged: {problem}", "Restore it from a copy, or evaluate again."
        ) from error


def _digest(*parts: bytes) -> str:
    return sha256(b"\n".join(parts)).hexdigest()


def _write(table: pa.Table, path: Path) -> Path:
    """Write `table` beside `path` under a temporary name,
    on the disk for good before this returns.
    """
    temporary = _temporary(path)
    table = table.replace_schema_metadata(
        {**(table.schema.metadata or {}), "rows": str(table.num_rows)}
    )
    try:
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _temporary(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.stem}.{os.getpid()}.part")
