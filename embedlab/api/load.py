"""`embedlab.load`: a model as sentence-transformers has it."""

from pathlib import Path
from typing import Any

from embedlab.errors import UserError
from embedlab.models import composition, expressions


def load(
    name: str | Path,
    *,
    instruction: str = "",
    device: str | None = None,
    dtype: str = "auto",
    force: bool = False,
    trust_remote_code: bool = False,
) -> Any:
    """Load a model by its name.

    Args:
        name: a card's name (`embedlab models`), a hub id, a local folder, or
            `path/to/file.py:Class`; settings may follow, as in "base-mean?max_length=32".
        instruction: fills the query template of models that have one; by default that of a general
            search.
        device: torch device such as "cuda:1" or "cpu"; None takes a GPU where there is one.
        dtype: "float32", "bfloat16", "float16", or "auto", which chooses by the hardware.
        force: load a checkpoint that does not fit its model all the same.
        trust_remote_code: run the Python code that a model's folder or repository brings.

    Returns:
        A `SentenceTransformer`, `SparseEncoder`, `CrossEncoder` or `MultiVectorEncoder`. The
        prompts with which the model is measured in search are its `prompts`, so that `encode_query`
        and `encode_document` give the vectors that are measured (float32 `[n, d]`).

    Raises:
        UserError: the model is unknown, cannot be had offline, does not fit its checkpoint, or is
            no encoder.

    >>> model = embedlab.load("base-mean")
    >>> model.encode_query(["which drug lowers cholesterol"]).shape
    (1, 160)
    """
    from embedlab import corpus_index, models

    if not isinstance(name, str | Path) or name == "":
        raise UserError(f"{name!r} is no model's name.", "Type `embedlab models` for all.")
    name = str(name)
    if expressions.is_composed(name) or composition.find(name).method == "bm25":
        raise UserError(
            f"{name} gives no vectors.",
            f'Search with it: embedlab.Index.build(documents, model="{name}").search(...)',
        )
    loaded = models.load(
        name, device=device, dtype=dtype, force=force, trust_remote_code=trust_remote_code
    )
    encoder = loaded.encoder
    for role, arguments in corpus_index.prompts(
        loaded, instruction or corpus_index.INSTRUCTION
    ).items():
        encoder.prompts[role] = arguments["prompt"]
    return encoder
