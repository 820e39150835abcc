"""What a view costs is what it alone costs, over the tasks that others were measured on too."""

import json

import pytest

from embedlab.encoding.cost import LayerTimes
from leaderboard.records import Model, Run, Task
from leaderboard.storage.rows import tables
from leaderboard.storage.store import Store
from tests.embedlab.cli.test_eval import folder  # noqa: F401 (a fixture)


def test_a_layer_alone_needs_the_layers_below_it_and_its_own_pooling():
    times = LayerTimes()
    for _ in range(2):
        times.add(LayerTimes(backbone=6.0, heads=1.5, depth=6, layers=3))
    assert [times.share(layer) for layer in (2, 4, None)] == [2.5 / 7.5, 4.5 / 7.5, 6.5 / 7.5]
    assert times.share(6) == times.share(None)
    assert LayerTimes().share(None) == 1.0, "one layer alone is the whole pass"


@pytest.mark.parametrize("task", ["retrieval", "sts"])
def test_a_layer_of_a_pass_through_several_costs_less_than_the_whole(
    cli,
    home,
    folder,  # noqa: F811
    tiny_folder,
    tmp_path,
    task,
):
    where = ["--task", folder]
    if task == "sts":
        pairs = [f"{n % 5}.0\tw{n} w{n + 1}\tw{n + 2} w{n + 3}" for n in range(20)]
        (tmp_path / "mirror").mkdir()
        (tmp_path / "mirror" / "STSBenchmark.tsv").write_text(
            "\n".join(["score\tsentence1\tsentence2", *pairs]) + "\n"
        )
        where = ["--task", "STSBenchmark", "--data-dir", tmp_path / "mirror"]
    arguments = ["eval", "-m", tiny_folder, *where, "--dtype", "float32", "--force", "--json"]
    _, out, err = cli(*arguments, "--layers", "1,2,3")
    costs = {run["layer"]: run["costs"] for run in json.loads(out)["runs"]}
    assert sorted(costs) == [1, 2, 3], err
    seconds = [costs[layer]["encode_seconds"] for layer in (1, 2, 3)]
    assert 0 < seconds[0] < seconds[1] < seconds[2]
    # Pooling apart, a third and two thirds of the layers;
    # a pass this small pools nearly as long as it computes.
    assert seconds[0] >= seconds[2] / 3 and seconds[1] >= seconds[2] * 2 / 3 * 0.999
    assert all(
        of_layer["encode_derived_share"] == pytest.approx(1.0) for of_layer in costs.values()
    )
    assert costs[1]["texts_per_second"] > costs[3]["texts_per_second"]
    if task == "retrieval":
        assert costs[1]["encoded_now_seconds"] == pytest.approx(costs[1]["encode_seconds"])
    answer = json.loads(cli("leaderboard", "--views", "--json")[1])
    assert "The encode seconds and speeds of 3 views are derived" in " ".join(answer["notes"])
    again = json.loads(cli(*arguments, "--layers", "1")[1])["runs"][0]["costs"]
    assert again["encode_seconds"] == costs[1]["encode_seconds"] and again["encoded_now_texts"] == 0


def test_one_layer_alone_is_measured(cli, home, folder, tiny_folder):  # noqa: F811
    _, out, _ = cli(
        "eval", "-m", tiny_folder, "-t", folder, "--dtype", "float32", "--layers", "1", "--force",
        "--json",
    )  # fmt: skip
    (run,) = json.loads(out)["runs"]
    assert run["costs"]["encode_seconds"] > 0 and "encode_derived_share" not in run["costs"]
    assert json.loads(cli("leaderboard", "--json")[1])["notes"] == []


def test_a_model_timed_on_fewer_tasks_is_not_the_cheaper_one(cli, home):
    runs = []
    for model, seconds in (
        ("small", (10.0, 10.0, 10.0)),
        ("huge", (15.0, None, None)),
        ("base", (20.0, 20.0, 20.0)),
    ):
        score = {"small": 0.5, "huge": 0.6, "base": 0.55}[model]
        for task, spent in zip(("A", "B", "C"), seconds, strict=True):
            costs = {"evaluation_seconds": spent} if spent else {}
            runs.append(Run(Model(model), Task(task, "STS"), score, {}, costs=costs, source="mteb"))
    Store(home / "results.duckdb").add_tables(tables(runs))
    answer = json.loads(cli("leaderboard", "--pareto", "evaluation_seconds", "--json")[1])
    rows = {row["model"]: row for row in answer["rows"]}
    assert {model: row["costs"].get("evaluation_seconds") for model, row in rows.items()} == {
        "small": 30.0,
        "huge": None,
        "base": 60.0,
    }
    assert {model: row["pareto"] for model, row in rows.items()} == {
        "small": True,
        "huge": False,
        "base": True,
    }
    assert "1 view was not measured on all tasks" in " ".join(answer["notes"])
    answer = json.loads(
        cli("leaderboard", "-t", "A", "--pareto", "evaluation_seconds", "--json")[1]
    )
    assert {row["model"]: row["costs"]["evaluation_seconds"] for row in answer["rows"]} == {
        "small": 10.0,
        "huge": 15.0,
        "base": 20.0,
    }
    code, _, err = cli("leaderboard", "--pareto", "watts")
    assert (
        code == 2
        and "No model has 'watts' on all of these tasks" in err
        and "evaluation_seconds" in err
    )
