"""Each loss: its value by its formula, its shapes, and where its gradients go."""

import math

import pytest
import torch
import torch.nn.functional as F
from small_pairs import QUERIES, TEXTS

from embedlab.training import objectives, untrained
from embedlab.training.losses import autoencoding, language, masking
from embedlab.training.losses.autoencoding import DupMAE
from embedlab.training.losses.contrastive import info_nce
from embedlab.training.losses.gem_losses import GEM
from embedlab.training.losses.grl import GRL
from embedlab.training.losses.starbucks_losses import Starbucks
from embedlab.training.losses.two_dimensional import TwoDimensional

PAIRS = [(1, 8), (2, 16), (4, 32)]


def columns(model, *texts):
    return [model.preprocess(list(column)) for column in texts]


def total(loss):
    return sum(loss.values()) if isinstance(loss, dict) else loss


def with_gradient(module):
    return {
        name
        for name, one in module.named_parameters()
        if one.grad is not None and one.grad.abs().sum() > 0
    }


def by_hand(queries, documents, scale):
    """InfoNCE with two loops."""
    losses = []
    for i in range(len(queries)):
        scores = [
            scale * F.cosine_similarity(queries[i], document, dim=0) for document in documents
        ]
        losses.append(-scores[i] + torch.logsumexp(torch.stack(scores), 0))
    return torch.stack(losses).mean()


@pytest.fixture
def dense(decoder):
    return untrained.build("decoder", decoder, {"language_model": True, "max_length": 48})


@pytest.fixture
def starbucks(encoder):
    return untrained.build("starbucks", encoder, {"pairs": PAIRS, "task": "sts"}).eval()


def test_info_nce_equals_two_loops():
    queries, documents = torch.randn(3, 6), torch.randn(5, 6)
    assert torch.allclose(
        info_nce(queries, documents, 20.0), by_hand(queries, documents, 20.0), atol=1e-5
    )


def test_own_negatives_ignore_the_rest_of_the_batch(dense):
    loss = objectives.build("contrastive", dense, {"in_batch": False, "scale": 20.0})
    query, positive, negative = (torch.randn(4, 8) for _ in range(3))
    together = loss.compute_loss_from_embeddings([query, positive, negative])
    alone = [
        loss.compute_loss_from_embeddings(
            [query[i : i + 1], positive[i : i + 1], negative[i : i + 1]]
        )
        for i in range(4)
    ]
    assert torch.allclose(together, torch.stack(alone).mean())
    with pytest.raises(ValueError, match="column of negatives"):
        loss.compute_loss_from_embeddings([query, positive])


def test_starbucks_sums_ranking_and_divergence_over_its_sizes(starbucks):
    features = columns(starbucks, QUERIES[:4], TEXTS[:4])
    loss = Starbucks(starbucks, scale=2.0)
    found = loss(features)
    from embedlab.encoders.modules.matryoshka import encode_views

    query, document = (
        {
            pair: torch.tensor(view)
            for pair, view in encode_views(starbucks, texts[:4], PAIRS).items()
        }
        for texts in (QUERIES, TEXTS)
    )
    scores = {pair: 2 * query[pair] @ document[pair].T for pair in PAIRS}
    targets = torch.arange(4)
    ranking = sum(F.cross_entropy(score, targets) for score in scores.values())
    teacher = scores[4, 32].softmax(-1)
    divergence = sum(
        (teacher * (teacher.log() - scores[pair].log_softmax(-1))).sum(-1).mean()
        for pair in PAIRS[:-1]
    )
    assert torch.allclose(found["ranking"], ranking, rtol=1e-4)
    assert torch.allclose(found["distillation"], divergence, rtol=1e-3)


def test_starbucks_distillation_does_not_teach_the_teacher(starbucks):
    found = Starbucks(starbucks)(columns(starbucks, QUERIES[:4], TEXTS[:4]))
    found["distillation"].backward()
    layers = {
        int(name.split("layer.")[1].split(".")[0])
        for name in with_gradient(starbucks)
        if "encoder.layer" in name
    }
    assert layers == {0, 1}  # sizes end at layers 1 and 2; only the full size reads layers 3 and 4


