"""The figures by name, each from a ranking or a comparison."""

from typing import Any

import pandas as pd

from leaderboard.charts import interval_charts, profiles, scatter
from leaderboard.charts.looks import Look
from leaderboard.errors import LeaderboardError
from leaderboard.storage import latest_runs
from leaderboard.storage.store import Store
from leaderboard.tables.comparison import Comparison
from leaderboard.tables.costs import lower_is_better
from leaderboard.tables.ranked_rows import Row, Standings

# The costs that a kind stands for; the first that two models have is drawn.
COSTS = {
    "size": ("parameters",),
    "price": ("price_now_usd", "price_per_question", "rerank_price_now_usd"),
    "latency": ("latency_p50_ms",),
    "bytes": ("index_bytes",),
    "speed": ("texts_per_second",),
}
_TITLES = {
    "parameters": "parameters",
    "latency_p50_ms": "median latency of a query, ms",
    "index_bytes": "bytes of the index",
    "texts_per_second": "texts encoded per second",
    "price_now_usd": "price, US dollars",
    "price_per_question": "price of a question, US dollars",
}
_FEWEST = 5  # models that a correlation of two tasks needs


def against_cost(ranked: Standings, costs: tuple[str, ...], look: Look) -> Any:
    """The mean score against the first of `costs` that two models or more have.

    Raises:
        LeaderboardError: none of them is known of two models.
    """
    rows = [row for row in ranked.rows if row.mean is not None]
    for cost in costs:
        # Nothing stands for what is no cost of the model's, such as the parameters of BM25.
        having = [row for row in rows if row.costs.get(cost)]
        if len(having) > 1:
            points = _points(having, [row.costs[cost] for row in having])
            better = lower_is_better(cost)
            x = _TITLES.get(cost, cost.replace("_", " "))
            x += " (lower is better)" if better else " (higher is better)"
            return scatter.against(points, look, x=x, y=score_name(ranked), lower_is_better=better)
    known = sorted({name for row in rows for name in row.costs})
    raise LeaderboardError(
        f"Fewer than two ranked models have {' or '.join(costs)} on all of these tasks.",
        f"Known: {', '.join(known) or 'nothing'}. Draw one: embedlab plot cost --cost NAME",
    )


def over_time(ranked: Standings, store: Store, look: Look) -> Any:
    """The mean score against the day on which the model came out.

    Raises:
        LeaderboardError: it is known of fewer than two models.
    """
    details = latest_runs.model_details(store)
    dated = [
        (row, date)
        for row in ranked.rows
        if row.mean is not None
        and (date := details.get((row.model, row.revision), {}).get("release_date"))
    ]
    if len(dated) < 2:
        raise LeaderboardError(
            "The release date is known of fewer than two ranked models.",
            "It is recorded with runs and imports of models that mteb's registry knows.",
        )
    points = _points([row for row, _ in dated], pd.to_datetime([date for _, date in dated]))
    return scatter.against(
        points, look, x="released (the line: the best so far)", y=score_name(ranked)
    )


def by_type(ranked: Standings) -> Any:
    """A line per model over the task types.

    Raises:
        LeaderboardError: the tasks are of one type.
    """
    types = ranked.type_names
    if len(types) < 2:
        raise LeaderboardError(
            "The tasks are of one type.", "Lines need two types or more; choose other tasks."
        )
    scores = pd.DataFrame(
        [[ranked.type_mean(row, kind) for kind in types] for row in ranked.rows],
        index=[row.name for row in ranked.rows],
        columns=types,
        dtype=float,
    )
    whole = scores.dropna(how="all")[: profiles.MOST_LINES]
    return profiles.lines(whole, "mean over the tasks of a type")


def rank_intervals(ranked: Standings, most: int) -> Any:
    """Which ranks the first models may have.

    Raises:
        LeaderboardError: there are no rank intervals.
    """
    rows = [
        (row.name, row.place, row.best_place, row.worst_place)
        for row in ranked.rows
        if row.best_place is not None
    ][:most]
    if not rows:
        why = next((note for note in ranked.notes if note.startswith("No intervals")), "")
        raise LeaderboardError(
            "There are no rank intervals here.", why or "Rank by the mean over tasks that all have."
        )
    frame = pd.DataFrame(rows, columns=["label", "place", "low", "high"])
    return interval_charts.ranks(frame, ranked.level)


def task_correlation(ranked: Standings) -> Any:
    """How alike two tasks rank the models: Spearman's rank correlation.

    Raises:
        LeaderboardError: no two tasks have enough models.
    """
    scores = pd.DataFrame([row.scores for row in ranked.rows], columns=ranked.tasks, dtype=float)
    found = scores.corr(method="spearman", min_periods=_FEWEST)
    enough = found.notna().sum() > 1
    if not enough.any():
        raise LeaderboardError(
            f"No two tasks have {_FEWEST} models in common.",
            "A correlation over fewer says nothing.",
        )
    kept = found.loc[enough, enough]
    order = kept.mean().sort_values(ascending=False).index
    return profiles.heat(kept.loc[order, order], signed=True)


def differences(compared: Comparison) -> Any:
    """The tested differences: of one pair task by task, of a model from several over all tasks."""
    pairs = compared.overall or compared.pairs
    several = len({(pair.first, pair.second) for pair in pairs}) > 1
    drawn: list[Any] = [*compared.overall] if several and compared.overall else []
    drawn = drawn or [*compared.overall, *compared.pairs]
    rows = [
        (_label(pair, several), pair.difference, pair.low, pair.high, pair.corrected_p)
        for pair in drawn
    ]
    frame = pd.DataFrame(rows, columns=["label", "difference", "low", "high", "p"])
    numbers = ["difference", "low", "high", "p"]
    frame[numbers] = frame[numbers].astype(float)
    return interval_charts.forest(frame, compared.level)


def score_name(ranked: Standings) -> str:
    """What the scores are: of how many tasks the mean is."""
    if len(ranked.tasks) == 1:
        return ranked.tasks[0]
    if any(row.place is not None and row.tasks < len(ranked.tasks) for row in ranked.rows):
        return f"mean over those of {ranked.asked} tasks that each has"
    return f"mean over {ranked.coverage or f'{len(ranked.tasks)} tasks'}"


def _label(pair: Any, several: bool) -> str:
    where = getattr(pair, "task", f"mean over {getattr(pair, 'tasks', '')} tasks")
    part = getattr(pair, "subset", "default")
    where += "" if part == "default" else f", {part}"
    return _short(pair.second) if several else where


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _points(rows: list[Row], costs: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {"model": [row.name for row in rows], "score": [row.mean for row in rows], "cost": costs}
    )
