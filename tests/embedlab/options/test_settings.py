"""Settings of a model through the front door: names, cards, experiments, and what is shown."""

import json

import pytest

from leaderboard.storage.store import Store

CLS = 'pooling = "cls"'


@pytest.fixture
def card(tmp_path, tiny_folder):
    """Writes a card of the user's; gives its path."""

    def write(text, name="mine"):
        file = tmp_path / f"{name}.toml"
        file.write_text(f'model = "{tiny_folder}"\n{text}')
        return file

    return write


def spaces(home, role):
    """The spaces of the vector store for a role."""
    found = [
        json.loads(path.read_text())["ingredients"]
        for path in (home / "vectors").glob("*/manifest.json")
    ]
    return [space for space in found if space["role"] == role]


def scores(runs):
    return {run["model"]: run["scores"] for run in runs}


def test_runs_under_settings_stand_apart_and_share_what_they_can(ok, home, tiny_folder, corner):
    names = [
        tiny_folder,
        f'{tiny_folder}?prompt.query="q: "',
        f"{tiny_folder}?similarity=manhattan",
        f"{tiny_folder}?max_length=4",
        f"{tiny_folder}?truncate_dim=4",
        f"{tiny_folder}?pooling=cls",
    ]
    models = [part for name in names for part in ("--model", name)]
    orders = ('pooling=cls&prompt.query="q: "', 'prompt.query="q: "&pooling=cls')
    again = [part for order in orders for part in ("--model", f"{tiny_folder}?{order}")]
    runs = ok("eval", *models, *again, "--task", corner, "--json")["runs"]
    assert len(scores(runs)) == len(runs) == len(names) + 1  # the order of settings is none
    assert len({json.dumps(each, sort_keys=True) for each in scores(runs).values()}) == len(runs)
    # Documents are encoded anew for what shapes them: not for queries' prompts, or the similarity.
    assert len(spaces(home, "document")) == 4
    assert len(spaces(home, "query")) == 6
    recorded = Store(home / "results.duckdb").run(runs[1]["run_id"])
    assert recorded.resolved["chosen"] == {"prompt.query": "q: "}
    assert recorded.resolved["prompts"]["query"] == "q: "


@pytest.mark.effect("eval --card")
def test_a_card_is_its_model_under_its_settings(ok, home, tiny_folder, corner, card):
    file = card('truncate_dim = 8\n[prompts]\nquery = "q: "\nSTS = "w1 "\n')
    (home / "models").mkdir(parents=True, exist_ok=True)
    (home / "models/kept.toml").write_text(file.read_text())
    name = f'{tiny_folder}?truncate_dim=8&prompt.query="q: "'
    runs = ok(
        "eval", "--model", name, "--model", "kept", "--card", file, "--task", corner, "--json"
    )["runs"]
    assert [run["model"] for run in runs[1:]] == ["kept", "mine"]
    assert runs[0]["scores"] == runs[1]["scores"] == runs[2]["scores"]
    assert len(spaces(home, "document")) == 1
    first = Store(home / "results.duckdb").run(runs[2]["run_id"]).model.revision
    file.write_text(file.read_text().replace("dim = 8", "dim = 4"))
    later = ok("eval", "--card", file, "--task", corner, "--json")["runs"][0]
    assert Store(home / "results.duckdb").run(later["run_id"]).model.revision != first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_lenght = 8\n", "mine.toml:2"),
        ('max_length = "8"\n', "mine.toml:2: max_length is '8'"),
        ('[prompts]\nquery = "{task}"\n', "mine.toml:3"),
        ('[prompts]\nqeury = "q: "\n', "Unknown role, task type or task"),
        ("[settings]\nmax_lenght = 8\n", "Unknown setting"),
        ("prompts = 1\n", "mine.toml:2"),
        ("truncate_dim = 99\n", "no 99 dimensions"),
        ("x = \n", "no TOML"),
    ],
)
def test_a_card_that_says_something_else_is_refused(refused, corner, card, text, message):
    assert message in refused("eval", "--card", card(text), "--task", corner)


def test_a_card_names_another_model_than_itself_and_ours(refused, home, corner, tmp_path, card):
    round_about = tmp_path / "round.toml"
    round_about.write_text(f'model = "{round_about}"\n')
    assert "leads back to itself" in refused("eval", "--card", round_about, "--task", corner)
    ours = card("", "bm25")
    assert "that embedlab knows" in refused("eval", "--card", ours, "--task", corner)
    assert "that embedlab knows" in refused("eval", "--card", card("", "minis"), "--task", corner)
    assert "cannot be called" in refused("eval", "--card", card("", "a?b"), "--task", corner)
    assert "There is no card" in refused("eval", "--model", "no.toml", "--task", corner)
    gone = tmp_path / "gone.toml"
    gone.write_text('model = "no-such-model"\n')
    error = refused("eval", "--card", gone, "--task", corner)
    assert f"The card {gone}: Unknown model 'no-such-model'" in error


