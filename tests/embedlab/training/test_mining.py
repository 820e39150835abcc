"""Mined negatives: found by the laboratory's retrievers, guarded, the same again, and kept."""

import json
from itertools import zip_longest

import numpy as np
import pytest
import torch
from datasets import Dataset
from small_pairs import QUERIES, TEXTS

from embedlab.encoders.trust import save_model
from embedlab.errors import UserError
from embedlab.training import mining, untrained
from tests.embedlab.training.decoder_recipe import RECIPE

ROWS = Dataset.from_dict({"query": QUERIES, "positive": TEXTS})


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, decoder):
    folder = tmp_path_factory.mktemp("teacher") / "dense"
    torch.manual_seed(5)
    model = untrained.build("decoder", decoder, {"max_length": 32})
    save_model(model, folder)
    return str(folder), model.eval()


def cosines(model):
    queries, texts = (np.asarray(model.encode(each)) for each in (QUERIES, sorted(TEXTS)))
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (queries, texts)]
    return unit[0] @ unit[1].T


@pytest.mark.parametrize(
    "settings",
    [
        {"ratio": 0.999},
        {"ratio": 0.99},
        {"ratio": 0.999, "depth": 6, "number": 1},
        {"ratio": 0.999, "skip": 4},
        {"ratio": 0.999, "number": 3},
    ],
)
def test_negatives_are_those_of_the_rule(settings, teacher, home):
    """Every candidate by hand: ranked by cosine, within the depths, below the positive's share."""
    name, model = teacher
    given = {"number": 2, "depth": 16, "skip": 0} | settings
    scores, texts, wanted = cosines(model), sorted(TEXTS), []
    for query, (words, positive) in enumerate(zip(QUERIES, TEXTS, strict=True)):
        order = np.argsort(-scores[query], kind="stable")[given["skip"] : given["depth"]]
        limit = given["ratio"] * scores[query, texts.index(positive)]
        left = [texts[i] for i in order if texts[i] != positive and scores[query, i] <= limit]
        if len(left) >= given["number"]:
            wanted.append([words, positive, *left[: given["number"]]])
    if not wanted:
        with pytest.raises(UserError, match="No row has"):
            mining.mine(ROWS, teacher=name, **given)
        return
    found = mining.mine(ROWS, teacher=name, **given)
    assert [list(row.values()) for row in found] == wanted


def test_what_is_right_for_a_query_is_never_its_negative(teacher, home):
    name, _ = teacher
    right = {query: set(TEXTS[:8]) for query in QUERIES}
    found = mining.mine(ROWS, right, teacher=name, number=2, ratio=2.0, depth=16)
    for row in found:
        assert not {row["negative_1"], row["negative_2"]} & {*TEXTS[:8], row["positive"]}
    twice = Dataset.from_dict({"query": [QUERIES[0]] * 2, "positive": TEXTS[:2]})
    found = mining.mine(twice, None, TEXTS, teacher=name, number=5, ratio=2.0, depth=16)
    assert all(not {*list(row.values())[2:]} & {*TEXTS[:2]} for row in found) and len(found) == 2


def test_bm25_and_a_dense_model_take_turns(teacher, home):
    import retrievers

    name, model = teacher
    given = {"number": 4, "ratio": 9.0, "depth": 8}
    found = mining.mine(ROWS, teacher=name, retrievers=["bm25", name], **given)
    index = retrievers.make("lucene", k1=0.9, b=0.4).index(
        [str(i) for i in range(16)], sorted(TEXTS)
    )
    scores = cosines(model)
    for query, row in enumerate(found):
        found_rows = index.search([row["query"]], 8).rows[0].tolist()
        lexical = [sorted(TEXTS)[place] for place in found_rows if place >= 0]
        dense = [sorted(TEXTS)[i] for i in np.argsort(-scores[query], kind="stable")[:8]]
        turns = [each for pair in zip_longest(lexical, dense) for each in pair if each]
        wanted = [each for each in dict.fromkeys(turns) if each != row["positive"]][:4]
        assert list(row.values())[2:] == wanted


def test_bm25_guards_by_its_own_scores(home):
    found = mining.mine(ROWS, teacher="bm25", number=1, ratio=1.0, depth=16)
    assert len(found) > 4
    import retrievers

    index = retrievers.make("lucene", k1=0.9, b=0.4).index(
        [str(i) for i in range(16)], sorted(TEXTS)
    )
    for row in found:
        scored = {sorted(TEXTS)[int(id)]: s for id, s in index.search_one(row["query"], 16)}
        assert scored.get(row["negative_1"], 0) <= scored[row["positive"]] + 1e-5


def test_mined_rows_are_kept_and_found_again(teacher, home, monkeypatch):
    name, _ = teacher
    given = {"teacher": name, "number": 2, "ratio": 0.999, "depth": 16}
    first = mining.mine(ROWS, **given)
    with monkeypatch.context() as patch:
        patch.setattr(mining, "search", lambda *_: pytest.fail("mined again"))
        assert list(mining.mine(ROWS, **given)) == list(first)
    assert len(list((home / "training").glob("negatives-*.jsonl"))) == 1
    other = mining.mine(ROWS, **given | {"number": 1})
    assert other.column_names == ["query", "positive", "negative_1"]
    for file in (home / "training").glob("negatives-*.jsonl"):
        file.unlink()
    assert list(mining.mine(ROWS, **given)) == list(first)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ("number = 2", "has no teacher"),
        ('teacher = "no-such"', "Unknown model"),
        ('teacher = "TEACHER"\nnumbers = 2', "Unknown key in [data.negatives] 'numbers'"),
        ('teacher = "TEACHER"\nnumber = 0', "number is 0"),
        ('teacher = "TEACHER"\nskip = 50', "leave nothing"),
        ('teacher = "TEACHER"\nratio = 0', "leave nothing"),
        ('teacher = "TEACHER"\nretrievers = ["no-such"]', "Unknown model"),
        ('teacher = "TEACHER"\nratio = 1e-9', "No row has 7 negatives"),
    ],
)
def test_bad_tables_are_one_sentence(
    values, problem, teacher, cli, home, decoder, pairs_file, tmp_path
):
    path = tmp_path / "recipe.toml"
    values = values.replace("TEACHER", teacher[0])
    data = f'path = "{pairs_file}"\n[data.negatives]\n{values}'
    path.write_text(RECIPE.format(base=decoder, data=data, objective="focal"))
    code, _, err = cli("train", path, "--out", tmp_path / "out")
    assert code == 2 and problem in err and "Traceback" not in err, err


def test_a_recipe_with_mined_negatives(teacher, cli, home, decoder, pairs_file, tmp_path):
    path = tmp_path / "recipe.toml"
    values = f'teacher = "{teacher[0]}"\nnumber = 2\nratio = 0.999\ndepth = 16'
    data = f'path = "{pairs_file}"\n[data.negatives]\n{values}'
    path.write_text(RECIPE.format(base=decoder, data=data, objective="focal"))
    code, out, err = cli("train", path, "--out", tmp_path / "out", "--json")
    assert code == 0, err
    assert json.loads(out)["data"]["stage 1"]["rows"] > 0
