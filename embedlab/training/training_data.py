"""Where a recipe's texts come from.

packages = "minis"             # pairs out of installed packages, listed in
                               # data/recipes/packages.toml
kinds = ["code", "body"]       # ... of these kinds; see embedlab.training.packages

path = "pairs.jsonl"           # or a file: .jsonl, .csv, .parquet
task = "SciFact"               # or the training split of a task, or of a BEIR folder (its path)
data_dir = "DIR"               # ... in this mirror; see embedlab.training.task_rows
min_score = 4.0                # ... of STS pairs
other_classes = 0              # ... negatives of a classification row
hub = "owner/name"             # or a data set of the Hugging Face hub
subset = "triplet"             # ... its configuration
split = "train"                # never a test split

columns = ["query", "positive", "negative"]   # in this order; the objective may use fewer
limit = 10000                  # rows, drawn with the recipe's seed
unseen = ["stdlib", "SciFact"] # tasks, benchmarks, BEIR folders whose test texts are not to be seen
                               # (those of `task` never are); see embedlab.training.overlap

[[data.sources]]               # or several of these sources, each with keys of its own

[data.negatives]               # mined; see embedlab.training.mining
teacher = "base-mean"
number = 7
"""

import hashlib
import inspect
import json
import tomllib
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets, load_dataset
from datasets.exceptions import DatasetGenerationError

from embedlab.errors import UserError, unknown
from embedlab.resources import DATA, home
from embedlab.tasks import beir, stdlib, stdlib_source
from embedlab.training import overlap, packages, task_rows
from embedlab.training.mining import mine
from leaderboard.atomic_files import atomic_write

LOCK = DATA / "recipes" / "packages.toml"
SOURCES = ("packages", "path", "task", "hub")
OF_A_SOURCE = {
    "packages": str | list,
    "kinds": list,
    "path": str,
    "task": str,
    "data_dir": str,
    "min_score": float | int,
    "other_classes": int,
    "hub": str,
    "subset": str,
    "split": str,
    "columns": list,
    "limit": int,
}
KEYS = {**OF_A_SOURCE, "unseen": list, "sources": list, "negatives": dict}
_FORMATS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


def load(data: dict[str, Any], seed: int) -> tuple[Dataset, dict[str, Any]]:
    """The texts of a recipe's [data], and where they came from.

    Returns:
        rows of text columns, and a record: digest of the content, number of rows, versions of the
            packages, and under `unseen` the proof that no test text is among them.

    Raises:
        UserError: a key is unknown, a source is missing or more than one is named, a source is a
            test split, a file lacks a column.
    """
    _check(data, KEYS, "[data]")
    parts = data.get("sources") or [data]
    if data.get("sources") and (beside := [key for key in SOURCES if data.get(key)]):
        raise UserError(
            f"[data] names {beside[0]} and [[data.sources]].", "Move it into a source of its own."
        )
    tables: list[Dataset] = []
    found: list[task_rows.Source] = []
    origin: dict[str, Any] = {}
    for part in parts:
        if part is not data:
            _check(part, OF_A_SOURCE, "[[data.sources]]")
        rows, source = _source(part, seed)
        tables.append(_limited(rows, part.get("limit"), seed) if part is not data else rows)
        found.append(source)
        origin.setdefault("versions", {}).update(source.origin.pop("versions", {}))
    rows = _together(tables)
    held = overlap.held_out(
        [
            *(each for source in found for each in source.tasks),
            *data.get("unseen", []),
        ],
        [Path(part["data_dir"]) for part in (*parts, data) if part.get("data_dir")],
    )
    guard = overlap.Guard(held)
    if held:
        rows = rows.select([i for i, row in enumerate(rows) if _lets(guard, row)])
    rows = _limited(rows.shuffle(seed=seed), data.get("limit"), None)
    if not len(rows):
        raise UserError("The data are empty.", "Check the source in [data].")
    if data.get("negatives"):
        right: dict[str, set[str]] = {}
        for source in found:
            for query, texts in source.right.items():
                right[query] = right.get(query, set()) | texts
        corpus = [text for source in found for text in source.corpus if guard.lets(text)]
        rows = mine(rows, right, corpus, **data["negatives"])
    record: dict[str, Any] = {"digest": digest(rows), "rows": len(rows)}
    if origin["versions"]:
        record["versions"] = origin["versions"]
    if tasks := [source.origin for source in found if source.origin]:
        record["tasks"] = tasks
    if held:
        record["unseen"] = guard.report(text for row in rows for text in row.values())
    return rows, record


def _lets(guard: overlap.Guard, row: dict[str, str]) -> bool:
    return all(
        list(map(guard.lets, row.values()))
    )  # every text is looked at, so that all are counted


def _source(data: dict[str, Any], seed: int) -> tuple[Dataset, task_rows.Source]:
    """The rows of one source, its columns chosen, and what is known of them."""
    named = [key for key in SOURCES if data.get(key)]
    if len(named) != 1:
        raise UserError(f"[data] names {len(named)} sources.", f"Give one of {', '.join(SOURCES)}.")
    if split := data.get("split"):
        task_rows.refuse_test(split, "[data]")
    source = task_rows.Source([])
    if named == ["packages"]:
        names = (
            lock(data["packages"])["versions"]
            if isinstance(data["packages"], str)
            else data["packages"]
        )
        rows = Dataset.from_list(
            _package_pairs(list(names), tuple(data.get("kinds", ("code", "body"))))
        )
        columns = data.get("columns", ["query", "positive"])
        source.origin["versions"] = packages.versions(list(names))
    elif named == ["task"] or beir.is_folder(Path(data.get("path", ""))):
        choices = {key: data[key] for key in ("min_score", "other_classes") if key in data}
        source = task_rows.read(
            data.get("task") or data["path"],
            data.get("data_dir"),
            data.get("split", "train"),
            seed=seed,
            **choices,
        )
        rows = Dataset.from_list(source.rows)
        columns = data.get("columns", rows.column_names)
    else:
        rows = _read(data)
        columns = data.get("columns", rows.column_names)
    if missing := [column for column in columns if column not in rows.column_names]:
        raise UserError(
            f"The data have no column {missing[0]!r}.", f"They have {', '.join(rows.column_names)}."
        )
    rows = rows.select_columns(columns)
    for column in columns:
        if lacking := rows.data.column(column).null_count:
            raise UserError(
                f"{lacking} of {len(rows)} rows of the data have no {column}.",
                "Leave these rows out, or choose other columns in [data].",
            )
    return rows, source


