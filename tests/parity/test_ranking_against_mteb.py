"""Our means and Borda ranks against mteb's own functions."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embedlab.cli.leaderboard import parts
from leaderboard.records import Model, Run, Task
from leaderboard.statistics.aggregation import borda, mean_over_tasks, mean_over_types
from leaderboard.storage.store import Store
from leaderboard.tables import aggregates as ours
from leaderboard.tables.standings import rank
from tests.parity import made_up_results

pl = pytest.importorskip("polars")
RESULTS = Path(__file__).parents[2] / "../shared/data/reference/mteb-results"
TASKS = {
    "SciFact": "Retrieval",
    "NFCorpus": "Retrieval",
    "STSBenchmark": "STS",
    "SICK-R": "STS",
    "BIOSSES": "STS",
}


def random_scores(seed: int) -> pd.DataFrame:
    """Models by tasks with ties and missing cells; some models may lack everything."""
    rng = np.random.default_rng(seed)
    models = int(rng.integers(1, 12))
    scores = rng.integers(0, 8, (models, len(TASKS))) / 8
    scores[rng.random(scores.shape) < rng.choice([0.0, 0.2, 0.6])] = np.nan
    return pd.DataFrame(scores, index=[f"model-{i}" for i in range(models)], columns=list(TASKS))


def long(scores: pd.DataFrame) -> pl.DataFrame:
    """One row per cell that has a score, as mteb keeps them."""
    cells = (
        scores.rename_axis(index="model_name", columns="task_name")
        .stack()
        .dropna()
        .rename("score")
        .reset_index()
    )
    return pl.from_pandas(cells.assign(split="test", subset="default"))


def summary(frame: pl.DataFrame) -> pd.DataFrame:
    """mteb's leaderboard table, by model."""
    from mteb.benchmarks._create_table import _create_summary_table

    return _create_summary_table(frame).df.to_pandas().set_index("Model")


@pytest.mark.parametrize("seed", range(40))
def test_borda_equals_the_one_over_wide_frames(seed):
    from mteb.benchmarks._create_table import _get_borda_rank

    scores = random_scores(seed).dropna(how="all")
    if scores.empty:
        pytest.skip("no model has a score")
    wide = pl.from_pandas(scores.reset_index(drop=True), nan_to_null=True)
    assert (
        borda(scores).tolist() == wide.select(_get_borda_rank(list(scores))).to_series().to_list()
    )


@pytest.mark.parametrize("seed", range(40))
def test_borda_equals_the_one_over_long_frames(seed):
    from mteb.benchmarks._create_table import _borda_rank_from_long

    scores = random_scores(seed)
    theirs = _borda_rank_from_long(long(scores)).to_pandas().set_index("model_name")["Rank (Borda)"]
    assert borda(scores).dropna().to_dict() == theirs.to_dict()


@pytest.mark.parametrize("seed", range(10))
def test_means_equal_those_of_the_summary_table(seed):
    from mteb.models.model_implementations import MODEL_REGISTRY

    scores = random_scores(seed).dropna(how="all")
    scores = scores.dropna(axis=1, how="all")
    # mteb's table keeps the models that it knows.
    scores.index = sorted(MODEL_REGISTRY)[: len(scores)]
    theirs = summary(long(scores)).loc[scores.index]
    ours = pd.DataFrame({"task": mean_over_tasks(scores), "type": mean_over_types(scores, TASKS)})
    np.testing.assert_allclose(ours["task"], theirs["Mean (Task)"].astype(float), rtol=1e-12)
    np.testing.assert_allclose(ours["type"], theirs["Mean (TaskType)"].astype(float), rtol=1e-12)
    assert borda(scores).to_dict() == theirs["Rank (Borda)"].to_dict()


@pytest.mark.skipif(not RESULTS.is_dir(), reason="the published MTEB results are not here")
@pytest.mark.parametrize(
    ("benchmark", "least"),
    [("MTEB(eng, v2)", 20), ("MTEB(eng, v1)", 30), ("BEIR", 12)],
)
def test_published_results_rank_as_mteb_ranks_them(cli, home, benchmark, least):
    assert len(ranks_agree(cli, RESULTS, benchmark)) >= least