def test_2dmse_by_its_formula(encoder):
    model = untrained.build("encoder", encoder, {"pooling": "mean"}).eval()
    loss = TwoDimensional(model, dims=[8], scale=20.0)
    torch.manual_seed(3)
    found = loss(columns(model, QUERIES[:4], TEXTS[:4]))
    torch.manual_seed(3)
    m = int(torch.randint(1, 4, ()))
    from embedlab.encoders.modules.matryoshka import encode_views

    query, document = (
        encode_views(model, texts[:4], [(m, 32), (4, 32)]) for texts in (QUERIES, TEXTS)
    )
    query, document = (
        {view: torch.tensor(v) for view, v in views.items()} for views in (query, document)
    )

    def nce(layer, dim):
        return by_hand(query[layer, 32][:, :dim], document[layer, 32][:, :dim], 20.0)

    student, teacher = (torch.cat([query[layer, 32], document[layer, 32]]) for layer in (m, 4))
    divergence = F.kl_div(student.log_softmax(-1), teacher.softmax(-1), reduction="batchmean")
    expected = (
        nce(4, 32) + nce(m, 32) / m + math.log(2 + m) * divergence + nce(4, 8) + nce(m, 8) / m
    )
    assert torch.allclose(total(found), expected, rtol=1e-4)


def test_2dmse_never_draws_the_embeddings_or_the_last_layer(encoder, monkeypatch):
    model = untrained.build("encoder", encoder, {"pooling": "mean"})
    seen = set()
    from embedlab.training.losses import two_dimensional

    real = two_dimensional.layer_outputs
    monkeypatch.setattr(
        two_dimensional,
        "layer_outputs",
        lambda m, f, layers: seen.add(layers[0]) or real(m, f, layers),
    )
    loss = TwoDimensional(model)
    assert loss.dims == [8, 16]
    features = columns(model, QUERIES[:2], TEXTS[:2])
    for _ in range(40):
        loss(features)
    assert seen == {1, 2, 3}


@pytest.fixture
def gem(decoder):
    return untrained.build("gem", decoder, {"tokens": 2, "max_length": 48})


def test_gem_moves_from_next_token_to_contrast(gem):
    loss = GEM(gem, ntp_steps=2, ramp=2)
    alphas = []
    for step in range(6):
        loss.on_step(step, 6)
        alphas.append(loss.alpha)
    assert alphas == [0, 0, 0.5, 1, 1, 1]
    features = columns(gem, TEXTS[:4])
    assert set(loss(features)) == {"contrastive"}
    loss.on_step(0, 6)
    assert set(loss(features)) == {"ntp"}


def test_gem_suffix_learns_of_the_prefix_through_the_special_tokens_only(gem):
    """The gradient of a suffix token's loss with respect to the prefix's embeddings goes to zero
    when the special tokens' values are cut off: here, by the mask itself with no special tokens at
    all.
    """
    from embedlab.encoders.gem import training_mask

    backbone = gem[0].backbone
    embeddings = torch.randn(1, 7, 32, requires_grad=True)
    for special, reaches in ((0, False), (2, True)):
        mask = training_mask(3, special, 4 - special)[None, None]
        positions = torch.arange(7)[None]
        out = backbone(
            inputs_embeds=embeddings, attention_mask=mask, position_ids=positions
        ).last_hidden_state
        gradient = torch.autograd.grad(out[0, -1].sum(), embeddings)[0]
        assert bool(gradient[0, :3].abs().sum() > 0) == reaches


def test_gem_special_tokens_are_no_targets(gem):
    loss = GEM(gem, raw=0.0, reconstruction=0.0)
    ids = torch.arange(10, 20)
    special = torch.tensor(loss._end_ids(gem[0]))
    for _ in range(20):
        row, mask, target = loss._arranged(ids, special)
        assert len(row) == len(target) == 12 and mask.shape == (12, 12)
        assert torch.equal(row[~torch.isin(row, special)], ids)
        assert not torch.isin(target, special).any()
    loss.reconstruction = 1.0
    row, _, _ = loss._arranged(ids, special)
    assert torch.equal(row, torch.cat([ids[:5], special, ids[:5]]))


def test_gem_learns_its_temperature_within_bounds(gem):
    loss = GEM(gem, ntp_steps=0)
    assert math.isclose(loss.scale.item(), 20, rel_tol=1e-5)
    loss.on_step(0, 1)
    total(loss(columns(gem, TEXTS[:4]))).backward()
    assert loss.log_scale.grad.abs() > 0
    loss.log_scale.data.fill_(9.0)
    assert math.isclose(loss.scale.item(), 100, rel_tol=1e-5)
    loss.log_scale.data.fill_(-3.0)
    assert loss.scale.item() == 1


