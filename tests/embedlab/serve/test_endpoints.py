"""What the endpoints answer, and how they refuse."""

import base64
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from tests.embedlab.serve.conftest import serving

MISTAKES = {
    '{"query": "w1", "k": "3"}': "k should be a valid integer.",
    '{"query": "w1", "k": true}': "k should be a valid integer.",
    '{"query": "w1", "k": 1001}': "k is 1001, and this server gives 1 to 1000 documents.",
    '{"query": "w1", "k": 0}': "k is 0, and this server gives 1 to 1000 documents.",
    '{"query": " \\n"}': "The query is empty.",
    '{"query": "w1", "where": "year >"}': "The filter 'year >' is malformed at its end. A filter"
    ' reads: year >= 2020 and (lang = "en" or lang is null); also in ("en", "de"), like'
    ' "vita%", contains, not.',
    '{"query": "w1", "where": "yeer > 1"}': "No document has a field 'yeer'. Did you mean year? The"
    " fields are: id (text), title (text), year (number).",
    '{"query": "w1", "where": 3}': "where should be a valid string.",
    '{"query": "w1", "top_k": 3}': "There is no field top_k.",
    '{"k": 3}': "query is missing.",
    '{"query": ["w1"]}': "query should be a valid string.",
    '{"query": "w1\\ud800"}': "A text holds half a character (a lone surrogate).",
    '{"query": "w1"': "The body is no JSON: Expecting ',' delimiter.",
    '["w1"]': "The body is no JSON object.",
    "": "The body is missing.",
    "[" * 100_000: "There was an error parsing the body.",
}


def post(server, path, body, kind="application/json"):
    return server.client.post(path, content=body, headers={"Content-Type": kind})


