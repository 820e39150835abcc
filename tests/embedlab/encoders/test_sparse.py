"""SPLADE, Lion, LENS and Echo-Mistral-SPLADE against the formula, term by term."""

import json
import math
from itertools import chain

import numpy as np
import pytest
import torch
from checkpoints import TEXTS, tokenizer, write_adapter, write_backbone
from peft import PeftModel
from scipy.sparse import csr_matrix
from sentence_transformers import SentenceTransformer, SparseEncoder
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, BertConfig, BertForMaskedLM

from embedlab.encoders import echo_splade, lens, lion, stock
from embedlab.encoders.methods import recognise
from embedlab.encoders.modules.splade import LexicalHead, to_csr
from embedlab.errors import UserError

PROMPT = "<instruct>Given a question, retrieve passages\n<query>"
INSTRUCTIONS = ("<instruct>", "<query>", "<response>")


def by_formula(logits, pooled, scale=1.0):
    """log(1 + relu(scale * max logit)) per word over the pooled positions, one by one;
    `[L, |V|]` to `[|V|]`.
    """
    return [
        max([math.log1p(max(0.0, scale * float(logits[t, v]))) for t in pooled], default=0.0)
        for v in range(logits.shape[1])
    ]


def bidirectional_logits(model, head, ids):
    """Logits of a decoder whose mask is opened by hand: every token sees every other."""
    length = len(ids)
    mask = torch.zeros(1, 1, length, length)
    with torch.no_grad():
        return head(model(torch.tensor([ids]), attention_mask=mask).last_hidden_state)[0]


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return write_backbone(tmp_path_factory.mktemp("llama"), "llama", language_model=True)


@pytest.fixture(scope="module")
def lens_folder(tmp_path_factory):
    folder = write_backbone(
        tmp_path_factory.mktemp("lens"), "mistral", specials=INSTRUCTIONS, sliding_window=4
    )
    torch.manual_seed(1)
    head = torch.nn.Linear(64, 40, bias=False)
    torch.nn.init.normal_(head.weight)
    torch.save(head, folder / "lm_head.pth")
    return folder


@pytest.mark.parametrize("shift", [False, True])
def test_the_head_equals_the_formula(shift):
    torch.manual_seed(0)
    head = LexicalHead(8, 11, bias=True, scale=0.5, shift=shift)
    states = torch.randn(3, 6, 8) * 3
    mask = torch.tensor([[0, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]])
    with torch.no_grad():
        vectors = head({"token_embeddings": states, "pooling_mask": mask})["sentence_embedding"]
        logits = head.linear(states)
    pooled = {False: [[1, 2, 3], [3, 4, 5], []], True: [[0, 1], [2, 3], []]}[shift]
    expected = [by_formula(row, span, 0.5) for row, span in zip(logits, pooled, strict=True)]
    assert np.abs(vectors.numpy() - expected).max() < 1e-5


def test_the_head_in_steps_equals_the_head_at_once(monkeypatch):
    torch.manual_seed(0)
    head = LexicalHead(8, 11)
    features = {"token_embeddings": torch.randn(3, 7, 8), "pooling_mask": torch.ones(3, 7)}
    at_once = head(dict(features))["sentence_embedding"]
    monkeypatch.setattr("embedlab.encoders.modules.splade._LOGITS", 2 * 3 * 11)
    assert torch.equal(at_once, head(dict(features))["sentence_embedding"])
    at_once.sum().backward()
    assert head.linear.weight.grad.abs().sum() > 0


def test_a_published_splade_is_stock(tmp_path):
    """naver/splade-*: a BertForMaskedLM,
    which sentence-transformers itself pools as SPLADE does.
    """
    words = tokenizer("bert")
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    masked = BertForMaskedLM(BertConfig(vocab_size=len(words), **sizes)).eval()
    torch.nn.init.normal_(masked.bert.embeddings.word_embeddings.weight)
    masked.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    matrix = to_csr(stock.load(tmp_path, kind="sparse", device="cpu").encode(TEXTS))
    for text, row in zip(TEXTS, matrix.toarray(), strict=True):
        ids = words(text, return_tensors="pt")
        with torch.no_grad():
            logits = masked(**ids).logits[0]
        assert np.abs(row - by_formula(logits, range(len(logits)))).max() < 1e-5


