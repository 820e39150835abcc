"""`embedlab.evaluate`: the same numbers as the command line's
and mteb's, whatever a model is given as.
"""

import inspect
import json
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import typer

import embedlab
from embedlab import cli
from embedlab.errors import UserError
from embedlab.evaluation.request import Request
from embedlab.options import GROUPS
from tests.oracles import task_types


def evaluate(models, tasks, **options):
    return embedlab.evaluate(models, tasks, progress=False, **options)


def only(frame: pd.DataFrame) -> float:
    (value,) = frame["value"]
    return value


@pytest.mark.parametrize(
    "each",
    [each for group in GROUPS.values() for each in fields(group)],
    ids=lambda each: each.name,
)
def test_every_option_is_in_python_on_the_command_line_and_in_the_record(each):
    parameter = inspect.signature(embedlab.evaluate).parameters[each.name]
    assert parameter.default == each.default
    assert f"\n        {each.name}: " in embedlab.evaluate.__doc__
    typed = each.metadata["flag"] or f"--{each.name.replace('_', '-')}"
    command = typer.main.get_command(cli_app()).commands["eval"]
    assert typed in {flag for option in command.params for flag in option.opts}
    recorded = Request.of(["m"], ["t"]).plain()
    assert each.name in {**recorded, **recorded["encoding"]}


@pytest.mark.parametrize(
    "each",
    [each for group in GROUPS.values() for each in fields(group)],
    ids=lambda each: each.name,
)
def test_an_option_of_another_type_is_refused_before_any_work(each):
    with pytest.raises(UserError, match=each.metadata["flag"] or each.name.replace("_", "-")):
        Request.of(["m"], ["t"], **{each.name: {}.keys})
    if each.metadata["least"]:
        with pytest.raises(UserError, match="there is no such number"):
            Request.of(["m"], ["t"], **{each.name: each.metadata["least"] - 1})


def test_a_single_value_stands_for_a_list_and_numpys_numbers_for_pythons():
    views = Request.of(
        ["m"], ["t"], indexes="torch", dims=np.array([8, 16, 8]), layers=2, precisions="int8"
    ).views
    assert (views.indexes, views.dims) == (("torch",), (8, 16))
    assert (views.layers, views.precisions) == ((2,), ("int8",))


@pytest.mark.parametrize("name", ["", None, 5])
def test_what_is_no_model_is_refused(name):
    with pytest.raises(UserError):
        embedlab.load(name)
    with pytest.raises(UserError):
        embedlab.evaluate(name, "StdlibMiniCodeSearch", progress=False)


def test_it_takes_nothing_else():
    known = {each.name for group in GROUPS.values() for each in fields(group)}
    assert set(inspect.signature(embedlab.evaluate).parameters) == known | {
        "models",
        "tasks",
        "db",
        "progress",
    }


def cli_app():
    cli.app.registered_commands.clear()
    cli.app.registered_groups.clear()
    cli._register()
    return cli.app


def test_by_name_it_is_the_command_line(cli, home, corner, tiny_folder, tmp_path):
    code, out, err = cli(
        "eval", "-m", tiny_folder, "-t", corner, "--dims", "8,32", "--json", "--db", tmp_path / "a"
    )
    assert code == 0, err
    found = evaluate(str(tiny_folder), corner, dims=[8, 32], db=tmp_path / "b")
    typed = {run["dim"]: run["main_score"] for run in json.loads(out)["runs"]}
    assert dict(zip(found.scores()["dim"], found.scores()["value"], strict=True)) == typed
    assert len(set(typed.values())) == 2
    # Nothing else is in this store.
    pd.testing.assert_frame_equal(
        embedlab.results(tmp_path / "b").scores(), found.scores(), check_like=True
    )


def test_a_model_of_sentence_transformers_has_all_its_views(
    home, corner, sentence_model, tiny_folder
):
    sentence_model.tokenizer.padding_side = "left"
    views = {"layers": [None, 1], "dims": [None, 8], "precisions": ["float32", "int8"]}
    of_object = evaluate({"mine": sentence_model}, corner, **views).scores()
    of_folder = evaluate(str(tiny_folder), corner, dtype="float32", **views).scores()
    assert len(of_object) == 8 and set(of_object["model"]) == {"mine"}
    key = ["layer", "dim", "precision"]
    both = of_object.merge(of_folder, on=key, suffixes=("", "_folder"))
    assert len(both) == 8 and (both["value"] == both["value_folder"]).all()
    assert sentence_model.tokenizer.padding_side == "left", "the object itself stays as it is"


