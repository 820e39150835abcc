"""`embedlab export`: what goes out comes back, and scores the same elsewhere."""

import json

import pytest

from leaderboard.records import Model, Run, Task
from leaderboard.storage.rows import tables
from leaderboard.storage.store import Store
from leaderboard.tables.aggregates import aggregates
from tests.embedlab.cli.test_eval import folder  # noqa: F401 (a fixture)

AGGREGATE = "CQADupstackRetrieval"


@pytest.mark.parametrize("model", ["tiny", "bm25"])
def test_a_ranking_leaves_the_store_and_comes_back_with_its_scores(
    cli,
    home,
    folder,  # noqa: F811
    tiny_folder,
    tmp_path,
    model,
):
    model = tiny_folder if model == "tiny" else model
    _, out, _ = cli("eval", "-m", model, "-t", folder, "--json")
    (run,) = json.loads(out)["runs"]
    code, out, err = cli("export", tmp_path / "out", "--format", "trec", "--json")
    assert code == 0, err
    run_file, qrels_file = json.loads(out)["files"]
    code, _, err = cli(
        "import", run_file, "--qrels", qrels_file, "--task", "back", "--model", "again"
    )
    assert code == 0, err
    store = Store(home / "results.duckdb")
    (again,) = store.runs(model="again").to_pylist()
    again = store.run(again["id"])
    shared = again.scores.keys() & run["scores"].keys()
    assert len(shared) > 30
    assert {name: again.scores[name] for name in shared} == {
        name: run["scores"][name] for name in shared
    }


def members(model: str, score: float, **fields) -> list[Run]:
    details = {"languages": ["eng-Latn"]}
    return [
        Run(
            Model(model, "r1"),
            Task(name, "Retrieval", revision="1", details=details),
            score + n / 100,
            {},
            **fields,
        )
        for n, name in enumerate(aggregates()[AGGREGATE].members)
    ]


def test_an_aggregate_goes_out_whole_and_comes_back_once(cli, home, tmp_path):
    from mteb.results import TaskResult

    store = Store(home / "results.duckdb")
    store.add_tables(tables([*members("lab/one", 0.5), *members("lab/part", 0.5)[:5]]))
    code, out, err = cli(
        "export", tmp_path / "out", "--format", "mteb", "--task", AGGREGATE, "--json"
    )
    assert code == 0, err
    written = [path for path in json.loads(out)["files"] if path.endswith(f"{AGGREGATE}.json")]
    assert len(written) == 1 and "lab__one" in written[0]
    assert TaskResult.from_disk(
        tmp_path / "out/results/lab__one/r1" / f"{AGGREGATE}.json"
    ).get_score() == pytest.approx(0.555)
    other = tmp_path / "other.duckdb"
    assert cli("import", tmp_path / "out", "--db", other)[0] == 0
    for db in (home / "results.duckdb", other):
        answer = json.loads(cli("leaderboard", "--db", db, "--json")[1])
        assert answer["tasks"] == [AGGREGATE]
        assert [(row["model"], row["mean"]) for row in answer["rows"]] == [
            ("lab/one", pytest.approx(0.555)),
            ("lab/part", None),
        ]
    answer = json.loads(cli("leaderboard", "-t", "CQADupstackGamingRetrieval", "--json")[1])
    assert [row["mean"] for row in answer["rows"]] == [
        0.52,
        0.52,
    ], "a member asked for by name is itself"


def test_a_published_aggregate_compares_with_members(cli, home):
    published = Run(
        Model("pub/two", "r2"), Task(AGGREGATE, "Retrieval", revision="1"), 0.6, {}, source="mteb"
    )
    Store(home / "results.duckdb").add_tables(tables([*members("lab/one", 0.5), published]))
    answer = json.loads(cli("leaderboard", "--json")[1])
    assert [(row["model"], row["mean"]) for row in answer["rows"]] == [
        ("pub/two", 0.6),
        ("lab/one", pytest.approx(0.555)),
    ]
    code, out, err = cli("compare", "pub/two", "lab/one", "--json")
    assert code == 0, err
    (pair,) = json.loads(out)["pairs"]
    assert (pair["task"], pair["difference"], pair["p"]) == (AGGREGATE, pytest.approx(0.045), None)


def test_one_file_holds_one_revision_and_one_way_of_computing(cli, home, tmp_path):
    store = Store(home / "results.duckdb")

    def add(score: float, revision: str = "1", subset: str = "default", **fields) -> None:
        task = Task("SciFact", "Retrieval", subset=subset, revision=revision)
        store.add(Run(Model("m", "r"), task, score, {"ndcg_at_10": score}, **fields))

    add(0.1, revision="old", subset="a")
    add(0.2, settings={"dtype": "float32"})
    add(0.3, depth=20, settings={"dtype": "float32"})
    add(0.4, settings={"dtype": "bfloat16"})
    assert cli("export", tmp_path / "out", "--format", "mteb")[0] == 0
    place = tmp_path / "out" / "results" / "m" / "r"
    plain = json.loads((place / "SciFact.json").read_text())
    assert plain["dataset_revision"] == "1"
    assert [entry["main_score"] for entry in plain["scores"]["test"]] == [0.2]
    half = json.loads((place / "experiments" / "dtype_bfloat16" / "SciFact.json").read_text())
    assert [entry["main_score"] for entry in half["scores"]["test"]] == [0.4]
    code, _, err = cli("export", tmp_path / "none", "--format", "mteb", "--task", AGGREGATE)
    assert code == 2 and "no such run" in err and not (tmp_path / "none").exists()