def test_next_token_is_the_models_own_loss(dense):
    features = columns(dense, TEXTS[:3])
    ids, mask = features[0]["input_ids"], features[0]["attention_mask"]
    found = language.NextToken(dense)(features)
    expected = (
        dense[0].model(ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
    )
    assert torch.allclose(found, expected, rtol=1e-4)


def test_masked_next_token_predicts_from_the_position_before(decoder):
    model = untrained.build("llm2vec", decoder, {"max_length": 48})
    loss = language.MaskedNextToken(model, share=0.3, all_masked=True)
    assert loss.mask_id == model.tokenizer.get_vocab()["_"]
    features = columns(model, TEXTS[:3])
    torch.manual_seed(0)
    found = loss(features)
    torch.manual_seed(0)
    ids, mask = features[0]["input_ids"], features[0]["attention_mask"]
    hidden, targets = masking.mask_tokens(ids, mask, 0.3, loss.mask_id, model.tokenizer)
    states = model[0].states(mask, input_ids=hidden).last_hidden_state
    rows = [
        F.cross_entropy(
            model[0].model.get_input_embeddings().weight @ states[b, t - 1], targets[b, t]
        )
        for b, t in (targets != masking.IGNORED).nonzero().tolist()
    ]
    assert torch.allclose(found, torch.stack(rows).mean(), rtol=1e-4)


def test_masking_spares_special_tokens_and_padding(tokenizer):
    ids = torch.full((200, 10), 50)
    ids[:, 0], ids[:, -1] = tokenizer.bos_token_id, tokenizer.pad_token_id
    mask = (ids != tokenizer.pad_token_id).long()
    hidden, targets = masking.mask_tokens(
        ids, mask, 0.4, tokenizer.mask_token_id, tokenizer, keep=0.2
    )
    predicted = targets != masking.IGNORED
    assert not predicted[:, [0, -1]].any() and abs(predicted[:, 1:-1].float().mean() - 0.4) < 0.05
    masked = (hidden[predicted] == tokenizer.mask_token_id).float().mean()
    assert abs(masked - 0.8) < 0.05
    assert torch.equal(hidden[~predicted], ids[~predicted])


@pytest.mark.parametrize("name", ["smae", "dupmae", "masked-token"])
def test_auto_encoding_reaches_encoder_decoder_and_head(starbucks, name):
    loss = objectives.build(name, starbucks, {})
    found = loss(columns(starbucks, TEXTS[:4]))
    total(found).backward()
    reached = with_gradient(loss)
    wanted = ["head.dense.weight", "word_embeddings", "layer.0."]
    wanted += (
        ["decoder.attention", "decoder.intermediate.dense.weight"] if name != "masked-token" else []
    )
    assert all(any(part in one for one in reached) for part in wanted)
    assert torch.isfinite(total(found))


def test_smae_reads_the_head_by_its_first_columns(starbucks):
    head = language.MaskedHead(torch.randn(50, 32))
    narrow = torch.randn(2, 8)
    assert torch.allclose(head(narrow), head(F.pad(narrow, (0, 24))), atol=1e-6)


def test_dupmae_decoder_sees_cls_always_and_itself_never(starbucks):
    loss = DupMAE(starbucks, decoder_share=0.5)
    mask = torch.ones(40, 12, dtype=torch.bool)
    mask[0, 8:] = False
    ids = torch.full(mask.shape, int(loss.starts.nonzero()[0]))
    unseen = loss._unseen(masking.number_words(ids, autoencoding._inner(mask), loss.starts), mask)
    assert unseen.shape == (40, 12, 12) and not unseen[:, :, 0].any()
    assert unseen.diagonal(dim1=1, dim2=2)[:, 1:].all() and unseen[0, :, 8:].all()
    assert not unseen[1:, :11, 11].any() and not unseen[0, :7, 7].any()  # [SEP] is seen as well
    # Half of the text's 12 tokens, from CLS that counts as one.
    assert set(unseen[1:, 0].sum(-1).tolist()) == {6}
    restored = loss(columns(starbucks, TEXTS[:3]))["decoder"]
    cls_only = torch.autograd.grad(
        restored, starbucks[0].model.encoder.layer[-1].output.dense.weight
    )[0]
    assert cls_only.abs().sum() > 0  # the decoder's loss trains the encoder, through CLS


def test_grl_likelihood_and_gradients(decoder):
    model = untrained.build("genc", decoder, {"max_length": 48}).eval()
    loss = GRL(model)
    query, document = columns(model, QUERIES[:3], TEXTS[:3])
    total_, mean = loss.log_likelihood(query, document)
    # One row by hand: a causal pass over query and document without padding.
    i = 1
    ids = [
        features["input_ids"][i][features["attention_mask"][i].bool()]
        for features in (query, document)
    ]
    row = torch.cat(ids)[None]
    causal = torch.ones(len(row[0]), len(row[0]), dtype=torch.bool).tril()[None, None]
    states = (
        model[0]
        .backbone(row, attention_mask=causal, position_ids=torch.arange(len(row[0]))[None])
        .last_hidden_state
    )
    logits = (states @ model[0].model.get_input_embeddings().weight.T).log_softmax(-1)[0]
    begin = len(ids[0])
    expected = sum(logits[begin + t - 1, token] for t, token in enumerate(ids[1]))
    assert torch.allclose(total_[i], expected, rtol=1e-4)
    before = sum(logits[t - 1, token] for t, token in enumerate(ids[0]) if t)
    assert torch.allclose(mean[i], (before + expected) / (len(row[0]) - 1), rtol=1e-4)

    found = loss([query, document])
    assert set(found) == {"contrastive", "preference", "agreement"}
    found["preference"].backward()
    assert "projector.0.weight" not in with_gradient(loss)
    total(loss([query, document])).backward()
    assert "projector.0.weight" in with_gradient(loss)


def test_matryoshka_and_splade_build(encoder, decoder):
    model = untrained.build("encoder", encoder, {"pooling": "mean"})
    loss = objectives.build("matryoshka", model, {"dims": [8, 32]})
    assert total(loss(columns(model, QUERIES[:4], TEXTS[:4]), None)).requires_grad
    sparse = untrained.build("echo-splade", decoder, {"max_length": 24})
    loss = objectives.build("splade", sparse, {"query_weight": 0.1, "document_weight": 0.2})
    found = loss(columns(sparse, QUERIES[:4], TEXTS[:4]), None)
    document = sparse(sparse.preprocess(TEXTS[:4]))["sentence_embedding"]
    flops = (document.abs().mean(0) ** 2).sum()
    assert torch.allclose(found["document_regularizer_loss"], 0.2 * flops, rtol=1e-3)


def test_mirrored_texts_lose_five_characters_where_they_are_long(pairs_file):
    """As github.com/cambridgeltl/mirror-bert:
    texts below 30 characters stay, the mask stands between blanks.
    """
    from datasets import Dataset

    long = "".join(chr(ord("a") + i % 26) for i in range(60))
    rows = objectives.arrange(
        Dataset.from_dict({"text": ["short text", long]}), "mirrored", mask_token="[MASK]"
    )
    (same, masked), (first, second) = rows["positive"], rows["query"]
    assert (first, second, same) == ("short text", long, "short text")
    left, right = masked.split(" [MASK] ")
    assert len(left) + len(right) == 55 and long.startswith(left) and long.endswith(right)


@pytest.mark.parametrize(("settings", "kept"), [({}, 0.2), ({"all_masked": True}, 0.0)])
def test_mntp_masks_as_llm2vec_does(decoder, settings, kept, monkeypatch):
    """80/10/10 for Llamas, masks alone for Mistral."""
    model = untrained.build("llm2vec", decoder, {"max_length": 48})
    seen = []
    real = language.mask_tokens
    monkeypatch.setattr(
        language, "mask_tokens", lambda *a: seen.append((a[0], real(*a))) or seen[-1][1]
    )
    loss = objectives.build("masked-next-token", model, {"share": 0.9, **settings})
    for _ in range(20):
        loss(columns(model, TEXTS))
    ids, hidden, targets = (
        torch.cat([x.flatten() for x in one])
        for one in zip(*((i, *r) for i, r in seen), strict=True)
    )
    predicted = targets != masking.IGNORED
    assert abs((hidden[predicted] != loss.mask_id).float().mean() - kept) < 0.03
    assert torch.equal(hidden[~predicted], ids[~predicted])
