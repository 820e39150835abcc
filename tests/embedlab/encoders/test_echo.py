"""Echo embeddings: the template language token by token, the pooled span, and a naive reference."""

import numpy as np
import pytest
import torch
from checkpoints import TEXTS, write_backbone
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from embedlab.encoders import echo
from embedlab.encoders.modules.layers import layer_outputs, truncate
from embedlab.errors import UserError

PROMPT = "Given a question, retrieve passages that answer the question"


@pytest.fixture(scope="module")
def mistral(tmp_path_factory):
    return write_backbone(tmp_path_factory.mktemp("mistral"), "mistral")


@pytest.fixture(scope="module")
def model(mistral):
    return echo.load(mistral, device="cpu")


def by_hand(folder, pieces, limit=300):
    """Token ids and marks of (text, pooled) pieces, each cut into tokens by itself."""
    words = AutoTokenizer.from_pretrained(folder)
    ids, marks = [], []
    for text, pooled in pieces:
        found = words(text, add_special_tokens=False)["input_ids"][:limit]
        ids += found
        marks += [int(pooled)] * len(found)
    return ids, marks


def query(text, prompt=""):
    return [
        ("<s>Instruct:", 0),
        (prompt + ",", 0),
        ("\nQuery:", 0),
        (text, 0),
        ("\nQuery again:", 0),
        (text, 1),
        ("</s>", 1),
    ]


def document(text):
    return [("<s>Document:", 0), (text, 0), ("\nDocument again:", 0), (text, 1), ("</s>", 1)]


def test_a_template_is_parsed_into_pieces():
    assert echo.parse("<s>A:{!%%text%%}\nB {%%text%%}{</s>}") == [
        ("<s>A:", False), ("%%text%%", False), ("\nB ", False), ("%%text%%", True), ("</s>", True)
    ]  # fmt: skip
    assert echo.parse("{a\nb}") == [("a\nb", True)]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("<s>{%%text%%", "braces"),
        ("<s>%%text%%}", "braces"),
        ("{%%txt%%}", "unknown variable %%txt%%"),
        ("<s>{!%%text%%}", "pools nothing"),
        ("", "pools nothing"),
    ],
)
def test_a_template_that_cannot_be_read(template, problem):
    with pytest.raises(UserError, match=problem) as error:
        echo.EchoTemplate(query=template)
    assert "%%text%%" in error.value.hint


@pytest.mark.parametrize(
    "text", ["are judo throws allowed in wrestling?", "", " 42", "%%prompt%% {braces} </s>"]
)
def test_ids_and_pooled_span(model, mistral, text):
    for features, pieces in (
        (model.preprocess([text], prompt=PROMPT), query(text, PROMPT)),
        (model.preprocess([text], task="query"), query(text)),
        (model.preprocess([text], task="document"), document(text)),
        (model.preprocess([text]), document(text)),
    ):
        ids, marks = by_hand(mistral, pieces)
        assert features["input_ids"][0].tolist() == ids
        assert features["pooling_mask"][0].tolist() == marks
        assert features["attention_mask"][0].tolist() == [1] * len(ids)
        assert (ids[0], ids[-1]) == (1, 2)  # <s> and </s>, typed in the template
        assert marks[-1] == 1


def test_each_piece_is_cut_and_the_end_token_stays(mistral):
    model = echo.load(mistral, max_length=7, device="cpu")
    features = model.preprocess(["weather " * 1000, "x" * 1_000_000], task="document")
    ids, marks = by_hand(mistral, document("weather " * 1000), limit=7)
    assert features["input_ids"][0].tolist() == ids
    assert ids[-1] == 2 and sum(marks) == 8
    assert features["pooling_mask"].sum(1).tolist() == [8, 8]


def test_padding_is_unk_on_the_right(mistral, tmp_path):
    AutoModel.from_pretrained(mistral).save_pretrained(tmp_path)
    words = AutoTokenizer.from_pretrained(mistral)
    words.pad_token = None
    words.save_pretrained(tmp_path)
    features = echo.load(tmp_path, device="cpu").preprocess(["a", "a b c d e f"])
    short = int(features["attention_mask"][0].sum())
    assert features["input_ids"][0, short:].tolist() == [words.unk_token_id] * (
        features["input_ids"].shape[1] - short
    )
    assert features["attention_mask"][0].tolist() == [1] * short + [0] * (
        features["input_ids"].shape[1] - short
    )
    assert features["pooling_mask"][0].sum() == 2 and not features["pooling_mask"][0, short:].any()


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_vectors_equal_the_naive_reference(mistral, pooling):
    model = echo.load(mistral, pooling=pooling, device="cpu")
    backbone = AutoModel.from_pretrained(mistral).eval()
    for prompt, make in ((PROMPT, lambda text: query(text, PROMPT)), (None, document)):
        vectors = model.encode(TEXTS, prompt=prompt)
        for text, vector in zip(TEXTS, vectors, strict=True):
            ids, marks = by_hand(mistral, make(text))
            with torch.no_grad():
                states = backbone(torch.tensor([ids])).last_hidden_state[0]
            pooled = [t for t, mark in enumerate(marks) if mark]
            pooled = pooled[-1:] if pooling == "last" else pooled
            expected = [
                sum(float(states[t, d]) for t in pooled) / len(pooled)
                for d in range(states.shape[1])
            ]
            assert np.abs(vector - expected).max() < 1e-5


def test_only_the_second_copy_sees_the_whole_text(model, mistral):
    features = model.preprocess(["are judo throws allowed"], task="document")
    end_of_first = len(by_hand(mistral, document("are judo throws allowed")[:2])[0]) - 1
    start_of_second = int(features["pooling_mask"][0].nonzero()[0])
    changed = {name: value.clone() for name, value in features.items()}
    changed["input_ids"][0, end_of_first] = 300
    with torch.no_grad():
        one, two = (model[0](f)["token_embeddings"][0] for f in (features, changed))
    assert torch.equal(one[:end_of_first], two[:end_of_first])
    assert (one[start_of_second] - two[start_of_second]).abs().max() > 1e-3


def test_batch_size_order_and_padding_do_not_matter(model):
    one, all_, turned = (
        model.encode(texts, batch_size=size)
        for texts, size in ((TEXTS, 1), (TEXTS, 6), (TEXTS[::-1], 4))
    )
    assert np.abs(one - all_).max() < 1e-5
    assert np.abs(one - turned[::-1]).max() < 1e-5
    model[0].padding_side = "left"
    left = model.encode(TEXTS)
    model[0].padding_side = "right"
    assert np.abs(one - left).max() < 1e-5


def test_save_load_and_layers(model, tmp_path):
    model.save(str(tmp_path))
    reloaded = SentenceTransformer(str(tmp_path), device="cpu")
    assert np.array_equal(model.encode(TEXTS), reloaded.encode(TEXTS))
    assert reloaded[0].template == model[0].template
    features = model.preprocess(TEXTS)
    with torch.no_grad():
        view = layer_outputs(model, features, [2])[0]
        assert torch.equal(view, truncate(reloaded, 2)(dict(features))["sentence_embedding"])


def test_what_is_no_text_is_refused(model):
    with pytest.raises(UserError, match="type int"):
        model.preprocess([3])
