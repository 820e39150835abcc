"""Matryoshka views, Starbucks, and the plain encoders,
against truncated models and double loops.
"""

import numpy as np
import pytest
import torch
from checkpoints import TEXTS, tokenizer, write_backbone
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer, BertConfig, BertModel

from embedlab.encoders import plain, starbucks
from embedlab.encoders.modules.layers import truncate
from embedlab.encoders.modules.matryoshka import check_views, encode_views, trained_views
from embedlab.errors import UserError

PAIRS = [(1, 16), (2, 32), (3, 64)]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return write_backbone(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    """BERT-base's layers and width, so that the published pairs fit; everything else small."""
    folder = tmp_path_factory.mktemp("starbucks")
    torch.manual_seed(0)
    config = BertConfig(vocab_size=400, intermediate_size=64, max_position_embeddings=256)
    model = BertModel(config)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.05) if weight.dim() > 1 else None
    model.save_pretrained(folder)
    tokenizer("bert").save_pretrained(folder)
    return folder


def truncated_bert(folder, n, texts, max_length):
    """CLS of a BertModel that was built with n layers only, text by text."""
    model = BertModel.from_pretrained(folder, num_hidden_layers=n).eval()
    words = AutoTokenizer.from_pretrained(folder)
    states = []
    with torch.no_grad():
        for text in texts:
            ids = words([text], truncation=True, max_length=max_length, return_tensors="pt")
            states.append(model(**ids).last_hidden_state[0, 0])
    return torch.stack(states).numpy()


def test_starbucks_sizes_equal_truncated_berts(full_size):
    model = starbucks.load(full_size, device="cpu")
    assert trained_views(model) == [(2, 32), (4, 64), (6, 128), (8, 256), (10, 512), (12, 768)]
    assert model.similarity_fn_name == "dot"
    views = encode_views(model, TEXTS[:2], trained_views(model), task="query")
    for (n, d), vectors in views.items():
        assert vectors.shape == (2, d)
        assert np.abs(vectors - truncated_bert(full_size, n, TEXTS[:2], 32)[:, :d]).max() < 1e-5
    assert np.abs(np.linalg.norm(views[12, 768], axis=1) - 1).min() > 0.1  # nothing is normalised


def test_lengths_of_queries_and_documents(full_size):
    model = starbucks.load(full_size, device="cpu")
    long = ["weather " * 500]
    for task, length in (("query", 32), ("document", 196)):
        features = model.preprocess(long, task=task)
        assert features["input_ids"].shape == (1, length)
        # [CLS] and [SEP] survive the cut.
        assert features["input_ids"][0, [0, -1]].tolist() == [2, 3]


def test_semantic_similarity_is_mean_and_cosine(bert):
    model = starbucks.load(bert, task="sts", pairs=PAIRS, device="cpu")
    assert model.similarity_fn_name == "cosine"
    features = model.preprocess(TEXTS)
    with torch.no_grad():
        hidden = (
            model[0]
            .model(
                input_ids=features["input_ids"],
                attention_mask=features["attention_mask"],
                output_hidden_states=True,
            )
            .hidden_states[2]
        )
    views = encode_views(model, TEXTS, [(2, 32)])
    for row, (states, mask) in enumerate(zip(hidden, features["attention_mask"], strict=True)):
        for d in range(32):
            kept = [float(states[t, d]) for t in range(len(mask)) if mask[t]]
            assert abs(views[2, 32][row, d] - sum(kept) / len(kept)) < 1e-5


def test_pairs_off_the_list_are_refused_unless_forced(bert):
    model = starbucks.load(bert, pairs=PAIRS, device="cpu")
    with pytest.raises(UserError, match="not trained for 32 dimensions after layer 1") as error:
        encode_views(model, TEXTS, [(2, 32), (1, 32)])
    assert "1/16, 2/32, 3/64" in error.value.hint
    assert encode_views(model, TEXTS, [(1, 32)], force=True)[1, 32].shape == (len(TEXTS), 32)
    for impossible in ((4, 16), (1, 65), (0, 16), (1, 0)):
        with pytest.raises(UserError, match="no view") as error:
            check_views(model, [impossible], force=True)
        assert "layers 1 to 3 and dimensions 1 to 64" in error.value.hint
    with pytest.raises(UserError, match="no view of 64 dimensions after layer 4"):
        starbucks.load(bert, device="cpu")  # the published pairs do not fit a tiny model
    with pytest.raises(UserError, match="task"):
        starbucks.load(bert, task="retreival", device="cpu")


