"""Runs from recipe to saved model: resumed ones end with the same weights,
and bad recipes with one clear error.
"""

import json
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer, SparseEncoder
from small_pairs import TEXTS

from embedlab.errors import UserError
from embedlab.resources import DATA
from embedlab.training import training_data, training_run, untrained
from embedlab.training.recipe import read
from embedlab.training.training_run import save_untrained, train
from tests.gem_recipe import HEAD

TWO_STAGES = (
    HEAD
    + """[[stages]]
objective = "gem"
steps = 6
batch_size = 4
learning_rate = 1e-3
precision = "float32"
save_steps = 2
settings = {{ ntp_steps = 3 }}
[[stages]]
objective = "contrastive"
steps = 6
batch_size = 4
learning_rate = 1e-3
precision = "float32"
save_steps = 2
dropout = 0.2
lora = {{ rank = 2, alpha = 4, dropout = 0.1 }}
"""
)


def killed_after(steps):
    """A progress bar that ends the run after so many steps of its stages, as Ctrl-C does."""

    @contextmanager
    def progress(name, total):
        def show(step, loss):
            if int(name.split("(")[1][0]) == steps[0] and step == steps[1]:
                raise KeyboardInterrupt

        yield show

    return progress


def weights(folder):
    return SentenceTransformer(str(folder), device="cpu").state_dict()


@pytest.fixture
def recipe_file(tmp_path, decoder, pairs_file):
    path = tmp_path / "two-stages.toml"
    path.write_text(TWO_STAGES.format(base=decoder, pairs=pairs_file))
    return path


def test_the_untrained_twin_is_the_model_before_its_first_step(recipe_file, tmp_path):
    recipe = read(recipe_file)
    save_untrained(recipe, tmp_path / "before")
    trained = train(recipe, tmp_path / "after", device="cpu")
    before, after = weights(tmp_path / "before"), weights(tmp_path / "after")
    assert before.keys() == after.keys() and trained["final_loss"]
    assert any(not torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(UserError, match="not empty"):
        save_untrained(recipe, tmp_path / "before")


def test_a_killed_run_ends_with_the_same_weights(recipe_file, tmp_path):
    recipe = read(recipe_file)
    whole = train(recipe, tmp_path / "whole", device="cpu")
    for steps in ((1, 5), (2, 5)):  # stage and step
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "killed", device="cpu", progress=killed_after(steps))
    resumed = train(recipe, tmp_path / "killed", device="cpu")
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert resumed["final_loss"] == whole["final_loss"]
    assert (tmp_path / "killed" / "loss.csv").read_text() == (
        tmp_path / "whole" / "loss.csv"
    ).read_text()


def test_the_record_counts_the_seconds_before_a_stop(recipe_file, tmp_path, monkeypatch):
    clock, slept = time.perf_counter, 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + slept)

    @contextmanager
    def slow(name, total):
        def show(step, loss):
            nonlocal slept
            slept += 100
            if step == 5:
                raise KeyboardInterrupt

        yield show

    recipe = read(recipe_file)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "stopped", device="cpu", progress=slow)
    resumed = train(recipe, tmp_path / "stopped", device="cpu")
    assert 400 < resumed["seconds"] < 600  # its last checkpoint is that of step 4


@pytest.mark.parametrize("stopped", ["_note", "publish"])
def test_a_run_stopped_after_its_last_step_makes_the_same_files(
    stopped, recipe_file, tmp_path, monkeypatch
):
    """No step more is taken, and what a trainer sets
    in the model's configuration is set without one.
    """
    recipe = read(recipe_file)
    train(recipe, tmp_path / "whole", device="cpu")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training_run, stopped, stop)
        train(recipe, tmp_path / "stopped", device="cpu")
    train(recipe, tmp_path / "stopped", device="cpu")
    for file in (
        file
        for file in (tmp_path / "whole").rglob("*")
        if file.is_file() and file.name != training_run.RECORD
    ):
        assert (
            tmp_path / "stopped" / file.relative_to(tmp_path / "whole")
        ).read_bytes() == file.read_bytes(), file


TWICE = """
method = "{method}"
base = "{base}"
dtype = "float32"
[settings]
{settings}
[data]
path = "{pairs}"
[[stages]]
objective = "{objective}"
steps = 3
batch_size = 4
learning_rate = 1e-1
precision = "float32"
[[stages]]
objective = "contrastive"
steps = 1
batch_size = 4
precision = "float32"
[[stages]]
objective = "{objective}"
steps = 3
batch_size = 4
learning_rate = 1e-1
precision = "float32"
"""


