"""Where a recipe's texts come from.

packages = "minis"             # pairs out of installed packages, listed in
data/recipes/packages.toml kinds = ["code", "body"]       # ... of these kinds; see
embedlab.training.packages

path = "pairs.jsonl"           # or a file: .jsonl, .csv, .parquet
hub = "owner/name"             # or a data set of the Hugging Face hub
subset = "triplet"             # ... its configuration
split = "train"

columns = ["query", "positive", "negative"]   # in this order; the objective may use fewer
limit = 10000                  # rows, drawn with the recipe's seed

[data.negatives]               # mined from the rows themselves; see `mine`
teacher = "base-mean"
number = 7
"""

import hashlib
import inspect
import json
import tomllib
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset

from embedlab.errors import UserError, unknown
from embedlab.resources import DATA, home
from embedlab.tasks import stdlib, stdlib_source
from embedlab.training import packages
from leaderboard.atomic_files import atomic_write

LOCK = DATA / "recipes" / "packages.toml"
KEYS = ("packages", "kinds", "path", "hub", "subset", "split", "columns", "limit", "negatives")
_FORMATS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


def load(data: dict[str, Any], seed: int) -> tuple[Dataset, dict[str, Any]]:
    """The texts of a recipe's [data], and where they came from.

    Returns:
        rows of text columns, and a record: digest of the content, number of rows, versions of the
            packages.

    Raises:
        UserError: a key is unknown, a source is missing or more than one is named, a file lacks a
            column.
    """
    if wrong := [key for key in data if key not in KEYS]:
        raise unknown("key in [data]", wrong[0], KEYS, f"Valid: {', '.join(KEYS)}.")
    sources = [key for key in ("packages", "path", "hub") if data.get(key)]
    if len(sources) != 1:
        raise UserError(f"[data] names {len(sources)} sources.", "Give one of packages, path, hub.")
    _check_types(data)
    origin = {}
    if sources == ["packages"]:
        names = (
            lock(data["packages"])["versions"]
            if isinstance(data["packages"], str)
            else data["packages"]
        )
        rows = Dataset.from_list(
            _package_pairs(list(names), tuple(data.get("kinds", ("code", "body"))))
        )
        columns = data.get("columns", ["query", "positive"])
        origin["versions"] = packages.versions(list(names))
    else:
        rows = _read(data)
        columns = data.get("columns", rows.column_names)
    if missing := [column for column in columns if column not in rows.column_names]:
        raise UserError(
            f"The data have no column {missing[0]!r}.", f"They have {', '.join(rows.column_names)}."
        )
    rows = rows.select_columns(columns).shuffle(seed=seed)
    if data.get("limit"):
        rows = rows.select(range(min(data["limit"], len(rows))))
    if not len(rows):
        raise UserError("The data are empty.", "Check the source in [data].")
    if data.get("negatives"):
        rows = mine(rows, **data["negatives"])
    return rows, {"digest": digest(rows), "rows": len(rows), **origin}


def _check_types(data: dict[str, Any]) -> None:
    """Refuse values of another type than the key's.

    Raises:
        UserError: names the key.
    """
    texts = ("path", "hub", "subset", "split")
    lists = {
        name: data[name]
        for name in ("kinds", "columns", "packages")
        if isinstance(data.get(name), list)
    }
    fitting: dict[str, bool] = {
        **{name: isinstance(data[name], str) for name in texts if name in data},
        **{name: isinstance(data[name], list) for name in ("kinds", "columns") if name in data},
        **{name: all(isinstance(value, str) for value in values) for name, values in lists.items()},
        "packages": isinstance(data.get("packages", ""), str | list),
        "limit": isinstance(data.get("limit", 0), int) and data.get("limit", 0) >= 0,
        "negatives": isinstance(data.get("negatives", {}), dict),
    }
    if wrong := [name for name, fits in fitting.items() if not fits]:
        raise UserError(
            f"{wrong[0]} = {data[wrong[0]]!r} in [data] is not what it has to be.",
            "path, hub, subset and split are texts, columns and kinds lists of texts, packages a"
            " text or such a list, limit a whole number, negatives a table.",
        )
    known = inspect.signature(mine).parameters
    if wrong := [name for name in data.get("negatives", {}) if name not in known or name == "rows"]:
        raise unknown(
            "key in [data.negatives]", wrong[0], [name for name in known if name != "rows"]
        )


def mine(
    rows: Dataset, teacher: str, number: int = 7, ratio: float = 0.95, depth: int = 50
) -> Dataset:
    """`rows` with columns negative_1 to negative_n:
    the positives of other rows that a teacher ranks highest.

    Positive-aware: a candidate that scores more than `ratio` times the row's own positive may well
    be right, and is left out (TopKPercPos, arXiv:2407.15831; NV-Embed takes 0.95). Rows with fewer
    than `number` candidates are dropped.

    Args:
        rows: columns query and positive.
        teacher: a model's name, as for `embedlab eval`.
        number: of negatives per row.
        ratio: highest score of a negative, relative to the positive's.
        depth: candidates per row.

    Raises:
        UserError: the teacher is unknown, or no row has enough negatives.
    """
    from sentence_transformers.util import mine_hard_negatives

    from embedlab.models import load as load_model

    mined = mine_hard_negatives(
        rows.select_columns(["query", "positive"]),
        load_model(teacher).encoder,
        anchor_column_name="query",
        positive_column_name="positive",
        range_max=min(depth, len(rows) - 1),
        relative_margin=1 - ratio,
        num_negatives=number,
        sampling_strategy="top",
        output_format="n-tuple",
        verbose=False,
    )
    if not len(mined):
        raise UserError(
            f"No row has {number} negatives.",
            "Lower number, or raise ratio or depth in [data.negatives].",
        )
    return mined


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
        Path(inspect.getfile(module)).read_bytes() for module in (packages, stdlib, stdlib_source)
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
    if not path.is_file() or path.suffix not in _FORMATS:
        raise UserError(
            f"The training data {path} cannot be read.", f"Give a file: {', '.join(_FORMATS)}."
        )
    return load_dataset(_FORMATS[path.suffix], data_files=str(path), split="train")
