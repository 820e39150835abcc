"""Compare: two models or more, task by task, then query by query."""

import pandas as pd
import streamlit as st

from app import charts, controls, later, reading
from app.downloads import buttons
from app.safe_text import plain
from app.screens.queries import differing_queries
from app.tables import table
from leaderboard.charts.interval_charts import forest
from leaderboard.charts.looks import finished, of_page
from leaderboard.measures import shown
from leaderboard.statistics.significance import CORRECTIONS, TESTS
from leaderboard.tables.comparison import Comparison, Pair
from leaderboard.tables.table import Column

_MOST = 6  # models: 15 pairs on every task
_AT_ONCE = 20  # tasks, beyond which tests take longer than a reader should wait
_CORRECTED = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "none"}


def page() -> None:
    """The page."""
    controls.require_results()
    parts = controls.pick_tasks()
    views = reading.all_views(parts)
    labels = views.table["label"].tolist()
    if len(labels) < 2:
        controls.empty(
            "A comparison needs results of two models on these tasks.", controls.EVALUATE
        )
        return
    known = pd.DataFrame(
        {
            "queries": reading.scored_by_query(parts),  # without them there is nothing to test
            "tasks": views.scores.count(axis=1),
            "mean": views.scores.mean(axis=1),
        }
    )
    ranked = known.sort_values(["queries", "tasks", "mean"], ascending=False).index
    of_models = views.table["model"].loc[ranked].drop_duplicates().index  # the best view of each
    best = list(dict.fromkeys([*of_models, *ranked]))[:2]
    left, middle, right = st.columns([6, 2, 2])
    chosen = left.multiselect(
        "Models",
        labels,
        default=views.table["label"].loc[best].tolist(),
        key="models",
        bind=controls.URL,
        max_selections=_MOST,
    )
    test = middle.selectbox("Test", list(TESTS), key="test", bind=controls.URL)
    correction = right.selectbox(
        "Correction",
        list(CORRECTIONS),
        key="correction",
        bind=controls.URL,
        format_func=lambda name: _CORRECTED[name],
    )
    if len(chosen) < 2:
        st.info("Choose two models or more.", icon=":material/compare_arrows:")
        return
    tested = reading.compared(tuple(chosen), parts, test, correction)
    if not (tested.there() if len(parts) > _AT_ONCE else tested.ready()):
        answer = reading.untested(tuple(chosen), parts)
        _summary(answer)
        below = st.container()
        _pairs(answer)
        with below:
            later.progress(tested, "Tests and intervals")
        return
    answer = tested.answer()
    _summary(answer)
    _forest(answer)
    _pairs(answer)
    _settings(answer)
    st.header("Query by query")
    differing_queries(answer, views)


def _summary(answer: Comparison) -> None:
    alpha = 1 - answer.level
    by_pair: dict[tuple[str, str], list[Pair]] = {}
    for pair in answer.pairs:
        by_pair.setdefault((pair.first, pair.second), []).append(pair)
    groups = list(by_pair.items())
    table(
        [
            Column("A", [first for (first, _), _ in groups]),
            Column("B", [second for (_, second), _ in groups]),
            Column("Tasks", [len({pair.task for pair in pairs}) for _, pairs in groups]),
            Column("Mean of A − B", [_mean_over_tasks(pairs) for _, pairs in groups], signed=True),
            Column("A surely better", _sure(groups, 1, alpha), right=True),
            Column("B surely better", _sure(groups, -1, alpha), right=True),
            Column("Over all tasks", [_together(answer, pair) for pair, _ in groups]),
            Column("Won / tied / lost", [_counts(pairs) for _, pairs in groups], right=True),
        ],
        "Pairs of models over all tasks",
        cards=True,
    )
    tested = sum(pair.p is not None for pair in answer.pairs)
    if tested:
        corrected = (
            f"corrected ({_CORRECTED[answer.correction]}) for"
            f" {tested} comparison{'s' * (tested > 1)}."
        )
        units = ", ".join(dict.fromkeys(pair.unit for pair in answer.pairs if pair.p is not None))
        test = f"with p at most {alpha:.2g} in the {answer.test} test over {units}"
        st.caption(plain(f"Surely better: on how many tasks, {test}, {corrected}"))
    if answer.notes:
        st.caption(plain(" ".join(answer.notes)))


