"""What is kept, what is compared, and what is counted, where that may be something else."""

import json
import threading
import time
from dataclasses import replace

import pytest
from capitals_server import CAPITALS, Server, write

from embedlab.errors import UserError
from embedlab.rag.pipeline_expressions import parse
from embedlab.servers.requests_in_flight import InFlight
from embedlab.spending import Purse
from leaderboard.storage.store import Store


def test_pairs_are_of_these_runs_alone(cli, home, index, capitals, server, tmp_path):
    """Whatever the store holds of the same names, and of pipelines that share a name."""
    asked = ("--questions", capitals / "questions.jsonl", "--json")
    rag = ("rag", "--retriever", index, "--generator", server.url, "--order", "best-first,reverse")
    assert cli(*rag, *asked)[0] == 0
    (pair,) = json.loads(cli(*rag, *asked, "--sample", 5)[1])["pairs"]
    assert pair["queries"] == 5
    pipeline = f"{index} | generate({server.url}#reader, max_tokens="
    same = ("rag", "--pipeline", f"{pipeline}3)", "--pipeline", f"{pipeline}7)")
    (pair,) = json.loads(cli(*same, *asked)[1])["pairs"]
    assert pair["queries"] == 12 and pair["p"] == 1
    names = ["lucene + reader(max_tokens=3)", "lucene + reader(max_tokens=7)"]
    assert [pair["first"], pair["second"]] == names
    code, _, err = cli("rag", "--pipeline", f"{index} | generate({server.url})",
        "--generator-model", "reader", *asked)  # fmt: skip
    assert code == 0, err
    mixed = ("rag", "--retriever", index, "--pipeline", f"{pipeline}3)")
    code, out, err = cli(*mixed, *asked)
    assert code == 0, err
    assert len(json.loads(out)["runs"]) == 2 and json.loads(out)["pairs"] == []


def test_one_model_at_two_servers_is_told_apart(cli, home, index, capitals, server):
    other = Server()
    threading.Thread(target=other.serve_forever, daemon=True).start()
    urls = (server.url, other.url)
    try:
        rag = ("rag", "--retriever", index, "--questions", capitals / "questions.jsonl")
        asked = (*rag, "--sample", 3, *(word for url in urls for word in ("--generator", url)))
        code, out, err = cli(*asked, "--temperature", 0.5, "--json")
    finally:
        other.shutdown()
        other.server_close()
    assert code == 0, err
    found = json.loads(out)
    assert {each["model"] for each in found["runs"]} == {"lucene + reader(temperature=0.5)"}
    (pair,) = found["pairs"]
    assert pair["first"] != pair["second"] and "@revision=" in pair["first"]
    rows = json.loads(cli("leaderboard", "--task", "questions", "--views", "--json")[1])["rows"]
    labels = [row["label"] for row in rows]
    assert [sum(f"server={url}" in label for label in labels) for url in urls] == [1, 1], labels


@pytest.fixture(scope="module")
def crowded(language_model, index, capitals):
    """A command whose prompts hold more contexts than the model reads."""
    return (
        "rag", "--retriever", index, "--questions", capitals / "questions.jsonl", "--sample", 2,
        "--generator", language_model, "--max-tokens", 2, "-k", 12, "--dtype", "float32",
        "--order", "reverse", "--json",
    )  # fmt: skip


def test_the_best_contexts_stay_in_a_prompt_that_is_too_long(cli, home, crowded, tmp_path):
    code, out, err = cli(*crowded)
    assert code == 0, err
    found = json.loads(out)
    read = int(found["costs"]["contexts_read_per_question"])
    store = Store(home / "results.duckdb")
    run = store.run(found["run_id"])
    answers = store.answers(run.resolved["pipeline"])
    assert 0 < read < 12 and len(answers) == 2
    for answer in answers.values():
        used = int(answer.costs["contexts_read"])
        assert answer.steps["read"] == answer.documents[:used][::-1]
    first = run.resolved["first_inputs"][0]
    best = found["questions"][0]["documents"][0]
    assert f"capital of {best}." in first.partition("Question:")[0]
    # What an earlier version kept lacks the best, and is asked again.
    other = Store(tmp_path / "old.duckdb")
    old = [replace(each, steps={}, answer="stale") for each in answers.values()]
    other.add_answers(old)
    code, out, err = cli(*crowded, "--db", other.path)
    assert code == 0, err
    assert "stale" not in [each["answer"] for each in json.loads(out)["questions"]]
    assert "stale" not in [each.answer for each in other.answers(old[0].pipeline).values()]


def test_what_is_on_its_way_comes_before_the_error():
    """It is paid for."""
    flight, refused, sent = InFlight(2, Purse(), None), threading.Event(), []

    def send(job):
        sent.append(job)
        if job == 0:
            refused.set()
            raise UserError("refused", "")
        refused.wait(10)
        time.sleep(0.2)
        return job

    came = []
    with pytest.raises(UserError, match="refused"):
        for answer in flight.all(range(9), send):
            came.append(answer)
    assert came == [1] and sorted(sent) == [0, 1]


def test_a_kept_answer_is_not_taken_where_its_noise_helps(cli, index, server, tmp_path):
    """The same question with other labels, by two of one text."""
    text = "What is the capital of Peru?"
    rag = ("rag", "--retriever", index, "--generator", server.url, "-k", 1, "--noise", "random:2")

    def read_beside(*lands):
        rows = [
            {"id": land, "question": text, "answers": [CAPITALS[land]], "relevant": [land]}
            for land in lands
        ]
        code, _, err = cli(*rag, "--questions", write(tmp_path / "q.jsonl", rows))
        assert code == 0, err
        prompt = server.requests[-1]["messages"][0]["content"]
        return [land for land in CAPITALS if f"capital of {land}." in prompt and land != "Peru"]

    noise = read_beside("Peru")
    assert len(noise) == 2 and read_beside("Peru") == noise and len(server.requests) == 1
    others = read_beside("Peru", noise[1])
    assert len(others) == 2 and noise[1] not in others and len(server.requests) == 2


def test_contexts_are_counted_in_tokens(cli, home, index, capitals, tiny_folder):
    code, out, err = cli(
        "rag", "--pipeline", f"{index} | extract({tiny_folder}, n=1)", "--questions",
        capitals / "questions.jsonl", "--json",
    )  # fmt: skip
    assert code == 0, err
    costs = json.loads(out)["costs"]
    assert costs["context_tokens_before_per_question"] < 70, (
        "five sentences of 7 words, not letters"
    )


@pytest.mark.parametrize(
    "text",
    [
        "bm25 | generate(a, max_tokens=0)",
        "bm25 | generate(a, temperature=-1)",
        "bm25 | generate(a, temperature=nan)",
        "bm25 | generate(a, temperature=inf)",
    ],
)
def test_settings_are_as_their_options(text):
    with pytest.raises(UserError, match=r"has (max_tokens|temperature)=") as error:
        parse(text)
    assert "Give a number from" in error.value.hint
