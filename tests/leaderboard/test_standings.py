import numpy as np
import pytest

from leaderboard.errors import LeaderboardError
from leaderboard.records import Model, PerQuery, Run, Task
from leaderboard.storage.rows import tables
from leaderboard.storage.store import Store
from leaderboard.tables.evaluated_views import read
from leaderboard.tables.standings import front, rank

STS = Task("STS12", "STS", main_metric="cosine_spearman")


def retrieval(model: str, task: str, shift: float, *, queries: int = 120, **fields) -> Run:
    """A run whose per-query scores are those of the task plus `shift` and a little noise."""
    base = np.random.default_rng(len(task)).random(queries)
    noise = np.random.default_rng(list(f"{model} {task}".encode())).normal(0, 0.05, queries)
    values = np.clip(base + shift + noise, 0, None)
    values += base.mean() + shift - values.mean()
    return Run(
        Model(model),
        Task(task, "Retrieval"),
        float(values.mean()),
        {"ndcg_at_10": float(values.mean())},
        per_query=PerQuery([f"q{i}" for i in range(queries)], {"ndcg_at_10": values}),
        **{"index": "torch", "costs": {"encode_seconds": 2.0, "texts_per_second": 50.0}, **fields},
    )


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path / "results.duckdb")
    runs = [
        retrieval(model, task, shift)
        for model, shift in (("good", 0.2), ("fair", 0.1), ("like", 0.1))
        for task in ("SciFact", "NFCorpus")
    ]
    runs.append(
        Run(
            Model("good", details={"training_datasets": ["SciFact"]}),
            STS,
            0.8,
            {"cosine_spearman": 0.8},
        )
    )
    store.add_tables(tables(runs))
    return store


def test_questions_of_rag_runs_stand_apart(store):
    before = rank(store)
    answered = Run(
        Model("index + reader", kind="rag"), Task("quiz", "RAG", main_metric="f1"), 0.5, {"f1": 0.5}
    )
    store.add(answered)
    assert rank(store).tasks == before.tasks and [row.place for row in rank(store).rows] == [
        row.place for row in before.rows
    ]
    assert [row.model for row in rank(store, ["quiz"]).rows] == ["index + reader"]
    for id in store.query("SELECT id FROM runs WHERE task <> 'quiz'")["id"].to_pylist():
        store.remove(id)
    assert rank(store).tasks == ["quiz"]


def test_the_ranking_says_what_is_known(store):
    standings = rank(store, ["scifact", "NFCorpus"])
    assert standings.tasks == ["SciFact", "NFCorpus"]
    assert standings.over == "queries"
    best, second, third = standings.rows
    assert (best.model, best.place, best.group) == ("good", 1, "a")
    assert second.group == third.group == "b"
    assert best.low < best.mean < best.high
    assert (best.best_place, best.worst_place) == (1, 1)
    assert best.mean == pytest.approx(np.mean(list(best.scores.values())))
    assert best.costs == {"encode_seconds": 4.0, "texts_per_second": 50.0}
    assert best.zero_shot == 50
    assert second.zero_shot is None
    assert standings.notes == []


def test_views_that_lack_tasks_are_shown_without_a_place(store):
    standings = rank(store)
    assert [row.place for row in standings.rows] == [1, None, None]
    lacking = standings.rows[1]
    assert (lacking.tasks, lacking.mean, lacking.borda) == (2, None, None)
    assert set(lacking.scores) == {"SciFact", "NFCorpus"}
    assert "2 of 3 views lack tasks" in standings.notes[0]


def test_views_that_lack_tasks_are_ranked_when_asked(store):
    standings = rank(store, incomplete=True, sort="borda")
    assert [row.place for row in standings.rows] == [row.borda for row in standings.rows]
    assert standings.rows[1].mean == pytest.approx(np.mean(list(standings.rows[1].scores.values())))
    assert "over fewer tasks" in standings.notes[0]


def test_each_view_is_a_row_and_tasks_without_an_index_count_for_every_index(store):
    store.add(retrieval("good", "SciFact", 0.0, index="faiss:hnsw32"))
    views = read(store, ["SciFact", "STS12"])
    labels = dict(zip(views.table["label"], views.scores.to_numpy().tolist(), strict=True))
    assert set(labels) == {"good@index=torch", "good@index=faiss:hnsw32", "fair", "like"}
    assert labels["good@index=torch"][1] == labels["good@index=faiss:hnsw32"][1] == 0.8


def test_the_newest_run_counts(store):
    store.add(retrieval("fair", "SciFact", 0.5))
    standings = rank(store, ["SciFact"])
    assert len(standings.rows) == 3
    assert standings.rows[0].model == "fair"


def test_a_part_that_is_missing_makes_the_task_missing(tmp_path):
    store = Store(tmp_path / "results.duckdb")
    for model, subsets in (("whole", ("en", "de")), ("half", ("en",))):
        for subset in subsets:
            store.add(Run(Model(model), Task("STS17", "STS", subset=subset), 0.5, {}))
    by_model = {row.model: row for row in rank(store).rows}
    assert by_model["whole"].place == 1
    assert by_model["half"].place is None and by_model["half"].scores == {}
    assert all(row.place for row in rank(store, {"STS17": [("test", "en")]}).rows)


def test_tasks_of_a_benchmark_without_results_are_named(store):
    standings = rank(store, {"SciFact": [("test", "default")], "FiQA2018": [("test", "default")]})
    assert standings.tasks == ["SciFact"]
    assert standings.notes == ["1 of 2 tasks have no whole results and do not count: FiQA2018."]