def test_lion_scales_the_logits_and_sees_both_ways(llama):
    model = lion.load(llama, device="cpu")
    words = AutoTokenizer.from_pretrained(llama)
    causal = AutoModelForCausalLM.from_pretrained(llama).eval()
    for text, row in zip(TEXTS, to_csr(model.encode(TEXTS)).toarray(), strict=True):
        ids = [1, *words(text, add_special_tokens=False)["input_ids"]]  # BOS, no EOS
        assert model.preprocess([text])["input_ids"][0].tolist() == ids
        logits = bidirectional_logits(causal.model, causal.lm_head, ids)
        assert np.abs(row - by_formula(logits, range(len(ids)), scale=64**-0.25)).max() < 1e-5


def test_lion_merges_its_adapter_into_the_base_it_names(llama, tmp_path):
    base = AutoModelForCausalLM.from_pretrained(llama)
    adapter = write_adapter(tmp_path / "adapter", llama, seed=5, language_model=True)
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(llama)
    merged = PeftModel.from_pretrained(base, adapter).merge_and_unload().eval()
    model = lion.load(adapter, device="cpu")
    ids = model.preprocess(TEXTS[:1])["input_ids"][0].tolist()
    logits = bidirectional_logits(merged.model, merged.lm_head, ids)
    row = to_csr(model.encode(TEXTS[:1])).toarray()[0]
    assert np.abs(row - by_formula(logits, range(len(ids)), scale=64**-0.25)).max() < 1e-5


def test_dense_lion_averages_normalised_states(llama):
    model = lion.load(llama, kind="dense", device="cpu")
    assert isinstance(model, SentenceTransformer) and model.similarity_fn_name == "dot"
    backbone = AutoModel.from_pretrained(llama).eval()
    for text, vector in zip(TEXTS, model.encode(TEXTS), strict=True):
        ids = model.preprocess([text])["input_ids"][0].tolist()
        states = bidirectional_logits(backbone, torch.nn.Identity(), ids)
        unit = [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in states.tolist()]
        assert np.abs(vector - np.array(unit).mean(0)).max() < 1e-5


@pytest.mark.parametrize("prompt", [PROMPT, None])
def test_lens_pools_one_position_early(lens_folder, prompt):
    """Queries from <query> to the last but one of the text, documents from BOS; the prediction of
    EOS is left out.
    """
    model = lens.load(lens_folder, device="cpu")
    backbone = AutoModel.from_pretrained(lens_folder, sliding_window=None).eval()
    head = torch.load(lens_folder / "lm_head.pth", weights_only=False)
    words = AutoTokenizer.from_pretrained(lens_folder)
    vectors = to_csr(model.encode(TEXTS, prompt=prompt)).toarray()
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = [1, *words((prompt or "") + text, add_special_tokens=False)["input_ids"], 2]
        start = ids.index(words.convert_tokens_to_ids("<query>")) if prompt else 0
        raw = np.array(
            by_formula(bidirectional_logits(backbone, head, ids), range(start, len(ids) - 2))
        )
        assert np.abs(vector - raw / math.sqrt(sum(raw**2))).max() < 1e-5


def test_lens_keeps_its_end_token_and_pads_left(lens_folder):
    model = lens.load(lens_folder, max_length=24, device="cpu")
    features = model.preprocess(["weather " * 100, "a"], prompt=PROMPT[:30])
    assert features["input_ids"].shape == (2, 24)
    assert features["input_ids"][:, -1].tolist() == [2, 2]
    assert int(features["input_ids"][0, 0]) == 1
    assert features["attention_mask"][1].diff().min() >= 0


