"""docs/reference/json.md names every key that `--json` writes, and none that it does not."""

import json
import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, words

PAGE = ROOT / "docs" / "reference" / "json.md"
SECTION = re.compile(r"^## (embedlab [^\n]+)\n(.*?)(?=^## |\Z)", re.M | re.S)
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|", re.M)


def documented() -> dict[str, dict[str, str]]:
    """command -> path -> type, of its table."""
    return {
        command: {path: kind.strip() for path, kind in ROW.findall(body)}
        for command, body in SECTION.findall(PAGE.read_text(encoding="utf-8"))
    }


def paths(value: object, page: dict[str, str], at: str = "") -> set[str]:
    """The paths of all keys below a value, such as runs[].model;
    what the page says to be open ends there.
    """
    if isinstance(value, dict) and f"{at}.*" in page:
        return {f"{at}.*"}
    if page.get(at) == "any" or not isinstance(value, dict | list):
        return {at}
    if isinstance(value, list):
        return set().union(*(paths(each, page, f"{at}[]") for each in value))
    return set().union(
        *(paths(each, page, f"{at}.{key}" if at else key) for key, each in value.items())
    )


def empty(value: object, at: str = "") -> set[str]:
    """The paths of lists without any items."""
    if isinstance(value, list):
        return (
            {f"{at}[]"} if not value else set().union(*(empty(each, f"{at}[]") for each in value))
        )
    if isinstance(value, dict):
        return set().union(
            *(empty(each, f"{at}.{key}" if at else key) for key, each in value.items())
        )
    return set()


COMMANDS = {
    "embedlab eval": "eval --model base-mean --task path/to/beir-folder",
    "embedlab leaderboard": "leaderboard --pareto encode_seconds",
    "embedlab compare": "compare bm25 base-mean",
    "embedlab parity": "parity base-mean base-mean?dtype=bfloat16 --task path/to/beir-folder",
    "embedlab grid": "grid --model base-mean",
    "embedlab runs list": "runs list",
    "embedlab runs show": "runs show {first}",
    "embedlab runs diff": "runs diff {first} {second}",
    "embedlab models": "models m2",
    "embedlab tasks": "tasks stdlib",
    "embedlab doctor": "doctor",
    "embedlab index build": "index --model bm25 --corpus path/to/beir-folder --out my-index",
    "embedlab index add": "index add my-index odd",
    "embedlab index delete": "index delete my-index good.txt",
    "embedlab search": "search my-index cholesterol -k 2",
    "embedlab rag": "rag --retriever my-index --questions questions.jsonl -k 1",
    "embedlab import": "import other.run --qrels path/to/qrels.txt --task health --model other",
    "embedlab export": "export out",
    "embedlab merge": "merge other.duckdb",
    "embedlab cache ls": "cache ls",
    "embedlab cache du": "cache du",
    "embedlab cache verify": "cache verify",
    "embedlab train": "train tiny.toml --out trained",
    "embedlab study": "study small.toml --out report",
    "embedlab perplexity": "perplexity gem --texts questions.jsonl",
}
# What a command writes besides, under other options.
MORE = {
    "embedlab eval": "eval --model bm25 --model base-mean --task path/to/beir-folder"
    " --prompts prompts.toml",
    "embedlab models": "models show base-mean",
    "embedlab tasks": "tasks show path/to/beir-folder",
    "embedlab index build": "index odd --model bm25 --out odd-index",
}
RECIPE = """
method = "decoder"
base = "base-decoder"
settings = { max_length = 16 }
data = { path = "pairs.jsonl", columns = ["query", "positive"] }
[[stages]]
objective = "contrastive"
steps = 1
batch_size = 1
"""
STUDY = """
title = "Words or vectors"
question = "Does base-mean beat bm25?"
tasks = ["path/to/beir-folder"]
[[models]]
model = "bm25"
[[models]]
model = "base-mean"
[[comparisons]]
name = "Vectors or words"
first = ["base-mean"]
second = ["bm25"]
"""


@pytest.fixture
def answers(reader):
    """command -> what it wrote, all over one small store."""
    Path("questions.jsonl").write_text(
        '{"id": "1", "question": "cholesterol", "answers": ["x"], "relevant": ["d2"]}\n'
    )
    Path("odd").mkdir()
    Path("odd/good.txt").write_text("a text")
    Path("odd/empty.txt").write_text("")
    Path("other.run").write_text("q1 Q0 d2 1 3.5 other\nq2 Q0 d1 1 2.0 other\n")
    Path("path/to/qrels.txt").write_text("q1 0 d2 1\nq2 0 d1 1\n")
    Path("tiny.toml").write_text(RECIPE)
    Path("small.toml").write_text(STUDY)
    Path("prompts.toml").write_text('find = "find: "\n')
    Path("pairs.jsonl").write_text('{"query": "a b", "positive": "c d"}\n')
    reader.type("embedlab eval --model bm25 --task path/to/beir-folder", run=True)
    reader.type("embedlab eval --model bm25 --task path/to/beir-folder --db other.duckdb", run=True)
    found = {}
    for command, line in COMMANDS.items():
        ids = (
            [run["id"] for run in found["embedlab runs list"]["runs"]]
            if "embedlab runs list" in found
            else ["", ""]
        )
        code, out, err = reader.cli(*words(line.format(first=ids[0], second=ids[1])), "--json")
        assert code == 0, f"{command}: {err}"
        found[command] = json.loads(out)
    for command, line in MORE.items():
        code, out, err = reader.cli(*words(line), "--json")
        assert code == 0, f"{line}: {err}"
        found[command] = {**json.loads(out), **found[command]}
    return found


def test_the_page_names_every_key(answers):
    page = documented()
    for command, answer in answers.items():
        written, without = paths(answer, page[command]), tuple(empty(answer))
        unseen = {path for path in page[command] if without and path.startswith(without)}
        assert written - unseen == page[command].keys() - unseen, command


def test_every_command_with_json_is_on_the_page(reader):
    import typer

    from embedlab import cli

    cli.app.registered_commands.clear()
    cli.app.registered_groups.clear()
    cli._register()

    def with_json(group, name):
        for word, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from with_json(command, f"{name} {word}")
            elif any("--json" in each.opts for each in command.params):
                yield f"{name} {word}"

    assert set(with_json(typer.main.get_command(cli.app), "embedlab")) == set(documented())
