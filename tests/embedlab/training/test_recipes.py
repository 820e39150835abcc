"""Every shipped recipe runs from end to end on a tiny base:
its method, objectives, settings and adapters fit.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sentence_transformers import MultiVectorEncoder, SentenceTransformer, SparseEncoder
from small_pairs import QUERIES, TEXTS

from embedlab.encoders.modules.matryoshka import encode_views
from embedlab.encoders.trust import save_model
from embedlab.resources import DATA
from embedlab.training import untrained
from embedlab.training.recipe import read
from embedlab.training.training_run import train

RECIPES = sorted(path.stem for path in (DATA / "recipes").glob("*.toml") if path.stem != "packages")
ON_ENCODERS = ("encoder", "starbucks", "colbert")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, decoder):
    folder = tmp_path_factory.mktemp("teacher") / "dense"
    save_model(untrained.build("decoder", decoder, {"max_length": 24}), folder)
    return str(folder)


def in_small(recipe, decoder, encoder, pairs_file, teacher="any"):
    """`recipe` with everything that has a size made tiny, and nothing else changed."""
    settings = {**recipe.settings, "max_length": 24}
    settings |= {
        key: size
        for key, size in (("latents", 3), ("heads", 2), ("head_size", 8))
        if key in settings
    }
    if "context_encoder" in settings:
        settings["context_encoder"] = str(encoder)
    if recipe.method == "starbucks":
        settings["pairs"] = [[1, 8], [2, 16], [4, 32]]
    base = recipe.base
    if isinstance(base, str):
        base = str(encoder if recipe.method in ON_ENCODERS else decoder)
    else:
        small = {
            "hidden_size": 32,
            "intermediate_size": 16,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
        }
        small |= {"num_hidden_layers": min(2, base["num_hidden_layers"]), "vocabulary": 300}
        small |= {"tokenizer": str(decoder), "words": str(decoder)}
        base = base | {key: value for key, value in small.items() if key in base}
    data = {"path": str(pairs_file)}
    if recipe.data.get("negatives"):
        data["negatives"] = {"teacher": teacher, "number": 1, "ratio": 0.9999}
    stages = []
    for stage in recipe.stages:
        own = stage.settings | ({"dims": [8, 32]} if "dims" in stage.settings else {})
        more = {
            "negatives": data.get("negatives", {"teacher": teacher, "number": 1, "ratio": 0.9999})
        }
        stages.append(
            replace(
                stage,
                steps=2,
                batch_size=4,
                accumulate=1,
                settings=own,
                data=more if "negatives" in stage.data else {},
            )
        )
    return replace(recipe, base=base, settings=settings, data=data, stages=stages, dtype="float32")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_and_its_result_loads(
    name, tmp_path, decoder, encoder, pairs_file, teacher, home
):
    recipe = in_small(read(Path(name)), decoder, encoder, pairs_file, teacher)
    record = train(recipe, tmp_path / "out", device="cpu")
    assert len(record["final_loss"]) == len(recipe.stages) and all(
        loss > 0 for loss in record["final_loss"]
    )

    kinds = {"echo-splade": SparseEncoder, "colbert": MultiVectorEncoder}
    trained = kinds.get(recipe.method, SentenceTransformer)(str(tmp_path / "out"), device="cpu")
    vectors = encoded(trained)
    assert torch.isfinite(vectors).all()
    if isinstance(recipe.base, str):
        before = untrained.build(recipe.method, recipe.base, recipe.settings)
        assert before.state_dict().keys() == trained.state_dict().keys()
        # float32 on both sides, so that only training can make a difference.
        assert not torch.equal(encoded(before), vectors)


def encoded(model):
    """Vectors of three texts `[3, d]`; of a multi-vector encoder, those of all their tokens."""
    if isinstance(model, MultiVectorEncoder):
        return torch.cat(model.encode_document(TEXTS[:3]))
    return model.encode(TEXTS[:3], convert_to_tensor=True).to_dense()


def test_starbucks_keeps_its_sizes(tmp_path, decoder, encoder, pairs_file):
    recipe = in_small(read(Path("starbucks-mini")), decoder, encoder, pairs_file)
    train(recipe, tmp_path / "out", device="cpu")
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    assert {
        view.shape for view in encode_views(model, QUERIES[:2], [(1, 8), (4, 32)]).values()
    } == {(2, 8), (2, 32)}
