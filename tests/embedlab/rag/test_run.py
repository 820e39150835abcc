"""`embedlab rag` as a user meets it: scores, what is stored,
going on after a stop, one clear error for each fault.
"""

import json

import pytest
from capitals_server import CAPITALS, write

from leaderboard.storage.store import Store
from tests import ready


def rag(index, capitals, *options):
    return ("rag", "--retriever", index, "--questions", capitals / "questions.jsonl", *options)


def test_a_server_answers_from_an_index(cli, home, index, capitals, server):
    code, out, err = cli(*rag(index, capitals, "--generator", server.url, "--k", 3, "--json"))
    assert code == 0, err
    answer = json.loads(out)
    assert (answer["model"], answer["task"], answer["main_metric"]) == (
        "lucene k=3 + reader",
        "questions",
        "f1",
    )
    assert answer["scores"] == pytest.approx(
        {
            "exact_match": 1,
            "f1": 1,
            "token_recall": 1,
            "answer_recall": 1,
            "context_precision": 1 / 3,
            "context_recall": 1,
            "ndcg_at_3": 1,
            "recall_at_3": 1,
            "judged_at_3": 1 / 3,
        },
        abs=0.01,
    )
    assert [question["answer"] for question in answer["questions"]] == [
        f"{city}." for city in CAPITALS.values()
    ]
    assert all(
        question["documents"][0] == land
        for question, land in zip(answer["questions"], CAPITALS, strict=True)
    )
    assert (
        answer["costs"]["prompt_tokens_per_question"] == 30
        and answer["costs"]["answer_tokens_per_question"] == 3
    )
    assert {
        "latency_p50_ms",
        "latency_p95_ms",
        "generate_p50_ms",
        "answer_tokens_per_second",
    } <= answer["costs"].keys()

    store = Store(home / "results.duckdb")
    run = store.run(answer["run_id"])
    assert run.model.kind == "rag" and run.resolved["retriever"]["k"] == 3
    assert (
        run.resolved["generator"]["temperature"] == 0
        and "{context}" in run.resolved["prompts"]["template"]
    )
    assert run.per_query.metrics["exact_match"].tolist() == [1.0] * 12
    assert store.ranking(run.id).rows.shape == (12, 3)
    assert store.texts(run.task).qrels["q0"] == {"France": 1}
    assert store.texts(run.task).answers["q0"] == ["Paris"]
    kept = store.answers(run.resolved["pipeline"])
    assert kept["What is the capital of Peru?"].answer == "Lima."

    code, out, err = cli(*rag(index, capitals, "--generator", server.url, "--k", 3))
    assert code == 0 and "12 of 12 questions were answered before" in err
    assert len(server.requests) == 12
    assert "lucene k=3 + reader" in out and "1.0000" in out and "retrieve ms p50" in out
    code, _, _ = cli(*rag(index, capitals, "--generator", server.url, "--k", 2, "--json"))
    assert code == 0 and len(server.requests) == 24, "another k is another pipeline"


def test_contexts_alone(cli, home, index, capitals):
    code, out, err = cli(*rag(index, capitals, "--json"))
    assert code == 0, err
    answer = json.loads(out)
    assert (answer["model"], answer["task"], answer["main_metric"]) == (
        "lucene",
        "questions (contexts)",
        "context_recall",
    )
    assert answer["scores"].keys() == {
        "answer_recall", "context_precision", "context_recall", "ndcg_at_5", "recall_at_5",
        "judged_at_5",
    }  # fmt: skip
    assert len(answer["questions"][0]["documents"]) == 5
    assert "generate_p50_ms" not in answer["costs"]


def test_a_local_generator_over_a_composition(
    cli, home, capitals, tiny_folder, language_model, index
):
    expression = f"rrf(bm25, {tiny_folder})"
    options = (
        "--corpus", capitals, "--generator", language_model, "--max-tokens", 5, "--k", 12,
        "--dtype", "float32",
    )  # fmt: skip
    code, out, err = cli(*rag(expression, capitals, *options, "--json"))
    assert code == 0, err
    first = json.loads(out)
    assert first["model"] == "rrf(bm25, tiny) k=12 + talker(max_tokens=5)"
    assert first["scores"]["answer_recall"] == 1
    assert first["costs"]["answer_tokens_per_question"] <= 5
    assert first["costs"]["contexts_read_per_question"] < 12, (
        "all of them are more than the model reads"
    )
    assert first["costs"]["prompt_tokens_per_question"] <= 187
    assert "is kept in" in err
    code, out, err = cli(*rag(expression, capitals, *options, "--json"))
    assert "is kept in" not in err and "12 of 12" in err
    assert [q["answer"] for q in json.loads(out)["questions"]] == [
        q["answer"] for q in first["questions"]
    ]


def test_two_pipelines_are_compared(cli, home, index, capitals, server, language_model):
    for generator in (server.url, language_model):
        code, _, err = cli(
            *rag(index, capitals, "--generator", generator, "--max-tokens", 4, "--dtype", "float32")
        )
        assert code == 0, err
    code, out, err = cli(
        "compare", *(f"lucene + {name}(max_tokens=4)" for name in ("reader", "talker")),
        "--task", "questions", "--json",
    )  # fmt: skip
    assert code == 0, err
    (pair,) = json.loads(out)["pairs"]
    assert (
        pair["metric"] == "f1"
        and pair["queries"] == 12
        and pair["difference"] > 0.9
        and pair["p"] < 0.001
    )
    code, out, err = cli("leaderboard", "--task", "questions", "--json")
    assert code == 0 and [row["model"] for row in json.loads(out)["rows"]] == [
        "lucene + reader(max_tokens=4)",
        "lucene + talker(max_tokens=4)",
    ]


