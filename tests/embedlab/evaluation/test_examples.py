"""Scores of tasks that rank nothing, computed anew from what the store keeps of each example."""

import json

import numpy as np
import pytest
from scipy.stats import bootstrap, spearmanr, ttest_rel
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

import embedlab
from embedlab.compat.mteb_internals import Scoring
from embedlab.evaluation.example_records import of_subsets
from leaderboard.statistics.example_values import values
from leaderboard.storage.store import Store

LETTERS = "abcdefghij"
TASKS = {
    "STS12": "STS",
    "Banking77Classification": "Classification",
    "SciRepEvalBiomimicryClassification": "Classification",
    "EmitClassification": "MultilabelClassification",
    "CovidDisinformationNLMultiLabelClassification": "MultilabelClassification",
    "SpanishWikiClusteringP2P": "Clustering",
    "TwentyNewsgroupsClustering": "Clustering",
    "SprintDuplicateQuestions": "PairClassification",
    "Ocnli": "PairClassification",
    "BornholmBitextMining": "BitextMining",
    "SummEvalSummarization.v2": "Summarization",
}


def counted(texts):
    """A model: how often each letter comes."""
    return np.array([[1e-3, *(str(text).count(each) for each in LETTERS)] for text in texts])


def started(texts):
    """Another: which letters come among the first five, the earlier the more."""
    return counted([text[:5] for text in texts]) + counted([text[:2] for text in texts])


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """Tables of noisy texts: a label's letter comes more often, partners share letters."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("mirror")

    def text(about="", length=8):
        return "".join(rng.choice([*LETTERS, *about], length))

    def noisy(other):
        return "".join(rng.permutation([*other[:5], *text(length=4)]))

    def write(name, rows):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def pairs(count, **columns):
        firsts = [text() for _ in range(count)]
        return [
            {"sentence1": first, "sentence2": noisy(first) if n % 2 else text()}
            | {name: rule(n) for name, rule in columns.items()}
            for n, first in enumerate(firsts)
        ]

    def labelled(count):
        about = rng.integers(0, 4, count)
        return [{"text": text(LETTERS[n] * 3), "label": f"x{n}"} for n in about]

    def several(count):
        sets = [sorted({int(n) for n in rng.integers(0, 4, 2)}) for _ in range(count)]
        return [
            {"text": text("".join(LETTERS[n] * 3 for n in each)), "label": each} for each in sets
        ]

    write("STS12.test.jsonl", pairs(40, score=lambda n: int(rng.integers(0, 3)) + n % 2 * 2))
    for name in ("SprintDuplicateQuestions.test", "Ocnli.validation"):
        write(f"{name}.jsonl", pairs(40, labels=lambda n: int(n % 2 or rng.random() < 0.2)))
    write("BornholmBitextMining.test.jsonl", [dict(row, sentence2=noisy(row["sentence1"]))
          for row in pairs(30)])  # fmt: skip
    for split in ("train", "test"):
        write(f"Banking77Classification.{split}.jsonl", labelled(48))
    write("SciRepEvalBiomimicryClassification.evaluation.jsonl", labelled(47))
    for name in ("EmitClassification", "CovidDisinformationNLMultiLabelClassification"):
        for split in ("train", "test"):
            write(f"{name}.{split}.jsonl", several(60))
    for name in ("SpanishWikiClusteringP2P", "TwentyNewsgroupsClustering"):
        write(f"{name}.test.jsonl", labelled(60))
    judged = [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [3.0, 1.0, 2.0], [1.0, 3.0, 1.0]] * 3
    write("SummEvalSummarization.v2.test.jsonl", [
        {"text": "x", "human_summaries": [text(), text()], "relevance": scores,
         "machine_summaries": [text() for _ in scores]}
        for scores in judged
    ])  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def db(mirror, tmp_path_factory):
    """A store of both models on a task of every type."""
    path = tmp_path_factory.mktemp("store") / "results.duckdb"
    models = {"counted": counted, "started": started}
    results = embedlab.evaluate(models, list(TASKS), data_dir=mirror, db=path, progress=False)
    assert len(results.failures) == 0, results.failures
    return path


def recomputed(metric, series):
    """A main score as mteb computes it, by the libraries that mteb calls."""
    if metric == "v_measure":
        return np.mean(series[metric].ravel())
    if metric == "cosine_spearman" and "cosine" not in series:
        return np.mean([each for each in series[metric][0] if not np.isnan(each)])
    if metric == "cosine_spearman":
        return spearmanr(series["gold"][0], series["cosine"][0])[0]
    if metric in ("max_ap", "max_accuracy"):
        gold, signs = series["gold"][0], {"manhattan_distances": -1, "euclidean_distances": -1}
        score = average_precision_score if metric == "max_ap" else best_accuracy
        return max(score(gold, series[name][0] * signs.get(name, 1))
                   for name in series if name != "gold")  # fmt: skip
    if "gold_set" in series:
        bits = np.arange(int(series["gold_set"].max()).bit_length())
        gold, *each = (
            (row.astype(int)[:, None] >> bits & 1)
            for name in ("gold_set", "predicted_set")
            for row in series[name]
        )
        score = accuracy_score if metric == "accuracy" else macro_f1
        return np.mean([score(gold, one) for one in each])
    scored = []
    for experiment, predicted in enumerate(series["predicted"]):
        gold = series["gold"][min(experiment, len(series["gold"]) - 1)]
        pair = gold[~np.isnan(predicted)], predicted[~np.isnan(predicted)]
        scored.append(
            accuracy_score(*pair) if metric == "accuracy"
            else f1_score(*pair, average="weighted", zero_division=0)
        )  # fmt: skip
    return np.mean(scored)


def macro_f1(gold, predicted):
    return f1_score(gold, predicted, average="macro", zero_division=0)


def best_accuracy(gold, scores):
    return max(accuracy_score(gold, scores > between) for between in np.unique(scores)[:-1])


@pytest.mark.parametrize("task", TASKS)
def test_the_score_is_that_of_the_records(db, task):
    """To the last digit: what the store keeps is what mteb scored."""
    store = Store(db)
    runs = [run for run in store.runs().to_pylist() if run["task"].startswith(f"{task}@")]
    assert len(runs) == 2
    for run in runs:
        record = store.run(run["id"])
        assert record.task.type == TASKS[task]
        metric, series = record.task.main_metric, record.examples.series
        assert recomputed(metric, series) == record.main_score
        single = values(TASKS[task], metric, record.examples)
        assert np.nanmean(single) == pytest.approx(record.main_score, abs=1e-12)
        # The one table of a clustering task of sets is one set.
        assert np.nanstd(single) > 0 or task == "TwentyNewsgroupsClustering"


ONE_SET = "TwentyNewsgroupsClustering"
UNITS = {
    "STS": "pairs", "PairClassification": "pairs", "BitextMining": "sentences",
    "Classification": "examples", "MultilabelClassification": "examples",
    "Clustering": "clusterings", "Summarization": "texts",
}  # fmt: skip


@pytest.fixture
def answer(cli, home, db):
    """What a command says of the store as JSON."""

    def call(*arguments):
        code, out, err = cli(*arguments, "--db", db, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


def test_compare_tests_every_type_over_its_examples(answer, db):
    found = answer("compare", "counted", "started")
    assert len(found["pairs"]) == len(TASKS)
    for pair in found["pairs"]:
        name = pair["task"].partition("@")[0]
        if name == ONE_SET:
            assert pair["p"] is None
            continue
        assert pair["unit"] == UNITS[TASKS[name]], name
        assert 0 < pair["p"] <= 1 and pair["low"] < pair["difference"] < pair["high"], name
        assert pair["difference"] == pytest.approx(pair["first_score"] - pair["second_score"])
        own = pair["metric"] == "accuracy" or TASKS[name] == "Summarization"
        assert (pair["wins"] is not None) == own
        assert (pair["needed"] is None) == (pair["unit"] == "clusterings")
    assert found["notes"] == [
        f"1 task is without scores of single queries or examples: {task_of(db, ONE_SET)}."
    ]


def test_an_accuracy_is_compared_example_by_example(answer, db):
    """An example's score is the share of the experiments in which it was classified well."""
    task = task_of(db, "Banking77Classification")
    (pair,) = answer("compare", "counted", "started", "--task", task, "--test", "t")["pairs"]
    store = Store(db)
    shares = []
    for model in ("counted", "started"):
        (id,) = store.runs(task=task, model=model)["id"].to_pylist()
        series = store.run(id).examples.series
        assert series["predicted"].shape == (10, 48)
        shares.append((series["predicted"] == series["gold"]).mean(axis=0))
    assert pair["p"] == pytest.approx(ttest_rel(*shares).pvalue)
    wins = (shares[0] > shares[1] + 1e-9).sum(), (shares[0] < shares[1] - 1e-9).sum()
    assert (pair["wins"], pair["losses"]) == wins


