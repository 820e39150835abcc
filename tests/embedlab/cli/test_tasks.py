import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from embedlab.cli.tasks import command
from embedlab.errors import UserError


def run(*arguments) -> str:
    import typer

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def listed(*arguments) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(run(*arguments, "--json"))["tasks"]}


def test_without_a_pattern_our_own_come_alone_and_without_mteb():
    code = (
        "import sys; from embedlab.tasks.listing import rows; rows(); print('mteb' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "False"
    rows = listed()
    assert {"stdlib", "stdlib-mini", "StdlibCodeSearch"} <= rows.keys()
    assert all(row["offline"] and row["data"] == "built in" for row in rows.values())


def test_a_pattern_searches_mteb_ours_first():
    names = list(listed("code"))
    assert names[0].startswith("Stdlib")
    assert "CodeSearchNetRetrieval" in names


def test_type_and_benchmark():
    rows = listed("--type", "sts", "--benchmark", "MTEB(eng, v2)")
    assert len(rows) == 9
    assert {row["type"] for row in rows.values()} == {"STS"}
    assert list(listed("--benchmark", "stdlib-mini", "--type", "Clustering")) == [
        "StdlibMiniPackageClustering"
    ]


def test_a_mirror_makes_tasks_available(tmp_path):
    (tmp_path / "STS12.tsv").write_text("score\tsentence1\tsentence2\n1\ta\tb\n")
    rows = listed("STS12", "--data-dir", str(tmp_path))
    assert (rows["STS12"]["data"], rows["STS12"]["offline"]) == ("mirror", True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--type", "STSS"], "task type"), (["--benchmark", "x"], "benchmark")],
)
def test_unknown_conditions(arguments, message):
    with pytest.raises(UserError, match=f"Unknown {message}"):
        run(*arguments)


def test_help_gives_the_layout_of_a_mirror():
    assert "<Task>/train.csv, test.csv" in run("--help")
    assert "StdlibCodeSearch" in run()