def test_questions_may_lack_answers_or_documents(cli, home, index, server, tmp_path):
    asked = [
        {"id": "a", "question": "capital of Peru", "answers": ["Lima"]},
        {"id": "b", "question": "capital of Cuba", "relevant": ["Cuba"]},
        {"id": "c", "question": "capital of Chad"},
    ]
    write(tmp_path / "questions.jsonl", asked)
    code, out, err = cli(*rag(index, tmp_path, "--generator", server.url, "--json"))
    assert code == 0, err
    answer = json.loads(out)
    assert answer["scores"]["f1"] == 1 and answer["scores"]["context_recall"] == 1
    by_id = {question["id"]: question["scores"].keys() for question in answer["questions"]}
    assert by_id == {
        "a": {"exact_match", "f1", "token_recall", "answer_recall"},
        "b": {"context_precision", "context_recall", "ndcg_at_5", "recall_at_5", "judged_at_5"},
        "c": set(),
    }
    run = Store(home / "results.duckdb").run(answer["run_id"])
    assert run.per_query.query_ids == ["a", "b"] and run.per_query.metrics["f1"][0] == 1


def test_questions_without_anything_known_are_answered(cli, home, index, server, tmp_path):
    write(tmp_path / "questions.jsonl", [{"id": "a", "question": "capital of Peru"}])
    code, out, err = cli(*rag(index, tmp_path, "--generator", server.url))
    assert code == 0 and "Nothing was scored" in out, err
    code, out, _ = cli(*rag(index, tmp_path, "--generator", server.url, "--json"))
    answer = json.loads(out)
    assert code == 0 and answer["scores"] == {} and answer["questions"][0]["answer"] == "Lima."
    code, out, _ = cli("runs", "list", "--json")
    assert code == 0 and len(json.loads(out)["runs"]) == 2


def test_a_stop_costs_the_question_at_hand_at_most(cli, home, index, capitals, server):
    server.fail_from = 5
    command = rag(index, capitals, "--generator", server.url, "--in-flight", 1)
    code, _, err = cli(*command)
    assert code == 2 and "the context is too long" in err and "what was answered is kept" in err
    assert not Store(home / "results.duckdb").runs().num_rows
    server.fail_from, server.hang_from = None, 8  # five were answered and one was refused
    victim = ready.Process("-m", "embedlab", *command)
    assert server.hanging.wait(120)
    victim.kill()
    victim.wait()
    server.hang_from = None
    code, out, err = cli(*command, "--json")
    assert code == 0 and "7 of 12 questions were answered before" in err
    assert len(server.requests) == 5 + 1 + 3 + 5
    assert json.loads(out)["scores"]["exact_match"] == pytest.approx(1)
    run_id = json.loads(out)["run_id"]
    assert cli("runs", "rm", run_id)[0] == 0
    cli(*command)
    assert len(server.requests) == 14 + 12, "a run that was removed is made anew"


@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        (
            ["--generator", "http://127.0.0.1:9/v1", "--generator-model", "m"],
            "No answer from http://127.0.0.1:9",
            "running",
        ),
        (
            ["--generator", "http://127.0.0.1:9/v1"],
            "No answer from http://127.0.0.1:9/v1",
            "running",
        ),
        (["--generator", "bm25"], "bm25 cannot generate text", "causal language model"),
        (["--k", 13], "--k is 13, and the index holds 12 documents", "--k 12"),
        (["--retriever", "nowhere"], "no index at nowhere", "--corpus"),
        (["--questions", "nowhere.jsonl"], "no file nowhere.jsonl", '{"id"'),
        (["--questions", "{corpus}"], 'corpus.jsonl:1 has no "id"', '{"id"'),
        (
            ["--prompt", "{corpus}", "--generator", "http://127.0.0.1:9/v1"],
            "has no {context}",
            "{question}",
        ),
        (["--prompt", "{corpus}"], "are for a generator", "--generator"),
        (["--temperature", 0], "are for a generator", "--generator"),
        (
            ["--corpus", "{corpus}", "--retriever", "rrf(bm25, bm52)"],
            "Unknown model 'bm52'",
            "bm25",
        ),
    ],
)
def test_one_clear_error(cli, home, index, capitals, options, problem, hint):
    given = [str(option).replace("{corpus}", str(capitals / "corpus.jsonl")) for option in options]
    command = dict(zip(*[iter(rag(index, capitals)[1:])] * 2, strict=True)) | dict(
        zip(*[iter(given)] * 2, strict=True)
    )
    code, out, err = cli("rag", *(word for pair in command.items() for word in pair))
    assert code == 2 and not out
    assert problem in err and hint in err and "Traceback" not in err


def test_documents_that_the_index_lacks(cli, home, index, tmp_path):
    write(
        tmp_path / "questions.jsonl",
        [{"id": "a", "question": "capital of Peru", "relevant": ["Atlantis"]}],
    )
    code, _, err = cli(*rag(index, tmp_path))
    assert code == 2 and "'Atlantis', which the index lacks" in err