def test_what_a_card_said_before_is_not_taken_for_what_it_says(ok, home, corner, card, tmp_path):
    """Wherever something is kept under a card's name: runs of compositions, indexes of rag."""
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"id": "1", "question": "w1 w2", "relevant": ["d1"]}\n')
    revisions, models = [], []
    for length in (8, 5):
        name = f"rrf(bm25, {card(f'max_length = {length}')})"
        run = ok("eval", "--model", name, "--task", corner, "--json")["runs"][0]
        revisions.append(Store(home / "results.duckdb").run(run["run_id"]).model.revision)
        ok("rag", "--retriever", name, "--corpus", corner, "--questions", questions, "--json")
        models.append({path.name for path in (home / "indexes").iterdir() if path.is_dir()})
    assert revisions[0] != revisions[1]
    assert models[0] < models[1]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("max_length=2", "max_length=3 or more"),  # [CLS] and [SEP], and nothing of the text
        ("pooling=mean_sqrt_len_tokens", "the same without"),  # it is normalised
        ('prompt.query="q: "', "has no effect"),  # the card's, of the task type, wins
        ("truncate_dim=8", "the card says anyway"),
    ],
)
def test_a_setting_that_says_nothing_is_refused(refused, corner, card, setting, message):
    file = card('truncate_dim = 8\n[prompts]\nRetrieval = "w9 "\n')
    assert message in refused("eval", "--card", f"{file}?{setting}", "--task", corner)


def test_a_prompt_for_no_task_here_is_refused(refused, tiny_folder, corner):
    for setting in ('prompt.STS="q: "', 'prompt.qeury="q: "', 'prompt.query=""'):
        error = refused("eval", "--model", f"{tiny_folder}?{setting}", "--task", corner)
        assert "has no effect" in error


@pytest.mark.effect("index build --card")
def test_an_index_of_a_card_needs_no_card_again(ok, refused, tiny_folder, corner, card, tmp_path):
    file = card('truncate_dim = 8\n[prompts]\nquery = "q: "\n')
    ok("index", "--card", file, "--corpus", corner, "--out", tmp_path / "index", "--json")
    file.unlink()
    found = ok("search", tmp_path / "index", "w1 w2", "--json")["results"]
    name = f'{tiny_folder}?truncate_dim=8&prompt.query="q: "'
    ok("index", "--model", name, "--corpus", corner, "--out", tmp_path / "other", "--json")
    assert ok("search", tmp_path / "other", "w1 w2", "--json")["results"] == found
    ok("index", "--model", tiny_folder, "--corpus", corner, "--out", tmp_path / "plain", "--json")
    plain = ok("search", tmp_path / "plain", "w1 w2", "--json")["results"]
    assert [hit["score"] for hit in plain] != [hit["score"] for hit in found]
    assert "both name the model" in refused(
        "index", "--card", file, "--model", "bm25", "--corpus", corner, "--out", tmp_path / "x"
    )


def test_settings_within_a_composition(ok, tiny_folder, corner, tmp_path):
    parts = [tiny_folder, f'{tiny_folder}?prompt.query="q, (w1) & >> w2 "&pooling=cls']
    names = [f"rrf(bm25, {part}@torch)" for part in parts]
    runs = ok(
        "eval", "--model", names[0], "--model", names[1], "--task", corner, "--json"
    )["runs"]  # fmt: skip
    assert runs[0]["scores"] != runs[1]["scores"]
    ok("index", "--model", names[1], "--corpus", corner, "--out", tmp_path / "index", "--json")
    assert ok("search", tmp_path / "index", "w1 w2", "--json")["results"]
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"id": "1", "question": "w1 w2", "relevant": ["d1"]}\n')
    ok("rag", "--retriever", names[1], "--corpus", corner, "--questions", questions, "--json")


def test_an_index_does_not_decide_what_code_runs(refused, ok, corner, tmp_path, tiny_folder):
    code = tmp_path / "own.py"
    code.write_text(
        "from sentence_transformers import SentenceTransformer\n"
        f"def Own(device, dtype):\n    return SentenceTransformer({str(tiny_folder)!r})\n"
    )
    name = f"{code}:Own?max_length=8"
    ok("index", "--model", name, "--corpus", corner, "--out", tmp_path / "index", "--json")
    assert "file of code" in refused("search", tmp_path / "index", "w1")
    ok("search", tmp_path / "index", "w1", "--model", f"{code}:Own", "--json")
    card = tmp_path / "card.toml"
    card.write_text(f'model = "{code}:Own"\nmax_length = 8\n')
    ok("index", "--card", card, "--corpus", corner, "--out", tmp_path / "index", "--json")
    assert "file of code" in refused("search", tmp_path / "index", "w1")