def test_views_survive_save_and_load(bert, tmp_path):
    model = starbucks.load(bert, pairs=PAIRS, device="cpu")
    model.save(str(tmp_path))
    reloaded = SentenceTransformer(str(tmp_path), device="cpu")
    assert trained_views(reloaded) == PAIRS
    assert reloaded.similarity_fn_name == "dot"
    before, after = (encode_views(m, TEXTS, PAIRS, task="query") for m in (model, reloaded))
    assert all(np.array_equal(before[pair], after[pair]) for pair in PAIRS)
    assert np.array_equal(reloaded.encode_query(TEXTS), before[3, 64])


def test_any_layer_by_any_dimension(bert):
    """2DMSE, mxbai-embed-2d: the whole grid from one pass, equal to truncated models, sliced."""
    model = plain.load(bert, device="cpu")
    assert trained_views(model) == "any"
    grid = [(n, d) for n in (1, 2, 3) for d in (1, 7, 64)]
    views = encode_views(model, TEXTS, grid, batch_size=4)
    normalised = encode_views(model, TEXTS, grid, batch_size=6, normalise=True)
    for n, d in grid:
        short = truncate(plain.load(bert, device="cpu"), n)
        expected = short.encode(TEXTS, batch_size=4)[:, :d]
        assert np.abs(views[n, d] - expected).max() < 1e-5
        assert np.allclose(np.linalg.norm(normalised[n, d], axis=1), 1, atol=1e-5)
        lengths = [sum(x * x for x in row) ** 0.5 for row in expected.tolist()]
        assert np.abs(normalised[n, d] - expected / np.array(lengths)[:, None]).max() < 1e-5


def test_views_do_not_depend_on_the_batch(bert):
    model = starbucks.load(bert, pairs=PAIRS, device="cpu")
    one, all_, turned = (
        encode_views(model, texts, PAIRS, batch_size=size)
        for texts, size in ((TEXTS, 1), (TEXTS, 6), (TEXTS[::-1], 4))
    )
    for pair in PAIRS:
        assert np.abs(one[pair] - all_[pair]).max() < 1e-5
        assert np.abs(one[pair] - turned[pair][::-1]).max() < 1e-5


def test_mirror_bert_averages_over_the_padding(bert, tmp_path):
    model = plain.load(bert, pooling="mean", max_length=40, pad=True, device="cpu")
    words = AutoTokenizer.from_pretrained(bert)
    backbone = BertModel.from_pretrained(bert).eval()
    ids = words(TEXTS, padding="max_length", truncation=True, max_length=40, return_tensors="pt")
    with torch.no_grad():
        states = backbone(**ids).last_hidden_state
    vectors = model.encode(TEXTS, batch_size=3)
    for row in range(len(TEXTS)):
        for d in range(64):
            assert (
                abs(vectors[row, d] - sum(float(states[row, t, d]) for t in range(40)) / 40) < 1e-5
            )
    model.save(str(tmp_path))
    assert np.array_equal(
        SentenceTransformer(str(tmp_path), device="cpu").encode(TEXTS, batch_size=3), vectors
    )
    with pytest.raises(UserError, match="Padding needs a length"):
        plain.load(bert, pad=True, device="cpu")
    masked = plain.load(bert, pooling="mean", max_length=40, device="cpu").encode(TEXTS)
    assert np.abs(masked - vectors).max() > 1e-3


def test_plain_cls_is_the_first_state(bert):
    model = plain.load(bert, similarity="dot", query_length=8, document_length=20, device="cpu")
    for encode, length in ((model.encode_query, 8), (model.encode_document, 20)):
        assert np.abs(encode(TEXTS) - truncated_bert(bert, 3, TEXTS, length)).max() < 1e-5