def _sure(
    groups: list[tuple[tuple[str, str], list[Pair]]], sign: int, alpha: float
) -> list[int | str]:
    """On how many tasks each pair surely differs in one direction; a dash where nothing could be
    tested.
    """
    tested = [[pair for pair in pairs if pair.corrected_p is not None] for _, pairs in groups]
    return [
        sum(p.difference * sign > 0 and (p.corrected_p or 0) <= alpha for p in pairs)
        if pairs
        else "–"
        for pairs in tested
    ]


def _together(answer: Comparison, names: tuple[str, str]) -> str:
    """The test of a pair over all tasks, and what it is over."""
    for pair in answer.overall:
        if (pair.first, pair.second) == names and pair.corrected_p is not None:
            return f"p {pair.corrected_p:.4f} (over {pair.over})"
    return ""


def _mean_over_tasks(pairs: list[Pair]) -> float:
    """The mean difference over tasks, each the mean over its parts."""
    return float(pd.DataFrame(pairs).groupby("task")["difference"].mean().mean())


def _forest(answer: Comparison) -> None:
    tested = [pair for pair in answer.pairs if pair.low is not None]
    if not tested:
        return
    frame = pd.DataFrame(
        [
            {
                "label": _task(pair),
                "pair": f"{pair.first} − {pair.second}",
                "difference": pair.difference,
                "low": pair.low,
                "high": pair.high,
                "p": pair.corrected_p,
            }
            for pair in tested
        ]
    )
    look = of_page(st.context.theme.type == "dark")
    charts.show(
        finished(forest(frame, answer.level), look),
        "The difference on each task with its interval",
        theme=None,
    )
    st.caption("Blue circles: surely different. Orange squares: the data leave it open.")


def _pairs(answer: Comparison) -> None:
    pairs = answer.pairs
    # With one pair, the table above names the two.
    several = len({(pair.first, pair.second) for pair in pairs}) > 1
    table(
        [
            Column("Task", [_task(pair) for pair in pairs]),
            Column("Metric", [shown(pair.metric) for pair in pairs]),
            Column("A", [pair.first if several else None for pair in pairs]),
            Column("B", [pair.second if several else None for pair in pairs]),
            Column("Score A", [float(pair.first_score) for pair in pairs]),
            Column("Score B", [float(pair.second_score) for pair in pairs]),
            Column("A − B", [float(pair.difference) for pair in pairs], signed=True),
            Column(f"{answer.level:.0%} interval", [_bounds(pair) for pair in pairs], right=True),
            Column("Corrected p", [pair.corrected_p for pair in pairs]),
            Column("Won / tied / lost", [_counts([pair]) for pair in pairs], right=True),
            Column("Effect size", [pair.effect_size for pair in pairs], digits=2, signed=True,
                   help="Cohen's d of paired samples"),
        ],
        "Differences on every task", cards=True,
    )  # fmt: skip
    buttons(lambda: pd.DataFrame([vars(pair) for pair in pairs]), "comparison")


def _settings(answer: Comparison) -> None:
    """In what the compared runs differ beside the model."""
    if answer.settings:
        st.header("Settings that differ")
        columns = [Column("Model", answer.views)]
        columns += [Column(setting.name, setting.values) for setting in answer.settings]
        table(columns, "Settings in which the compared runs differ")


def _bounds(pair: Pair) -> str | None:
    return None if pair.low is None else f"{pair.low:+.4f} – {pair.high:+.4f}"


def _counts(pairs: list[Pair]) -> str | None:
    known = [pair for pair in pairs if pair.wins is not None]
    if not known:
        return None
    return " / ".join(
        f"{sum(getattr(pair, name) for pair in known):,}" for name in ("wins", "ties", "losses")
    )


def _task(pair: Pair) -> str:
    return pair.task + ("" if pair.subset == "default" else f", {pair.subset}")