def test_changed_weights_are_another_model(home, corner, sentence_model):
    import torch

    first = evaluate({"mine": sentence_model}, corner).scores()
    with torch.no_grad():
        sentence_model[0].model.embeddings.word_embeddings.weight.neg_()
    second = evaluate({"mine": sentence_model}, corner).scores()
    assert first["model_revision"].tolist() != second["model_revision"].tolist()


def test_a_function_is_a_model_and_its_vectors_are_never_kept(
    home, corner, sentence_model, tiny_folder
):
    def mine(texts):
        return scale * sentence_model.encode(texts) + shift

    scale, shift = 2.0, 0.0
    expected = only(evaluate(str(tiny_folder), corner, dtype="float32").scores())
    there = sorted(home.glob("vectors/*"))
    found = evaluate(mine, corner, dims=[None, 8], indexes=["torch", "faiss:hnsw8"])
    scores = found.scores().set_index(["dim", "index"])["value"]
    assert len(scores) == 4 and scores[32, "torch"] == pytest.approx(expected, abs=1e-6)
    shift = np.random.default_rng(0).normal(size=32)  # the same name, another function
    changed = evaluate(mine, corner)
    assert only(changed.scores()) != scores[32, "torch"]
    assert set(changed.scores()["model_revision"]).isdisjoint(found.scores()["model_revision"])
    assert sorted(home.glob("vectors/*")) == there
    run = changed.store.run(changed.scores()["run_id"][0])
    assert (
        run.model.name == "mine"
        and "tokens_per_second" not in run.costs
        and run.costs["encode_seconds"] > 0
    )


def test_an_object_encodes_queries_and_documents_by_their_own_methods(
    home, corner, mirror, sentence_model
):
    class Asymmetric:
        def encode_query(self, texts):
            return -sentence_model.encode(texts, convert_to_tensor=True)

        def encode_document(self, texts):
            return list(sentence_model.encode(texts, convert_to_tensor=True))

    class Asked(Asymmetric):
        similarity_fn_name = "euclidean"

    upside_down = evaluate([Asymmetric(), Asked()], corner)
    assert set(upside_down.scores()["model"]) == {"Asymmetric", "Asked"}
    assert upside_down.scores()["value"].max() < only(
        evaluate(sentence_model.encode_query, corner).scores()
    )
    failed = evaluate_failing(Asymmetric(), task_types.kinds()["STS"].task, data_dir=mirror)
    assert "has no method `encode`" in str(failed)


def test_a_sparse_object(home, corner):
    from sklearn.feature_extraction.text import HashingVectorizer

    found = evaluate(
        {"hashed": HashingVectorizer(norm=None, alternate_sign=False).transform}, corner
    )
    assert only(found.scores()) == 1.0 and found.scores()["kind"].tolist() == ["sparse"]


def evaluate_failing(*arguments, **options) -> embedlab.UserError:
    with pytest.raises(embedlab.UserError) as error:
        evaluate(*arguments, **options)
    assert error.value.hint
    return error.value


class Plain:
    """The least that mteb's EncoderProtocol asks for, with a similarity of its own."""

    def __init__(self, model):
        from mteb.models.model_meta import ModelMeta

        self.model = model
        self.mteb_model_meta = ModelMeta.create_empty({"name": "us/plain", "revision": "r1"})

    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **_):
        role = prompt_type.value if prompt_type else "none"
        return self.model.encode([f"{role} {text}" for batch in inputs for text in batch["text"]])

    def similarity(self, one, other):
        return self.model.similarity(one, other) ** 3

    def similarity_pairwise(self, one, other):
        return self.model.similarity_pairwise(one, other) ** 3


class Searching:
    """mteb's SearchProtocol, by the number of words in common."""

    def __init__(self):
        from mteb.models.model_meta import ModelMeta

        self.mteb_model_meta = ModelMeta.create_empty({"name": "us/words", "revision": None})

    def index(self, corpus, *, task_metadata, hf_split, hf_subset, encode_kwargs, num_proc, **_):
        self.corpus = {row["id"]: set(row["text"].split()) for row in corpus}

    def search(self, queries, *, top_k, top_ranked=None, **_):
        found = {}
        for row in queries:
            among = top_ranked[row["id"]] if top_ranked else self.corpus
            # Scores without ties, so that any order of documents is the same ranking.
            scored = {
                d: len(self.corpus[d] & set(row["text"].split())) + int(d[1:]) / 1e3 for d in among
            }
            found[row["id"]] = dict(sorted(scored.items(), key=lambda pair: -pair[1])[:top_k])
        return found


