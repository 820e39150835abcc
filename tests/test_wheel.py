"""The wheel: built, installed into a fresh environment, used from another folder."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A fresh environment with the wheel;
    what it depends on is borrowed from the environment of the tests.
    """
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--no-deps",
            "--no-index",
            wheel,
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"])
    return folder / "env"


def run(environment, *arguments, cwd):
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [environment / "bin" / arguments[0], *arguments[1:]],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**clean, "EMBEDLAB_HOME": str(cwd / "home")},
        timeout=300,
        check=True,
    ).stdout


def test_the_code_in_use_is_the_wheels(installed, tmp_path):
    packages = ("embedlab", "retrievers", "leaderboard", "app")
    code = (
        f"import sys, {', '.join(packages)}; print(*(sys.modules[name].__file__ for name in"
        f" {packages}))"
    )
    files = run(installed, "python", "-c", code, cwd=tmp_path).split()
    assert len(files) == 4
    assert all(Path(file).is_relative_to(installed) for file in files)


def test_cards_and_benchmarks_come_along(installed, tmp_path):
    names = {
        card["name"]
        for card in json.loads(run(installed, "embedlab", "models", "--json", cwd=tmp_path))[
            "models"
        ]
    }
    assert names == {path.stem for path in (ROOT / "data" / "models").glob("*.toml")}
    tasks = json.loads(run(installed, "embedlab", "tasks", "stdlib", "--json", cwd=tmp_path))
    assert "stdlib-mini" in json.dumps(tasks)


def test_eval_and_leaderboard_work_from_any_folder(installed, tmp_path):
    (tmp_path / "corner" / "qrels").mkdir(parents=True)
    rows = [{"_id": f"d{n}", "text": f"w{n} w{n + 1}"} for n in range(5)]
    (tmp_path / "corner" / "corpus.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    (tmp_path / "corner" / "queries.jsonl").write_text('{"_id": "q", "text": "w3"}\n')
    (tmp_path / "corner" / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq\td3\t1\n"
    )
    answer = run(
        installed, "embedlab", "eval", "--model", "bm25", "--task", "./corner", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    score = json.loads(answer)["runs"][0]["main_score"]
    ranked = json.loads(run(installed, "embedlab", "leaderboard", "--json", cwd=tmp_path))
    assert ranked["rows"][0]["mean"] == pytest.approx(score)