def test_different_queries_are_said_and_the_ranking_still_comes(store):
    store.add(retrieval("other", "SciFact", 0.1, queries=100))
    standings = rank(store, ["SciFact"])
    assert len(standings.rows) == 4 and standings.over == ""
    assert "different queries of SciFact" in standings.notes[-1]
    assert "20 only in" in standings.notes[-1]


def test_without_per_query_scores_tasks_are_resampled(tmp_path):
    store = Store(tmp_path / "results.duckdb")
    rng = np.random.default_rng(0)
    hardness = rng.uniform(0.2, 0.8, 12)
    for model, shift in (("good", 0.2), ("fair", 0.0)):
        for number, hard in enumerate(hardness):
            store.add(
                Run(
                    Model(model),
                    Task(f"T{number}", "STS"),
                    hard + shift + rng.normal(0, 0.02),
                    {},
                    source="mteb",
                )
            )
    standings = rank(store)
    assert standings.over == "tasks"
    assert [row.group for row in standings.rows] == ["a", "b"]
    assert standings.rows[0].high - standings.rows[0].low > 0.1, (
        "another choice of tasks would move the mean"
    )


def test_among_imported_results_tasks_are_resampled_so_that_all_have_intervals(store):
    names = [f"T{number}" for number in range(6)]
    imported = [
        Run(Model("imported"), Task(name, "Retrieval"), 0.4 + at / 100, {}, source="mteb")
        for at, name in enumerate(names)
    ]
    store.add_tables(tables([*imported, *(retrieval("good", name, 0.2) for name in names)]))
    assert rank(store, names).over == "tasks"
    assert all(row.low is not None and row.best_place for row in rank(store, names).rows)
    own, other = rank(store, names, over="queries").rows
    assert own.low is not None and other.low is None and own.best_place is None


def test_intervals_may_be_left_out(store):
    standings = rank(store, ["SciFact"], over="none")
    assert (standings.over, standings.notes) == ("", [])
    assert [row.model for row in standings.rows] == [
        row.model for row in rank(store, ["SciFact"]).rows
    ]
    assert all(row.low is None and row.group == "" for row in standings.rows)


def test_imported_revisions_of_a_model_are_one_row_and_marked(tmp_path):
    store = Store(tmp_path / "results.duckdb")
    for revision, task, score in (
        ("abc", "STS12", 0.5),
        ("external", "STS12", 0.9),
        ("external", "STS13", 0.7),
    ):
        source = "mteb-external" if revision == "external" else "mteb"
        store.add(Run(Model("m", revision), Task(task, "STS"), score, {}, source=source))
    store.add(Run(Model("m", "abc"), Task("STS12", "STS"), 0.4, {}))
    own, joined = sorted(rank(store, incomplete=True).rows, key=lambda row: row.source)
    assert (own.scores, own.source) == ({"STS12": 0.4}, "")
    assert (joined.scores, joined.revision) == ({"STS12": 0.5, "STS13": 0.7}, "several")
    assert joined.source == "mteb + mteb-external"


def test_pareto_front_of_measured_costs(store):
    store.add(
        retrieval("good", "SciFact", 0.2, costs={"texts_per_second": 10.0, "encode_seconds": 1.0})
    )
    standings = rank(store, ["SciFact"])
    assert dict(
        zip(
            [row.model for row in standings.rows], front(standings, "texts_per_second"), strict=True
        )
    )["good"]
    with pytest.raises(LeaderboardError, match="No model has 'watts'") as caught:
        front(standings, "watts")
    assert "texts_per_second" in caught.value.hint


def test_intervals_that_cannot_be_had_say_why(store):
    for over, note in (
        ("queries", "without scores of single queries"),
        ("tasks", "two tasks or more"),
    ):
        standings = rank(store, ["STS12"], over=over)
        assert standings.rows[0].low is None and standings.over == ""
        assert note in standings.notes[0]


def test_resampling_tasks_as_well_widens_the_intervals(store):
    widths = [
        (row := rank(store, ["SciFact", "NFCorpus"], over=over).rows[0]).high - row.low
        for over in ("queries", "both")
    ]
    assert widths[1] > widths[0]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tasks": ["SciFakt"]}, "no task 'SciFakt'"),
        ({"sort": "elo"}, "Unknown order 'elo'"),
        ({"over": "models"}, "Unknown resampling 'models'"),
        ({"metric": "nDCG@7"}, "has nDCG@7"),
    ],
)
def test_bad_options_are_one_clear_error(store, options, problem):
    with pytest.raises(LeaderboardError, match=problem):
        rank(store, **options)


def test_an_empty_store_says_what_to_type(tmp_path):
    with pytest.raises(LeaderboardError, match="no results") as caught:
        rank(Store(tmp_path / "none.duckdb"))
    assert "embedlab eval" in caught.value.hint


def test_a_task_that_nobody_has_whole_does_not_keep_all_from_a_place(store):
    """As a benchmark's largest task, whose results nobody can publish."""
    parts = {"SciFact": [("test", "default")], "STS22": [("test", "en"), ("test", "de")]}
    for model in ("good", "fair"):
        store.add(Run(Model(model), Task("STS22", "STS", subset="en"), 0.5, {}))
    ranked = rank(store, parts)
    assert (ranked.tasks, ranked.coverage) == (["SciFact"], "1 of 2 tasks")
    assert [row.place for row in ranked.rows] == [1, 2, 2]
    assert "1 of 2 tasks have no whole results and do not count: STS22." in ranked.notes
    assert all(row.place is None for row in rank(store, {"STS22": parts["STS22"]}).rows)