def test_sts_intervals_are_the_bootstraps(answer, db):
    """Beside scipy's bootstrap of the difference of two correlations."""
    task, store, seen = task_of(db, "STS12"), Store(db), {}
    (pair,) = answer("compare", "counted", "started", "--task", task)["pairs"]
    for model in ("counted", "started"):
        (id,) = store.runs(task=task, model=model)["id"].to_pylist()
        seen[model] = store.run(id).examples.series
    gold = seen["counted"]["gold"][0]

    def difference(rows):
        return np.subtract(
            *(spearmanr(gold[rows], one["cosine"][0][rows])[0] for one in seen.values())
        )

    found = bootstrap(
        (np.arange(len(gold)),), difference, n_resamples=400, vectorized=False,
        method="percentile", rng=np.random.default_rng(0),
    )  # fmt: skip
    width = found.confidence_interval.high - found.confidence_interval.low
    assert pair["high"] - pair["low"] == pytest.approx(width, rel=0.2)


def test_the_leaderboard_has_intervals_over_all_types(answer, db):
    tasks = [task_of(db, name) for name in TASKS if name != ONE_SET]
    found = answer("leaderboard", *(part for task in tasks for part in ("--task", task)))
    assert found["over"] == "queries"
    for row in found["rows"]:
        assert row["low"] < row["mean"] < row["high"] and row["group"]
        assert row["nested_low"] < row["low"] and row["high"] < row["nested_high"]
    (sts,) = [task for task in tasks if task.startswith("STS12")]
    alone = answer("leaderboard", "--task", sts)["rows"]
    assert all(row["low"] < row["mean"] < row["high"] for row in alone)
    assert all(row["nested_low"] is None for row in alone)


