"""Perplexity of language models: transformers' own loss, a GEM before and after its training."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from embedlab import json_cache
from embedlab.evaluation import perplexity

TEXTS = [f"w{n} w{n + 1} w{3 * n} w{n + 7} q : w5" for n in range(1, 9)]
GEM = """
method = "gem"
base = "{base}"
dtype = "float32"
[settings]
tokens = 2
max_length = 16
[data]
path = "{pairs}"
[[stages]]
objective = "gem"
steps = 2
batch_size = 4
learning_rate = 1e-2
precision = "float32"
settings = {{ ntp_steps = 1 }}
lora = {{ rank = 2, alpha = 8, dropout = 0.0 }}
"""


@pytest.fixture
def texts(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS) + "\n\n")
    return file


@pytest.fixture
def measured(cli, home, texts):
    def call(*models, more=()):
        code, out, err = cli("perplexity", *models, "--texts", texts, "--json", *more)
        assert code == 0, err
        return [each["perplexity"] for each in json.loads(out)["perplexities"]]

    return call


@pytest.fixture
def gem(cli, home, small_base, tmp_path):
    """The folders of a GEM before and after a training of its adapters."""
    rows = [{"query": text[:12], "positive": text} for text in TEXTS]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "pairs.jsonl").write_text(lines)
    recipe = tmp_path / "gem.toml"
    recipe.write_text(GEM.format(base=small_base, pairs=tmp_path / "pairs.jsonl"))
    folders = tmp_path / "before", tmp_path / "after"
    for folder, more in zip(folders, (["--untrained"], []), strict=True):
        code, _, err = cli("train", recipe, "--out", folder, "--device", "cpu", *more)
        assert code == 0, err
    return folders


def test_it_is_that_of_transformers_own_loss(small_base, measured):
    tokenizer = AutoTokenizer.from_pretrained(small_base)
    model = AutoModelForCausalLM.from_pretrained(small_base)
    total = count = 0
    for text in TEXTS:
        ids = torch.tensor([tokenizer(text, max_length=6, truncation=True)["input_ids"]])
        if ids[0, -1] == tokenizer.eos_token_id:
            ids = ids[:, :-1]
        with torch.no_grad():
            total += float(model(ids, labels=ids).loss) * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    (found,) = measured(small_base, more=("--max-length", 6))
    assert found == pytest.approx(math.exp(total / count), rel=1e-5)


def test_a_gem_without_its_adapters_is_its_base_to_the_bit(small_base, gem, measured):
    before, after = gem
    base, untrained, trained = measured(small_base, before, after)
    assert untrained == base
    assert trained != base
    file = after / "adapter.safetensors"
    factors = load_file(file)
    save_file(
        {key: value * (not key.endswith(".B")) for key, value in factors.items()},
        file,
        metadata={"format": "pt"},
    )
    assert measured(after) == [base]


def test_what_was_measured_is_remembered_until_the_weights_change(
    small_base, measured, home, monkeypatch, tmp_path
):
    model = AutoModelForCausalLM.from_pretrained(small_base)
    own = tmp_path / "own"
    model.save_pretrained(own)
    AutoTokenizer.from_pretrained(small_base).save_pretrained(own)
    (first,) = measured(own)
    with monkeypatch.context() as patch:
        patch.setattr(perplexity, "of_model", lambda *_: pytest.fail("measured again"))
        assert measured(own) == [first]
    model.model.norm.weight.data *= 3
    model.save_pretrained(own)
    assert measured(own) != [first]
    assert len(json_cache.read(home / "perplexity.json")) == 2
    (home / "perplexity.json").write_text("{}")
    assert measured(small_base) == [first]


@pytest.mark.effect(
    "perplexity --texts",
    "perplexity --max-length",
    "perplexity --dtype",
    "perplexity --device",
    "perplexity --json",
)
def test_every_option(cli, home, small_base, texts):
    def measure(*more):
        code, out, err = cli("perplexity", small_base, "--texts", texts, "--json", *more)
        assert code == 0, err
        return json.loads(out)["perplexities"][0]

    plain, short = measure("--device", "cpu"), measure("--max-length", 3)
    rounded = measure("--dtype", "bfloat16")
    assert (plain["texts"], plain["source"]) == (len(TEXTS), texts.name)
    assert short["tokens"] < plain["tokens"]
    assert rounded["dtype"] == "bfloat16" and rounded["tokens"] == plain["tokens"]
    assert rounded["perplexity"] != plain["perplexity"]
    assert rounded["perplexity"] == pytest.approx(plain["perplexity"], rel=0.1)
    code, _, err = cli("perplexity", small_base, "--device", "cuda:99")
    assert code == 2 and "cuda:99" in err and "Traceback" not in err


def test_the_default_texts_are_the_same_each_time():
    found = perplexity.held_out()
    assert len(found) == perplexity.TEXTS and found == perplexity.held_out()


@pytest.mark.parametrize(
    ("model", "content", "says"),
    [
        ("bm25", "a b c", "bm25 cannot generate text"),
        ("all-minilm-l6-v2", "a b c", "all-minilm-l6-v2 cannot generate text"),
        ("smollm2-135m@layers=0", "a b c", "cannot be cut to '0' layers"),
        ("nowhere", "a b c", "Unknown model 'nowhere'"),
        ("BASE", "\n\n", "holds no text"),
        ("BASE", b"\xff\xfe", "is no text in UTF-8"),
        ("BASE", None, "There is no file"),
    ],
)
def test_what_cannot_be_measured_is_said(model, content, says, cli, home, small_base, tmp_path):
    file = tmp_path / "texts.txt"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    model = small_base if model == "BASE" else model
    code, _, err = cli("perplexity", model, "--texts", file, "--max-length", 3)
    assert code == 2 and says in err and "Traceback" not in err
    assert not (home / "perplexity.json").exists()
