"""Facts of models as columns and as conditions of a ranking, beside mteb's own registry."""

import json
from types import SimpleNamespace

import pytest

from leaderboard.records import Model, Run, Task
from leaderboard.storage.store import Store

KNOWN = [
    "sentence-transformers/all-MiniLM-L6-v2",
    "intfloat/multilingual-e5-small",
    "intfloat/e5-mistral-7b-instruct",
    "nvidia/NV-Embed-v2",
    "openai/text-embedding-3-small",
    "thenlper/gte-small",
    "mteb/baseline-bm25s",
]
NOBODY = "nobody/unheard-of"
FACTS = {
    "parameters": "n_parameters",
    "dimensions": "embed_dim",
    "max_tokens": "max_tokens",
    "licence": "license",
    "open_weights": "open_weights",
    "release_date": "release_date",
    "languages": "languages",
    "instruction_tuned": "use_instructions",
    "link": "reference",
}


@pytest.fixture(scope="module")
def registry():
    from mteb.models.model_implementations import MODEL_REGISTRY

    return MODEL_REGISTRY


@pytest.fixture
def imported(cli, home, tmp_path):
    """A store with one published result of each model."""
    for number, name in enumerate([*KNOWN, NOBODY]):
        folder = tmp_path / "results" / name.replace("/", "__") / "1"
        folder.mkdir(parents=True)
        entry = {"hf_subset": "default", "languages": ["eng-Latn"], "main_score": 0.4 + number / 20}
        scores = {"task_name": "SciFact", "mteb_version": "2.0", "scores": {"test": [entry]}}
        (folder / "SciFact.json").write_text(json.dumps(scores))
    code, _, err = cli("import", str(tmp_path / "results"))
    assert code == 0, err
    return tmp_path / "results"


def rows(cli, *options) -> dict[str, dict]:
    code, out, err = cli("leaderboard", "--json", *options)
    assert code == 0, err
    return {row["name"]: row for row in json.loads(out)["rows"]}


def test_facts_are_those_of_mteb_and_unknown_where_it_has_none(cli, imported, registry):
    found = rows(cli)
    assert set(found) == {*KNOWN, NOBODY}
    for name in KNOWN:
        for ours, theirs in FACTS.items():
            said = getattr(registry[name], theirs)
            said = str(said) if ours in ("release_date", "link") and said else said
            said = sorted(said) if ours == "languages" and said else said
            assert found[name]["facts"][ours] == said, (name, ours)
    assert set(found[NOBODY]["facts"].values()) == {None}
    assert found["intfloat/e5-mistral-7b-instruct"]["facts"]["paper"].startswith("https://arxiv")

    chosen = "model,parameters,Max Tokens,open_weights,languages,licence"
    code, table, err = cli("leaderboard", "--format", "markdown", "--columns", chosen)
    assert code == 0, err
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    cells = {first.strip(): [each.strip() for each in others] for first, *others in lines}
    assert set(cells[NOBODY]) == {"unknown"}
    minilm = registry[KNOWN[0]]
    assert cells[KNOWN[0]] == [
        f"{minilm.n_parameters:,}", f"{minilm.max_tokens:.0f}", "yes", "eng-Latn", minilm.license,
    ]  # fmt: skip
    assert cells["openai/text-embedding-3-small"][2] == "no"
    assert cells["intfloat/multilingual-e5-small"][3].endswith(" languages")


CONDITIONS = [
    ("parameters < 1e9", lambda f: f.parameters is not None and f.parameters < 1e9),
    (
        "parameters < 1e9 and licence in ('mit', 'apache-2.0')",
        lambda f: (f.parameters or 1e9) < 1e9 and f.licence in ("mit", "apache-2.0"),
    ),
    ("not parameters < 1e9", lambda f: f.parameters is not None and f.parameters >= 1e9),
    ("open_weights = false", lambda f: f.open_weights is False),
    ("instruction_tuned = true or zero_shot >= 100", lambda f: f.instruction_tuned or f.all_new),
    ("languages contains 'deu-Latn'", lambda f: "deu-Latn" in (f.languages or ())),
    ("release_date >= '2024-01-01'", lambda f: (f.release_date or "") >= "2024-01-01"),
    ("max_tokens is null", lambda f: f.max_tokens is None),
    ("model like '%e5%' and mean > 0.46", lambda f: "e5" in f.model and f.mean > 0.46),
    ("SciFact >= 0.5", lambda f: f.mean >= 0.5),
]


