"""Losses under a method's name give the values of the method's own code; see losses/README.md.

`python -m pytest tests/golden/test_losses.py` ends with the table.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import tables
import torch
import torch.nn.functional as F
from sentence_transformers.sparse_encoder.losses import FlopsLoss
from tokenizers import Tokenizer, models
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from embedlab.training import objectives, untrained
from embedlab.training.losses.contrastive import Mirror
from embedlab.training.losses.grl import GRL

HERE = Path(__file__).parent / "losses"
EXPECTED = json.loads((HERE / "expected.json").read_text())
SIZES = [(2, 4), (4, 8), (6, 16), (8, 32), (10, 48), (12, 64)]


def read(name):
    with np.load(HERE / f"{name}.npz") as found:
        return {key: torch.tensor(value) for key, value in found.items()}


def equals(name, value, wanted=None):
    wanted = EXPECTED[name] if wanted is None else wanted
    tables.loss(name, wanted, value.detach())
    assert float(value.detach()) == pytest.approx(wanted, rel=2e-6, abs=2e-7)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """The BERT of dupmae.npz with its own head, as a folder."""
    folder = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        vocab_size=400,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=16,
    )
    model = BertForMaskedLM(config)
    state = {
        key.removeprefix("state.lm."): value
        for key, value in read("dupmae").items()
        if ".lm." in key
    }
    assert model.load_state_dict(state, strict=False).unexpected_keys == []
    model.save_pretrained(folder)
    special = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
    }
    words = [*special.values(), "[MASK]", *(f"w{i}" for i in range(5, 400))]
    words[1:4] = "[UNK]", "[CLS]", "[SEP]"
    inside = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    PreTrainedTokenizerFast(
        tokenizer_object=inside, **special, mask_token="[MASK]"
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(bert):
    return untrained.build("encoder", bert, {"pooling": "cls"})


def layered(*layers, divided=1.0):
    """Columns query, positive, negative `[layers, 6, 64]`, as `layer_outputs` gives them."""
    found = read("layers")
    columns = [found["queries"], found["documents"][:, :6], found["documents"][:, 6:]]
    return [(column[list(layers)] / divided).requires_grad_() for column in columns]


def starbucks(model, task):
    return objectives.build("starbucks", model, {"pairs": SIZES, "task": task})


def test_starbucks_for_retrieval(model):
    columns = layered(*(layer for layer, _ in SIZES), divided=4)
    found = starbucks(model, "retrieval").compute_loss_from_embeddings(columns)
    equals("starbucks_retrieval", sum(found.values()))
    found["distillation"].backward()
    # The full size teaches.
    assert all(not column.grad[-1].any() and column.grad[:-1].any() for column in columns)


def test_starbucks_for_similarity(model):
    columns = layered(*(layer for layer, _ in SIZES))
    found = starbucks(model, "sts").compute_loss_from_embeddings(columns)
    equals("sts_rank", found["ranking"])
    equals("sts_kl", found["distillation"])
    found["distillation"].backward()
    assert all(column.grad[-1, :, :48].any() for column in columns)  # the full size learns as well
    assert not any(column.grad[-1, :, 48:].any() for column in columns)


@pytest.mark.parametrize(("layer", "dim"), [(3, 8), (9, 32)])
def test_2dmse(model, layer, dim):
    columns = layered(layer, 12)
    loss = objectives.build("2dmse", model, {})
    found = loss.compute_loss_from_embeddings(columns, layer=layer, dim=dim)
    equals(f"2dmse_{layer}_{dim}", sum(found.values()))
    found["divergence"].backward()
    assert all(column.grad[1].any() for column in columns)  # its teacher is not detached


@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_dupmae(model, kernel):
    given = read("dupmae")
    loss = objectives.build("dupmae", model, {})
    decoder = {
        key.removeprefix("state.c_head."): value
        for key, value in given.items()
        if ".c_head." in key
    }
    loss.decoder.load_state_dict(decoder)
    loss.encoder.set_attn_implementation(kernel)
    loss.decoder.attention.self.config._attn_implementation = kernel
    features = {"input_ids": given["ids"], "attention_mask": given["attention"]}
    found = loss.eval().terms(
        features, given["encoder_ids"], given["encoder_labels"], given["unseen"]
    )
    for name, key in (("dup_enc", "encoder"), ("dup_dec", "decoder"), ("dup_bow", "bag_of_words")):
        equals(name, found[key])
    equals("dup_total", sum(found.values()))


def test_smae(bert):
    given = read("dupmae")
    model = untrained.build("starbucks", bert, {"pairs": [(1, 16), (2, 64)], "task": "sts"})
    loss = objectives.build("smae", model, {}).eval()
    found = loss.terms(
        {"input_ids": given["ids"], "attention_mask": given["attention"]},
        (given["encoder_ids"], given["encoder_labels"]),
        (given["decoder_ids"], given["decoder_labels"]),
    )
    equals("smae_mlm", 2 * found["mlm"])
    equals("smae_total", sum(found.values()))
    first = model[0].model.encoder.layer[0]
    assert all(map(torch.equal, loss.decoder.state_dict().values(), first.state_dict().values()))
    assert not {id(one) for one in loss.decoder.parameters()} & {
        id(one) for one in first.parameters()
    }


def grl(miner="none"):
    class Projected(torch.nn.Module):
        def get_embedding_dimension(self):
            return 64

    return GRL(Projected(), miner=miner)


def test_grl_agreement_and_preference():
    given = read("grl")
    candidates = torch.cat([given["positive"], given["negatives"]], dim=1)
    cosines = F.cosine_similarity(given["query"][:, None], candidates, dim=-1).requires_grad_()
    likely = given["generation_logprobs"].requires_grad_()
    agreement = grl().agreement(cosines, likely)
    equals("grl_kl", agreement)
    agreement.backward()
    # How likely a text is generated is the target, and stays.
    assert cosines.grad.any() and likely.grad is None
    preference = grl().preference(likely)
    equals("grl_pref", preference)
    preference.backward()
    assert likely.grad[:, :2].all() and not likely.grad[:, 2:].any()  # the first negative alone


@pytest.mark.parametrize("miner", ["none", "pair-margin"])
def test_grl_contrast(miner):
    given = read("grl")
    columns = [given["query"], given["positive"][:, 0], *given["negatives"].unbind(1)]
    equals(
        f"grl_contrastive, {miner}",
        grl(miner).contrastive(columns),
        EXPECTED["grl_contrastive"][miner],
    )


@pytest.mark.parametrize("miner", ["none", "pair-margin", "multi-similarity"])
def test_grl_contrast_on_close_vectors(miner):
    """Close enough that the miners differ; the gradients say which pairs count."""
    given = EXPECTED["nt_xent"]
    query, positive, negatives = (
        torch.tensor(given[key]).requires_grad_() for key in ("query", "positive", "negatives")
    )
    found = grl(miner).contrastive([query, positive, *negatives.unbind(1)])
    equals(f"nt_xent, {miner}", found, given[miner]["loss"])
    norms = [
        gradient.norm().item()
        for gradient in torch.autograd.grad(found, [query, positive, negatives])
    ]
    assert norms == pytest.approx(given[miner]["gradient_norms"], abs=2e-6)


def test_nothing_mined_is_no_loss():
    far = torch.eye(8).requires_grad_()
    found = grl("pair-margin").contrastive([far[:2], far[2:4], far[4:6]])
    found.backward()
    assert found.item() == 0 and not far.grad.any()


def test_mirror_bert():
    given = read("mirror")
    equals("mirror_ntxent", Mirror(None).compute_loss_from_embeddings([given["a"], given["b"]]))
    close = EXPECTED["nt_xent"]
    views = [torch.tensor(close[key]).requires_grad_() for key in ("query", "positive")]
    found = Mirror(None).compute_loss_from_embeddings(views)
    equals("nt_xent, mirror", found, close["mirror"]["loss"])
    norms = [gradient.norm().item() for gradient in torch.autograd.grad(found, views)]
    assert norms == pytest.approx(close["mirror"]["gradient_norms"], abs=2e-6)


def test_identical_views_among_orthogonal_texts_have_no_floor():
    """One softmax over both copies of every text would leave ln 2."""
    assert Mirror(None).compute_loss_from_embeddings([torch.eye(8), torch.eye(8)]) < 1e-6


def test_flops():
    vectors = read("layers")["queries"][0].relu()
    equals("flops", FlopsLoss(None).compute_loss_from_embeddings(vectors))
