"""`embedlab.results`: what a results store holds, as tables of pandas, or of Arrow."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import pandas as pd
import pyarrow as pa

from embedlab.evaluation.stored_rankings import measure
from embedlab.resources import home
from leaderboard.records import Failure, Run
from leaderboard.storage.store import Store
from leaderboard.tables import comparison, evaluated_views, metric_names, standings

P = ParamSpec("P")
_PAIR = [*comparison.Pair.__dataclass_fields__]


def results(db: str | Path | None = None) -> "Results":
    """All results of a store.

    Args:
        db: its file; EMBEDLAB_HOME/results.duckdb by default.

    >>> scores = embedlab.results().scores("nDCG@10", task="StdlibMiniCodeSearch")
    >>> scores[["model", "metric"]].drop_duplicates().values.tolist()
    [['bm25', 'ndcg_at_10']]
    """
    return Results(Path(db) if db else home() / "results.duckdb")


class Results:
    """The results in a store: all of them, or those of one evaluation.

    Every method gives a `pandas.DataFrame`; `results.arrow` has the same methods, which give a
    `pyarrow.Table`. What the reader must know of a ranking or comparison beside its numbers is in
    the frame's `attrs["notes"]`.

    Args:
        db: the store's file.
        only: the runs to which the tables are limited; None for all that the store holds.
        failed: what could not be finished in the evaluation; None for all failures that the store
            holds.
    """

    def __init__(
        self,
        db: Path,
        only: tuple[Run, ...] | None = None,
        failed: tuple[Failure, ...] | None = None,
    ) -> None:
        self.store = Store(db)
        self._only, self._failed = only, failed
        self.arrow = _Arrow(self)

    def __repr__(self) -> str:
        here = self.store.runs().num_rows if self._only is None else len(self._only)
        return f"Results({here:,} runs in {self.store.path})"

    def leaderboard(
        self,
        tasks: Collection[str] | None = None,
        *,
        sort: str = "mean",
        metric: str = "main",
        incomplete: bool = False,
        over: str = "auto",
        level: float = 0.95,
        split: str = "",
        views: bool | None = None,
        hardware: str = "",
    ) -> pd.DataFrame:
        """The models ranked, as `embedlab leaderboard` does.

        Args:
            tasks: names of tasks in the store; all by default.
            sort: "mean" over tasks, "types" (mean over task types), "borda".
            metric: nDCG@10, ndcg_at_10, ...; each task's main metric by default.
            incomplete: also rank models that lack tasks.
            over: what intervals resample: "auto", "queries", "tasks", "both", "none".
            level: of the confidence intervals.
            split: scores on this split instead of each task's own.
            views: a row for each view of a model (layer, dim, index, ...) instead of one for each
                model; by default in the results of one evaluation alone.
            hardware: part of the name of the machine whose times and speeds are shown; that of the
                most models by default.

        Returns:
            One row per model or view, best first: the columns of
            `leaderboard.tables.standings.Row`, then one per task with its score, one per measured
            cost, and one per fact of the model (`leaderboard.tables.known_facts.Facts`).

        Raises:
            LeaderboardError: an option is unknown, or there is nothing to rank.

        >>> embedlab.results().leaderboard(["StdlibMiniCodeSearch"])["place"].tolist()
        [1]
        """
        ranking: dict[str, Any] = {
            "sort": sort,
            "incomplete": incomplete,
            "over": over,
            "level": level,
            "every_view": self._only is not None if views is None else views,
            "hardware": hardware,
        }
        if self._only is None:
            ranked = standings.rank(self.store, tasks, metric=metric, split=split, **ranking)
        else:
            ranked = standings.rank_views(self.store, self._views(tasks, metric, split), **ranking)
        rows = [asdict(row) for row in ranked.rows]
        measured = sorted({name for row in rows for name in row["costs"]})
        nested = ("scores", "costs", "facts", "p_values")
        frame = pd.DataFrame(
            [
                {name: value for name, value in row.items() if name not in nested}
                | {task: row["scores"].get(task) for task in ranked.tasks}
                | {name: row["costs"].get(name) for name in measured}
                | row["facts"]
                for row in rows
            ]
        )
        frame.attrs["notes"] = ranked.notes
        return frame

    def scores(self, metric: str = "main", **where: Any) -> pd.DataFrame:
        """One score of each run.

        Args:
            metric: nDCG@10, ndcg_at_10, ...; each task's main metric by default.
            where: a column and the value, or list of values, that it must have: model, task, split,
                subset, kind, index, layer, dim, precision, ...

        Returns:
            One row per run: run_id, what tells the runs apart, metric, value.

        Raises:
            LeaderboardError: there is no such metric, no run has it, or runs cannot be filtered by
                a name in `where`.
        """
        name = metric_names.in_store(self.store, metric)
        found: pd.DataFrame = self.store.scores(name, **self._where(where)).to_pandas()
        return found

    def per_query(self, metric: str = "main", **where: Any) -> pd.DataFrame:
        """The score of each query in each run.

        Args:
            metric, where: as in `scores`.

        Returns:
            One row per run and query: the columns of `scores`, query_id, and the query's own score
            as `value`. Runs that were not scored query by query are left out.
        """
        runs = self.scores(metric, **where).drop(columns="value")
        parts = [
            self.store.per_query(of_metric["run_id"].tolist(), str(name)).to_pandas()
            for name, of_metric in runs.groupby("metric")
        ]
        if not parts:
            return runs.assign(query_id=[], value=[])
        return runs.merge(pd.concat(parts).astype({"run_id": str, "query_id": str}), on="run_id")

    def measure(self, *names: str, **where: Any) -> pd.DataFrame:
        """Compute further measures from the rankings in the store, and record them there.

        Args:
            names: "ERR@20", "Bpref", "RBP(p=0.9,rel=1)", "nDCG@7": any that ir_measures computes.
            where: which runs, as in `scores`.

        Returns:
            One row per run and measure: the columns of `scores`.

        Raises:
            LeaderboardError: there is no such measure.
            UserError: no run has a ranking, or one ranks too few documents.

        >>> found = embedlab.results().measure("ERR@20", "Bpref", task="StdlibMiniCodeSearch")
        >>> sorted(found["metric"].unique())
        ['Bpref', 'ERR@20']
        """
        measured = [run.id for run, _ in measure(self.store, names, **self._where(where))]
        return pd.concat([self.scores(name, id=measured) for name in names], ignore_index=True)

    def compare(
        self,
        *models: str,
        tasks: Collection[str] | None = None,
        metric: str = "main",
        test: str = "randomisation",
        correction: str = "holm",
        level: float = 0.95,
        split: str = "",
    ) -> pd.DataFrame:
        """Models in pairs, query by query, as `embedlab compare` does.

        Args:
            models: two or more, as the leaderboard names them; one of several views as
                model@dim=64. None of them stands for all of this evaluation.
            tasks: by default those that all of them have.
            metric: nDCG@10, ndcg_at_10, ...; each task's main metric by default.
            test: "randomisation", "bootstrap", "t": paired, over queries.
            correction: "holm", "bh", "none".
            level: of the confidence intervals.
            split: scores on this split instead of each task's own.

        Returns:
            One row per task, part and pair: the fields of `leaderboard.tables.comparison.Pair`.

        Raises:
            LeaderboardError: fewer than two models, an unknown name, no task in common, or
                different query sets.
        """
        if self._only is not None:
            tasks = tasks or self._tasks()
            models = models or tuple(self._views(tasks, metric, split).table["label"])
        compared = comparison.compare(
            self.store,
            models,
            tasks,
            metric=metric,
            test=test,
            correction=correction,
            level=level,
            split=split,
        )
        frame = pd.DataFrame([asdict(pair) for pair in compared.pairs], columns=_PAIR)
        frame.attrs["notes"] = compared.notes
        return frame

    @property
    def failures(self) -> pd.DataFrame:
        """What could not be finished: model, task, problem, hint."""
        columns = ["model", "task", "problem", "hint"]
        if self._failed is None:
            stored_failures: pd.DataFrame = self.store.failures().to_pandas()[columns]
            return stored_failures
        return pd.DataFrame(
            [[getattr(failure, name) for name in columns] for failure in self._failed],
            columns=columns,
        )

    def _where(self, where: dict[str, Any]) -> dict[str, Any]:
        return where if self._only is None else {"id": [run.id for run in self._only], **where}

    def _tasks(self) -> list[str]:
        return list(dict.fromkeys(run.task.name for run in self._only or ()))

    def _views(
        self, tasks: Collection[str] | None, metric: str, split: str
    ) -> evaluated_views.Views:
        """The views that this evaluation was about, as the store has them."""
        views = evaluated_views.read(self.store, tasks or self._tasks(), metric, split=split)
        selected = {
            _view(vars(run) | {"model": run.model.name, "revision": run.model.revision})
            for run in self._only or ()
        }
        table: list[dict[Any, Any]] = views.table.to_dict("records")
        return views.only(
            [at for at, row in zip(views.table.index, table, strict=True) if _view(row) in selected]
        )


def _view(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    """What tells a view of a model from another, but for the index:
    tasks without one belong to all.
    """
    plain = (
        None if value is None or pd.isna(value) else int(value)
        for value in (row["layer"], row["dim"])
    )
    return row["model"], row["revision"], *plain, row["precision"]


class _Arrow:
    """The methods of `Results`, which give a `pyarrow.Table` here."""

    def __init__(self, results: Results) -> None:
        self.leaderboard = _as_arrow(results.leaderboard)
        self.scores = _as_arrow(results.scores)
        self.per_query = _as_arrow(results.per_query)
        self.compare = _as_arrow(results.compare)


def _as_arrow(method: Callable[P, pd.DataFrame]) -> Callable[P, pa.Table]:
    @wraps(method)
    def table(*args: P.args, **kwargs: P.kwargs) -> pa.Table:
        return pa.Table.from_pandas(method(*args, **kwargs), preserve_index=False)

    return table
