"""Objectives with a teacher or mixed negatives, from the command line: each trains, each setting
changes the loss, a killed run ends with the same weights, and what does not fit is one sentence.
"""

import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from small_pairs import QUERIES, TEXTS

from embedlab.encoders.trust import save_model
from embedlab.training import teachers, training_data, untrained
from embedlab.training.recipe import read
from embedlab.training.training_run import train
from tests.embedlab.training.test_run import killed_after

RECIPE = """
method = "{method}"
base = "{base}"
seed = 7
dtype = "float32"
[settings]
{settings}
[data]
path = "{data}"
[[stages]]
objective = "{objective}"
steps = 3
batch_size = 4
learning_rate = 1e-3
precision = "float32"
save_steps = 2
[stages.settings]
{values}
"""
SPLADE = {"query_weight": 0.1, "document_weight": 0.1}


@pytest.fixture(scope="module")
def triples(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "triples.jsonl"
    columns = [QUERIES, TEXTS, [*TEXTS[4:], *TEXTS[:4]], [*TEXTS[9:], *TEXTS[:9]]]
    names = ("query", "positive", "negative_1", "negative_2")
    rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def dense_teacher(tmp_path_factory, decoder):
    """A model with narrower vectors than the student's, saved in a folder."""
    folder = tmp_path_factory.mktemp("teacher") / "dense"
    torch.manual_seed(5)
    model = untrained.build("nv-embed", decoder, {"latents": 3, "heads": 2, "head_size": 8})
    save_model(model, folder)
    return str(folder)


@pytest.fixture(scope="module")
def sparse_teacher(tmp_path_factory, decoder):
    folder = tmp_path_factory.mktemp("teacher") / "sparse"
    save_model(untrained.build("echo-splade", decoder, {"max_length": 24}), folder)
    return str(folder)


@pytest.fixture
def recipe(tmp_path, decoder, triples):
    def write(objective, values, *, data=triples, method="decoder", settings="max_length = 24"):
        path = tmp_path / "recipe.toml"
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
        path.write_text(
            RECIPE.format(
                method=method,
                base=decoder,
                settings=settings,
                data=data,
                objective=objective,
                values=lines,
            )
        )
        return path

    return write


def cases(dense, sparse):
    """(objective, settings to begin with, settings each of which changes the loss)."""
    return {
        "kl": (
            "distil",
            {"teacher": dense},
            [
                {"temperature": 0.5},
                {"teacher_temperature": 0.2},
                {"similarity": "dot"},
                {"teacher": sparse},
                {"kind": "margin-mse"},
                {"kind": "cosine"},
            ],
        ),
        "soft_labels": (
            "soft_labels",
            {"teachers": [dense]},
            [
                {"temperature": 0.5},
                {"teacher_temperature": 0.5},
                {"hard": 0.9},
                {"margin": 0.9},
                {"in_batch": False},
                {"teachers": ["bm25"]},
                {"teachers": [dense, "bm25"]},
            ],
        ),
        "focal": (
            "focal",
            {},
            [{"gamma": 2.0}, {"mixed": 0}, {"mixed": 3}, {"listwise": True}, {"temperature": 0.5}],
        ),
        "splade": (
            "splade",
            SPLADE,
            [{"ramp": 1.0}, {"ramp": 1.0, "ramp_form": "linear"}, {"query_weight": 1.0}],
        ),
    }


@pytest.mark.parametrize("name", ["kl", "soft_labels", "focal", "splade"])
def test_each_setting_changes_the_loss(
    name, cli, home, recipe, tmp_path, dense_teacher, sparse_teacher
):
    objective, base, changes = cases(dense_teacher, sparse_teacher)[name]
    sparse = objective == "splade"
    losses = []
    for number, change in enumerate([{}, *changes]):
        path = recipe(objective, base | change, **({"method": "echo-splade"} if sparse else {}))
        code, out, err = cli("train", path, "--out", tmp_path / str(number), "--json")
        assert code == 0, err
        losses.append(json.loads(out)["final_loss"][0])
    assert len(set(losses)) == len(losses) and all(np.isfinite(losses)), losses
    code, out, err = cli(
        "train",
        recipe(
            objective,
            base | {"mini_batch_size": 3},
            **({"method": "echo-splade"} if sparse else {}),
        ),
        "--out",
        tmp_path / "cached",
        "--json",
    )
    assert code == 0, err
    cached = json.loads(out)["final_loss"][0]
    if name != "focal":  # which draws its mixtures after as many other numbers
        assert cached == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.parametrize(
    ("name", "size"),
    [("kl", 3), ("cosine", None), ("cosine", 3), ("soft_labels", 3), ("focal", 3), ("splade", 3)],
)
def test_a_killed_run_ends_with_the_same_weights(
    name, size, home, recipe, tmp_path, dense_teacher, sparse_teacher
):
    objective, values, _ = cases(dense_teacher, sparse_teacher)["kl" if name == "cosine" else name]
    values = values | ({"kind": "cosine"} if name == "cosine" else {})
    values = values | ({"mini_batch_size": size} if size else {})
    method = "echo-splade" if objective == "splade" else "decoder"
    found = read(recipe(objective, values, method=method))
    train(found, tmp_path / "whole", device="cpu")
    with pytest.raises(KeyboardInterrupt):
        train(found, tmp_path / "killed", device="cpu", progress=killed_after((1, 2)))
    train(found, tmp_path / "killed", device="cpu")
    for path in sorted((tmp_path / "whole").rglob("*.safetensors")):
        other = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == other.read_bytes(), path
    curves = [(tmp_path / name / "loss.csv").read_text() for name in ("whole", "killed")]
    assert curves[0] == curves[1]


@pytest.mark.parametrize(
    ("objective", "values", "problem"),
    [
        ("distil", {}, "do not fit the objective distil"),
        ("distil", {"teacher": "no-such-model"}, "Unknown model 'no-such-model'"),
        ("distil", {"teacher": "DENSE", "kind": "kld"}, "Unknown kind of distillation 'kld'"),
        ("distil", {"teacher": "DENSE", "similarity": "cos"}, "Unknown similarity 'cos'"),
        ("distil", {"teacher": "SPARSE", "kind": "cosine"}, "nothing to compare dense vectors"),
        ("distil", {"teacher": "SPARSE", "kind": "margin-mse"}, "compares margins as they are"),
        ("distil", {"teacher": "DENSE", "temperature": 0}, "do not fit the objective distil"),
        ("soft_labels", {}, "needs teachers"),
        ("soft_labels", {"teachers": ["bm25"], "hard": 2}, "hard is a share"),
        ("focal", {"gamma": -1}, "gamma and mixed are 0 or more"),
        ("focal", {"mini_batch_size": 0}, "has to be 1 or more"),
        ("focal", {"gama": 1}, "do not fit the objective focal"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    objective, values, problem, cli, home, recipe, tmp_path, dense_teacher, sparse_teacher
):
    named = {"DENSE": dense_teacher, "SPARSE": sparse_teacher}
    values = {key: named.get(str(value), value) for key, value in values.items()}
    code, _, err = cli("train", recipe(objective, values), "--out", tmp_path / "out")
    assert code == 2 and problem in err and "Traceback" not in err, err


@pytest.mark.parametrize(
    ("objective", "values", "needed"),
    [
        ("distil", {"teacher": "bm25"}, 1),
        ("soft_labels", {"teachers": ["bm25"]}, 1),
        ("focal", {}, 2),
        ("focal", {"mixed": 0, "listwise": True}, 1),
    ],
)
def test_missing_negatives_are_one_sentence(
    objective, values, needed, cli, home, recipe, pairs_file, tmp_path
):
    path = recipe(objective, values, data=pairs_file)
    code, _, err = cli("train", path, "--out", tmp_path / "out")
    assert code == 2 and f"needs {needed} columns of negatives" in err and "Traceback" not in err


@pytest.mark.parametrize("values", [{"ramp": 0}, {"ramp": 2}, {"ramp_form": "cubic"}])
def test_a_ramp_that_is_none(values, cli, home, recipe, tmp_path):
    path = recipe("splade", SPLADE | values, method="echo-splade")
    code, _, err = cli("train", path, "--out", tmp_path / "out")
    assert code == 2 and "ramp is a share above 0" in err


def test_the_weights_of_flops_rise_with_the_square_of_the_step(home, recipe, tmp_path, monkeypatch):
    """weight * min(1, step / T)^2 (arXiv:2109.10086, section 3)."""
    from sentence_transformers.sparse_encoder.losses import SpladeLoss

    seen = []
    real = SpladeLoss.forward

    def watched(self, *args):
        seen.append((self.query_regularizer_weight, self.document_regularizer_weight))
        return real(self, *args)

    monkeypatch.setattr(SpladeLoss, "forward", watched)
    values = {"query_weight": 0.3, "document_weight": 0.2, "ramp": 2 / 3}
    train(read(recipe("splade", values, method="echo-splade")), tmp_path / "out", device="cpu")
    factors = [min(1.0, step / 2) ** 2 for step in range(3)]
    assert np.allclose(seen, [[0.3 * factor, 0.2 * factor] for factor in factors])


def test_a_teachers_scores_are_its_own(home, triples, dense_teacher, sparse_teacher):
    rows, _ = training_data.load({"path": str(triples)}, seed=1)
    model = SentenceTransformer(dense_teacher, device="cpu")
    query, *documents = (model.encode(rows[name][:]) for name in rows.column_names)
    wanted = np.stack([np.asarray(model.similarity_pairwise(query, one)) for one in documents], 1)
    assert np.allclose(teachers.scores(rows, dense_teacher), wanted, atol=1e-5)

    from sentence_transformers import SparseEncoder

    sparse = SparseEncoder(sparse_teacher, device="cpu")
    encoded = [sparse.encode_query(rows["query"][:])]
    encoded += [sparse.encode_document(rows[name][:]) for name in rows.column_names[1:]]
    query, *documents = (one.to_dense() for one in encoded)
    wanted = np.stack([np.asarray((query * one).sum(-1).cpu()) for one in documents], 1)
    assert np.allclose(teachers.scores(rows, sparse_teacher), wanted, rtol=1e-4)


def test_bm25_teaches_by_its_own_scores(home, triples):
    import retrievers

    rows, _ = training_data.load({"path": str(triples)}, seed=1)
    found = teachers.scores(rows, "bm25")
    index = retrievers.make("lucene", k1=0.9, b=0.4).index([str(i) for i in range(16)], TEXTS)
    for row, scored in zip(list(rows)[:5], found, strict=False):
        query, *documents = row.values()
        everything = dict(index.search_one(query, 16))
        wanted = [everything.get(str(TEXTS.index(text)), 0.0) for text in documents]
        assert np.allclose(scored, wanted, atol=1e-5)
    assert found[:, 0].mean() > found[:, 1:].mean()


def test_a_teachers_vectors_are_made_once(home, triples, dense_teacher, monkeypatch):
    rows, _ = training_data.load({"path": str(triples)}, seed=1)
    first = teachers.distilled(rows, {"teacher": dense_teacher, "kind": "cosine"})
    assert np.asarray(first["label"]).shape == (16, 4, 32)
    from embedlab.encoding.encoder import Encoder

    monkeypatch.setattr(Encoder, "_fill", lambda *_: pytest.fail("encoded again"))
    again = teachers.distilled(rows, {"teacher": dense_teacher, "kind": "cosine"})
    assert first["label"][:] == again["label"][:]


def by_hand(kind, query, documents, labels, temperature=0.05):
    """KL (arXiv:1503.02531, equation 4 with its t^2) and MarginMSE
    (arXiv:2010.02666, equation 3), on cosines.
    """
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (query, *documents)]
    scores = np.stack([(unit[0] * one).sum(1) for one in unit[1:]], axis=1)
    if kind == "margin-mse":
        return np.mean(((scores[:, :1] - scores[:, 1:]) - (labels[:, :1] - labels[:, 1:])) ** 2)
    p, q = (np.exp(one / temperature) for one in (labels, scores))
    p, q = (one / one.sum(1, keepdims=True) for one in (p, q))
    return (p * np.log(p / q)).sum(1).mean() * temperature**2


@pytest.mark.parametrize("kind", ["kl", "margin-mse", "cosine"])
def test_distillation_by_its_formula(kind, home, decoder, dense_teacher):
    from embedlab.training.losses import distil

    model = untrained.build("decoder", decoder, {"max_length": 24})
    loss = distil.build(model, teacher=dense_teacher, kind=kind)
    random = np.random.default_rng(0)
    columns = [random.normal(size=(3, 6)) for _ in range(4)]
    tensors = [torch.tensor(column).float() for column in columns]
    if kind == "cosine":
        labels = random.normal(size=(3, 4, 6))
        wanted = np.mean(
            [
                1 - (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
                for number, column in enumerate(columns)
                for a, b in zip(column, labels[:, number], strict=True)
            ]
        )
    else:
        labels = random.uniform(size=(3, 3))
        wanted = by_hand(kind, columns[0], columns[1:], labels)
    found = loss.compute_loss_from_embeddings(tensors, torch.tensor(labels).float())
    assert float(found) == pytest.approx(wanted, rel=1e-4)


def test_the_biphasic_recipe(cli, home, recipe, tmp_path, decoder, pairs_file):
    path = recipe(
        "next-token",
        {},
        data=pairs_file,
        settings='attention = "bidirectional"\nlanguage_model = true\nmax_length = 24',
    )
    stage = path.read_text().partition("[[stages]]")[2].replace("next-token", "masked-token")
    path.write_text(path.read_text() + "[[stages]]" + stage)
    code, out, err = cli("train", path, "--out", tmp_path / "both", "--json")
    assert code == 0, err
    assert len(json.loads(out)["final_loss"]) == 2
    path.write_text(path.read_text().replace('"bidirectional"', '"causal"'))
    code, _, err = cli("train", path, "--out", tmp_path / "causal")
    assert code == 2 and "sees both sides" in err and "Traceback" not in err
