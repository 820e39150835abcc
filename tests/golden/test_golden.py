"""Each method against what its own published code computes on the same tiny checkpoint
(README.md beside this file).

`python -m pytest tests/golden` ends with the largest difference per method and batch size.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tables
import tiny
import torch

from embedlab.encoders import (
    echo,
    genc,
    gritlm,
    in_context,
    kalm,
    lens,
    lion,
    llm2vec,
    nv_embed,
    plain,
    pooling_and_attn,
    starbucks,
    stock,
)
from embedlab.encoders.modules.matryoshka import encode_views
from embedlab.encoders.modules.splade import to_csr

HERE = Path(__file__).parent
GIVEN = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))
TEXTS, TASK = GIVEN["texts"], GIVEN["instruction"]
SOME = [text for text in TEXTS if text]
LENGTH = 64
TOLERANCE = 1e-5
CPU = {"device": "cpu", "max_length": LENGTH}
CUT = CPU | {"keep_end": False}  # the originals cut end tokens off
# The empty text, and two without blanks, which the cut at words empties.
WITHOUT_TOKENS = [3, 18, 20]
EXAMPLES = [
    {"instruction": "Find the answer", "query": "what is judo", "response": "a martial art"},
    {"instruction": "Find the answer", "query": "42 cats", "response": "sat on the mat"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`folder(name)`: a checkpoint of tiny.py."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("golden")

    @cache
    def get(name: str) -> Path:
        if name in ("lens", "nv-embed"):
            return {"lens": tiny.write_lens, "nv-embed": tiny.write_nv_embed}[name](root / name)
        if not name.startswith("adapter"):
            return tiny.write(name, root / name)
        base = "llama3" if name == "adapter-llama3" else "mistral"
        written = tiny.write_adapter(root / name, get(base))
        return tiny.write_head(written, layers="layers" in name) if name in HEADS else written

    return get


HEADS = ("adapter-last", "adapter-layers")
ADAPTERS = {
    1: "adapter",
    2: "adapter-last",
    3: "adapter-layers",
    4: "adapter-last",
    5: "adapter-layers",
}


def pooling(variant: int):
    return lambda folder: pooling_and_attn.load(
        folder(ADAPTERS[variant]), base=folder("mistral"), variant=variant, heads=2, **CPU
    )


def llm(chat: str, base: str, adapter: str):
    return lambda folder: llm2vec.load(
        folder(adapter), base=folder(base), chat=chat, text_max_length=48, **CUT
    )


def generating(family: str, name: str):
    return lambda folder: genc.load(folder(name), family=family, **CUT)


# expected/FILE.npz, how the model is loaded, and per form its prompt and texts
DENSE = [
    *[
        (f"pooling-and-attn-{variant}", pooling(variant), {"d": None, "q": TASK}, TEXTS)
        for variant in ADAPTERS
    ],
    *[
        (
            f"genc-{family}",
            generating(of, name),
            {
                "q": f"{TASK}.",
                "d": f"{TASK}. Candidate:\n",
                "n": genc.PROMPTS["document"],
                "e": None,
            },
            TEXTS,
        )
        for family, of, name in (
            ("mistral", "mistral", "mistral"),
            ("llama", "llama-3", "llama3"),
            ("phi", "phi", "phi"),
        )
    ],
    *[
        (f"llm2vec-{chat}", llm(chat, base, adapter), {"d": None, "q": f"{TASK}:"}, TEXTS)
        for chat, base, adapter in (
            ("mistral", "mistral", "adapter"),
            ("llama-3", "llama3", "adapter-llama3"),
            ("plain", "mistral", "adapter"),
        )
    ],
    ("kalm", lambda folder: kalm.load(folder("qwen2"), **CPU), {"d": None}, SOME),
    (
        "kalm",
        lambda folder: kalm.load(folder("qwen2"), **CPU),
        {"q": f"Instruct: {TASK} \n Query: "},
        TEXTS,
    ),
    (
        "bge-en-icl",
        lambda folder: in_context.load(folder("icl"), **CPU),
        {"d_zero": None, "q_zero": f"<instruct>{TASK}\n<query>"},
        TEXTS,
    ),
    (
        "bge-en-icl",
        lambda folder: in_context.load(folder("icl"), examples=EXAMPLES, **CPU),
        {"q_two": f"<instruct>{TASK}\n<query>"},
        TEXTS,
    ),
    (
        "gritlm",
        lambda folder: gritlm.load(folder("mistral"), **CPU),
        {"d": "<|embed|>\n", "q": f"<|user|>\n{TASK}\n<|embed|>\n"},
        SOME,
    ),
    (
        "nv-embed",
        lambda folder: nv_embed.load(folder("nv-embed"), **CUT),
        {"d": None, "q": GIVEN["prompt"]},
        TEXTS,
    ),
    *[
        (
            "echo",
            lambda folder, mode=mode: echo.load(folder("mistral"), pooling=mode, **CPU),
            {f"d_{mode}": None, f"q_{mode}": TASK},
            TEXTS,
        )
        for mode in ("mean", "last")
    ],
    (
        "lens",
        lambda folder: lens.load(folder("lens"), **CUT),
        {"d": None, "q": f"<instruct>{TASK}\n<query>"},
        TEXTS,
    ),
    *[
        (
            "lion",
            lambda folder, kind=kind: lion.load(folder("llama3"), kind=kind, **CPU),
            {kind: None},
            TEXTS,
        )
        for kind in ("sparse", "dense")
    ],
    *[
        (
            "mirror",
            lambda folder, mode=mode: plain.load(
                folder("bert"), pooling=mode, max_length=50, pad=True, device="cpu"
            ),
            {mode: None},
            TEXTS,
        )
        for mode in ("cls", "mean")
    ],
    (
        "trans-encoder",
        lambda folder: plain.load(folder("bert"), pooling="cls", max_length=32, device="cpu"),
        {"d": None},
        TEXTS,
    ),
]


def compare(file: str, key: str, found: np.ndarray, batch_size: int) -> None:
    with np.load(HERE / "expected" / f"{file}.npz") as expected:
        wanted = expected[f"{key}_{batch_size}"]
    assert found.shape == wanted.shape
    # Sums over many tokens are large: what float32 rounds off grows with them.
    differences = np.abs(found - wanted) / np.maximum(1, np.abs(wanted))
    if batch_size > 1 and file == "llm2vec-plain":
        differences[WITHOUT_TOKENS] = 0  # the original pools the padding of the batch there
    tables.difference("tests/golden", file, batch_size, differences.max())
    assert differences.max() <= TOLERANCE, np.flatnonzero(
        differences.reshape(len(wanted), -1).max(1) > TOLERANCE
    )


@pytest.mark.parametrize("batch_size", [1, 21])
@pytest.mark.parametrize(
    ("file", "load", "prompts", "texts"), DENSE, ids=[f"{c[0]}-{'+'.join(c[2])}" for c in DENSE]
)
def test_vectors(folder, file, load, prompts, texts, batch_size):
    model = load(folder)
    for key, prompt in prompts.items():
        found = model.encode(texts, prompt=prompt, batch_size=batch_size)
        compare(
            file,
            key,
            found if isinstance(found, np.ndarray) else to_csr(found).toarray(),
            batch_size,
        )


@pytest.mark.parametrize("batch_size", [1, 21])
@pytest.mark.parametrize("mode", ["cls", "mean"])
def test_retromae(folder, mode, batch_size):
    model = plain.load(
        folder("bert"),
        pooling=mode,
        similarity="dot",
        query_length=32,
        document_length=144,
        device="cpu",
    )
    compare("retromae", f"q_{mode}", model.encode_query(TEXTS, batch_size=batch_size), batch_size)
    compare(
        "retromae", f"d_{mode}", model.encode_document(TEXTS, batch_size=batch_size), batch_size
    )


@pytest.mark.parametrize("batch_size", [1, 21])
@pytest.mark.parametrize("strategy", ["max", "sum"])
def test_splade(folder, strategy, batch_size):
    model = stock.load(folder("bert-words"), kind="sparse", device="cpu")
    model.max_seq_length, model[1].pooling_strategy = LENGTH, strategy
    compare(
        "splade", strategy, to_csr(model.encode(TEXTS, batch_size=batch_size)).toarray(), batch_size
    )


@pytest.mark.parametrize("batch_size", [1, 21])
def test_trans_encoder_s_pairs(folder, batch_size):
    model = stock.load(
        folder("bert-pairs"), kind="cross", device="cpu", num_labels=1, max_length=512
    )
    pairs = [(text, TEXTS[-1 - i]) for i, text in enumerate(TEXTS)]
    compare("trans-encoder", "pairs", model.predict(pairs, batch_size=batch_size), batch_size)


@pytest.mark.parametrize("batch_size", [1, 21])
def test_starbucks(folder, batch_size):
    pairs = [(1, 16), (2, 32), (3, 64)]
    for task, forms in (("retrieval", {"q": "query", "d": "document"}), ("sts", {"sts": None})):
        model = starbucks.load(folder("bert"), task=task, pairs=pairs, device="cpu")
        for form, role in forms.items():
            views = encode_views(
                model,
                TEXTS,
                [(n, 64) for n, _ in pairs],
                task=role,
                batch_size=batch_size,
                force=True,
            )
            for layer, _ in pairs:
                compare("starbucks", f"{form}_layer{layer}", views[layer, 64], batch_size)


@pytest.mark.parametrize("batch_size", [1, 21])
@pytest.mark.parametrize("mode", ["cls", "mean"])
def test_espresso(folder, mode, batch_size):
    model = plain.load(folder("bert"), pooling=mode, max_length=LENGTH, device="cpu")
    views = [(1, 16), (2, 32), (3, 64)]
    found = encode_views(model, TEXTS, views, batch_size=batch_size)
    for layer, size in views:
        compare("ese", f"{mode}_{layer}_{size}", found[layer, size], batch_size)


def test_a_head_trained_here_has_the_keys_of_the_original(folder, tmp_path):
    for variant, reads in ((2, "last_token"), (3, "last_of_layers"), (4, "tokens"), (5, "layers")):
        head = pooling_and_attn.TrainablePooling(64, 3, reads, 4, 2, 32)
        head.save(str(tmp_path))
        saved = torch.load(tmp_path / "attn_pool.pt", weights_only=True)
        with np.load(HERE / "expected" / f"pooling-and-attn-{variant}.npz") as golden:
            assert sorted(f"{key} {list(value.shape)}" for key, value in saved.items()) == list(
                golden["keys"]
            )
        assert set(saved) == set(tiny.head_weights(layers="layers" in reads))


def test_mntp(folder):
    from embedlab.training.losses.language import output_weight, token_loss

    model = llm2vec.load(folder("mistral"), language_model=True, **CPU)[0]
    with np.load(HERE / "expected" / "mntp.npz") as golden:
        masked, attention, labels = (
            torch.from_numpy(golden[key]) for key in ("masked", "attention", "labels")
        )
        states = model.states(attention, input_ids=masked).last_hidden_state
        loss = token_loss(states[:, :-1], labels[:, 1:], output_weight(model.model))
        tables.loss("mntp", golden["loss"], loss.item())
        assert loss.item() == pytest.approx(float(golden["loss"]), abs=TOLERANCE)