@pytest.mark.parametrize(
    ("objective", "method", "settings", "parameter"),
    [
        ("gem", "gem", "tokens = 1", "log_scale"),
        ("grl", "genc", "max_length = 32", "projector.0.weight"),
        ("smae", "starbucks", "pairs = [[1, 8], [4, 32]]", "head.dense.weight"),
    ],
)
@pytest.mark.parametrize("killed", [False, True])
def test_what_a_loss_learned_is_kept_for_its_next_stage(
    objective,
    method,
    settings,
    parameter,
    killed,
    tmp_path,
    decoder,
    encoder,
    pairs_file,
    monkeypatch,
):
    """GEM's temperature, GRL's projection, a head:
    the third stage begins where the first one ended.
    """
    path = tmp_path / "twice.toml"
    base = encoder if method == "starbucks" else decoder
    text = TWICE.format(
        method=method, base=base, settings=settings, pairs=pairs_file, objective=objective
    )
    path.write_text(
        text.replace("precision", "settings = { ntp_steps = 0 }\nprecision", 1)
        if method == "gem"
        else text
    )
    seen = []
    real = training_run.trainer_for

    def watched(model, stage, rows, loss, folder, **settings):
        at = [
            value.detach().clone() for name, value in loss.named_parameters() if name == parameter
        ]
        seen.extend([*at, *(value for name, value in loss.named_parameters() if name == parameter)])
        return real(model, stage, rows, loss, folder, **settings)

    monkeypatch.setattr(training_run, "trainer_for", watched)
    if killed:
        with pytest.raises(KeyboardInterrupt):
            train(read(path), tmp_path / "out", device="cpu", progress=killed_after((2, 0)))
    train(read(path), tmp_path / "out", device="cpu")
    (begun, ended), (begun_again, _) = seen[:2], seen[-2:]
    assert not torch.equal(begun, ended) and torch.equal(begun_again, ended)


def test_a_stages_dropout_leaves_the_adapters_their_own(tmp_path, decoder, pairs_file, monkeypatch):
    """LLM2Vec's SimCSE stage: 0.3 in the attention, 0.05 in LoRA."""
    path = tmp_path / "lora.toml"
    text = TWO_STAGES.format(base=decoder, pairs=pairs_file)
    path.write_text(
        text.replace("dropout = 0.2", "dropout = 0.3").replace("dropout = 0.1", "dropout = 0.05")
    )
    seen = []
    real = training_run.trainer_for

    def watched(model, *rest, **settings):
        seen.append(
            (
                {
                    m.p
                    for name, m in model.named_modules()
                    if isinstance(m, torch.nn.Dropout) and "lora" in name
                },
                {m.attention_dropout for m in model.modules() if hasattr(m, "attention_dropout")},
            )
        )
        return real(model, *rest, **settings)

    monkeypatch.setattr(training_run, "trainer_for", watched)
    train(read(path), tmp_path / "out", device="cpu")
    assert seen[1] == ({0.05}, {0.3})


def test_the_record_and_the_result(recipe_file, tmp_path, pairs_file):
    recipe = read(recipe_file)
    out = tmp_path / "out"
    record = train(recipe, out, device="cpu")
    assert record == json.loads((out / "training.json").read_text())
    assert record["recipe"]["seed"] == 7 and record["environment"]["packages"]["torch"]
    rows, origin = training_data.load({"path": str(pairs_file)}, seed=7)
    assert record["data"]["stage 1"] == origin and origin["rows"] == len(rows) == len(TEXTS)
    lines = (out / "loss.csv").read_text().splitlines()
    assert lines[0] == "stage,step,loss,learning_rate" and {line[0] for line in lines[1:]} == {
        "1",
        "2",
    }
    assert not (out / "unfinished").exists()

    before = untrained.build(recipe.method, recipe.base, recipe.settings).state_dict()
    after = weights(out)
    assert before.keys() == after.keys(), "adapters are merged, so the layout is the method's own"
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert train(recipe, out, device="cpu") == record, "a finished run is not repeated"


def test_the_record_names_the_revision_that_the_run_began_with(recipe_file, tmp_path, monkeypatch):
    revisions = iter(["at the start", "after a pull"])
    real = training_run.environment
    monkeypatch.setattr(
        training_run, "environment", lambda: real() | {"git_revision": next(revisions)}
    )

    @contextmanager
    def progress(name, total):
        revisions_left = list(revisions)
        assert revisions_left in (["after a pull"], [])  # asked before the first step
        yield lambda step, loss: None

    record = train(read(recipe_file), tmp_path / "out", device="cpu", progress=progress)
    assert record["environment"]["git_revision"] == "at the start"


