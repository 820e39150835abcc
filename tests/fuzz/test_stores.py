"""Results stores with a bit flipped, cut short, or replaced;
and the vector store's and the dashboard's own files.
"""

import json
import shutil

import pytest
from children import apart, told
from command_line import Outcome, call, check, run
from hostile import damages, examples, with_another_value
from hypothesis import given
from hypothesis import strategies as st
from test_folders import files, write

COMMANDS = (
    ("runs", "list", "--json"),
    ("leaderboard", "--json"),
    ("compare", "bm25", "other", "--json"),
    ("export", "OUT", "--format", "trec", "--json"),
    ("export", "OUT", "--format", "parquet", "--json"),
    ("merge", "DB", "--db", "NEW", "--json"),
    ("runs", "prune"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with the rankings of two TREC runs, and of one model over a folder."""
    place = tmp_path_factory.mktemp("store")
    for model, best in (("bm25", 0), ("other", 1)):
        (place / "run").write_text(
            "".join(
                f"q{n} Q0 d{n + m - 1 + best} {m} {9 - m} t\n" for n in range(9) for m in (1, 2)
            )
        )
        (place / "qrels").write_text("".join(f"q{n} 0 d{n} 1\n" for n in range(9)))
        typed = (
            "--qrels", place / "qrels", "--task", "T", "--model", model,
            "--db", place / "kept/results.duckdb",
        )  # fmt: skip
        assert run("import", place / "run", *typed).code == 0
    return place


@examples(8)
@given(data=st.data())
def test_a_damaged_store_is_refused_or_says_the_same(store, data):
    command = data.draw(st.sampled_from(COMMANDS))
    harmed = store / "harmed"
    for target in (harmed, store / "whole"):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(store / "kept", target)
    file = data.draw(
        st.sampled_from(
            sorted(file for file in harmed.rglob("*") if file.suffix in (".duckdb", ".parquet"))
        )
    )
    file.write_bytes(data.draw(damages).to(file.read_bytes()))
    clean, found = (Outcome(*apart(told, folder, command)) for folder in (store / "whole", harmed))
    check(command, found)
    assert clean.code == 0 and (found.code == 2 or found.out == clean.out)


@pytest.fixture(scope="module")
def evaluated(tiny_folder, tmp_path_factory):
    """A home with the vectors of one evaluation, the command line, and its scores."""
    place = tmp_path_factory.mktemp("evaluated")
    folder = write(place / "corner", files())
    typed = (
        "eval", "--model", tiny_folder, "--task", folder, "--index", "torch", "--device", "cpu",
        "--json",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDLAB_HOME", str(place / "home"))
        clean = run(*typed)
    return place / "home", typed, clean.json["runs"][0]


@examples(8)
@given(data=st.data())
def test_a_damaged_cache_changes_nothing(evaluated, tmp_path_factory, data):
    kept, typed, clean = evaluated
    home = tmp_path_factory.mktemp("home") / "home"
    shutil.copytree(kept, home)
    cached = sorted(
        file for file in home.rglob("*") if file.suffix in (".json", ".npy") and file.is_file()
    )
    file = data.draw(st.sampled_from(cached))
    content = file.read_bytes()
    if file.suffix == ".json" and data.draw(st.booleans()):
        file.write_text(
            data.draw(with_another_value(json.loads(content))),
            encoding="utf-8",
            errors="surrogatepass",
        )
    else:
        file.write_bytes(data.draw(damages).to(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDLAB_HOME", str(home))
        for command in (("ls",), ("ls", "--json"), ("du",)):
            check(command, call("cache", *command))
        verified = call("cache", "verify", "--json")  # 1 says that it found damage
        assert verified.code in (0, 1) and "problems" in verified.json
        found = run(*typed)
        assert found.code == 0 and found.json["runs"][0]["scores"] == clean["scores"]
        assert call("cache", "verify").code == 0
        run("cache", "prune")
