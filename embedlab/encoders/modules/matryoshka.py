"""Matryoshka views: any (layer, dimension) of a model, all from one forward pass.

MRL (arXiv:2205.13147) trains prefixes of the vector, 2DMSE (arXiv:2402.14776) prefixes of the
vector at every layer. Their inference is one: cut the layers, take the pooled state, slice it.
Nothing is normalised in between.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device

from embedlab.encoders.modules.layers import (
    dimensions_of,
    layer_outputs,
    number_of_layers,
    slice_and_normalise,
)
from embedlab.errors import UserError

View = tuple[int, int]  # layer (from 1), dimension


_KEY = "matryoshka_views"  # in config.json


def declare_views(model: SentenceTransformer, pairs: Sequence[View]) -> None:
    """Note in the model's configuration, which is saved with it,
    the (layer, dimension) pairs it is trained for.

    Not in a module of its own: such a model would no longer load where embedlab is not installed.
    """
    setattr(model.config, _KEY, [list(pair) for pair in pairs])


def trained_views(model: SentenceTransformer) -> list[View] | Literal["any"]:
    """The pairs that the model declares; "any" where every layer and every dimension will do."""
    pairs = getattr(model.config, _KEY, None)
    return [tuple(pair) for pair in pairs] if pairs else "any"


def views_to_train(model: SentenceTransformer, pairs: Sequence[View] | None) -> list[View]:
    """The (layer, dimension) pairs given, else those that the model declares.

    Raises:
        UserError: neither names any.
    """
    found = pairs or trained_views(model)
    if isinstance(found, str):
        raise UserError(
            "This model names no (layer, dimension) pairs.",
            "Give them in the stage's settings: pairs = [[2, 32], [12, 768]].",
        )
    return [(layer, dim) for layer, dim in found]


def check_views(model: SentenceTransformer, views: Sequence[View], *, force: bool = False) -> None:
    """Refuse views the model was not trained for.

    Args:
        force: let pairs off the model's list pass; layers and dimensions it does not have are still
            refused.

    Raises:
        UserError: names the first such view and the valid ones.
    """
    depth, width = number_of_layers(model), dimensions_of(model)
    if wrong := [view for view in views if not (1 <= view[0] <= depth and 1 <= view[1] <= width)]:
        raise UserError(
            f"The model has no view of {wrong[0][1]} dimensions after layer {wrong[0][0]}.",
            f"Valid are layers 1 to {depth} and dimensions 1 to {width}.",
        )
    pairs = trained_views(model)
    if pairs == "any" or force:
        return
    if off := [view for view in views if tuple(view) not in pairs]:
        raise UserError(
            f"The model was not trained for {off[0][1]} dimensions after layer {off[0][0]}.",
            f"Valid (layer, dimension) pairs: {', '.join(f'{n}/{d}' for n, d in pairs)}. Force it"
            " to see it anyway.",
        )


@torch.inference_mode()
def encode_views(
    model: SentenceTransformer,
    texts: Sequence[str],
    views: Sequence[View],
    *,
    prompt: str | None = None,
    task: str | None = None,
    batch_size: int = 32,
    normalise: bool = False,
    force: bool = False,
) -> dict[View, np.ndarray]:
    """Encode `texts` once and give every asked view.

    Args:
        views: (layer, dimension) pairs.
        prompt: put before every text.
        task: "query" or "document", where the model treats them differently.
        normalise: L2-normalise after slicing.
        force: also views that the model was not trained for.

    Returns:
        per view float32 `[len(texts), dimension]`, equal to `truncate(model, layer)`'s output
        sliced.

    Raises:
        UserError: a view the model does not have, or was not trained for.
    """
    check_views(model, views, force=force)
    layers = sorted({layer for layer, _ in views})
    model.eval()
    batches = []
    for start in range(0, len(texts), batch_size):
        features = model.preprocess(
            list(texts[start : start + batch_size]), prompt=prompt, task=task
        )
        batches.append(
            layer_outputs(model, batch_to_device(features, model.device), layers).float().cpu()
        )
    states = torch.cat(batches, dim=1).numpy()
    return {
        (layer, dim): slice_and_normalise(states[layers.index(layer)], dim, normalise=normalise)
        for layer, dim in views
    }