@pytest.mark.effect("leaderboard --where")
def test_a_condition_passes_what_plain_python_passes(cli, imported):
    every = rows(cli)
    for clause, passes in CONDITIONS:
        wanted = [
            name
            for name, row in every.items()
            if passes(
                SimpleNamespace(**row["facts"], model=name, mean=row["mean"],
                                all_new=row["zero_shot"] == 100)
            )
        ]  # fmt: skip
        found = rows(cli, "--where", clause)
        assert 0 < len(wanted) < len(every) and list(found) == wanted, clause
        assert [row["place"] for row in found.values()] == [every[n]["place"] for n in wanted]
    code, out, _ = cli("leaderboard", "--where", "mean > 2")
    assert code == 0 and f"0 of {len(every)} rows are so" in out


@pytest.mark.parametrize(
    ("clause", "problem", "hint"),
    [
        ("licens = 'mit'", "No model has a field 'licens'", "Did you mean licence?"),
        ("parameters < ", "malformed at its end", "A filter reads"),
        ("parameters < '1B'", "parameters is a number", "without quotes"),
        ("licence = mit", "malformed", "A filter reads"),
    ],
)
def test_a_wrong_condition_is_one_error(cli, imported, clause, problem, hint):
    code, out, err = cli("leaderboard", "--where", clause)
    assert (code, out) == (2, "") and problem in err and hint in err and "Traceback" not in err


def test_a_model_is_shown_with_what_the_registry_says_though_it_is_not_here(cli, home, registry):
    code, out, err = cli("models", "show", "intfloat/e5-mistral-7b-instruct", "--json")
    assert code == 0, err
    shown = {each["name"]: each["value"] for each in json.loads(out)["settings"]}
    meta = registry["intfloat/e5-mistral-7b-instruct"]
    assert shown["weights"] == "not here" and shown["open weights"] is meta.open_weights
    assert (shown["parameters"], shown["dimensions"]) == (meta.n_parameters, meta.embed_dim)
    assert shown["instruction tuned"] is meta.use_instructions
    code, out, _ = cli("models", "show", NOBODY)
    line = next(line for line in out.splitlines() if "licence" in line)
    assert code == 0 and "unknown" in line


def test_facts_are_asked_for_again_when_mteb_is_another(cli, imported, home, registry):
    """A store that was filled before: its models have facts of another version, or none."""
    store = Store(home / "results.duckdb")
    own = Model("mine", "1", details={"method": "auto", "licence": "mit", "source": KNOWN[3]})
    store.add(Run(own, Task("SciFact", "Retrieval"), 0.5, {"ndcg_at_10": 0.5}))
    folder = Model("x", "1", details={"method": "auto", "public": True, "source": "/a/folder"})
    store.add(Run(folder, Task("SciFact", "Retrieval"), 0.5, {"ndcg_at_10": 0.5}))
    with store.database.writing() as connection:
        connection.execute(
            "UPDATE models SET details = '{\"licence\": \"old\"}' WHERE name NOT IN ('mine', 'x')"
        )
    assert rows(cli)[KNOWN[0]]["facts"]["parameters"] is None
    code, _, err = cli("import", str(imported))  # nothing new in it
    assert code == 0, err
    found = rows(cli)
    assert found[KNOWN[0]]["facts"]["parameters"] == registry[KNOWN[0]].n_parameters
    assert found[KNOWN[0]]["facts"]["licence"] == registry[KNOWN[0]].license
    assert found["mine"]["facts"]["licence"] == "mit", "what its own card says stays"
    assert found["mine"]["facts"]["parameters"] == registry[KNOWN[3]].n_parameters
    assert found["x"]["facts"]["open_weights"] is None, "nobody has said so"
    before = store.stamp()
    assert cli("import", str(imported))[0] == 0 and store.stamp() == before, "asked once"
