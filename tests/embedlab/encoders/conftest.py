"""Every LLM method on a tiny checkpoint, loaded once."""

import sys
from pathlib import Path

import pytest
import torch

# checkpoints.py and naive.py, for the tests beside them.
sys.path.insert(0, str(Path(__file__).parent))

import checkpoints
from transformers.utils import logging

from embedlab.encoders import (
    causal2vec,
    gem,
    genc,
    in_context,
    kalm,
    llm2vec,
    nv_embed,
    pooling_and_attn,
)

logging.disable_progress_bar()
torch.set_num_threads(1)  # on models this small, more threads only wait for each other

EXAMPLES = [
    {"instruction": "Find the answer", "query": "what is judo", "response": "a martial art"}
]
LLAMA_3 = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)


def _nv_embed(folder):
    return nv_embed.load(checkpoints.write_nv_embed(folder, shards=2), device="cpu", max_length=64)


def _causal2vec(folder):
    llm = checkpoints.write_backbone(folder / "llm", "llama")
    encoder = checkpoints.write_backbone(folder / "encoder", "bert", seed=1)
    return causal2vec.create(llm, encoder, device="cpu", max_length=64)


def _gem(folder, **settings):
    llm = checkpoints.write_backbone(folder, "llama", language_model=True)
    return gem.create(llm, tokens=3, device="cpu", max_length=64, **settings)


def _llm2vec(folder):
    base = checkpoints.write_backbone(folder / "base", "llama", specials=LLAMA_3)
    mntp = checkpoints.write_adapter(folder / "mntp", base, seed=1)
    supervised = checkpoints.write_adapter(folder / "supervised", base, seed=2)
    return llm2vec.load(
        supervised,
        base=base,
        adapters=[str(mntp)],
        chat="llama-3",
        device="cpu",
        max_length=64,
        text_max_length=40,
    )


def _genc(folder):
    base = checkpoints.write_backbone(folder, "llama", specials=LLAMA_3)
    return genc.load(base, family="llama-3", device="cpu", max_length=64)


def _kalm(folder):
    return kalm.load(
        checkpoints.write_backbone(folder, "qwen2", sliding_window=4), device="cpu", max_length=64
    )


def _in_context(folder):
    base = checkpoints.write_backbone(folder, "mistral")
    return in_context.load(base, examples=EXAMPLES, device="cpu", max_length=128)


def _pooling_and_attn(folder, variant=5):
    base = checkpoints.write_backbone(folder / "base", "mistral")
    adapter = checkpoints.write_adapter(folder / "adapter", base, seed=3)
    checkpoints.write_attn_pool(adapter, layers="layers" in pooling_and_attn.VARIANTS[variant][0])
    return pooling_and_attn.load(
        adapter, base=base, variant=variant, heads=2, device="cpu", max_length=64
    )


BUILDERS = {
    "nv-embed": _nv_embed,
    "causal2vec": _causal2vec,
    "gem-mean": _gem,
    "gem-concatenate": lambda folder: _gem(folder, pooling="concatenate"),
    "llm2vec": _llm2vec,
    "genc": _genc,
    "kalm": _kalm,
    "in-context": _in_context,
    **{
        f"pooling-and-attn-{v}": lambda folder, v=v: _pooling_and_attn(folder, v)
        for v in (1, 2, 3, 4, 5)
    },
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """`tiny(name)`: the method `name` of BUILDERS as a SentenceTransformer; not to be changed."""
    built = {}

    def get(name: str):
        if name not in built:
            built[name] = BUILDERS[name](tmp_path_factory.mktemp(name))
        return built[name]

    return get


@pytest.fixture(params=list(BUILDERS))
def every(request, tiny):
    """Each tiny model in turn, as (name, model)."""
    return request.param, tiny(request.param)