def test_training_lowers_the_loss(tmp_path, decoder, pairs_file):
    path = tmp_path / "base.toml"
    path.write_text(
        f'method = "decoder"\nbase = "{decoder}"\n[settings]\nlanguage_model = true\nmax_length ='
        f' 32\n[data]\npath = "{pairs_file}"\n[[stages]]\nobjective = "next-token"\nsteps ='
        ' 30\nbatch_size = 8\nlearning_rate = 1e-2\nprecision = "float32"\n'
    )
    train(read(path), tmp_path / "out", device="cpu")
    losses = [
        float(line.split(",")[2])
        for line in (tmp_path / "out" / "loss.csv").read_text().splitlines()[1:]
    ]
    assert losses[-1] < 0.6 * losses[0]


def test_a_new_base_gets_its_own_tokenizer(tmp_path, pairs_file):
    path = tmp_path / "new.toml"
    path.write_text(
        'method = "encoder"\n[base]\narchitecture = "bert"\nvocabulary = 300\nhidden_size ='
        " 16\nintermediate_size = 16\nnum_hidden_layers = 2\nnum_attention_heads ="
        ' 2\nmax_position_embeddings = 64\n[settings]\npooling = "mean"\nmax_length ='
        f' 32\n[data]\npath = "{pairs_file}"\n[[stages]]\nobjective = "masked-token"\nsteps ='
        " 2\nbatch_size = 4\n"
    )
    record = train(read(path), tmp_path / "out", device="cpu")
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    assert len(model.tokenizer) == 300 and record["data"]["tokenizer"]["rows"] == len(TEXTS)
    ids = model.tokenizer("readFile_name  HTTP")["input_ids"]
    assert model.tokenizer.decode(ids, skip_special_tokens=True).strip() == "read file name http"
    assert ids[0] == model.tokenizer.bos_token_id and ids[-1] == model.tokenizer.eos_token_id


def test_a_sparse_method_trains_and_loads(tmp_path, decoder, pairs_file):
    path = tmp_path / "splade.toml"
    path.write_text(
        f'method = "echo-splade"\nbase = "{decoder}"\n[settings]\nmax_length = 16\n[data]\npath ='
        f' "{pairs_file}"\n[[stages]]\nobjective = "splade"\nsteps = 3\nbatch_size ='
        " 4\nlearning_rate = 1e-3\nsettings = { query_weight = 1e-3, document_weight = 1e-3 }\n"
    )
    train(read(path), tmp_path / "out", device="cpu")
    model = SparseEncoder(str(tmp_path / "out"), device="cpu")
    assert model.encode_document(TEXTS[:2]).shape == (2, len(model.tokenizer))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('method = "gem"', 'method = "gam"', "Unknown method 'gam'"),
        ("seed = 7", "sead = 7", "Unknown key 'sead'"),
        ("seed = 7", 'seed = "x"', "seed = 'x'"),
        ("steps = 6", "steps = 0", "steps is 0"),
        ("steps = 6", "", "steps"),
        ('objective = "gem"', 'objective = "jem"', "Unknown objective 'jem'"),
        ("rank = 2", "rang = 2", "Unknown key 'rang'"),
        ("ntp_steps = 3", "steps = 3", "do not fit the objective gem"),
        ("tokens = 2", "token = 2", "do not fit the method gem"),
        ("path =", 'hub = "a/b"\npath =', "names 2 sources"),
        ("[data]", "[data", "is no TOML"),
    ],
)
def test_a_bad_recipe_is_one_clear_error(recipe_file, tmp_path, old, new, problem):
    recipe_file.write_text(recipe_file.read_text().replace(old, new, 1))
    with pytest.raises(UserError) as error:
        train(read(recipe_file), tmp_path / "out", device="cpu")
    assert problem in str(error.value) and error.value.hint


def test_a_folder_of_somebody_elses_is_left_alone(recipe_file, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        train(read(recipe_file), tmp_path, device="cpu")
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "path", sorted((DATA / "recipes").glob("*.toml")), ids=lambda path: path.stem
)
def test_shipped_recipes_can_be_read(path):
    if path.stem != "packages":
        recipe = read(Path(path.name))
        assert recipe.name == path.stem and recipe.description
