"""What each option of `embedlab rag` changes."""

import json

import pytest
from capitals_server import CAPITALS, write

from leaderboard.storage.store import Store


@pytest.fixture
def answered(cli, home, capitals):
    """Run `embedlab rag` with these options; gives what its --json says."""

    def call(*options):
        questions = (
            () if "--questions" in options else ("--questions", capitals / "questions.jsonl")
        )
        code, out, err = cli("rag", *questions, *options, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


@pytest.mark.effect("rag --retriever", "rag --questions", "rag --corpus", "rag --k", "rag --json")
def test_what_is_asked_of_what(answered, cli, index, capitals, tmp_path):
    write(
        tmp_path / "few.jsonl", [{"id": "a", "question": "capital of Peru", "relevant": ["Peru"]}]
    )
    answer = answered("--retriever", index, "--questions", tmp_path / "few.jsonl", "--k", 2)
    assert len(answer["questions"]) == 1 and len(answer["questions"][0]["documents"]) == 2
    runs = answered(
        "--retriever", index, "--questions", tmp_path / "few.jsonl", "--k", 2, "--k", "3,2"
    )["runs"]  # a list may be typed in parts
    assert [len(run["questions"][0]["documents"]) for run in runs] == [2, 3]
    (tmp_path / "small.jsonl").write_text(
        '{"_id": "Peru", "text": "Lima is the capital of Peru."}\n'
    )
    options = ("--retriever", "bm25", "--questions", tmp_path / "few.jsonl")
    assert answered(*options, "--corpus", tmp_path / "small.jsonl")["questions"][0][
        "documents"
    ] == ["Peru"]
    code, _, err = cli("rag", "--retriever", index, "--corpus", capitals, *options[2:])
    assert code == 2 and "Leave --corpus out" in err


@pytest.mark.effect(
    "rag --generator",
    "rag --generator-model",
    "rag --prompt",
    "rag --max-tokens",
    "rag --temperature",
    "rag --db",
)
def test_a_server_gets_what_was_asked_for(answered, home, index, server, tmp_path):
    server.models = ["reader", "writer"]
    (tmp_path / "prompt.txt").write_text("Say it: {context} {question}")
    answer = answered(
        "--retriever", index, "--generator", server.url, "--generator-model", "writer",
        "--max-tokens", 7, "--temperature", 0.5, "--prompt", tmp_path / "prompt.txt",
        "--db", tmp_path / "other.duckdb",
    )  # fmt: skip
    sent = server.requests[0]
    assert (sent["model"], sent["temperature"]) == ("writer", 0.5)
    assert 7 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert sent["messages"][0]["content"].startswith("Say it: ")
    writer = "writer(max_tokens=7, temperature=0.5)"
    assert answer["model"] == f"lucene | prompt=prompt + {writer}"
    assert len(answer["questions"]) == len(CAPITALS)
    assert (
        Store(tmp_path / "other.duckdb").runs().num_rows == 1
        and not (home / "results.duckdb").exists()
    )


@pytest.mark.effect("rag --dtype", "rag --device")
def test_dtype_and_device(answered, cli, home, capitals, tiny_folder):
    options = ("--retriever", tiny_folder, "--corpus", capitals)
    store, parts = Store(home / "results.duckdb"), []
    for dtype in ("float32", "bfloat16"):
        run = store.run(answered(*options, "--dtype", dtype, "--device", "cpu")["run_id"])
        parts.append(run.resolved["pipeline"])
    assert parts[0] != parts[1], "vectors in another dtype are another pipeline"
    command = ("rag", *options, "--questions", capitals / "questions.jsonl")
    code, _, err = cli(*command, "--device", "cuda:99")
    assert code == 2 and "cuda:99" in err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--temperature", 0), "are for a generator"),
        (("--max-tokens", 5), "are for a generator"),
        (("--generator-model", "m"), "are for a generator"),
        (("--generator", "somewhere", "--generator-model", "m"), "name at a server"),
        (("--pipeline", "bm25 | generate(a)", "--generator-model", "m"), "name at a server"),
    ],
)
def test_what_would_do_nothing_is_refused(cli, home, index, capitals, options, problem):
    code, _, err = cli(
        "rag", "--retriever", index, "--questions", capitals / "questions.jsonl", *options
    )
    assert code == 2 and problem in err
