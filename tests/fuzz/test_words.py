"""Words that people type and files that they write by hand:
expressions, settings, TOML, command lines.
"""

import contextlib
import json

import pytest
import typer
from command_line import in_time, run
from hostile import examples, words
from hypothesis import given
from hypothesis import strategies as st

import retrievers
from embedlab import cli
from embedlab.errors import UserError
from embedlab.models import cards, expressions
from embedlab.models.settings import model_settings
from embedlab.tasks import catalogue
from embedlab.training import recipe
from tests.gem_recipe import HEAD

OURS = (UserError, retrievers.RetrieverError)
PIECES = [
    "bm25", "rrf", "weighted", "rerank", "(", ")", "((", "))", ",", ";", " ", ">>", "=", "@", "/",
    "k=", "depth=", "weights=", "normalise=", "faiss:flat", "faiss:hnsw32", "efSearch=", "torch",
    "60", "-1", "0", "1e999", "nan", "0.3/0.7", "z-score", "?", "&", "a=b", ".", "~", "９",
    "x.py:X",
]  # fmt: skip
texts = st.one_of(words, st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
nested = st.tuples(
    st.sampled_from(["(", "rrf(bm25, ", "rrf(", "[", "{", "a >> "]), st.sampled_from([5, 40, 3000])
).map(lambda part: part[0] * part[1] + "bm25" + ")" * part[1])


@contextlib.contextmanager
def ours_alone():
    """Our errors are fine, with something to type next; others are not."""
    try:
        with in_time():
            yield
    except OURS as error:
        assert str(error).strip()


@examples(300)
@given(text=st.one_of(texts, nested))
def test_expressions(text):
    with ours_alone():
        if expressions.is_composed(text):
            tree = expressions.parse(text)
            assert expressions.parse(str(tree)) == tree
        expressions.names(text)
    with ours_alone():
        retrievers.make(text)
    with ours_alone():
        model_settings.split(text)


_HEAD = HEAD.format(base="base-decoder", pairs="pairs.jsonl")
GEM = f"""
description = "x"{_HEAD}[[stages]]
objective = "contrastive"
steps = 2
batch_size = 4
learning_rate = 1e-3
precision = "float32"
[stages.settings]
scale = 20.0
[stages.lora]
rank = 4
"""
CARD = (
    'method = "sentence-transformers"\nsource = "a/b"\ndim = 8\nprompts = {query = "q:'
    ' "}\n[[published]]\ntask = "T"\n'
)
BENCHMARK = 'description = "x"\ntasks = ["SciFact"]\n'
VALUES = [
    "0", "-1", "1e999", "nan", "inf", "-inf", "true", '""', '"x"', '"nowhere/x"', "[]", "{}",
    "[[]]", "1979-05-27", "9" * 5000, "[" * 3000 + "]" * 3000, '"\\u0000"', '"../x"', "''",
    "{a = {b = 1}}", '["x", 1]', "99999999999", '"float99"', '"(" ', "1.5", '"auto"', "'''\n'''",
]  # fmt: skip


@st.composite
def other_toml(draw, text: str) -> bytes:
    """A TOML file with one value, line or byte of it another."""
    lines = text.splitlines()
    at = draw(st.integers(0, len(lines) - 1))
    kind = draw(st.sampled_from(["value", "value", "value", "gone", "twice", "cut", "line"]))
    if kind == "value" and "=" in lines[at]:
        lines[at] = f"{lines[at].partition('=')[0]}= {draw(st.sampled_from(VALUES))}"
    elif kind == "gone":
        del lines[at]
    elif kind == "twice":
        lines.insert(at, lines[at])
    elif kind == "line":
        lines.insert(
            at,
            draw(
                st.sampled_from(
                    ["[[", "a.b.c = 1", "[data]", "[stages]", "x", "\x00", "[[stages]]"]
                )
            ),
        )
    content = "\n".join(lines).encode()
    return content[: draw(st.integers(0, len(content)))] + b"\xff" if kind == "cut" else content


@examples(80)
@given(content=other_toml(GEM))
def test_recipes_are_read_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("recipe") / "r.toml"
    file.write_bytes(content)
    with ours_alone():
        found = recipe.read(file)
        assert found.stages and found.digest


@examples(4)
@given(content=other_toml(GEM))
def test_recipes_on_the_command_line(small_base, tmp_path_factory, content):
    place = tmp_path_factory.mktemp("recipe")
    rows = [{"query": f"w{n} w{n + 1}", "positive": f"w{n} w{n + 2}"} for n in range(8)]
    (place / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    content = content.replace(b"base-decoder", str(small_base).encode())
    (place / "r.toml").write_bytes(
        content.replace(b"pairs.jsonl", str(place / "pairs.jsonl").encode())
    )
    run("train", place / "r.toml", "--out", place / "out", "--device", "cpu")
    assert (place / "out/modules.json").exists() == (place / "out/training.json").exists()


@pytest.mark.parametrize(
    ("kind", "folder", "read", "text"),
    [
        ("card", "models", cards.cards, CARD),
        ("benchmark", "benchmarks", catalogue.benchmarks, BENCHMARK),
    ],
)
def test_cards_and_benchmarks(kind, folder, read, text, tmp_path_factory, monkeypatch):
    @examples(80)
    @given(content=other_toml(text))
    def read_or_refused(content):
        data = tmp_path_factory.mktemp("data")
        (data / folder).mkdir()
        (data / folder / "one.toml").write_bytes(content)
        monkeypatch.setattr(cards, "DATA", data)
        monkeypatch.setattr(catalogue, "DATA", data)
        read.cache_clear()
        with ours_alone():
            read()

    try:
        read_or_refused()
    finally:
        read.cache_clear()


def commands():
    """Every command of the program as (words, click command),
    but the one that serves until it is stopped.
    """
    cli.app.registered_commands.clear()
    cli.app.registered_groups.clear()
    cli._register()

    def walk(command, name):
        below = getattr(command, "commands", None)
        if below is None:
            yield name, command
        for word, part in (below or {}).items():
            yield from walk(part, (*name, word))

    return [
        (name, command)
        for name, command in walk(typer.main.get_command(cli.app), ())
        if name != ("dashboard",)
    ]


COMMANDS = commands()


@st.composite
def command_lines(draw, words):
    """A command with some of its options and arguments, the values of which are anything."""
    name, command = draw(st.sampled_from(COMMANDS))
    line = list(name)
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            line += draw(st.lists(words, max_size=2))
        elif parameter.name not in ("help", "db") and draw(st.integers(0, 3)) == 0:
            line.append(draw(st.sampled_from(parameter.opts)))
            if not parameter.is_flag:
                line.append(draw(words))
        elif parameter.required:
            line += [parameter.opts[0], draw(words)]
    return line


@examples(15)
@given(data=st.data())
def test_command_lines(data, tmp_path_factory, monkeypatch):
    place = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(place)
    (place / "there").mkdir()
    (place / "file").write_text("text\n")
    some = st.one_of(
        words,
        st.sampled_from(
            ["there", "file", "there/new", "bm25", "base-mean", "SciFact", "stdlib", "5"]
        ),
    )
    line = [word for word in data.draw(command_lines(some)) if "\x00" not in word]
    run(*line)
    assert (place / "file").read_text() == "text\n"
