"""Measures on request, from the command line to the store: equal to ir_measures and pytrec_eval
called on the exported run and judgements.
"""

import json

import ir_measures
import numpy as np
import pytest
import pytrec_eval

from leaderboard.records import Run
from leaderboard.storage.store import Store

# Judgements of every kind, and queries that are judged, but not relevant, alone.
ON_REQUEST = (
    "ERR@20 ERR@3 Bpref Bpref(rel=2) Judged@5 RBP(rel=1) RBP(p=0.5,rel=1) AP nDCG RR Rprec"
    " P(rel=2)@9 infAP IPrec@0.1 Compat SetF SDCG(max_rel=3)@5 nDCG(dcg='exp-log2')@5 RR(rel=2)@7"
)
OURS = {"nDCG@7": "ndcg_cut_7", "AP@7": "map_cut_7", "R@7": "recall_7", "P@7": "P_7"}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A BEIR folder of 40 documents and 12 queries with judgements from -1 to 3."""
    folder, rng = tmp_path_factory.mktemp("beir") / "graded", np.random.default_rng(5)
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choice([f"w{n}" for n in range(60)], 8)) for _ in range(40)]
    _write(folder / "corpus.jsonl", [(f"d{n}", text) for n, text in enumerate(texts)])
    queries = [(str(n), " ".join(texts[n].split()[:3])) for n in range(12)]
    _write(folder / "queries.jsonl", queries)
    lines = ["query-id\tcorpus-id\tscore"]
    for query in range(12):
        for document in rng.choice(40, 9, replace=False).tolist():
            grade = int(rng.integers(-1, 4)) if query else 0
            lines.append(f"{query}\td{document}\t{grade}")
        lines.append(f"{query}\td{(query + 1) % 40}x\t{min(query, 1)}")  # not in the corpus
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    return folder


def _write(path, rows):
    path.write_text("".join(json.dumps({"_id": id, "text": text}) + "\n" for id, text in rows))


def asked(names):
    return [part for name in names for part in ("--measure", name)]


def recorded(home) -> tuple[Run, dict[str, dict[str, float]]]:
    """The only run, and its scores by measure and query."""
    store = Store(home / "results.duckdb")
    run = store.run(store.runs()["id"][0].as_py())
    queries = run.per_query.query_ids
    return run, {
        name: dict(zip(queries, values.tolist(), strict=True))
        for name, values in run.per_query.metrics.items()
    }


def directly(cli, folder, names):
    """Measures of the exported run by ir_measures itself: by measure and query, and on average."""
    code, _, err = cli("export", folder, "--format", "trec")
    assert code == 0, err
    run_file, qrels_file = next(folder.rglob("runs/*/*")), next(folder.rglob("qrels/*"))
    wanted = [ir_measures.parse_measure(name) for name in names]
    qrels = list(ir_measures.read_trec_qrels(str(qrels_file)))
    # Compat takes documents that score below 0 for worse than those that are not ranked.
    ranked = ir_measures.read_trec_run(str(run_file))
    run = [document._replace(score=document.score + 2) for document in ranked]
    means, each = ir_measures.calc(wanted, qrels, run)
    found = {str(measure): {} for measure in wanted}
    for value in each:
        found[str(value.measure)][value.query_id] = value.value
    return found, {str(measure): mean for measure, mean in means.items()}, (qrels_file, run_file)


@pytest.fixture
def evaluated(cli, home, graded, tiny_folder):
    def call(*options):
        return cli("eval", "--model", tiny_folder, "--task", graded, *options)

    return call


@pytest.mark.effect("eval --measure")
def test_measures_are_those_of_ir_measures_on_the_exported_run(evaluated, cli, home, tmp_path):
    code, _, err = evaluated("--measure", "ERR@20", *asked([*ON_REQUEST.split()[1:], *OURS]))
    assert code == 0, err
    run, ours = recorded(home)
    theirs, means, (qrels_file, run_file) = directly(cli, tmp_path, ON_REQUEST.split())
    assert len(theirs) == len(ON_REQUEST.split())
    for name, values in theirs.items():
        assert ours[name] == pytest.approx(values, abs=1e-9), name
        assert run.scores[name] == pytest.approx(means[name], abs=1e-9), name
        assert len(set(values.values())) > 2, f"{name} tells no query from another"
    with qrels_file.open() as qrels, run_file.open() as ranking:
        judged, ranked = pytrec_eval.parse_qrel(qrels), pytrec_eval.parse_run(ranking)
    trec = {f"{name.rpartition('_')[0]}.7" for name in OURS.values()}
    expected = pytrec_eval.RelevanceEvaluator(judged, trec).evaluate(ranked)
    for name, trec_name in OURS.items():
        stored = {"AP@7": "map_at_7", "R@7": "recall_at_7", "P@7": "precision_at_7"}
        values = {query: scores[trec_name] for query, scores in expected.items()}
        assert ours[stored.get(name, "ndcg_at_7")] == pytest.approx(values, abs=1e-9)


@pytest.mark.effect("runs measure --measure", "runs measure --db")
def test_stored_rankings_give_the_same_measures(evaluated, cli, home):
    more = ["ERR@3", "Bpref", "nDCG@7", "RBP(rel=1)"]
    assert evaluated(*asked(more))[0] == 0
    run, at_once = recorded(home)
    (home / "results.duckdb").unlink()
    assert evaluated()[0] == 0
    assert not {*more, "ndcg_at_7"} & recorded(home)[1].keys()
    for expected in ("ERR@3, Bpref, nDCG@7, RBP(rel=1)", "nothing, it has them"):
        code, out, err = cli(
            "runs", "measure", "--measure", "ERR@3", *asked(more), "--db", home / "results.duckdb"
        )
        assert code == 0 and expected in out, err
    again, later = recorded(home)
    assert later == at_once and again.scores == pytest.approx(run.scores, nan_ok=True)


@pytest.mark.effect("runs measure --model", "runs measure --task")
def test_only_the_runs_that_are_named_are_measured(evaluated, cli, graded, home):
    assert evaluated("--model", "bm25")[0] == 0
    for option, wrong in (("--model", "bn25"), ("--task", "scored")):
        code, _, err = cli("runs", "measure", "--measure", "Bpref", option, wrong)
        assert code == 2 and wrong in err
    store = Store(home / "results.duckdb")
    task = store.runs()["task"][0].as_py()
    code, out, _ = cli("runs", "measure", "--measure", "Bpref", "--model", "bm25", "--task", task)
    assert code == 0 and "bm25" in out and "tiny" not in out
    assert store.scores("Bpref")["model"].to_pylist() == ["bm25"]


def test_tables_take_them_in_every_spelling(evaluated, cli, home):
    assert evaluated("--model", "bm25", "--measure", "ERR@3")[0] == 0
    for spelling in ("ERR@3", "err@3", "err_at_3"):
        code, out, err = cli("leaderboard", "--metric", spelling)
        assert code == 0 and "Scores are ERR@3." in out, err
        code, out, _ = cli("compare", "tiny", "bm25", "--metric", spelling, "--json")
        assert code == 0 and json.loads(out)["pairs"][0]["metric"] == "ERR@3"
    for command in (["leaderboard"], ["compare", "tiny", "bm25"], ["grid", "--model", "tiny"]):
        code, _, err = cli(*command, "--metric", "nDGC@10")
        assert code == 2 and "'nDGC@10' is no metric" in err and "nDCG@10" in err, command
        code, _, err = cli(*command, "--metric", "nDCG@7")
        assert code == 2 and 'runs measure --measure "nDCG@7"' in err, command
    code, out, _ = cli("runs", "measure", "--measure", "nDCG@7")
    assert code == 0 and cli("leaderboard", "--metric", "nDCG@7")[0] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--measure", "nDGC@10"), "Did you mean nDCG@10"),
        (("--measure", "RBP(p=0.8)@10"), "without cutoff, with rel given"),
        (("--measure", "AP@20", "--top-k", "10"), "too few for MAP@20"),
        (("--measure", "Bpref", "--top-k", "10"), "the whole ranking"),
    ],
)
def test_what_cannot_be_computed_is_refused(evaluated, home, options, said):
    code, _, err = evaluated(*options)
    assert code == 2 and said in err and "Traceback" not in err
    assert not (home / "results.duckdb").exists()


def test_a_shallow_run_has_no_deep_measure_later_either(evaluated, cli, home):
    assert evaluated("--top-k", "10")[0] == 0
    for name, said in (("Bpref", "the whole ranking"), ("AP@20", "too few for MAP@20")):
        code, _, err = cli("runs", "measure", "--measure", name)
        assert code == 2 and said in err
    assert cli("runs", "measure", "--measure", "Judged@10")[0] == 0


def test_a_task_without_a_ranking_has_no_measures(cli, home, tiny_folder):
    code, _, err = cli(
        "eval",
        "--model",
        tiny_folder,
        "--task",
        "StdlibMiniPackageClassification",
        "--measure",
        "Bpref",
    )
    assert code == 2 and "--measure" in err
