"""Perplexity of a language model on held-out text: whether a model that was trained to embed still
writes (GEM, arXiv:2506.04344, keeps its language model).

exp of the mean negative log likelihood of the tokens, in nats. Each text is read from its start; a
token in front, where the tokenizer puts one there, is read and not predicted. Tokens that the model
may not generate (GEM's own) are no part of the distribution, so a model with them, and nothing
trained, has the perplexity of its base.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from embedlab import json_cache
from embedlab.errors import UserError
from embedlab.models import language_models
from embedlab.resources import home

MAX_LENGTH, TEXTS = 128, 100
SOURCE = "docstrings of the standard library"
_WORDS = 20  # of a docstring, at least


@dataclass(frozen=True)
class Perplexity:
    """What was measured, and on what."""

    model: str
    identity: str  # of the weights
    perplexity: float
    tokens: int  # that were predicted
    texts: int
    source: str
    digest: str  # of the texts
    max_length: int  # tokens of a text that are read
    dtype: str


def held_out() -> list[str]:
    """The texts that are read by default: docstrings of Python's standard library, which no shipped
    recipe trains on; always the same of one Python version.
    """
    from embedlab.tasks import stdlib

    known = {each.docstring for each in stdlib.library()}
    long = (text for text in known if len(text.split()) >= _WORDS)
    return sorted(long, key=lambda text: hashlib.sha256(text.encode()).hexdigest())[:TEXTS]


def read_texts(file: Path) -> list[str]:
    """The lines of a text file that are not empty.

    Raises:
        UserError: it is not there, no text, or empty.
    """
    try:
        found = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no text in UTF-8: {error}.", "Save it as UTF-8.") from error
    except FileNotFoundError as error:
        raise UserError(
            f"There is no file {file}.", "Give one with a text on each line."
        ) from error
    if not found:
        raise UserError(f"{file} holds no text.", "Give one with a text on each line.")
    return found


def measure(
    name: str,
    texts: Sequence[str] | None = None,
    *,
    source: str = SOURCE,
    max_length: int = MAX_LENGTH,
    device: str | None = None,
    dtype: str = "float32",
) -> Perplexity:
    """The perplexity of a model; measured once, and kept in EMBEDLAB_HOME/perplexity.json.

    Args:
        name: a base, a trained GEM, or another causal language model.
        texts: by default those of `held_out`.
        source: what they are, for people.
        max_length: tokens of each text that are read.
        device: torch device; None takes a GPU where there is one.
        dtype: of the weights.

    Raises:
        UserError: the model is unknown or does not generate, or the texts have no second token.
    """
    from embedlab.hardware import choose_device, choose_dtype

    texts = held_out() if texts is None else texts
    device = choose_device(device)
    dtype = choose_dtype(dtype, device)[0]
    if earlier := known(name, texts, max_length=max_length, dtype=dtype):
        return earlier
    loaded = language_models.load(name, device=device, dtype=dtype)
    value, tokens = of_model(loaded.model, loaded.tokenizer, texts, max_length)
    found = Perplexity(
        loaded.name,
        loaded.identity,
        value,
        tokens,
        len(texts),
        source,
        _digest(texts),
        max_length,
        dtype,
    )
    _keep(found)
    return found


def known(
    name: str,
    texts: Sequence[str] | None = None,
    *,
    max_length: int = MAX_LENGTH,
    dtype: str = "float32",
) -> Perplexity | None:
    """What was measured of a model before, with these very weights; None where nothing was."""
    _, _, weights = language_models.identify(name)
    texts = held_out() if texts is None else texts
    kept = _kept().get(_key(weights, _digest(texts), max_length, dtype))
    return None if kept is None else Perplexity(**kept)


def of_model(
    model: Any, tokenizer: Any, texts: Sequence[str], max_length: int
) -> tuple[float, int]:
    """Perplexity, and the number of tokens that were predicted.

    Args:
        model: a causal language model of transformers.

    Raises:
        UserError: no text has a second token.
    """
    import torch

    total, tokens = 0.0, 0
    silent = set(model.generation_config.suppress_tokens or [])
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
            if ids and ids[-1] == tokenizer.eos_token_id:
                ids = ids[:-1]  # put there by the tokenizer: no part of the text
            if len(ids) < 2:
                continue
            inputs = torch.tensor([ids], device=model.device)
            scores = model(inputs, attention_mask=torch.ones_like(inputs)).logits[0, :-1].float()
            if silent:
                spoken = [token for token in range(scores.shape[1]) if token not in silent]
                scores = scores[:, spoken].contiguous()
                places = {token: place for place, token in enumerate(spoken)}
                ids = [places.get(token, 0) for token in ids]
            wanted = torch.tensor(ids[1:], device=model.device)
            total += float(torch.nn.functional.cross_entropy(scores, wanted, reduction="sum"))
            tokens += len(ids) - 1
    if not tokens:
        raise UserError("No text has a second token to predict.", "Give longer texts.")
    return float(torch.tensor(total / tokens, dtype=torch.float64).exp()), tokens


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _key(weights: str, digest: str, max_length: int, dtype: str) -> str:
    return f"{weights} {digest} {max_length} {dtype}"


def _file() -> Path:
    return home() / "perplexity.json"


def _kept() -> dict[str, Any]:
    try:
        return json_cache.read(_file())
    except ValueError:  # damaged: it is measured again
        return {}


def _keep(found: Perplexity) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        key = _key(found.identity, found.digest, found.max_length, found.dtype)
        json_cache.write(file, _kept() | {key: asdict(found)})
