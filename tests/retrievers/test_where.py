"""Filters on metadata: what they let through is what DuckDB lets through, and faults are named."""

import math
import re

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrievers import RetrieverError, where
from retrievers.metadata_columns import MOST, Columns
from retrievers.texts import Texts

WORDS = ["en", "de", "it's", 'say "so"', "a_b", "100%", "", "Ärger"]
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, -1.5, 2.0, 2**53 + 1, 1e300]))
VALUES = {
    "lang": st.sampled_from(WORDS),
    "year": st.integers(-3, 3) | st.sampled_from([2**53, 2**53 + 1, -(2**63)]),
    "score": NUMBERS,
    "ok": st.booleans(),
    "tags": st.lists(st.sampled_from(WORDS[:5]), max_size=3),
    "counts": st.lists(st.integers(-2, 2), max_size=3),
}
TYPES = {
    "lang": pa.string(), "year": pa.int64(), "score": pa.float64(), "ok": pa.bool_(),
    "tags": pa.list_(pa.string()), "counts": pa.list_(pa.int64()),
}  # fmt: skip
DOCUMENTS = st.lists(st.fixed_dictionaries({}, optional=VALUES), min_size=1, max_size=12)


@st.composite
def conditions(draw):
    """A condition as ours and as DuckDB has it."""
    field = draw(st.sampled_from(list(VALUES)))
    negated = draw(st.sampled_from(["", "not "]))
    if draw(st.integers(0, 5)) == 0:
        return (f"{field} is {negated}null",) * 2
    if field in ("tags", "counts"):
        value = where.literal(draw(st.sampled_from(WORDS) if field == "tags" else NUMBERS))
        theirs = f"{negated}list_contains({field}, {value})"
        return f"{field} {negated}contains {value}", theirs
    value = where.literal(draw(VALUES[field] if field != "year" else NUMBERS))
    kind = draw(st.integers(0, 3))
    if kind == 0:
        more = [value, *(where.literal(draw(VALUES[field])) for _ in range(2))]
        return (f"{field} {negated}in ({', '.join(more)})",) * 2
    if kind == 1 and field == "lang":
        pattern = where.literal(draw(st.sampled_from(["%e%", "_n", "EN", "%b", "%", ""])))
        how = draw(st.sampled_from(["like", "ilike"]))
        return (f"{field} {negated}{how} {pattern}",) * 2
    if kind == 2 and field == "lang":
        return f"{field} {negated}contains {value}", f"{negated}contains({field}, {value})"
    how = draw(st.sampled_from(["=", "!=", "<>"] if field == "ok" else ["=", "!=", "<", ">="]))
    return (f"{field} {how} {value}",) * 2


def together(parts):
    joined = st.tuples(parts, st.sampled_from([" and ", " OR "]), parts).map(
        lambda three: tuple(f"({a}{three[1]}{b})" for a, b in zip(three[0], three[2], strict=True))
    )
    return joined | parts.map(lambda one: tuple(f"(not {each})" for each in one))


def _floats(document):
    return {**document, "score": float(document["score"])} if "score" in document else document


def rows_of(clause, documents):
    ids = [f"d{row}" for row in range(len(documents))]
    return where.rows(clause, Columns.of(documents), ids).tolist()


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.recursive(conditions(), together, max_leaves=5))
def test_a_filter_lets_through_what_duckdb_does(documents, clauses):
    ours, theirs = clauses
    held = {name for document in documents for name in document}
    if not all(name in held for name in VALUES if name in ours):
        return  # an error, as below
    table = pa.Table.from_pylist(
        [{"row": row, **_floats(document)} for row, document in enumerate(documents)],
        pa.schema([("row", pa.int64()), *TYPES.items()]),
    )
    with duckdb.connect() as connection:
        connection.register("documents", table)
        found = connection.sql(f"select row from documents where {theirs} order by row").fetchall()
    assert rows_of(ours, documents) == [row for (row,) in found], ours


SOME = [
    {
        "half": 0.5,
        "year": 2019,
        "lang": "en",
        "tags": ["a"],
        "ok": True,
        "author": {"name": "X"},
        "mixed": 1,
    },
    {"year": 2021, "tags": [], "mixed": "1", "a.b": 3, "a b": 4, "`": 5, "and": 6},
    {"lang": "de", "year": math.nan, "empty": [], "odd": [[1], "x"]},
]


@pytest.mark.parametrize(
    ("clause", "rows"),
    [
        ("year >= 2020", [1]),
        ("NOT year >= 2020", [0]),
        ("not not year >= 2020", [1]),
        ("year is null", [2]),
        ("author.name = 'X'", [0]),
        ("a.b = 3 and `a b` = 4 and ```` = 5 and `and` = 6 and and = 6", [1]),
        ('id in ("d0", "d2") and ID is null', None),
        ('id in ("d0", "d2")', [0, 2]),
        ("empty contains 1", []),
        ("empty is not null", [2]),
        ("mixed is not null", [0, 1]),
        ("year=2019 or(year=2021)", [0, 1]),
        ("lang = 'en' or ok = false or year > 0", [0, 1]),
        ("(" * 400 + "year > 0" + ")" * 400, [0, 1]),
        (" or ".join(["year = 2019"] * 3000), [0]),
        ("year > 100000000000000000000000", []),
        ("half = 9007199254740993 or half in (9007199254740993)", []),
        ("half < 9007199254740993", [0]),
    ],
)
def test_what_a_filter_lets_through(clause, rows):
    if rows is None:
        with pytest.raises(RetrieverError):
            rows_of(clause, SOME)
    else:
        assert rows_of(clause, SOME) == rows