@pytest.mark.effect("eval --config")
def test_an_experiment_is_what_its_lines_say(ok, home, tiny_folder, corner, card, tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text(
        f'models = ["bm25", "{tiny_folder}"]\ncards = "{card(CLS)}"\n'
        f'tasks = ["{corner}"]\ndims = [8, 16]\ndtypes = ["float32", "bfloat16"]\ntop_k = 20\n'
    )
    runs = ok("eval", "--config", file, "--json")["runs"]
    assert len(runs) == 2 + 2 * 2 * 2  # bm25 has no dimensions or dtypes
    assert {run["dim"] for run in runs} == {None, 8, 16}
    typed = ok(
        "eval", "--config", file, "--model", "bm25", "--dims", "4", "--model", tiny_folder,
        "--dtype", "float32", "--json",
    )["runs"]  # fmt: skip
    assert [(run["model"], run["dim"]) for run in typed] == [("bm25", None), ("tiny", 4)]
    asked = Store(home / "results.duckdb").run(typed[0]["run_id"]).asked
    assert asked["top_k"] == 20 and asked["dims"] == [4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('model = ["bm25"]\n', "experiment.toml:1"),
        ('models = ["bm25"]\ntaks = ["SciFact"]\n', "experiment.toml:2"),
        ('models = ["bm25"]\n\ndims = "many"\n', "experiment.toml:3"),
        ('dtypes = ["float32", "float99"]\n', "experiment.toml:1: Unknown --dtype 'float99'"),
        ('dtype = "float32"\ndtypes = ["float32"]\n', "say the same"),
        ("models = []\n", "experiment.toml:1: models is empty"),
        ("models = [1]\n", "experiment.toml:1"),
        ('models = ["bm25"]\n', "eval needs a model and a task"),
        ('prompts = ""\n', "experiment.toml:1: prompts = '' is no file"),
        ('measures = "x"\n', "experiment.toml:1: 'x' is no metric"),
        ("indexes = {torch = 1}\n", "experiment.toml:1: --index cannot be"),
        ("budget = nan\n", "experiment.toml:1: --budget nan: there is no such number"),
        ("seeds = [1, 4294967296]\n", "experiment.toml:1: --seed 4294967296"),
        ('top_k = "5"\n', "experiment.toml:1: --top-k cannot be '5'"),
        ("force = 1\n", "experiment.toml:1: --force cannot be 1"),
        ("data_dir = 2026-01-01\n", "experiment.toml:1: --data-dir cannot be"),
        ("layers = [[1]]\n", "experiment.toml:1: --layers cannot be"),
    ],
)
def test_an_experiment_with_a_slip_names_the_line(refused, tmp_path, text, message):
    file = tmp_path / "experiment.toml"
    file.write_text(text)
    assert message in refused("eval", "--config", file)
    assert "There is no experiment" in refused("eval", "--config", tmp_path / "no.toml")
    assert "one experiment" in refused("eval", "--config", file, "--config", file)


@pytest.mark.effect("eval --seed")
def test_a_seed_draws_other_examples(ok, refused, home, tiny_folder, corner, tmp_path):
    rows = [{"text": f"w{n} w{n % 7}", "label": n % 3} for n in range(90)]
    mirror = tmp_path / "mirror/Banking77"
    mirror.mkdir(parents=True)
    for split in ("train", "test"):
        (mirror / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    name = ["--model", tiny_folder, "--task", "Banking77Classification"]
    how = ["--data-dir", tmp_path / "mirror", "--json"]
    plain, other, again = (
        ok("eval", *name, *how, *seed)["runs"][0] for seed in ((), ("--seed", "7"), ("--seed", "7"))
    )
    assert plain["main_score"] != other["main_score"] == again["main_score"]
    assert Store(home / "results.duckdb").run(other["run_id"]).settings["seed"] == "7"
    error = refused("eval", "--model", tiny_folder, "--task", corner, "--seed", "7")
    assert "--seed has no effect" in error


@pytest.mark.effect("models --task", "models --device", "models --dtype", "models --json")
def test_what_is_in_force_is_shown_with_who_says_so(ok, refused, tiny_folder, card):
    file = card('max_length = 8\n[prompts]\nSTS = "same: "\n')
    name = f'{file}?prompt.query="q: "'
    said = ok(
        "models", "show", name, "--task", "STSBenchmark", "--task", "SciFact", "--device", "cpu",
        "--dtype", "bfloat16", "--json",
    )["settings"]  # fmt: skip
    shown = {each["name"]: (str(each["value"]), each["why"]) for each in said}
    assert shown["max_length"] == ("8", f"the name or the card {file}")
    assert shown["dtype"] == ("bfloat16", "asked for") and shown["device"][0] == "cpu"
    assert shown["pooling"] == ("mean", "the model's own files")
    assert shown["prompt (STSBenchmark, text)"][0] == "'same: '"
    assert shown["prompt (SciFact, query)"][0] == "'q: '"
    assert shown["prompt (SciFact, document)"] == ("''", "none is declared")
    assert "show takes one model" in refused("models", "show")
    assert "are for one model" in refused("models", "--dtype", "float32")
    assert ok("models", "bm25", "--json")["models"][0]["name"] == "bm25"


@pytest.mark.effect("models --trust-remote-code")
def test_show_loads_code_only_when_trusted(ok, tiny_folder):
    said = ok("models", "show", tiny_folder, "--trust-remote-code", "--json")["settings"]
    assert {"name": "trust_remote_code", "value": "true", "why": "--trust-remote-code"} in said