def test_tables_say_what_was_resampled(cli, home, db):
    _, out, _ = cli("compare", "counted", "started", "--db", db, "--task", task_of(db, "STS12"))
    assert "test over pairs" in out and "40 pairs" in out.replace("\n", " ")
    _, out, _ = cli("leaderboard", "--db", db, "--task", task_of(db, "STS12"))
    assert "Intervals resample queries, or examples where nothing is ranked" in out


def task_of(db, name):
    (task,) = {t for t in Store(db).runs()["task"].to_pylist() if t.startswith(f"{name}@")}
    return task


def test_records_that_do_not_give_the_score_are_not_kept():
    import mteb

    gold, predicted = [0.0, 0.5, 1.0, 0.2], {"cosine_scores": [0.1, 0.3, 0.9, 0.4]}
    calls = [Scoring((predicted, gold), None)]
    task = mteb.get_task("STS12")
    right = spearmanr(gold, predicted["cosine_scores"])[0]
    for score, kept in ((right, ["default"]), (right - 0.01, [])):
        scores = {"default": {"cosine_spearman": score}}
        assert [*of_subsets(task, ["default"], calls, scores)] == kept


def test_many_labels_are_kept_as_right_or_wrong():
    import mteb

    gold = np.eye(4, 60, dtype=int)
    calls = [Scoring((gold, gold * [[1], [1], [0], [1]], None, None), None)]
    task = mteb.get_task("EmitClassification")
    found = of_subsets(task, ["default"], calls, {"default": {"accuracy": 0.75}})
    assert found["default"].series["accuracy"].tolist() == [[1, 1, 0, 1]]
