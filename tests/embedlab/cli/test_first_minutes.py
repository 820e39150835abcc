"""What somebody meets who types embedlab for the first time."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from embedlab import __version__

ROOT = Path(__file__).parents[3]


@pytest.fixture
def offline(monkeypatch):
    """As on a machine without a network, at once."""
    import datasets.config
    import huggingface_hub.constants

    from embedlab import hub

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", "/nowhere")
    for cached in (hub.reachable, hub.settle):
        cached.cache_clear()
    yield
    for cached in (hub.reachable, hub.settle):
        cached.cache_clear()


@pytest.fixture
def sts(tmp_path):
    """A mirror with one task of MTEB, and nothing else."""
    rows = "".join(f"{n}\tw{n} w3\tw{n} w{n + 1}\n" for n in range(6))
    (tmp_path / "STS12.tsv").write_text("score\tsentence1\tsentence2\n" + rows)
    return tmp_path


@pytest.fixture(scope="module")
def corner(tmp_path_factory):
    """A BEIR folder of four documents and two queries."""
    folder = tmp_path_factory.mktemp("beir") / "corner"
    (folder / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", ["w1 w2", "w3 w4", "w5 w6", "w7"]), ("queries", ["w1", "w3"])):
        rows = [{"_id": f"{name[0]}{n}", "text": text} for n, text in enumerate(texts)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\tc0\t1\nq1\tc1\t1\n")
    return folder


@pytest.mark.effect("--version")
def test_the_version(cli):
    code, out, _ = cli("--version")
    assert (code, out) == (0, f"embedlab {__version__}\n")


def test_it_runs_as_a_module():
    answer = subprocess.run(
        [sys.executable, "-m", "embedlab", "-h"], capture_output=True, text=True, cwd=ROOT
    )
    assert answer.returncode == 0 and answer.stdout.startswith("Usage: embedlab [OPTIONS] COMMAND")


@pytest.mark.parametrize("command", [("eval",), ("runs", "list"), ("index",)])
def test_h_is_help(cli, command):
    assert cli(*command, "-h")[:2] == cli(*command, "--help")[:2] != (2, "")


@pytest.mark.parametrize(
    ("words", "problem", "next_step"),
    [
        (
            ("index", "--corpus", "c", "--out", "o"),
            "not given: --model.",
            "embedlab index --model bm25",
        ),
        (("index",), "not given: --model, --docs, --out.", "embedlab index --model bm25"),
        (("search",), "there is neither", 'embedlab search INDEX "a query"'),
        (("search", "my-index"), "there is only my-index", 'embedlab search INDEX "a query"'),
        (("search", str(ROOT)), f"there is only {ROOT}", 'embedlab search INDEX "a query"'),
        (("search", "my-index", "two", "words"), "not 3 words", "in quotes"),
        (
            ("eval", "-m", "rrf(bm25 a)", "-t", "stdlib-mini"),
            "needs two models or more",
            "rrf(bm25, a)",
        ),
    ],
)
def test_what_is_missing_is_named(cli, home, words, problem, next_step):
    code, out, err = cli(*words)
    assert (code, out) == (2, "") and problem in err and next_step in err


def test_make_and_the_command_use_one_store():
    """`make eval` and `make dashboard` leave the store to the program;
    tests have one of their own.
    """
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("EMBEDLAB_HOME", "MAKEFLAGS")
    }

    def home_in(target: str) -> str:
        shown = ["make", "--no-print-directory", "-o", ".venv/ready", target, "BIN=/bin/env #"]
        return subprocess.run(
            shown, cwd=ROOT, env=clean, capture_output=True, text=True, check=True
        ).stdout

    assert "EMBEDLAB_HOME=" not in home_in("eval") + home_in("dashboard")
    assert f"EMBEDLAB_HOME={ROOT}/.embedlab" in home_in("test")


@pytest.mark.parametrize(
    ("command", "said"),
    [("eval", "type the same command again"), ("index", "Nothing half done is left")],
)
def test_ctrl_c_is_answered_at_once(command, said):
    """Before the command has come to its end, which takes two seconds here."""
    code = (
        "import sys, time\nfrom embedlab import cli\n"
        "def slow():\n    try:\n        print('ready', flush=True); time.sleep(60)\n"
        "    finally:\n        print('unwinding', flush=True); time.sleep(2)\n"
        f"cli._register = lambda _: cli.app.command({command!r})(slow)\n"
        f"sys.argv = ['embedlab', {command!r}]\ncli.run()"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True, stdout=-1, stderr=-1
    )
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    assert program.stderr.readline() == "\n" and said in program.stderr.readline()
    assert program.poll() is None, "it was said before the end"
    _, err = program.communicate(timeout=30)
    assert program.returncode == 130 and err == ""


def test_a_benchmark_without_the_hub_says_once_what_is_left_out(
    cli, home, offline, sts, tiny_folder
):
    benchmark = ("--benchmark", "MTEB(eng, v2)")
    code, out, err = cli("eval", "-m", tiny_folder, *benchmark, "--data-dir", sts)
    assert code == 2 and "STS12" in out
    assert (
        err.count("40 of 41 tasks of MTEB(eng, v2) are left out")
        == err.count("cannot be reached")
        == 1
    )
    assert "1 of 2 evaluations failed; the others are recorded" in err and len(err.splitlines()) < 9
    code, out, err = cli("eval", "-m", tiny_folder, "-m", "bm25", *benchmark)
    assert (code, out) == (2, "") and len(err.splitlines()) == 2
    assert (
        "None of the 41 tasks of MTEB(eng, v2) is on this machine" in err and "stdlib-mini" in err
    )


def test_a_mirror_that_lacks_the_task_says_where_it_looked(cli, home, offline, sts, tiny_folder):
    code, _, err = cli("eval", "-m", tiny_folder, "-t", "SciFact", "--data-dir", sts)
    assert (
        code == 2
        and f"{sts} has no entry for SciFact: no folder or table there is named scifact" in err
    )
    assert "DIR/SciFact/ holding corpus.jsonl" in err


@pytest.mark.parametrize("tasks", [("SciFact",), ("SciFact", "NFCorpus")])
def test_a_failure_is_printed_once(cli, home, offline, tiny_folder, tasks):
    code, _, err = cli(
        "eval", "-m", tiny_folder, *(part for task in tasks for part in ("-t", task))
    )
    assert code == 2
    for name in ("scifact", "nfcorpus"):
        assert err.count(f"The data set mteb/{name}") == (name in map(str.lower, tasks))
    for task in tasks:
        assert err.count(f"DIR/{task}/ holding") == 1


def test_no_line_of_the_help_is_cut(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for words in ((), ("runs",), ("cache",)):
        _, out, _ = cli(*words, "--help")
        assert "..." not in out.partition("Commands:")[2], out


COMPLETED = {
    "eval --model causal2vec-mis": {"causal2vec-mistral-7b"},
    "eval --model mini": {"minis"},
    "eval --benchmark stdlib-": {"stdlib-mini", "stdlib-long"},
    "eval --task StdlibMiniC": {"StdlibMiniCodeSearch"},
    "leaderboard --task corner": "corner@",
    "compare {model}": {"{model}"},
    "runs list --model {model}": {"{model}"},
}


def test_names_are_completed(cli, home, corner, tiny_folder, monkeypatch):
    cli("eval", "-m", tiny_folder, "-t", corner)
    model = tiny_folder.name
    monkeypatch.setenv("_EMBEDLAB_COMPLETE", "complete_bash")
    for typed, names in COMPLETED.items():
        words = f"embedlab {typed}".format(model=model)
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        _, out, err = cli()
        found = out.split()
        if isinstance(names, set):
            assert set(found) == {name.format(model=model) for name in names}, (typed, err)
        else:
            assert found[0].startswith(names), (typed, err)


def test_a_table_in_a_pipe_has_every_name_whole(cli, home, corner, tiny_folder, tmp_path):
    long = tmp_path / ("a-model-with-a-name-of-many-words-" * 6 + "end")
    shutil.copytree(tiny_folder, long)
    cli("eval", "-m", long, "-t", corner)
    for words in (("leaderboard",), ("runs", "list")):
        _, out, _ = cli(*words)
        assert long.name in out, out


def test_runs_of_two_folders_of_one_name_can_be_told_apart(
    cli, home, corner, tiny_folder, tmp_path
):
    import torch
    from sentence_transformers import SentenceTransformer

    other = SentenceTransformer(str(tiny_folder), device="cpu")
    with torch.no_grad():
        other[0].model.embeddings.word_embeddings.weight.neg_()
    twin = tmp_path / "elsewhere" / tiny_folder.name
    other.save(str(twin))
    cli("eval", "-m", tiny_folder, "-t", corner)
    assert (
        "revision"
        not in cli("runs", "list")[1].splitlines()[1].split("model", 1)[1].split("task")[0]
    )
    cli("eval", "-m", twin, "-t", corner)
    _, out, _ = cli("runs", "list", "--json")
    revisions = {run["model_revision"] for run in json.loads(out)["runs"]}
    _, out, _ = cli("runs", "list")
    assert len(revisions) == 2 and all(revision in out for revision in revisions)
    _, out, _ = cli("eval", "-m", tiny_folder, "-m", twin, "-t", corner)
    table = out.partition("Recorded in")[0]
    assert all(revision in table for revision in revisions)
