"""Names that the shell completes: models by their cards,
tasks and benchmarks that are on this machine.

Quick enough for a key press: nothing heavy is imported, so mteb's names are those of tasks with
results here.
"""

from collections.abc import Iterable
from typing import Any


def models(incomplete: str) -> list[str]:
    """Cards' names and groups, methods of installed packages, and bases without training."""
    from embedlab.bases.base_cards import bases
    from embedlab.encoders.methods import registered
    from embedlab.models.cards import cards
    from embedlab.models.settings import user_cards
    from embedlab.models.training_free_names import FORMS

    untrained = [f"{form}({base})" for form in FORMS for base in bases()]
    groups = {card.group for card in cards().values() if card.group}
    theirs = [name for name, method in registered().items() if method.plugin]
    return _beginning(incomplete, [*cards(), *user_cards.named(), *groups, *theirs, *untrained])


def tasks(incomplete: str) -> list[str]:
    """Built-in tasks, and those that the results store has."""
    built_in = [name for file in _benchmarks().values() for name in file.get("tasks", [])]
    return _beginning(incomplete, [*built_in, *_in_store("task")])


def benchmarks(incomplete: str) -> list[str]:
    """The built-in benchmarks."""
    return _beginning(incomplete, _benchmarks())


def evaluated(incomplete: str) -> list[str]:
    """Models that the results store has."""
    return _beginning(incomplete, _in_store("model"))


def orders(incomplete: str) -> list[str]:
    """By what a leaderboard is sorted."""
    return _beginning(incomplete, ["mean", "types", "borda"])


def resampled(incomplete: str) -> list[str]:
    """What intervals resample."""
    return _beginning(incomplete, ["auto", "queries", "tasks", "both", "none"])


def costs(incomplete: str) -> list[str]:
    """Costs that were measured in the results store."""
    return _beginning(incomplete, _queried("SELECT DISTINCT name FROM costs"))


def plots(incomplete: str) -> list[str]:
    """Kinds of figures."""
    return _beginning(incomplete, PLOTS)


PLOTS = (
    "size", "price", "latency", "bytes", "speed", "cost", "time", "types", "forest", "ranks",
    "correlation", "languages",
)  # fmt: skip


def columns(incomplete: str) -> list[str]:
    """Columns of the leaderboard: the last of those that commas separate."""
    before, comma, last = incomplete.rpartition(",")
    types = _queried("SELECT DISTINCT type AS name FROM results")
    offered = [*COLUMNS, *types, *_in_store("task"), *costs("")]
    return [before + comma + name for name in _beginning(last, offered)]


COLUMNS = (
    "#", "model", "revision", "source", "index", "layer", "dim", "precision", "settings", "kind",
    "views", "mean", "interval", "with other tasks", "group", "tier", "rank interval",
    "mean by type", "Borda", "tasks", "own", "published", "own - published", "on tasks",
    "zero-shot %", "parameters", "dimensions", "max tokens", "licence", "open weights",
    "release date", "languages", "instruction tuned", "link", "paper",
)  # fmt: skip


def _benchmarks() -> dict[str, dict[str, Any]]:
    from embedlab import toml_files
    from embedlab.resources import DATA

    return {
        file.stem: toml_files.read(file, "benchmark")
        for file in (DATA / "benchmarks").glob("*.toml")
    }


def _in_store(column: str) -> list[str]:
    return _queried(f'SELECT DISTINCT "{column}" AS name FROM results')


def _queried(sql: str) -> list[str]:
    from embedlab.resources import home
    from leaderboard.storage.store import Store

    db = home() / "results.duckdb"
    if not db.is_file():
        return []
    try:
        return sorted(filter(None, Store(db).query(sql)["name"].to_pylist()))
    except Exception:  # a key press shows no errors: the command itself will
        return []


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.lower().startswith(incomplete.lower())})
