"""What `embedlab eval` makes of mteb's own order of things:
subsets evaluated together; and NaN is no vector.
"""

import json

import pytest


@pytest.fixture
def parallel(monkeypatch):
    """A task whose languages are columns of one table, which no mirror holds:
    three languages, all their pairs.
    """
    from datasets import Dataset
    from mteb.abstasks import AbsTaskBitextMining
    from mteb.get_tasks import _TASKS_REGISTRY

    kind = _TASKS_REGISTRY["NTREXBitextMining"]
    pairs = [
        pair
        for pair in kind.metadata.hf_subsets
        if set(pair.split("-")) <= {"deu_Latn", "eng_Latn", "rus_Cyrl"}
    ]
    columns = dict.fromkeys(language for pair in pairs for language in pair.split("-"))
    table = {
        name: [f"w{n} w{n + shift} w{n * 3 % 50}" for n in range(20)]
        for shift, name in enumerate(columns, 1)
    }
    evaluated = []

    def load_data(task, **_):
        task.hf_subsets, task.data_loaded = pairs, True
        task.dataset = {split: Dataset.from_dict(table) for split in task.eval_splits}

    def evaluate(task, *arguments, **options):
        evaluated.append(options["subsets_to_run"])
        return original(task, *arguments, **options)

    original = AbsTaskBitextMining.evaluate
    monkeypatch.setattr(kind, "load_data", load_data)
    monkeypatch.setattr(AbsTaskBitextMining, "evaluate", evaluate)
    return pairs, evaluated


def test_parallel_languages_are_evaluated_at_once(cli, home, tiny_folder, parallel):
    import mteb
    from sentence_transformers import SentenceTransformer

    pairs, evaluated = parallel
    code, out, err = cli(
        "eval", "--model", tiny_folder, "--task", "NTREXBitextMining", "--json",
        "--dtype", "float32",
    )  # fmt: skip
    assert code == 0, err
    assert evaluated == [pairs]  # not once per pair
    ours = {run["subset"]: run["scores"] for run in json.loads(out)["runs"]}
    task = mteb.get_task("NTREXBitextMining")
    model = SentenceTransformer(str(tiny_folder), device="cpu")
    (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    official = {scores["hf_subset"]: scores for scores in result.scores["test"]}
    assert len(pairs) > 2 and set(ours) == set(official) == set(pairs)
    for pair, scores in ours.items():
        assert scores == pytest.approx({name: official[pair][name] for name in scores}, abs=1e-6)


def test_a_vector_with_nan_is_never_scored(cli, home, tiny_folder, parallel, tmp_path):
    """The best of similarities that are NaN is the first:
    an evaluator that only looks for it finds a score.
    """
    import shutil

    from safetensors.numpy import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    weights = load_file(broken / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][15] = float("nan")
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    code, _, err = cli(
        "eval", "--model", broken, "--task", "NTREXBitextMining", "--dtype", "float32"
    )
    assert code == 2 and "broken gives a vector with NaN or infinity for the text 'w" in err
    assert not cli("runs", "list")[1].count("NTREX")
