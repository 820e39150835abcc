"""`embedlab plot`: the file is made, and what it shows is what the store holds."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from leaderboard.charts.label_places import places
from leaderboard.records import Model, PerQuery, Run, Task
from leaderboard.storage.rows import tables
from leaderboard.storage.store import Store

TASKS = {"SciFact": "Retrieval", "NFCorpus": "Retrieval", "STS12": "STS", "STS17": "STS"}
FACTS = {"a": (1e6, "2021-01-01"), "b": (1e8, "2022-01-01"), "c": (2e9, "2023-06-01")}
MODELS = ["model-a", "model-b", "model-c"]
CPU, GPU = {"cpu": "AMD EPYC", "cores": 2}, {"cpu": "Xeon", "cores": 64}


@pytest.fixture
def db(home):
    """Three models on four tasks of two types, with queries; a fourth on one task alone."""
    home.mkdir(exist_ok=True)
    runs = []
    for number, (name, (size, date)) in enumerate(FACTS.items()):
        model = Model(f"org/model-{name}", "1", details={"parameters": size, "release_date": date})
        for at, (task, kind) in enumerate(TASKS.items()):
            rng = np.random.default_rng(10 * number + at)
            values = {"ndcg_at_10": rng.random(50) * 0.2 + 0.3 + number / 10}
            values["recall_at_10"] = values["ndcg_at_10"] / 2
            scores = {metric: float(each.mean()) for metric, each in values.items()}
            per_query = PerQuery([f"q{n}" for n in range(50)], values)
            subset, languages = ("en-de", ["eng-Latn", "deu-Latn"]) if task == "STS17" else (
                "default", ["eng-Latn"])  # fmt: skip
            of_task = Task(task, kind, subset=subset, details={"languages": languages})
            costs = {"latency_p50_ms": 2.0 + number, "index_bytes": 100.0, "x_ms": 1.0 + number}
            runs.append(
                Run(model, of_task, scores["ndcg_at_10"], scores, costs=costs, index="torch",
                    environment=GPU if name == "c" else CPU, per_query=per_query)
            )  # fmt: skip
    runs.append(Run(Model("org/partial"), Task("STS12", "STS"), 0.1, {}, index="torch"))
    Store(home / "results.duckdb").add_tables(tables(runs))
    return home / "results.duckdb"


@pytest.fixture
def plot(ok, tmp_path, db):
    """Draw, and read the texts and the marks of the SVG."""

    def draw(kind, *options):
        file = tmp_path / "figure.svg"
        assert f"Wrote {file}" in ok("plot", kind, "--out", file, *options)
        tree = ElementTree.fromstring(file.read_text(encoding="utf-8"))
        texts = [node.text or "" for node in tree.iter("{http://www.w3.org/2000/svg}text")]
        return texts, file.read_text(encoding="utf-8")

    return draw


@pytest.mark.effect("plot --out", "plot --look", "plot --hardware", "plot --cost")
def test_score_against_cost(plot, refused, ok, tmp_path):
    texts, svg = plot("size")
    assert set(MODELS) <= set(texts) and "1B" in texts and "mean over 4 tasks" in texts
    assert len(re.findall(r"aria-roledescription=\"point\"", svg)) == 3, "all are on the front"
    assert 'fill="#ffffff"' in svg and 'fill="#0e1117"' in plot("size", "--look", "dark")[1]
    texts, _ = plot("latency", "--hardware", "EPYC")
    assert "model-a" in texts and "model-c" not in texts, "model-c ran on another machine"
    assert "x ms (lower is better)" in plot("cost", "--cost", "x_ms")[0]
    for form, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        ok("plot", "bytes", "--out", tmp_path / f"f.{form}")
        assert (tmp_path / f"f.{form}").read_bytes().startswith(magic)
    assert "Fewer than two ranked models have price_now_usd" in refused("plot", "price")
    assert "is no file of a known form" in refused("plot", "size", "--out", "f.gif")
    assert "There is no folder" in refused("plot", "size", "--out", tmp_path / "no" / "f.svg")
    assert "Did you mean size" in refused("plot", "sizes")
    assert "Unknown look" in refused("plot", "size", "--look", "pink")
    assert "--cost names what" in refused("plot", "size", "--cost", "x_ms")


@pytest.mark.effect("plot --incomplete", "plot --task", "plot --metric")
def test_over_time_and_of_which_tasks(plot, refused):
    texts, svg = plot("time")
    assert set(MODELS) <= set(texts) and "2022-01" in texts
    points = [float(y) for y in re.findall(r"score: ([\d.]+)", svg)]
    halved = [float(y) for y in re.findall(r"score: ([\d.]+)", plot("time", "--metric", "R@10")[1])]
    assert points and halved == pytest.approx([y / 2 for y in points], abs=1e-3)
    assert "SciFact" in plot("time", "--task", "SciFact")[0]
    assert "each has" in " ".join(plot("time", "--incomplete")[0])


@pytest.mark.effect("plot --benchmark", "plot --model", "plot --db", "plot --split")
def test_lines_per_type_say_how_much_of_a_benchmark_they_are_of(plot, db, refused):
    texts, _ = plot("types", "--benchmark", "MTEB(eng, v1)", "--model", "org/model-a", "--db", db)
    assert "MTEB(eng, v1), 3 of 56 tasks" in texts, "STS17 has another subset there"
    assert {"Retrieval", "STS", "org/model-a"} <= set(texts) and "org/model-b" not in texts
    assert "The tasks are of one type" in refused("plot", "types", "-t", "STS12")
    assert "no run on the split 'dev'" in refused("plot", "types", "--split", "dev")
    assert "exclude each other" in refused("plot", "size", "-b", "stdlib", "--split", "dev")


@pytest.mark.effect("plot --top")
def test_differences_and_ranks(plot, refused):
    texts, svg = plot("forest", "-m", "org/model-c", "-m", "org/model-a")
    assert "org/model-c less org/model-a" in texts
    assert {"mean over 4 tasks", *TASKS} - {"STS17"} <= set(texts)
    assert svg.count('aria-roledescription="rule mark"') >= 5
    texts, _ = plot("forest", "--top", "3")
    assert {"model-a", "model-b"} <= set(texts), "the best less each of the others"
    texts, svg = plot("ranks")
    assert texts.count("org/model-c") == 1 and "rank, with 95% interval" in texts
    assert "org/model-a" not in plot("ranks", "--top", "2")[0]
    assert "There are no rank intervals" in refused("plot", "ranks", "-t", "STS12", "--incomplete")


def test_tasks_that_rank_alike_and_languages(plot, refused, db):
    assert "No two tasks have 5 models" in refused("plot", "correlation")
    for name in "def":
        for at, (task, kind) in enumerate(TASKS.items()):
            score = ord(name) / 1000 + at / 10
            subset = "en-de" if task == "STS17" else "default"
            run = Run(Model(name), Task(task, kind, subset=subset), score, {}, index="torch")
            Store(db).add(run)
    texts, _ = plot("correlation")
    assert {*TASKS, "1.00"} <= set(texts)
    texts, _ = plot("languages", "-m", "org/model-a", "-m", "org/model-b")
    assert {"eng", "deu", "model-a", "model-b"} <= set(texts)
    shown = {float(text) for text in texts if re.fullmatch(r"0\.\d\d", text)}
    rows = Store(db).query(
        "SELECT model, task, main_score AS s FROM runs WHERE model LIKE 'org/model-_'"
    )
    scores = rows.to_pandas().pivot(index="task", columns="model", values="s")[
        [f"org/model-{x}" for x in "ab"]
    ]
    english, german = scores.mean(), scores.loc["STS17"]
    assert shown == {round(value, 2) for value in (*english, *german)}


def test_no_name_stands_over_a_point_or_another_name():
    points = [(100.0, 100.0), (104.0, 100.0), (100.0, 104.0), (104.0, 104.0), (395.0, 5.0)]
    names = ["first-model", "second-model", "third-model", "fourth-model", "at-the-edge"]
    found = places(names, points, (400, 300), 10)
    assert found[0].point == 0 and {place.point for place in found} >= {0, 4}
    boxes = []
    for place in found:
        wide = 5.6 * len(names[place.point])
        left = place.x - {"left": 0, "right": wide, "center": wide / 2}[place.align]
        assert left >= 0 and left + wide <= 400 and place.y >= 6
        boxes.append((left, left + wide, place.y - 6, place.y + 6))
    for one in boxes:
        assert not any(one[0] < x < one[1] and one[2] < y < one[3] for x, y in points)
        apart = (o for o in boxes if o is not one)
        assert all(
            one[1] <= o[0] or o[1] <= one[0] or one[3] <= o[2] or o[3] <= one[2] for o in apart
        )
    line = [(100.0, 50.0), (300.0, 50.0)]
    (place,) = places(["name"], [(100.0, 50.0)], (400, 300), 10, line)
    assert place.align == "right", "over the line it would be struck through"
