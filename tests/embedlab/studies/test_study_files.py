"""What a study's file may say, what is said of a wrong one, and what ships."""

import json
import shutil

import pytest

from embedlab.studies import checkpoints, members, study_file, written_recipe
from embedlab.training import recipe as recipes
from leaderboard.storage.store import Store

SHIPPED = sorted(path.stem for path in study_file.STUDIES.glob("*.toml"))


def test_five_studies_ship():
    assert SHIPPED == [
        "elastic", "families", "families-whole-base", "masked-or-causal", "pooling-and-attention",
    ]  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.effect("study --dry-run")
def test_a_shipped_study_is_planned(name, cli, home):
    code, out, err = cli("study", name, "--dry-run", "--json")
    assert code == 0, err
    plan = json.loads(out)
    study, path = study_file.read(study_file.STUDIES / f"{name}.toml")
    everyone = members.members(study, path)
    assert len(plan["members"]) == len(everyone)
    assert {each["group"] for each in plan["members"]} == {each.group for each in everyone}
    trained = [each for each in plan["members"] if each["role"] in ("trained", "control")]
    assert all(each["state"] == "to be trained" for each in trained)
    assert len(trained) == len({each["model"] for each in trained})
    assert not list(home.glob("trained/*")) and not (home / "results.duckdb").exists()


def test_the_grid_of_pooling_and_attention_has_two_times_five(home):
    found = members.members(*study_file.read(study_file.STUDIES / "pooling-and-attention.toml"))
    groups = {each.group for each in found if each.role == "trained"}
    assert len(groups) == 10 and all(
        group.endswith(("causal", "bidirectional")) for group in groups
    )


WRONG = [
    ("seeds = [1, 2]", 'curve = { every = 0, tasks = ["one"] }', "[curve] needs every"),
    ("seeds = [1, 2]", 'curve = { every = 2, tasks = ["SciFact"] }', "Unknown task in [curve]"),
    ("seeds = [1, 2]", 'curve = { every = "2", tasks = [] }', "study.toml:5: every = '2'"),
    ("title = ", "titel = ", "Unknown key 'titel'"),
    ("seeds = [1, 2]", 'seeds = "x"', "study.toml:5: seeds = 'x'"),
    ("seeds = [1, 2]", "seeds = [1, 1]", "seeds = [1, 1]"),
    ('role = "control"', 'role = "boss"', "unknown role 'boss'"),
    ('name = "last"', 'name = "mean"', "two members are named 'mean'"),
    ('name = "last"', 'name = "twin"', "'twin' stands for members already"),
    ('name = "last"', 'name = "a b"', "the name of a folder"),
    ('"settings.pooled"', '"stages.3.steps"', "no place 'stages.3.steps'"),
    ('"settings.pooled"', '"stages.0.objective"', "Unknown objective 'end'"),
    ('model = "bm25"', 'model = "bm26"', "Unknown model 'bm26'"),
    ("level = 0.9", "level = 2.0", "level = 2.0"),
    ("level = 0.9", 'correction = "bonferroni"', "correction = 'bonferroni'"),
    ("level = 0.9", 'test = "sign"', "test = 'sign'"),
    ("level = 0.9", 'tasks = ["SciFact"]', "Unknown task in the comparison 'Mean or others'"),
    ('second = ["twin"]', 'second = ["nobody"]', "Unknown member in the comparison"),
    ('second = ["twin"]', "second = []", "has an empty side"),
    ('of = ["mean"]', 'of = ["nobody"]', "Unknown member in [[views]]"),
    ('device = "cpu"', "dims = [8]", "It belongs to [[views]]"),
    ('device = "cpu"', 'colour = "red"', "unknown key 'colour' in [options]"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), WRONG, ids=[each[1] for each in WRONG])
def test_a_wrong_file_is_refused_before_anything_runs(study, cli, home, right, wrong, said):
    text = study.read_text()
    assert right in text
    study.write_text(text.replace(right, wrong, 1))
    code, _, err = cli("study", study)
    assert code == 2 and said in err and "Traceback" not in err, err
    assert not list(home.glob("trained/*")) and not (home / "results.duckdb").exists()


def test_an_unknown_study_names_those_that_ship(cli, home):
    code, _, err = cli("study", "familes")
    assert code == 2 and "Did you mean families or" in err and "elastic" in err


def keys(study):
    return {
        (each.group, each.seed): checkpoints.key(each.recipe)
        for each in members.members(*study_file.read(study))
        if each.recipe
    }


