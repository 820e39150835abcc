"""The larger set of goldens beside the repository, on the real Mistral vocabulary; tests/golden has
its own without it.

`python -m pytest tests/golden` ends with the largest difference per method.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import tables

from embedlab.encoders import echo, genc, lens, llm2vec, nv_embed, plain, pooling_and_attn

SHARED = Path(__file__).parents[3] / "shared" / "golden"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the goldens in ../shared/golden")
TOLERANCE = 1e-5
CHECKPOINTS = SHARED / "checkpoints"
PROMPTS = (
    json.loads((SHARED / "texts.json").read_text())
    if SHARED.is_dir()
    else {"prompt": "", "instruction": ""}
)
TASK = PROMPTS["instruction"]
# Whole texts, padded to the longest, take ten seconds: what depends on the padding is seen on 64
# tokens too.
SIZES = {("nv", "d4096"): (21,), ("nv", "q4096"): (1,)}


def _variant(number, adapter):
    return lambda: pooling_and_attn.load(
        CHECKPOINTS / adapter,
        base=CHECKPOINTS / "mistral_pa",
        variant=number,
        heads=2,
        device="cpu",
    )


# file, key without the batch size, how the model is loaded, the prompt
CASES = [
    *[
        (
            "nv",
            f"{form}{length}",
            lambda length=length: nv_embed.load(
                CHECKPOINTS / "nv", max_length=length, keep_end=False, device="cpu"
            ),
            prompt,
        )
        for length in (4096, 64)
        for form, prompt in (("d", None), ("q", PROMPTS["prompt"]))
    ],
    *[
        (
            "echo",
            f"{form}_{pooling}",
            lambda pooling=pooling: echo.load(
                CHECKPOINTS / "mistral", pooling=pooling, device="cpu"
            ),
            prompt,
        )
        for pooling in ("mean", "last")
        for form, prompt in (("d", None), ("q", TASK))
    ],
    *[
        (
            "genc-mistral",
            form,
            lambda: genc.load(
                CHECKPOINTS / "mistral", family="mistral", keep_end=False, device="cpu"
            ),
            prompt,
        )
        for form, prompt in (
            ("q", f"{TASK}."),
            ("d", f"{TASK}. Candidate:\n"),
            ("n", ". Candidate:\n"),
        )
    ],
    *[
        (
            "lens",
            form,
            lambda: lens.load(CHECKPOINTS / "lens", keep_end=False, device="cpu"),
            prompt,
        )
        for form, prompt in (("d", None), ("q", f"<instruct>{TASK}\n<query>"))
    ],
    *[
        (
            "llm2vec-mistral",
            form,
            lambda: llm2vec.load(
                CHECKPOINTS / "adapter_mistral",
                base=CHECKPOINTS / "mistral_pa",
                chat="mistral",
                keep_end=False,
                device="cpu",
            ),
            prompt,
        )
        for form, prompt in (("d", None), ("q", f"{TASK}:"))
    ],
    *[
        (f"pa{number}", form, _variant(number, adapter), prompt)
        for number, adapter in (
            (1, "adapter_mistral"),
            (2, "pa4"),
            (3, "pa5"),
            (4, "pa4"),
            (5, "pa5"),
        )
        for form, prompt in (("d", None), ("q", TASK))
    ],
    *[
        (
            "mirror",
            pooling,
            lambda pooling=pooling: plain.load(
                CHECKPOINTS / "bert", pooling=pooling, max_length=50, pad=True, device="cpu"
            ),
            None,
        )
        for pooling in ("cls", "mean")
    ],
]


@pytest.mark.parametrize(
    ("file", "key", "load", "prompt"), CASES, ids=[f"{file}-{key}" for file, key, *_ in CASES]
)
def test_vectors_are_the_original_s(file, key, load, prompt):
    model = load()
    with np.load(SHARED / "expected" / f"{file}.npz") as expected:
        for batch_size in SIZES.get((file, key), (1, 21)):
            wanted = (
                expected[f"{key}_{batch_size}"]
                if f"{key}_{batch_size}" in expected
                else expected[key]
            )
            found = model.encode(PROMPTS["texts"], prompt=prompt, batch_size=batch_size)
            found = found if isinstance(found, np.ndarray) else found.to_dense().numpy()
            difference = np.abs(found - wanted).max()
            tables.difference("../shared", file, batch_size, difference)
            assert difference <= TOLERANCE