def test_lens_layout(lens_folder, tmp_path):
    assert recognise(lens_folder) == "lens"
    folder = write_backbone(tmp_path, "mistral")
    with pytest.raises(UserError, match=r"lm_head\.pth"):
        lens.load(folder, device="cpu")
    torch.save(torch.nn.Linear(32, 40), folder / "lm_head.pth")
    with pytest.raises(UserError, match="takes 32 dimensions, the model has 64"):
        lens.load(folder, device="cpu")


def test_a_pickled_head_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    folder = write_backbone(tmp_path / "model", "mistral")
    for head in (Evil(), torch.zeros(40, 64)):
        torch.save(head, folder / "lm_head.pth")
        with pytest.raises(UserError, match="holds something other than a linear layer"):
            lens.load(folder, device="cpu")
    assert not (tmp_path / "written").exists()


def test_echo_splade_pools_the_second_text_alone(llama):
    model = echo_splade.load(llama, device="cpu")
    words = AutoTokenizer.from_pretrained(llama)
    causal = AutoModelForCausalLM.from_pretrained(llama).eval()

    def pieces(*texts):
        return [words(text, add_special_tokens=False)["input_ids"] for text in texts]

    for text, row in zip(TEXTS, to_csr(model.encode_document(TEXTS)).toarray(), strict=True):
        parts = pieces("<s>Document:", text, "\nDocument again:", text, "</s>")
        ids = list(chain(*parts))
        with torch.no_grad():
            logits = causal(torch.tensor([ids])).logits[0]
        start = len(list(chain(*parts[:3])))
        assert np.abs(row - by_formula(logits, range(start, start + len(parts[3])))).max() < 1e-5


def test_a_retied_head_starts_from_the_words(llama):
    tied, plain = (echo_splade.load(llama, device="cpu", retie=retie) for retie in (True, False))
    words = tied[0].model.get_input_embeddings().weight
    head = tied[1].linear
    assert head.bias.unique().tolist() == [-3.0] and plain[1].linear.bias is None
    centred = words - words.mean(dim=0)
    size = tied[0].model.norm.weight.square().mean().sqrt()
    torch.testing.assert_close(
        head.weight, centred / (centred.std() * words.shape[1] ** 0.5 * size)
    )
    with torch.inference_mode():
        few, many = (
            (model.encode(["one two three"]).to_dense() > 0).sum() for model in (tied, plain)
        )
    assert few < many


@pytest.fixture(scope="module")
def every(llama, lens_folder):
    return {
        "lion": lion.load(llama, device="cpu"),
        "lens": lens.load(lens_folder, device="cpu"),
        "echo-splade": echo_splade.load(llama, device="cpu"),
    }


@pytest.mark.parametrize("name", ["lion", "lens", "echo-splade"])
def test_batches_and_the_round_trip(every, name, tmp_path):
    model = every[name]
    one, all_, turned = (
        to_csr(model.encode(texts, batch_size=size))
        for texts, size in ((TEXTS, 1), (TEXTS, 6), (TEXTS[::-1], 4))
    )
    assert abs(one - all_).max() < 1e-5
    assert abs(one - turned[::-1]).max() < 1e-5
    model.save(str(tmp_path))
    reloaded = SparseEncoder(str(tmp_path), device="cpu")
    assert abs(to_csr(reloaded.encode(TEXTS)) - all_).max() == 0
    assert reloaded.similarity_fn_name == "dot"
    assert model.encode("").to_dense().isfinite().all()


def test_csr_from_every_form():
    dense = torch.tensor([[0.0, 1.5, 0.0], [0.0, 0.0, 0.0], [2.0, 0.0, -1.0]])
    for form in (
        dense,
        dense.to_sparse_coo(),
        dense.to_sparse_csr(),
        dense.half(),
        dense.to_sparse_coo().bfloat16(),
    ):
        matrix = to_csr(form)
        assert isinstance(matrix, csr_matrix) and matrix.dtype == np.float32
        assert matrix.nnz == 3 and np.array_equal(matrix.toarray(), dense.numpy())
    assert to_csr(torch.zeros(0, 3)).shape == (0, 3)