@pytest.mark.parametrize("kind", ["retrieval", "reranking", "STS"])
def test_mtebs_protocols_score_as_mteb_scores_them(kind, home, mirror, sentence_model):
    task = task_types.kinds()[kind].task
    models = {"plain": Plain(sentence_model)} | ({"words": Searching()} if kind != "STS" else {})
    found = evaluate(models, task, data_dir=mirror)
    for name, model in models.items():
        official = by_mteb(model, task, mirror)
        runs = [found.store.run(id) for id in found.scores(model=name)["run_id"]]
        assert {(run.task.split, run.task.subset) for run in runs} == set(official)
        for run in runs:
            expected = official[run.task.split, run.task.subset]
            assert run.main_score == pytest.approx(expected["main_score"], abs=1e-5)  # mteb rounds
            for metric, value in run.scores.items():
                assert value == pytest.approx(expected[metric], abs=1e-5), (metric, run.task.subset)
        per_query = found.per_query(model=name).groupby("run_id")["value"].mean().to_dict()
        assert per_query == pytest.approx({run.id: run.main_score for run in runs if kind != "STS"})
    revisions = dict(found.scores()[["model", "model_revision"]].values)
    assert revisions["plain"].startswith("r1+")


def by_mteb(model, name: str, data_dir) -> dict[tuple[str, str], dict[str, float]]:
    import mteb

    from embedlab import tasks

    (task,) = tasks.resolve([name], data_dir=data_dir)
    tasks.load(task)
    (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    return {
        (split, part["hf_subset"]): part for split, parts in result.scores.items() for part in parts
    }


def test_what_only_searches_skips_what_needs_vectors(home, mirror):
    found = evaluate(
        [Searching()],
        [task_types.kinds()[kind].task for kind in ("reranking", "STS")],
        data_dir=mirror,
    )
    assert set(found.scores()["type"]) == {"Reranking"} and found.failures.empty


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        (lambda texts: np.ones((len(texts), 2)), "has no name"),
        ({"bm25": len}, "is the name of a model"),
        ({"one": 3}, "cannot be a int"),
        ({"one": dict}, "cannot be a type"),
        ({"one": "bm25"}, "is a name already"),
        ({"flat": lambda texts: np.ones(len(texts))}, "shape"),
        ({"short": lambda texts: np.ones((1, 4))}, "one row of numbers"),
        ({"ragged": lambda texts: [[1], *([[1, 2]] * (len(texts) - 1))]}, "shape"),
        ({"words": lambda texts: np.array([["a"]] * len(texts))}, "shape"),
        ({"nan": lambda texts: np.full((len(texts), 2), np.nan)}, "NaN"),
        ("all-minlm-l6-v2", "Unknown model"),
        ([], "needs a model and a task"),
    ],
)
def test_what_is_no_model(models, problem, home, corner):
    error = evaluate_failing(models, corner)
    assert problem in str(error) + error.hint
    assert not (home / "results.duckdb").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"device": "cpu"}, "loaded by name"),
        ({"dtype": "float32"}, "loaded by name"),
        ({"force": True}, "loaded by name"),
        ({"workers": 2}, "sentence-transformers"),
        ({"layers": [2]}, "layers nobody sees"),
        ({"dims": [99]}, "no 99 dimensions"),
        ({"indexes": ["lucene"]}, "searched through lucene"),
        ({"precisions": ["int3"]}, "Unknown precision"),
    ],
)
def test_options_without_effect_on_an_object_are_refused(options, problem, home, corner):
    def ones(texts):
        return np.ones((len(texts), 2))

    assert problem in str(evaluate_failing(ones, corner, **options))


def test_two_models_of_one_name(home, corner, sentence_model):
    assert "Two models are named" in str(evaluate_failing([sentence_model, sentence_model], corner))


def test_a_failed_evaluation_does_not_cost_the_others_and_is_said(
    home, corner, tmp_path, tiny_folder
):
    with pytest.warns(UserWarning, match=r"1 of 2 evaluations failed, .* on SciFact"):
        found = evaluate(str(tiny_folder), [str(corner), "SciFact"], data_dir=corner.parent)
    assert len(found.scores()) == 1
    assert found.failures["task"].tolist() == ["SciFact"] and found.failures["hint"][0]