def said(answer, status):
    """The sentence of an error."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == status
    return error["message"]


@pytest.mark.parametrize(("body", "sentence"), MISTAKES.items(), ids=lambda text: text[:24])
def test_a_mistake_is_answered_with_one_sentence(tiny_server, body, sentence):
    answer = post(tiny_server, "/search", body)
    assert answer.json()["error"]["message"] == sentence
    assert answer.status_code in (400, 422)


def test_other_mistakes(tiny_server):
    assert "Content-Type: application/json" in said(post(tiny_server, "/search", "{}", ""), 415)
    assert said(tiny_server.client.get("/nowhere"), 404).startswith("There is no /nowhere here")
    assert said(tiny_server.client.get("/search"), 405).startswith("/search does not take GET")
    assert tiny_server.client.get("/health").json() == {"status": "ok"}


def test_as_many_documents_as_there_are(tiny_server):
    found = post(tiny_server, "/search", '{"query": "w1", "k": 999}').json()["results"]
    assert len(found) == 60 and [row["rank"] for row in found] == list(range(1, 61))
    assert len(post(tiny_server, "/search", '{"query": "w1"}').json()["results"]) == 10
    assert found[0]["metadata"].keys() == {"title", "year"}
    assert found[0]["text"].startswith(found[0]["metadata"]["title"])


def test_the_description_says_what_is_there(tiny_server):
    described = tiny_server.client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.")
    assert described["paths"].keys() == {"/health", "/search", "/v1/models", "/v1/embeddings"}
    assert "60 documents" in described["info"]["description"]
    request = described["components"]["schemas"]["SearchRequest"]
    assert request["required"] == ["query"] and request["properties"].keys() == {
        "query",
        "k",
        "where",
    }
    answers = described["paths"]["/search"]["post"]["responses"]
    assert {"200", "4XX", "5XX"} <= answers.keys()
    assert tiny_server.client.get("/docs").status_code == 404, "its scripts come from elsewhere"


def test_a_filter_on_metadata(tiny_server):
    asked = {"query": "w1 w2", "k": 60}
    everything = tiny_server.client.post("/search", json=asked).json()["results"]
    asked["where"] = "year >= 2050 or title = 'w3'"
    found = tiny_server.client.post("/search", json=asked).json()["results"]
    wanted = [row for row in everything if row["metadata"]["year"] in (2003, *range(2050, 2060))]
    assert [row["id"] for row in found] == [row["id"] for row in wanted] and len(found) == 11
    np.testing.assert_allclose(
        [row["score"] for row in found], [row["score"] for row in wanted], atol=1e-6
    )
    said = tiny_server.client.get("/openapi.json").json()["info"]["description"]
    assert "The fields are: id (text), title (text), year (number)." in said


def test_embeddings_with_each_prompt(build, tiny_folder):
    texts = ["w1 w2 w3", "w4"]
    path = build(f'{tiny_folder}?prompt.query="w9 : "')
    model = SentenceTransformer(str(tiny_folder), device="cpu")
    with serving(path) as server:
        (listed,) = server.client.get("/v1/models").json()["data"]
        assert listed["id"] == "tiny"
        assert listed["prompts"] == {"query": "w9 : ", "document": "", "text": ""}
        assert "query 'w9 : '" in server.client.get("/openapi.json").json()["info"]["description"]

        def embedded(**more):
            asked = {"model": listed["id"], "input": texts, **more}
            answer = server.client.post("/v1/embeddings", json=asked)
            assert answer.status_code == 200, answer.text
            return answer.json()

        plain, prompted = model.encode(texts), model.encode(texts, prompt="w9 : ")
        for role, expected in ((None, plain), ("text", plain), ("document", plain),
                               ("query", prompted)):  # fmt: skip
            answer = embedded(**({"input_type": role} if role else {}))
            vectors = np.array([row["embedding"] for row in answer["data"]])
            np.testing.assert_allclose(vectors, expected, atol=1e-6)
            read = 5 + 3 + (4 if role == "query" else 0)  # each text with [CLS] and [SEP]
            assert answer["usage"] == {"prompt_tokens": read, "total_tokens": read}
        coded = embedded(encoding_format="base64")["data"][1]["embedding"]
        np.testing.assert_allclose(
            np.frombuffer(base64.b64decode(coded), "<f4"), plain[1], atol=1e-6
        )
        assert len(embedded(input="w1", user="me", dimensions=32)["data"]) == 1

        for more, status, sentence in (
            ({"model": "another"}, 404, "Unknown model 'another'"),
            ({"input": [[1, 2]]}, 422, "input is a text, or a list of 1 to 2048 texts."),
            ({"input": []}, 422, "input is a text, or a list of 1 to 2048 texts."),
            ({"input": ["w1"] * 2049}, 422, "input is a text, or a list of 1 to 2048 texts."),
            ({"dimensions": 8}, 422, "gives 32 dimensions, not 8."),
            ({"input_type": "passage"}, 422, "'query', 'document' or 'text'"),
        ):  # fmt: skip
            asked = {"model": listed["id"], "input": texts, **more}
            assert sentence in said(server.client.post("/v1/embeddings", json=asked), status)


def test_openais_client(tiny_server):
    """The package that others ask with."""
    openai = pytest.importorskip("openai", reason="needs the extra rag")
    client = openai.OpenAI(base_url=f"{tiny_server.url}/v1", api_key="none needed")
    (name,) = [model.id for model in client.models.list()]
    answer = client.embeddings.create(model=name, input=["w1", "w2 w3"])
    assert [len(row.embedding) for row in answer.data] == [32, 32]
    with pytest.raises(openai.NotFoundError, match="Unknown model 'other'"):
        client.embeddings.create(model="other", input="w1")


def test_an_index_without_a_dense_model(build):
    pytest.importorskip("pyserini", reason="needs the extra lucene")
    with serving(build("bm25")) as server:
        assert server.client.get("/v1/models").json()["data"] == []
        asked = {"model": "bm25", "input": "w1"}
        assert "no model that gives dense vectors" in said(
            server.client.post("/v1/embeddings", json=asked), 404
        )


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_pages_own_line(tiny_server):
    page = (Path(__file__).parents[3] / "docs/how-to/serve.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^curl .+$", page, re.MULTILINE)
    words = shlex.split(line.replace("http://127.0.0.1:8600", tiny_server.url))
    answer = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    assert [row["rank"] for row in answer["results"]] == [1, 2, 3]