def test_a_checkpoint_is_known_by_content_alone(study, home, tmp_path):
    """Other names of the training and the recipe are no change; another seed, recipe, base or data
    file is.
    """
    before, text = keys(study), study.read_text()
    assert len(set(before.values())) == len(before) == 8
    shutil.copy(tmp_path / "tiny.toml", tmp_path / "other.toml")
    renamed = text.replace('name = "mean"', 'name = "all"').replace('["mean"]', '["all"]')
    study.write_text(renamed.replace("tiny.toml", "other.toml"))
    assert set(keys(study).values()) == set(before.values())
    study.write_text(text)
    (tmp_path / "pairs.jsonl").write_text('{"query": "w1", "positive": "w1 w2"}\n')
    changed = keys(study)
    for member, key in changed.items():
        same = "untrained" in member[0]  # a twin has seen no data
        assert (key == before[member]) == same, member
    (tmp_path / "tiny.toml").write_text(
        (tmp_path / "tiny.toml").read_text().replace("= 32", "= 31")
    )
    assert not set(keys(study).values()) & set(changed.values())


def test_trainings_that_start_alike_share_their_twin(study, home):
    text = study.read_text().replace('set = { "settings.pooled" = "end" }', "steps = 2")
    study.write_text(text)
    found = members.members(*study_file.read(study))
    twins = [each for each in found if each.role == "twin"]
    assert {(each.group, each.seed) for each in twins} == {
        ("mean-untrained", 1),
        ("mean-untrained", 2),
    }
    assert len(twins) == 2 and {each.twin for each in found if each.twin} == {"mean-untrained"}


def test_a_recipe_is_written_as_it_is_read(study, home, tmp_path):
    names = ["gem-mini", "llm2vec-mini", "nv-embed-mini", "base-decoder", "multi-layer"]
    for name in names:
        recipe = recipes.read(recipes.Path(name), None, {"stages.*.lora": {"rank": 4}})
        file = tmp_path / f"{name}.toml"
        file.write_text(written_recipe.toml(recipe))
        assert recipes.read(file) == recipe and recipes.read(file).digest == recipe.digest


@pytest.mark.effect("study --task", "study --data-dir")
def test_what_only_this_machine_has(study, cli, home, tmp_path):
    more = tmp_path / "three"
    shutil.copytree(tmp_path / "one", more)
    (more / "queries.jsonl").write_text('{"_id": "q0", "text": "w3"}\n')
    (more / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n")
    code, out, err = cli("study", study, "--dry-run", "--task", more, "--json")
    assert code == 0, err
    assert [name for name in json.loads(out)["members"][0]["evaluate"] if name.startswith("three@")]
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "STS12.tsv").write_text("score\tsentence1\tsentence2\n1\tw1\tw2\n2\tw3\tw3\n")
    here = ("--data-dir", mirror, "--task", "STS12")
    code, out, err = cli("study", study, "--dry-run", *here, "--json")
    assert code == 0, err
    plan = json.loads(out)
    assert [n for n in plan["members"][1]["evaluate"] if n.startswith("STS12@")], plan
    assert not any(name.startswith("STS12") for name in plan["members"][0]["evaluate"])  # bm25


@pytest.mark.effect("study --report-only", "study --out", "study --db")
def test_a_report_without_a_run_says_what_is_missing(study, cli, home, tmp_path):
    elsewhere = ("--out", tmp_path / "report", "--db", tmp_path / "other.duckdb")
    code, _, err = cli("study", study, "--report-only", *elsewhere)
    assert code == 0, err
    page = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "mean (seed 1) is not trained yet." in page and "nothing to test yet" in page
    assert f"--db {tmp_path / 'other.duckdb'}" in page and not list(home.glob("trained/*"))
    (tmp_path / "report" / "mine.txt").write_text("mine")
    code, _, err = cli("study", study, "--report-only", *elsewhere)
    assert code == 2 and "holds other files" in err
    code, _, err = cli("study", study, "--dry-run", "--report-only")
    assert code == 2 and "writes nothing" in err


def test_one_failing_member_costs_no_other(study, cli, home, tmp_path):
    """A training whose settings fit no model fails; what is left is done, reported, and exit code
    2.
    """
    text = study.read_text().replace('"settings.pooled" = "end"', '"settings.colour" = "red"')
    text = text.replace("seeds = [1, 2]", "seeds = [1]").replace('["mean"]\ndims', '["bm25"]\ndims')
    study.write_text(text.replace("dims = [8, 16]", "").replace('[[views]]\nof = ["bm25"]\n', ""))
    code, _, err = cli("study", study)
    assert code == 2 and "parts of the study failed" in err and "colour" in err
    assert "Traceback" not in err
    runs = Store(home / "results.duckdb").runs().to_pylist()
    models = {run["model"].partition("-s1-")[0] for run in runs}
    assert models == {"bm25", "mean", "mean-untrained"}
    page = (home / "studies" / "study" / "report.md").read_text(encoding="utf-8")
    assert "no results of last" in page and "colour" in page
