"""Rerankers behind a server, under >>: endpoints, and language models point- and listwise."""

import json
import re

import pytest

from embedlab.errors import UserError
from embedlab.models import find
from embedlab.models.served import server_loading
from embedlab.models.served.server_rerankers import order_of
from tests.embedlab.servers.loopback import status


@pytest.fixture
def reranked(cli, home, capitals, server):
    """`embedlab eval` of the served model, reranked by a served one: exit code, runs, messages."""

    def call(api, *options, depth=10):
        url = server.url
        model = f"{url}#minilm@torch >> rerank({url}#minilm{api}, depth={depth})"
        code, out, err = cli("eval", "-m", model, "-t", capitals, *options, "--json")
        return code, json.loads(out)["runs"] if code == 0 else [], err

    return call


def asked(server, path):
    return [request for place, request, _ in server.requests if place.endswith(path)]


def test_an_endpoint_scores_lists_several_at_once_and_once(reranked, server, minilm):
    server.delay = 0.05
    code, runs, err = reranked("", "--in-flight", "4")
    assert code == 0 and runs[0]["main_score"] > 0.8, err
    assert runs[0]["model"].endswith("#minilm?api=rerank, depth=10)")
    lists = asked(server, "/rerank")
    assert len(lists) == 14 and all(len(request["documents"]) == 10 for request in lists)
    assert 2 <= server.most_at_once <= 4
    assert runs[0]["costs"]["pairs_per_second"] > 0
    code, again, err = reranked("")
    assert code == 0 and len(asked(server, "/rerank")) == 14, err
    assert again[0]["scores"] == runs[0]["scores"]
    # Nobody was asked: what a second run takes is not what the model takes.
    assert not {"pairs_per_second", "rerank_seconds", "latency_p50_ms"} & again[0]["costs"].keys()


def test_teis_words_and_its_smaller_batches(reranked, server):
    server.tei, server.most_texts = True, 4
    code, runs, err = reranked("")
    assert code == 0 and runs[0]["main_score"] > 0.8, err
    requests = [request for request in asked(server, "/rerank") if "texts" in request]
    assert min(len(request["texts"]) for request in requests) <= 4


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (status(400, "no such thing"), "400 no such thing"),
        (lambda handler, body: {**body, "results": body["results"][1:]}, "9 scores for 10 texts"),
        (lambda handler, body: {"results": "x"}, "no list of scores"),
        (
            lambda handler, body: {
                "results": [{**row, "relevance_score": "x"} for row in body["results"]]
            },
            "a score that is no number",
        ),
    ],
)
def test_a_wrong_answer_is_one_error(reranked, server, home, fault, message):
    server.fault_of_reranking = fault
    code, _, err = reranked("")
    assert code == 2 and message in err and "Traceback" not in err, err
    assert not (home / "results.duckdb").exists()


def passages(prompt):
    return re.findall(r"^\[(\d+)\] (.*)$", prompt, re.MULTILINE)


def test_pointwise_and_listwise(reranked, server):
    def say(request):
        prompt = request["messages"][0]["content"]
        if request.get("logprobs"):
            good = "food" in prompt
            return [("Yes", -0.1 if good else -3.0), (" no", -3.0 if good else -0.1), ("It", -5.0)]
        good = [number for number, text in passages(prompt) if "food" in text]
        return f"<think>[1] or [2]?</think> {' > '.join(f'[{number}]' for number in good)}"

    server.say = say
    code, (pointwise,), err = reranked("?api=pointwise", depth=5)
    assert code == 0 and len(asked(server, "/chat/completions")) == 14 * 5, err
    assert all(request["max_tokens"] == 1 for request in asked(server, "/chat/completions"))
    server.requests.clear()
    code, (listwise,), err = reranked("?api=listwise", depth=30)
    assert code == 0 and len(asked(server, "/chat/completions")) == 14 * 2, err
    first = passages(asked(server, "/chat/completions")[0]["messages"][0]["content"])
    assert len(first) == 20  # the last 20 of 30 come first, then the first 20
    assert pointwise["main_score"] > 0.5 and listwise["main_score"] > 0.5


@pytest.mark.parametrize("api", ["rerank", "pointwise"])
def test_what_stands_twice_is_asked_once(home, server, api):
    server.say, server.delay = lambda request: [("Yes", -0.1)], 0.05
    scorer = server_loading.load(find(f"{server.url}#minilm?api={api}")).encoder
    query, texts = "Where is Rome?", ["In Italy.", "In Peru.", "In Italy."]
    first, second = scorer.score_lists([query, query], [texts, list(texts)])
    assert first.tolist() == second.tolist() and len(first) == 3
    assert len(server.requests) == {"rerank": 1, "pointwise": 2}[api]


def test_a_model_without_probabilities(reranked, server):
    server.say = lambda request: "Yes"
    code, _, err = reranked("?api=pointwise")
    assert code == 2 and "no logprobs" in err


def test_an_order_that_leaves_some_out_or_says_none():
    assert order_of("[3] > [1] > [3] > [9]", 4) == [2, 0, 1, 3]
    assert order_of("2, 1", 2) == [1, 0]
    with pytest.raises(UserError, match="no passage in order"):
        order_of("I cannot say.", 3)