def _together(tables: list[Dataset]) -> Dataset:
    columns = tables[0].column_names
    for table in tables[1:]:
        if table.column_names != columns:
            raise UserError(
                f"The sources in [data] have other columns: {', '.join(columns)}, and"
                f" {', '.join(table.column_names)}.",
                'Give each source the same columns = ["query", "positive"].',
            )
    return concatenate_datasets(tables) if len(tables) > 1 else tables[0]


def _limited(rows: Dataset, limit: int | None, seed: int | None) -> Dataset:
    if not limit:
        return rows
    drawn = rows if seed is None else rows.shuffle(seed=seed)
    return drawn.select(range(min(limit, len(rows))))


def _check(data: dict[str, Any], keys: dict[str, Any], where: str) -> None:
    """Refuse unknown keys, and values of another type than the key's.

    Raises:
        UserError: names the key.
    """
    if not isinstance(data, dict):
        raise UserError(f"{where} holds {data!r}, no table.", f"Valid keys: {', '.join(keys)}.")
    if wrong := [key for key in data if key not in keys]:
        raise unknown(f"key in {where}", wrong[0], keys, f"Valid: {', '.join(keys)}.")
    for name, value in data.items():
        fits = isinstance(value, keys[name]) and not isinstance(value, bool)
        if isinstance(value, list) and name != "sources":
            fits = fits and all(isinstance(each, str) for each in value)
        if not fits or (isinstance(value, int | float) and value < 0):
            raise UserError(
                f"{name} = {value!r} in {where} is not what it has to be.",
                "packages, path, task, data_dir, hub, subset and split are texts, columns, kinds"
                " and unseen lists of texts, limit, min_score and other_classes numbers, negatives"
                " a table.",
            )
    known = [name for name in inspect.signature(mine).parameters if name not in _OURS]
    if wrong := [name for name in data.get("negatives", {}) if name not in known]:
        raise unknown("key in [data.negatives]", wrong[0], known, f"Valid: {', '.join(known)}.")
    if data.get("negatives") is not None and "teacher" not in data["negatives"]:
        raise UserError(
            "[data.negatives] has no teacher.", 'Give teacher = "all-minilm-l6-v2", for example.'
        )


_OURS = ("rows", "right", "corpus")  # arguments of `mine` that no recipe gives


def digest(rows: Dataset) -> str:
    """16 hexadecimal digits of the texts in their order."""
    found = hashlib.sha256()
    for row in rows:
        found.update(json.dumps(row, sort_keys=True, default=str).encode())
    return found.hexdigest()[:16]


def lock(name: str) -> dict[str, Any]:
    """A list of packages in data/recipes/packages.toml, with `versions`: import name -> version.

    Raises:
        UserError: there is no list of this name.
    """
    lists = tomllib.loads(LOCK.read_text(encoding="utf-8"))
    if name not in lists:
        raise unknown("list of packages", name, lists, f"Valid: {', '.join(lists)}.")
    found: dict[str, Any] = lists[name]
    return found


def _package_pairs(names: list[str], kinds: tuple[str, ...]) -> list[dict[str, str]]:
    """The pairs, kept under `home()/training`: reading the packages takes a minute or two."""
    code = b"".join(
        Path(inspect.getfile(module)).read_bytes()
        for module in (packages, overlap, stdlib, stdlib_source)
    )
    key = hashlib.sha256(
        repr((sorted(packages.versions(names).items()), code)).encode()
    ).hexdigest()[:16]
    file = home() / "training" / f"packages-{key}.jsonl"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        with (
            atomic_write(file, shared=True) as temporary,
            temporary.open("w", encoding="utf-8") as out,
        ):
            out.writelines(json.dumps(row) + "\n" for row in packages.pairs(names))
    with file.open(encoding="utf-8") as lines:
        return [row for row in map(json.loads, lines) if row["kind"] in kinds]


def _read(data: dict[str, Any]) -> Dataset:
    if data.get("hub"):
        return load_dataset(data["hub"], data.get("subset"), split=data.get("split", "train"))
    path = Path(data["path"])
    task_rows.refuse_test(path.stem, "path in [data]")
    if not path.is_file() or path.suffix not in _FORMATS:
        raise UserError(
            f"The training data {path} cannot be read.", f"Give a file: {', '.join(_FORMATS)}."
        )
    if not path.stat().st_size:
        raise UserError(f"The training data {path} are empty.", "Check the source in [data].")
    try:
        return load_dataset(_FORMATS[path.suffix], data_files=str(path), split="train")
    except (DatasetGenerationError, ValueError) as error:
        problem = str(error.__cause__ or error).partition("\n")[0].rstrip(".")
        raise UserError(
            f"The training data {path} cannot be read: {problem}.",
            f"It has to be {path.suffix} with the same columns in every row.",
        ) from error
