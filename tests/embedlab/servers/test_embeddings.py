"""A model behind a server gives the scores of the same model here; whatever a server does wrong
ends in one clear error, and in no score.
"""

import json
import re

import numpy as np
import pytest

import embedlab
from leaderboard.storage.store import Store
from tests.embedlab.servers.loopback import PROBE, body_of, changed, cut, resized, status, trickle


@pytest.fixture(scope="module")
def local(tmp_path_factory, capitals):
    """The scores of the model on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDLAB_HOME", str(tmp_path_factory.mktemp("local")))
        results = embedlab.evaluate("all-minilm-l6-v2", capitals, dtype="float32", progress=False)
        return results.scores("nDCG@10")["value"][0]


@pytest.mark.parametrize("settings", ["", "?encoding=float"])
def test_the_scores_are_those_of_the_model_here(evaluated, local, server, settings):
    code, runs, err = evaluated(settings=settings)
    assert code == 0, err
    assert runs[0]["main_score"] == pytest.approx(local, abs=1e-6)
    asked = {request["encoding_format"] for _, request, _ in server.requests}
    assert asked == {"float" if settings else "base64"}
    assert runs[0]["costs"]["requests"] == len(server.requests) - 1  # the probe aside
    assert set(server.received.values()) == {1}


def test_a_second_run_asks_nothing_and_needs_no_server(evaluated, server):
    _, first, _ = evaluated()
    asked = len(server.requests)
    server.key = "closed"
    code, again, err = evaluated()
    assert code == 0 and len(server.requests) == asked, err
    assert again[0]["scores"] == first[0]["scores"]
    assert again[0]["costs"]["encoded_now_texts"] == 0


PASSING = [
    status(429, "slow down", {"Retry-After": "0.05"}),
    status(429, headers={"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}),
    status(429),
    status(500),
    status(503),
    cut,
    lambda handler, body: b"<html>gateway</html>",
]


def test_what_may_pass_is_asked_again(evaluated, local, server):
    server.faults = [lambda handler, body: body, *PASSING]
    code, runs, err = evaluated("--batch-texts", "8")
    assert code == 0, err
    assert runs[0]["main_score"] == pytest.approx(local, abs=1e-6)
    assert runs[0]["costs"]["requests_again"] == 7
    assert set(server.answered.values()) == {1}


def test_answers_in_another_order_are_put_right(evaluated, local, server):
    server.faults = [changed(lambda rows: rows[::-1])] * 20
    code, runs, err = evaluated()
    assert code == 0, err
    assert runs[0]["main_score"] == pytest.approx(local, abs=1e-6)


def nan(handler, body):
    vectors = np.full((len(body["data"]), 384), np.nan, dtype=np.float32)
    return {**body_of(vectors), "usage": {}}


WRONG = {
    "too few vectors": (changed(lambda rows: rows[:-1]), r"\d+ vectors for \d+ texts"),
    "another width": (resized(383), "383 dimensions; before, they had 384"),
    "NaN": (nan, "a vector with NaN or infinity"),
    "no vectors": (lambda handler, body: {"data": None}, "no list of vectors"),
    "twice the same": (
        changed(lambda rows: [{**row, "index": 0} for row in rows]),
        r"indices \[0, 0",
    ),
    "widths that differ": (
        changed(lambda rows: [{**rows[0], "embedding": [1.0, 2.0]}, *rows[1:]]),
        "vectors of 2, 384 dimensions",
    ),
    "places that are no numbers": (
        changed(lambda rows: [{**row, "index": bool(row["index"])} for row in rows]),
        r"indices \[",
    ),
    "zeros": (
        changed(lambda rows: [{**row, "embedding": [0.0] * 384} for row in rows]),
        "nothing but zeros",
    ),
    "not normalised": (
        changed(lambda rows: [{**row, "embedding": [2.0] * 384} for row in rows]),
        "are not normalised; before, they were",
    ),
    "words": (changed(lambda rows: [{**row, "embedding": ["x"]} for row in rows]), "is none"),
    "damaged base64": (changed(lambda rows: [{**r, "embedding": "A"} for r in rows]), "is none"),
    "null": (changed(lambda rows: [{**r, "embedding": [None] * 384} for r in rows]), "is none"),
    "a refusal": (status(400, "the text is too long"), "400 the text is too long"),
    "no quota": (status(429, "You exceeded your current quota"), "your current quota"),
    "elsewhere": (status(302), "sends the request on"),
    "hours": (status(429, "later", {"Retry-After": "7200"}), "asks to wait 7,200 seconds"),
    "never": (status(500, "down for good"), "500 down for good"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_answer_is_one_error_and_no_score(evaluated, server, home, kind, monkeypatch):
    monkeypatch.setattr("embedlab.servers.requests_in_flight._TRIES", 3)
    fault, message = WRONG[kind]
    server.faults = [*[lambda handler, body: body] * 2, *[fault] * 200]
    code, _, err = evaluated("--batch-texts", "8")
    assert code == 2 and "Traceback" not in err
    assert re.search(message, err), err
    assert len(re.findall("^Error", err, re.MULTILINE)) == 1, err
    assert not (home / "results.duckdb").is_file() or not Store(home / "results.duckdb").runs()
    if kind not in ("too few vectors", "never"):
        return
    server.faults = []  # it has been mended: what was answered before is not asked again
    code, runs, err = evaluated("--batch-texts", "8")
    assert code == 0 and len(runs) == 1, err
    assert not server.twice()


def test_a_server_that_is_not_there(cli, home, capitals, monkeypatch):
    monkeypatch.setattr("embedlab.servers.requests_in_flight.PAUSE", 0.001)
    code, _, err = cli("eval", "--model", "http://127.0.0.1:9/v1#m", "--task", capitals)
    assert code == 2 and "No answer from http://127.0.0.1:9/v1" in err and "running?" in err


def test_a_model_that_changed_is_not_mixed_with_the_old_one(
    evaluated, server, capitals, monkeypatch
):
    assert evaluated()[0] == 0
    old = server.embed
    monkeypatch.setattr(server, "embed", lambda texts: old([text[::-1] for text in texts]))
    code, _, err = evaluated(settings="")
    assert code == 0  # nothing is missing: nothing is asked
    rows = (capitals / "corpus.jsonl").read_text()
    try:
        with (capitals / "corpus.jsonl").open("a") as file:
            file.write('{"_id": "new", "title": "", "text": "One document more."}\n')
        code, _, err = evaluated()
        assert code == 2 and "is not the model whose vectors are in the store" in err, err
        code, _, err = evaluated(settings="?revision=2")
        assert code == 0, err
    finally:
        (capitals / "corpus.jsonl").write_text(rows)


def test_an_answer_without_end_is_asked_for_again(evaluated, server, monkeypatch):
    monkeypatch.setattr("embedlab.servers.http_client._SECONDS", 0.5)
    server.faults = [trickle]
    code, runs, err = evaluated()
    assert code == 0 and runs[0]["costs"]["requests_again"] == 0, err  # it was the probe
    assert server.received[PROBE] == 2


def test_a_server_that_cuts_nothing_is_found_out(evaluated, server):
    """Its usage says 10 tokens of each text."""
    code, _, err = evaluated(settings="?max_length=10")
    assert code == 0, err
    assert all(request["truncate_prompt_tokens"] == 10 for _, request, _ in server.requests)
    code, _, err = evaluated(settings="?max_length=9")
    assert code == 2 and "does not cut at max_length=9" in err, err


def test_dimensions_and_their_width(evaluated, server):
    code, runs, err = evaluated(settings="?dimensions=64")
    assert code == 0 and runs[0]["dim"] == 64, err
    server.faults = [resized(384)]
    code, _, err = evaluated(settings="?dimensions=32")
    assert code == 2 and "384 dimensions, and 32 were asked for" in err


def test_roles_have_their_prompts_and_input_types(evaluated, server):
    types = "?input_type.query=search_query&input_type.document=search_document"
    code, _, err = evaluated(settings=f'{types}&prompt.query="query: "')
    assert code == 0, err
    for _, request, _ in server.requests[1:]:
        query = request["input"][0].startswith("query: What")
        assert request["input_type"] == ("search_query" if query else "search_document")


def test_no_vectors_of_eight_bits(evaluated, server, home):
    code, _, err = evaluated("--store-dtype", "int8")
    assert code == 2 and "is for late interaction" in err and not (home / "vectors").exists()


def test_a_server_that_takes_smaller_batches_gets_them(evaluated, server):
    server.most_texts = 6
    code, _, err = evaluated()
    assert code == 0, err
    assert set(server.answered.values()) == {1}
    assert max(len(r["input"]) for _, r, _ in server.requests[-3:]) <= 6


def test_a_server_that_knows_no_base64(evaluated, server):
    refusal = status(400, "encoding_format: base64 is not supported")
    server.faults = [refusal]
    assert evaluated()[0] == 0
    assert {r["encoding_format"] for _, r, _ in server.requests[1:]} == {"float"}


def test_tasks_of_other_types(cli, home, server, tmp_path):
    rows = ["1.0\ta cat\ta dog", "5.0\ta cat\tthe cat", "0.0\tbread\ta car"]
    (tmp_path / "STS12.tsv").write_text("\n".join(["score\tsentence1\tsentence2", *rows, ""]))
    model = f"{server.url}#minilm"
    code, out, err = cli("eval", "-m", model, "-t", "STS12", "--data-dir", tmp_path, "--json")
    assert code == 0 and json.loads(out)["runs"][0]["scores"]["cosine_spearman"] > 0.4, err
    assert set(server.answered.values()) == {1}


def test_one_address_is_one_model(cli, home, capitals, server):
    names = [
        f"{server.url}#minilm",
        f"{server.url}/#minilm",
        f"{server.url.upper()[:7]}{server.url[7:]}# minilm",
    ]
    typed = [word for name in names for word in ("--model", name)]
    code, out, err = cli("eval", *typed, "--task", capitals, "--json")
    assert code == 0, err
    assert [run["model"] for run in json.loads(out)["runs"]] == [names[0]]
    assert not server.twice()


@pytest.mark.parametrize("kind", ["lists", "answers for any name", "says 404"])
def test_an_unknown_model(cli, home, capitals, server, kind):
    server.any_model, server.lists = kind == "answers for any name", kind != "says 404"
    code, _, err = cli("eval", "--model", f"{server.url}#minilmm", "--task", capitals)
    assert code == 2 and "minilmm" in err and "Traceback" not in err
    assert ("Did you mean minilm?" in err) == server.lists
    assert not server.received and not (home / "vectors").exists()


def test_an_index_and_python_ask_the_server_too(cli, home, capitals, server, tmp_path):
    model = f'{server.url}#minilm?prompt.query="query: "'
    code, _, err = cli("index", "--corpus", capitals, "--model", model, "--out", tmp_path / "i")
    assert code == 0, err
    code, out, err = cli("search", tmp_path / "i", "What is eaten in Oslo?", "--json")
    assert code == 0 and "Norway" in out, err
    assert server.requests[-1][1]["input"] == ["query: What is eaten in Oslo?"]
    encoder = embedlab.load(model)
    assert encoder.encode_query("a").shape == (384,)
    assert encoder.encode_document(["a", "b"]).shape == (2, 384)
    assert server.requests[-2][1]["input"] == ["query: a"]


def test_documents_are_not_cut_by_a_tokenizer_that_is_elsewhere(evaluated, server):
    code, _, err = evaluated("--chunk", "tokens:size=64")
    assert code == 2 and "shows no tokenizer" in err and "Traceback" not in err
    assert len(server.requests) <= 1  # the probe
