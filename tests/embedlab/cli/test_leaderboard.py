import json

import numpy as np
import pytest

from embedlab import cli
from leaderboard.records import Model, PerQuery, Run, Task
from leaderboard.storage.rows import tables
from leaderboard.storage.store import Store


@pytest.fixture
def db(tmp_path):
    """A store with three models on one task, two of them alike."""
    rng = np.random.default_rng(0)
    base = rng.random(100) * 0.5
    runs = []
    for model, shift in (("org/good_one", 0.3), ("fair", 0.1), ("like", 0.1)):
        values = base + shift + rng.normal(0, 0.02, 100)
        values += base.mean() + shift - values.mean() - 0.0001 * len(runs)
        runs.append(
            Run(
                Model(model),
                Task("SciFact", "Retrieval"),
                float(values.mean()),
                {"ndcg_at_10": float(values.mean())},
                index="torch",
                costs={"encode_seconds": 2.5, "texts_per_second": 1234.0},
                per_query=PerQuery([f"q{i}" for i in range(100)], {"ndcg_at_10": values}),
            )
        )
    Store(tmp_path / "r.duckdb").add_tables(tables(runs))
    return tmp_path / "r.duckdb"


@pytest.fixture
def embedlab(monkeypatch, capsys):
    """Type a command: (exit code, standard output, standard error)."""

    def type_(*words):
        monkeypatch.setattr("sys.argv", ["embedlab", *map(str, words)])
        monkeypatch.delenv("EMBEDLAB_DEBUG", raising=False)
        monkeypatch.setattr(cli.app, "registered_commands", [])
        monkeypatch.setattr(cli.app, "registered_groups", [])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        written = capsys.readouterr()
        return ended.value.code or 0, written.out, written.err

    return type_


def test_the_table_has_scores_intervals_groups_and_costs(embedlab, db):
    code, out, _ = embedlab("leaderboard", "--db", db)
    assert code == 0
    best = next(line for line in out.splitlines() if "org/good_one" in line)
    score = json.loads(embedlab("leaderboard", "--db", db, "--json")[1])["rows"][0]["mean"]
    for cell in (f"{score:.4f}", " a ", "1,234", "2.5"):
        assert cell in best
    assert "cannot be told apart at 0.05" in out


def test_json_is_alone_on_standard_output(embedlab, db):
    _, out, _ = embedlab("leaderboard", "--db", db, "--json", "--pareto", "encode_seconds")
    answer = json.loads(out)
    assert [(row["model"], row["group"], row["pareto"]) for row in answer["rows"]] == [
        ("org/good_one", "a", True),
        ("fair", "b", False),
        ("like", "b", False),
    ]
    (pair,) = json.loads(embedlab("compare", "fair", "like", "--db", db, "--json")[1])["pairs"]
    assert pair["corrected_p"] > 0.05


def test_compare_as_text_markdown_and_latex(embedlab, db):
    words = ("compare", "org/good_one", "fair", "like", "--metric", "nDCG@10", "--db", db)
    text = embedlab(*words)[1]
    assert "nDCG@10" in text and "100/0/0" in text and "3 in all, p Holm-corrected" in text
    lines = embedlab(*words, "--format", "markdown")[1].splitlines()
    assert lines[1].startswith("| --- |")
    assert len({line.count("|") for line in lines[:5]}) == 1
    latex = embedlab(*words, "--test", "t", "--format", "latex")[1]
    assert r"org/good\_one" in latex and r"95\% interval" in latex and "$<$0.0001" in latex
    assert latex.count(r"\\") == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare", "fair", "lik"), "Did you mean like?"),
        (("compare", "fair", "like", "--format", "html"), "Choose one of: text, markdown, latex"),
        (("leaderboard", "--task", "SciFakt"), "They hold: SciFact"),
        (("leaderboard", "--pareto", "watts"), "Measured on all: encode_seconds"),
        (("leaderboard", "--task", "SciFact", "--benchmark", "stdlib"), "exclude each other"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(embedlab, db, words, said):
    code, out, err = embedlab(*words, "--db", db)
    assert (code, out) == (2, "")
    assert said in err and "Traceback" not in err


def test_an_empty_store_says_what_to_type(embedlab, tmp_path):
    for words in (("leaderboard",), ("compare", "a", "b")):
        code, _, err = embedlab(*words, "--db", tmp_path / "none.duckdb")
        assert code == 2
        assert "Type: embedlab eval" in err