@pytest.mark.parametrize(
    ("clause", "problem", "hint"),
    [
        ("yeer > 2020", "No document has a field 'yeer'", "Did you mean year?"),
        ("x = 1", "No document has a field 'x'", r"id \(text\).*mixed \(of several kinds\), odd"),
        ("year > '2020'", "year is a number, and '2020' is a text", "without quotes"),
        ("year = true", "year is a number, and true is a boolean", "without quotes"),
        ("lang = 1", "lang is a text, and 1 is a number", "in quotes"),
        ("ok = 1", "ok is a boolean, and 1 is a number", "reads"),
        ("ok > false", "ok is true or false", "ok = true"),
        ("tags = 'a'", "tags is a list of texts", "tags contains 'a'"),
        ("tags in ('a')", "tags is a list of texts", "tags contains 'a'"),
        ("tags contains 1", "tags is a list of texts, and 1 is a number", "in quotes"),
        ("year contains 1", "year is a number: it contains no number", "part of a text"),
        ("year like '2%'", "year is a number, and like is for texts", "reads"),
        ("mixed = 1", "mixed is not of one kind .* number in 1, text in 1", "one kind"),
        ("odd contains 1", "odd is not of one kind .* list of several kinds in 1", "one kind"),
        ("year >", "malformed at its end", "year >= 2020"),
        ("year > 1 andd", "malformed at 'andd'", "year >= 2020"),
        ("year > 1; drop", "malformed at '; drop'", "year >= 2020"),
        ("year", "malformed at its end", "year >= 2020"),
        ("lang = 'en", 'malformed at "\'en"', "year >= 2020"),
        (" ", "malformed at its end", "year >= 2020"),
        ("not " * 5000 + "year = 1", "nested too deeply", "parentheses"),
    ],
)
def test_a_fault_is_named(clause, problem, hint):
    with pytest.raises(RetrieverError, match=problem) as caught:
        rows_of(clause, SOME)
    assert re.search(hint, caught.value.hint)


def test_fields_are_kept_with_the_texts_and_gathered_where_they_are_not(tmp_path):
    texts = Texts()
    texts.extend([{"text": str(row), **some} for row, some in enumerate(SOME)])
    texts.save(tmp_path)
    assert Texts.load(tmp_path).columns._file is not None
    for _ in range(2):
        loaded = Texts.load(tmp_path)
        assert loaded.columns.kinds == texts.columns.kinds
        assert loaded.columns.mixed == texts.columns.mixed
        for clause, rows in (("author.name = 'X'", [0]), ("tags contains 'a'", [0]),
                             ("mixed is null", [2]), ("empty contains 1", [])):  # fmt: skip
            assert where.rows(clause, loaded.columns, ["x", "y", "z"]).tolist() == rows
        # As an index has it that was saved before there was such a file.
        (tmp_path / "fields.parquet").unlink(missing_ok=True)
    loaded.extend([{"text": "", "year": 7, "new": "x"}])
    assert where.rows("year < 9 and new = 'x'", loaded.columns, "wxyz").tolist() == [3]
    loaded.keep(np.array([1, 3]))
    assert where.rows("year > 0", loaded.columns, "xz").tolist() == [0, 1]


def test_what_arrow_does_not_take_is_kept_all_the_same(tmp_path):
    """Half a character, as JSON can write it; in Python, anything."""
    texts = Texts()
    texts.extend([{"text": "", "\ud800": "x\ud800", "tags": ["\udfff"]}, {"text": "x", "y": 1}])
    texts.save(tmp_path)
    loaded = Texts.load(tmp_path)
    assert loaded.metadata(0) == {"\ud800": "x\ud800", "tags": ["\udfff"]}
    for columns in (texts.columns, loaded.columns):
        assert where.rows("tags contains '\ud83d'", columns, ["a\ud800", "b"]).tolist() == [0]
        assert where.rows("id != 'a?' and y = 1", columns, ["a\ud800", "b"]).tolist() == [1]
    odd = [{"a": np.arange(3), "y": 1}, {"a": object(), "y": np.float32("nan")}]
    assert rows_of("y = 1 and a is not null", odd) == [0]
    with pytest.raises(RetrieverError, match="ndarray in 1, object in 1"):
        rows_of("a = 1", odd)


def test_more_fields_than_a_file_keeps_are_all_there(tmp_path):
    texts = Texts()
    texts.extend([{"text": "", f"f{row}": row} for row in range(MOST + 1)])
    texts.save(tmp_path)
    assert not (tmp_path / "fields.parquet").exists()
    loaded = Texts.load(tmp_path)
    assert where.rows(f"f{MOST} = {MOST}", loaded.columns, range(MOST + 1)).tolist() == [MOST]


def test_fields_of_another_number_of_documents_are_refused(tmp_path):
    for count in (2, 3):
        texts = Texts()
        texts.extend([{"text": "", "year": row} for row in range(count)])
        (tmp_path / str(count)).mkdir()
        texts.save(tmp_path / str(count))
    (tmp_path / "2" / "fields.parquet").replace(tmp_path / "3" / "fields.parquet")
    with pytest.raises(RetrieverError, match="fields of the index cannot be read"):
        Texts.load(tmp_path / "3")


def test_literals_and_names_read_as_they_were():
    for value in ("it's", 'a "b"', "", 3, -2.5, 1e-9, 10**30, True, np.int64(4), np.float32(0.5)):
        assert where.rows(f"x = {where.literal(value)}", Columns.of([{"x": value}]), "a") == [0]
    for value in (None, math.nan, math.inf, [1], {"a": 1}, object()):
        with pytest.raises(RetrieverError, match="compares with a text, a number or a boolean"):
            where.literal(value)
    odd = "a `b` \\ and"
    assert where.rows(f"{where.name(odd)} = 1", Columns.of([{odd: 1}]), "a") == [0]