@pytest.mark.parametrize("benchmark", ["MTEB(eng, v1)", "MTEB(eng, v2)", "BEIR"])
def test_made_up_results_rank_as_mteb_ranks_them(cli, home, tmp_path, benchmark):
    tasks = ranks_agree(cli, made_up_results.write(tmp_path / "results"), benchmark)
    assert "ArguAna" in tasks
    assert ("CQADupstackRetrieval" in tasks) == (benchmark != "MTEB(eng, v2)")


def ranks_agree(cli, folder: Path, benchmark: str) -> list[str]:
    """Import a folder of results, rank them, and compare places and means with those of mteb's own
    code on the same files; gives the tasks that count.
    """
    import mteb
    from mteb.results import BenchmarkResults, ModelResult, TaskResult

    assert cli("import", folder)[0] == 0
    code, out, _ = cli(
        "leaderboard", "--benchmark", benchmark, "--sort", "borda", "--incomplete", "--json"
    )
    assert code == 0
    ours, wanted = json.loads(out), parts(benchmark)
    theirs = [
        ModelResult(
            model_name=place.parent.name.replace("__", "/"),
            model_revision=place.name,
            task_results=[
                TaskResult.from_disk(file)
                for file in sorted(place.glob("*.json"))
                if file.stem in wanted
            ],
        )
        for place in sorted(path for path in folder.glob("*/*") if path.is_dir())
    ]
    results = BenchmarkResults(model_results=theirs)
    table = summary(results._to_results_df(mteb.get_benchmark(benchmark).tasks))
    rows = ours["rows"]
    assert {row["name"] for row in rows} == set(table.index)
    whole = {row["name"] for row in rows if row["tasks"] == len(ours["tasks"])}
    assert len(whole) > 1
    for row in rows:
        their = table.loc[row["name"]]
        assert row["borda"] == their["Rank (Borda)"], row["name"]
        assert (row["name"] in whole) == (not pd.isna(their["Mean (Task)"]))
        if row["name"] in whole:
            assert row["mean"] == pytest.approx(their["Mean (Task)"], abs=1e-12)
            assert row["types"] == pytest.approx(their["Mean (TaskType)"], abs=1e-12)
    return ours["tasks"]


def aggregates() -> dict:
    """mteb's aggregate tasks of text by name."""
    from mteb.get_tasks import _TASKS_REGISTRY

    made = {name: task for name, task in _TASKS_REGISTRY.items() if hasattr(task.metadata, "tasks")}
    return {name: task() for name, task in made.items() if task.metadata.modalities == ["text"]}


def test_aggregates_are_those_of_mteb():
    import mteb

    theirs = {}
    for name, task in aggregates().items():
        (split,) = task.metadata.eval_splits
        members = task.metadata.tasks
        assert all(member.hf_subsets == ["default"] for member in members)
        theirs[name] = (split, tuple(member.metadata.name for member in members))
    assert ours.aggregates() == theirs
    for benchmark in ("MTEB(eng, v1)", "BEIR", "BEIR-NL", "MTEB(fas, v1)", "MTEB(fas, v2)"):
        assert list(parts(benchmark)) == [
            task.metadata.name for task in mteb.get_benchmark(benchmark).tasks
        ]


@pytest.mark.parametrize("name", list(ours.aggregates()))
def test_an_aggregate_scores_as_mteb_combines_its_members(tmp_path, name):
    from mteb.results import TaskResult

    task, rng = aggregates()[name], np.random.default_rng(0)
    store, theirs = Store(tmp_path / "results.duckdb"), []
    for member in task.metadata.tasks:
        metric, score = member.metadata.main_score, float(rng.random())
        entry = {
            "main_score": score,
            metric: score,
            "hf_subset": "default",
            "languages": member.metadata.languages,
        }
        languages = {"languages": member.metadata.bcp47_codes}
        theirs.append(
            TaskResult.from_task_results(member, {"test": {"default": entry}}, evaluation_time=1.0)
        )
        kept = Task(
            member.metadata.name, member.metadata.type, main_metric=metric, details=languages
        )
        store.add(Run(Model("lab/one"), kept, score, {metric: score}))
    combined = task.combine_task_results(theirs).get_score()
    (row,) = rank(store).rows
    assert row.scores == {name: pytest.approx(combined, abs=1e-15)}
