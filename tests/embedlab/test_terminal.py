"""Text of corpora and models never acts on the terminal, and never as markup."""

import json
import re
from pathlib import Path

import pytest

import retrievers
from embedlab import terminal

HOSTILE = "[/x] [red]a[/red] \x1b[31mred\x1b]0;title\x07 \x9b2J \u202egnp.exe \udc80 :smile:"
ROOT = Path(__file__).parents[2]


def test_every_control_character_becomes_its_escape():
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066, 0xDC80):
        shown = terminal.printable(chr(code))
        assert shown == chr(code) if chr(code) in "\t\n" else shown.isprintable()
    assert terminal.printable("Ä 中 👍 é") == "Ä 中 👍 é"
    assert terminal.replaced("a\x1bb") == "a\ufffdb"
    assert json.loads(terminal.in_json(json.dumps(HOSTILE, ensure_ascii=False))) == HOSTILE


@pytest.mark.parametrize("form", [[], ["--json"], ["--compare"]])
def test_a_search_shows_a_hostile_document_letter_by_letter(form, tmp_path, cli):
    index = retrievers.make("lucene").index(
        [HOSTILE.replace("\udc80", ""), "b"], [f"gene {HOSTILE}", "cell"]
    )
    index.save(tmp_path / "index")
    code, out, err = cli("search", tmp_path / "index", "gene", *form)
    assert code == 0 and "Traceback" not in err, err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", out + err)
    assert "[/x]" in out
    if form == ["--json"]:
        assert json.loads(out)["results"][0]["text"] == f"gene {HOSTILE}"


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_a_hostile_name_stays_in_its_cell(form, tmp_path, cli):
    (tmp_path / "run").write_text("q1 Q0 d1 1 2.5 t\n")
    (tmp_path / "qrels").write_text("q1 0 d1 1\n")
    name, task = "a|b [x](y) <i>\n\\end{tabular}\r\u2028\x1b[31m\u202e", "t\n\x1b|"
    run = (tmp_path / "run", "--qrels", tmp_path / "qrels", "--db", tmp_path / "s.duckdb")
    for model in (name, "plain"):
        code, _, err = cli("import", *run[:1], "--model", model, "--task", task, *run[1:])
        assert code == 0, err
    for command in (("leaderboard",), ("compare", name, "plain")):
        code, out, err = cli(*command, "--format", form, "--db", tmp_path / "s.duckdb")
        assert code == 0, err
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", out + err)
        if form == "markdown":
            table = [line for line in out.splitlines() if line.startswith("|")]
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
            assert (
                len(table) == (4 if command == ("leaderboard",) else 3)
                and "\\<i>" in out
                and "\\[x]" in out
            )
        if form == "latex":
            assert out.count(r"\end{tabular}") == 1 and r"\textbar{}" in out


_WAYS_OUT = r"typer\.echo\(|\bConsole\(|click\.echo\(|(?<![.\w])print\("


def test_nothing_else_in_the_house_writes_to_a_terminal():
    """Every other way out would have to remember what this file knows."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "embedlab").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if path.name not in ("terminal.py", "_json.py")
        and re.search(_WAYS_OUT, line)
        and path.name not in ("terminal.py", "_json.py")
    ]
    assert not found
