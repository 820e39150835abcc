"""Our means and Borda ranks against mteb's own functions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leaderboard.ranking import borda, mean_over_tasks, mean_over_types
from leaderboard.records import Model, Run, Task
from leaderboard.rows import tables
from leaderboard.standings import rank
from leaderboard.store import Store

pl = pytest.importorskip("polars")
RESULTS = Path(__file__).parents[2] / "../shared/data/reference/mteb-results"
TASKS = {"SciFact": "Retrieval", "NFCorpus": "Retrieval", "STSBenchmark": "STS", "SICK-R": "STS", "BIOSSES": "STS"}


def random_scores(seed: int) -> pd.DataFrame:
    """Models by tasks with ties and missing cells; some models may lack everything."""
    rng = np.random.default_rng(seed)
    models = int(rng.integers(1, 12))
    scores = rng.integers(0, 8, (models, len(TASKS))) / 8
    scores[rng.random(scores.shape) < rng.choice([0.0, 0.2, 0.6])] = np.nan
    return pd.DataFrame(scores, index=[f"model-{i}" for i in range(models)], columns=list(TASKS))


def long(scores: pd.DataFrame) -> pl.DataFrame:
    """One row per cell that has a score, as mteb keeps them."""
    cells = scores.rename_axis(index="model_name", columns="task_name").stack().dropna().rename("score").reset_index()
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
    assert borda(scores).tolist() == wide.select(_get_borda_rank(list(scores))).to_series().to_list()


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
    scores.index = sorted(MODEL_REGISTRY)[: len(scores)]  # mteb's table keeps the models that it knows
    theirs = summary(long(scores)).loc[scores.index]
    ours = pd.DataFrame({"task": mean_over_tasks(scores), "type": mean_over_types(scores, TASKS)})
    np.testing.assert_allclose(ours["task"], theirs["Mean (Task)"].astype(float), rtol=1e-12)
    np.testing.assert_allclose(ours["type"], theirs["Mean (TaskType)"].astype(float), rtol=1e-12)
    assert borda(scores).to_dict() == theirs["Rank (Borda)"].to_dict()


@pytest.mark.skipif(not RESULTS.is_dir(), reason="the published MTEB results are not here")
def test_published_results_rank_as_mteb_ranks_them(tmp_path):
    import mteb
    from mteb.results import BenchmarkResults, ModelResult, TaskResult

    from embedlab.cli.leaderboard import main_revisions, parts

    wanted = parts("MTEB(eng, v2)")
    runs, theirs = [], []
    for folder in sorted(path for path in RESULTS.glob("*/*") if path.is_dir()):
        name = folder.parent.name.replace("__", "/")
        found = [TaskResult.from_disk(path) for path in folder.glob("*.json") if path.stem in wanted]
        theirs.append(ModelResult(model_name=name, model_revision=folder.name, task_results=found))
        runs += [
            Run(
                Model(name, folder.name),
                Task(result.task_name, result.task_type, split, score["hf_subset"]),
                score["main_score"],
                {},
                environment={"packages": {"mteb": result.mteb_version}},
                source="mteb",
            )
            for result in found
            for split, scores in result.scores.items()
            for score in scores
        ]
    store = Store(tmp_path / "results.duckdb")
    store.add_tables(tables(runs))

    ours = rank(store, wanted, sort="borda", incomplete=True, main_revisions=main_revisions())
    results = BenchmarkResults(model_results=theirs)
    table = summary(results._to_results_df(mteb.get_benchmark("MTEB(eng, v2)").tasks))
    assert len(ours.tasks) >= 20
    assert {row.model for row in ours.rows} == set(table.index)
    for row in ours.rows:
        assert row.borda == table.loc[row.model, "Rank (Borda)"], row.model
        if row.tasks == len(ours.tasks):
            assert row.mean == pytest.approx(table.loc[row.model, "Mean (Task)"], abs=1e-12)
            assert row.types == pytest.approx(table.loc[row.model, "Mean (TaskType)"], abs=1e-12)
        else:
            assert pd.isna(table.loc[row.model, "Mean (Task)"])
